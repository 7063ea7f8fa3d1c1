#!/usr/bin/python3
"""Hours of ordinary life in half of one: subscribers who live five seconds, of every kind of source, half ended by the
program and half by themselves, some with names that nobody else has; and what is left of them.

    make soak TIME=30m        the drift counts from a third of the time on

What must hold: from a third of the time to its end the workers' own memory changes by less than 2 %; once all have gone,
descriptors, Redis's connections and its subscriptions are back to what they were before the first came; no client was
told an error, or cut off without an end.

The last line is JSON: the figures of the run.
"""

import argparse
import collections
import heapq
import json
import re
import selectors
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import fcgi  # noqa: E402
from processes import family_of, n_descriptors, rss_bytes  # noqa: E402
from redisd import RedisServer  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import Timeout, wait_for  # noqa: E402

LIFE = 5.0
DRIFT = 0.02
ROOMS = 10
ROUTES = {
    "channel": {"path": "/channel/{id}", "channels": "x:c:{id}"},
    "pattern": {"path": "/pattern/{id}", "patterns": "x:c:{id}*"},
    "stream": {"path": "/stream/{id}", "streams": "x:s:{id}"},
    "recorded": {"path": "/recorded/{id}", "channels": "x:r:{id}", "record": 100, "publish": "x:r:{id}",
                 "publish_auth": "none"},
    "logic": {"path": "/logic/{id}", "streams": "x:s:{id}", "filter": "message.n % 2 == 0", "transform": "{n = message.n}",
              "batch": "5/500ms"},
}
RECORD = (Path(__file__).resolve().parents[2] / "conf/record.lua").read_text()
END = re.compile(rb"event: stream-end\ndata: (.*)\n")
ID = re.compile(rb"\nid: (\S+)\n")


