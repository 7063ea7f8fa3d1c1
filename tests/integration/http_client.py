"""An HTTP/1.1 client for event streams: raw sockets, so that nothing is buffered or hidden."""

import socket

from streams import Disconnected, StreamReader, parse_head
from waiting import Timeout, deadline, left


class HttpResponse(StreamReader):
    """One request and its response. The socket is there for tests that do things to it."""

    def __init__(self, address, path, method="GET", headers=None, body=b"", timeout=5.0, version="1.1"):
        super().__init__()
        self.socket = socket.create_connection(address, timeout=left(deadline(timeout)))
        self._raw = b""
        self._remaining = None  # bytes of the body or of the present chunk; None: until the end
        self._chunked = False
        self._framed = False  # is the head through?
        self._crlf_due = False  # the one behind a chunk
        lines = [f"{method} {path} HTTP/{version}", f"Host: {address[0]}:{address[1]}",
                 *(f"{n}: {v}" for n, v in _items(headers))]
        if not any(n == "Accept" for n, _ in _items(headers)):
            lines.append("Accept: text/event-stream")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        try:
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
            head, self._raw = self.read_head(timeout)
            self._on_head(head, method)
        except BaseException:
            self.close()
            raise

    def _on_head(self, head, method):
        self.status, self.headers = parse_head(head)
        self._framed = True
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if self._chunked:
            self._remaining = 0
        elif "content-length" in self.headers:
            self._remaining = int(self.headers["content-length"])
        if method == "HEAD" or self.status in (204, 304):
            self._chunked, self._remaining = False, 0

    def receive(self, until):
        if not self._framed:
            return self._read(until)
        return self._read_chunked(until) if self._chunked else self._read_plain(until)

    def _read(self, until):
        """Bytes from the socket; None at its end."""
        if left(until) == 0:
            raise Timeout("nothing from the web server in time")
        self.socket.settimeout(left(until))
        try:
            return self.socket.recv(1 << 18) or None
        except socket.timeout:
            raise Timeout("nothing from the web server in time") from None
        except ConnectionResetError:
            raise Disconnected("the web server reset the connection") from None

    def _more(self, until):
        data = self._read(until)
        if data is None:
            raise Disconnected(f"the web server closed within the body; left over: {self._raw[-100:]!r}")
        self._raw += data

    def _read_plain(self, until):
        if self._remaining == 0:
            return None
        if not self._raw:
            if self._remaining is None:
                return self._read(until)
            self._more(until)
        data, self._raw = self._raw, b""
        if self._remaining is not None:
            assert len(data) <= self._remaining, "bytes behind Content-Length"
            self._remaining -= len(data)
        return data

    def _read_chunked(self, until):
        if self._crlf_due:
            assert self._line(until) == b"", "chunk without its CRLF"
            self._crlf_due = False
        if self._remaining == 0:
            line = self._line(until)
            self._remaining = int(line.split(b";")[0], 16)
            if self._remaining == 0:
                assert self._line(until) == b"", "trailers"
                self._chunked = False
                return None
        if not self._raw:
            self._more(until)
        data, self._raw = self._raw[:self._remaining], self._raw[self._remaining:]
        self._remaining -= len(data)
        self._crlf_due = self._remaining == 0
        return data

    def _line(self, until):
        while b"\r\n" not in self._raw:
            self._more(until)
        line, _, self._raw = self._raw.partition(b"\r\n")
        return line

    def reset(self):
        """Leave by RST, as a client that dies does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self):
        self.socket.close()


def _items(headers):
    return headers.items() if isinstance(headers, dict) else (headers or [])


def get(address, path, **kw):
    return HttpResponse(address, path, **kw)
