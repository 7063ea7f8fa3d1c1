"""What all responses have in common, however they come: bytes, read as events."""

import json

import ndjson
from eventstream import Parser
from waiting import Timeout, deadline, moment


class Disconnected(AssertionError):
    """The peer has closed where it must not."""


def parse_head(head, is_cgi=False):
    """Status and headers (names in lower case). A header that comes twice is joined by a comma."""
    lines = head.decode("latin-1").split("\r\n")
    status = 200
    if not is_cgi:
        version, code, *_ = lines.pop(0).split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), version
        status = int(code)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        assert colon and name and name.strip() == name, f"header line {line!r}"
        name, value = name.lower(), value.strip()
        if is_cgi and name == "status":
            status = int(value.split()[0])
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return status, headers


class StreamReader:
    """A response body. Subclasses give `receive(until)`: the next bytes, or None at the end."""

    status = None
    headers = None

    def __init__(self):
        self.parser = Parser()
        self.body = bytearray()  # everything behind the head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read_head(self, timeout):
        """The bytes before the first blank line, and those behind it that came with them."""
        until = deadline(timeout)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.receive(until)
            if piece is None:
                raise Disconnected(f"the response ended within its head: {data!r}")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def _on_body(self, data):
        if not self.body and (self.headers or {}).get("content-type", "").startswith("application/x-ndjson"):
            self.parser = ndjson.Parser()
        self.body += data
        if data:
            self.parser.feed(data)

    def _pump(self, until):
        """Read once. False: the response has ended."""
        data = self.receive(until)
        if data is None:
            return False
        self._on_body(data)
        return True

    def next_event(self, timeout=5.0, skip=("keep-alive",), until=None):
        """The next event whose type is not in `skip`."""
        until = until or deadline(timeout)
        while True:
            while self.parser.events:
                event = self.parser.events.pop(0)
                if event.type not in skip:
                    return event
            try:
                more = self._pump(until)
            except Timeout:
                raise Timeout(f"no event in time; the body so far ends in "
                              f"{bytes(self.body[-200:])!r}") from None
            if not more:
                raise Disconnected(f"the stream has ended; its last bytes: {bytes(self.body[-200:])!r}")

    def next_message(self, timeout=5.0):
        """The next event that is not about the stream itself."""
        return self.next_event(timeout, skip=("keep-alive", "stream-open", "stream-reset", "stream-end", "stream-done"))

    def next_of(self, type, timeout=5.0):
        """The next event of this type; others before it are skipped."""
        until = deadline(timeout)
        while True:
            event = self.next_event(until=until)
            if event.type == type:
                return event

    def opened(self, timeout=5.0):
        """Wait for stream-open, and return self: from here on nothing may be lost."""
        event = self.next_event(timeout)
        assert event.type == "stream-open", event
        json.loads(event.data)
        return self

    def rest(self, timeout=5.0):
        """All events until the response ends."""
        until = deadline(timeout)
        while self._pump(until):
            pass
        events, self.parser.events = self.parser.events, []
        return events

    def has_ended(self, timeout):
        """Has the response ended, or does it within the time? Its events are kept."""
        until = moment(timeout)
        try:
            while self._pump(until):
                pass
            return True
        except Timeout:
            return False

    def json(self, timeout=5.0):
        """The whole body as JSON."""
        self.rest(timeout)
        return json.loads(bytes(self.body))

    def quiet_for(self, seconds, skip=("keep-alive",)):
        """True if no event comes for so long. (The one wait that cannot be shortened.)"""
        try:
            event = self.next_event(skip=skip, until=moment(seconds))
        except Timeout:
            return True
        raise AssertionError(f"unexpected {event}")
