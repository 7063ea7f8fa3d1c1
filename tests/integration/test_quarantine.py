"""[server] quarantine: a message at which two workers have died is put aside, left out and told."""

import json
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from streams import Disconnected
from waiting import Timeout, wait_for

ROOT = Path(__file__).resolve().parents[2]

DEADLY = """
#include <sluice/handler.h>
#include <stdlib.h>
#include <string.h>

static enum verdict
deadly_message(struct feed *feed, struct message *msg)
{
	volatile int is_hung = 1;
	size_t len;
	const char *bytes = message_bytes(msg, &len);

	(void)feed;
	if (memmem(bytes, len, "POISON", 6) != NULL)
		abort();
	while (is_hung && memmem(bytes, len, "HANG", 4) != NULL)
		;
	return KEEP;
}

static const struct handler deadly = {.name = "deadly", .open = feed_subjects, .message = deadly_message};
static const struct handler deadly_queue = {
    .name = "deadly-queue", .kind = HANDLER_QUEUE, .open = feed_subjects, .message = deadly_message};

SLUICE_MODULE(&deadly, &deadly_queue);
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The same handler for what is broadcast, and as a queue's."""
    built = tmp_path_factory.mktemp("module") / "deadly.so"
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-D_GNU_SOURCE", f"-I{ROOT}/include", "-x", "c", "-o", built, "-"],
                   input=DEADLY, text=True, check=True)
    return built


@pytest.fixture
def start(launch, module, folder):
    """A program with such a handler. Its quarantine is named after the folder, for Redis is everybody's."""
    def started(route, **server):
        name = f"q-{folder.name}"
        sluice = launch({"deadly": {"handler": "deadly", "retry": "50ms", **route},
                         "same": {"path": "/same", "retry": "50ms",
                                  **{k: v for k, v in route.items() if k in ("streams", "channels", "record")}}},
                        server={"modules": module, "quarantine": name, **server})
        wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up", 20)
        return sluice, name
    return started


class Follower(threading.Thread):
    """Comes back whenever it is cut, from the last id. What it was sent: [(type, data)…]."""

    def __init__(self, sluice, path):
        super().__init__(daemon=True)
        self.sluice, self.path, self.last, self.got, self.is_closed = sluice, path, None, [], threading.Event()
        self.is_open = threading.Event()
        self.start()
        assert self.is_open.wait(20)

    def run(self):
        while not self.is_closed.wait(0.05):
            try:
                with self.sluice.get(self.path, headers={"Last-Event-ID": self.last} if self.last else {}) as stream:
                    self.stream = stream
                    while not self.is_closed.is_set():
                        self.take(stream)
            except (OSError, Disconnected, Timeout):
                pass

    def close(self):
        self.is_closed.set()
        try:
            self.stream.connection.socket.shutdown(socket.SHUT_RDWR)  # it need not wait for an event
        except OSError:
            pass
        self.join(20)

    def take(self, stream):
        event = stream.next_event(0.5)
        self.last = event.last_event_id or self.last
        if event.type == "stream-open":
            self.is_open.set()
        self.got.append((event.type, event.data))

    def wait(self, kind, data, seconds=30):
        wait_for(lambda: (kind, data) in self.got, lambda: f"{kind} {data} in {self.got}", seconds)

    def messages(self):
        return [data for kind, data in self.got if kind == "message"]


@pytest.fixture
def follow():
    followers = []

    def begin(*args):
        followers.append(Follower(*args))
        return followers[-1]
    yield begin
    for f in followers:
        f.close()


POISON = ("stream-reset", '{"reason":"poison"}')


def quarantined(redis, name, n=1):
    entries = wait_for(lambda: (lambda all: len(all) >= n and all)(redis.client().xrange(name)), "it is in the quarantine", 20)
    assert len(entries) == n
    return [{k.decode(): v.decode() for k, v in fields.items()} for _, fields in entries]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_entry_of_a_stream(start, redis, folder, follow, workers):
    key = f"s-{folder.name}"
    sluice, name = start({"path": "/s", "streams": key}, workers=workers)
    follower, same = follow(sluice, "/s"), follow(sluice, "/same")
    add = redis.client().xadd
    first = add(key, {"data": "1"})
    follower.wait("message", "1")
    poison = add(key, {"data": "POISON", "event": "e", "other": "x"}).decode()
    last = add(key, {"data": "3"})
    follower.wait("message", "3")
    same.wait("message", "3")
    assert follower.messages() == ["1", "3"] and POISON in follower.got
    assert ("e", "POISON") in same.got, "it is poison to one route"
    (entry,) = quarantined(redis, name)
    assert entry.pop("poison-reason").startswith("signal 6")
    assert entry == {"data": "POISON", "event": "e", "other": "x", "poison-stream": key, "poison-id": poison,
                     "poison-route": "deadly"}
    assert sluice.status()["quarantined"] == 1
    with sluice.get("/s", headers={"Last-Event-ID": first.decode()}) as stream:
        got = [stream.next_event(10) for _ in range(3)]
        assert [(e.type, e.data) for e in got[1:]] == [POISON, ("message", "3")]
        assert got[2].last_event_id == last.decode()
    assert sluice.dropped("poison") >= 2
    assert f"the entry {poison} of {key}" in sluice.log() and "goes to the quarantine" in sluice.log()
    assert sluice.log().count("a worker died at") >= 2


