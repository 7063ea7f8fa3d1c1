#!/usr/bin/python3
"""Two builds of Sluice in turn: what an event, a stream opened and an idle subscriber cost.

Processor time is what the kernel accounts to the worker, each time of a fresh one, the builds in turn and first by
turns; a ratio is the median of the pairs' ratios. The worker has one processor for itself, and Redis and the clients
have the others. Where each stream is sent little, the clients are stopped meanwhile: to wake one that sleeps costs the
worker more than what it does for it, and whether they sleep is chance. Instructions are counted by callgrind, in bursts
that are waited for, so they hardly depend on what else the machine does. Exits 1 if the new build is dearer by more
than the limit.
"""

import argparse
import contextlib
import os
import pathlib
import re
import resource
import signal
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
MANY = Scenario("2,000 channels, flood", 2000, 80000, each=True)
PACED = Scenario("2,000 channels, 2,000 msg/s", 2000, 8000, 2000, each=True)
OPEN = Scenario("5,000 streams, one channel", 5000)
OPEN_EACH = Scenario("5,000 streams, one channel each", 5000, each=True)
BEATING, BEATINGS, TRIES = Scenario("8,000 idle streams, heartbeats", 8000), 5, 4
OPENINGS = 4  # with the same worker, one after the other
# What instructions are counted of
CLIENTS, BURST, BURSTS = 10, 100, 20
TURNS = 400
IDLE, BEATS = 400, 5
WARM, OPENED = 100, 300
TEXT = b'{"seq":%d,"text":"' + b"x" * 100 + b'"}'



@contextlib.contextmanager
def stopped(load):
    load.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        load.process.send_signal(signal.SIGCONT)


def share_processors():
    """Leaves one processor to the worker, if there are several. Returns those of the worker."""
    all_of_them = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, all_of_them[:-1] or all_of_them)
    return all_of_them[-1:]


class Pairs(run.Bench):
    def __init__(self, folder, build, programs):
        super().__init__(folder, build)
        self.programs = programs
        self.processors = share_processors()
        pathlib.Path(folder, "pairs.ini").write_text(INI.format(folder=folder))

    def command_of(self, contender, listen):
        return [self.programs[contender], "serve", "-c", f"{self.folder}/pairs.ini", "-l", f"unix:{listen}", "-w", "1"]

    @contextlib.contextmanager
    def serving(self, contender, front=False):
        with super().serving(contender, front) as (pids, target):
            for pid in pids:
                os.sched_setaffinity(pid, self.processors)
            yield pids, target

    def deliver_each(self, scenario, contender):
        """As deliver(), but the clients read when all is sent."""
        per_stream = scenario.messages // scenario.streams
        with self.serving(contender) as (pids, target):
            with Load(self, target, "/many/%d", scenario.streams, per_stream) as load:
                load.report("open")
                run.wait_until_quiet(pids)
                before = run.cpu_ns(pids)
                with stopped(load):
                    self.publish(scenario)
                    run.wait_until_quiet(pids)
                report = load.report("done")
                used_ns = run.cpu_ns(pids) - before  # here, for it may have been quiet too early
                load.release()
        self.check(f"{scenario.name}, {contender}", report)
        return used_ns / 1e3 / max(report["events"], 1)

    def open(self, scenario, contender):
        """Opens the streams several times; the memory is that of the first time."""
        path, used_ns, kb = "/many/%d" if scenario.each else "/bench", 0, 0
        with self.serving(contender) as (pids, target):
            for number in range(OPENINGS):
                run.wait_until_quiet(pids)
                cpu, pss = run.cpu_ns(pids), run.pss_kb(pids)
                with Load(self, target, path, scenario.streams) as load:
                    report = load.report("open")
                    run.wait_until_quiet(pids)
                    used_ns += run.cpu_ns(pids) - cpu
                    kb = run.pss_kb(pids) - pss if number == 0 else kb
                    load.release()
                self.check(f"{scenario.name}, {contender}", report)
        return used_ns / 1e3 / OPENINGS / scenario.streams, kb / scenario.streams

    def beat(self, contender):
        """Processor time, µs, for each heartbeat of a stream to which nothing else comes."""
        for _ in range(TRIES):
            used_ns, n = self.beat_once(contender)
            if n == BEATING.streams * BEATINGS:
                return used_ns / 1e3 / n
        raise BenchError("the machine is too busy to tell one second's heartbeats from the next's")

    def beat_once(self, contender):
        with self.serving(contender) as (pids, target):
            with Load(self, target, "/beating", BEATING.streams) as load:
                load.report("open")
                end = time.monotonic() + BEATINGS + 0.25  # between two heartbeats
                run.wait_until_quiet(pids, 0.5)
                before = run.cpu_ns(pids)
                with stopped(load):
                    time.sleep(end - time.monotonic())
                    used_ns = run.cpu_ns(pids) - before
                time.sleep(0.2)
                load.process.stdin.write("\n")
                load.process.stdin.flush()
                report = load.report("done")
                load.release()
        self.check(f"{BEATING.name}, {contender}", report)
        return used_ns, report["heartbeats"]


