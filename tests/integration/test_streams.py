"""Redis streams: every entry once and in order, whatever happens to connections."""

import json
import time

import pytest

from waiting import SLOW, wait_for

ROUTES = {
    "one": {"path": "/one/{name}", "streams": "s:{name}"},
    "two": {"path": "/two", "streams": "s:a s:b"},
    "zero": {"path": "/zero/{name}", "streams": "s:{name}", "start": "0"},
    "last": {"path": "/last/{name}", "streams": "s:{name}", "start": "last:3"},
    "short": {"path": "/short/{name}", "streams": "s:{name}", "history": "5"},
    "logic": {"path": "/logic/{name}", "streams": "s:{name}", "filter": "message.n % 2 == 0", "until": "message.n == 8",
              "transform": "{n = message.n, id = id}", "event": "{channel}", "start": "0"},
    "batch": {"path": "/batch/{name}", "streams": "s:{name}", "batch": "3/300ms", "start": "0"},
    "max": {"path": "/max/{name}", "streams": "s:{name}", "max_events": 3, "start": "0"},
    "six": {"path": "/six", "streams": "s:1 s:2 s:3 s:4 s:5 s:{user}", "start": "last:1", "auth": "remote_user"},
    "long": {"path": "/long", "streams": "n:1 n:2 n:3 n:4 n:5 n:{user}", "start": "last:1", "auth": "remote_user"},
    "mixed": {"path": "/mixed", "streams": "s:mixed", "channels": "c:mixed"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


@pytest.fixture
def client(redis):
    client = redis.client()
    for key in client.keys("s:*"):
        client.delete(key)
    return client


def add(client, key, *values, **kw):
    return [client.xadd(key, {"data": json.dumps(v)}, **kw).decode() for v in values]


def opened(sluice, path, last=None):
    """A stream, and what its stream-open says."""
    response = sluice.get(path, headers={"Last-Event-ID": last} if last else {})
    assert response.status == 200
    event = response.next_event()
    assert event.type == "stream-open"
    return response, json.loads(event.data)


def data(stream, n):
    return [json.loads(stream.next_message().data) for _ in range(n)]


def test_entries_have_their_id(sluice, client):
    stream, said = opened(sluice, "/one/new")
    with stream:
        assert said == {"resumed": False, "from": "0-0"}
        assert stream.parser.last_event_id == "0-0"
        id, = add(client, "s:new", {"n": 1})
        assert data(stream, 1) == [{"n": 1}]
        assert stream.parser.last_event_id == id


def test_subjects_and_links_count_streams(sluice, client):
    """What is followed counts, whatever its kind, and the link over which it is read."""
    before = wait_for(lambda: (s := sluice.status())["subjects"] == 0 and s, "nothing is followed", 10)
    with sluice.open("/two"), sluice.open("/mixed"):
        wait_for(lambda: sluice.status()["subjects"] == 4, lambda: f"three streams and a channel: {sluice.status()['subjects']}")
        assert sluice.status()["redis_links"] == 3
    assert before["redis_links"] in (2, 3)
    wait_for(lambda: sluice.status()["subjects"] == 0, "nothing is left", 15)


def test_from_now_on(sluice, client):
    ids = add(client, "s:old", 1, 2)
    stream, said = opened(sluice, "/one/old")
    with stream:
        assert said == {"resumed": False, "from": ids[-1]}
        add(client, "s:old", 3)
        assert data(stream, 1) == [3]


def test_fields_of_an_entry(sluice, client):
    stream, _ = opened(sluice, "/one/fields")
    with stream:
        client.xadd("s:fields", {"data": "no JSON", "event": "note"})
        client.xadd("s:fields", {"a": "1", "b": '{"x":"Zoë"}'})
        client.xadd("s:fields", {"data": "x", "event": "stream-open"})
        client.xadd("s:fields", {"data": "last"})
        first, second, third = (stream.next_event() for _ in range(3))
        assert (first.type, first.data) == ("note", "no JSON")
        assert (second.type, json.loads(second.data)) == ("message", {"a": "1", "b": '{"x":"Zoë"}'})
        assert third.data == "last"


def test_resume(sluice, client):
    ids = add(client, "s:r", *range(10))
    for at in (0, 4, 9):
        stream, said = opened(sluice, "/one/r", ids[at])
        with stream:
            assert said == {"resumed": True, "from": ids[at]}
            assert data(stream, 9 - at) == list(range(at + 1, 10))
            assert stream.quiet_for(0.05)
            new, = add(client, "s:r", 10)
            assert data(stream, 1) == [10]
            client.xdel("s:r", new)


@pytest.mark.parametrize("name", ["last_event_id", "lastEventId"])
def test_resume_by_the_query(sluice, client, name):
    ids = add(client, "s:q", 1, 2, 3)
    with sluice.get(f"/one/q?{name}={ids[0]}") as stream:
        assert stream.next_event().type == "stream-open"
        assert data(stream, 2) == [2, 3]


def test_two_streams_have_a_vector(sluice, client):
    a = add(client, "s:a", "a1", "a2")
    b = add(client, "s:b", "b1", "b2")
    stream, said = opened(sluice, "/two", f"{a[0]},{b[1]}")
    with stream:
        assert data(stream, 1) == ["a2"]
        assert stream.parser.last_event_id == f"{a[1]},{b[1]}"
        b3, = add(client, "s:b", "b3")
        assert data(stream, 1) == ["b3"]
        assert stream.parser.last_event_id == f"{a[1]},{b3}"
    stream, said = opened(sluice, "/two", f"{a[0]},{b[0]}")
    with stream:
        assert sorted(data(stream, 3)) == ["a2", "b2", "b3"]
        assert stream.parser.last_event_id == f"{a[1]},{b3}"


@pytest.mark.parametrize("n, id", enumerate(["hello", "1-2-3", "99999999999999-0", "-1", "1,2", "01-0"]))
def test_an_id_that_is_none_of_ours(sluice, client, n, id):
    ids = add(client, f"s:u{n}", 1, 2)
    stream, said = opened(sluice, f"/one/u{n}", id)
    with stream:
        assert said["resumed"] is False
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "unknown-id"})
        assert stream.parser.last_event_id == ids[-1]
        add(client, f"s:u{n}", 3)
        assert data(stream, 1) == [3]


