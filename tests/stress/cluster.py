#!/usr/bin/python3
"""A cluster of three primaries and three replicas, whose slots are moved back and forth by redis-cli, and one of whose primaries is killed.

    tests/stress/cluster.py [--names 1000] [--slots 300]

As many streams, recorded channels and sharded channels are followed as there are names, and a queue by two subscribers, while all of
them are published to. What must hold: nothing is doubled or out of order; nothing that the cluster holds is lost; what is
missing from a sharded channel is told as a gap.

The last line is JSON: the figures of the run.
"""

import argparse
import collections
import json
import resource
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import fcgi  # noqa: E402
from processes import family_of  # noqa: E402
from redis_cluster import RedisCluster, slot_of  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import wait_for  # noqa: E402

OPEN = {"publish_auth": "none", "start": "0", "history": "100000"}
ROUTES = {
    "route s": {"path": "/s/{id}", "streams": "s:{id}", "publish_stream": "s:{id}", **OPEN},
    "route r": {"path": "/r/{id}", "channels": "r:{{{id}}}", "record": "10000", "publish": "r:{{{id}}}", **OPEN},
    "route x": {"path": "/x/{id}", "channels": "x:{id}", "publish": "x:{id}", "publish_auth": "none"},
    "route q": {"path": "/q/{id}", "handler": "queue", "streams": "q:{{{id}}}", "group": "g", "ack": "client"},
    "route add": {"path": "/add/{id}", "streams": "q:{{{id}}}", "publish_stream": "q:{{{id}}}", "publish_auth": "none"},
    "route status": {"path": "/status", "handler": "status"},
}
KEYS = {"s": "s:{}", "r": "r:{{{}}}:log", "x": "x:{}", "add": "q:{{{}}}"}
GAP = None  # in what a follower got


def post(address, path, body, key=None, seconds=30):
    headers = {"Idempotency-Key": key} if key else {}
    with fcgi.get(address, path, method="POST", body=body, timeout=seconds, headers=headers,
                  CONTENT_TYPE="application/json") as response:
        response.rest(seconds)
        return response.status


class Follower:
    """One open stream: the numbers that came, and its gaps."""

    def __init__(self, address, path):
        self.path, self.got, self.is_open = path, [], False
        self.records, self.text, self.acks = b"", b"", []
        self.socket = socket.socket(family_of(address), socket.SOCK_STREAM)
        self.socket.connect(address)
        self.socket.sendall(fcgi.request(path))
        self.socket.setblocking(False)

    def read(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        assert data, f"{self.path} has ended: {self.text!r}"
        self.records += data
        while len(self.records) >= 8:
            _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", self.records[:8])
            if len(self.records) < 8 + length + padding:
                break
            if kind == fcgi.STDOUT:
                self.text += self.records[8:8 + length]
            self.records = self.records[8 + length + padding:]
        *frames, self.text = self.text.replace(b"\r\n", b"\n").split(b"\n\n")
        for frame in frames:
            self._take(dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line))

    def _take(self, frame):
        kind = frame.get(b"event", b"message")
        if kind == b"stream-open":
            self.is_open = True
        elif kind == b"stream-reset":
            self.got.append(GAP)
        elif kind == b"message" and b"data" in frame:
            self.got.append(int(frame[b"data"]))
            self.acks.append(frame.get(b"id", b"").decode())

    def last(self):
        return next((v for v in reversed(self.got) if v is not GAP), -1)


class Followers(threading.Thread):
    def __init__(self, address, paths):
        super().__init__(daemon=True)
        self.address, self.all, self.is_over = address, [], False
        self.selector = selectors.DefaultSelector()
        for path in paths:
            follower = Follower(address, path)
            self.all.append(follower)
            self.selector.register(follower.socket, selectors.EVENT_READ, follower)
            if len(self.all) % 100 == 0:
                self._turn()
        self.start()

    def _turn(self):
        for key, _ in self.selector.select(0.05):
            key.data.read()

    def run(self):
        while not self.is_over:
            self._turn()


