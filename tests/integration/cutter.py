"""What may happen to connections between a client and its web server."""

import socket
import threading


class Cutter:
    """Stands before the web server, and cuts every connection, or lets nothing through for a while, when it is told to."""

    def __init__(self, port):
        self.target, self.pairs, self.n_cut, self.n_opened = ("127.0.0.1", port), set(), 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.flows = threading.Event()
        self.flows.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            pair = (client, socket.create_connection(self.target))
            with self.lock:
                self.pairs.add(pair)
                self.n_opened += 1
            for a, b in (pair, pair[::-1]):
                threading.Thread(target=self.copy, args=(a, b, pair), daemon=True).start()

    def copy(self, a, b, pair):
        try:
            while data := a.recv(65536):
                if b is pair[0]:
                    self.flows.wait()
                b.sendall(data)
        except OSError:
            pass
        self.end(pair)

    def end(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for one in pair:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
        self.n_cut += len(pairs)
        for pair in pairs:
            self.end(pair)

    def hold(self):
        """The client reads nothing more, until go_on()."""
        self.flows.clear()

    def go_on(self):
        self.flows.set()

    def close(self):
        self.listener.close()
        self.flows.set()
        self.cut()
