"""What came before is read page by page, as its client takes it: it costs Redis and others next to nothing, and comes whole."""

import json
import threading
import time
import urllib.parse

import pytest

from fcgi import Connection, Response, request
from waiting import bound, deadline, wait_for

LARGE = "x" * 20000
ROUTES = {
    "mux": {"path": "/mux", "handler": "mux", "routes": "large"},
    "large": {"path": "/large", "streams": "large", "history": "10000"},
    "one": {"path": "/one/{name}", "streams": "{name}", "history": "10000"},
    "newest": {"path": "/newest/{name}", "streams": "{name}", "history": "700"},
    "last": {"path": "/last", "streams": "last", "start": "last:900"},
    "two": {"path": "/two", "streams": "two:a two:b", "history": "10000"},
    "odd": {"path": "/odd", "streams": "odd", "history": "10000", "filter": "message.n % 500 == 499"},
    "batch": {"path": "/batch", "streams": "batch", "history": "10000", "batch": "7/50ms"},
    "max": {"path": "/max", "streams": "max", "history": "10000", "max_events": "600"},
}


@pytest.fixture
def server(own_redis):
    return own_redis().start()


@pytest.fixture
def sluice(launch, server):
    sluice = launch(ROUTES, redis=server, server={"workers": 1})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def fill(server, key, n, value=None, first=1):
    """Entries 1-0, 2-0, …: their ids."""
    pipe = server.client().pipeline(transaction=False)
    for i in range(first, first + n):
        pipe.xadd(key, {"data": json.dumps({"n": i}) if value is None else value}, id=f"{i}-0")
    pipe.execute()
    return [f"{i}-0" for i in range(first, first + n)]


def ids_of(stream, n, timeout=20.0):
    return [stream.next_message(timeout).last_event_id for _ in range(n)]


def calls(server, command):
    return server.client().info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


class Peak:
    """The most memory that Redis has had, beyond what it had at the beginning."""

    def __init__(self, server):
        self.client = server.client()
        self.before = self.most = self.now()
        self.is_over = False
        self.thread = threading.Thread(target=self.watch)

    def now(self):
        return self.client.info("memory")["used_memory"]

    def watch(self):
        while not self.is_over:
            self.most = max(self.most, self.now())
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    @property
    def grown(self):
        return self.most - self.before


class Counter:
    """How often something stands in bytes that come in pieces."""

    def __init__(self, pattern):
        self.pattern, self.tail, self.n = pattern, b"", 0

    def take(self, data):
        data = self.tail + data
        self.n += data.count(self.pattern)
        self.tail = data[1 - len(self.pattern):]


def test_a_mux_of_large_pasts(sluice, server):
    """Each of its legs gets all, and others are answered meanwhile."""
    n, legs = 100, 60
    fill(server, "large", n + 1, LARGE)
    query = urllib.parse.quote(json.dumps([[f"k{i}", "/large", "1-0"] for i in range(legs)]))
    slowest, messages = 0.0, Counter(b'","message","')
    with Peak(server) as peak, Connection(sluice.address) as connection:
        with connection.get(f"/mux?s={query}") as stream:
            until, next_look = deadline(60), 0
            while messages.n < n * legs:
                messages.take(stream.receive(until))
                if messages.n >= next_look:
                    next_look += 200
                    began = time.monotonic()
                    assert sluice.get("/status").status == 200
                    slowest = max(slowest, (time.monotonic() - began) / bound(0.1, began))
    assert peak.grown < 64 << 20
    assert slowest < 1


