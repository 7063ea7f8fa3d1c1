"""What stands in the bytes of a stream beside its events: many clients are no EventSource, and take each frame as it comes."""

import json
import re

import pytest

from eventstream import parse
from waiting import wait_for

ROUTES = {
    "plain": {"path": "/plain", "channels": "f:plain"},
    "stream": {"path": "/stream", "streams": "f:stream"},
    "recorded": {"path": "/recorded", "channels": "f:recorded", "record": 10},
    "until": {"path": "/until", "channels": "f:until", "until": "message == 'z'"},
    "count": {"path": "/count", "channels": "f:count", "max_events": 2},
    "name": {"path": "/name", "channels": "f:name", "event": "{.e}"},
    "oldest": {"path": "/oldest", "channels": "f:slow", "queue": "4k", "overflow": "drop_oldest"},
    "latest": {"path": "/latest", "channels": "f:slow", "queue": "4k", "overflow": "latest"},
    "oldest-quiet": {"path": "/oldest-quiet", "channels": "f:slow", "queue": "4k", "overflow": "drop_oldest", "announce": "no"},
    "own": {"path": "/own", "channels": "f:own", "heartbeat": "50ms", "heartbeat_event": "tick", "heartbeat_data": '{{"a":{now}}}'},
    "empty": {"path": "/empty", "channels": "f:empty", "heartbeat": "50ms", "heartbeat_data": ""},
    "comment": {"path": "/comment", "channels": "f:comment", "heartbeat": "50ms", "heartbeat_event": '""'},
    "usual": {"path": "/usual", "channels": "f:usual", "heartbeat": "50ms"},
    "quiet": {"path": "/quiet", "streams": "f:quiet", "announce": "no"},
    "quiet-until": {"path": "/quiet-until", "channels": "f:quiet-until", "announce": "no", "until": "message == 'z'"},
    "quiet-beat": {"path": "/quiet-beat", "channels": "f:quiet-beat", "announce": "no", "heartbeat": "50ms"},
    "quiet-tick": {"path": "/quiet-tick", "channels": "f:quiet-tick", "announce": "no", "heartbeat": "50ms", "heartbeat_event": "tick"},
    "quiet-snapshot": {"path": "/quiet-snapshot", "streams": "f:qs", "announce": "no", "snapshot": "GET f:value"},
    "quiet-lifetime": {"path": "/quiet-lifetime", "channels": "f:ql", "announce": "no", "lifetime": "100ms"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


def frames(body):
    """The blocks between blank lines, each as its lines; what is not ended by a blank line is the last."""
    blocks = [b.split("\n") for b in bytes(body).decode().split("\n\n")]
    return [b for b in blocks if b != [""]]


def names_of(frame):
    return [line.split(":")[0] for line in frame]


def wait_body(stream, text):
    wait_for(lambda: text in stream.body or not stream.has_ended(0.05) and text in stream.body, f"{text} in the stream")


def add(redis, key, data):
    return redis.client().xadd(key, {"data": data}).decode()


def test_the_first_frame_is_all_that_a_plain_route_says(sluice, redis):
    with sluice.open("/plain") as stream:
        redis.publish("f:plain", "a")
        stream.next_event()
        first, second = frames(stream.body)
        assert re.fullmatch(r"retry: \d+", first[0])
        assert first[1:] == ["event: stream-open", 'data: {"resumed":false,"from":null}']
        assert second == ["data: a"]


@pytest.mark.parametrize("path, key", [("/stream", "f:stream"), ("/recorded", None)])
def test_the_first_frame_says_where_the_stream_begins(sluice, redis, path, key):
    cursor = add(redis, key, "before") if key else "0-0"
    with sluice.open(path) as stream:
        first = frames(stream.body)[0]
        assert names_of(first) == ["retry", "id", "event", "data"]
        assert first[1] == f"id: {cursor}"
        assert json.loads(first[3][6:]) == {"resumed": False, "from": cursor}
    with sluice.get(path, headers={"Last-Event-ID": cursor}) as back:
        event = back.next_event()
        assert (event.type, event.last_event_id) == ("stream-open", cursor)
        assert json.loads(event.data) == {"resumed": True, "from": cursor}


def test_every_frame_has_data(sluice, redis):
    cursor = add(redis, "f:stream", "1")
    with sluice.get("/stream", headers={"Last-Event-ID": "1-1"}) as stream:
        stream.next_of("stream-open")
        for _ in range(3):
            add(redis, "f:stream", "2")
            stream.next_message()
        for frame in frames(stream.body):
            assert "data" in names_of(frame), frame
            assert all(names_of(frame).count(n) <= 1 for n in ("id", "event", "retry")), frame
    assert cursor


@pytest.mark.parametrize("path, reason, send", [("/until", "until", ['"z"']), ("/count", "max_events", ["a", "b"])])
def test_done_is_another_name_than_end(sluice, redis, path, reason, send):
    with sluice.open(path) as stream:
        for text in send:
            redis.publish(f"f:{path[1:]}", text)
        stream.rest()
        last = frames(stream.body)[-1]
        assert last == ["id: 0.end", "event: stream-done", f'data: {{"reason":"{reason}"}}']
    with sluice.get(path, headers={"Last-Event-ID": "0.end"}) as back:
        assert back.status == 204


@pytest.mark.parametrize("path", ["/oldest", "/latest", "/oldest-quiet"])
def test_a_slow_client_too_is_sent_no_frame_without_data(sluice, redis, path):
    """What fills a record that was cut short is comments: whole lines of them, between frames."""
    with sluice.get(path, receive_buffer=1) as stream:
        wait_body(stream, b"retry")
        for i in range(4000):
            redis.publish("f:slow", f"{i} " + "x" * (i * 7 % 3001))
        redis.publish("f:slow", "end")
        wait_for(lambda: stream.has_ended(0.05) or b"data: end\n\n" in stream.body[-200_000:], "the end", 20)
        seen = []
        for frame in frames(stream.body[:stream.body.rindex(b"\n\n")]):
            assert "data" in names_of(frame), frame
            assert all(re.match(r"(:+|retry: \d+|id: .*|event: \S+|data: .*)$", line) for line in frame), frame
            seen += [int(line.split()[1]) for line in frame if re.match(r"data: \d+ x*$", line)]
        assert seen == sorted(set(seen)) and 0 < len(seen) < 4000


def test_message_is_no_name_to_write(sluice, redis):
    with sluice.open("/name") as stream:
        for name in "message", "Message", "messages":
            redis.publish("f:name", json.dumps({"e": name}))
            assert stream.next_event().type == name
        assert [f[0] for f in frames(stream.body)[1:]] == ['data: {"e": "message"}', "event: Message", "event: messages"]


@pytest.mark.parametrize("path, wanted", [("/usual", ("keep-alive", "{}")), ("/own", ("tick", r'{"a":\d+}')),
                                          ("/empty", ("keep-alive", "")), ("/quiet-tick", ("tick", "{}"))])
def test_heartbeats_that_are_events(sluice, path, wanted):
    with sluice.get(path) as stream:
        event = stream.next_event(skip=("stream-open",))
        assert event.type == wanted[0] and re.fullmatch(wanted[1] if "d+" in wanted[1] else re.escape(wanted[1]), event.data)


@pytest.mark.parametrize("path", ["/comment", "/quiet-beat"])
def test_heartbeats_that_are_comments_are_one_line(sluice, redis, path):
    with sluice.get(path) as stream:
        wait_body(stream, b":\n:\n")
        redis.publish("f:" + path[1:], "a")
        assert stream.next_message().data == "a"
        assert b":\n\n" not in stream.body
        assert re.fullmatch(rb"(:\n)*(retry: \d+\n)?(event: stream-open\ndata: [^\n]*\n\n)?(:\n)+data: a\n\n", bytes(stream.body))


def test_unannounced_the_first_event_says_when_and_where(sluice, redis):
    cursor = add(redis, "f:quiet", "before")
    with sluice.get("/quiet") as stream:
        wait_body(stream, cursor.encode())
        assert re.fullmatch(rf"retry: \d+\nid: {cursor}\n", bytes(stream.body).decode())
        add(redis, "f:quiet", "a")
        newer = add(redis, "f:quiet", "b")
        assert [stream.next_event().data for _ in "ab"] == ["a", "b"]
        assert stream.parser.retry and stream.parser.last_event_id == newer
        assert all("data" in names_of(f) for f in frames(stream.body))
    with sluice.get("/quiet", headers={"Last-Event-ID": cursor}) as back:
        assert [e.data for e in (back.next_event(), back.next_event())] == ["a", "b"]


def test_unannounced_a_snapshot_is_the_first_event(sluice, redis):
    redis.client().set("f:value", "7")
    cursor = add(redis, "f:qs", "before")
    with sluice.get("/quiet-snapshot") as stream:
        event = stream.next_event()
        assert (event.type, event.data, event.last_event_id) == ("snapshot", "7", cursor)
        assert names_of(frames(stream.body)[0]) == ["retry", "id", "event", "data"]


def test_unannounced_the_last_frame_of_what_is_over_has_an_id_alone(sluice, redis):
    with sluice.get("/quiet-until") as stream:
        wait_body(stream, b"retry")
        redis.publish("f:quiet-until", '"z"')
        assert [e.data for e in stream.rest()] == ['"z"']
        assert frames(stream.body)[-1] == ["id: 0.end"] and stream.parser.last_event_id == "0.end"


def test_unannounced_an_end_says_nothing(sluice):
    with sluice.get("/quiet-lifetime") as stream:
        assert stream.rest() == []
        assert re.fullmatch(rb"retry: \d+\n", bytes(stream.body))


def test_head(sluice):
    with sluice.open("/plain") as stream:
        wanted = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store, no-transform",
                  "x-accel-buffering": "no", "incremental": "?1"}
        assert {n: stream.headers.get(n) for n in wanted} == wanted


def test_who_asks_cannot_be_told(launch, own_redis):
    redis = own_redis().start()
    routes = {"s": {"path": "/s", "channels": "s", "auth": "session"},
              "q": {"path": "/q", "channels": "q", "auth": "session", "announce": "no"}}
    sluice = launch(routes, redis=redis, auth={"session_cookie": "sid", "session_key": "session:{cookie}"})
    redis.end()
    for path, wanted in ("/s", r'retry: \d+\nevent: stream-end\ndata: \{"reason":"auth"\}\n\n'), ("/q", r"retry: \d+\n"):
        with sluice.get(path, headers={"Cookie": "sid=abc"}) as stream:
            stream.rest(10)
            assert stream.status == 200 and re.fullmatch(wanted, bytes(stream.body).decode())


def test_the_retry_comes_with_the_head_while_redis_is_away(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"x": {"path": "/x", "channels": "x", "open_wait": "50ms", "heartbeat": "200ms"}}, redis=redis)
    redis.end()
    with sluice.get("/x") as stream:
        assert stream.next_event(skip=()).type == "keep-alive"
        assert re.match(rb"retry: \d+\nevent: keep-alive\ndata: \{\}\n\n", bytes(stream.body))
        assert len(parse(bytes(stream.body))) == len(frames(stream.body))
        redis.start()
        assert stream.next_event(20).type == "stream-open"
        assert bytes(stream.body).count(b"retry:") == 1
