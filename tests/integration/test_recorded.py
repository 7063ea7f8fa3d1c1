"""Recorded channels: live by pub/sub, replayed from their logs, with an exact seam."""

import json
import subprocess
import threading
from pathlib import Path

import pytest

from test_publish import post
from waiting import wait_for

ROUTES = {
    "room": {"path": "/room/{name}", "channels": "r:{name}", "record": 1000, "publish": "r:{name}",
             "publish_auth": "none"},
    "few": {"path": "/few/{name}", "channels": "few:{name}", "record": 5, "publish": "few:{name}", "publish_auth": "none",
            "start": "last:3"},
    "two": {"path": "/two", "channels": "r:a r:b", "record": 1000},
    "logic": {"path": "/logic", "channels": "r:logic", "record": 100, "filter": "message.n > 1", "start": "0",
              "snapshot": "GET r:logic:now"},
    "plain": {"path": "/plain/{name}", "channels": "r:{name}"},
    "pattern": {"path": "/pattern", "patterns": "r:*"},
    "write": {"path": "/write", "publish": "r:{to}", "publish_auth": "none"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def add(sluice, name, *values):
    ids = []
    for value in values:
        status, _, answer = post(sluice, f"/room/{name}", json.dumps(value))
        assert status == 202
        ids.append(answer["id"])
    return ids


SCRIPT = Path("conf/record.lua").resolve()


def opened(sluice, path, last=None):
    response = sluice.get(path, headers={"Last-Event-ID": last} if last else {})
    event = response.next_event(10)
    assert event.type == "stream-open"
    return response, json.loads(event.data)


def data(stream, n):
    return [json.loads(stream.next_message(10).data) for _ in range(n)]


def test_live_and_replayed(sluice, redis):
    stream, said = opened(sluice, "/room/x")
    with stream:
        assert said == {"resumed": False, "from": "0-0"}
        ids = add(sluice, "x", *range(10))
        assert data(stream, 10) == list(range(10))
        assert stream.parser.last_event_id == ids[-1]
    assert redis.client().xlen("r:x:log") == 10
    for at in (0, 5, 9):
        stream, said = opened(sluice, "/room/x", ids[at])
        with stream:
            assert said == {"resumed": True, "from": ids[at]}
            assert data(stream, 9 - at) == list(range(at + 1, 10))
            assert stream.quiet_for(0.05)


def test_plain_publish_passes_without_being_kept(sluice, redis):
    stream, _ = opened(sluice, "/room/plain")
    with stream:
        redis.publish("r:plain", '"by hand"')
        assert data(stream, 1) == ["by hand"]
        add(sluice, "plain", 1)
        assert data(stream, 1) == [1]


def test_any_publisher_of_the_channel_records_it(sluice, redis):
    """emit knows it by the routes' templates, and so does a POST to another route."""
    stream, _ = opened(sluice, "/room/any")
    with stream:
        assert post(sluice, "/write?to=any", "1")[2]["id"]
        result = sluice.run("emit", "-c", sluice.config, "r:any", "2")
        assert result.returncode == 0 and "-" in result.out, result.err
        assert data(stream, 2) == [1, 2]
    assert redis.client().xlen("r:any:log") == 2
    assert sluice.run("emit", "-c", sluice.config, "other", "2").out.startswith("0 receivers")


def test_the_documented_script(sluice, redis):
    """As README.md says it, for the clients that are here."""
    stream, _ = opened(sluice, "/room/doc")
    with stream:
        subprocess.run(["redis-cli", "-s", redis.path, "--eval", SCRIPT, "r:doc", "r:doc:log", ",", '{"by":"redis-cli"}', "500"],
                       check=True, capture_output=True)
        redis.client().register_script(SCRIPT.read_text())(keys=["r:doc", "r:doc:log"], args=['{"by":"python"}', 500])
        assert data(stream, 2) == [{"by": "redis-cli"}, {"by": "python"}]
    assert redis.client().xlen("r:doc:log") == 2


def test_trimmed(sluice, redis):
    ids = [post(sluice, "/few/t", str(n))[2]["id"] for n in range(300)]
    stream, _ = opened(sluice, "/few/t", ids[0])
    with stream:
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "trimmed"})
        got = []
        while not got or got[-1] != 299:
            got += data(stream, 1)
        assert got == list(range(got[0], 300))
    stream, _ = opened(sluice, "/few/t")
    with stream:
        assert data(stream, 3) == [297, 298, 299]