def test_trimmed(sluice, client):
    ids = add(client, "s:t", *range(10))
    client.xtrim("s:t", maxlen=4, approximate=False)
    stream, said = opened(sluice, "/one/t", ids[1])
    with stream:
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "trimmed"})
        assert data(stream, 4) == [6, 7, 8, 9]
    stream, said = opened(sluice, "/one/t", ids[7])
    with stream:
        assert [json.loads(e.data) for e in (stream.next_event(), stream.next_event())] == [8, 9]


def test_a_gap_longer_than_history(sluice, client):
    ids = add(client, "s:h", *range(10))
    stream, said = opened(sluice, "/short/h", ids[0])
    with stream:
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "trimmed"})
        assert data(stream, 5) == [5, 6, 7, 8, 9]


def test_start(sluice, client):
    add(client, "s:st", *range(5))
    stream, said = opened(sluice, "/zero/st")
    with stream:
        assert said["resumed"] is False
        assert data(stream, 5) == [0, 1, 2, 3, 4]
    stream, said = opened(sluice, "/last/st")
    with stream:
        assert data(stream, 3) == [2, 3, 4]
        add(client, "s:st", 5)
        assert data(stream, 1) == [5]


def test_logic_of_the_past(sluice, client):
    ids = add(client, "s:l", *[{"n": n} for n in range(5)])
    stream, _ = opened(sluice, "/logic/l")
    with stream:
        assert data(stream, 3) == [{"n": n, "id": ids[n]} for n in (0, 2, 4)]
        add(client, "s:l", *[{"n": n} for n in range(5, 12)])
        events = stream.rest()
        assert [e.type for e in events] == ["s:l", "s:l", "stream-done"]
    with sluice.get("/logic/l") as stream:
        events = stream.rest()
        assert [json.loads(e.data).get("n") for e in events if e.type == "s:l"] == [0, 2, 4, 6, 8]
        assert json.loads(events[-1].data) == {"reason": "until"}


