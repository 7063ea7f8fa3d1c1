"""The network between the program and a server: it can be slow, or silent while nobody closes anything."""

import socket
import threading
import time


class Network(threading.Thread):
    """Connections to `port` are carried on to `target`; `delay` is that of each piece, one after the other."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.delay, self.is_silent = ("127.0.0.1", target), 0.0, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        while self.is_silent:
            time.sleep(0.02)
        with client:
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                return
            with server:
                server.settimeout(None)
                back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
                back.start()
                self.pump(client, server)
                back.join()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay)
                while self.is_silent:
                    time.sleep(0.02)
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
