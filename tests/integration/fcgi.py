"""FastCGI 1.0 on raw bytes: a strict client for Sluice, and a small responder for web servers.

Everything that the peer sends is checked against the specification; what breaks it is an
AssertionError with the bytes in it.
"""

import queue
import socket
import struct
import threading
from dataclasses import dataclass

from processes import family_of
from streams import Disconnected, StreamReader, parse_head
from waiting import Timeout, deadline, left

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA = 1, 2, 3, 4, 5, 6, 7, 8
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = 0, 1, 2, 3


def record(kind, content=b"", id=1, padding=0, version=1, reserved=0):
    """One record; the content must fit."""
    head = struct.pack(">BBHHBB", version, kind, id, len(content), padding, reserved)
    return head + content + b"\xee" * padding


def begin(role=RESPONDER, flags=0, id=1):
    return record(BEGIN, struct.pack(">HB5x", role, flags), id=id)


def pair(name, value):
    """One name-value pair (section 3.4), with one-byte lengths where they fit."""
    name, value = _bytes(name), _bytes(value)
    return _length(name) + _length(value) + name + value


def pairs(items):
    items = items.items() if isinstance(items, dict) else items
    return b"".join(pair(n, v) for n, v in items)


def params(items, id=1):
    """The pairs in as many records as they need, and the empty record that ends them."""
    data = pairs(items)
    pieces = [data[i:i + 65535] for i in range(0, len(data), 65535)]
    return b"".join(record(PARAMS, p, id=id) for p in pieces) + record(PARAMS, id=id)


def stdin(body=b"", id=1):
    pieces = [body[i:i + 65535] for i in range(0, len(body), 65535)]
    return b"".join(record(STDIN, p, id=id) for p in pieces) + record(STDIN, id=id)


def cgi_variables(path, method="GET", headers=None, **more):
    """What a web server would send for a request."""
    uri, _, query = path.partition("?")
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "test", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": method, "REQUEST_URI": path,
        "SCRIPT_NAME": uri, "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "50000",
        "HTTP_HOST": "localhost", "HTTP_ACCEPT": "text/event-stream"}
    for name, value in (headers or {}).items():
        variables["HTTP_" + name.upper().replace("-", "_")] = value
    variables.update(more)
    return variables


def request(path, method="GET", headers=None, body=b"", flags=0, id=1, **more):
    """A whole request, as a web server sends it."""
    if body:
        more.setdefault("CONTENT_LENGTH", str(len(body)))
    return begin(flags=flags, id=id) + params(cgi_variables(path, method, headers, **more), id) + stdin(body, id)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def _length(text):
    return bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 0x80000000)


def parse_pairs(data):
    out = []
    while data:
        lengths = []
        for _ in range(2):
            if data[0] < 128:
                lengths.append(data[0])
                data = data[1:]
            else:
                lengths.append(struct.unpack(">I", data[:4])[0] & 0x7FFFFFFF)
                data = data[4:]
        n, v = lengths
        assert n + v <= len(data), "name-value pair is cut off"
        out.append((data[:n], data[n:n + v]))
        data = data[n + v:]
    return out


@dataclass
class Record:
    kind: int
    id: int
    content: bytes


class Connection:
    """One connection to a FastCGI application; `address` is a path or (host, port)."""

    def __init__(self, address, timeout=5.0, receive_buffer=None):
        self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.timeout = timeout
        self.socket.settimeout(left(deadline(timeout)))
        self.socket.connect(address)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.settimeout(left(deadline(self.timeout)))
        self.socket.sendall(data)

    def read_record(self, until=None):
        """The next record, or None if the peer has closed between two records."""
        until = until or deadline(self.timeout)
        head = self._take(8, until, at_border=True)
        if head is None:
            return None
        version, kind, id, length, padding, _ = struct.unpack(">BBHHBB", head)
        assert version == 1, f"version {version} in {head!r}"
        assert kind in (STDOUT, STDERR, END, GET_VALUES_RESULT, UNKNOWN_TYPE), f"type {kind} to a web server"
        management = kind in (GET_VALUES_RESULT, UNKNOWN_TYPE)
        assert (id == 0) == management, f"type {kind} with request id {id}"
        if kind in (END, UNKNOWN_TYPE):
            assert length == 8, f"type {kind} with {length} bytes"
        content = self._take(length, until)
        self._take(padding, until)
        return Record(kind, id, content)

    def _take(self, n, until, at_border=False):
        while len(self._buffer) < n:
            piece = self._receive(until)
            if piece == b"":
                if at_border and not self._buffer:
                    return None
                raise Disconnected(f"closed within a record, after {self._buffer!r}")
            self._buffer += piece
        taken, self._buffer = self._buffer[:n], self._buffer[n:]
        return taken

    def _receive(self, until):
        if left(until) == 0:
            raise Timeout("no record from the application in time")
        self.socket.settimeout(left(until))
        try:
            return self.socket.recv(1 << 18)
        except socket.timeout:
            raise Timeout("no record from the application in time") from None
        except ConnectionResetError:
            return b""

    def is_closed(self, timeout=1.0):
        """Has the peer closed, or does it within the time? What it still sent is thrown away."""
        until = deadline(timeout)
        try:
            while self._receive(until):
                pass
            return True
        except Timeout:
            return False

    def get(self, path, **kw):
        """Send a request; the response once its head is there."""
        self.send(request(path, **kw))
        return Response(self, id=kw.get("id", 1))


