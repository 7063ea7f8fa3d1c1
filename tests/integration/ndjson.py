"""A parser of newline-delimited JSON with the face of eventstream.Parser: each line is read by Python's own json."""

import json

from eventstream import Event


class Line(Event):
    """What one line says; `value` is its data as JSON has it, `data` as an EventSource would be handed it."""

    value = None


class Parser:
    def __init__(self):
        self.events = []
        self.heartbeats = 0
        self.last_event_id = ""
        self.retry = None
        self.raw = bytearray()
        self._rest = b""

    def feed(self, data):
        self.raw += data
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        for line in lines:
            if line == b"":
                self.heartbeats += 1
            else:
                self._take(line)

    def _take(self, line):
        value = json.loads(line.decode("utf-8", errors="strict"))
        assert list(value) == ["id", "event", "data"], line
        assert value["id"] is None or isinstance(value["id"], str) and value["id"], line
        assert isinstance(value["event"], str) and value["event"], line
        if value["id"] is not None:
            self.last_event_id = value["id"]
        data = value["data"]
        event = Line(value["event"], data if isinstance(data, str) else json.dumps(data), self.last_event_id)
        event.value, event.id = data, value["id"]
        self.events.append(event)
