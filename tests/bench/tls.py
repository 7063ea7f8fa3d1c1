#!/usr/bin/python3
"""What TLS to Redis costs: an event, and a connection that is idle, beside plain ones.

One Redis serves both, each over TCP on the loopback, in turn within each run, each time with a fresh program. Processor
time and memory are the worker's alone. Exits 1 if an event was lost.
"""

import argparse
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import run
from run import Bench, BenchError, Load, Scenario, cpu_ns, pss_kb, wait_until_quiet

sys.path.insert(0, str(run.HERE.parent / "integration"))
from certificates import Authority  # noqa: E402

INI = """\
[server]
workers = 1
drain = 100ms

[redis]
{link}

[defaults]
announce = no
heartbeat = 30m

[route bench]
path = /bench
channels = bench
queue = 256m

[route many]
path = /many/{{n}}
channels = many:{{n}}

[route streams]
path = /streams/{{n}}
streams = stream:{{n}}
"""
PLAIN, TLS = "plain", "TLS"
KEYS = 128  # of one connection
LINKS = 20
IDLE_S = 6


class TlsBench(Bench):
    def __init__(self, folder, build):
        super().__init__(folder, build)
        authority = Authority(pathlib.Path(folder))
        pem, key = authority.sign("redis", "IP:127.0.0.1")
        self.ports = {PLAIN: run.free_port(), TLS: run.free_port()}
        self.links = {PLAIN: f"url = redis://127.0.0.1:{self.ports[PLAIN]}",
                      TLS: f"url = rediss://127.0.0.1:{self.ports[TLS]}\ntls_ca = {authority.pem}"}
        self.options = ["--port", self.ports[PLAIN], "--tls-port", self.ports[TLS], "--tls-cert-file", pem, "--tls-key-file", key,
                        "--tls-ca-cert-file", authority.pem, "--tls-auth-clients", "no", "--bind", "127.0.0.1"]

    def command_of(self, contender, listen):
        ini = pathlib.Path(self.folder, "sluice.ini")
        ini.write_text(INI.format(link=self.links[contender]))
        return [self.build / "sluice", "serve", "-c", ini, "-l", f"unix:{listen}", "-w", "1"]

    def n_links(self):
        command = ["redis-cli", "-p", str(self.ports[PLAIN]), "client", "list"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("name=sluice")

    def idle(self, contender):
        """Returns kB of memory and µs of processor time a second, of each connection that follows streams of which none is written."""
        with self.serving(contender) as (pids, target):
            wait_until_quiet(pids)
            links, pss = self.n_links(), pss_kb(pids)
            with Load(self, target, "/streams/%d", KEYS * LINKS) as load:
                report = load.report("open")
                wait_until_quiet(pids)
                links, pss = self.n_links() - links, pss_kb(pids) - pss
                cpu, since = cpu_ns(pids), time.monotonic()
                time.sleep(IDLE_S)
                cpu = (cpu_ns(pids) - cpu) / 1e3 / (time.monotonic() - since)
                load.release()
        self.check(f"idle, {contender}", report)
        return pss / links, cpu / links


EVENTS = (Scenario("an event, flood to one stream", 1, 50000), Scenario("an event, flood to 1,000 streams", 1000, 1500),
          Scenario("an event, 500 a second on 500 channels", 500, 1500, 500, each=True))
IDLE = (("an idle connection, with what it follows", "kB"), ("an idle connection, a second of it", "µs"))


def measure(bench, runs):
    figures = {}

    def add(name, unit, contender, value):
        figures.setdefault((name, unit), {PLAIN: [], TLS: []})[contender].append(value)
    for number in range(runs):
        for contender in (PLAIN, TLS):
            for scenario in EVENTS:
                run.progress(f"{scenario.name}: {number + 1}/{runs} {contender}")
                add(scenario.name, "µs", contender, bench.deliver(scenario, contender))
            run.progress(f"idle: {number + 1}/{runs} {contender}")
            for (name, unit), value in zip(IDLE, bench.idle(contender)):
                add(name, unit, contender, value)
    run.progress("")
    return figures


def print_table(figures):
    lines = [["worker's cost of", "unit", PLAIN, TLS, "more"]]
    for (name, unit), values in figures.items():
        plain, tls = (statistics.median(values[c]) for c in (PLAIN, TLS))
        lines.append([name, unit, run.figure(plain), run.figure(tls), run.figure(tls - plain)])
    run.print_columns(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=run.HERE.parents[1] / "build")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = {}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        bench = TlsBench(folder, args.build.resolve())
        try:
            with bench.redis():
                figures = measure(bench, args.runs)
        except (BenchError, OSError, subprocess.CalledProcessError) as error:
            bench.lost.append(str(error))
    print_table(figures)
    for line in bench.lost:
        print(line, file=sys.stderr)
    return 1 if bench.lost else 0


if __name__ == "__main__":
    sys.exit(main())