def test_batches_of_the_past(sluice, client):
    ids = add(client, "s:b1", *range(5))
    stream, _ = opened(sluice, "/batch/b1")
    with stream:
        first, second = data(stream, 2)
        assert [b["data"] for b in first["batch"]] == [0, 1, 2]
        assert [b["data"] for b in second["batch"]] == [3, 4]
        assert stream.parser.last_event_id == ids[-1]


def test_max_events_counts_the_past(sluice, client):
    add(client, "s:m", 1, 2)
    stream, _ = opened(sluice, "/max/m")
    with stream:
        assert data(stream, 2) == [1, 2]
        add(client, "s:m", 3, 4)
        events = stream.rest()
        assert [e.data for e in events] == ["3", '{"reason":"max_events"}']


def test_max_events_is_each_ones_own(sluice, client):
    """Who was sent the past has had more than who joined before."""
    route = "/max/own"
    with sluice.get(route) as first:
        first.opened()
        add(client, "s:own", 1, 2)
        assert data(first, 2) == [1, 2]
        with sluice.get(route) as second:
            second.opened()
            assert data(second, 2) == [1, 2]
            add(client, "s:own", 3)
            for stream in (first, second):
                events = stream.rest()
                assert [e.data for e in events] == ["3", '{"reason":"max_events"}']


def test_channels_beside_streams(sluice, client, redis):
    stream, _ = opened(sluice, "/mixed")
    with stream:
        add(client, "s:mixed", "entry")
        assert data(stream, 1) == ["entry"]
        redis.publish("c:mixed", '"message"')
        assert data(stream, 1) == ["message"]


def test_a_key_that_is_no_stream(sluice, client):
    client.set("s:string", "x")
    with sluice.get("/one/string") as response:
        assert response.status == 200  # it waits for its repair
    stream, _ = opened(sluice, "/one/fine")
    with stream:
        add(client, "s:fine", 1)
        assert data(stream, 1) == [1]


def test_a_stream_that_is_deleted_and_begins_anew(sluice, client):
    stream, _ = opened(sluice, "/one/anew")
    with stream:
        add(client, "s:anew", 1)
        assert data(stream, 1) == [1]
        client.delete("s:anew")
        time.sleep(0.01)  # a greater ID
        add(client, "s:anew", 2)
        assert data(stream, 1) == [2]


def test_cut_after_every_event(sluice, client):
    """Two streams, written by turns: a client that returns each time has every entry once, in order."""
    n = 60
    last, got = None, []
    opened(sluice, "/two")[0].close()
    for i in range(n):
        add(client, f"s:{'ab'[i % 2]}", i)
    stream, said = opened(sluice, "/two", "0-0,0-0")
    stream.close()
    last = "0-0,0-0"
    while len(got) < n:
        stream, _ = opened(sluice, "/two", last)
        with stream:
            got += data(stream, 1)
            # the id of the event that was read, not of what was read ahead
            last = id_of(stream, got[-1])
    for half in (0, 1):
        assert [v for v in got if v % 2 == half] == list(range(half, n, 2))


def id_of(stream, value):
    """The id that stood with this value in the bytes so far."""
    frames = bytes(stream.body).decode().split("\n\n")
    for frame in frames:
        if f"data: {value}\n" in frame + "\n":
            return frame.split("id: ")[1].split("\n")[0]
    raise AssertionError(value)


def test_many_streams_on_few_connections(sluice, client):
    streams = [opened(sluice, f"/one/many{i}")[0] for i in range(300)]
    names = [c for c in client.client_list() if c["cmd"].startswith("xread") or c.get("flags") == "b"]
    assert 3 <= len([c for c in client.client_list() if c["cmd"] == "xread"]) <= 4, names
    for i in range(300):
        client.xadd(f"s:many{i}", {"data": str(i)})
    for i, stream in enumerate(streams):
        assert data(stream, 1) == [i]
        stream.close()