def test_a_message_of_a_recorded_channel(start, redis, folder, follow):
    name = f"c-{folder.name}"
    sluice, quarantine = start({"path": "/c", "channels": name, "record": 100})
    record = redis.client().register_script((ROOT / "conf/record.lua").read_text())

    def publish(text):
        return record(keys=[name, f"{name}:log"], args=[text, 100])[0].decode()
    follower = follow(sluice, "/c")
    publish("1")
    follower.wait("message", "1")
    poison = publish('"POISON"')
    follower.wait(*POISON)
    publish("3")
    follower.wait("message", "3")
    assert follower.messages() == ["1", "3"]
    (entry,) = quarantined(redis, quarantine)
    assert entry["data"] == '"POISON"' and entry["poison-channel"] == name and entry["poison-id"] == poison


def test_an_entry_of_a_queue(start, redis, folder, follow):
    """It is nobody's once it stands in the quarantine; until then it stays pending."""
    key = f"j-{folder.name}"
    sluice, name = start({"path": "/j", "streams": key, "handler": "deadly-queue", "group": "g", "claim_after": "200ms"})
    follower = follow(sluice, "/j")
    redis.client().xadd(key, {"data": "1"})
    follower.wait("message", "1")
    redis.client().xadd(key, {"data": "POISON"})
    follower.wait(*POISON)
    redis.client().xadd(key, {"data": "3"})
    follower.wait("message", "3")
    assert follower.messages() == ["1", "3"]
    (entry,) = quarantined(redis, name)
    assert entry["data"] == "POISON" and entry["poison-stream"] == key
    wait_for(lambda: redis.client().xpending(key, "g")["pending"] == 0, "nothing is pending", 20)


def test_a_message_of_a_channel(start, redis, folder, follow):
    """It cannot be read again: whoever publishes it again finds it known by its bytes."""
    name = f"p-{folder.name}"
    sluice, quarantine = start({"path": "/p", "channels": name})
    follower = follow(sluice, "/p")
    payload = json.dumps({"POISON": "x" * 100_000})
    for n in range(1, 3):
        wait_for(lambda: redis.publish(name, "1") >= 1, "it is subscribed", 20)
        wait_for(lambda: redis.publish(name, payload) and sluice.log().count("a worker died at") == n, "it has died", 20, every=0.3)
    (entry,) = quarantined(redis, quarantine)
    assert entry["data"] == payload[:65536] and entry["poison-channel"] == name and "poison-id" not in entry
    wait_for(lambda: redis.publish(name, payload) and POISON in follower.got, "it is left out", 20)
    redis.publish(name, "3")
    follower.wait("message", "3")


def test_a_handler_that_hangs(start, redis, folder, follow):
    """The watchdog ends two workers; the third goes on."""
    key = f"h-{folder.name}"
    sluice, name = start({"path": "/h", "streams": key}, watchdog="1s")
    follower = follow(sluice, "/h")
    redis.client().xadd(key, {"data": "1"})
    follower.wait("message", "1")
    redis.client().xadd(key, {"data": "HANG"})
    redis.client().xadd(key, {"data": "3"})
    follower.wait("message", "3")
    assert follower.messages() == ["1", "3"] and POISON in follower.got
    (entry,) = quarantined(redis, name)
    assert entry["poison-reason"] == "the worker hung"
    assert sluice.status()["workers_hung"] == 2


def test_it_waits_until_redis_takes_it(start, redis, folder, follow):
    """The quarantine's key is of another type: it is told, tried again, and left out meanwhile."""
    key, name = f"w-{folder.name}", f"q-{folder.name}"
    redis.client().set(name, "in the way")
    sluice, _ = start({"path": "/w", "streams": key})
    follower = follow(sluice, "/w")
    redis.client().xadd(key, {"data": "0"})
    follower.wait("message", "0")
    redis.client().xadd(key, {"data": "POISON"})
    follower.wait(*POISON)
    sluice.wait_log("Redis refuses what belongs into", 20)
    redis.client().delete(name)
    quarantined(redis, name)
    sluice.wait_log("is in the quarantine", 20)