def test_who_reads_nothing_costs_a_page(sluice, server):
    fill(server, "one", 500, LARGE)
    with Peak(server) as peak:
        silent = []
        for _ in range(50):
            connection = Connection(sluice.address, receive_buffer=4096)
            connection.send(request("/one/one", headers={"Last-Event-ID": "1-0"}))
            silent.append(connection)
        wait_for(lambda: sluice.status()["replayed"] >= 50 * 3, "each has its first page")
        with sluice.open("/one/one") as other:
            fill(server, "one", 1, "marker", first=501)
            assert other.next_message().data == "marker"
        # What the kernel takes for a client that does not read, and a page; not the 499 that it missed.
        assert sluice.status()["replayed"] < 50 * 40
        for connection in silent:
            connection.close()
    assert peak.grown < 16 << 20
    sluice.wait_subscribers(0)


def test_a_slow_client_gets_all(sluice, server):
    """It reads less than is written meanwhile, and what it missed is larger than its queue."""
    fill(server, "slow", 300, LARGE)
    with Connection(sluice.address, receive_buffer=16384) as connection:
        with connection.get("/one/slow", headers={"Last-Event-ID": "1-0"}) as stream:
            assert json.loads(stream.next_of("stream-open").data) == {"resumed": True, "from": "1-0"}
            got = ids_of(stream, 100)
            fill(server, "slow", 100, LARGE, first=301)
            got += ids_of(stream, 250)
            fill(server, "slow", 50, LARGE, first=401)
            got += ids_of(stream, 99)
    assert got == [f"{i}-0" for i in range(2, 451)]


def test_equal_pasts_are_read_once(sluice, server):
    fill(server, "equal", 2001)
    streams = [Connection(sluice.address) for _ in range(40)]
    for connection in streams:
        connection.send(request("/one/equal", headers={"Last-Event-ID": "1-0"}))
    for connection in streams:
        assert ids_of(Response(connection), 2000) == [f"{i}-0" for i in range(2, 2002)]
        connection.close()
    assert calls(server, "xrange") + calls(server, "xrevrange") < 40 * 3


def test_the_newest_of_a_longer_gap(sluice, server):
    fill(server, "long", 5000)
    for last, n, is_trimmed in (("1-0", 700, True), ("4299-0", 700, True), ("4300-0", 700, False), ("4990-0", 10, False)):
        with sluice.get("/newest/long", headers={"Last-Event-ID": last}) as stream:
            assert json.loads(stream.next_event().data) == {"resumed": True, "from": last}
            if is_trimmed:
                event = stream.next_event()
                assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "trimmed"})
            events = [stream.next_event() for _ in range(n)]
            assert [e.last_event_id for e in events] == [f"{i}-0" for i in range(5001 - n, 5001)]


def test_the_last_so_many(sluice, server):
    fill(server, "last", 3000)
    with sluice.open("/last") as stream:
        assert ids_of(stream, 900) == [f"{i}-0" for i in range(2101, 3001)]
        fill(server, "last", 1, first=3001)
        assert ids_of(stream, 1) == ["3001-0"]


def test_two_streams_come_in_order(sluice, server):
    """Of one there are few large entries, of the other many small ones; some with the same id."""
    fill(server, "two:a", 1500)
    for i in range(100, 1500, 100):
        server.client().xadd("two:b", {"data": LARGE}, id=f"{i}-0")
    with sluice.get("/two", headers={"Last-Event-ID": "1-0,100-0"}) as stream:
        stream.next_of("stream-open")
        got = [tuple(id.split(",")) for id in ids_of(stream, 1499 + 13)]
        fill(server, "two:b", 1, first=5000)
        assert ids_of(stream, 1) == ["1500-0,5000-0"]
    wanted, a, b = [], 1, 100
    for i in range(2, 1501):
        a = i
        wanted.append((f"{a}-0", f"{b}-0"))
        if i % 100 == 0 and 100 < i < 1500:
            b = i
            wanted.append((f"{a}-0", f"{b}-0"))
    assert got == wanted


