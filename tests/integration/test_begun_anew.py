"""Streams and logs that are deleted, trimmed and begun anew: whoever follows them, or comes back, is told, and goes on."""

import contextlib
import json
import os
import signal
import threading

import pytest

from waiting import SLOW, left, moment, wait_for

ROUTES = {
    "one": {"path": "/one/{name}", "streams": "s:{name}"},
    "room": {"path": "/room/{name}", "channels": "r:{name}", "record": 5},
    "two": {"path": "/two/{name}", "streams": "s:{name} s:other"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from redisd import RedisServer
    path = tmp_path_factory.mktemp("redis")
    server = RedisServer(path)
    yield server.start()
    server.end()


@pytest.fixture
def sluice(launch, server):
    server.client().flushall()
    sluice = launch(ROUTES, redis=server, server={"workers": 1})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


class Busy:
    """An entry every 20 ms in another stream of the same connection."""

    def __init__(self, server):
        self.client, self.is_over = server.client(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over.wait(0.02):
            self.client.xadd("s:busy", {"data": "1"})

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def record(pipe, name, id, text):
    """As conf/record.lua does, but with an id of our own."""
    pipe.xadd(f"r:{name}:log", {"data": text}, id=id)
    pipe.publish(f"r:{name}", f"\x1e{id}\n{text}")


def reset(stream, reason, timeout=5.0):
    event = stream.next_of("stream-reset", timeout)
    assert json.loads(event.data) == {"reason": reason}


def data(stream, n):
    return [stream.next_message().data for _ in range(n)]


@pytest.mark.parametrize("how", ["del", "flushall"])
def test_a_quiet_stream_beside_a_busy_one(sluice, server, how):
    client = server.client()
    with sluice.open("/one/busy") as busy, sluice.open("/one/quiet") as s, Busy(server):
        client.xadd("s:quiet", {"data": "old"}, id="100-5")
        assert data(s, 1) == ["old"]
        busy.next_message()
        client.execute_command(how, *(["s:quiet"] if how == "del" else []))
        client.xadd("s:quiet", {"data": "1"}, id="1-1")
        client.xadd("s:quiet", {"data": "2"}, id="1-2")
        reset(s, "unknown-id")
        assert data(s, 2) == ["1", "2"]
        assert s.parser.last_event_id == "1-2"
        client.xadd("s:quiet", {"data": "3"}, id="1-3")
        assert data(s, 1) == ["3"]


def test_who_looks_costs_little(sluice, server):
    """Each quiet stream is looked at once in four seconds."""
    client = server.client()
    streams = [sluice.open(f"/one/q{i}") for i in range(20)]

    def n_looks():
        return client.info("commandstats")["cmdstat_xinfo|stream"]["calls"]
    with sluice.open("/one/busy") as busy, Busy(server):
        before, until = n_looks(), moment(9 / SLOW)
        while left(until):
            busy.next_message()
        looks = n_looks() - before
    assert 20 <= looks <= 20 * 3 + 1
    for s in streams:
        s.close()


@pytest.mark.parametrize("path, key", [("/one/x", "s:x"), ("/room/x", "r:x:log")])
def test_an_id_newer_than_the_end(sluice, server, path, key):
    server.client().xadd(key, {"data": "1"}, id="5-0")
    with sluice.get(path, headers={"Last-Event-ID": "9-0"}) as s:
        assert json.loads(s.next_event().data) == {"resumed": False, "from": "5-0"}
        reset(s, "unknown-id")


def test_who_comes_back_to_another_stream(sluice, server):
    """Its ids are newer than the client's, and nothing was ever trimmed from it."""
    client = server.client()
    client.xadd("s:x", {"data": "1"}, id="5-0")
    client.delete("s:x")
    client.xadd("s:x", {"data": "2"}, id="8-0")
    with sluice.get("/one/x", headers={"Last-Event-ID": "5-0"}) as s:
        assert json.loads(s.next_event().data) == {"resumed": True, "from": "5-0"}
        reset(s, "trimmed")
        assert data(s, 1) == ["2"]


@contextlib.contextmanager
def cut(sluice, server):
    """What happens within it happens while Sluice has no link."""
    client = server.client()
    os.kill(sluice.worker(), signal.SIGSTOP)
    try:
        for kind in "normal", "pubsub":
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        wait_for(lambda: len(client.client_list()) == 1, "all links are cut")
        now = client.time()
        wait_for(lambda: (client.time()[0] - now[0]) * 1_000_000 + client.time()[1] - now[1] > 1000, "no entry has an id that another had before")
        yield client
    finally:
        os.kill(sluice.worker(), signal.SIGCONT)


@pytest.mark.parametrize("n_before, n_lost, n_after", [(3, 10, 2), (3, 0, 2), (1, 10, 10)])
def test_a_stream_that_was_another_while_links_were_cut(sluice, server, n_before, n_lost, n_after):
    with sluice.open("/one/x") as s:
        for i in range(n_before):
            server.client().xadd("s:x", {"data": str(i)})
        data(s, n_before)
        with cut(sluice, server) as client:
            for i in range(n_lost):
                client.xadd("s:x", {"data": "lost"})
            client.delete("s:x")
            for i in range(n_after):
                client.xadd("s:x", {"data": str(i)})
        reset(s, "trimmed", 10)
        assert data(s, n_after) == [str(i) for i in range(n_after)]


def test_nothing_is_told_when_nothing_was_lost(sluice, server):
    """Trimmed up to where we stood, and no further; and a stream of one entry."""
    client = server.client()
    with sluice.open("/one/x") as s, sluice.open("/room/x") as r:
        for i in range(1, 4):
            client.xadd("s:x", {"data": str(i)}, id=f"{i}-0")
            record(client, "x", f"{i}-0", str(i))
        assert data(s, 3) == data(r, 3) == ["1", "2", "3"]
        with cut(sluice, server):
            for i in range(4, 6):
                client.xadd("s:x", {"data": str(i)}, id=f"{i}-0", maxlen=2, approximate=False)
                record(client, "x", f"{i}-0", str(i))
            client.xtrim("r:x:log", maxlen=2, approximate=False)
        for stream in s, r:
            events = [stream.next_event(10), stream.next_event()]
            assert [e.data for e in events] == ["4", "5"]


def test_more_than_are_kept_while_links_were_cut(sluice, server):
    with sluice.open("/room/x") as s:
        record(server.client(), "x", "1-0", "1")
        assert data(s, 1) == ["1"]
        with cut(sluice, server) as client:
            for i in range(2, 12):
                record(client, "x", f"{i}-0", str(i))
            client.xtrim("r:x:log", maxlen=5, approximate=False)
        reset(s, "trimmed", 10)
        assert data(s, 5) == ["7", "8", "9", "10", "11"]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_log_that_begins_anew(sluice, server, is_cut):
    client = server.client()
    with sluice.open("/room/x") as s, sluice.open("/room/x") as other:
        record(client, "x", "100-5", "old")
        assert data(s, 1) == data(other, 1) == ["old"]
        with cut(sluice, server) if is_cut else contextlib.nullcontext():
            client.delete("r:x:log")
            record(client, "x", "1-1", "1")
            record(client, "x", "1-2", "2")
        for one in s, other:
            reset(one, "unknown-id", 10)
            assert data(one, 2) == ["1", "2"]
        record(client, "x", "1-3", "3")
        assert data(s, 1) == data(other, 1) == ["3"]


def test_connections_that_follow_nothing_are_closed(sluice, server):
    client = server.client()
    n = len(client.client_list())
    streams = [sluice.get(f"/one/n{i}") for i in range(300)]
    assert len(client.client_list()) >= n + 3
    for s in streams:
        s.close()
    wait_for(lambda: len(client.client_list()) <= n, "the readers' connections are closed", 15)
    with sluice.open("/one/n1") as s:  # and made again
        client.xadd("s:n1", {"data": "1"})
        assert data(s, 1) == ["1"]


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_a_server_that_lost_what_it_wrote_last(launch, own_redis, is_trimmed):
    """Restarted from what it had saved, as a replica is promoted that had not received all: what is left was sent already."""
    server = own_redis().start()
    sluice = launch(ROUTES, redis=server, server={"workers": 1})
    with sluice.open("/one/x") as s, sluice.open("/room/x") as r:
        def written(ids):
            for i in ids:
                server.client().xadd("s:x", {"data": str(i)}, id=f"{i}-0")
                record(server.client(), "x", f"{i}-0", str(i))
            return [str(i) for i in ids]
        first = written(range(1, 6))
        assert data(s, 5) == data(r, 5) == first
        if is_trimmed:
            for key in "s:x", "r:x:log":
                server.client().xtrim(key, maxlen=3, approximate=False)
        server.client().save()
        then = written(range(6, 9))
        assert data(s, 3) == data(r, 3) == then
        server.kill()
        server.start()
        for one in s, r:
            reset(one, "unknown-id", 10)
        server.client().xadd("s:x", {"data": "new"}, id="6-1")
        record(server.client(), "x", "6-1", "new")
        assert data(s, 1) == data(r, 1) == ["new"]
        assert s.parser.last_event_id == r.parser.last_event_id == "6-1"


def write(client, id):
    client.xadd("s:x", {"data": str(id)}, id=f"{id}-0")
    record(client, "x", f"{id}-0", str(id))


@pytest.mark.parametrize("n_gone", [1, 3])
def test_a_fail_over_while_others_write(launch, own_redis, n_gone):
    """As workers come to the new server one after another: what was written to the old one last is gone, and other entries, older
    and newer ones, are in its stead."""
    server = own_redis().start()
    sluice = launch(ROUTES, redis=server, server={"workers": 1})
    with sluice.open("/one/x") as s, sluice.open("/room/x") as r, sluice.open("/two/x") as two:
        server.client().xadd("s:other", {"data": "1"}, id="1-0")
        assert data(two, 1) == ["1"]
        for id in 10, 20, 30:
            write(server.client(), id)
        server.client().save()
        gone = [40 + 4 * i for i in range(n_gone)]
        for id in gone:
            write(server.client(), id)
        for one in s, r, two:
            assert data(one, 3 + n_gone) == [str(id) for id in [10, 20, 30, *gone]]
        os.kill(sluice.worker(), signal.SIGSTOP)
        try:
            server.kill()
            server.start()
            for id in 35, 42, 70:
                write(server.client(), id)
        finally:
            os.kill(sluice.worker(), signal.SIGCONT)
        for one in s, r, two:
            reset(one, "unknown-id", 10)
            assert data(one, 3) == ["35", "42", "70"]
        write(server.client(), 80)
        for one, last in (s, "80-0"), (r, "80-0"), (two, "80-0,1-0"):
            assert [one.next_event().data, one.parser.last_event_id] == ["80", last]