def rows_of(pairs):
    """Name, unit, and what measures one or several of them."""
    def opened(scenario):
        return lambda who: pairs.open(scenario, who)

    def delivered(scenario):
        return lambda who: (pairs.deliver(scenario, who),)

    def delivered_each(scenario):
        return lambda who: (pairs.deliver_each(scenario, who),)

    return [
        ([(FLOOD.name, "µs/event")], delivered(FLOOD)),
        ([(FEW.name, "µs/event")], delivered(FEW)),
        ([(MANY.name, "µs/event")], delivered_each(MANY)),
        ([(PACED.name, "µs/event")], delivered_each(PACED)),
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


def take(stream, wanted, n=1):
    """Reads until the text has come n times. Returns how often it has."""
    text, times = b"", 0
    while times < n:
        text += (got := stream.recv(1 << 20))
        if not got:
            raise ConnectionResetError
        times = text.count(wanted)
    return times


def take_rest(stream):
    with contextlib.suppress(BlockingIOError):
        stream.recv(1 << 20, socket.MSG_DONTWAIT)


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
            [self.pid] = run.workers_of(server.pid)
            yield
            server.terminate()
            server.wait(120)

    def answers(self):
        with contextlib.suppress(OSError):
            self.opened("/bench").close()
            return True
        return False

    def control(self, what):
        done = subprocess.run(["callgrind_control", what, str(self.pid)], capture_output=True, check=False, timeout=60)
        if done.returncode or b"Error" in done.stdout:
            raise BenchError(f"callgrind_control: {(done.stdout + done.stderr).decode()}")

    @contextlib.contextmanager
    def counting(self):
        """What the worker does meanwhile is self.total, in instructions."""
        self.control("-z")
        yield
        self.control("-d")
        [file] = self.out.glob(f"{self.pid}.*")
        self.total = int(re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M).group(1))

    def opened(self, path):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(60)
        stream.connect(self.listen)
        stream.sendall(fcgi.request(path))
        take(stream, b"stream-open")
        return stream

    # Each of these returns of how many events, streams or heartbeats the instructions are.

    def deliver(self, path):
        streams = [self.opened(path) for _ in range(CLIENTS)]
        words = [(b"XADD", b"stream", b"*", b"data") if path == "/stream" else (b"PUBLISH", b"bench")] * BURST
        burst = b"".join(command(*head, TEXT % i) for i, head in enumerate(words))
        self.publish(burst, streams)
        with self.counting():
            for _ in range(BURSTS):
                self.publish(burst, streams)
        return BURSTS * BURST

    def publish(self, burst, streams, n=BURST):
        """Each stream has n of them."""
        self.redis.sendall(burst)
        for stream in streams:
            take(stream, b"data: ", n)
        self.redis.recv(1 << 16)

    def deliver_each(self):
        """A message to each of many channels, of which each has one stream."""
        streams = [self.opened(f"/many/{i}") for i in range(BURST)]
        burst = b"".join(command(b"PUBLISH", b"many:%d" % i, TEXT % 0) for i in range(BURST))
        self.publish(burst, streams, 1)
        with self.counting():
            for _ in range(BURSTS):
                self.publish(burst, streams, 1)
        return BURSTS * BURST

    def deliver_alone(self):
        """As deliver_each(), but each message is waited for, so it has the loop's turn for itself."""
        streams = [self.opened(f"/many/{i}") for i in range(BURST)]
        with self.counting():
            for _ in range(TURNS // BURST):
                for i, stream in enumerate(streams):
                    self.publish(command(b"PUBLISH", b"many:%d" % i, TEXT % 0), [stream], 1)
        return TURNS

    def beat(self):
        streams = [self.opened("/beating") for _ in range(IDLE)]
        for stream in streams:
            take_rest(stream)  # what came while others were opened
        for stream in streams:
            take(stream, b"keep-alive")  # the next one comes a second later
        with self.counting():
            return sum(take(stream, b"keep-alive", BEATS) for stream in streams)

    def open_each(self, path):
        """The streams are closed as well."""
        for i in range(WARM):
            self.opened(path.format(n=i)).close()
        with self.counting():
            for i in range(WARM, WARM + OPENED):
                self.opened(path.format(n=i)).close()
        return OPENED


def count(pairs, name, work):
    result = {}
    for who in (OLD, NEW):
        progress(f"{name}: instructions, {who}")
        counted = Counted(pairs, who)
        with counted.serving():
            n = work(counted)
        counted.redis.close()
        result[who] = [counted.total / n]
    progress("")
    return result


COUNTED = [
    ("an event, 10 streams", lambda c: c.deliver("/bench")),
    ("an event, 10 streams, filter", lambda c: c.deliver("/filter")),
    ("an event of a stream, 10 streams", lambda c: c.deliver("/stream")),
    ("an event, a channel for each stream", lambda c: c.deliver_each()),
    ("an event, a channel each, one at a time", lambda c: c.deliver_alone()),
    (f"a heartbeat, {IDLE} idle streams", lambda c: c.beat()),
    ("a stream opened and closed, one channel", lambda c: c.open_each("/bench")),
    ("a stream opened and closed, one channel each", lambda c: c.open_each("/many/{n}")),
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
    for name, work in COUNTED:
        if not args.no_instructions and args.only in name:
            table.add(name, "instructions", count(pairs, name, work))


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
