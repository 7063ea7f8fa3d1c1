#!/usr/bin/python3
"""What each web server costs a stream, and whether it bears so many: with the very files of conf/, and sized as
docs/howto/web-servers.md says.

Memory, threads and processor time are the web server's own; Sluice, Redis and the clients are not in them. Each figure
is the median of several runs with fresh processes. Exits 1 if a stream was not opened, or an event was lost.
"""

import argparse
import contextlib
import pathlib
import resource
import statistics
import sys
import tempfile

import run
from run import Bench, BenchError, Load, Scenario, cpu_ns, pss_kb, wait_until_quiet

sys.path.insert(0, str(run.HERE.parent / "integration"))
import webservers  # noqa: E402

SIZED = {
    "lighttpd": (("server.max-write-idle = 1\n", "server.max-fds = 40000\nserver.max-connections = 20000\n"),),
    "nginx": (("worker_processes 1;", "worker_processes 1; worker_rlimit_nofile 40000;"), ("worker_connections 2048", "worker_connections 20000")),
    "apache": (("ServerLimit 8\n", "ServerLimit 32\n"), ("ThreadsPerChild 32\n", "ThreadsPerChild 64\n"), ("ThreadLimit 32\n", "ThreadLimit 64\n"),
               ("MaxRequestWorkers 256\n", "MaxRequestWorkers 2048\n"), ("MaxSpareThreads 256\n", "MaxSpareThreads 2048\n")),
    "haproxy": (("maxconn 2000", "maxconn 9000"),),
    "caddy": (),
}


def sized(cls):
    class Sized(cls):
        def configuration(self, fragment):
            text = super().configuration(fragment)
            for old, new in SIZED[cls.name]:
                if text.count(old) != 1:
                    raise BenchError(f"{cls.name}: {old!r} stands {text.count(old)} times in its configuration")
                text = text.replace(old, new)
            return text
    return Sized


def tree_of(pid):
    """All processes under it, and itself."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree_of(int(child))
    return found


def threads_of(pids):
    return sum(len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())) for pid in pids)


class Front:
    """One web server before one Sluice, both fresh."""

    def __init__(self, bench, cls):
        self.bench, self.cls = bench, cls

    @contextlib.contextmanager
    def serving(self):
        with self.bench.serving(run.SLUICE) as (_, target), tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
            path = pathlib.Path(folder)
            path.chmod(0o755)
            socket = target[1].removeprefix("unix:")
            pathlib.Path(socket).chmod(0o777)
            server = sized(self.cls)(path, socket)
            try:
                server.start()
                yield server
            finally:
                server.stop()

    def measure(self, streams, messages):
        """{figure: value} of one run."""
        with self.serving() as server:
            target = ["--to", f"127.0.0.1:{server.port}", "--http"]
            with Load(self.bench, target, "/events/bench", 1) as load:  # it has begun whatever it begins late
                load.report("open")
                load.release()
            before = tree_of(server.child.pid)
            wait_until_quiet(before)
            cpu, pss, threads = cpu_ns(before), pss_kb(before), threads_of(before)
            with Load(self.bench, target, "/events/bench", streams, messages, seconds=120) as load:
                opened = load.report("open")
                pids = tree_of(server.child.pid)
                wait_until_quiet(pids)
                figures = {"opening": (cpu_ns(pids) - cpu) / 1e3 / streams, "memory": (pss_kb(pids) - pss) / streams,
                           "threads": threads_of(pids) - threads, "open": streams - opened["failed"]}
                cpu = cpu_ns(pids)
                self.bench.publish(Scenario("paced", streams, messages, 10))
                report = load.report("done")
                figures["event"] = (cpu_ns(pids) - cpu) / 1e3 / max(report["events"], 1)
                load.release()
        self.bench.check(f"{self.cls.name}, {streams} streams", report)
        return figures


COLUMNS = (("memory", "kB a stream", "{:.1f}"), ("threads", "threads more", "{:.0f}"), ("opening", "µs an opening", "{:.0f}"),
           ("event", "µs an event", "{:.1f}"), ("open", "open at once", "{:,.0f}"))


def print_table(figures):
    lines = [["web server", *(title for _, title, _ in COLUMNS)]]
    for name, runs in figures.items():
        if runs:
            lines.append([name, *(form.format(statistics.median(one[key] for one in runs)) for key, _, form in COLUMNS)])
    run.print_columns(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=run.HERE.parents[1] / "build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=30)
    parser.add_argument("--only", default="", help="the web servers whose name contains this")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = {name: [] for name in webservers.ALL if args.only in name}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        pathlib.Path(folder).chmod(0o755)
        bench = Bench(folder, args.build.resolve())
        try:
            with bench.redis():
                for number in range(args.runs):
                    for name in figures:
                        run.progress(f"{name}: {number + 1}/{args.runs}")
                        figures[name].append(Front(bench, webservers.ALL[name]).measure(args.streams, args.messages))
        except (BenchError, OSError) as error:
            bench.lost.append(str(error))
    run.progress("")
    print_table(figures)
    for line in bench.lost:
        print(line, file=sys.stderr)
    return 1 if bench.lost else 0


if __name__ == "__main__":
    sys.exit(main())
