"""The large runs: what is kept in Redis reaches all, once and in order, whatever is cut or killed meanwhile.

Redis writes each command to disk (AOF, fsync always), and is killed and started again while each run goes on.
"""

import json
import random
import resource
import select
import socket
import threading
import time
from pathlib import Path

import pytest
import redis as redis_client

import fcgi
from streams import Disconnected
from test_publish import post
from waiting import Timeout, deadline, patient, wait_for

AOF = ["--appendonly", "yes", "--appendfsync", "always"]
KILLS = 5


def persist(function):
    """Until Redis has answered: it may be away. function says whether it was done before."""
    until = deadline(60)
    while True:
        try:
            return function()
        except (redis_client.ConnectionError, redis_client.TimeoutError):
            assert time.monotonic() < until
            time.sleep(0.02)


class Killer:
    """Kills Redis so many times, spread over the run. (Not by a thread: its child would end with it.)"""

    def __init__(self, server, seconds, n=KILLS):
        self.server, self.pause, self.left = server, seconds / (n + 1), n
        self.due = time.monotonic() + self.pause

    def step(self):
        if self.left > 0 and time.monotonic() >= self.due:
            self.server.kill()
            self.server.start()
            self.left -= 1
            self.due = time.monotonic() + self.pause


class Writer(threading.Thread):
    """Adds 0, 1, 2… to a stream under its own name; what Redis has had is not added again."""

    def __init__(self, server, key, name, n, pause):
        super().__init__()
        self.server, self.key, self.name_, self.n, self.pause, self.error = server, key, name, n, pause, None

    def run(self):
        try:
            for i in range(self.n):
                self.add(json.dumps([self.name_, i]))
                time.sleep(self.pause)
        except BaseException as e:
            self.error = e

    def add(self, text):
        script = """if redis.call('GET', KEYS[2]) == ARGV[1] then return end
                    redis.call('XADD', KEYS[1], '*', 'data', ARGV[1])
                    redis.call('SET', KEYS[2], ARGV[1])"""

        def once():
            with redis_client.Redis(unix_socket_path=self.server.path, socket_timeout=5) as r:
                r.eval(script, 2, self.key, f"written:{self.name_}:{self.key}", text)
        persist(once)


class CutClient:
    """Comes, takes one event, and is cut off; it comes back with the last id."""

    def __init__(self, address, path, headers):
        self.address, self.path, self.headers = address, path, headers
        self.last, self.got, self.response = None, [], None

    def step(self):
        """Returns whether it got one."""
        try:
            if self.response is None:
                headers = {**self.headers, **({"Last-Event-ID": self.last} if self.last else {})}
                connection = fcgi.Connection(self.address)
                connection.send(fcgi.request(self.path, headers=headers))
                self.response = fcgi.Response(connection, timeout=20)
            event = self.response.next_event(0.002)
            if event.type == "stream-open":
                self.last = self.response.parser.last_event_id
                event = self.response.next_event(0.002)
        except Timeout:
            return False
        except Disconnected:
            self.cut()
            return False
        assert event.type == "message", event
        self.last = event.last_event_id
        self.got.append(json.loads(event.data))
        self.cut()
        return True

    def cut(self):
        if self.response is not None:
            self.response.close()
        self.response = None


