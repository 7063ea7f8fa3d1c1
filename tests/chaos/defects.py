"""What checks the checker: a proxy between a client and a web server that breaks one promise on purpose."""

import re
import socket
import threading

EVERY = 10  # frames with a message


class Defect(threading.Thread):
    """Frames pass one by one, as HTTP/1.0 has them; each tenth message is treated as `name` says."""

    def __init__(self, name, port):
        super().__init__(daemon=True)
        self.name, self.target = name, ("127.0.0.1", port)
        self.n, self.held, self.n_done, self.last = 0, b"", 0, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(self.target) as server:
                server.sendall(client.recv(65536))
                threading.Thread(target=self.watch, args=(client, server), daemon=True).start()
                data = b""
                while more := server.recv(65536):
                    data += more
                    *frames, data = re.split(rb"(?<=\n\n)", data) if b"\n\n" in data else (data,)
                    for frame in frames:
                        client.sendall(self.treat(frame))
        except OSError:
            pass

    @staticmethod
    def watch(client, server):
        """The client says nothing more; when it goes, the web server must hear of it."""
        try:
            while client.recv(4096):
                pass
        except OSError:
            pass
        server.close()

    def treat(self, frame):
        is_message = b'"check"' in frame
        if self.name == "swallow a reset":
            if b"stream-reset" in frame or b'"resumed":false' in frame and self.n > 0:
                self.n_done += 1
                return b""
            self.n += is_message
            return frame
        if not is_message:
            return frame
        self.n += 1
        if self.held:
            frame, self.held = frame + self.held, b""
        if self.n % EVERY:
            self.last = frame
            return frame
        self.n_done += 1
        return self.break_it(frame)

    def break_it(self, frame):
        if self.name == "drop":
            return b""
        if self.name == "drop one" and self.n_done > 1:
            return frame
        if self.name == "drop one":
            return b""
        if self.name == "double":
            return frame + frame
        if self.name == "reorder":
            self.held = frame
            return b""
        if self.name == "send an old one again":
            return frame + self.last
        return frame.replace(b'"n": ', b'"n": 9')  # "forge"

    def close(self):
        self.listener.close()


NAMES = ("drop", "drop one", "double", "reorder", "send an old one again", "forge", "swallow a reset")
