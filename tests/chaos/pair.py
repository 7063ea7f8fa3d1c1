"""A primary and its replica, each behind a network of its own; which is which changes by a fail-over."""

import secrets

import redis as redis_client

import strikes
from network import Network
from redisd import RedisServer
from waiting import wait_for

USER = "sluice"


class Pair:
    """What one RedisServer can do, the primary of the two does."""

    hand = strikes.Strikes
    patience = 2  # seconds of a publisher

    def __init__(self, folder, options):
        self.password = secrets.token_hex(8)
        self.servers = [RedisServer(folder, name, [*options, "--aclfile", folder / f"{name}.acl",
                                                   "--appenddirname", f"{name}-appendonly"]) for name in ("one", "two")]
        self.write_users()
        for server in self.servers:
            server.start()
        self.networks = [Network(server.port) for server in self.servers]
        self.primary, self.replica = self.servers
        self.replica.client().replicaof("127.0.0.1", self.primary.port)
        self.wait_replica()

    def write_users(self):
        for server in self.servers:
            path = server.folder / f"{server.name}.acl"
            path.write_text(f"user default on nopass ~* &* +@all\nuser {USER} on >{self.password} ~* &* +@all\n")

    def change_password(self):
        """Whoever has the old one is let go of, and not let in again."""
        self.password = secrets.token_hex(8)
        self.write_users()
        for server in self.servers:
            server.client().acl_load()
            server.client().execute_command("CLIENT", "KILL", "USER", USER)

    @property
    def link(self):
        return {"url": " ".join(f"redis://{USER}:{self.password}@127.0.0.1:{n.port}/0" for n in self.networks)}

    def wait_replica(self):
        """It has all, and hears of what comes."""
        def is_whole():
            try:
                return self.replica.client().info("replication")["master_link_status"] == "up"
            except redis_client.RedisError:
                return False
        wait_for(is_whole, "the replica follows its primary", 60)

    def fail_over(self):
        """Without losing what was acknowledged, as an operator does it; no connection is closed by it."""
        self.wait_replica()
        self.primary.client().execute_command("FAILOVER", "TO", "127.0.0.1", self.replica.port)
        wait_for(lambda: self.replica.client().info("replication")["role"] == "master", "the replica is the primary", 30)
        wait_for(lambda: self.primary.client().info("replication")["role"] == "slave", "the primary is its replica", 30)
        self.primary, self.replica = self.replica, self.primary

    @staticmethod
    def next_strikes(random):
        """One, sometimes two at once."""
        names = random.sample(strikes.ALL, 2 if random.random() < 0.2 else 1)
        return names if len(names) == 1 or strikes.can_be_together(names) else names[:1]

    @staticmethod
    def settle():
        """Each strike has left it as it was. Returns what there is to say of it."""
        return []

    @staticmethod
    def held(_key):
        """None: all that was acknowledged."""
        return None

    def path(self):
        return self.primary.path

    def client(self):
        return self.primary.client()

    def channels(self):
        return self.primary.channels()

    def kill(self):
        self.primary.kill()

    def start(self, *options):
        usual, self.primary.options = self.primary.options, [*self.primary.options, *options]
        try:
            self.primary.start()
        finally:
            self.primary.options = usual

    def process(self):
        return self.primary.child

    def end(self):
        for network in self.networks:
            network.close()
        for server in self.servers:
            server.end()
