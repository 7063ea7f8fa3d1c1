"""Ten thousand at once, and what happens when descriptors run out."""

import resource
import select
import socket
import time

import pytest

import fcgi
from processes import cpu_seconds, n_descriptors
from waiting import deadline, left, soon, wait_for

ROUTES = {"x": {"path": "/x", "channels": "crowd", "announce": "no"}, "y": {"path": "/y", "channels": "few"}}


class Crowd:
    """Many subscribers, read by one loop. They only count how often they have seen a text."""

    def __init__(self, address):
        self.address = address
        self.sockets = {}
        self.poll = select.epoll()

    def add(self, n, data):
        """Open n more; a refused connection is tried again, as a web server would."""
        for _ in range(n):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            until = deadline(20)
            while True:
                try:
                    s.connect(self.address)
                    break
                except BlockingIOError:
                    assert left(until)
                    time.sleep(0.01)
            s.sendall(data)
            s.setblocking(False)
            self.sockets[s.fileno()] = s
            self.poll.register(s, select.EPOLLIN)

    def wait_all(self, text, timeout):
        """Until each has received a piece with this text in it."""
        until, missing = deadline(timeout), set(self.sockets)
        while missing:
            assert left(until), f"{len(missing)} of {len(self.sockets)} have not got {text!r}"
            for fd, _ in self.poll.poll(min(1, left(until)), 1000):
                data = self.sockets[fd].recv(1 << 16)
                assert data, "a subscriber was cut off"
                if text in data:
                    missing.discard(fd)

    def close(self):
        for s in self.sockets.values():
            s.close()
        self.poll.close()


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_subscribers(launch, redis, many_descriptors):
    n = min(10_000, many_descriptors - 500)
    sluice = launch(ROUTES)
    crowd = Crowd(sluice.path)
    try:
        crowd.add(n, fcgi.request("/x"))
        crowd.wait_all(b"text/event-stream", 60)
        sluice.wait_subscribers(n)
        assert redis.publish("crowd", "first") == 1
        crowd.wait_all(b"data: first\n", 30)
        for i in range(5):
            redis.publish("crowd", f"{i}-th")
            crowd.wait_all(b"data: %d-th\n" % i, 30)
        with sluice.open("/y") as other:
            redis.publish("crowd", "large")
            redis.publish("few", "quick")
            assert other.next_event().data == "quick"
    finally:
        crowd.close()
    sluice.wait_subscribers(0, 20)
    assert n == 10_000, f"only {n} descriptors are allowed here"


def test_out_of_descriptors(launch, redis):
    """Who is here stays unharmed; who comes waits; it costs no processor time; it passes."""
    sluice = launch(ROUTES)
    worker = sluice.worker()
    with sluice.open("/y") as stream:
        hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (n_descriptors(worker) + 20, hard))
        crowd = Crowd(sluice.path)
        crowd.add(60, fcgi.request("/x"))
        start, before = time.monotonic(), cpu_seconds(worker)
        for i in range(10):
            redis.publish("few", str(i))
            assert stream.next_event().data == str(i)
            stream.quiet_for(0.1)
        assert cpu_seconds(worker) - before < 0.3 * (time.monotonic() - start), "it spins"
        for fd in list(crowd.sockets)[:45]:
            crowd.poll.unregister(fd)
            crowd.sockets.pop(fd).close()
        crowd.wait_all(b"text/event-stream", 10)
        redis.publish("crowd", "for all")
        crowd.wait_all(b"data: for all\n", 5)
        crowd.close()
    wait_for(lambda: sluice.status()["subscribers"] == 0, "all are gone")


def test_storm_of_connections_is_not_refused(launch, redis):
    """After a restart all clients come back at once: the backlog must hold them."""
    sluice = launch(ROUTES)
    crowd = Crowd(sluice.path)
    try:
        start = time.monotonic()
        crowd.add(2000, fcgi.request("/x"))
        crowd.wait_all(b"text/event-stream", 20)
        assert soon(start, 10)
    finally:
        crowd.close()
