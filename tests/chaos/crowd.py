#!/usr/bin/python3
"""A crowd of clients behind a web server while the program is restarted: nobody may be told an error.

    make crowd CLIENTS=2000     each kind of restart behind lighttpd and nginx, with a table

What must hold: no answer but 200, all are back, and the busiest second of the returns has at most 1.5 times what it would
have if they were spread evenly, as the program plans it: over nine tenths of the drain from its end on if what begins
then is another program's; over the drain if the other serves already; over what `retry:` differs by at a reload.
"""

import argparse
import asyncio
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]
import webservers  # noqa: E402
from processes import Child, is_alive  # noqa: E402
from redisd import RedisServer  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import bound, wait_for  # noqa: E402

MOST = 1.5  # times what is planned
RETRY = 3.0  # the default, of which `retry:` differs by a fifth
KINDS = ("held", "overlap", "usr2", "reload", "apart")
ROUTES = {"route x": {"path": "/x", "streams": "crowd"}, "route status": {"path": "/status", "handler": "status"}}


class Lighttpd(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, 'server.max-fds = 16384\nserver.max-connections = 8192\n')


class Nginx(webservers.Nginx):
    def configuration(self, fragment):
        return super().configuration(fragment).replace("worker_connections 2048", "worker_connections 16384")


class Crowd:
    """Each client opens a stream and comes back when it was told to, as an EventSource does."""

    def __init__(self, port, n):
        self.port, self.n = port, n
        self.statuses, self.opened, self.n_open, self.is_over = Counter(), [], 0, False
        self.planned = []  # when each is to be back, as it was told

    async def client(self):
        retry = RETRY
        while not self.is_over:
            try:
                retry = await self.stream(retry)
            except (OSError, asyncio.IncompleteReadError):
                pass
            if not self.is_over:
                self.planned.append(time.monotonic() + retry)
                await asyncio.sleep(retry)

    async def stream(self, retry):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        is_open = False
        try:
            writer.write(b"GET /events/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: text/event-stream\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            self.statuses[int(head.split(b" ", 2)[1])] += 1
            while line := await reader.readline():
                if line.startswith(b"retry: "):
                    retry = int(line[7:]) / 1000
                if line.startswith(b"event: stream-open"):
                    is_open = True
                    self.n_open += 1
                    self.opened.append(time.monotonic())
        finally:
            self.n_open -= is_open
            writer.close()
        return retry

    async def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}; open {self.n_open}, {self.statuses}")
            await asyncio.sleep(0.02)


class Place:
    """Redis, the program, and a web server before it. With kind "held" somebody else has the socket."""

    def __init__(self, folder, server, kind, drain):
        self.redis = RedisServer(folder).start()
        self.sluice = Sluice(folder, {"server": {"base": "/events", "workers": 2, "drain": drain, "log_level": "info"}, **ROUTES},
                             self.redis)
        self.kind, self.drain, self.socket = kind, drain, None
        if kind == "held":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(self.sluice.path)
            os.chmod(self.sluice.path, 0o666)
            self.socket.listen(4096)
            del self.sluice.sections["server"]["listen"]
            self.sluice.write_config()
        self.n, self.children = 0, []
        self.begin()
        self.pid = self.child.pid
        self.server = server(folder, self.sluice.path).start()

    def begin(self):
        self.n += 1
        more = {"stdin": self.socket} if self.socket else {}
        self.child = Child(f"sluice{self.n}", self.sluice.argv("serve", "-c", self.sluice.config), self.sluice.folder,
                           env=self.sluice.reports.environment(), **more)
        self.children.append(self.child)
        self.child.wait_ready(lambda: "serves" in self.child.text(), 20)

    def restart(self):
        """The restart itself; it may take as long as the drain."""
        old = self.child
        if self.kind == "reload":
            self.sluice.sections["route x"]["history"] = 999
            self.sluice.write_config()
            old.send_signal(signal.SIGHUP)
            return
        old.send_signal(signal.SIGUSR2 if self.kind == "usr2" else signal.SIGTERM)
        if self.kind == "usr2":
            wait_for(lambda: "this one drains" in old.text(), "the new one serves", 15)
            self.pid = int(old.text().rpartition("USR2: process ")[2].split()[0])
            return
        if self.kind != "overlap":
            old.wait(120)
        self.begin()
        self.pid = self.child.pid

    def end(self):
        self.server.stop()
        if is_alive(self.pid):
            os.kill(self.pid, signal.SIGTERM)
            wait_for(lambda: not is_alive(self.pid), "the last program has ended", 30)
        for child in self.children:
            child.end()
        self.redis.end()
        if self.socket:
            self.socket.close()


def busiest(times):
    """The most in one second, wherever that begins."""
    times, first, most = sorted(times), 0, 0
    for i, t in enumerate(times):
        while t - times[first] >= 1:
            first += 1
        most = max(most, i - first + 1)
    return most


@dataclass
class Outcome:
    """How a restart went: when they came back, and when each was told to, in seconds from its begin."""

    statuses: Counter
    back: list
    told: list
    evenly: float  # how many are back in a second if they are spread as planned
    slow: float  # how much longer things took than on a machine of one's own

    def is_spread(self):
        return busiest(self.back) <= MOST * self.evenly


def spread_s(kind, drain):
    """Over how long the returns are planned to be spread."""
    return {"usr2": drain, "reload": 2 * 0.2 * RETRY}.get(kind, 0.9 * drain)


async def drive(place, n):
    crowd = Crowd(place.server.port, n)
    clients = []
    for _ in range(n):
        clients.append(asyncio.create_task(crowd.client()))
        if len(clients) % 50 == 0:
            await asyncio.sleep(0.02)
    await crowd.until(lambda: crowd.n_open == n, 60, "all are there")
    first = len(crowd.opened)
    begin = time.monotonic()
    await asyncio.get_running_loop().run_in_executor(None, place.restart)
    await crowd.until(lambda: len(crowd.opened) - first >= n and crowd.n_open == n, 90, "all are back")
    crowd.is_over = True
    for c in clients:
        c.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    back, told = (sorted(t - begin for t in times) for times in (crowd.opened[first:], crowd.planned))
    evenly = n / max(1.0, spread_s(place.kind, seconds_of(place.drain)))
    return Outcome(crowd.statuses, back, told, evenly, bound(1, begin))


def seconds_of(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.rstrip("s"))


def run(folder, server, kind, n, drain):
    place = Place(folder, server, kind, drain)
    try:
        return asyncio.run(drive(place, n))
    finally:
        place.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--drain", default="10s")
    parser.add_argument("--kinds", default=",".join(KINDS))
    args = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    is_all_well = True
    for server in (Lighttpd, Nginx):
        for kind in args.kinds.split(","):
            folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
            folder.chmod(0o777)
            try:
                out = run(folder, server, kind, args.clients, args.drain)
            finally:
                shutil.rmtree(folder)
            errors = sum(n for status, n in out.statuses.items() if status != 200)
            is_well = errors == 0 and out.is_spread()
            is_all_well = is_all_well and is_well
            print(f"{server.name:9} {kind:8} {errors:5} answers but 200, back after {out.back[0]:.1f} to {out.back[-1]:.1f} s; in the busiest "
                  f"second {busiest(out.back)}, as told {busiest(out.told)}, spread evenly {out.evenly:.0f}{'' if is_well else ': NOT WELL'}", flush=True)
    sys.exit(0 if is_all_well else 1)


if __name__ == "__main__":
    main()
