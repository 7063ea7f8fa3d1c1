"""handler = queue: each entry goes to one subscriber of the consumer group."""

import json
import os
import signal
import time

import pytest

from test_publish import post
from waiting import Timeout, deadline, soon, wait_for

JOBS = {"path": "/jobs/{kind}", "handler": "queue", "streams": "q:{kind}", "group": "workers"}
CLIENT = {**JOBS, "path": "/client/{kind}", "ack": "client", "claim_after": "400ms"}
ROUTES = {
    "jobs": {**JOBS, "filter": "message.skip == nil", "transform": "message.n", "publish_stream": "q:{kind}",
             "publish_auth": "none"},
    "client": CLIENT,
    "one": {**CLIENT, "path": "/one/{kind}", "prefetch": 1, "claim_after": "30s"},
    "poison": {**CLIENT, "path": "/poison", "streams": "q:poison", "dead_letter": "q:dead", "max_deliveries": 2,
               "claim_after": "150ms"},
    "failing": {**CLIENT, "path": "/failing", "streams": "q:failing", "transform": "message.a.b + 1", "dead_letter": "q:failed",
                "max_deliveries": 2, "claim_after": "150ms"},
    "lost": {**JOBS, "path": "/lost", "streams": "q:lost", "transform": "message.a.b", "until": "message.c.d == 1"},
    "unnamed": {**JOBS, "path": "/unnamed", "streams": "q:unnamed", "event": "{.type}"},
    "narrow": {**CLIENT, "path": "/narrow", "streams": "q:narrow", "prefetch": 1, "dead_letter": "q:narrow:dead",
               "max_deliveries": 2, "claim_after": "200ms"},
    "ends": {**JOBS, "path": "/ends", "streams": "q:ends", "max_events": 2},
    "until": {**JOBS, "path": "/until", "streams": "q:until", "until": "message.n == 1"},
    "new": {**JOBS, "path": "/new", "streams": "q:new", "start": "$"},
    "last": {**JOBS, "path": "/last", "streams": "q:last", "start": "last:2"},
    "team": {**JOBS, "path": "/team/{team}", "streams": "q:team", "group": "team-{team}"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def add(redis, key, *values):
    return [redis.client().xadd(key, {"data": json.dumps(v)}).decode() for v in values]


def pending(redis, key, group="workers"):
    return redis.client().xpending(key, group)["pending"]


def all_of(streams, n, seconds=5.0):
    """n messages in all: [(index of the stream, message)…]"""
    got, until = [], deadline(seconds)
    while len(got) < n:
        for i, stream in enumerate(streams):
            try:
                got.append((i, stream.next_message(0.02)))
            except Timeout:
                pass
        assert time.monotonic() < until, f"{len(got)} of {n}"
    return got


def ack(sluice, path, *ids):
    return post(sluice, f"{path}?ack={','.join(ids)}", "", type=None)


def test_each_to_one_in_fair_shares_and_acknowledged(sluice, redis):
    ids = add(redis, "q:fair", *[{"n": n} for n in range(40)])
    streams = [sluice.open("/jobs/fair")]
    got = all_of(streams, 40)
    assert [(e.data, e.last_event_id) for _, e in got] == [(str(n), ids[n]) for n in range(40)], "what was there before, in order"
    streams += [sluice.open("/jobs/fair") for _ in range(3)]
    ids = add(redis, "q:fair", *[{"n": n} for n in range(400)])
    got = all_of(streams, 400)
    assert sorted(int(e.data) for _, e in got) == list(range(400))
    assert {e.last_event_id for _, e in got} == set(ids)
    for i in range(4):
        assert 80 <= sum(1 for j, _ in got if j == i) <= 120
    wait_for(lambda: pending(redis, "q:fair") == 0, "all to be acknowledged")
    for s in streams:
        s.close()


def test_what_the_route_leaves_out_is_acknowledged(sluice, redis):
    with sluice.open("/jobs/skip") as s:
        add(redis, "q:skip", {"n": 1, "skip": True}, {"n": 2}, {"n": 3, "skip": True})
        assert s.next_message().data == "2"
        wait_for(lambda: pending(redis, "q:skip") == 0, "all to be acknowledged")


@pytest.mark.parametrize("path, bad, good, shown", [
    ("/lost", {}, {"a": {"b": 2}, "c": {}}, "2"),
    ("/unnamed", {"type": "stream-end"}, {"type": "x"}, '{"type": "x"}'),
])
def test_what_came_to_no_result_stays_pending(sluice, redis, path, bad, good, shown):
    """Nobody has had it: it is not acknowledged, whatever fails behind the first failure."""
    key = "q:" + path[1:]
    with sluice.open(path) as s:
        first, second = add(redis, key, bad, good)
        event = s.next_message()
        assert (event.data, event.last_event_id) == (shown, second)
        wait_for(lambda: pending(redis, key) == 1, "the second to be acknowledged")
    assert redis.client().xpending(key, "workers")["min"].decode() == first


def test_the_head_says_what_it_is(sluice):
    with sluice.open("/jobs/head", headers={"Last-Event-ID": "junk"}) as s:
        assert b'{"resumed":false,"from":null}' in s.body
        assert s.quiet_for(0.1)


def test_the_client_acknowledges(sluice, redis):
    path = "/client/a"
    with sluice.open(path) as s:
        ids = add(redis, "q:a", 1, 2, 3)
        assert [s.next_message().data for _ in range(3)] == ["1", "2", "3"]
        assert pending(redis, "q:a") == 3
        assert ack(sluice, path, ids[0], ids[2])[::2] == (200, {"acked": 2})
        assert ack(sluice, path, ids[0], "1-1")[::2] == (200, {"acked": 0})
        event = s.next_message(2)
        assert (event.data, event.last_event_id) == ("2", ids[1]), "nobody acknowledged it in time"
        assert ack(sluice, path, ids[1])[::2] == (200, {"acked": 1})
        assert s.quiet_for(0.6)
        assert pending(redis, "q:a") == 0


@pytest.mark.parametrize("ids", ["", "x", "1-1,", "1-1,y", ",".join(["1-1"] * 1001)])
def test_ids_that_are_none(sluice, ids):
    status, headers, problem = ack(sluice, "/client/a", ids)
    assert status == 400 and "ack" in problem["detail"]
    assert headers["content-type"] == "application/problem+json"


def test_methods(sluice):
    with sluice.get("/client/a", method="PUT") as response:
        assert response.status == 405 and response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert post(sluice, "/client/a%3A?ack=1-1", "", type=None)[0] == 400, "a parameter that breaks its rule"
    for query in ("", "?ack=", "?ack", "?Ack=1-1"):
        assert post(sluice, f"/client/a{query}", "", type=None)[0] == 400, "it is missing"
    assert post(sluice, "/jobs/posted", '{"n":5}')[0] == 202
    with sluice.open("/jobs/posted") as s:
        assert s.next_message().data == "5"


def test_who_vanished_is_replaced(sluice, redis):
    first = sluice.open("/client/b")
    second = sluice.open("/client/b")
    add(redis, "q:b", *range(6))
    got = all_of([first, second], 6)
    mine = [e.data for i, e in got if i == 0]
    assert len(mine) == 3
    ack(sluice, "/client/b", *[e.last_event_id for i, e in got if i == 1])
    first.close()
    began = time.monotonic()
    again = [second.next_message(3) for _ in range(3)]
    assert sorted(e.data for e in again) == sorted(mine)
    assert 0.2 <= time.monotonic() - began and soon(began, 2)
    ack(sluice, "/client/b", *[e.last_event_id for e in again])
    second.close()


def test_another_than_who_had_it(sluice, redis):
    """One that takes but never acknowledges does not keep an entry for itself."""
    with sluice.open("/client/c") as bad, sluice.open("/client/c") as good:
        add(redis, "q:c", 1, 2)
        all_of([bad, good], 2)
        had = [s.parser.last_event_id for s in (bad, good)]
        got = all_of([bad, good], 2, 4)
        assert {(i, e.last_event_id) for i, e in got} == {(1, had[0]), (0, had[1])}


def test_prefetch(sluice, redis):
    with sluice.open("/one/p") as one, sluice.open("/one/p") as two:
        ids = add(redis, "q:p", *range(4))
        got = all_of([one, two], 2)
        assert sorted(i for i, _ in got) == [0, 1]
        assert one.quiet_for(0.1) and two.quiet_for(0.1)
        assert ack(sluice, "/one/p", ids[0])[0] == 200
        assert all_of([one, two], 1)[0][1].last_event_id == ids[2]
        # An acknowledgement that comes to another worker, or another machine, counts as well.
        redis.client().xack("q:p", "workers", ids[1])
        redis.publish("q:p:acked", f"workers {ids[1]}")
        assert all_of([one, two], 1)[0][1].last_event_id == ids[3]
        redis.publish("q:p:acked", "workers")
        redis.publish("q:p:acked", f"others {ids[2]}")
        redis.publish("q:p:acked", "")
        assert sluice.status()["feeds"] > 0


def test_poison(sluice, redis):
    with sluice.open("/poison") as s:
        (id,) = add(redis, "q:poison", "bad")
        assert [s.next_message(2).last_event_id for _ in range(2)] == [id] * 2
        wait_for(lambda: redis.client().xlen("q:dead") == 1, "it to be among the dead")
        (_, fields), = redis.client().xrange("q:dead")
        assert fields == {b"data": b'"bad"', b"dead-id": id.encode(), b"dead-group": b"workers",
                          b"dead-deliveries": b"2"}
        wait_for(lambda: pending(redis, "q:poison") == 0, "it is nobody's any more")
        assert s.quiet_for(0.4)
        assert sluice.status()["dead_lettered"] >= 1


@pytest.mark.parametrize("path, key, n", [("/ends", "q:ends", 2), ("/until", "q:until", 2)])
def test_an_end_for_good(sluice, redis, path, key, n):
    with sluice.open(path) as s:
        add(redis, key, *[{"n": i} for i in range(5)])
        assert [json.loads(s.next_message().data)["n"] for _ in range(n)] == list(range(n))
        event = s.next_event()
        assert event.type == "stream-done" and event.last_event_id.endswith(".end")
        s.rest(5)
    wait_for(lambda: pending(redis, key) == 0, "what it was sent to be acknowledged")
    assert sluice.get(path, headers={"Last-Event-ID": event.last_event_id}).status == 204


def test_where_a_new_group_begins(sluice, redis):
    add(redis, "q:new", {"n": 1})
    add(redis, "q:last", *[{"n": n} for n in range(5)])
    with sluice.open("/new") as new, sluice.open("/last") as last:
        add(redis, "q:new", {"n": 2})
        assert json.loads(new.next_message().data) == {"n": 2}
        assert [json.loads(last.next_message().data)["n"] for _ in range(2)] == [3, 4]


def test_groups_by_parameter(sluice, redis):
    with sluice.open("/team/a") as a, sluice.open("/team/b") as b:
        add(redis, "q:team", 1)
        assert a.next_message().data == b.next_message().data == "1"


def test_a_group_that_is_deleted(sluice, redis):
    with sluice.open("/jobs/gone") as s:
        add(redis, "q:gone", {"n": 1})
        assert s.next_message().data == "1"
        redis.client().delete("q:gone")
        add(redis, "q:gone", {"n": 2})
        assert s.next_message().data == "2"


def test_consumers_leave(launch, redis):
    sluice = launch({"q": {**JOBS, "path": "/q", "streams": "q:leave"}})
    with sluice.open("/q") as s:
        add(redis, "q:leave", 1)
        s.next_message()
        assert len(redis.client().xinfo_consumers("q:leave", "workers")) == 1
    wait_for(lambda: redis.client().xinfo_consumers("q:leave", "workers") == [], "the consumer to leave", 15)


def test_clients_are_killed(launch, redis):
    """Entries reach all; one is delivered twice only if its first holder was killed."""
    N = 2000
    key = "q:killed"
    sluice = launch({"q": {**JOBS, "path": "/q", "streams": key, "ack": "client", "claim_after": "3s", "prefetch": 20}},
                    server={"workers": 2})  # so that nobody holds an entry for half as long, however slow the machine
    clients = [sluice.open("/q") for _ in range(5)]
    owner, twice, killed, done = {}, [], set(), set()
    pipe = redis.client().pipeline()
    for n in range(N):
        pipe.xadd(key, {"data": n})
    pipe.execute()
    serial = list(range(5))
    until, kill_at = deadline(60), time.monotonic() + 0.3
    while len(done) < N:
        assert time.monotonic() < until, f"{len(done)} of {N}"
        for i, client in enumerate(clients):
            ids = []
            try:
                while len(ids) < 20:
                    e = client.next_message(0.005)
                    if e.data in owner and owner[e.data] not in killed:
                        twice.append(e.data)
                    owner[e.data] = serial[i]
                    ids.append((e.last_event_id, e.data))
            except Timeout:
                pass
            if ids:
                ack(sluice, "/q", *[i for i, _ in ids])
            done |= {d for _, d in ids}
        if time.monotonic() > kill_at and len(killed) < 5:
            i = len(killed) % 5
            clients[i].close()
            killed.add(serial[i])
            serial[i] = 100 + len(killed)
            clients[i] = sluice.open("/q")
            kill_at = time.monotonic() + 0.3
    assert twice == []
    wait_for(lambda: pending(redis, key) == 0, "all to be acknowledged")
    for c in clients:
        c.close()


def test_redis_is_killed(launch, own_redis):
    """With each write on disk nothing is lost, and the queue goes on."""
    server = own_redis(options=["--appendonly", "yes", "--appendfsync", "always"]).start()
    sluice = launch({"q": {**JOBS, "path": "/q", "streams": "q:k", "ack": "client", "claim_after": "300ms"}},
                    redis=server)
    with sluice.open("/q") as s:
        for round in range(3):
            add(server, "q:k", round)
            event = s.next_message(15)
            assert event.data == str(round)
            wait_for(lambda: ack(sluice, "/q", event.last_event_id)[0] == 200, "Redis to have it", 15)
            server.kill()
            server.start()
    assert pending(server, "q:k") == 0


@pytest.mark.parametrize("keys, why", [
    ({"group": ""}, "needs a consumer group"),
    ({"streams": "a b"}, "needs one stream"),
    ({"channels": "a"}, "handler = queue gives the entries of one stream"),
    ({"channels": "0"}, "handler = queue gives the entries of one stream"),
    ({"rate": "1/s"}, "handler = queue gives the entries of one stream"),
    ({"max_deliveries": 3}, "there is no dead_letter"),
    ({"ack": "me"}, "client"),
    ({"handler": "relay"}, "only handler = queue has one"),
])
def test_configurations_that_are_wrong(launch, keys, why):
    keys = {k: v for k, v in {**JOBS, "path": "/q", "streams": "q", **keys}.items() if v != ""}
    sluice = launch({"q": keys}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and why in result.out + result.err


def test_what_the_logic_cannot_do_is_not_had(sluice, redis):
    """An entry whose transform fails is nobody's: it comes again, and becomes a dead letter."""
    with sluice.open("/failing") as stream:
        bad, = add(redis, "q:failing", {"n": 1})
        good, = add(redis, "q:failing", {"a": {"b": 2}})
        assert stream.next_message().data == "3"
        ack(sluice, "/failing", good)
        wait_for(lambda: redis.client().xlen("q:failed") == 1, "the dead letter", 10)
        assert redis.client().xrange("q:failed")[0][1][b"dead-id"].decode() == bad


def test_a_dead_letter_takes_no_room_of_who_held_it(sluice, redis):
    with sluice.open("/narrow") as one, sluice.open("/narrow") as two:
        add(redis, "q:narrow", 1)
        assert {i for i, _ in all_of([one, two], 2, 10)} == {0, 1}, "each has had it, and none acknowledged it"
        wait_for(lambda: redis.client().xlen("q:narrow:dead") == 1, "the dead letter", 10)
        ids = add(redis, "q:narrow", 2, 3)
        served = set()
        while served != {0, 1}:  # both have room again; what is not acknowledged in time comes again
            served |= {i for i, _ in all_of([one, two], 1, 10)}
        ack(sluice, "/narrow", *ids)


def test_a_script_that_ends_and_says_nothing(launch, redis):
    sluice = launch({"stop": {**JOBS, "path": "/stop", "streams": "q:stop", "script": "s.lua"}}, start=False)
    (sluice.folder / "s.lua").write_text("return function(channel, message) if message.last then return false end return message end")
    sluice.start()
    with sluice.open("/stop") as stream:
        add(redis, "q:stop", {"n": 1}, {"last": True})
        assert json.loads(stream.next_message().data) == {"n": 1}
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-done", {"reason": "until"})
    wait_for(lambda: pending(redis, "q:stop") == 0, "both were had")


def test_a_killed_worker_leaves_no_consumer_for_ever(launch, redis):
    """Whoever follows the queue next sees to it, once what it had is another's."""
    sluice = launch({"k": {**CLIENT, "path": "/k", "streams": "q:killed", "claim_after": "100ms"}})
    client = redis.client()

    def consumers():
        return {c["name"] for c in client.xinfo_consumers("q:killed", "workers")}
    doomed = sluice.open("/k")
    add(redis, "q:killed", 1)
    doomed.next_message()
    killed, worker = consumers(), sluice.worker()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: sluice.workers() not in ([], [worker]), "another worker is there")
    with sluice.open("/k") as s:
        event = s.next_message(10)
        assert event.data == "1"
        ack(sluice, "/k", event.last_event_id)
        wait_for(lambda: not consumers() & killed, "its consumer to be gone", 30)
        add(redis, "q:killed", 2)
        while s.next_message(10).data != "2":
            pass
    doomed.close()
