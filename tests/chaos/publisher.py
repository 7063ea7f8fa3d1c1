"""Publishers: one for each source, numbering what they publish, each number once whatever becomes of it."""

import socket
import threading
import time

import fcgi

INTERVAL = 0.05


class Redis:
    """A connection of a few lines: a library's would try again by itself, and publish twice."""

    def __init__(self, path, patience=2):
        """`path()` is the server's at the moment."""
        self.path, self.patience, self.at, self.file = path, patience, None, None

    def ask(self, *words):
        if self.file is None or self.at != self.path():
            self.connect()
        try:
            words = [w.encode() for w in words]
            self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            self.file.flush()
            return self._reply()
        except BaseException:
            self.file = None  # what comes later would be taken for the next answer
            raise

    def connect(self):
        self.file, self.at = None, self.path()
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(self.patience)
        s.connect(self.at)
        self.file = s.makefile("rwb")
        s.close()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n") or line[:1] not in b":$":
            raise OSError(f"Redis said {line!r}")
        if line[:1] == b":":
            return int(line[1:])
        return self.file.read(int(line[1:]) + 2)[:-2]


def by_publish(redis_path, channel, patience):
    redis = Redis(redis_path, patience)

    def publish(text):
        is_heard = redis.ask("PUBLISH", channel, text) > 0
        if not is_heard:
            redis.file = None  # a replica by now, maybe, which publishes what nobody hears
        return is_heard
    return publish


def by_xadd(redis_path, stream, patience):
    redis = Redis(redis_path, patience)
    return lambda text: bool(redis.ask("XADD", stream, "*", "data", text))


def by_post(address, path):
    def post(text):
        with fcgi.get(address, path, timeout=3, method="POST", body=text.encode(), CONTENT_TYPE="application/json") as response:
            return response.status == 202
    return post


class Publisher(threading.Thread):
    def __init__(self, published, publish):
        super().__init__(daemon=True)
        self.published, self.publish, self.is_over = published, publish, threading.Event()

    def run(self):
        while not self.is_over.wait(INTERVAL):
            with self.published.turn:
                self.publish_one()

    def publish_one(self):
        n, text = self.published.next(time.monotonic())
        try:
            if self.publish(text):
                self.published.acked.add(n)
        except (OSError, AssertionError):
            pass  # it may have arrived, and need not have

    def end(self):
        self.is_over.set()
        self.join(10)