def test_redis_goes_and_comes_back(launch, own_redis):
    """Nobody notices but by the delay."""
    redis = own_redis(options=("--appendonly", "yes", "--appendfsync", "always")).start()
    sluice = launch(ROUTES, redis=redis)
    stream, _ = opened(sluice, "/one/away")
    with stream:
        for n in range(3):
            add(redis.client(), "s:away", 2 * n)
            assert data(stream, 1) == [2 * n]
            redis.kill()
            redis.start()
            add(redis.client(), "s:away", 2 * n + 1)
            event = stream.next_event(15)
            assert (event.type, json.loads(event.data)) == ("message", 2 * n + 1)


def test_trimmed_while_redis_was_out_of_reach(launch, own_redis):
    redis = own_redis(options=("--appendonly", "yes", "--appendfsync", "always")).start()
    sluice = launch(ROUTES, redis=redis)
    stream, _ = opened(sluice, "/one/lost")
    with stream:
        add(redis.client(), "s:lost", 0)
        assert data(stream, 1) == [0]
        for c in redis.client().client_list():
            if c["name"] != "" and c["cmd"] == "xread":
                redis.client().client_kill(c["addr"])
        with redis.client().pipeline(transaction=True) as pipe:
            for n in range(1, 10):
                pipe.xadd("s:lost", {"data": str(n)})
            pipe.xtrim("s:lost", maxlen=2, approximate=False)
            pipe.execute()
        event = stream.next_event(15)
        if event.type == "message":  # it was back before
            pytest.skip("the reader was faster")
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "trimmed"})
        assert data(stream, 2) == [8, 9]


def calls(redis, *commands):
    stats = redis.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{c}", {"calls": 0})["calls"] for c in commands)


@pytest.mark.parametrize("path, keys", [("/r/recent", ["s:recent"]), ("/r2/recent", ["s:ra", "s:rb"])])
def test_what_was_missed_just_now_comes_from_memory(launch, redis, path, keys):
    """A client that is back at once is sent what the feed still holds, and Redis is not asked."""
    sluice = launch({"r": {"path": path, "streams": " ".join(keys), "heartbeat": "60s", "max_events": 9}})
    client = redis.client()
    client.delete(*keys)
    with sluice.open(path) as stays:
        ids = []
        for n in range(6):
            client.xadd(keys[n % len(keys)], {"data": n})
            ids.append(stays.next_message().last_event_id)
        before = calls(redis, "xrevrange", "xrange")
        for missed in range(6):
            with sluice.open(path, headers={"Last-Event-ID": ids[missed]}) as back:
                assert b'"resumed":true' in back.body
                assert [back.next_message().data for _ in range(5 - missed)] == [str(n) for n in range(missed + 1, 6)]
                assert back.quiet_for(0.03)
        assert calls(redis, "xrevrange", "xrange") == before
        with sluice.open(path, headers={"Last-Event-ID": ids[0]}) as back:
            for n in range(6, 10):
                client.xadd(keys[0], {"data": n})
            assert [back.next_message().data for _ in range(9)] == [str(n) for n in range(1, 10)]
            assert json.loads(back.next_of("stream-done").data)["reason"] == "max_events"
    # Nobody followed when these came, so they are not in memory.
    client.xadd(keys[0], {"data": 10})
    wait_for(lambda: sluice.status()["subscribers"] == 0, "all to have left")
    client.xadd(keys[0], {"data": 11})
    with sluice.open(path, headers={"Last-Event-ID": ids[4]}) as back:
        assert [back.next_message().data for _ in range(7)] == [str(n) for n in range(5, 12)]
    with sluice.open(path, headers={"Last-Event-ID": ids[5]}) as back:
        assert [back.next_message().data for _ in range(6)] == [str(n) for n in range(6, 12)]