def test_logic_and_snapshot(sluice, redis):
    redis.client().set("r:logic:now", "now")
    for n in range(4):
        assert post(sluice, "/write?to=logic", json.dumps({"n": n}))[0] == 202
    stream, _ = opened(sluice, "/logic")
    with stream:
        assert stream.next_event().data == "now"
        assert data(stream, 2) == [{"n": 2}, {"n": 3}]


def test_two_channels(sluice):
    a = add(sluice, "a", "a1", "a2")
    b = add(sluice, "b", "b1")
    stream, _ = opened(sluice, "/two", f"{a[0]},0-0")
    with stream:
        assert sorted(data(stream, 2)) == ["a2", "b1"]
        assert stream.parser.last_event_id == f"{a[1]},{b[0]}"
        b2, = add(sluice, "b", "b2")
        assert data(stream, 1) == ["b2"]
        assert stream.parser.last_event_id == f"{a[1]},{b2}"


def test_cut_again_and_again_while_others_write(sluice):
    """Every message once, in order, though the connection is cut all the time."""
    done = threading.Event()
    sent = []

    def write():
        for n in range(300):
            add(sluice, "cut", n)
            sent.append(n)
        done.set()
    opened(sluice, "/room/cut")[0].close()
    last, got = "0-0", []
    thread = threading.Thread(target=write)
    thread.start()
    while len(got) < 300:
        stream, said = opened(sluice, "/room/cut", last)
        with stream:
            assert said == {"resumed": True, "from": last}
            for _ in range(7):
                if len(got) == 300:
                    break
                event = stream.next_message(10)
                got.append(json.loads(event.data))
            last = id_before(stream, got[-1])
    thread.join()
    assert got == list(range(300))


def id_before(stream, value):
    for frame in bytes(stream.body).decode().split("\n\n"):
        if frame.endswith(f"data: {value}"):
            return frame.split("id: ")[1].split("\n")[0]
    raise AssertionError(value)


def test_redis_goes_and_comes_back(launch, own_redis):
    """What was published while the worker was cut off is read from the log; nobody is told of a reset."""
    redis = own_redis(options=("--appendonly", "yes", "--appendfsync", "always")).start()
    sluice = launch(ROUTES, redis=redis)
    wait_for(lambda: post(sluice, "/room/away", "0")[0] == 202, lambda: "Redis")
    stream, _ = opened(sluice, "/room/away")
    script = SCRIPT.read_text()
    with stream:
        n = 1
        for _ in range(3):
            redis.kill()
            redis.start()
            for _ in range(3):
                redis.client().eval(script, 2, "r:away", "r:away:log", n, 1000)
                n += 1
            got = [stream.next_event(20) for _ in range(3)]
            assert [(e.type, e.data) for e in got] == [("message", str(v)) for v in range(n - 3, n)]


@pytest.mark.parametrize("keys", [{"patterns": "x*", "record": 5}, {"streams": "x", "record": 5},
                                  {"channels": "a b c d e f g", "record": 5}])
def test_what_cannot_be_recorded(launch, keys):
    sluice = launch({"x": {"path": "/x", **keys}}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and "record" in result.err


def test_a_route_that_does_not_record_gets_the_message_alone(sluice, redis):
    with sluice.open("/plain/x") as plain, sluice.open("/pattern") as pattern:
        post(sluice, "/room/x", '{"n":1}')
        for stream in (plain, pattern):
            assert stream.next_message(10).data == '{"n":1}'
            assert stream.parser.last_event_id == ""
