"""The other wire: a line of JSON for each event, for programs that are no browser."""

import json
import subprocess

import pytest

from waiting import wait_for

NDJSON = {"Accept": "application/x-ndjson"}

ROUTES = {
    "relay": {"path": "/relay", "channels": "n:relay"},
    "filter": {"path": "/filter", "channels": "n:filter", "filter": "message.n > 1", "transform": "{n = message.n, twice = message.n * 2}", "event": "number"},
    "stream": {"path": "/stream", "streams": "nd:stream", "start": "0"},
    "grows": {"path": "/grows", "streams": "n:grows", "start": "0"},
    "two": {"path": "/two", "streams": "n:a n:b"},
    "record": {"path": "/record", "channels": "n:record", "record": 100, "publish": "n:record", "publish_auth": "none"},
    "snapshot": {"path": "/snapshot", "channels": "n:snapshot", "snapshot": "HGETALL n:hash"},
    "poll": {"path": "/poll", "handler": "poll", "command": "GET n:value", "interval": "50ms"},
    "presence": {"path": "/presence", "handler": "presence", "channels": "n:presence"},
    "queue": {"path": "/queue", "handler": "queue", "streams": "n:jobs", "group": "g", "ack": "client"},
    "until": {"path": "/until", "channels": "n:until", "until": "message.last == true"},
    "quiet": {"path": "/quiet", "channels": "n:quiet", "until": "message.last == true", "announce": "no", "heartbeat": "50ms"},
    "beat": {"path": "/beat", "channels": "n:beat", "heartbeat": "50ms", "heartbeat_event": "tick", "heartbeat_data": "{now}"},
    "lifetime": {"path": "/lifetime", "channels": "n:lifetime", "lifetime": "200ms"},
    "batch": {"path": "/batch", "channels": "n:batch", "batch": "2/5s"},
    "oldest": {"path": "/oldest", "channels": "n:oldest", "queue": "4k", "overflow": "drop_oldest"},
    "latest": {"path": "/latest", "channels": "n:latest", "queue": "4k", "overflow": "latest"},
    "slow": {"path": "/slow", "channels": "n:slow", "queue": "4k"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "relay"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


def lines(sluice, path, headers=None, **kw):
    response = sluice.get(path, headers={**NDJSON, **(headers or {})}, **kw)
    assert response.status == 200, response.rest()
    return response


def add(redis, key, data="x", **fields):
    return redis.client().xadd(key, {"data": data, **fields}).decode()


def test_bytes(sluice, redis):
    with lines(sluice, "/relay") as stream:
        stream.opened()
        for text in b'{"a": 1}', b"plain\ntext", b"\xff", b"":
            redis.publish("n:relay", text)
            stream.next_event()
        assert bytes(stream.body).split(b"\n") == [
            b'{"id":null,"event":"stream-open","data":{"resumed":false,"from":null}}',
            b'{"id":null,"event":"message","data":{"a": 1}}',
            b'{"id":null,"event":"message","data":"plain\\ntext"}',
            '{"id":null,"event":"message","data":"\ufffd"}'.encode(),
            b'{"id":null,"event":"message","data":""}', b""]


def test_head(sluice):
    wanted = {"content-type": "application/x-ndjson", "cache-control": "no-store, no-transform", "x-accel-buffering": "no", "incremental": "?1"}
    for method in "GET", "HEAD":
        with sluice.get("/relay", method=method, headers=NDJSON) as response:
            assert response.status == 200 and {n: response.headers.get(n) for n in wanted} == wanted


@pytest.mark.parametrize("query, accept, type", [
    ("?mode=ndjson", "text/event-stream", "application/x-ndjson"), ("?mode=ndjson", None, "application/x-ndjson"),
    ("", "application/x-ndjson, text/event-stream", "application/x-ndjson"), ("", "text/event-stream, application/x-ndjson", "text/event-stream"),
    ("", "*/*", "text/event-stream"), ("", "application/json", "text/event-stream"), ("?mode=poll&timeout=100", "application/x-ndjson", "problem")])
def test_mode_counts_before_accept(sluice, query, accept, type):
    with sluice.get("/relay" + query, headers={"Accept": accept} if accept else {}) as response:
        assert type in response.headers["content-type"]


def test_logic_and_names(sluice, redis):
    with lines(sluice, "/filter") as stream:
        stream.opened()
        for n in 1, 2:
            redis.publish("n:filter", json.dumps({"n": n}))
        event = stream.next_event()
        assert (event.type, event.value, event.id) == ("number", {"n": 2, "twice": 4}, None)


def test_both_wires_have_all_of_one_channel(sluice, redis):
    """A feed of its own: neither is written as the other."""
    with lines(sluice, "/relay") as one, sluice.open("/relay") as two, lines(sluice, "/relay") as three:
        one.opened()
        three.opened()
        feeds = sluice.status()["feeds"]
        redis.publish("n:relay", '{"a":\n1}')
        assert one.next_event().value == three.next_event().value == {"a": 1}
        assert two.next_event().data == '{"a":\n1}'
        assert feeds >= 2


def test_a_stream_is_resumed(sluice, redis):
    first = add(redis, "nd:stream", '{"n":1}', event="first")
    with lines(sluice, "/stream") as stream:
        opened = stream.next_event()
        assert opened.type == "stream-open" and opened.id == opened.value["from"]
        event = stream.next_event()
        assert (event.type, event.value, event.id) == ("first", {"n": 1}, first)
    later = [add(redis, "nd:stream", str(n)) for n in range(5)]
    with lines(sluice, "/stream", {"Last-Event-ID": first}) as back:
        assert back.next_event().value == {"resumed": True, "from": first}
        assert [back.next_event().id for _ in later] == later
        add(redis, "nd:stream", "live")
        assert back.next_event().value == "live"
    with lines(sluice, f"/stream?mode=ndjson&last_event_id={later[3]}", {"Accept": "*/*"}) as back:
        assert back.next_of("stream-open") and back.next_event().id == later[4]


def test_who_comes_back_at_once_is_sent_what_the_log_holds(sluice, redis):
    with lines(sluice, "/two") as stream, lines(sluice, "/two") as other:
        stream.opened()
        other.opened()
        add(redis, "n:a", "1")
        id = stream.next_event().id
        assert "," in id and other.next_event().id == id
        stream.close()
        add(redis, "n:b", "2")
        add(redis, "n:a", "3")
        newest = [other.next_event().id for _ in range(2)]
        before = sluice.status()["replayed"]
        with lines(sluice, "/two", {"Last-Event-ID": id}) as back:
            assert back.next_of("stream-open").value["resumed"] is True
            assert [back.next_event().id for _ in range(2)] == newest
        assert sluice.status()["replayed"] == before + 2


@pytest.mark.parametrize("headers, byte, written", [(NDJSON, "\x01", b"\\u0001"), ({}, "\n", b"\ndata: ")], ids=["lines", "event stream"])
def test_what_grows_most_is_replayed(sluice, redis, headers, byte, written):
    """Each byte of such an entry becomes six or seven; its client must not be ended for it, again and again."""
    n = 3_000_000
    redis.client().delete("n:grows")
    id = add(redis, "n:grows", byte * n)
    with sluice.get("/grows", headers=headers) as stream:
        stream.parser.feed = lambda data: None  # bytes are enough, and a parser in Python takes minutes
        wait_for(lambda: stream.has_ended(0.1) or len(stream.body) > n * len(written), "all of it", 30)
        assert stream.body.count(written) >= n and id.encode() in stream.body and b"stream-end" not in stream.body


def test_what_cannot_be_resumed_is_told(sluice):
    with lines(sluice, "/stream", {"Last-Event-ID": "nonsense"}) as stream:
        assert stream.next_event().value["resumed"] is False
        event = stream.next_event()
        assert (event.type, event.value) == ("stream-reset", {"reason": "unknown-id"})


def test_a_recorded_channel(sluice, redis):
    with lines(sluice, "/record") as stream:
        stream.opened()
        assert sluice.run("emit", "-c", sluice.config, "n:record", '{"n":1}').returncode == 0
        first = stream.next_event()
        assert first.value == {"n": 1} and first.id
    assert sluice.run("emit", "-c", sluice.config, "n:record", '{"n":2}').returncode == 0
    with lines(sluice, "/record", {"Last-Event-ID": first.id}) as back:
        assert back.next_of("stream-open").value["resumed"] is True
        assert back.next_event().value == {"n": 2}


def test_a_snapshot(sluice, redis):
    redis.client().hset("n:hash", "a", "1")
    with lines(sluice, "/snapshot") as stream:
        stream.opened()
        event = stream.next_event()
        assert (event.type, event.value) == ("snapshot", {"a": "1"})


def test_poll(sluice, redis):
    redis.client().set("n:value", '{"v":1}')
    with lines(sluice, "/poll") as stream:
        assert stream.next_of("message").value == {"v": 1}
        redis.client().set("n:value", "text")
        assert stream.next_event().value == "text"
        with lines(sluice, "/poll") as late:
            assert late.next_of("message").value == "text"


def test_presence(sluice):
    with lines(sluice, "/presence?name=ada") as stream:
        stream.opened()
        first = stream.next_event()
        assert isinstance(first.value, (dict, list)) and "ada" in json.dumps(first.value)
        with sluice.open("/presence?name=bob") as other:
            other.next_event()
            joined = stream.next_of("join")
            assert "bob" in json.dumps(joined.value)


def test_a_queue_gives_each_entry_once_to_whichever_wire(sluice, redis):
    with lines(sluice, "/queue") as one, sluice.get("/queue") as two:
        one.opened()
        two.opened()
        ids = {add(redis, "n:jobs", f'{{"job":{i}}}') for i in range(40)}
        got = []

        def all_there():
            for stream in one, two:
                stream.has_ended(0.02)
                got.extend(e for e in stream.parser.events if e.type == "message")
                stream.parser.events.clear()
            return len(got) >= 40
        wait_for(all_there, "all entries")
        assert sorted(e.last_event_id for e in got) == sorted(ids)
        assert sorted(json.loads(e.data)["job"] for e in got) == list(range(40))


def test_for_good(sluice, redis):
    with lines(sluice, "/until") as stream:
        stream.opened()
        redis.publish("n:until", '{"last":true}')
        last = stream.rest()[-1]
        assert (last.type, last.value, last.id) == ("stream-done", {"reason": "until"}, "0.end")
    for query, headers in ("", {"Last-Event-ID": "0.end"}), ("?mode=ndjson&lastEventId=0.end", {}):
        with sluice.get("/until" + query, headers={**NDJSON, **headers}) as response:
            assert response.status == 204


def test_come_back(sluice):
    with lines(sluice, "/lifetime") as stream:
        last = stream.rest()[-1]
        assert (last.type, last.value, last.id) == ("stream-end", {"reason": "lifetime"}, None)


@pytest.mark.parametrize("path", ["/beat", "/quiet"])
def test_a_heartbeat_is_an_empty_line(sluice, path):
    with lines(sluice, path) as stream:
        wait_for(lambda: not stream.has_ended(0.05) and stream.parser.heartbeats >= 2, "two heartbeats")
        assert all(e.type == "stream-open" for e in stream.parser.events)


def test_unannounced(sluice, redis):
    """Nothing before the first message; and the last line alone says that it is over."""
    with lines(sluice, "/quiet") as stream:
        wait_for(lambda: not stream.has_ended(0.05) and stream.parser.heartbeats, "it is open")
        redis.publish("n:quiet", '{"n":1}')
        redis.publish("n:quiet", '{"last":true}')
        events = stream.rest()
        assert [(e.type, e.id) for e in events] == [("message", None), ("message", None), ("stream-done", "0.end")]


def test_a_batch(sluice, redis):
    with lines(sluice, "/batch") as stream:
        stream.opened()
        redis.publish("n:batch", "1")
        redis.publish("n:batch", "two")
        assert stream.next_event().value == {"batch": [{"channel": "n:batch", "data": 1}, {"channel": "n:batch", "data": "two"}], "count": 2}


def flood(redis, channel, n=3000):
    pipe = redis.client().pipeline(transaction=False)
    for i in range(n):
        pipe.publish(channel, '{"n":%d,"fill":"%s"}' % (i, "x" * (i % 3000)))
    pipe.execute()


@pytest.mark.parametrize("path", ["/oldest", "/latest"])
def test_a_slow_client_loses_whole_lines(sluice, redis, path):
    """Each line that comes is JSON (the parser insists), in order, and that some are missing is told."""
    with lines(sluice, path, receive_buffer=1) as stream:
        stream.opened()
        flood(redis, "n:" + path[1:])
        redis.publish("n:" + path[1:], '"end"')
        seen, resets = [], 0
        while (event := stream.next_event(20)).value != "end":
            resets += event.type == "stream-reset" and event.value == {"reason": "slow"}
            seen += [event.value["n"]] if event.type == "message" else []
        assert seen == sorted(set(seen)) and len(seen) < 3000 and resets


def test_a_slow_client_is_ended(sluice, redis):
    with lines(sluice, "/slow", receive_buffer=1) as stream:
        stream.opened()
        flood(redis, "n:slow")
        last = stream.rest(20)[-1]
        assert (last.type, last.value) == ("stream-end", {"reason": "slow"})


def test_the_lines_of_a_mux_hold_what_it_carries(sluice, redis):
    """That the connection is asked for as lines, or one of what it carries is, says nothing of how that is carried."""
    s = json.dumps([["a", "/relay"], ["b", "/relay?mode=ndjson"]])
    with sluice.get("/mux?s=" + "".join(f"%{b:02x}" for b in s.encode()), headers=NDJSON) as stream:
        told = [stream.next_of("mux").value.split("\n", 1) for _ in range(2)]
        heads = {tuple(json.loads(head)[:2]) for head, _ in told}
        assert heads == {("a", "stream-open"), ("b", "stream-open")}
        redis.publish("n:relay", "7")
        assert {stream.next_of("mux").value for _ in "ab"} == {f'["{key}","message",""]\n7' for key in "ab"}


@pytest.mark.parametrize("query", ["", "?mode=ndjson"])
def test_tail_json_prints_it(sluice, redis, query):
    with subprocess.Popen(sluice.argv("tail", "-c", sluice.config, "--json", "/until" + query), stdout=subprocess.PIPE,
                          env=sluice.reports.environment()) as tail:
        first = tail.stdout.readline()
        assert json.loads(first) == {"id": None, "event": "stream-open", "data": {"resumed": False, "from": None}}
        redis.publish("n:until", '{"n":1}')
        assert tail.stdout.readline() == b'{"id":null,"event":"message","data":{"n":1}}\n'
        redis.publish("n:until", '{"last":true}')
        assert [json.loads(line)["event"] for line in tail.stdout.readlines()] == ["message", "stream-done"]
        assert tail.wait(10) == 0


@pytest.mark.parametrize("query", ["", "?mode=ndjson"])
def test_wait_does_not_take_a_stream_for_an_answer(sluice, query):
    result = sluice.run("wait", "-c", sluice.config, "/relay" + query)
    assert result.returncode == 1 and "sluice tail" in result.err


# Behind each web server


@pytest.fixture(scope="module")
def behind(launch_shared):
    return launch_shared(ROUTES, name="behind", server={"base": "/events"})


@pytest.fixture
def web(serve, server_class, behind):
    return serve(server_class, behind.path)


def test_through_a_web_server(web, redis):
    with web.get("/events/stream", headers=NDJSON) as stream:
        assert stream.status == 200 and stream.headers["content-type"] == "application/x-ndjson"
        stream.next_of("stream-open")
        for i in range(20):
            id = add(redis, "nd:stream", '{"i":%d}' % i)
            while stream.next_message().id != id:
                pass
    later = [add(redis, "nd:stream", "x" * 10_000) for _ in range(20)]
    with web.get(f"/events/stream?mode=ndjson&last_event_id={id}") as back:
        assert back.next_of("stream-open").value == {"resumed": True, "from": id}
        assert [back.next_event().id for _ in later] == later
    with web.get("/events/stream?mode=ndjson", headers={"Last-Event-ID": "0.end"}) as over:
        assert over.status == 204


def test_heartbeats_through_a_web_server(web, redis):
    with web.get("/events/quiet", headers=NDJSON) as stream:
        wait_for(lambda: not stream.has_ended(0.05) and stream.parser.heartbeats >= 2, "two heartbeats")
        redis.publish("n:quiet", "7")
        assert stream.next_event().value == 7


def test_overflow_through_a_web_server(web, redis):
    """The filler of a record that is cut short says nothing: every line is JSON, or empty."""
    with web.get("/events/oldest", headers=NDJSON) as stream:
        stream.opened()
        for i in range(4):
            flood(redis, "n:oldest", 1000)
        redis.publish("n:oldest", '"end"')
        while stream.next_event(20).value != "end":
            pass
