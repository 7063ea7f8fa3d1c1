"""A primary and two replicas that three sentinels watch; what is struck is the primary, and a replica takes its place."""

import contextlib
import secrets
import signal
import threading
import time
from collections import Counter

import redis as redis_client

import strikes
from redis_sentinel import House
from redisd import RedisServer
from waiting import wait_for

OURS = "sluice"  # what each link calls itself
AHEAD = 4000  # bytes of commands that no replica is sent
OUTVOTED_S = 3.0


class FailOvers(strikes.Strikes):
    """Each returns when the promotion was: what follows is the program's time."""

    def primary_killed(self, _seconds):
        return self.redis.fail_over(lambda old: old.kill())

    def primary_stopped(self, _seconds):
        """Its connections stay, and it takes itself for the primary when it goes on."""
        return self.redis.fail_over(lambda old: old.child.send_signal(signal.SIGSTOP))

    def sentinel_commanded(self, _seconds):
        return self.redis.fail_over(lambda _old: self.redis.command())

    def primary_killed_ahead(self, _seconds):
        """It has acknowledged what no replica has."""
        return self.redis.fail_over(self.redis.kill_ahead)


BESIDE = ("worker_killed", "reloaded", "restarted", "replaced", "web_server_restarted")


class Watched:
    """What a Pair can do, as far as its strikes need it. The primary is who the sentinels name, for publishers, too."""

    hand = FailOvers
    kinds = [n for n in vars(FailOvers) if not n.startswith("_")]
    patience = 0.5  # of a publisher: a server that is stopped accepts, and never answers

    def __init__(self, folder, _options):
        self.secret = secrets.token_hex(8)
        user = ["--user", "replica", "on", f">{self.secret}", "+psync", "+replconf", "+ping",
                "--masteruser", "replica", "--masterauth", self.secret]
        self.bag, self.struck, self.old, self.links_took = [], None, None, 0.0
        self.house = House(folder, lambda name, options: RedisServer(folder, name, [*options, *user]))
        self.named, self.is_over = self.house.servers[0], threading.Event()
        self.asker = threading.Thread(target=self.ask, daemon=True)
        self.asker.start()
        self.wait_agreed()

    def ask(self):
        """As a client does: the first sentinel that answers says who the primary is, until it has been outvoted for a while.

        One may stay alone for good: who is told to fail over takes an epoch without a vote, and it may be another's, too.
        """
        outvoted_since = None
        while not self.is_over.wait(0.02):
            names = self.names()
            most = self.of_most(names)
            is_outvoted = most is not None and names[0] is not most
            outvoted_since = (outvoted_since or time.monotonic()) if is_outvoted else None
            if outvoted_since and time.monotonic() - outvoted_since > OUTVOTED_S:
                self.named = most
            else:
                self.named = next((s for s in names if s), self.named)

    def names(self):
        """The server that each sentinel names, None: it did not answer."""
        def one(sentinel):
            with contextlib.suppress(redis_client.RedisError):
                port = sentinel.primary()
                return next((s for s in self.house.servers if s.port == port), None)
        return [one(s) for s in self.house.sentinels]

    @staticmethod
    def of_most(names):
        return next((s for s in names if s and 2 * names.count(s) > len(names)), None)

    @property
    def link(self):
        return self.house.link

    def path(self):
        return self.named.path

    def client(self):
        return self.named.client()

    def channels(self):
        return self.named.channels()

    def next_strikes(self, random):
        """Each way in turn, in an order of chance; now and then the program is struck at the same time."""
        if not self.bag:
            self.bag = list(self.kinds)
            random.shuffle(self.bag)
        return [self.bag.pop(), *([random.choice(BESIDE)] if random.random() < 0.25 else [])]

    def fail_over(self, strike):
        """Returns the moment of the promotion, once publishers know it, and the links are there and nowhere else."""
        self.struck = old = self.wait_agreed()
        strike(old)
        new = self.house.failed_over(old)
        at = time.monotonic()
        wait_for(lambda: self.named is new, lambda: f"sentinels name the new one: {self.house.state()}", 20)
        wait_for(lambda: links_at(new) and not (old.child.is_running() and self.answers(old) and links_at(old)),
                 lambda: f"links are at the new primary: {links_at(new)}", 20)
        self.links_took = time.monotonic() - at
        return at

    @staticmethod
    def answers(server):
        """It does not while it is stopped."""
        with open(f"/proc/{server.child.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "T"

    def command(self):
        def is_accepted():
            for sentinel in self.house.sentinels:
                with contextlib.suppress(redis_client.ResponseError):  # the last one is not over yet
                    return sentinel.primary() == self.struck.port and sentinel.client().execute_command("SENTINEL", "FAILOVER", "main")
        wait_for(is_accepted, "a sentinel takes the command", 30)

    def kill_ahead(self, old):
        """Replicas are sent away, and not let in again; the primary goes on for a moment."""
        client = old.client()
        client.execute_command("ACL", "SETUSER", "replica", "off")
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")

        def offset():
            return client.info("replication")["master_repl_offset"]
        before = offset()
        wait_for(lambda: offset() > before + AHEAD, "it has written what nobody else has", 20)
        old.kill()

    def settle(self):
        """The old primary is there again and follows; no link of ours is at a replica. Returns where they are."""
        if not self.struck:
            return []
        if not self.struck.child.is_running():
            self.struck.start()
        self.struck.child.send_signal(signal.SIGCONT)
        self.old, self.struck = self.struck, None
        primary = self.wait_agreed()
        replicas = [s for s in self.house.servers if s is not primary]
        wait_for(lambda: links_at(primary) and not any(links_at(s) for s in replicas),
                 lambda: f"no link is at a replica: {[links_at(s) for s in replicas]}, {links_at(primary)}", 10)
        return [f"links after {self.links_took:.2f} s; at the primary {dict(links_at(primary))}, at its replicas {[links_at(s).total() for s in replicas]}"]

    def wait_agreed(self):
        """The primary that most of the sentinels name, when two replicas follow it and have all. Who was one before is
        made a replica here, since sentinels do that only after ten seconds."""
        def agreed():
            primary = self.of_most(self.names())
            if primary is None or self.named is not primary:
                return None
            with contextlib.suppress(redis_client.RedisError):
                if primary.client().wait(2, 100) == 2 and any(s.primary() == primary.port and s.knows(2, 2) for s in self.house.sentinels):
                    return primary
                if self.old not in (None, primary) and self.old.client().role()[0] == b"master":
                    self.old.client().replicaof("127.0.0.1", str(primary.port))
            return None
        return wait_for(agreed, lambda: f"most of the sentinels agree: {self.house.state()}", 60)

    def held(self, key):
        """What the primary has at the end."""
        return [fields.get(b"data") for _, fields in self.wait_agreed().client().xrange(key)]

    def end(self):
        self.is_over.set()
        self.asker.join(10)
        self.house.end()
        for server in self.house.servers:
            server.end()


def links_at(server):
    """Our links, by what each said last."""
    return Counter(c["cmd"] for c in server.client().client_list() if c["name"] == OURS)