class Publisher(threading.Thread):
    """0, 1, 2… on each path, in turn; with a key and until it is taken, unless the path's kind keeps nothing."""

    def __init__(self, address, kind, names):
        super().__init__(daemon=True)
        self.address, self.kind, self.names = address, kind, names
        self.sent = {f"/{kind}/{name}": 0 for name in names}
        self.refused = collections.defaultdict(set)
        self.longest, self.n, self.is_over = 0.0, 0, False

    def _say(self, path, n):
        key = None if self.kind == "x" else f"{path}-{n}"
        while (status := post(self.address, path, str(n).encode(), key)) != 202:
            assert status == 503, (path, n, status)
            self.refused[path].add(n)
            if key is None:
                return

    def run(self):
        while not self.is_over:
            for path, n in self.sent.items():
                if self.is_over:
                    break
                began = time.monotonic()
                self._say(path, n)
                self.longest = max(self.longest, time.monotonic() - began)
                self.sent[path], self.n = n + 1, self.n + 1


class Acknowledger(threading.Thread):
    """Of what the queue's subscribers were given."""

    def __init__(self, address, followers):
        super().__init__(daemon=True)
        self.address, self.followers, self.n, self.is_over = address, followers, 0, False

    def run(self):
        while not self.is_over:
            for follower in self.followers:
                ids, follower.acks = follower.acks, []
                for id in ids:
                    while post(self.address, f"{follower.path}?ack={id}", b"") != 200:
                        pass
                    self.n += 1
            time.sleep(0.02)


def reshard(cluster, source, to, n_slots):
    """By redis-cli, which refuses while nodes have not told each other yet. Returns the seconds that it took."""
    def done():
        ran = subprocess.run(["redis-cli", "--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from", source.id, "--cluster-to",
                              to.id, "--cluster-slots", str(n_slots), "--cluster-yes"], capture_output=True, timeout=300, check=False)
        if ran.returncode != 0:
            subprocess.run(["redis-cli", "--cluster", "fix", f"127.0.0.1:{source.port}"], capture_output=True, timeout=300, check=False)
        return ran.returncode == 0
    began = time.monotonic()
    wait_for(done, "redis-cli has moved the slots", 300, every=1)
    return time.monotonic() - began


def gaps_untold(got, refused):
    """Numbers that are missing between two that came without a gap between them."""
    n = 0
    for before, after in zip(got, got[1:]):
        if before is not GAP and after is not GAP and after > before:
            n += sum(1 for v in range(before + 1, after) if v not in refused)
    return n


def judge(follower, sent, held, refused):
    """Figures of one stream or channel. held: what the cluster has of it; None: it keeps nothing."""
    numbers = [v for v in follower.got if v is not GAP]
    return collections.Counter({
        "events": len(numbers), "gaps told": follower.got.count(GAP),
        "doubled": len(numbers) - len(set(numbers)),
        "out of order": sum(1 for a, b in zip(numbers, numbers[1:]) if b < a),
        "lost": len(set(held) - set(numbers)) if held is not None else 0,
        "lost by Redis": len(set(range(sent)) - set(held)) if held is not None else 0,
        "untold gaps": gaps_untold(follower.got, refused) if held is None else 0})


def held_by(cluster, kind, name):
    key = KEYS[kind].format(name)
    return [int(fields[b"data"]) for _, fields in cluster.client_of(key).xrange(key)] if kind != "x" else None


