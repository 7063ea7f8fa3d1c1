"""Heartbeats, ends, and clients that are too slow."""

import json
import time

import pytest

from processes import rss_bytes
from streams import Disconnected
from waiting import SLOW, soon, wait_for

ROUTES = {
    "beat": {"path": "/beat", "channels": "beat", "heartbeat": "200ms"},
    "renamed": {"path": "/renamed", "channels": "renamed", "heartbeat": "200ms", "heartbeat_event": "ping",
                "heartbeat_data": '{{"now":{now}}}'},
    "comment": {"path": "/comment", "channels": "comment", "heartbeat": "200ms", "heartbeat_event": ""},
    "never": {"path": "/never", "channels": "never", "heartbeat": "0"},
    "lifetime": {"path": "/lifetime", "channels": "lifetime", "lifetime": "400ms", "heartbeat": "100ms"},
    "idle": {"path": "/idle", "channels": "idle", "idle": "300ms", "heartbeat": "100ms"},
    "three": {"path": "/three/{x}", "channels": "three:{x}", "max_events": 3},
    "silent": {"path": "/silent", "channels": "silent", "max_events": 1, "announce": "no"},
    "disconnect": {"path": "/disconnect", "channels": "disconnect", "queue": "64k"},
    "oldest": {"path": "/oldest", "channels": "oldest", "queue": "64k", "overflow": "drop_oldest"},
    "latest": {"path": "/latest", "channels": "latest", "queue": "64k", "overflow": "latest"},
    "small": {"path": "/small/{x}", "channels": "small:{x}", "queue": "16k"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


# Heartbeats


def test_heartbeat_is_an_event_with_empty_data(sluice):
    with sluice.open("/beat") as stream:
        event = stream.next_event(skip=())
        assert (event.type, event.data) == ("keep-alive", "{}")
        assert not event.has("id")


def test_heartbeat_period(sluice):
    with sluice.open("/beat") as stream:
        stream.next_event(skip=())
        start = time.monotonic()
        for _ in range(5):
            stream.next_event(skip=())
        assert 0.9 < time.monotonic() - start and soon(start, 1.5)


def test_heartbeat_only_when_nothing_else_comes(sluice, redis):
    last = time.monotonic()
    with sluice.open("/beat") as stream:
        for i in range(10):
            published = time.monotonic()
            redis.publish("beat", str(i))
            while (event := stream.next_event(skip=())).data != str(i):
                assert event.type == "keep-alive" and time.monotonic() - last >= 0.2, "not before its time"
            last = published
            stream.has_ended(0.06 / SLOW)


def test_heartbeat_for_each_subscriber_of_a_feed(sluice):
    with sluice.open("/beat") as a, sluice.open("/beat") as b:
        for stream in (a, b, a, b):
            assert stream.next_event(1, skip=()).type == "keep-alive"


def test_heartbeat_renamed_with_data(sluice):
    with sluice.open("/renamed") as stream:
        event = stream.next_event()
        assert event.type == "ping"
        assert abs(json.loads(event.data)["now"] - time.time()) < 10


def test_heartbeat_as_comment(sluice):
    with sluice.open("/comment") as stream:
        wait_for(lambda: stream.parser.comments or stream.quiet_for(0.05, skip=()) and None, "a comment")
        assert not stream.parser.events


def test_no_heartbeat(sluice):
    with sluice.open("/never") as stream:
        size = len(stream.body)
        stream.quiet_for(0.5, skip=())
        assert len(stream.body) == size


# Ends


def reason_of(event, type="stream-end"):
    assert event.type == type
    return json.loads(event.data)["reason"]


def test_lifetime(sluice, redis):
    start = time.monotonic()
    with sluice.open("/lifetime") as stream:
        redis.publish("lifetime", "x")
        events = [e for e in stream.rest() if e.type != "keep-alive"]
        assert 0.35 < time.monotonic() - start and soon(start, 1)
        assert [e.type for e in events] == ["message", "stream-end"]
        assert reason_of(events[-1]) == "lifetime"
        assert not stream.parser.last_event_id, "this end is not for good"
        assert stream.protocol_status == 0


def test_idle(sluice):
    start = time.monotonic()
    with sluice.open("/idle") as stream:
        assert reason_of(stream.rest()[-1]) == "idle"
        assert 0.25 < time.monotonic() - start and soon(start, 1)


def test_messages_put_idle_off(sluice, redis):
    with sluice.open("/idle") as stream:
        start = last = time.monotonic()
        event = None
        while time.monotonic() - start < 0.7 and (event is None or event.type == "message"):
            published = time.monotonic()
            redis.publish("idle", "x")
            event = stream.next_event()
            if event.type == "message":
                last = published
            stream.has_ended(0.05 / SLOW)
        if event.type == "message":
            event = stream.next_event()
        assert reason_of(event) == "idle" and time.monotonic() - last >= 0.3, "not before its time"
        stream.rest()


def test_max_events(sluice, redis):
    with sluice.open("/three/a") as stream:
        for i in range(10):
            redis.publish("three:a", str(i))
        events = stream.rest()
        assert [e.data for e in events if e.type == "message"] == ["0", "1", "2"]
        assert reason_of(events[-1], "stream-done") == "max_events"
        assert stream.parser.last_event_id.endswith(".end")
        id = stream.parser.last_event_id
    assert len(id) <= 128 and not set(id) & set('"():<>?@[\\]{}'), "no id may cause a preflight"
    for kw in ({"headers": {"Last-Event-ID": id}}, {"query": f"?last_event_id={id}"}, {"query": f"?lastEventId={id}"}):
        with sluice.get("/three/a" + kw.pop("query", ""), **kw) as response:
            assert response.status == 204, kw
            response.rest()
            assert bytes(response.body) == b""


def test_max_events_counts_for_each_subscriber(sluice, redis):
    with sluice.open("/three/b") as early:
        redis.publish("three:b", "0")
        assert early.next_event().data == "0"
        with sluice.open("/three/b") as late:
            for i in range(1, 6):
                redis.publish("three:b", str(i))
            assert [e.data for e in early.rest() if e.type == "message"] == ["1", "2"]
            assert [e.data for e in late.rest() if e.type == "message"] == ["1", "2", "3"]


def test_end_for_good_without_announcements(sluice, redis):
    with sluice.get("/silent") as stream:
        redis.publish("silent", "x")
        events = stream.rest()
        assert [(e.type, e.data) for e in events] == [("message", "x")]
        assert stream.parser.last_event_id.endswith(".end")
    with sluice.get("/silent", headers={"Last-Event-ID": stream.parser.last_event_id}) as response:
        assert response.status == 204


def test_an_end_id_beside_others_is_none(sluice):
    with sluice.get("/three/c", headers={"Last-Event-ID": "1-0"}) as response:
        assert response.status == 200


def test_ended_subscribers_are_freed(sluice, redis):
    sluice.wait_subscribers(0)
    with sluice.open("/three/d") as stream:
        sluice.wait_subscribers(1)
        for i in range(3):
            redis.publish("three:d", "x")
        stream.rest()
        sluice.wait_subscribers(0)


# Slow clients: they read nothing while far more is published than may wait for them.

EVENT = 10_000
TOTAL = 400
# What one may have received at most: the kernel's buffers for a Unix socket, the queue, one event more.
BOUND = 2 * 212_992 + 65_536 + 3 * EVENT


def flood(redis, channel, fast):
    """Publish 4 MB; the other subscriber reads all of it, one by one, and so sets the pace."""
    for i in range(TOTAL):
        redis.publish(channel, f"{i} " + "x" * EVENT)
        event = fast.next_message(10)
        assert event.data.startswith(f"{i} "), "the fast one must not suffer"


def numbers(events):
    return [int(e.data.split()[0]) for e in events if e.type == "message"]


def read_what_waits(stream):
    """All that is there, until the end or until nothing comes."""
    try:
        stream.has_ended(1)
    except Disconnected:
        pass
    events, stream.parser.events = stream.parser.events, []
    return events


def test_slow_client_is_disconnected(sluice, redis):
    with sluice.open("/disconnect") as slow, sluice.open("/disconnect") as fast:
        flood(redis, "disconnect", fast)
        events = read_what_waits(slow)
        got = numbers(events)
        assert got == list(range(len(got))), "until its end it has no gap"
        assert len(got) * EVENT < BOUND
        if events[-1].type != "message":
            assert reason_of(events[-1]) == "slow"
        assert slow.connection.is_closed(1)
        sluice.wait_subscribers(1)


def test_slow_client_that_never_reads_is_cut_off(sluice, redis):
    """It is given some seconds to read its end, and no more."""
    with sluice.open("/disconnect"), sluice.open("/disconnect") as fast:
        flood(redis, "disconnect", fast)
        sluice.wait_subscribers(1, 15)


def test_slow_client_loses_the_oldest(sluice, redis):
    with sluice.open("/oldest") as slow, sluice.open("/oldest") as fast:
        flood(redis, "oldest", fast)
        events = read_what_waits(slow)
        got = numbers(events)
        assert got == sorted(set(got)) and got[-1] == TOTAL - 1 and got[0] == 0
        assert len(got) * EVENT < BOUND and len(got) < TOTAL
        resets = [json.loads(e.data)["reason"] for e in events if e.type == "stream-reset"]
        assert resets and set(resets) == {"slow"}, "it is told that something is missing"
        jump = next(i for i in range(1, len(got)) if got[i] != got[i - 1] + 1)
        assert [e.type for e in events].index("stream-reset") == jump, "where it is missing"
        redis.publish("oldest", "999 next")
        assert slow.next_message().data == "999 next", "and it goes on"


def test_slow_client_gets_the_latest(sluice, redis):
    with sluice.open("/latest") as slow, sluice.open("/latest") as fast:
        flood(redis, "latest", fast)
        got = numbers(read_what_waits(slow))
        assert got == sorted(set(got)) and got[-1] == TOTAL - 1 and len(got) < TOTAL
        redis.publish("latest", "999 next")
        assert slow.next_message().data == "999 next"


def test_slow_client_costs_no_more_than_its_queue(sluice, redis):
    worker = sluice.worker()
    with sluice.open("/oldest") as fast:
        flood(redis, "oldest", fast)
        before = rss_bytes(worker)
        slow = [sluice.open("/oldest") for _ in range(10)]
        flood(redis, "oldest", fast)
        grown = rss_bytes(worker) - before
        assert grown < 4 << 20, f"{grown} bytes for ten slow clients of one feed"
        for stream in slow:
            stream.close()


def test_event_larger_than_the_queue(sluice, redis):
    """One rule, whoever reads: it must not be stuck, and a client that reads at once gets it."""
    with sluice.open("/small/big") as stream:
        redis.publish("small:big", "x" * 1_000_000)
        redis.publish("small:big", "next")
        events = read_what_waits(stream)
        if events[-1].type == "stream-end":
            assert reason_of(events[-1]) == "slow"
        else:
            assert events[-1].data == "next"


def test_slow_client_that_catches_up_in_time(sluice, redis):
    """Bytes within the queue wait, however they are read: a few at a time, they come whole and in order."""
    with sluice.open("/oldest", receive_buffer=1) as stream:
        for i in range(20):
            redis.publish("oldest", f"{i} " + "y" * 2000)
        for i in range(20):
            assert stream.next_event().data == f"{i} " + "y" * 2000