class Client:
    """One seat: when one life is over, the next begins."""

    def __init__(self, crowd, number):
        self.crowd, self.number, self.last_id = crowd, number, None
        self.route = list(ROUTES)[number % len(ROUTES)]
        self.is_patient = number // len(ROUTES) % 2 == 0  # it is the program that ends it
        self.has_own_name = number % 4 == 0
        self.life = 0

    def path(self):
        name = f"{self.number}-{self.life}" if self.has_own_name else self.number % ROOMS
        return f"/{self.route}{'-brief' if self.is_patient else ''}/{name}"

    def begin(self):
        self.life += 1
        if self.has_own_name:
            self.last_id = None
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.socket = socket.socket(family_of(self.crowd.address), socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(self.crowd.address)
        self.socket.sendall(fcgi.request(self.path(), headers=headers))
        self.socket.setblocking(False)
        self.body, self.has_head = b"", False
        self.until = time.monotonic() + (LIFE + 20 if self.is_patient else LIFE)
        self.crowd.selector.register(self.socket, selectors.EVENT_READ, self)

    def end(self):
        self.crowd.selector.unregister(self.socket)
        self.socket.close()

    def read(self):
        """Returns whether it is over."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.crowd.count("cut off" if END.search(self.body) is None else "ended")
            return True
        self.body = self.body[-2000:] + data
        if not self.has_head:
            self.has_head = True
            if b"Content-Type: text/event-stream" not in self.body:
                self.crowd.count(f"refused: {self.body[8:60]!r}")
        for found in ID.finditer(self.body):
            self.last_id = found[1].decode()
        return False


class Crowd:
    def __init__(self, sluice, redis, n, rate):
        self.sluice, self.address, self.redis = sluice, sluice.address, redis
        self.selector, self.counts = selectors.DefaultSelector(), collections.Counter()
        self.clients = [Client(self, i) for i in range(n)]
        self.due, self.serial, self.rate, self.n_published = [], 0, rate, 0
        self.record = redis.client().register_script(RECORD)

    def count(self, what):
        self.counts[what] += 1

    def push(self, client):
        self.serial += 1
        heapq.heappush(self.due, (client.until, self.serial, client, client.life))

    def begin(self, client):
        client.begin()
        self.count("lives")
        self.push(client)

    def turn(self):
        """What can be read, and whose time is over."""
        for key, _ in self.selector.select(0.02):
            if key.data.read():
                key.data.end()
                self.begin(key.data)
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            _, _, client, life = heapq.heappop(self.due)
            if client.life != life:
                continue
            self.count("not ended in time" if client.is_patient else "left")
            client.end()
            self.begin(client)

    def publish(self, since):
        client = self.redis.client()
        while self.n_published < (time.monotonic() - since) * self.rate:
            self.n_published += 1
            n, room = self.n_published, self.n_published % ROOMS
            text = json.dumps({"n": n, "text": "x" * 100})
            client.publish(f"x:c:{room}", text)
            client.xadd(f"x:s:{room}", {"data": text}, maxlen=100)
            self.record(keys=[f"x:r:{room}", f"x:r:{room}:log"], args=[text, 100])

    def run(self, seconds, every):
        """All begin within a life. Yields now and then."""
        begin, ahead, told = time.monotonic(), collections.deque(self.clients), 0
        while (passed := time.monotonic() - begin) < seconds:
            while ahead and len(self.clients) - len(ahead) < len(self.clients) * passed / LIFE:
                self.begin(ahead.popleft())
            self.publish(begin)
            self.turn()
            if passed >= told * every:
                told += 1
                yield passed
        for client in self.clients:
            if client.life > 0:
                client.end()


class Place:
    """What is to be as it was before the first came."""

    def __init__(self, sluice, redis):
        self.sluice, self.redis = sluice, redis

    def now(self):
        client = self.redis.client()
        return {"descriptors": [n_descriptors(w) for w in sorted(self.sluice.workers())],
                "connections": sum(1 for one in client.client_list() if one["name"]),
                "channels": len(self.redis.channels()), "patterns": self.redis.n_patterns()}

    def settled(self):
        """Once it stays the same for a while: a connection that was closed just now is still somebody's."""
        last = []

        def stays():
            last.append(self.now())
            return last[-4:].count(last[-1]) == 4
        wait_for(stays, lambda: f"it stays the same: {last[-4:]}", 20, every=0.5)
        return last[-1]

    def memory(self):
        return sum(rss_bytes(w) for w in self.sluice.workers())


def soak(folder, n, rate, seconds):
    redis = RedisServer(folder).start()
    routes = {f"route {name}{more}": {**keys, "path": keys["path"].replace("/{", f"{more}/{{"), **end}
              for name, keys in ROUTES.items() for more, end in (("", {}), ("-brief", {"lifetime": f"{LIFE:g}s"}))}
    for name in [name for name in routes if name.endswith("-brief")]:
        routes[name] = {k: v for k, v in routes[name].items() if not k.startswith("publish")}
    sluice = Sluice(folder, {"server": {"workers": 2, "log_level": "warn"}, **routes,
                             "route status": {"path": "/status", "handler": "status"}}, redis).start()
    place, samples = Place(sluice, redis), []
    try:
        wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links are up", 20)
        before = place.settled()
        crowd = Crowd(sluice, redis, n, rate)
        # Often: a worker gives back what it can every ten seconds, and must not be met at the same moment of these each time.
        for passed in crowd.run(seconds, max(1.0, seconds / 900)):
            samples.append((passed, place.memory()))
            if len(samples) % 30 == 1:
                print(f"{passed:6.0f} s: {place.memory() / 2**20:7.2f} MiB, {place.now()}, {dict(crowd.counts)}", flush=True)
        try:
            wait_for(lambda: place.now() == before, "", 60, every=1)
        except Timeout:
            pass  # it is told below
        after, log = place.now(), sluice.log()
    finally:
        try:
            sluice.stop()
        finally:
            redis.end()
    return verdict(seconds, samples, before, after, crowd.counts, log)


def around(samples, at, width):
    return statistics.median(memory for passed, memory in samples if at - width <= passed <= at + width)


def verdict(seconds, samples, before, after, counts, log):
    width = seconds / 30
    first, last = around(samples, seconds / 3, width), around(samples, seconds, 2 * width)
    drift = (last - first) / first if first else 0.0
    findings = [f"{n} {what}" for what, n in counts.items() if what not in ("lives", "left", "ended")]
    if abs(drift) >= DRIFT:
        findings.append(f"memory has drifted by {drift:.2%}")
    findings += [f"{what}: {before[what]} before, {after[what]} at last" for what in before if before[what] != after[what]]
    findings += [f"logged: {line}" for line in log.splitlines() if " error" in line or "warn" in line][:5]
    return findings, {"memory MiB": {"a third": round(first / 2**20, 2), "last": round(last / 2**20, 2)},
                      "drift": f"{drift:.2%}", "before": before, "after": after, **counts}


def seconds_of(text):
    units = {"s": 1, "m": 60, "h": 3600}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=seconds_of, default=60)
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=10, help="messages a second, of each kind of source")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    folder.chmod(0o777)
    try:
        findings, figures = soak(folder, args.subscribers, args.rate, args.seconds)
    finally:
        shutil.rmtree(folder)
    for finding in findings:
        print(finding)
    print(json.dumps({"seconds": args.seconds, "subscribers": args.subscribers, **figures}))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