class Run:
    def __init__(self, folder, n_names):
        self.names = [f"n{i}" for i in range(n_names)]
        self.cluster = RedisCluster(folder)
        self.sluice = Sluice(folder, {"server": {"workers": 2, "log_level": "info"}, "redis": {**self.cluster.link, "sharded": "yes"},
                                      **ROUTES}).start()
        self.figures = {}

    def begin(self):
        address = self.sluice.address
        wait_for(lambda: self.sluice.status()["redis_links"] >= 10, "a link to each node", 60)
        self.followers = Followers(address, [f"/{kind}/{name}" for kind in "srx" for name in self.names])
        self.queue = Followers(address, 2 * ["/q/jobs"])
        wait_for(lambda: all(f.is_open for f in self.followers.all), "all are open", 120)
        self.publishers = [Publisher(address, kind, self.names) for kind in "srx"] + [Publisher(address, "add", ["jobs"])]
        self.acknowledger = Acknowledger(address, self.queue.all)
        for thread in (*self.publishers, self.acknowledger):
            thread.start()
        self.goes_on()

    def goes_on(self):
        """A round of everything."""
        before = {p: p.n for p in self.publishers}
        wait_for(lambda: all(p.n >= n + len(p.names) for p, n in before.items()), "it is published", 300, every=0.1)

    def move(self, n_slots):
        nodes = self.cluster.primaries()
        took = [reshard(self.cluster, nodes[a], nodes[b], n_slots) for a, b in ((0, 1), (1, 2), (2, 0), (0, 2), (2, 1), (1, 0))]
        self.goes_on()
        self.figures["reshards"] = f"6 of {n_slots} slots, {sum(took):.0f} s"
        self.figures["longest POST while slots move"] = round(max(p.longest for p in self.publishers), 2)
        self.figures["refused while slots move"] = sum(len(v) for p in self.publishers for v in p.refused.values())
        for publisher in self.publishers:
            publisher.longest = 0.0

    def kill(self):
        """A primary; of what was at it, each stream and channel is to tell something that was published after the promotion."""
        victim = self.cluster.primaries()[0]
        there = [f for f in self.followers.all if self.cluster.owner_has(victim, self._slot(f.path))]
        self.cluster.give_up_after(2000)
        began = time.monotonic()
        victim.kill()
        slot = self._slot(there[0].path)
        wait_for(lambda: self.cluster.primary_of(slot) is not victim, "a replica is promoted", 120)
        promoted = time.monotonic()
        key = {f.path: self.publishers["srx".index(f.path[1])].sent[f.path] for f in there}
        heard = {}

        def all_heard():
            for f in there:
                if f.path not in heard and f.last() > key[f.path]:
                    heard[f.path] = time.monotonic()
            return len(heard) == len(there)
        wait_for(all_heard, lambda: f"all go on: {len(heard)} of {len(there)}", 300, every=0.1)
        self.figures["streams and channels of the dead primary"] = len(there)
        self.figures["seconds to the promotion"] = round(promoted - began, 2)
        self.figures["seconds from it until the first, until all go on"] = [round(at(heard.values()) - promoted, 2) for at in (min, max)]
        self.figures["longest POST at the fail-over"] = round(max(p.longest for p in self.publishers), 2)
        self.goes_on()

    @staticmethod
    def _slot(path):
        _, kind, name = path.split("/")
        return slot_of(KEYS[kind].format(name))

    def check(self):
        for publisher in self.publishers:
            publisher.is_over = True
        for publisher in self.publishers:
            publisher.join(120)
        sums = collections.defaultdict(collections.Counter)
        time.sleep(3)
        for f in self.followers.all:
            _, kind, name = f.path.split("/")
            publisher = self.publishers["srx".index(kind)]
            sums[kind].update(judge(f, publisher.sent[f.path], held_by(self.cluster, kind, name), publisher.refused[f.path]))
        got = [v for f in self.queue.all for v in f.got if v is not GAP]
        held = held_by(self.cluster, "add", "jobs")
        jobs = {"events": len(got), "given out again": len(got) - len(set(got)), "lost": len(set(held) - set(got)),
                "lost by Redis": len(set(range(self.publishers[3].sent["/add/jobs"])) - set(held))}
        for thread in (self.acknowledger, self.followers, self.queue):
            thread.is_over = True
            thread.join(20)
        self.figures |= {name: dict(sums[kind]) for kind, name in (("s", "streams"), ("r", "recorded"), ("x", "sharded"))} | {"queue": jobs}
        return [f"{kind}: {n} {what}" for kind, sum in (*sums.items(), ("queue", jobs)) for what, n in sum.items()
                if n and what in ("doubled", "out of order", "lost", "untold gaps")]

    def end(self):
        try:
            self.sluice.kill()
        finally:
            self.cluster.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=300, help="of each reshard")
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * args.names + 1000)), hard))
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    run = Run(folder, args.names)
    try:
        for step in (run.begin, lambda: run.move(args.slots), run.kill):
            step()
            print(f"{time.strftime('%T')} {run.figures}", flush=True)
        findings = run.check()
    finally:
        run.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(run.figures))
    for finding in findings:
        print(f"FOUND: {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
