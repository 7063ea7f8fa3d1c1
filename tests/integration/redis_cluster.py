"""A private cluster of Redis: primaries, each with a replica, on loopback ports."""

import signal
import subprocess

import redis as redis_py

from processes import Child, free_port
from waiting import wait_for

SLOTS = 16384


def slot_of(key):
    """As the cluster's specification says."""
    key = key.encode()
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1:end]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc % SLOTS


class Node:
    """One server; `id` is the cluster's name of it."""

    def __init__(self, folder, n, options):
        self.name, self.port = f"node{n}", free_port()
        self.folder = folder / self.name
        self.folder.mkdir()
        self.options = options
        self.child = None
        self._client = self._plain = None

    def start(self):
        argv = ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir", self.folder,
                "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning",
                "--cluster-enabled", "yes", "--cluster-node-timeout", "15000",
                "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0", *self.options]
        self.child = Child(self.name, argv, self.folder)
        self.child.wait_ready(self._answers, 20)
        return self

    def _answers(self):
        try:
            return self.client().ping()
        except redis_py.AuthenticationError:
            return True
        except redis_py.RedisError:
            return False

    def client(self):
        if self._client is None:
            self._client = redis_py.Redis(port=self.port, socket_timeout=10)
        return self._client

    def say(self, *words):
        """Answered in the bytes that came, for what redis-py makes of them differs from version to version."""
        if self._plain is None:
            self._plain = redis_py.Redis(port=self.port, socket_timeout=10)
            self._plain.response_callbacks.clear()
        return self._plain.execute_command(*words)

    @property
    def id(self):
        return self.say("CLUSTER MYID").decode()

    def epochs(self):
        """{a node's id: the epoch of its slots}, as far as this one has heard."""
        lines = self.say("CLUSTER NODES").decode().splitlines()
        return {words[0]: int(words[6]) for words in map(str.split, lines)}

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def kill(self):
        self.child.end(signal.SIGKILL)



class RedisCluster:
    """Three primaries; with `replicas` each has one."""

    def __init__(self, folder, replicas=True, options=()):
        self.nodes = [Node(folder, n, list(options)).start() for n in range(6 if replicas else 3)]
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        made = subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas",
                               "1" if replicas else "0", "--cluster-yes"], capture_output=True, timeout=120)
        assert made.returncode == 0, made.stdout.decode()
        wait_for(self.is_whole, "the cluster is whole", 60)
        if replicas:
            wait_for(self._replicas_are_there, "each primary has a replica", 60)

    @property
    def link(self):
        """What [redis] needs; of the nodes one is enough."""
        return {"url": self.nodes[0].url, "cluster": "yes"}

    def is_whole(self):
        return all(self.ok(node) for node in self.nodes if node.child.is_running())

    @staticmethod
    def ok(node):
        return b"cluster_state:ok" in node.say("CLUSTER INFO")

    def _replicas_are_there(self):
        return all(node.say("ROLE")[0] == b"master" or node.say("ROLE")[3] == b"connected" for node in self.nodes)

    @staticmethod
    def owner_has(node, slot):
        """Does it say that the slot is its own?"""
        return any(first <= slot <= last and at[1] == node.port for first, last, at, *_ in node.say("CLUSTER SLOTS"))

    def give_up_after(self, ms):
        """On a slow machine a node that is merely slow is not to be replaced."""
        for node in self.nodes:
            if node.child.is_running():
                node.say("CONFIG SET", "cluster-node-timeout", ms)

    def primary_of(self, slot):
        """Who says so of itself, for others may not have heard yet."""
        return wait_for(lambda: next((n for n in self.primaries() if self.owner_has(n, slot)), None),
                        f"somebody has slot {slot}", 40)

    def node_of(self, key):
        return self.primary_of(slot_of(key))

    def client_of(self, key):
        return self.node_of(key).client()

    def primaries(self):
        return [node for node in self.nodes if node.child.is_running() and node.say("ROLE")[0] == b"master"]

    @staticmethod
    def _let_hear(source, to):
        """
        Who takes a slot does so with an epoch above all that it knows. Should it not know the source's, which has
        taken slots itself a moment ago, then a belated word of the source takes the slot back, nobody serves it, and
        its keys are gone. redis-cli looks for that once, and then has one target; here they change all the time.
        """
        def has_heard():
            return to.epochs()[source.id] >= source.epochs()[source.id]

        if not has_heard():
            source.say("CLUSTER MEET", "127.0.0.1", to.port)  # a word to one that it knows already
            wait_for(has_heard, "the target knows the source's epoch", 40)

    def move(self, slot, to):
        """Key by key, as redis-cli does."""
        source = self.primary_of(slot)
        if source is to:
            return
        self._let_hear(source, to)
        to.say("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.say("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        while keys := source.say("CLUSTER GETKEYSINSLOT", slot, 100):
            source.say("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for node in (to, source, *[n for n in self.primaries() if n not in (to, source)]):
            node.say("CLUSTER SETSLOT", slot, "NODE", to.id)
        assert self.owner_has(to, slot), f"the cluster itself has lost slot {slot}"

    def end(self):
        """At once: each would first wait for its replica."""
        for node in self.nodes:
            node.kill()
