#!/usr/bin/python3
"""Chaos by a seed: numbered messages over every kind of source, clients written from the standard, direct and through
lighttpd, nginx and Apache, and one strike after another; then each promise is judged from what clients were sent.

    make chaos TIME=3m SEED=7       a longer run; what is struck when is the seed's alone
    make chaos TIME=3m SEED=1..10   one after the other, with a table
    make chaos REDIS=sentinel       fail-overs: of three servers that three sentinels watch
    tests/chaos/chaos.py --defects  the checker checked: each planted defect must be found

The last line is JSON: the figures of the run.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "integration")]
import defects  # noqa: E402
import fcgi  # noqa: E402
import publisher  # noqa: E402
import sides  # noqa: E402
import strikes  # noqa: E402
import webservers  # noqa: E402
from eventsource import EventSource, direct, through  # noqa: E402
from judge import Published, judge, judge_queue  # noqa: E402
from processes import Child, accepts, n_descriptors, rss_bytes  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import Timeout, bound, wait_for  # noqa: E402

BASE = "/events"
RECOVERY = 5.0  # seconds after a strike's end
ROUTES = {
    "channel": {"path": "/channel", "channels": "x:channel"},
    "recorded": {"path": "/recorded", "channels": "x:recorded", "record": 5000, "history": 5000, "publish": "x:recorded",
                 "publish_auth": "none"},
    "stream": {"path": "/stream", "streams": "x:stream", "history": 5000},
    "two": {"path": "/two", "streams": "x:one x:other", "history": 5000},
    "queue": {"path": "/queue", "handler": "queue", "streams": "x:queue", "group": "g", "claim_after": "2s",
              "ack": "client"},
    "auto": {"path": "/auto", "handler": "queue", "streams": "x:auto", "group": "g", "claim_after": "2s", "ack": "auto"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "stream channel"},
    "status": {"path": "/status", "handler": "status"},
    "health": {"path": "/health", "handler": "health"},
}
MUX = "/mux?s=" + urllib.parse.quote(json.dumps([["stream", f"{BASE}/stream"], ["channel", f"{BASE}/channel"]]))
# path: (sources that are followed, whether a gap may be there if it is told)
FOLLOWED = {"/channel": (["channel"], True), "/recorded": (["recorded"], False), "/stream": (["stream"], False),
            "/two": (["one", "other"], False), MUX: (["stream", "channel"], True)}
# What is written to a web server counts as had with `ack = auto`, so what one has that is killed is lost with it: by direct clients only.
QUEUES = {"/queue": "queue", "/auto": "auto"}
STREAMS = ("stream", "one", "other", "queue", "auto")
KEYS = {"recorded": "x:recorded:log", **{s: f"x:{s}" for s in STREAMS}}
SOURCES = ["channel", "recorded", *STREAMS]


def restartable(server):
    """With a start_again() on the same port, so that clients come back to it."""
    def start_again():
        server.child = Child(server.name, server.command(server.folder / f"{server.name}.conf"), server.folder)
        server.child.wait_ready(lambda: accepts(server.address))
    server.start_again = start_again
    return server.start()


class Run:
    def __init__(self, folder, seed, kinds, side="single"):
        self.folder, self.random = folder, random.Random(seed)
        self.redis = sides.SIDES[side](folder, ("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes",
                                   "--lua-time-limit", "100"))
        sections = {"server": {"base": BASE, "workers": 2, "drain": "1s", "watchdog": "1s"},
                    **{f"route {n}": {**keys, **({} if n in ("status", "health") else {"heartbeat": "1s", "retry": "500ms"})}
                       for n, keys in ROUTES.items()}}
        self.sluice = Sluice(folder, sections, self.redis).start()
        self.program = strikes.Program(self.sluice)
        self.servers = [restartable(kind(folder, self.sluice.path)) for kind in kinds]
        self.published = {s: Published(s) for s in SOURCES}
        self.clients, self.publishers, self.struck = [], [], []
        # Threads that stay: what a thread has started ends with it (PR_SET_PDEATHSIG).
        self.hands = ThreadPoolExecutor(2)
        list(self.hands.map(time.sleep, [0.1, 0.1]))

    def publish(self):
        p = self.published
        path, patience = self.redis.path, self.redis.patience
        how = {"channel": publisher.by_publish(path, "x:channel", patience),
               "recorded": publisher.by_post(self.sluice.path, f"{BASE}/recorded"),
               **{s: publisher.by_xadd(path, f"x:{s}", patience) for s in STREAMS}}
        self.publishers = [publisher.Publisher(p[s], how[s]) for s in SOURCES]
        for one in self.publishers:
            one.start()

    def follow(self, name, connect, paths):
        for path in paths:
            client = EventSource(f"{name} {path.partition('?')[0]}", connect, BASE + path)
            client.follows = path
            if path == "/queue":
                client.had = self.acknowledge
            self.clients.append(client)
            client.start()

    def acknowledge(self, id):
        """What is not acknowledged is given to another, in any case to somebody."""
        try:
            with fcgi.get(self.sluice.path, f"{BASE}/queue?ack={id}", timeout=3, method="POST") as response:
                response.rest(3)
        except (OSError, AssertionError):
            pass

    def follow_all(self):
        for name, connect in [("direct", direct(self.sluice.path)), *((s.name, through(s)) for s in self.servers)]:
            self.follow(name, connect, [*FOLLOWED, "/queue"])
        for n in (1, 2):
            self.follow(f"direct {n}", direct(self.sluice.path), ["/auto"])
        self.wait_fresh(time.monotonic())

    def readers(self):
        return [c for c in self.clients if c.follows in FOLLOWED]

    def wait_fresh(self, since, ended=None, seconds=60):
        """Until each client has a message that was published since then: for each, seconds after what went wrong has ended."""
        ended = ended or since
        took = {}

        def all_have():
            for c in self.readers():
                if c not in took and c.newest >= since:
                    took[c] = time.monotonic() - ended
            return len(took) == len(self.readers())
        try:
            wait_for(all_have, "", seconds)
        except Timeout:
            raise Timeout(f"still without a message after {seconds} s: {[c.name for c in self.readers() if c not in took]}\n"
                          f"{self.program.log()[-3000:]}") from None
        return took

    def strike(self):
        """One, sometimes two at once; when all is repaired, how long each client took to be back."""
        names = self.redis.next_strikes(self.random)
        seconds = self.random.uniform(0.3, 3)
        hand = self.redis.hand(self.program, self.redis, self.servers, self.random, self.published)
        begin, ends, errors = time.monotonic(), [], []

        def one(name):
            try:
                ends.append(getattr(hand, name)(seconds) or time.monotonic())
            except Exception as e:  # noqa: BLE001: the main thread tells it
                errors.append((name, e))
        list(self.hands.map(one, names))
        if errors:
            raise AssertionError(f"a strike went wrong: {errors}\n{self.program.log()[-3000:]}")
        end = max(ends)
        took = self.wait_fresh(time.monotonic(), end)
        last = max(took, key=took.get)
        self.struck.append((names, begin, end + took[last], took, bound(1, begin)))
        print(f"{'+'.join(names):40} {end - begin:5.1f} s, back after {sorted(took.values())[len(took) // 2]:.2f} s, "
              f"at last {took[last]:.2f} s: {last.name}", flush=True)
        for line in self.redis.settle():
            print(f"    {line}", flush=True)

    def finish(self):
        for one in self.publishers:
            one.end()
        for source, key in KEYS.items():
            held = self.redis.held(key)
            if held is not None:
                self.published[source].keep(held)
        last = {s: max(p.acked, default=0) for s, p in self.published.items()}

        def is_through(client):
            seen = {}
            for kind, what in list(client.log):
                if kind == "message":
                    seen[what["source"]] = max(seen.get(what["source"], 0), what["n"])
            return all(seen.get(s, 0) >= last[s] for s in FOLLOWED[client.follows][0])
        try:
            wait_for(lambda: all(is_through(c) for c in self.readers()), "", 30)
            wait_for(lambda: not any(self.lost_of_queues().values()), "", 20)
        except Timeout:
            pass  # the judge says what is missing
        self.memory = [rss_bytes(w) for w in self.program.workers()]
        for c in self.clients:
            c.is_closed.set()
        for c in self.clients:
            c.close()

    def lost_of_queues(self):
        """By source: what nobody was given."""
        return {source: judge_queue([list(c.log) for c in self.clients if c.follows == path], self.published[source])
                for path, source in QUEUES.items()}

    def left_behind(self):
        """What should be gone once all clients are."""
        try:
            wait_for(lambda: self.sluice.status()["subscribers"] == self.sluice.status()["feeds"] == 0, "", 45)
            wait_for(lambda: not [c for c in self.redis.channels() if c.startswith("x:")], "", 10)
            return []
        except Timeout:
            status = self.sluice.status()
            return [f"{status['subscribers']} subscribers, {status['feeds']} feeds, channels {sorted(self.redis.channels())}"]

    def is_of_crash(self, at):
        """A request that a process had accepted when it was killed, and what a web server remembers of it."""
        return any(set(names) & strikes.CRASHES and begin - 0.2 <= at <= end + 3 * slow for names, begin, end, _, slow in self.struck)

    def strikes_around(self, at):
        return ", ".join(f"{'+'.join(names)} {begin - at:+.2f} s" for names, begin, end, *_ in self.struck if begin - 3 < at < end + 3)

    def verdict(self):
        findings, told = Counter(), Counter()
        for c in self.readers():
            sources, may_be_told = FOLLOWED[c.follows]
            for source in sources:
                found, n = judge([e for e in c.log if e[0] == "told" and e[1] in (None, source)
                                  or e[0] == "message" and e[1].get("source") == source],
                                 {source: self.published[source]}, may_be_told and source == "channel")
                told[source] += n
                for kind, n in found.items():
                    findings[f"{kind}: {source} by {c.name}"] += n
        for source, lost in self.lost_of_queues().items():
            for n in lost:
                findings[f"lost: {source}, {n}, beside {self.strikes_around(self.published[source].at[n])}"] += 1
        statuses = [(at, status) for c in self.clients for at, status in c.statuses]
        errors = Counter(status for at, status in statuses if not self.is_of_crash(at))
        findings += Counter({f"answered {status}": n for status, n in errors.items()})
        took = sorted(t for _, _, _, all_took, _ in self.struck for t in all_took.values())
        for names, _, _, all_took, slow in self.struck:
            for c, t in all_took.items():
                if t > RECOVERY * slow:
                    findings[f"late after {'+'.join(names)}: {c.name}, {t:.1f} s"] += 1
        return findings, {
            "strikes": len(self.struck), "kinds": Counter(n for names, *_ in self.struck for n in names),
            "published": {s: len(p.acked) for s, p in self.published.items()},
            "gone with a primary": {s: len(p.gone) for s, p in self.published.items() if p.gone},
            "delivered": sum(kind == "message" for c in self.clients for kind, _ in c.log), "told": dict(told),
            "answers 5xx of crashes": len(statuses) - sum(errors.values()),
            "recovered s": {"median": round(took[len(took) // 2], 2), "last": round(took[-1], 2)} if took else None,
            "worker MB": [m >> 20 for m in self.memory]}

    def end(self):
        """All of it, whatever went wrong before or on the way. Returns what the program has left behind."""
        for one in self.publishers:
            one.is_over.set()
        for c in self.clients:
            c.is_closed.set()
        with ExitStack() as rest:
            rest.callback(self.redis.end)
            for server in self.servers:
                rest.callback(server.stop)
            rest.callback(self.hands.shutdown)
            behind = self.program.end()
            if Path(self.sluice.path).exists():
                behind.append("its socket")
        return behind


def chaos(folder, seed, seconds, side):
    run = Run(folder, seed, [webservers.Lighttpd, webservers.Nginx, webservers.Apache], side)
    try:
        run.publish()
        run.follow_all()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            run.strike()
        run.finish()
        findings, figures = run.verdict()
        findings += Counter({f"left behind: {what}": 1 for what in run.left_behind()})
        figures["descriptors"] = [n_descriptors(w) for w in run.program.workers()]
    finally:
        behind = run.end()
    return findings + Counter({f"left behind: {what}": 1 for what in behind}), figures


def planted(folder, seed):
    """Beside a client that is served well, one for each defect: all of these, and nothing else, must be found."""
    run = Run(folder, seed, [webservers.Nginx])
    proxies = [defects.Defect(name, run.servers[0].port) for name in defects.NAMES]
    try:
        run.publish()
        for proxy in proxies:
            proxy.start()
            run.follow(proxy.name, through(None, proxy.port, "1.0"), ["/channel" if "reset" in proxy.name else "/stream"])
        run.follow("none", through(run.servers[0]), ["/channel", "/stream"])
        run.wait_fresh(time.monotonic())
        client = publisher.Redis(run.redis.path)
        for _ in range(3):
            client.ask("CLIENT", "KILL", "TYPE", "pubsub")
            for _ in range(5):  # before the links are back: nobody hears it, and all must be told
                publish_unheard(run.published["channel"], client)
            run.wait_fresh(time.monotonic())
        run.finish()
        findings, figures = run.verdict()
    finally:
        for proxy in proxies:
            proxy.close()
        run.end()
    found = {name for name in defects.NAMES if any(f.partition(" by ")[2].startswith(f"{name} /") for f in findings)}
    wrong = [f for f in findings if " by none " in f]
    figures["found"], figures["not found"] = sorted(found), sorted(set(defects.NAMES) - found)
    return Counter({f"not found: {n}": 1 for n in figures["not found"]}) + Counter({f"wrongly: {f}": 1 for f in wrong}), figures


def publish_unheard(published, client):
    with published.turn:
        n, text = published.next(0)
        client.ask("PUBLISH", "x:channel", text)
        published.acked.add(n)


# What a finding begins with, by the table's column; of a channel alone a gap may be told.
COLUMNS = {"lost": ("lost: ", "missing at the end: "), "doubled": ("doubled: ",), "disorder": ("out of order: ",), "untold": (),
           "late": ("late after ",), "5xx": ("answered ",), "left behind": ("left behind: ",)}


def sums(findings):
    """By column; what belongs to none is under "other"."""
    out = dict.fromkeys([*COLUMNS, "other"], 0)
    for finding, n in findings.items():
        column = next((c for c, begins in COLUMNS.items() if finding.startswith(begins)), "other")
        if column == "lost" and finding.partition(": ")[2].startswith("channel "):
            column = "untold"
        out[column] += n
    return out


def table(seeds, seconds, side):
    """A run for each, by a process of its own. Returns whether all went well."""
    rows, is_well = [], True
    for seed in seeds:
        argv = [sys.executable, __file__, "--seed", str(seed), "--seconds", str(seconds), "--redis", side]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        is_well = is_well and done.returncode == 0
        try:
            figures = json.loads(done.stdout.splitlines()[-1])
            rows.append([seed, seconds, figures["strikes"], *figures["sums"].values(), (figures["recovered s"] or {}).get("last")])
        except (IndexError, ValueError):
            rows.append([seed, seconds, "it failed"])
    for row in [["seed", "seconds", "strikes", *COLUMNS, "other", "slowest s"], *rows]:
        print(" ".join(f"{cell!s:>11}" for cell in row))
    return is_well


def seeds_of(text):
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def seconds_of(text):
    units = {"s": 1, "m": 60, "h": 3600}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=seconds_of, default=60)
    parser.add_argument("--seed", type=seeds_of, default=range(1, 2), help="a number, or FIRST..LAST")
    parser.add_argument("--redis", choices=list(sides.SIDES), default="single")
    parser.add_argument("--defects", action="store_true")
    args = parser.parse_args()
    if len(args.seed) > 1:
        sys.exit(0 if table(args.seed, args.seconds, args.redis) else 1)
    seed = args.seed[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind then, either
    folder = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    folder.chmod(0o777)
    try:
        findings, figures = planted(folder, seed) if args.defects else chaos(folder, seed, args.seconds, args.redis)
    finally:
        shutil.rmtree(folder)
    for finding, n in sorted(findings.items()):
        print(f"{n} {finding}")
    print(json.dumps({"seed": seed, "program": os.environ.get("SLUICE", "build/sluice"), **figures, "sums": sums(findings),
                      "findings": dict(findings)}))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
