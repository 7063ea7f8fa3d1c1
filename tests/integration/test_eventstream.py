"""The judge itself: the event-stream parser against the standard's examples and rules."""

import pytest

from eventstream import Parser, as_received, parse

CASES = {
    # The examples of 9.2.6.
    "two data lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
    "id kept, then cleared": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")]),
    "empty data is an event": (b"data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
    "space is optional": (b"data:test\n\ndata: test\n\n", [("message", "test", ""), ("message", "test", "")]),
    # The rules.
    "lone CR ends a line": (b"data: a\rdata: b\r\r", [("message", "a\nb", "")]),
    "CRLF is one end": (b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
    "LF CR are two ends": (b"data: a\n\rdata: b\n\n", [("message", "a", ""), ("message", "b", "")]),
    "one BOM is dropped": (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
    "a second BOM is not": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "no blank line, no event": (b"data: a\n", []),
    "event name": (b"event: x\ndata: a\n\n", [("x", "a", "")]),
    "empty event name": (b"event:\ndata: a\n\n", [("message", "a", "")]),
    "event name without data": (b"event: x\n\ndata: a\n\n", [("message", "a", "")]),
    "id without data is remembered": (b"id: 7\n\ndata: a\n\n", [("message", "a", "7")]),
    "id with NUL is ignored": (b"id: 1\n\nid: a\0b\ndata: a\n\n", [("message", "a", "1")]),
    "unknown field": (b"Data: a\nfoo: b\ndata: c\n\n", [("message", "c", "")]),
    "field name with a space": (b"data : a\ndata: b\n\n", [("message", "b", "")]),
    "bad UTF-8": (b"data: \xff\xe2\x82\xc0\xaf\n\n", [("message", "\ufffd\ufffd\ufffd\ufffd", "")]),
    "NUL in data": (b"data: a\0b\n\n", [("message", "a\0b", "")]),
    "other line separators are text": (
        "data: a\u2028b\x0bc\x0cd\x85e\n\n".encode(), [("message", "a\u2028b\x0bc\x0cd\x85e", "")]),
}


def seen(events):
    return [(e.type, e.data, e.last_event_id) for e in events]


@pytest.mark.parametrize("name", CASES)
def test_whole(name):
    data, wanted = CASES[name]
    assert seen(parse(data)) == wanted


@pytest.mark.parametrize("name", CASES)
def test_split_at_every_byte(name):
    data, wanted = CASES[name]
    for i in range(len(data) + 1):
        parser = Parser()
        parser.feed(data[:i])
        parser.feed(data[i:])
        assert seen(parser.events) == wanted, f"split at {i}"
    parser = Parser()
    for byte in data:
        parser.feed(bytes([byte]))
    assert seen(parser.events) == wanted, "byte by byte"


@pytest.mark.parametrize("value, wanted", [
    (b"retry: 3000", 3000), (b"retry:10", 10), (b"retry: 3s", None), (b"retry: -1", None), (b"retry", None),
    ("retry: \u0663".encode(), None)])
def test_retry(value, wanted):
    parser = Parser()
    parser.feed(value + b"\n\n")
    assert parser.retry == wanted
    assert parser.events == []


def test_comments():
    parser = Parser()
    parser.feed(b":\n\n: hello\n\n")
    assert parser.comments == ["", " hello"]
    assert parser.events == []


def test_as_received():
    assert as_received(b"a\r\nb\rc\n\n\r") == "a\nb\nc\n\n\n"
    assert as_received(b"\xe2\x82z\xc0\xaf") == "\ufffdz\ufffd\ufffd"
