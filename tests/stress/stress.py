#!/usr/bin/python3
"""Everything at once, by a seed: quick, slow, leaving and returning clients of every kind of source, a writer that does
not wait, reloads, and links to Redis that are cut; two workers.

What must hold: no report of a sanitizer, no worker lost, no connection closed without an answer, no frame cut; every
client that missed something was told so, and every quick one has all. A message is numbered by its source, so a client
knows at each whether one is missing, doubled or out of order.

A run is repeated by its seed: which clients there are and what is done to them is the same then, though not the moment.
"""

import argparse
import collections
import json
import os
import random
import re
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import fcgi  # noqa: E402
import redis as redis_client  # noqa: E402
from processes import family_of  # noqa: E402
from redisd import RedisServer  # noqa: E402
from sluice import Sluice  # noqa: E402
from waiting import deadline  # noqa: E402

RECORD = (Path(__file__).resolve().parents[2] / "conf/record.lua").read_text()
QUEUE = 1 << 20
BURST = QUEUE // 2  # so a client that reads always has not so much waiting
ROUTES = {
    "disconnect": {"channels": "x:disconnect"},
    "oldest": {"channels": "x:oldest", "overflow": "drop_oldest"},
    "latest": {"channels": "x:latest", "overflow": "latest"},
    "pattern": {"patterns": "x:pattern:*", "filter": "message.n > 0"},
    "stream": {"streams": "x:stream", "history": 100000},
    "stream-oldest": {"streams": "x:stream", "overflow": "drop_oldest", "history": 100000},
    "recorded": {"channels": "x:recorded", "record": 20000, "history": 100000},
    "batch": {"streams": "x:stream", "batch": "7/50ms", "history": 100000},
    "queue": {"handler": "queue", "streams": "x:queue", "group": "g", "claim_after": "2s"},
}
MUX = ["disconnect", "stream", "recorded"]
SOURCE = {"stream-oldest": "stream", "batch": "stream"}  # else its route's name
RESUMES = {"stream", "stream-oldest", "recorded", "batch"}
KINDS = {"quick": 4, "slow": 3, "never": 1}
NUMBER = re.compile(rb'\{"n":(\d+),')


class Fault(AssertionError):
    pass


