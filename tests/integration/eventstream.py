"""An event-stream parser, written from WHATWG HTML alone.

Sections are those of https://html.spec.whatwg.org/multipage/server-sent-events.html:
9.2.5 "Parsing an event stream" (the grammar, and how bytes become lines) and 9.2.6
"Interpreting an event stream" (how lines become events). It knows nothing of Sluice, so
it can judge what Sluice sends.
"""

import codecs
from dataclasses import dataclass, field


@dataclass
class Event:
    """What EventSource would dispatch."""

    type: str
    data: str
    last_event_id: str
    fields: list = field(default_factory=list, compare=False)  # (name, value), as they came

    def has(self, name):
        return any(n == name for n, _ in self.fields)


class Parser:
    """Takes bytes in any pieces; `events` grows, and is the caller's to empty."""

    def __init__(self):
        self.events = []
        self.comments = []
        self.retry = None  # milliseconds: the reconnection time, if the stream has set it
        self.last_event_id = ""
        self.raw = bytearray()
        # "UTF-8 decode": malformed bytes become U+FFFD, and one leading BOM is dropped.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._at_start = True
        self._line = ""
        self._after_cr = False
        self._forget_event()

    def _forget_event(self):
        self._data = []  # lines
        self._type = ""
        self._fields = []

    def feed(self, data):
        self.raw += data
        text = self._decoder.decode(data)
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            # The LF of a CRLF whose CR has already ended the line.
            self._after_cr = False
            text = text.removeprefix("\n")
        self._line += text
        self._take_lines()

    def _take_lines(self):
        # Not splitlines(): that would end lines at U+2028, form feeds and others too.
        buffer, start = self._line, 0
        lf = cr = -2  # not looked for
        while True:
            if lf != -1 and lf < start:
                lf = buffer.find("\n", start)
            if cr != -1 and cr < start:
                cr = buffer.find("\r", start)
            if lf < 0 and cr < 0:
                break
            end = min(i for i in (lf, cr) if i >= 0)
            self._on_line(buffer[start:end])
            start = end + 1
            if buffer[end] == "\r":
                if start == len(buffer):
                    self._after_cr = True
                elif buffer[start] == "\n":
                    start += 1
        self._line = buffer[start:]

    def _on_line(self, line):
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line[1:])
        elif ":" in line:
            name, value = line.split(":", 1)
            self._on_field(name, value.removeprefix(" "))
        else:
            self._on_field(line, "")

    def _on_field(self, name, value):
        self._fields.append((name, value))
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            if "\0" not in value:
                self.last_event_id = value
        elif name == "retry":
            if value and all(c in "0123456789" for c in value):
                self.retry = int(value)

    def _dispatch(self):
        if self._data:
            event = Event(self._type or "message", "\n".join(self._data), self.last_event_id, self._fields)
            self.events.append(event)
        self._forget_event()


def parse(data):
    """All events of a whole stream. What stands behind the last blank line is lost, as it should be."""
    parser = Parser()
    parser.feed(data)
    return parser.events


def as_received(payload):
    """The text that an event's data must have if `payload` was published.

    Line ends of all three kinds arrive as LF, for they end a data line; bytes that are not
    UTF-8 arrive as U+FFFD, one for each maximal subpart, as the Encoding standard decodes.
    """
    text = payload.decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
