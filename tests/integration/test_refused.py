"""Whatever Redis refuses, a stream waits for its repair: nobody is turned away for good."""

import json

import pytest

from test_publish import post
from waiting import SLOW, left, moment, wait_for

QUICK = {"open_wait": "100ms", "heartbeat": "200ms"}
ROUTES = {
    "stream": {"path": "/stream/{name}", "streams": "s:{name}", "publish_stream": "s:{name}", "publish_auth": "none", **QUICK},
    "start": {"path": "/start/{name}", "streams": "s:{name}", "start": "0", **QUICK},
    "channel": {"path": "/channel/{name}", "channels": "c:{name}", "publish": "c:{name}", "publish_auth": "none", **QUICK},
    "pattern": {"path": "/pattern", "patterns": "p:*", **QUICK},
    "record": {"path": "/record/{name}", "channels": "r:{name}", "record": "100", "publish": "r:{name}", "publish_auth": "none", **QUICK},
    "wait": {"path": "/wait/{name}", "handler": "wait", "channels": "r:{name}", "record": "100", "timeout": "300ms", **QUICK},
    "waitc": {"path": "/waitc/{name}", "handler": "wait", "channels": "c:{name}", "timeout": "300ms", **QUICK},
    "hash": {"path": "/hash/{name}", "channels": "c:{name}", "snapshot": "HGETALL h:{name}", **QUICK},
    "words": {"path": "/words", "channels": "c:words", "snapshot": "GET h:words", **QUICK},
    "queue": {"path": "/queue/{name}", "handler": "queue", "streams": "q:{name}", "group": "g", **QUICK},
    "both": {"path": "/both", "streams": "s:bad s:good", **QUICK},
}


@pytest.fixture
def server(own_redis, folder):
    """A Redis of which Sluice's user may do all, so that a test can take it away."""
    server = own_redis()
    server.start()
    rights(server, "on", ">pass", "~*", "&*", "+@all")
    return server


@pytest.fixture
def sluice(launch, server):
    sluice = launch(ROUTES, redis=server, link={"url": f"unix://sluice:pass@{server.path}"}, server={"workers": 1})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def rights(server, *rules):
    server.client().execute_command("ACL", "SETUSER", "sluice", *rules)


def waits(stream):
    """It has its head, and hears heartbeats."""
    assert stream.status == 200
    for _ in range(2):
        assert stream.next_event(skip=()).type == "keep-alive"


def refusals(sluice, route, name):
    return [line for line in sluice.log().splitlines() if f"warn [route {route}] Redis refuses {name}: " in line]


def opened(stream):
    return json.loads(stream.next_of("stream-open").data)


def calls(server, command):
    return server.client().info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


def test_a_stream_of_another_type(sluice, server):
    client = server.client()
    client.set("s:x", "1")
    with sluice.get("/stream/x") as s, sluice.get("/start/x") as other:
        waits(s)
        waits(other)
        assert post(sluice, "/stream/x", "1")[0] == 503
        assert sluice.get("/stream/x?mode=poll&timeout=200").status == 504
        client.delete("s:x")
        assert opened(s) == {"resumed": False, "from": "0-0"}
        assert opened(other) == {"resumed": False, "from": "0-0"}
        assert post(sluice, "/stream/x", "2")[0] == 202
        assert (s.next_message().data, other.next_message().data) == ("2", "2")
    assert len(refusals(sluice, "stream", "s:x")) == 1


def test_a_stream_that_becomes_another_type(sluice, server):
    """Those beside it go on."""
    client = server.client()
    with sluice.open("/both") as s:
        client.xadd("s:bad", {"data": "1"})
        client.xadd("s:good", {"data": "2"})
        assert [s.next_message().data for _ in range(2)] == ["1", "2"]
        client.set("s:bad", "no stream")
        client.xadd("s:good", {"data": "3"})
        assert s.next_message().data == "3"
        sluice.wait_log("refuses s:bad")
        client.delete("s:bad")
        assert json.loads(s.next_of("stream-reset", 6).data) == {"reason": "unknown-id"}
        client.xadd("s:bad", {"data": "4"})
        assert s.next_message().data == "4"


@pytest.mark.parametrize("path, channel", [("/channel/x", "c:x"), ("/pattern", "p:*")])
def test_a_channel_that_is_not_permitted(sluice, server, path, channel):
    client = server.client()
    rights(server, "resetchannels", "&allowed")
    route = path.split("/")[1]
    with sluice.get(path) as s:
        waits(s)
        sluice.wait_log(f"[route {route}] Redis refuses {channel}")
        if route == "channel":
            assert post(sluice, path, "1")[0] == 503
            assert sluice.get("/waitc/x").status == 504
        rights(server, f"&{channel}")
        opened(s)
        client.publish(channel.replace("*", "x"), "1")
        assert s.next_message().data == "1"


def test_a_right_that_is_taken_away_and_given_back(sluice, server):
    client = server.client()
    with sluice.open("/channel/x") as s, sluice.open("/stream/x") as t:
        rights(server, "resetchannels", "resetkeys")
        wait_for(lambda: refusals(sluice, "channel", "c:x") and refusals(sluice, "stream", "s:x"), "both are refused")
        client.xadd("s:x", {"data": "meanwhile"})
        rights(server, "&*", "~*")
        assert json.loads(s.next_of("stream-reset").data) == {"reason": "redis"}
        client.publish("c:x", "1")
        assert s.next_message().data == "1"
        assert t.next_message().data == "meanwhile"


