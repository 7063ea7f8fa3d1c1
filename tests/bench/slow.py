#!/usr/bin/python3
"""Many who read too slowly, beside a few who read: what it costs these, by each overflow policy.

    make bench PART=slow        1,000 clients that read 1 KB/s of 10 MB/s, beside 200 quick ones with 100 messages/s

One worker serves both. Each round measures the quick ones alone, and then beside the slow ones; what counts is the
median over the rounds. Exits 1 if the quick ones' 99th percentile beside is more than twice what it is alone, if one of
them missed a message, or if memory has gone beyond its bound.
"""

import argparse
import json
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import fcgi  # noqa: E402
from processes import cpu_seconds, rss_bytes  # noqa: E402
from redisd import RedisServer  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import wait_for  # noqa: E402

POLICIES = ("disconnect", "drop_oldest", "latest")
QUEUE = 256 * 1024
SIZE = 10_000  # of a message to the slow ones
READ = 1024  # bytes a second
BAR = 2.0


class Slow(threading.Thread):
    """They read as little as they do, each at its time of the second, and come back when they are ended."""

    def __init__(self, address, path, n):
        super().__init__(daemon=True)
        self.address, self.path, self.n, self.is_over, self.n_ended = address, path, n, threading.Event(), 0
        self.sockets = [self.open() for _ in range(n)]

    def open(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(self.address)
        s.sendall(fcgi.request(self.path))
        return s

    def read(self, i):
        """One that was ended comes back at once, though it has not read what it was sent before."""
        poll = select.poll()
        poll.register(self.sockets[i], select.POLLIN)
        if not any(events & select.POLLHUP for _, events in poll.poll(0)):
            try:
                self.sockets[i].recv(READ, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            return
        self.n_ended += 1
        self.sockets[i].close()
        self.sockets[i] = self.open()

    def run(self):
        begin, done = time.monotonic(), 0
        while not self.is_over.wait(0.01):
            due = int((time.monotonic() - begin) * self.n)
            for i in range(done, min(due, done + self.n)):
                self.read(i % self.n)
            done = due

    def close(self):
        self.is_over.set()
        self.join(30)
        for s in self.sockets:
            s.close()


class Place:
    def __init__(self, folder, build, policy):
        self.build = build
        self.redis = RedisServer(folder).start()
        routes = {"route bench": {"path": "/bench", "channels": "bench"},
                  "route slow": {"path": "/slow", "channels": "slow", "queue": QUEUE, "overflow": policy, "retry": "1s"},
                  "route status": {"path": "/status", "handler": "status"}}
        self.sluice = Sluice(folder, {"server": {"workers": 1, "log_level": "warn"},
                                      "defaults": {"heartbeat": "30m"}, **routes}, self.redis).start()
        wait_for(lambda: self.sluice.status()["redis_links"] >= 2, "both links are up", 20)

    def publish(self, channel, rate, size, seconds):
        return subprocess.Popen([self.build / "tests/bench/publish", "--to", f"unix:{self.redis.path}", "--channel", channel,
                                 "--rate", str(rate), "--size", str(size), "--count", str(rate * seconds),
                                 "--seconds", str(seconds + 30)], stdout=subprocess.DEVNULL)

    def quick(self, n, rate, seconds):
        """What the load client says of the quick ones."""
        load = subprocess.Popen([self.build / "tests/bench/load", "--to", f"unix:{self.sluice.path}", "--path", "/bench",
                                 "--hold", "--streams", str(n), "--events", str(rate * seconds), "--seconds", str(seconds + 60)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            json.loads(load.stdout.readline())
            load.stdin.write("\n")
            load.stdin.flush()
            publisher = self.publish("bench", rate, 100, seconds)
            report = json.loads(load.stdout.readline())
            publisher.wait(60)
        finally:
            load.stdin.close()
            load.wait(60)
        return report

    def end(self):
        try:
            self.sluice.stop()
        finally:
            self.redis.end()


def beside(place, args):
    """The quick ones, while the slow ones are there; the most memory; processor time for each message to the slow."""
    worker = place.sluice.worker()
    slow = Slow(place.sluice.path, "/slow", args.slow)
    slow.start()
    flood = place.publish("slow", args.bytes // SIZE, SIZE, args.seconds + 3)
    most, is_over = [0], threading.Event()

    def watch():
        while not is_over.wait(0.1):
            most[0] = max(most[0], rss_bytes(worker))
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    time.sleep(2)  # all are blocked
    try:
        used = cpu_seconds(worker)
        report = place.quick(args.quick, args.rate, args.seconds)
        used = cpu_seconds(worker) - used
        flood.wait(60)
    finally:
        is_over.set()
        watcher.join()
        slow.close()
    wait_for(lambda: place.sluice.status()["subscribers"] == 0, "all have gone", 30)
    return report, most[0], used, slow.n_ended


def bound(args, policy):
    """Each slow one holds at most its queue if it is ended for it, else the rest of one frame; the log is shared."""
    return 24 * 2**20 + 3 * QUEUE + args.slow * (3 * SIZE + 8192)


def measure(args, policy):
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    folder.chmod(0o777)
    place = Place(folder, args.build, policy)
    rows = []
    try:
        place.quick(args.quick, args.rate, 1)  # warm
        for _ in range(args.rounds):
            alone = place.quick(args.quick, args.rate, args.seconds)
            rows.append((alone, *beside(place, args)))
    finally:
        place.end()
        shutil.rmtree(folder)
    return rows


def p99(report):
    return report["latency_us"]["p99"] / 1000


def tell(args, policy, rows):
    alone, with_slow = (statistics.median(p99(row[i]) for row in rows) for i in (0, 1))
    lost = sum(row[i]["missing"] + row[i]["gaps"] + row[i]["out_of_order"] for row in rows for i in (0, 1))
    memory, may = max(row[2] for row in rows), bound(args, policy)
    print(f"{policy:12} p99 alone {alone:7.2f} ms, beside {with_slow:7.2f} ms, ratio {with_slow / alone:5.2f}; "
          f"lost {lost}; worker at most {memory / 2**20:6.1f} MiB of {may / 2**20:.0f}; "
          f"{statistics.median(row[3] for row in rows) / args.seconds:5.0%} of a core; {sum(row[4] for row in rows)} ended", flush=True)
    return with_slow > BAR * alone or lost > 0 or memory > may


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--slow", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=10_000_000, help="a second, to the slow ones")
    parser.add_argument("--quick", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--policies", default=",".join(POLICIES))
    args = parser.parse_args()
    args.build = args.build.resolve()
    os.environ.setdefault("SLUICE", str(args.build / "sluice"))
    has_failed = [tell(args, policy, measure(args, policy)) for policy in args.policies.split(",")]
    sys.exit(1 if any(has_failed) else 0)


if __name__ == "__main__":
    main()