def test_cut_after_every_event(launch, own_redis):
    """Two streams, four publishers, 200 clients: each entry once, in order per stream, in every client."""
    n, publishers, clients = 15, 4, 200
    server = own_redis(options=AOF).start()
    sluice = launch({"r": {"path": "/r", "streams": "n:a n:b", "start": "0"}}, redis=server, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    crowd = [CutClient(sluice.address, "/r", {}) for _ in range(clients)]
    writers = [Writer(server, key, name, n, 0.5) for name in range(publishers) for key in ("n:a", "n:b")]
    killer = Killer(server, n * 0.5)
    for writer in writers:
        writer.start()
    total = n * len(writers)
    until, cuts = deadline(120), 0
    try:
        while any(len(c.got) < total for c in crowd):
            assert time.monotonic() < until, sorted(len(c.got) for c in crowd)
            cuts += sum(c.step() for c in crowd if len(c.got) < total)
            killer.step()
    finally:
        for c in crowd:
            c.cut()
        for w in writers:
            w.join(60)
    assert killer.left == 0
    assert not [w.error for w in writers if w.error]
    with redis_client.Redis(unix_socket_path=server.path) as r:
        kept = {key: [json.loads(f[b"data"]) for _, f in r.xrange(key)] for key in ("n:a", "n:b")}
    for c in crowd:
        for entries in kept.values():
            assert len(entries) == n * publishers
        assert len(c.got) == total
        # A writer's entries of either stream are told apart by counting: each number comes twice, once of each.
        for name in range(publishers):
            of_writer = [i for who, i in c.got if who == name]
            assert sorted(of_writer) == sorted([*range(n), *range(n)])
    print(f"{total} entries, {clients} clients, {cuts} connections cut, Redis killed {KILLS} times")


def test_order_per_stream(launch, own_redis):
    """The same with the stream in each entry: what a client saw of a stream is what the stream holds."""
    server = own_redis(options=AOF).start()
    sluice = launch({"r": {"path": "/r", "streams": "n:a n:b", "start": "0", "event": "{channel}"}}, redis=server)
    writers = [Writer(server, key, name, 40, 0.05) for name in range(2) for key in ("n:a", "n:b")]
    for w in writers:
        w.start()
    seen, last, until = {"n:a": [], "n:b": []}, None, deadline(60)
    while sum(map(len, seen.values())) < 160:
        assert time.monotonic() < until
        with fcgi.get(sluice.address, "/r", headers={"Last-Event-ID": last} if last else {}) as response:
            try:
                for _ in range(random.Random(len(seen["n:a"])).randrange(1, 9)):
                    event = response.next_message(0.5)
                    seen[event.type].append(json.loads(event.data))
                    last = event.last_event_id
            except Timeout:
                pass
    for w in writers:
        w.join(30)
    for key, got in seen.items():
        assert got == [json.loads(f[b"data"]) for _, f in server.client().xrange(key)]


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SCRIPT = (Path(__file__).parents[2] / "conf/record.lua").read_text()


def test_ten_thousand_recorded_channels(launch, own_redis, many_descriptors):
    """One subscriber each, thousands of messages a second: some ten connections to Redis, and each message once."""
    n, rounds = min(10_000, many_descriptors - 500) // 500 * 500, 2
    server = own_redis().start()
    sluice = launch({"r": {"path": "/r/{id}", "channels": "n:{id}", "record": 20, "announce": "no", "heartbeat": "0"}},
                    redis=server, server={"workers": 1})
    poll, sockets, bodies = select.epoll(), {}, {}
    for i in range(n):
        s = socket.socket(fcgi.family_of(sluice.address), socket.SOCK_STREAM)
        wait_for(lambda: not s.connect_ex(sluice.address), "a connection")
        s.sendall(fcgi.request(f"/r/{i}"))
        s.setblocking(False)
        sockets[s.fileno()], bodies[s.fileno()] = (s, i), b""
        poll.register(s, select.EPOLLIN)

    def read(seconds):
        for fd, _ in poll.poll(seconds, 2000):
            data = sockets[fd][0].recv(1 << 16)
            assert data, "a subscriber was cut off"
            bodies[fd] += data
    until = deadline(60)
    while any(b"id: " not in b for b in bodies.values()):
        assert time.monotonic() < until
        read(0.5)
    client = server.client()
    links = [c for c in client.client_list() if c["name"] == "sluice"]
    assert len(links) <= 10, len(links)
    run = client.register_script(SCRIPT)
    began = time.monotonic()
    for round in range(rounds):
        for first in range(0, n, 500):
            pipe = client.pipeline(transaction=False)
            for i in range(first, first + 500):
                run(keys=[f"n:{i}", f"n:{i}:log"], args=[f"{i}-{round}", 20], client=pipe)
            pipe.execute()
            read(0)
            behind = (round * n + first + 500) / 5000 - (time.monotonic() - began)
            if behind > 0:
                time.sleep(behind)  # 5,000 a second
    rate = rounds * n / (time.monotonic() - began)
    until = deadline(60)
    while any(b.count(b"data: ") < rounds for b in bodies.values()):
        assert time.monotonic() < until, sum(b.count(b"data: ") < rounds for b in bodies.values())
        read(0.5)
    for fd, (s, i) in sockets.items():
        assert [bodies[fd].count(f"data: {i}-{r}\n".encode()) for r in range(rounds)] == [1] * rounds
        s.close()
    poll.close()
    print(f"{n} recorded channels, {rate:.0f} messages a second, {len(links)} connections to Redis")


class Worker:
    """One who takes entries of a queue and acknowledges them, and may be killed."""

    def __init__(self, sluice, serial):
        self.sluice, self.serial, self.response = sluice, serial, None
        self.unacked = []

    def take(self, on_entry):
        try:
            if self.response is None:
                connection = fcgi.Connection(self.sluice.address)
                connection.send(fcgi.request("/q"))
                self.response = fcgi.Response(connection, timeout=20)
            while len(self.unacked) < 20:
                event = self.response.next_message(0.005)
                on_entry(self, event.data)
                self.unacked.append((event.last_event_id, event.data))
        except (Timeout, Disconnected):
            pass

    def acknowledge(self):
        """What Redis has been told; nothing while it is away."""
        if not self.unacked:
            return []
        status, _, answer = post(self.sluice, "/q?ack=" + ",".join(i for i, _ in self.unacked), "", type=None)
        if status != 200:
            return []
        told, self.unacked = [d for _, d in self.unacked], []
        return told

    def kill(self):
        if self.response is not None:
            self.response.close()


@pytest.mark.parametrize("kills_redis", [False, True])
def test_a_queue(launch, own_redis, kills_redis):
    """Five subscribers in two workers, one killed each second: every entry acknowledged, none lost; one that comes
    twice does so because its first holder was killed, or Redis was; or because all of us stood still for claim_after."""
    n, claim_after = 10_000, 1 if kills_redis else 5
    # What lies unread in a living one's socket is held, too: no more than it takes in a round.
    prefetch = 100 if kills_redis else 20
    server = own_redis(options=AOF if kills_redis else []).start()
    sluice = launch({"q": {"path": "/q", "handler": "queue", "streams": "n:q", "group": "g", "ack": "client",
                           "claim_after": f"{claim_after}s", "prefetch": prefetch}},
                    redis=server, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    pipe = server.client().pipeline(transaction=False)
    for i in range(n):
        pipe.xadd("n:q", {"data": i})
    pipe.execute()
    holder, twice, killed, acknowledged = {}, [], set(), set()

    def on_entry(worker, data):
        if data in holder and holder[data] not in killed:
            twice.append(data)
        holder[data] = worker.serial
    workers, serial = [Worker(sluice, i) for i in range(5)], 5
    killer = Killer(server, 6, KILLS if kills_redis else 0)
    began = kill_at = round_at = time.monotonic()
    slowest = 0.0  # round: a living one holds an entry for two at most
    try:
        while len(acknowledged) < n:
            assert time.monotonic() < began + patient(150), f"{len(acknowledged)} of {n}"
            for w in workers:
                w.take(on_entry)
                acknowledged.update(w.acknowledge())
                time.sleep(0.015)  # the work
            killer.step()
            if time.monotonic() > kill_at + 1:
                kill_at = time.monotonic()
                victim = workers.pop(0)
                victim.take(on_entry)
                victim.kill()
                killed.add(victim.serial)
                workers.append(Worker(sluice, serial))
                serial += 1
            slowest, round_at = max(slowest, time.monotonic() - round_at), time.monotonic()
    finally:
        for w in workers:
            w.kill()
    assert killer.left == 0 and killed
    seconds = time.monotonic() - began
    wait_for(lambda: persist(lambda: server.client().xpending("n:q", "g")["pending"]) == 0, "all to be acknowledged", 20)
    assert acknowledged == {str(i) for i in range(n)}
    print(f"{n} entries in {seconds:.1f} s, {len(killed)} subscribers killed, {len(twice)} came twice from a living holder, "
          f"the slowest round took {slowest:.2f} s")
    if not kills_redis and slowest < claim_after / 2:
        assert twice == []