class Response(StreamReader):
    """The response to one request: its head, and what comes after, as bytes or as events."""

    def __init__(self, connection, id=1, timeout=5.0):
        super().__init__()
        self.connection = connection
        self.id = id
        self.protocol_status = None  # of END_REQUEST
        self.app_status = None
        self.stderr = b""
        self._stdout_ended = False
        head, rest = self.read_head(timeout)
        self.status, self.headers = parse_head(head, is_cgi=True)
        self._on_body(rest)

    def receive(self, until):
        """The next piece of STDOUT, or None after END_REQUEST."""
        while self.protocol_status is None:
            rec = self.connection.read_record(until)
            if rec is None:
                raise Disconnected("the application closed without END_REQUEST")
            assert rec.id == self.id, f"record of request {rec.id}, wanted {self.id}"
            if rec.kind == STDOUT:
                assert not self._stdout_ended, "STDOUT after its end"
                if rec.content:
                    return rec.content
                self._stdout_ended = True
            elif rec.kind == STDERR:
                self.stderr += rec.content
            elif rec.kind == END:
                self.app_status, self.protocol_status = struct.unpack(">IB3x", rec.content)
                assert self.protocol_status == REQUEST_COMPLETE, f"END_REQUEST says {self.protocol_status}"
            else:
                raise AssertionError(f"type {rec.kind} within a response")
        return None

    def close(self):
        self.connection.close()


def get(address, path, timeout=5.0, receive_buffer=None, **kw):
    """The response to one request on a connection of its own."""
    connection = Connection(address, timeout, receive_buffer)
    try:
        return connection.get(path, **kw)
    except BaseException:
        connection.close()
        raise


class SpyRequest:
    """A request that a web server made of the Spy."""

    def __init__(self, connection, params, body):
        self.socket = connection
        self.params = params  # (name, value) in the order in which they came
        self.body = body

    def value(self, name):
        """The one value of a variable, None if it did not come, an error if it came twice."""
        values = [v for n, v in self.params if n == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def send(self, data):
        for i in range(0, len(data), 65528):
            self.socket.sendall(record(STDOUT, data[i:i + 65528]))

    def finish(self):
        self.socket.sendall(record(STDOUT) + record(END, bytes(8)))
        self.socket.close()

    def wait_closed(self, timeout):
        """Seconds are over or the web server has closed: which?"""
        self.socket.settimeout(left(deadline(timeout)))
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False


class Spy:
    """A FastCGI application that shows a test what a web server sends, and says what it is told to."""

    def __init__(self, path):
        """At a path, or at (host, port); then path says which port it was."""
        self.requests = queue.Queue()
        self._sockets = []
        self._listener = socket.socket(socket.AF_UNIX if isinstance(path, str) else socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(path)
        self.path = self._listener.getsockname()
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for s in self._sockets:
            s.close()

    def next_request(self, timeout=5.0):
        try:
            return self.requests.get(timeout=left(deadline(timeout)))
        except queue.Empty:
            raise Timeout("the web server made no request of the application") from None

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        stream = connection.makefile("rb")
        variables, body, role = b"", b"", 0
        while True:
            head = stream.read(8)
            if len(head) < 8:
                return
            _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", head)
            content = stream.read(length + padding)[:length]
            if kind == BEGIN:
                role = content[1]
            elif kind == PARAMS:
                variables += content
                if not content and role == AUTHORIZER:
                    break  # it has no body (FastCGI 1.0, section 6.3)
            elif kind == STDIN:
                body += content
                if not content:
                    break
        decoded = [(n.decode(), v.decode("latin-1")) for n, v in parse_pairs(variables)]
        self.requests.put(SpyRequest(connection, decoded, body))