def test_trimmed_while_it_is_read(sluice, server):
    fill(server, "trim", 400, LARGE)
    with Connection(sluice.address, receive_buffer=16384) as connection:
        with connection.get("/one/trim", headers={"Last-Event-ID": "1-0"}) as stream:
            ids_of(stream, 1)
            server.client().xtrim("trim", minid="390-0")
            fill(server, "trim", 1, "marker", first=401)
            events = [stream.next_event()]
            while events[-1].data != "marker":
                events.append(stream.next_event())
    resets = [i for i, e in enumerate(events) if e.type == "stream-reset"]
    assert [json.loads(events[i].data) for i in resets] == [{"reason": "trimmed"}]
    before = [e.last_event_id for e in events[:resets[0]]]
    behind = [e.last_event_id for e in events[resets[0] + 1:]]
    assert before == [f"{i}-0" for i in range(3, 3 + len(before))]
    assert behind == [f"{i}-0" for i in range(390, 402)]


def test_what_the_route_makes_of_it(sluice, server):
    """Filter, batch and max_events, over many pages."""
    fill(server, "odd", 5000)
    fill(server, "batch", 3000)
    fill(server, "max", 3000)
    with sluice.get("/odd", headers={"Last-Event-ID": "1-0"}) as stream:
        assert ids_of(stream, 10) == [f"{i}-0" for i in range(499, 5000, 500)]
    with sluice.get("/batch", headers={"Last-Event-ID": "1-0"}) as stream:
        got = [json.loads(stream.next_message().data) for _ in range(429)]
        assert [b["count"] for b in got] == [7] * 428 + [3]
        assert [one["data"]["n"] for b in got for one in b["batch"]] == list(range(2, 3001))
    with sluice.get("/max", headers={"Last-Event-ID": "1-0"}) as stream:
        events = [e for e in stream.rest() if e.type == "message"]
        assert [e.last_event_id for e in events] == [f"{i}-0" for i in range(2, 602)]


def test_the_link_is_lost_while_it_is_read(sluice, server):
    fill(server, "cut", 400, LARGE)
    with Connection(sluice.address, receive_buffer=16384) as connection:
        with connection.get("/one/cut", headers={"Last-Event-ID": "1-0"}) as stream:
            got = ids_of(stream, 20)
            server.client().client_kill_filter(_type="normal", skipme=True)
            got += ids_of(stream, 100)
            server.client().client_kill_filter(_type="normal", skipme=True)
            got += ids_of(stream, 279)
    assert got == [f"{i}-0" for i in range(2, 401)]


def test_trimmed_is_told_where_something_is_missing_and_only_there(sluice, server):
    """The stream is trimmed exactly behind the last entry that was read for a client that does not take it."""
    n, client = 1500, server.client()
    fill(server, "brim", n, "y" * 2000)
    client.config_set("slowlog-log-slower-than", 0)

    def pages():
        """(first, count) of each page that was read, the newest first"""
        words = [entry["command"].decode().split() for entry in client.slowlog_get(100)]
        return [(int(w[2].split("-")[0]), int(w[5])) for w in words if w[0] == "XRANGE" and w[1] == "brim"]

    connection = Connection(sluice.address)
    connection.send(request("/one/brim", headers={"Last-Event-ID": "0-0"}))
    try:
        wait_for(lambda: len(pages()) > 1 and steady(pages), "it is read no further")
        first, count = pages()[0]
        assert first + count <= n, "there is more"
        client.xtrim("brim", minid=f"{first + count}-0", approximate=False)
        with Response(connection) as stream:
            events = []
            while not events or events[-1].last_event_id != f"{n}-0":
                events.append(stream.next_event())
    finally:
        connection.close()
    got = [int(e.last_event_id.split("-")[0]) for e in events if e.type == "message"]
    told = [json.loads(e.data)["reason"] for e in events if e.type == "stream-reset"]
    assert got == sorted(set(got)) and got[-1] == n
    assert told == ([] if got == list(range(1, n + 1)) else ["trimmed"])


def steady(value, looks=20):
    """Is it the same at each of so many looks?"""
    before = value()
    for _ in range(looks):
        time.sleep(0.02)
        if value() != before:
            return False
    return True