class Client:
    """One who follows a route, connection after connection."""

    def __init__(self, storm, route, kind):
        self.storm, self.route, self.kind = storm, route, kind
        self.last_id, self.serial = None, storm.next_serial()
        self.next = {}  # of each source: the number that comes next; None: whichever
        self.at_first = set()  # sources of which none came since next was a guess, be it over several connections
        self.connect()

    def __repr__(self):
        return f"client {self.serial}, {self.kind}, of {self.route}"

    def fault(self, text):
        raise Fault(f"{self!r}: {text}; its last bytes: {bytes(self.body[-300:])!r}")

    def path(self):
        if self.route != "mux":
            return f"/{self.route}"
        return "/mux?s=" + urllib.parse.quote(json.dumps([[r, f"/{r}"] for r in MUX]))

    def connect(self):
        self.socket = socket.socket(family_of(self.storm.sluice.address), socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(self.storm.sluice.address)
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.socket.sendall(fcgi.request(self.path(), headers=headers))
        self.socket.setblocking(False)
        self.records, self.body, self.has_head, self.is_open, self.end = b"", bytearray(), False, False, None
        self.opened, self.is_over = set(), False
        self.sleeps_until = 0
        self.storm.selector.register(self.socket, selectors.EVENT_READ, self)
        self.is_listening = True

    def listen(self, yes):
        if yes and not self.is_listening:
            self.storm.selector.register(self.socket, selectors.EVENT_READ, self)
        elif not yes and self.is_listening:
            self.storm.selector.unregister(self.socket)
        self.is_listening = yes

    def close(self):
        self.listen(False)
        self.socket.close()

    def comes_back(self):
        self.close()
        self.storm.seen[self.end or "went"] += 1
        self.connect()

    def read(self):
        try:
            data = self.socket.recv(1 << 17)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if data == b"":
            if self.end is None and not self.storm.is_cut_off(self):
                self.fault("the connection was closed without an answer")
            self.comes_back()
            return
        self.records += data
        self.take_records()
        if self.is_over:  # one of its subscriptions: the client begins anew
            self.comes_back()

    def take_records(self):
        at, has_ended = 0, False
        while len(self.records) - at >= 8:
            kind, length = self.records[at + 1], int.from_bytes(self.records[at + 4:at + 6], "big")
            whole = at + 8 + length + self.records[at + 6]
            if len(self.records) < whole:
                break
            if kind == fcgi.STDOUT:
                self.body += self.records[at + 8:at + 8 + length]
            has_ended = kind == fcgi.END
            at = whole
        self.records = self.records[at:]
        self.take_frames()
        if has_ended and (self.end is None or self.body.strip(b":\n")):
            self.fault("the response ended without an event that says why")

    def take_frames(self):
        if not self.has_head:
            head, blank, rest = bytes(self.body).partition(b"\r\n\r\n")
            if not blank:
                return
            if b"text/event-stream" not in head:
                self.fault("it is no stream")
            self.body, self.has_head = bytearray(rest), True
        whole = self.body.rfind(b"\n\n")
        if whole < 0:
            return
        frames, self.body = bytes(self.body[:whole]), self.body[whole + 2:]
        for frame in frames.split(b"\n\n"):
            self.take_frame(frame)

    def take_frame(self, frame):
        name, data = b"message", []
        for line in frame.split(b"\n"):
            field, _, value = line.partition(b": ")
            if field == b"event":
                name = value
            elif field == b"data":
                data.append(value)
            elif field == b"id":
                self.last_id = value.decode()
            elif line and not line.startswith((b":", b"retry: ")):
                self.fault(f"a frame is cut: {frame[:200]!r}")
        data = b"\n".join(data)
        if name == b"mux":
            head, _, data = data.partition(b"\n")
            route, name, *_ = json.loads(head)
            self.on_event(route, name.encode() or b"message", data)
        else:
            self.on_event(self.route, name, data)

    def on_event(self, route, name, data):
        source = SOURCE.get(route, route)
        if name == b"message":
            self.on_message(source, data)
        elif name == b"stream-open":
            self.opened.add(route)
            self.is_open = self.opened >= set([*MUX, "mux"] if self.route == "mux" else [self.route])
            if route not in RESUMES or not json.loads(data)["resumed"]:
                # What was written before may still be on its way: the first is this one, or one before it.
                self.next[source] = self.storm.sent[source] + 1
                self.at_first.add(source)
        elif name == b"stream-reset":
            self.storm.seen["reset " + json.loads(data)["reason"]] += 1
            self.next[source] = None
        elif name in (b"stream-end", b"stream-done"):
            self.end = json.loads(data)["reason"]
        elif name == b"mux-end":
            self.is_over = True
        elif name not in (b"mux-open", b"keep-alive"):
            self.fault(f"{name!r}: {data[:200]!r}")

    def on_message(self, source, data):
        for n in map(int, NUMBER.findall(data)):
            wanted = self.next.get(source)
            is_right = wanted in (None, n) or (source in self.at_first and n < wanted) or source == "queue"
            self.at_first.discard(source)
            if not is_right:
                self.fault(f"{source}: {n} came where {wanted} is next")
            self.next[source] = n + 1
            self.storm.seen["messages"] += 1

    def has_all(self, source):
        return self.next.get(source) in (None, self.storm.sent[source] + 1)


class Storm:
    def __init__(self, sluice, redis, seed):
        self.sluice, self.redis, self.random = sluice, redis, random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.seen = collections.Counter()
        self.sent = collections.Counter()
        self.clients, self.serial, self.n_retry = [], 0, 3000
        self.worker_pids = set(sluice.workers())

    def next_serial(self):
        self.serial += 1
        return self.serial

    def is_cut_off(self, client):
        """Who has not read its end within the time that it is given is cut off: not before."""
        return client.kind == "never"

    # What is done

    def come(self):
        route = self.random.choice([*ROUTES, "mux"])
        kind, = self.random.choices(list(KINDS), KINDS.values())
        if route == "queue" and kind == "never":
            kind = "quick"  # or its entries wait for it
        self.clients.append(Client(self, route, kind))

    def leave(self):
        client = self.random.choice(self.clients)
        self.clients.remove(client)
        client.close()

    def go_and_return(self):
        client = self.random.choice(self.clients)
        client.comes_back()

    def write(self):
        source = self.random.choice([r for r in ROUTES if r not in SOURCE])
        size = self.random.choice([10, 1000, 10_000, 100_000])
        n = min(200, BURST // (size + 100))
        pipe = self.redis.client().pipeline(transaction=False)
        run = self.redis.client().register_script(RECORD) if source == "recorded" else None
        for _ in range(n):
            self.sent[source] += 1
            text = json.dumps({"n": self.sent[source], "text": "x" * size}, separators=(",", ":"))
            if source in ("stream", "queue"):
                pipe.xadd(f"x:{source}", {"data": text}, maxlen=20000)
            elif run is not None:
                run(keys=["x:recorded", "x:recorded:log"], args=[text, 20000], client=pipe)
            else:
                pipe.publish(f"x:{source}" + (":a" if source == "pattern" else ""), text)
        pipe.execute()
        self.wait(lambda: all(c.has_all(source) for c in self.quick() if source in self.follows(c)),
                  lambda: [c for c in self.quick() if source in self.follows(c) and not c.has_all(source)], source)

    def reload(self):
        self.n_retry += 1
        self.sluice.sections["route " + self.random.choice(list(ROUTES))]["retry"] = f"{self.n_retry}ms"
        self.sluice.write_config()
        os.kill(self.sluice.child.pid, signal.SIGHUP)

    def cut_links(self):
        for one in self.redis.client().client_list():
            if one["name"].startswith("sluice") and self.random.random() < 0.5:
                try:
                    self.redis.client().client_kill(one["addr"])
                except redis_client.ResponseError:
                    pass  # it went by itself
        # What is published while a link is away is lost on a channel, and told only once it is back.
        for client in self.clients:
            client.next = dict.fromkeys(client.next)
        self.wait(self.links_are_up, lambda: "links to Redis")

    def links_are_up(self):
        client = self.redis.client()
        channels = [f"x:{r}".encode() for r in ("disconnect", "oldest", "latest", "recorded")]
        wanted = {c.route for c in self.clients} | ({*MUX} if any(c.route == "mux" for c in self.clients) else set())
        return all(n > 0 or name.decode()[2:] not in wanted for name, n in client.pubsub_numsub(*channels))

    # The clients

    def follows(self, client):
        return {SOURCE.get(r, r) for r in (MUX if client.route == "mux" else [client.route])} - {"queue"}

    def quick(self):
        return [c for c in self.clients if c.kind == "quick"]

    def turn(self, seconds=0.01):
        now = time.monotonic()
        for client in self.clients:
            if client.kind == "slow" and client.is_open:
                if client.sleeps_until == 0 and self.random.random() < 0.02:
                    client.sleeps_until = now + self.random.uniform(0.2, 4)
                elif client.sleeps_until and now > client.sleeps_until:
                    client.sleeps_until = 0
                client.listen(client.sleeps_until == 0)
            elif client.kind == "never":
                client.listen(not client.is_open)
        for key, _ in self.selector.select(seconds):
            if key.data.is_listening:
                key.data.read()

    def wait(self, is_done, what, source=None):
        until = deadline(20)
        while not is_done():
            self.turn()
            if time.monotonic() > until:
                raise Fault(f"not in time: {what()} ({source}: {self.sent[source]})")

    def step(self):
        self.wait(lambda: all(c.is_open for c in self.clients if c.is_listening), lambda: [(c, c.opened) for c in self.clients if c.is_listening and not c.is_open])
        deeds = [(self.write, 50), (self.come, 20 if len(self.clients) < 60 else 0),
                 (self.leave, 6 if len(self.clients) > 20 else 0), (self.go_and_return, 12 if self.clients else 0),
                 (self.reload, 1), (self.cut_links, 1)]
        deed, = self.random.choices([d for d, _ in deeds], [w for _, w in deeds])
        self.seen[deed.__name__] += 1
        deed()
        self.turn()
        if set(self.sluice.workers()) != self.worker_pids:
            raise Fault("a worker ended")


def run(seconds, seed):
    folder = Path(tempfile.mkdtemp(prefix="sluice-stress-", dir="/tmp"))
    folder.chmod(0o777)
    routes = {f"route {name}": {"path": f"/{name}", "queue": QUEUE, **keys} for name, keys in ROUTES.items()}
    routes["route mux"] = {"path": "/mux", "handler": "mux", "routes": " ".join(MUX), "queue": 4 * QUEUE}
    routes["route status"] = {"path": "/status", "handler": "status"}
    redis = RedisServer(folder)
    sluice = Sluice(folder, {**routes, "server": {"workers": 2, "log_level": "warn"}}, redis)
    storm = None
    try:
        redis.start()
        sluice.start()
        sluice.wait_status("redis_links", 4, 20)
        storm = Storm(sluice, redis, seed)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            storm.step()
        for client in storm.clients:
            client.close()
        sluice.stop()
    except BaseException:
        print(f"seed {seed}: {storm and dict(storm.seen)}\n{sluice.child and sluice.log()[-4000:]}", file=sys.stderr)
        raise
    finally:
        sluice.kill()
        redis.end()
        shutil.rmtree(folder)
    return dict(storm.seen)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    try:
        print(f"seed {chosen.seed}: {run(chosen.seconds, chosen.seed)}")
    except AssertionError as e:
        print(f"seed {chosen.seed}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
