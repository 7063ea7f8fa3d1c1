#!/usr/bin/python3
"""Measure Sluice against the floor, and print one table of ratios.

Each figure is the median of several runs, the contenders in turn within each
run, each time with fresh processes. Processor time is what the kernel accounts
to the worker, not to its supervisor, Redis or the clients. Exits 1 if an event
was lost or came out of order, or if a bar was missed.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
START_LIMIT_S = 10  # for a server to answer
EVENT, TURN, SLUICE = "floor per event", "floor per turn", "sluice"

SLUICE_INI = """\
[server]
workers = 1
drain = 100ms

[redis]
url = unix://{folder}/redis.sock

[defaults]
announce = no
heartbeat = 30m

[route bench]
path = /bench
channels = bench

[route behind]
path = /events/bench
channels = bench

[route many]
path = /many/{{n}}
channels = many:{{n}}
"""

# What a route's section may do to a message. Each passes all messages on, so that the load client
# can check them, but for the batch.
STAGES = {
    "no logic": "",
    "filter": "filter = message.seq >= 0",
    "filter, two fields": "filter = message.seq >= 0 and message.t ~= 'x'",
    "fields": "fields = seq, t",
    "add.NAME": "add.now = {now}",
    "id from a field": "id = {.seq}",
    "transform, whole": "transform = message",
    "transform, a table": "transform = {seq = message.seq, t = message.t, u = now}",
    "script": "script = stage.lua",
    "until": "until = message.seq < 0",
    "rate": "rate = 1000000/s",
    "rate_by": "rate = 1000000/s\nrate_by = {channel}",
    "batch of 100": "batch = 100/10s",
}
STAGE_MESSAGES = 50000


def stages_ini():
    text = ""
    for number, lines in enumerate(STAGES.values()):
        text += f"\n[route stage{number}]\npath = /stage/{number}\nchannels = bench\nqueue = 256m\n{lines}\n"
    return text

LIGHTTPD_CONF = """\
server.modules = ( "mod_fastcgi" )
server.document-root = "{folder}"
server.errorlog = "{folder}/lighttpd.log"
server.bind = "127.0.0.1"
server.port = {port}
server.max-fds = 8192
server.max-connections = 4096
server.stream-response-body = 2
fastcgi.server = ( "/" => (( "socket" => "{backend}", "check-local" => "disable" )) )
"""


class BenchError(Exception):
    """A server or tool did not do its part, so that there is no figure."""


@dataclasses.dataclass
class Scenario:
    """One load; messages and rate are over all channels, rate 0 is flat out."""

    name: str
    streams: int
    messages: int = 0
    rate: int = 0
    each: bool = False  # a channel of its own for each stream
    front: bool = False  # behind lighttpd
    floors: tuple = (TURN,)


@dataclasses.dataclass
class Row:
    """One line of the table: values per contender, and the bar for Sluice."""

    name: str
    unit: str
    times_floor: float = None
    at_most: float = None
    values: dict = dataclasses.field(default_factory=dict)

    def add(self, contender, value):
        self.values.setdefault(contender, []).append(value)

    def median(self, contender):
        values = self.values.get(contender)
        return statistics.median(values) if values else None

    def ratio(self):
        floor, ours = self.median(TURN), self.median(SLUICE)
        return ours / floor if ours is not None and floor else None

    def verdict(self):
        if self.median(SLUICE) is None:
            return ""
        if self.times_floor is not None:
            return "ok" if self.ratio() <= self.times_floor else "over"
        if self.at_most is not None:
            return "ok" if self.median(SLUICE) <= self.at_most else "over"
        return ""


# Processes and what the kernel knows of them


def stop(process):
    """TERM, then KILL the whole group: a supervisor's workers go with it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(command, log):
    with open(log, "ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        stop(process)


def workers_of(pid):
    """The processes at the ends of the tree under pid: pid itself if it has no children."""
    children = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children += (task / "children").read_text().split()
    return [leaf for child in children for leaf in workers_of(int(child))] or [pid]


def cpu_ns(pids):
    """Time on a processor, all threads."""
    try:
        tasks = [task for pid in pids for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    except (FileNotFoundError, ProcessLookupError):
        raise BenchError("a process that was being measured has ended") from None


def pss_kb(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def wait_until_quiet(pids, limit_s=2):
    """Until the processes have done nothing for a moment, or the limit."""
    end, before = time.monotonic() + limit_s, -1
    while time.monotonic() < end and (now := cpu_ns(pids)) != before:
        before = now
        time.sleep(0.02)


def wait_for(ready, process, what):
    end = time.monotonic() + START_LIMIT_S
    while not ready():
        if process.poll() is not None:
            raise BenchError(f"{what} ended with status {process.returncode}")
        if time.monotonic() > end:
            raise BenchError(f"{what} did not answer within {START_LIMIT_S} s")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis_answers(path):
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1)
        sock.connect(path)
        sock.sendall(b"PING\r\n")
        return sock.recv(16).startswith(b"+PONG")
    return False


# The bench


class Load:
    """The load client; each report is a dictionary that it printed."""

    def __init__(self, bench, target, path, streams, events=0, seconds=60):
        self.command = [bench.tool("load"), "--hold", *target, "--path", path]
        self.command += ["--streams", streams, "--events", events, "--seconds", seconds]

    def __enter__(self):
        self.process = subprocess.Popen(
            [str(word) for word in self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def report(self, phase):
        line = self.process.stdout.readline()
        report = json.loads(line) if line else {}
        if report.get("phase") != phase:
            raise BenchError(f"the load client ended before {phase!r}")
        return report

    def release(self):
        """Lets it close its streams. Returns its exit status."""
        self.process.stdin.close()
        self.process.stdout.read()
        return self.process.wait()

    def __exit__(self, *_):
        stop(self.process)


class Bench:
    """A folder with sockets and logs, a private Redis, and the programs to run."""

    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        self.options = ["--port", "0"]  # of its Redis
        self.lost = []
        self.latencies = {}
        self.serial = 0

    def tool(self, name):
        return self.build / "tests/bench" / name

    @contextlib.contextmanager
    def redis(self):
        path = f"{self.folder}/redis.sock"
        command = ["redis-server", *map(str, self.options), "--unixsocket", path, "--save", ""]
        command += ["--appendonly", "no", "--dir", self.folder]
        command += ["--client-output-buffer-limit", "pubsub 0 0 0"]
        with running(command, f"{self.folder}/redis.log") as process:
            wait_for(lambda: redis_answers(path), process, "redis-server")
            yield

    def command_of(self, contender, listen):
        if contender == SLUICE:
            ini = f"{self.folder}/sluice.ini"
            pathlib.Path(ini).write_text(SLUICE_INI.format(folder=self.folder) + stages_ini())
            script = "return function(channel, message, event) return message end"
            pathlib.Path(self.folder, "stage.lua").write_text(script)
            return [self.build / "sluice", "serve", "-c", ini, "-l", f"unix:{listen}", "-w", "1"]
        mode = "--per-event" if contender == EVENT else "--per-turn"
        command = [self.tool("floor"), "--listen", f"unix:{listen}", mode]
        return command + ["--redis", f"unix:{self.folder}/redis.sock"]

    def answers(self, target):
        """Whether a stream can be opened: the server is there, and so is Redis behind it."""
        command = [self.tool("load"), *target, "--path", "/many/0", "--seconds", "5"]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0

    @contextlib.contextmanager
    def serving(self, contender, front=False):
        """Yields the processes to measure, and the load client's options to reach them."""
        self.serial += 1
        listen = f"{self.folder}/{self.serial}.sock"
        target = ["--to", f"unix:{listen}"]
        log = f"{self.folder}/server.log"
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(running(self.command_of(contender, listen), log))
            wait_for(lambda: self.answers(target), server, contender)
            pids = workers_of(server.pid)
            if front:
                port = free_port()
                conf = f"{self.folder}/lighttpd.conf"
                pathlib.Path(conf).write_text(
                    LIGHTTPD_CONF.format(folder=self.folder, port=port, backend=listen)
                )
                proxy = stack.enter_context(running(["lighttpd", "-D", "-f", conf], log))
                target = ["--to", f"127.0.0.1:{port}", "--http"]
                wait_for(lambda: self.answers(target), proxy, "lighttpd")
                pids = pids + [proxy.pid]
            yield pids, target

    def publish(self, scenario):
        command = [self.tool("publish"), "--to", f"unix:{self.folder}/redis.sock"]
        command += ["--count", scenario.messages, "--rate", scenario.rate, "--size", 200]
        if scenario.each:
            command += ["--channel", "many:%d", "--channels", scenario.streams]
        words = [str(word) for word in command]
        if subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode:
            raise BenchError("the publisher failed")

    def check(self, what, report):
        for fault in ("failed", "ended", "missing", "gaps", "out_of_order", "malformed"):
            if report[fault]:
                self.lost.append(f"{what}: {report[fault]} {fault.replace('_', ' ')}")

    def deliver(self, scenario, contender):
        """Returns the processor time per delivered event, µs."""
        path, per_stream = "/bench", scenario.messages
        if scenario.each:
            path, per_stream = "/many/%d", scenario.messages // scenario.streams
        with self.serving(contender, scenario.front) as (pids, target):
            with Load(self, target, path, scenario.streams, per_stream) as load:
                load.report("open")
                before = cpu_ns(pids)
                self.publish(scenario)
                report = load.report("done")
                used_ns = cpu_ns(pids) - before
                load.release()
        self.check(f"{scenario.name}, {contender}", report)
        self.latencies.setdefault((scenario.name, contender), []).append(report)
        return used_ns / 1e3 / max(report["events"], 1)

    def open(self, scenario, contender):
        """Returns processor time, µs, and memory, kB, per stream that is opened and idle."""
        path = "/many/%d" if scenario.each else "/bench"
        with self.serving(contender) as (pids, target):
            wait_until_quiet(pids)
            cpu, pss = cpu_ns(pids), pss_kb(pids)
            with Load(self, target, path, scenario.streams) as load:
                report = load.report("open")
                wait_until_quiet(pids)
                cpu, pss = cpu_ns(pids) - cpu, pss_kb(pids) - pss
                load.release()
        self.check(f"{scenario.name}, {contender}", report)
        return cpu / 1e3 / scenario.streams, pss / scenario.streams

    def stage(self, number, name):
        """Returns the processor time per message, µs, with one subscriber."""
        checked = not name.startswith("batch")
        flood = Scenario(name, 1, STAGE_MESSAGES)
        with self.serving(SLUICE) as (pids, target):
            with Load(self, target, f"/stage/{number}", 1, STAGE_MESSAGES if checked else 0) as load:
                load.report("open")
                wait_until_quiet(pids)
                before = cpu_ns(pids)
                self.publish(flood)
                report = load.report("done") if checked else None
                wait_until_quiet(pids, 20)
                used_ns = cpu_ns(pids) - before
                load.release()
        if report:
            self.check(f"stage {name}", report)
        return used_ns / 1e3 / STAGE_MESSAGES


def scenarios(quick):
    """Pairs of a scenario and its rows; an opening fills two."""
    both, seconds = (EVENT, TURN), 1.5 if quick else 5
    flood = Scenario("flood, 1,000 streams", 1000, 1500, floors=both)
    paced = Scenario("50 msg/s, 1,000 streams", 1000, int(50 * seconds), 50, floors=both)
    many = Scenario("2,000 channels, 2,000 msg/s", 2000, int(2 * seconds) * 1000, 2000, each=True)
    front = Scenario("flood behind lighttpd", 1000, 1500, front=True, floors=both)
    one = Scenario("5,000 streams, one channel", 5000)
    each = Scenario("5,000 streams, one channel each", 5000, each=True)
    return [
        (flood, [Row(flood.name, "µs/event", times_floor=3)]),
        (paced, [Row(paced.name, "µs/event")]),
        (many, [Row(many.name, "µs/event")]),
        (front, [Row(front.name, "µs/event")]),
        (one, opening_rows(one)),
        (each, opening_rows(each)),
    ]


def opening_rows(scenario):
    return [
        Row("open " + scenario.name, "µs/stream", times_floor=5),
        Row("idle " + scenario.name, "kB/stream", at_most=1),
    ]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure(bench, scenario, rows, contenders, runs):
    for run in range(runs):
        for contender in contenders:
            if contender not in scenario.floors + (SLUICE,):
                continue
            progress(f"{scenario.name}: {run + 1}/{runs} {contender}")
            if scenario.messages:
                rows[0].add(contender, bench.deliver(scenario, contender))
                continue
            for row, value in zip(rows, bench.open(scenario, contender)):
                row.add(contender, value)
    progress("")


def measure_stages(bench, runs, only):
    """The cost of each stage: {name: [µs per message, ...]}, all in turn within each run."""
    costs = {name: [] for name in STAGES if only in f"stage {name}"}
    for run in range(runs):
        for number, name in enumerate(STAGES):
            if name in costs:
                progress(f"stage {name}: {run + 1}/{runs}")
                costs[name].append(bench.stage(number, name))
    progress("")
    return costs


def print_stages(costs):
    lines = [["stage, one subscriber", "µs/message", "more than no logic"]]
    plain = statistics.median(costs["no logic"]) if costs.get("no logic") else None
    for name, values in costs.items():
        if values:
            cost = statistics.median(values)
            lines.append([name, figure(cost), "-" if plain is None else figure(cost - plain)])
    if len(lines) > 1:
        print_columns(lines)


def print_columns(lines):
    widths = [max(len(cell) for cell in column) for column in zip(*lines)]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())
    print()


def figure(value):
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def print_table(rows):
    lines = [["scenario", "unit", EVENT, TURN, SLUICE, "ratio", "bar", ""]]
    for row in rows:
        bar = f"<= {row.times_floor:g} x floor" if row.times_floor else ""
        bar = f"<= {row.at_most:g} kB" if row.at_most else bar
        ratio = None if row.at_most else row.ratio()
        cells = [figure(row.median(contender)) for contender in (EVENT, TURN, SLUICE)]
        lines.append([row.name, row.unit, *cells, figure(ratio), bar or "-", row.verdict()])
    print_columns(lines)


def print_latencies(latencies):
    lines = [["publish to receipt", "", "p50 ms", "p99 ms", "max ms", "events/s"]]
    for (scenario, contender), reports in latencies.items():
        times = [
            statistics.median(report["latency_us"][name] for report in reports) / 1e3
            for name in ("p50", "p99", "max")
        ]
        rate = statistics.median(report["events_per_second"] for report in reports)
        lines.append([scenario, contender, *(f"{ms:.2f}" for ms in times), f"{rate:,.0f}"])
    print_columns(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build")
    parser.add_argument("--quick", action="store_true", help="three short runs instead of five")
    parser.add_argument("--runs", type=int, help="so many runs")
    parser.add_argument("--only", default="", help="the scenarios whose name contains this")
    parser.add_argument("--no-stages", action="store_true", help="without the cost of each stage")
    parser.add_argument("--floor-only", action="store_true", help="without Sluice")
    return parser.parse_args()


def main():
    args = parse_arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    contenders = [EVENT, TURN] if args.floor_only else [EVENT, TURN, SLUICE]
    runs = args.runs or (3 if args.quick else 5)
    costs = {}
    chosen = [pair for pair in scenarios(args.quick) if args.only in pair[0].name]
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        bench = Bench(folder, args.build.resolve())
        try:
            with bench.redis():
                for scenario, rows in chosen:
                    measure(bench, scenario, rows, contenders, runs)
                if not args.no_stages and not args.floor_only:
                    costs = measure_stages(bench, min(runs, 3), args.only)
        except (BenchError, OSError) as error:
            bench.lost.append(str(error))
            log = pathlib.Path(folder, "server.log")
            if log.exists():
                bench.lost += log.read_text(errors="replace").splitlines()[-10:]
    rows = [row for _, rows in chosen for row in rows]
    print_table(rows)
    print_latencies(bench.latencies)
    print_stages(costs)
    for line in bench.lost:
        print(line)
    return 1 if bench.lost or any(row.verdict() == "over" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