def test_a_snapshot(sluice, server):
    """The stream goes on without it."""
    client = server.client()
    client.set("h:x", "no hash")
    client.hset("h:words", "no", "string")
    for path, channel in (("/hash/x", "c:x"), ("/words", "c:words")):
        for _ in range(2):
            with sluice.get(path) as s:
                assert s.next_event().type == "stream-open"
                event = s.next_event()
                assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "snapshot"})
                client.publish(channel, "1")
                assert s.next_message().data == "1"
    assert len(refusals(sluice, "hash", "HGETALL")) == 1
    client.delete("h:x")
    client.hset("h:x", "a", "1")
    with sluice.open("/hash/x") as s:
        assert s.next_event().type == "snapshot"


def test_a_log_of_another_type(sluice, server):
    client = server.client()
    client.set("r:x:log", "no stream")
    with sluice.get("/record/x") as s, sluice.get("/record/x") as other:
        waits(s)
        waits(other)
        assert post(sluice, "/record/x", "1")[0] == 503
        assert sluice.get("/wait/x").status == 504
        assert sluice.get("/wait/x?after=0-0").status == 504
        client.delete("r:x:log")
        opened(s)
        opened(other)
        assert post(sluice, "/record/x", "2")[0] == 202
        assert (s.next_message().data, other.next_message().data) == ("2", "2")
    assert len(refusals(sluice, "record", "r:x")) == 1


def test_a_queue(sluice, server):
    client = server.client()
    client.set("q:x", "no stream")
    with sluice.get("/queue/x") as s:
        waits(s)
        client.delete("q:x")
        client.xadd("q:x", {"data": "1"})
        assert s.next_message().data == "1"
    assert len(refusals(sluice, "queue", "q:x")) == 1


def test_what_was_missed_is_not_permitted(sluice, server):
    """The stream is followed, but may not be read back."""
    client = server.client()
    first = client.xadd("s:x", {"data": "1"}).decode()
    client.xadd("s:x", {"data": "2"})
    rights(server, "-xrange", "-xrevrange")
    streams = [sluice.get("/stream/x", headers={"Last-Event-ID": first}) for _ in range(5)]
    for s in streams:
        waits(s)
    n, until = calls(server, "xrange"), moment(3 / SLOW)
    stat = client.info("commandstats")["cmdstat_xrange"]
    while left(until):
        assert streams[0].next_event(skip=()).type == "keep-alive"
    more = client.info("commandstats")["cmdstat_xrange"]
    assert 1 <= more["rejected_calls"] - stat["rejected_calls"] <= 5, (stat, more, n)
    rights(server, "+xrange", "+xrevrange")
    for s in streams:
        assert opened(s) == {"resumed": True, "from": first}
        assert s.next_message().data == "2"
        s.close()
    assert len(refusals(sluice, "stream", "s:x")) == 1


def test_reading_is_not_permitted(sluice, server):
    """XINFO says that all is well, and XREAD is refused."""
    rights(server, "-xread")
    with sluice.open("/stream/x") as s:
        sluice.wait_log("[route stream] Redis refuses s:x: NOPERM")
        server.client().xadd("s:x", {"data": "1"})
        rights(server, "+xread")
        assert s.next_message().data == "1"


def test_redis_is_not_asked_all_the_time(sluice, server):
    client = server.client()
    client.set("s:x", "1")
    client.set("r:x:log", "1")
    streams = [sluice.get(path) for path in ("/stream/x", "/record/x") for _ in range(5)]
    for s in streams:
        waits(s)
    n, until = calls(server, "xinfo|stream"), moment(3 / SLOW)
    while left(until):
        assert streams[0].next_event(skip=()).type == "keep-alive"
    assert 2 <= calls(server, "xinfo|stream") - n <= 2 * 5
    for s in streams:
        s.close()


def test_a_session_that_may_not_be_read(launch, server):
    """Redis answers, and refuses each time: the request waits up to open_wait, not for ever."""
    link = {"url": f"unix://sluice:pass@{server.path}"}
    route = {"path": "/mine", "channels": "c:{user}", "auth": "session", "publish": "c:{user}", "publish_auth": "session", **QUICK}
    sluice = launch({"mine": route}, redis=server, link=link, auth={
        "session_cookie": "sid", "session_key": "session:{cookie}", "session_user": "message.user"})
    server.client().set("session:a", '{"user":"ada"}')
    rights(server, "-get")
    headers = {"Cookie": "sid=a", "Origin": "http://localhost"}
    with sluice.get("/mine", headers=headers) as s:
        assert s.status == 200
        assert [(e.type, json.loads(e.data)) for e in s.rest()] == [("stream-end", {"reason": "auth"})]
    retries = set()
    for _ in range(6):
        with sluice.get("/mine", headers=headers) as s:
            s.rest()
            retries.add(s.parser.retry)
    assert len(retries) > 1 and all(2400 <= ms <= 3600 for ms in retries), "they do not all come back at once"
    assert post(sluice, "/mine", "1", headers=headers)[0] == 503
    rights(server, "+get")
    wait_for(lambda: post(sluice, "/mine", "1", headers=headers)[0] == 202, "the session is read again")
