"""handler = wait: one event, with a time-out."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import fcgi
from test_publish import post
from waiting import bound, patient, soon, wait_for

ROUTES = {
    "late": {"path": "/late", "handler": "wait", "streams": "w:late", "filter": "message == 1200"},
    "wait": {"path": "/wait/{name}/{id}", "handler": "wait", "channels": "w:{name}:{id}", "timeout": "700ms",
             "timeout_max": "2s"},
    "logic": {"path": "/logic", "handler": "wait", "channels": "w:logic", "filter": "message.n > 1",
              "transform": "{n = message.n}"},
    "recorded": {"path": "/recorded/{id}", "handler": "wait", "channels": "w:rec:{id}", "record": 100,
                 "publish": "w:rec:{id}", "publish_auth": "none"},
    "stream": {"path": "/stream", "handler": "wait", "streams": "w:stream", "timeout": "5s"},
    "plain": {"path": "/plain", "channels": "w:plain:1"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def ask(sluice, path):
    """A request whose answer has not come yet."""
    connection = sluice.connect()
    connection.send(fcgi.request(path))
    return connection


def counted(sluice):
    """came(n) waits until n more requests have come, beside those that ask whether they have."""
    before, asked = sluice.status()["requests"], 0

    def came(n):
        def are_there():
            nonlocal asked
            asked += 1
            return sluice.status()["requests"] - before >= n + asked
        wait_for(are_there, f"{n} requests have come")
    return came


def answer(connection, timeout=5.0):
    with fcgi.Response(connection, timeout=patient(timeout)) as response:
        response.rest(timeout)
        return response.status, json.loads(bytes(response.body)), response.headers


def test_during(sluice, redis):
    connection = ask(sluice, "/wait/job/1")
    redis.wait_subscribed("w:job:1")
    redis.publish("w:job:1", '{"done":true}')
    status, body, headers = answer(connection)
    assert (status, body, headers["content-type"]) == (200, {"done": True}, "application/json")


def test_only_the_first(sluice, redis):
    came = counted(sluice)
    connections = [ask(sluice, "/wait/job/2") for _ in range(20)]
    redis.wait_subscribed("w:job:2")
    came(20)
    redis.publish("w:job:2", "1")
    redis.publish("w:job:2", "2")
    assert [answer(c)[:2] for c in connections] == [(200, 1)] * 20


def test_text_is_a_json_string(sluice, redis):
    connection = ask(sluice, "/wait/job/3")
    redis.wait_subscribed("w:job:3")
    redis.publish("w:job:3", 'no "JSON"')
    assert answer(connection)[:2] == (200, 'no "JSON"')


@pytest.mark.parametrize("query, ms", [("", 700), ("?timeout=150", 150), ("?timeout=999999", 2000)])
def test_time_out_at_the_moment(sluice, query, ms):
    began = time.monotonic()
    status, body, headers = answer(ask(sluice, f"/wait/job/4{query}"))
    took, late = (time.monotonic() - began) * 1000, bound(100, began)
    assert status == 504 and body["status"] == 504
    assert headers["content-type"] == "application/problem+json"
    assert ms - 5 <= took < ms + late


def test_time_outs_are_counted_by_their_status(sluice):
    assert answer(ask(sluice, "/wait/job/counted?timeout=50"))[0] == 504
    refused = [r["refused"] for r in sluice.status()["routes"] if r["refused"]]
    assert any(r.get("504") for r in refused) and not any("0" in r for r in refused)


@pytest.mark.parametrize("value", ["0", "x", "-1", "1.5", "", "99999999999999999999999"])
def test_a_time_that_is_none(sluice, value):
    assert answer(ask(sluice, f"/wait/job/5?timeout={value}"))[0] == 400


def test_logic(sluice, redis):
    connection = ask(sluice, "/logic")
    redis.wait_subscribed("w:logic")
    redis.publish("w:logic", '{"n":1}')
    redis.publish("w:logic", '{"n":2,"secret":1}')
    assert answer(connection)[:2] == (200, {"n": 2})


def test_before_the_request(sluice):
    """On a recorded channel what came behind an ID counts."""
    ids = [post(sluice, "/recorded/a", str(n))[2]["id"] for n in range(3)]
    assert answer(ask(sluice, "/recorded/a?after=0-0"))[:2] == (200, 0)
    status, body, headers = answer(ask(sluice, f"/recorded/a?after={ids[0]}"))
    assert (status, body, headers["last-event-id"]) == (200, 1, ids[1])
    assert answer(ask(sluice, f"/recorded/a?after={ids[2]}&timeout=100"))[0] == 504
    connection = ask(sluice, f"/recorded/a?after={ids[2]}")
    post(sluice, "/recorded/a", "3")
    assert answer(connection)[:2] == (200, 3)
    assert answer(ask(sluice, "/recorded/a?after=rubbish"))[0] == 400
    assert answer(ask(sluice, "/recorded/a?after=&timeout=100"))[0] == 504  # the first of many, which has no ID yet


def test_a_long_message(sluice, redis):
    """As a stream would bring it; and who asks for one after the other gets on."""
    connection = ask(sluice, "/wait/job/long")
    redis.wait_subscribed("w:job:long")
    redis.publish("w:job:long", "x" * 3_000_000)
    status, body, _ = answer(connection)
    assert status == 200 and body == "x" * 3_000_000
    redis.client().delete("w:stream")
    first = redis.client().xadd("w:stream", {"data": "y" * 3_000_000}).decode()
    redis.client().xadd("w:stream", {"data": "2"})
    status, body, headers = answer(ask(sluice, "/stream?after=0-0"))
    assert (status, len(body), headers["last-event-id"]) == (200, 3_000_000, first)
    assert answer(ask(sluice, f"/stream?after={first}"))[1] == 2


def test_a_script_sees_the_past_too(launch, redis):
    sluice = launch({"w": {**ROUTES["stream"], "streams": "w:script", "script": "s.lua"}}, start=False)
    (sluice.folder / "s.lua").write_text("return function(channel, message) return {got = message} end")
    sluice.start()
    redis.client().xadd("w:script", {"data": "7"})
    assert answer(ask(sluice, "/stream?after=0-0"))[:2] == (200, {"got": 7})


def test_a_stream(sluice, redis):
    redis.client().delete("w:stream")
    first = redis.client().xadd("w:stream", {"data": "1"}).decode()
    assert answer(ask(sluice, "/stream?after=0-0"))[1] == 1
    connection = ask(sluice, f"/stream?after={first}")
    redis.client().xadd("w:stream", {"data": "2"})
    assert answer(connection)[1] == 2


def test_the_first_that_counts_may_be_far(sluice, redis):
    pipe = redis.client().pipeline()
    for n in range(1300):
        pipe.xadd("w:late", {"data": str(n)})
    pipe.execute()
    assert answer(ask(sluice, "/late?after=0-0"))[1] == 1200


def test_none_is_missed_by_who_follows_by_id(sluice):
    """A writer, and a reader that asks anew after each: every message once, in order."""
    def write():
        for n in range(100):
            assert post(sluice, "/recorded/chain", str(n))[0] == 202
    thread = threading.Thread(target=write)
    thread.start()
    after, got = "0-0", []
    while len(got) < 100:
        status, body, headers = answer(ask(sluice, f"/recorded/chain?after={after}"))
        assert status == 200
        got.append(body)
        after = headers["last-event-id"]
    thread.join()
    assert got == list(range(100))


def test_none_is_missed_or_doubled_by_whichever_worker(launch, redis):
    """One of them may be behind the id that another has given."""
    sluice = launch({"w": ROUTES["stream"]}, server={"workers": 3})
    client = redis.client()
    client.delete("w:stream")

    def write():
        for n in range(150):
            client.xadd("w:stream", {"data": str(n)})
    thread = threading.Thread(target=write)
    thread.start()
    after, got = "0-0", []
    while len(got) < 150:
        status, body, headers = answer(ask(sluice, f"/stream?after={after}"))
        assert status == 200
        got.append(body)
        after = headers["last-event-id"]
    thread.join()
    assert got == list(range(150))


def test_an_id_that_is_none_of_ours_is_no_wall(launch, redis):
    """It is newer than all there is: then what comes from now on counts."""
    sluice = launch({"w": {**ROUTES["stream"], "streams": "w:wall"}})
    redis.client().xadd("w:wall", {"data": "0"}, id="5-0")
    connection = ask(sluice, "/stream?after=99-0")
    wait_for(lambda: sluice.status()["feeds"] >= 1, "it waits")
    with sluice.get("/stream?after=5-0&timeout=150") as response:
        assert response.status == 504  # the worker has looked at the first one's id by now
    redis.client().xadd("w:wall", {"data": "1"}, id="6-0")
    assert answer(connection)[1] == 1


def test_what_nobody_recorded_counts_too(sluice, redis):
    last = post(sluice, "/recorded/plain", "0")[2]["id"]
    connection = ask(sluice, f"/recorded/plain?after={last}")
    redis.wait_subscribed("w:rec:plain")
    with sluice.get(f"/recorded/plain?after={last}&timeout=150") as response:
        assert response.status == 504
    redis.publish("w:rec:plain", '"plain"')
    assert answer(connection)[1] == "plain"


def test_clients_that_go_away(sluice, redis):
    for _ in range(50):
        ask(sluice, "/wait/gone/1").close()
    wait_for(lambda: sluice.status()["connections"] == 1, "they have gone")
    came = counted(sluice)
    connection = ask(sluice, "/wait/gone/1?timeout=2000")
    came(1)
    redis.wait_subscribed("w:gone:1")
    redis.publish("w:gone:1", "1")
    assert answer(connection)[:2] == (200, 1)


@pytest.mark.parametrize("path", ["/wait/place/1?timeout=60000", "/plain?mode=poll&timeout=60000"])
def test_who_went_away_gives_its_place_back(launch, redis, path):
    """Not when its time is over: else a client that comes and goes keeps all others out."""
    sluice = launch({**ROUTES, "wait": {**ROUTES["wait"], "timeout_max": "60s"}}, server={"max_subscribers": 10})
    for _ in range(5):
        wait_for(lambda: sluice.status()["connections"] == 1, "nobody to be there but who asks")
        connections = [ask(sluice, path) for _ in range(10)]
        # Before all ten have theirs nobody else asks: he would take the last.
        wait_for(lambda: sluice.status()["connections"] == 11, "all to be there")
        wait_for(lambda: sluice.get("/plain").status == 429, "all places to be taken")
        for connection in connections:
            connection.close()

        def is_let_in():
            with sluice.get("/plain") as response:
                return response.status == 200
        wait_for(is_let_in, "a place to be free")


def test_its_subscription_ends(sluice, redis):
    answer(ask(sluice, "/wait/ends/1?timeout=50"))
    redis.wait_subscribed("w:ends:1", 0, 10)
    sluice.wait_status("feeds", 0, 15)


def test_many_at_once(sluice, redis):
    with ThreadPoolExecutor(50) as pool:
        futures = [pool.submit(lambda n=n: answer(ask(sluice, f"/wait/many/{n}?timeout=2000"))) for n in range(200)]
        for n in range(200):
            wait_for(lambda: futures[n].done() or redis.publish(f"w:many:{n}", str(n)), lambda: str(n), 20)
        assert [f.result()[:2] for f in futures] == [(200, n) for n in range(200)]


def test_a_reload_ends_it(launch, redis):
    import os
    import signal
    sluice = launch({"wait": ROUTES["stream"], "plain": ROUTES["plain"]})
    connection = ask(sluice, "/stream")
    wait_for(lambda: sluice.status()["feeds"] == 1, lambda: "it waits")
    del sluice.sections["route wait"]
    sluice.write_config()
    os.kill(sluice.child.pid, signal.SIGHUP)
    assert answer(connection)[0] == 504
    assert answer(ask(sluice, "/stream"))[0] == 404


def test_head_and_post(sluice):
    connection = sluice.connect()
    connection.send(fcgi.request("/wait/job/9", method="HEAD"))
    with fcgi.Response(connection) as response:
        assert response.status == 200
    assert post(sluice, "/wait/job/9")[0] == 405


def test_from_a_script(sluice, redis):
    """sluice wait"""
    began = time.monotonic()
    result = sluice.run("wait", "-c", sluice.config, "--timeout", "150", "/wait/cli/1")
    assert (result.returncode, result.out) == (3, "")
    assert "504" in result.err and 0.1 < time.monotonic() - began and soon(began, 2)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(sluice.run, "wait", "-c", sluice.config, "/wait/cli/2?timeout=2000")
        redis.wait_subscribed("w:cli:2")
        redis.publish("w:cli:2", '{"ok":true}')
        assert (future.result().returncode, future.result().out) == (0, '{"ok":true}\n')
    result = sluice.run("wait", "-c", sluice.config, "--timeout", "x", "/wait/cli/3")
    assert result.returncode == 1 and "400" in result.err
    assert sluice.run("wait", "-c", sluice.config, "/nothing").returncode == 1
    result = sluice.run("wait", "-c", sluice.config, "/plain")
    assert (result.returncode, result.out) == (1, "") and "sluice tail" in result.err, "a stream has no end"
    assert sluice.run("wait", "-c", sluice.config).returncode == 2


def test_a_long_poll_of_any_route(sluice, redis):
    """For clients that cannot read a stream."""
    connection = ask(sluice, "/plain?mode=poll&timeout=2000")
    redis.wait_subscribed("w:plain:1")
    redis.publish("w:plain:1", '{"n":1}')
    assert answer(connection)[:2] == (200, {"n": 1})


def test_polls_one_after_the_other_miss_nothing(launch, redis):
    sluice = launch({"s": {"path": "/s", "streams": "w:poll"}})
    client = redis.client()
    client.delete("w:poll")
    ids = [client.xadd("w:poll", {"data": n}).decode() for n in range(5)]
    after, got = "0-0", []
    for _ in range(5):
        status, body, headers = answer(ask(sluice, f"/s?mode=poll&after={after}"))
        assert status == 200
        got.append(body)
        after = headers["last-event-id"]
    assert got == list(range(5)) and after == ids[-1]
    assert answer(ask(sluice, f"/s?mode=poll&after={after}&timeout=50"))[0] == 504
    with sluice.open("/s", headers={"Accept": "text/event-stream, application/json"}) as stream:
        client.xadd("w:poll", {"data": 9})
        assert stream.next_message().data == "9"
