"""Sentinels, and what they watch: three of them, a primary, two replicas."""

import redis as redis_py

from processes import Child, free_port
from waiting import wait_for


class SentinelServer:
    def __init__(self, folder, n, primary, quorum=2, password=None):
        self.password, self._client = password, None
        self.folder, self.name, self.port = folder, f"sentinel{n}", free_port()
        self.config = folder / f"{self.name}.conf"
        self.config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {primary.port} {quorum}\n"
            "sentinel down-after-milliseconds main 1500\nsentinel failover-timeout main 2000\n")
        self.child = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.child = Child(self.name, ["redis-server", self.config, "--sentinel"], self.folder)
        self.child.wait_ready(self._answers)
        return self

    def _answers(self):
        try:
            return self.client().ping()
        except redis_py.RedisError:
            return False

    def client(self):
        if self._client is None:
            self._client = redis_py.Redis(port=self.port, socket_timeout=2, password=self.password)
        return self._client

    def primary(self):
        host, port = self.client().execute_command("SENTINEL", "get-master-addr-by-name", "main")
        return int(port)

    def knows(self, n_replicas, n_others):
        masters = {m["name"]: m for m in self.client().sentinel_masters().values()}
        return masters["main"]["num-slaves"] == n_replicas and masters["main"]["num-other-sentinels"] == n_others

    def end(self):
        if self.child:
            self.child.end()


class House:
    """Three sentinels, a primary, two replicas."""

    def __init__(self, folder, own_redis):
        soon = ["--repl-diskless-sync-delay", "0"]
        self.servers = [own_redis("r0", soon).start()]
        self.servers += [own_redis(f"r{n}", [*soon, "--replicaof", f"127.0.0.1 {self.servers[0].port}"]).start()
                         for n in (1, 2)]
        self.sentinels = [SentinelServer(folder, n, self.servers[0]).start() for n in range(3)]
        wait_for(lambda: all(s.knows(2, 2) for s in self.sentinels), "the sentinels know all", 20)

    def state(self):
        def ask(fn):
            try:
                return fn()
            except redis_py.RedisError as e:
                return repr(e)
        return [(s.port, ask(s.client().role)) for s in self.servers], [
            (ask(s.primary), ask(lambda s=s: s.knows(2, 2))) for s in self.sentinels]

    def agreed(self):
        """The primary on which every sentinel agrees, if two replicas follow it, which have all; else None."""
        try:
            ports = {s.primary() for s in self.sentinels if s.knows(2, 2)}
            primary = next((s for s in self.servers if ports == {s.port}), None)
            return primary if primary and primary.client().wait(2, 100) == 2 else None
        except redis_py.RedisError:  # a change of role ends connections
            return None

    @property
    def link(self):
        return {"url": " ".join(s.url for s in self.sentinels), "sentinel_master": "main"}

    def failed_over(self, old):
        """The server that was promoted, as soon as it says itself that it is a primary."""
        def promoted():
            for server in self.servers:
                if server is not old and server.child.is_running():
                    try:
                        if server.client().role()[0] == b"master":
                            return server
                    except redis_py.RedisError:
                        pass
            return None
        return wait_for(promoted, "a promotion", 20)

    def end(self):
        for s in self.sentinels:
            s.end()