def test_more_than_memory_holds(launch, redis):
    sluice = launch({"r": {"path": "/r", "streams": "s:long"}})
    client = redis.client()
    client.delete("s:long")
    with sluice.open("/r") as stays:
        ids = []
        for n in range(200):
            client.xadd("s:long", {"data": f"{n} " + "x" * 400})
            ids.append(stays.next_message().last_event_id)
        for missed in (0, 100, 150, 190, 199):
            with sluice.open("/r", headers={"Last-Event-ID": ids[missed]}) as back:
                got = [back.next_message().data.split()[0] for _ in range(199 - missed)]
                assert got == [str(n) for n in range(missed + 1, 200)]
                assert back.quiet_for(0.03)


def test_a_name_with_a_nul_is_not_cut(sluice, client):
    dropped = sluice.dropped("invalid")
    with sluice.open("/one/nul") as stream:
        client.xadd("s:nul", {"event": b"order\0paid", "data": "1"})
        client.xadd("s:nul", {"event": b"\0", "data": "2"})
        client.xadd("s:nul", {"event": "order", "data": "3"})
        event = stream.next_event()
        assert (event.type, event.data) == ("order", "3")
    assert sluice.dropped("invalid") == dropped + 2


def test_a_name_that_is_no_utf8(launch, redis):
    """What of an event's name or id is no UTF-8 is replaced, and counted, as in its data."""
    client = redis.client()
    sluice = launch({"s": {"path": "/s", "streams": "s:odd"},
                     "c": {"path": "/c", "channels": "s:odd:c", "event": "a{text}", "id": "{text}"}}, redis)
    with sluice.open("/s") as stream, sluice.open("/c") as channel:
        client.xadd("s:odd", {"event": b"n\xffm", "data": b"d\xff"})
        event = stream.next_event()
        assert (event.type, event.data) == ("n\ufffdm", "d\ufffd")
        client.publish("s:odd:c", b"\xe9x")
        event = channel.next_event()
        assert (event.type, event.last_event_id, event.data) == ("a\ufffdx", "\ufffdx", "\ufffdx")
        assert sluice.status()["utf8_replaced"] == 5


def six(sluice, last=None, path="/six"):
    stream = sluice.get(path, headers={"Last-Event-ID": last} if last else {}, AUTH_TYPE="Basic", REMOTE_USER="6")
    event = stream.next_event()
    assert event.type == "stream-open" and len(event.last_event_id) <= 128
    return stream, json.loads(event.data)


def test_the_places_before_six_entries_fit_into_an_id(sluice, client):
    keys = [f"s:{n}" for n in range(1, 7)]
    for n, key in enumerate(keys):
        for ms in (1, 2):
            client.xadd(key, {"data": str(n)}, id=f"179591528183{ms}-0")
    stream, said = six(sluice)
    with stream:
        assert [stream.next_message().data for _ in keys] == [str(n) for n in range(6)]
    stream, again = six(sluice, said["from"])
    with stream:
        assert again == {"resumed": True, "from": said["from"]}
        assert [stream.next_message().data for _ in keys] == [str(n) for n in range(6)]


def test_ids_that_no_id_of_an_event_can_hold(sluice, client):
    """As of nanoseconds: everything comes, and whoever comes back is told that it may have missed something."""
    keys = [f"n:{n}" for n in range(1, 7)]  # which nobody has followed, so their places are those of these entries
    for key in keys:
        client.xadd(key, {"data": "old"}, id="1795915281838000000-1")
    stream, said = six(sluice, path="/long")
    with stream:
        assert said == {"resumed": False, "from": "~"}
        for _ in keys:
            assert stream.next_message().data == "old"
        client.xadd(keys[0], {"data": "new"}, id="1795915281838000001-1")
        assert stream.next_message().data == "new"
        assert stream.parser.last_event_id == "~"
    stream, said = six(sluice, "~", "/long")
    with stream:
        assert said == {"resumed": False, "from": "~"}
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "unknown-id"})
        client.xadd(keys[1], {"data": "live"}, id="1795915281838000001-1")
        assert stream.next_message().data == "live"
