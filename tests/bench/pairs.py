#!/usr/bin/python3
"""Two builds of Sluice in turn: what an event, a stream opened and an idle subscriber cost.

Processor time is what the kernel accounts to the worker, each time of a fresh one, the builds in turn and first by
turns; a ratio is the median of the pairs' ratios. Instructions are counted by callgrind, in bursts that are waited for,
so they hardly depend on what else the machine does. Exits 1 if the new build is dearer by more than the limit.
"""

import argparse
import contextlib
import os
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import run
from run import BenchError, Load, Scenario, figure, print_columns, progress

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import fcgi  # noqa: E402

OLD, NEW = "old", "new"
INI = """\
[server]
workers = 1
drain = 100ms

[redis]
url = unix://{folder}/redis.sock

[defaults]
heartbeat = 30m
queue = 256m

[route bench]
path = /bench
channels = bench

[route many]
path = /many/{{n}}
channels = many:{{n}}

[route beating]
path = /beating
channels = bench
heartbeat = 1s

[route filter]
path = /filter
channels = bench
filter = message.seq >= 0

[route stream]
path = /stream
streams = stream
"""
FLOOD = Scenario("flood, 1,000 streams", 1000, 1500)
FEW = Scenario("flood, 10 streams", 10, 30000)
MANY = Scenario("2,000 channels, 2,000 msg/s", 2000, 6000, 2000, each=True)
OPEN = Scenario("5,000 streams, one channel", 5000)
OPEN_EACH = Scenario("5,000 streams, one channel each", 5000, each=True)
BEATING, BEATS_S = Scenario("2,000 idle streams, heartbeats", 2000), 4
BURST, CLIENTS = 100, 10
FEWER, MORE = 1000, 3000  # events, or streams opened: the difference is what these cost without the start
SEPARATE_FEWER, SEPARATE_MORE = 100, 400


class Pairs(run.Bench):
    def __init__(self, folder, build, programs):
        super().__init__(folder, build)
        self.programs = programs
        pathlib.Path(folder, "pairs.ini").write_text(INI.format(folder=folder))

    def command_of(self, contender, listen):
        return [self.programs[contender], "serve", "-c", f"{self.folder}/pairs.ini", "-l", f"unix:{listen}", "-w", "1"]

    def beat(self, contender):
        """Processor time, µs, for each heartbeat of a stream to which nothing else comes."""
        with self.serving(contender) as (pids, target):
            with Load(self, target, "/beating", BEATING.streams) as load:
                load.report("open")
                run.wait_until_quiet(pids, 0.5)
                before = run.cpu_ns(pids)
                time.sleep(BEATS_S)
                used_ns = run.cpu_ns(pids) - before
                load.release()
        return used_ns / 1e3 / BEATING.streams / BEATS_S


def rows_of(pairs):
    """Name, unit, and what measures one or several of them."""
    def opened(scenario):
        return lambda who: pairs.open(scenario, who)

    def delivered(scenario):
        return lambda who: (pairs.deliver(scenario, who),)

    return [
        ([(FLOOD.name, "µs/event")], delivered(FLOOD)),
        ([(FEW.name, "µs/event")], delivered(FEW)),
        ([(MANY.name, "µs/event")], delivered(MANY)),
        ([("open " + OPEN.name, "µs/stream"), ("idle " + OPEN.name, "kB/stream")], opened(OPEN)),
        ([("open " + OPEN_EACH.name, "µs/stream"), ("idle " + OPEN_EACH.name, "kB/stream")], opened(OPEN_EACH)),
        ([(BEATING.name, "µs/heartbeat")], lambda who: (pairs.beat(who),)),
    ]


def measure_time(pairs, names, measure, n):
    """For each name the values of either build, pair by pair."""
    values = {name: {OLD: [], NEW: []} for name, _ in names}
    for pair in range(n):
        for who in (OLD, NEW) if pair % 2 == 0 else (NEW, OLD):
            progress(f"{names[0][0]}: {pair + 1}/{n} {who}")
            for (name, _), value in zip(names, measure(who)):
                values[name][who].append(value)
    progress("")
    return values


