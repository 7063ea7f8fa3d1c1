"""Work that died: nothing comes for so long, and its page is told so, for good."""

import json
import time

import pytest

from sluice import ini
from waiting import SLOW, soon, wait_for

MS = int(600 * SLOW)
TIME = {"abandoned": f"{MS}ms"}
FAILED = '{{"state":"failed","job":"{k}"}}'
LONG = {"abandoned": "1h", "abandoned_data": FAILED}
ROUTES = {
    "plain": {"path": "/plain/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": FAILED},
    "bare": {"path": "/bare/{k}", "channels": "ab:{k}", **TIME},
    "named": {"path": "/named/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": "{now}", "event": "progress"},
    "from": {"path": "/from/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": "x", "event": "{.kind}"},
    "stream": {"path": "/stream/{k}", "streams": "ab:s:{k}", **TIME, "abandoned_data": FAILED},
    "filter": {"path": "/filter/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": FAILED, "filter": "message.n > 5"},
    "batch": {"path": "/batch/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": FAILED, "batch": "100/1h"},
    "latest": {"path": "/latest/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": FAILED, "rate": "1/1h", "rate_mode": "latest"},
    "user": {"path": "/user", "channels": "ab:{user}", **TIME, "abandoned_data": "{user}", "auth": "remote_user"},
    "json": {"path": "/json/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": '{"state":["failed","{k}"]}'},
    "silent": {"path": "/silent/{k}", "channels": "ab:{k}", **TIME, "abandoned_data": FAILED, "announce": "no"},
    "poll": {"path": "/poll/{k}", "handler": "poll", "command": "GET ab:p:{k}", "interval": "20ms", **TIME, "abandoned_data": FAILED},
    "mux": {"path": "/mux", "handler": "mux", "routes": "*"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, defaults=TIME)


def failed(k):
    return json.dumps({"state": "failed", "job": k}, separators=(",", ":"))


def ended(events):
    """The data of the events before the end, which is checked."""
    assert events[-1].type == "stream-done" and json.loads(events[-1].data) == {"reason": "abandoned"}
    assert events[-1].last_event_id.endswith(".end")
    return [e.data for e in events[:-1]]


def test_all_are_told_and_ended_for_good(sluice, redis):
    with sluice.open("/plain/a") as one, sluice.open("/plain/a") as two:
        redis.publish("ab:a", "1")
        started = time.monotonic()
        ends = [one.rest(), two.rest()]
        assert time.monotonic() - started > MS / 1000 * 0.9
        for events in ends:
            assert ended(events) == ["1", failed("a")] and events[-2].type == "message"
            assert events[-2].last_event_id == ""
    with sluice.get("/plain/a", headers={"Last-Event-ID": ends[0][-1].last_event_id}) as again:
        assert again.status == 204


def test_messages_put_it_off(sluice, redis):
    """Also those that the route does not send."""
    for path in ("/plain/b", "/filter/b"):
        with sluice.open(path) as stream:
            until, sent = time.monotonic() + 2 * MS / 1000, 0
            while time.monotonic() < until:
                redis.publish("ab:b", '{"n":1}')
                sent += 1
                time.sleep(MS / 8000)  # the pace of a worker that lives, no waiting
            redis.publish("ab:b", '{"n":9}')
            data = ended(stream.rest())
            assert data == ['{"n":1}'] * (sent if path == "/plain/b" else 0) + ['{"n":9}', failed("b")]


def test_one_clock_for_all(sluice):
    """Who comes later has no time of its own."""
    with sluice.open("/plain/c") as first:
        started = time.monotonic()
        wait_for(lambda: time.monotonic() > started + MS / 2000, "half of the time is over")
        with sluice.open("/plain/c") as second:
            came = time.monotonic()
            assert ended(second.rest()) == [failed("c")] == ended(first.rest())
            assert soon(came, MS / 1000 * 0.9 / SLOW)


def test_after_the_end_it_begins_anew(sluice, redis):
    with sluice.open("/plain/d") as stream:
        assert ended(stream.rest()) == [failed("d")]
    with sluice.open("/plain/d") as stream:
        redis.publish("ab:d", "again")
        assert ended(stream.rest()) == ["again", failed("d")]


def test_without_data_there_is_only_the_end(sluice):
    with sluice.open("/bare/a") as stream:
        assert ended(stream.rest()) == []


def test_its_name(sluice):
    with sluice.open("/named/a") as stream:
        events = stream.rest()
        assert events[0].type == "progress" and abs(int(ended(events)[0]) - time.time()) < 60 * SLOW
    with sluice.open("/from/a") as stream:  # no message, no field
        events = stream.rest()
        assert (events[0].type, ended(events)) == ("message", ["x"])


def test_what_the_user_is_called(sluice):
    with sluice.open("/user", REMOTE_USER="ada", AUTH_TYPE="Basic") as stream:
        assert ended(stream.rest()) == ["ada"]


@pytest.mark.parametrize("how", ["batch", "latest"])
def test_what_is_held_comes_first(sluice, redis, how):
    with sluice.open(f"/{how}/a") as stream:
        for n in range(3):
            redis.publish("ab:a", f'{{"n":{n}}}')
        *held, last = ended(stream.rest())
        assert last == failed("a")
        if how == "batch":
            assert [b["data"]["n"] for b in json.loads(held[0])["batch"]] == [0, 1, 2]
        else:
            assert held == ['{"n":0}', '{"n":2}']


def test_streams(sluice, redis):
    """The event is no place to come back to; who comes with an earlier one is sent what it missed, and a time of its own."""
    client = redis.client()
    with sluice.open("/stream/a") as stream:
        id = client.xadd("ab:s:a", {"data": "1"}).decode()
        client.xadd("ab:s:a", {"data": "2"})
        events = stream.rest()
        assert ended(events) == ["1", "2", failed("a")]
        assert events[-2].last_event_id == events[-3].last_event_id
    with sluice.open("/stream/a", headers={"Last-Event-ID": id}) as stream:
        assert ended(stream.rest()) == ["2", failed("a")]


def test_json_stands_as_it_is(sluice):
    with sluice.open("/json/a") as stream:
        assert ended(stream.rest()) == ['{"state":["failed","{k}"]}']


def test_unannounced(sluice):
    with sluice.get("/silent/a") as stream:
        assert [e.data for e in stream.rest()] == [failed("a")]


def test_handlers_that_ask(sluice, redis):
    client = redis.client()
    client.set("ab:p:a", "1")
    with sluice.open("/poll/a") as stream:
        assert stream.next_event().data == "1"
        client.set("ab:p:a", "2")
        assert ended(stream.rest()) == ["2", failed("a")]


def test_one_that_waits_is_answered(sluice):
    with sluice.get("/plain/e?mode=poll") as response:
        assert response.status == 200 and response.json() == {"state": "failed", "job": "e"}


def test_a_connection_of_many_stays(sluice, redis):
    """Nothing comes on it itself; what it carries ends."""
    from test_mux import Mux
    with sluice.open("/plain/f") as beside, Mux(sluice, ["a", "/plain/f"]) as mux:
        mux.opened("a")
        redis.publish("ab:f", "1")
        got = [mux.next() for _ in range(3)]
        assert [(name, data) for _, name, _, data in got[:2]] == [("message", "1"), ("message", failed("f"))]
        assert got[2][1] == "stream-done" and json.loads(got[2][3]) == {"reason": "abandoned"}
        assert ended(beside.rest()) == ["1", failed("f")]
        assert mux.next()[:2] == ("a", "mux-end")
        mux.change(add=[["b", "/plain/g"]])
        mux.opened("b")


def test_while_redis_is_away_it_does_not_count(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"plain": ROUTES["plain"]}, redis=redis)
    with sluice.open("/plain/a") as stream:
        redis.kill()
        wait_for(lambda: sluice.status()["redis"] == "down", "it is noticed")
        away = time.monotonic()
        wait_for(lambda: time.monotonic() > away + 1.5 * MS / 1000, "longer than the route waits")
        redis.start()
        events = stream.rest(20)
        assert events[0].type == "stream-reset" and ended(events)[1:] == [failed("a")]


@pytest.mark.parametrize("keys, said", [
    ({"abandoned_data": "x"}, "abandoned_data: there is no end before which it could be sent"),
    ({"abandoned": "10s", "handler": "queue", "group": "g"}, "abandoned: with this handler nothing is over"),
    ({"abandoned": "5ms"}, "abandoned: "),
    ({"abandoned": "1s", "abandoned_data": "{.x}"}, "abandoned_data: "),
])
def test_what_check_refuses(sluice, tmp_path, keys, said):
    file = tmp_path / "sluice.ini"
    file.write_text(ini({"server": {"listen": f"unix:{tmp_path}/s"}, "route x": {"path": "/x", "streams": "x", **keys}}))
    result = sluice.run("check", "-c", file)
    assert result.returncode != 0 and said in result.out + result.err
