"""Payloads: whatever is published arrives as the standard lets it arrive, and as nothing else.

The judge is the event-stream parser, which was written from the standard.
"""

import random

import pytest

from eventstream import as_received

ROUTES = {
    "wire": {"path": "/wire", "channels": "wire", "queue": "64m"},
    "name": {"path": "/name", "patterns": "name:*", "event": "{channel}"},
    "field": {"path": "/field", "channels": "field", "event": "{.e}"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


@pytest.fixture
def stream(sluice):
    with sluice.open("/wire") as stream:
        yield stream


PAYLOADS = {
    "empty": b"",
    "one byte": b"x",
    "LF": b"\n",
    "CR": b"\r",
    "CRLF": b"\r\n",
    "LF CR": b"\n\r",
    "two CRLF": b"\r\n\r\n",
    "only line ends": b"\n\n\r\r\r\n\n",
    "lone CR within": b"a\rb",
    "LF within": b"a\nb",
    "CRLF within": b"a\r\nb",
    "trailing LF": b"a\n",
    "trailing LF LF": b"a\n\n",
    "trailing CR": b"a\r",
    "trailing CRLF": b"a\r\n",
    "leading LF": b"\na",
    "leading space": b" a",
    "leading spaces on each line": b"  a\n  b",
    "leading colon": b":a\n:b",
    "trailing space": b"a \n",
    "forged fields": b"x\n\nevent: stream-end\ndata: {}\nid: 9-9\nretry: 1\n\n",
    "forged by CR": b"x\r\revent: stream-end\rdata: {}\rid: 9-9\r\r",
    "field names": b"data\nevent\nid\nretry",
    "NUL": b"a\0b",
    "only NUL": b"\0",
    "BOM first": b"\xef\xbb\xbfa",
    "BOM within": b"a\xef\xbb\xbfb\n\xef\xbb\xbf",
    "two to four bytes": "\u00e9\u20ac\U0001f600".encode(),
    "last code point": b"\xf4\x8f\xbf\xbf",
    "noncharacter": b"\xef\xbf\xbf",
    "U+2028, U+0085, VT, FF": "a\u2028b\u0085c\x0bd\x0ce".encode(),
    "0xFF": b"a\xffb",
    "continuation bytes": b"\x80\xbf",
    "overlong slash": b"a\xc0\xafb",
    "overlong of three": b"\xe0\x80\xaf",
    "overlong of four": b"\xf0\x80\x80\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "sequence cut by the end, 2": b"a\xe2\x82",
    "sequence cut by the end, 3": b"a\xf0\x9f\x98",
    "sequence cut by a line end": b"a\xe2\x82\nb\xf0\x9f\x98\rc\xc3\r\nd",
    "sequence cut by ASCII": b"\xe2\x82x\xf0\x9fy",
    "JSON": '{"name":"Zo\u00eb","n":12345678901234567890,"path":"a/b"}'.encode(),
    "every byte": bytes(range(256)),
    "every byte backwards": bytes(reversed(range(256))),
    "100,000 lines": b"\n" * 100_000,
    "1 MB": b"0123456789abcdef" * 65536,
    "1 MB of 0xFF": b"\xff" * 1_000_000,
    "1 MB of CRLF": b"\r\n" * 524_288,
    "1 MB of two-byte characters": "\u00e9".encode() * 500_000,
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload(stream, redis, name):
    payload = PAYLOADS[name]
    assert redis.publish("wire", payload) == 1
    event = stream.next_event(20)
    wanted = as_received(payload)
    assert len(event.data) == len(wanted)
    assert event.data == wanted
    assert (event.type, event.last_event_id) == ("message", "")
    assert not event.has("id") and not event.has("event") and not event.has("retry")
    bytes(stream.body).decode("utf-8")  # what is sent is UTF-8
    redis.publish("wire", "the next one")
    assert stream.next_event().data == "the next one"


def test_each_byte_alone_and_beside_others(stream, redis):
    payloads = [bytes([b]) for b in range(256)] + [b"a" + bytes([b]) + b"a" for b in range(256)]
    pipe = redis.client().pipeline(transaction=False)
    for p in payloads:
        pipe.publish("wire", p)
    pipe.execute()
    for p in payloads:
        assert stream.next_event(20).data == as_received(p), p


@pytest.mark.parametrize("size", [65_500 + i for i in range(0, 60, 3)] + [131_056, 131_072, 8_192, 16_384])
def test_around_the_borders_of_records(stream, redis, size):
    payload = (b"%d " % size + b"x" * size)[:size]
    redis.publish("wire", payload)
    assert stream.next_event().data == payload.decode()


def test_random_bytes(stream, redis):
    dice = random.Random(2)
    payloads = []
    for _ in range(500):
        alphabet = dice.choice([b"\r\n", b"\r\n a:", b"\xe2\x82\xac\r\n", bytes(range(256)), b"data: \n"])
        payloads.append(bytes(dice.choice(alphabet) for _ in range(dice.randrange(60))))
    pipe = redis.client().pipeline(transaction=False)
    for p in payloads:
        pipe.publish("wire", p)
    pipe.execute()
    for p in payloads:
        assert stream.next_event(20).data == as_received(p), p


def test_invalid_bytes_are_counted(sluice, stream, redis):
    before = sluice.replaced()
    redis.publish("wire", b"a\xffb\xc0\xafc")
    stream.next_event()
    assert sluice.replaced() == before + 3


# Names that a message must not take


@pytest.mark.parametrize("name", ["stream-open", "stream-reset", "stream-end", "stream-", "stream-x"])
def test_reserved_event_name_is_dropped_and_counted(sluice, redis, name):
    with sluice.open("/field") as stream:
        before = sluice.dropped("reserved")
        redis.publish("field", '{"e":"%s"}' % name)
        redis.publish("field", '{"e":"fine"}')
        assert stream.next_event(skip=()).type == "fine"
        assert sluice.dropped("reserved") == before + 1


@pytest.mark.parametrize("name", [r"a\nid: 9", r"a\rdata: x", r"a\u0000b", "x" * 300])
def test_event_name_that_cannot_be_sent(sluice, redis, name):
    """Dropped and counted; it must not become another field."""
    with sluice.open("/field") as stream:
        before = sluice.dropped()
        redis.publish("field", '{"e":"%s"}' % name)
        redis.publish("field", '{"e":"fine"}')
        event = stream.next_event()
        assert (event.type, event.last_event_id) == ("fine", "")
        assert sluice.dropped() == before + 1


def test_what_is_not_sent_is_told(launch, redis):
    """Its publisher does not hear of it: the operator does, with the route, once a minute."""
    routes = {n: {"path": f"/{n}", "channels": f"told:{n}", "id": "{.id}", "event": "{.e}"} for n in ("one", "two")}
    sluice = launch(routes)
    with sluice.open("/one") as one, sluice.open("/two") as two:
        for id, e in ("urn:uuid:1", "a"), ("2026-11-28T10:00:00Z", "a"), ("1", "b" * 200), ("1.end", "a"), ("1", "stream-x"):
            redis.publish("told:one", '{"id":"%s","e":"%s"}' % (id, e))
        redis.publish("told:two", '{"id":"1","e":"stream-open"}')
        for stream, name in (one, "one"), (two, "two"):
            redis.publish(f"told:{name}", '{"id":"7","e":"fine"}')
            assert stream.next_event().type == "fine"
        assert (sluice.dropped("invalid"), sluice.dropped("reserved")) == (3, 3)
    lines = [line for line in sluice.log().splitlines() if "is not sent" in line]
    assert len(lines) == 2
    assert "[route one]" in lines[0] and "urn:uuid:1" in lines[0] and "its id holds" in lines[0]
    assert "[route two]" in lines[1] and 'begins with "stream-"' in lines[1]


@pytest.mark.parametrize("channel", [b"name:a\nid: 9", b"name:a\rdata: x", b"name:a\0b", b"name:" + b"x" * 70_000])
def test_channel_that_is_no_event_name(sluice, redis, channel):
    with sluice.open("/name") as stream:
        redis.publish(channel, "bad")
        redis.publish("name:fine", "good")
        event = stream.next_event()
        assert (event.type, event.data, event.last_event_id) == ("name:fine", "good", "")


@pytest.mark.parametrize("payload", [b"", b"not JSON", b"[1]", b'{"x":1}', b'{"e":1}', b'{"e":null}', b'{"e":{}}', b"{",
                                     b"[" * 100_000, b'{"e":"a"} trailing', b'{"e":"\xff"}'])
def test_message_without_the_field(sluice, redis, payload):
    """A template of a field needs JSON; what it makes of another value, it never harms the stream."""
    with sluice.open("/field") as stream:
        redis.publish("field", payload)
        redis.publish("field", '{"e":"last"}')
        assert stream.next_of("last").data == '{"e":"last"}'


def test_not_json_is_dropped_where_the_route_looks_inside(sluice, redis):
    with sluice.open("/field") as stream:
        before = sluice.dropped()
        redis.publish("field", "not JSON")
        redis.publish("field", '{"e":"fine"}')
        assert stream.next_event().type == "fine"
        assert sluice.dropped() == before + 1


def test_bytes_are_forwarded_untouched(stream, redis):
    """A route without a transform forwards the very bytes: no JSON is parsed and written anew."""
    payload = b'{"b" : 1.0,  "a":\t1e2, "a":"\\u00e9\\/"}'
    redis.publish("wire", payload)
    assert stream.next_event().data == payload.decode()
