"""A private Redis, on a Unix socket and a loopback port of its own."""

import signal

import redis

from processes import Child, free_port
from waiting import wait_for


class RedisServer:
    """`start`, `kill`, `end` may be called again and again: socket and port stay the same.

    `certificate` is (certificate, key, authority): then `url` is a rediss:// one.
    """

    def __init__(self, folder, name="redis", options=(), certificate=None):
        self.folder = folder
        self.name = name
        self.options = list(options)
        self.path = str(folder / f"{name}.sock")
        self.port = free_port()
        self.tls_port = free_port() if certificate else None
        self.authority = None
        if certificate:
            pem, key, self.authority = certificate
            self.options += ["--tls-port", self.tls_port, "--tls-cert-file", pem, "--tls-key-file", key,
                             "--tls-ca-cert-file", self.authority, "--tls-auth-clients", "optional"]
        self.child = None
        self._clients = {}

    @property
    def url(self):
        if self.tls_port:
            return f"rediss://127.0.0.1:{self.tls_port}/0"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def link(self):
        """What [redis] needs to reach it."""
        return {"url": self.url, **({"tls_ca": self.authority} if self.authority else {})}

    @property
    def unix_url(self):
        return f"unix://{self.path}"

    def start(self):
        argv = ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--unixsocket", self.path,
                "--unixsocketperm", "777", "--dir", self.folder, "--save", "", "--appendonly", "no",
                "--daemonize", "no", "--loglevel", "warning", *self.options]
        self.child = Child(self.name, argv, self.folder)
        self.child.wait_ready(self._answers)
        return self

    def _answers(self):
        try:
            with redis.Redis(unix_socket_path=self.path, socket_timeout=1) as r:
                return r.ping()
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self, **auth):
        """A connection for the test; the same one each time."""
        key = tuple(sorted(auth.items()))
        if key not in self._clients:
            self._clients[key] = redis.Redis(unix_socket_path=self.path, socket_timeout=10, **auth)
        return self._clients[key]

    def publish(self, channel, payload):
        """Returns the number of Redis's subscribers that got it."""
        return self.client().publish(channel, payload)

    def kill(self):
        self.forget_clients()
        self.child.end(signal.SIGKILL)

    def end(self):
        self.forget_clients()
        if self.child:
            self.child.end(signal.SIGTERM)

    def forget_clients(self):
        for client in self._clients.values():
            client.close()
        self._clients = {}

    def channels(self):
        """The channels that somebody subscribes to."""
        return {c.decode() for c in self.client().pubsub_channels()}

    def n_patterns(self):
        return self.client().pubsub_numpat()

    def n_subscribers(self, channel):
        return self.client().pubsub_numsub(channel)[0][1]

    def wait_subscribed(self, channel, n=1, seconds=10.0):
        wait_for(lambda: self.n_subscribers(channel) == n,
                 lambda: f"{n} subscriptions to {channel}; there are {self.n_subscribers(channel)}", seconds)