# Instructions


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Counted:
    """A worker under callgrind, and Redis to send it something."""

    def __init__(self, pairs, who):
        self.listen = f"{pairs.folder}/callgrind.sock"
        self.out = pathlib.Path(tempfile.mkdtemp(dir=pairs.folder))
        self.command = ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                        f"--callgrind-out-file={self.out}/%p", *map(str, pairs.command_of(who, self.listen))]
        self.redis = socket.socket(socket.AF_UNIX)
        self.redis.connect(f"{pairs.folder}/redis.sock")
        self.log = f"{pairs.folder}/server.log"

    @contextlib.contextmanager
    def serving(self):
        with run.running(self.command, self.log) as server:
            end = time.monotonic() + 120
            while not self.answers():
                if server.poll() is not None or time.monotonic() > end:
                    raise BenchError("sluice under callgrind does not answer")
                time.sleep(0.1)
            yield
            server.terminate()
            server.wait(120)

    def answers(self):
        with contextlib.suppress(OSError):
            self.opened("/bench").close()
            return True
        return False

    def opened(self, path):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(60)
        stream.connect(self.listen)
        stream.sendall(fcgi.request(path))
        text = b""
        while b"stream-open" not in text:
            text += (got := stream.recv(65536))
            if not got:
                raise ConnectionResetError
        return stream

    def burst(self, is_stream):
        words = [(b"XADD", b"stream", b"*", b"data") if is_stream else (b"PUBLISH", b"bench")] * BURST
        text = b'{"seq":%d,"text":"' + b"x" * 100 + b'"}'
        self.redis.sendall(b"".join(command(*head, text % i) for i, head in enumerate(words)))

    def deliver(self, path, n):
        streams = [self.opened(path) for _ in range(CLIENTS)]
        for _ in range(n // BURST):
            self.burst(path == "/stream")
            for stream in streams:
                got = 0
                while got < BURST:
                    got += stream.recv(1 << 20).count(b"data: ")
            self.redis.recv(1 << 16)
        for stream in streams:
            stream.close()

    def open_each(self, n):
        for i in range(n):
            self.opened(f"/many/{i}").close()

    def total(self):
        """Of the worker: it has done more than its supervisor."""
        return max(int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M).group(1))
                   for file in self.out.iterdir())


def count_once(pairs, who, work, n):
    counted = Counted(pairs, who)
    with counted.serving():
        work(counted, n)
    counted.redis.close()
    return counted.total()


def count(pairs, name, work, fewer, more):
    result = {}
    for who in (OLD, NEW):
        progress(f"{name}: instructions, {who}")
        result[who] = [(count_once(pairs, who, work, more) - count_once(pairs, who, work, fewer)) / (more - fewer)]
    progress("")
    return result


COUNTED = [
    ("an event, 10 streams", lambda c, n: c.deliver("/bench", n), FEWER, MORE),
    ("an event, 10 streams, filter", lambda c, n: c.deliver("/filter", n), FEWER, MORE),
    ("an event of a stream, 10 streams", lambda c, n: c.deliver("/stream", n), FEWER, MORE),
    ("a stream opened and closed", lambda c, n: c.open_each(n), SEPARATE_FEWER, SEPARATE_MORE),
]


# The table


class Table:
    def __init__(self, limit):
        self.limit, self.is_over = limit, False
        self.lines = [["what", "unit", OLD, NEW, "ratio", "lowest", "highest", ""]]

    def add(self, name, unit, values):
        ratios = [new / old for old, new in zip(values[OLD], values[NEW]) if old > 0]
        ratio = statistics.median(ratios) if ratios else 1
        self.is_over = self.is_over or ratio > self.limit
        middle = [figure(statistics.median(values[who])) for who in (OLD, NEW)]
        self.lines.append([name, unit, *middle, f"{ratio:.3f}", f"{min(ratios, default=1):.3f}",
                           f"{max(ratios, default=1):.3f}", "over" if ratio > self.limit else "ok"])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=run.HERE.parents[1] / "build")
    parser.add_argument("--old", type=pathlib.Path, required=True, help="the program to compare with")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--limit", type=float, default=1.03, help="the new one may cost so many times as much")
    parser.add_argument("--only", default="", help="the lines whose name contains this")
    parser.add_argument("--no-instructions", action="store_true", help="without callgrind")
    parser.add_argument("--no-time", action="store_true", help="instructions alone")
    return parser.parse_args()


def measure(pairs, args, table):
    for names, how in rows_of(pairs):
        if not args.no_time and any(args.only in name for name, _ in names):
            values = measure_time(pairs, names, how, args.pairs)
            for name, unit in names:
                table.add(name, unit, values[name])
    for name, work, fewer, more in COUNTED:
        if not args.no_instructions and args.only in name:
            table.add(name, "instructions", count(pairs, name, work, fewer, more))


def main():
    args = parse_arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    programs = {OLD: args.old.resolve(), NEW: args.build.resolve() / "sluice"}
    table = Table(args.limit)
    with tempfile.TemporaryDirectory(prefix="sluice-pairs-") as folder:
        os.chmod(folder, 0o755)
        pairs = Pairs(folder, args.build.resolve(), programs)
        try:
            with pairs.redis():
                measure(pairs, args, table)
        except (BenchError, OSError, subprocess.TimeoutExpired) as error:
            pairs.lost.append(str(error))
            log = pathlib.Path(folder, "server.log")
            if log.exists():
                pairs.lost += log.read_text(errors="replace").splitlines()[-10:]
    print_columns(table.lines)
    for line in pairs.lost:
        print(line)
    return 1 if pairs.lost or table.is_over else 0


if __name__ == "__main__":
    sys.exit(main())
