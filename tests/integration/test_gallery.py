"""The gallery: each stream by keys, by a script and by a handler in C, and the three send the same.

The files are those of conf/gallery; only their longer periods are shortened.
"""

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest

from waiting import SLOW, soon, wait_for

GALLERY = Path("conf/gallery").resolve()
MODULES = Path("build/handlers/examples").resolve()
WAYS = ["ini", "lua", "c"]
NOW = "now"

# (file, what it says, what it says here)
SHORTER = [("advanced.ini", "10/5s", "10/1s"), ("advanced.ini", "interval = 5s", "interval = 1s"),
           ("advanced.ini", "heartbeat = 30s", "heartbeat = 400ms"), ("advanced.ini", "interval = 30s", "interval = 400ms"),
           ("advanced.ini", "lifetime = 30m", "lifetime = 3s"), ("advanced.ini", "interval = 1s\n", "interval = 100ms\n"),
           ("advanced.ini", "rate = 1/s", "rate = 1/500ms"), ("ratelimit.lua", "1000", "500"),
           ("aggregate.lua", "5000", "1000"), ("heartbeat.lua", "30000", "400"),
           ("gallery.ini", "../../build/handlers/examples", str(MODULES))]


@pytest.fixture(scope="module")
def sluice(launch_shared, redis):
    instance = launch_shared(start=False)
    folder = instance.folder / "gallery"
    shutil.copytree(GALLERY, folder)
    for name, old, new in SHORTER:
        text = (folder / name).read_text()
        assert old in text, (name, old)
        (folder / name).write_text(text.replace(old, new))
    text = (folder / "advanced.ini").read_text()
    text = text.replace("handler = ratelimit\ninterval = 100ms", "handler = ratelimit\ninterval = 500ms")
    text = text.replace("handler = aggregate\ninterval = 100ms", "handler = aggregate\ninterval = 1s")
    (folder / "advanced.ini").write_text(text)
    env = {**instance.reports.environment(), "SLUICE_REDIS_URL": redis.url, "SLUICE_SERVER_LISTEN": f"unix:{instance.path}"}
    return instance.start(argv=instance.argv("serve", "-c", folder / "gallery.ini"), env=env)


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def publish(redis, channel, *messages):
    for message in messages:
        redis.publish(channel, json.dumps(message))


def events(stream, n):
    """The next n as (name, data). A time that is now is checked and stands as NOW."""
    got = []
    for _ in range(n):
        event = stream.next_message()
        data = json.loads(event.data)
        for name in ("timestamp", "server_time"):
            if isinstance(data, dict) and name in data and data[name] != 17:
                assert isinstance(data[name], int) and abs(data[name] - time.time()) < 5 * SLOW, event
                data[name] = NOW
        got.append((event.type, data))
    return got


def test_message_processing(sluice, redis, way):
    with sluice.open(f"/{way}/processing") as stream:
        publish(redis, "orders", {"id": 1, "item": "Zoë"})
        assert events(stream, 1) == [("message", {"event": "order", "data": {"id": 1, "item": "Zoë"}, "timestamp": NOW})]


def test_several_channels(sluice, redis, way):
    with sluice.open(f"/{way}/orders") as stream:
        publish(redis, "orders", {"id": 1})
        publish(redis, "payments", {"id": 2})
        publish(redis, "shipments", {"id": 3})
        assert events(stream, 3) == [("orders", {"type": "order", "data": {"id": 1}}),
                                     ("payments", {"type": "payment", "data": {"id": 2}}),
                                     ("shipments", {"type": "shipment", "data": {"id": 3}})]


def test_notifications_with_server_time(sluice, redis, way):
    with sluice.open(f"/{way}/notifications/123") as stream, sluice.open(f"/{way}/notifications/124") as other:
        publish(redis, "user:123:notifications", {"type": "message", "title": "New", "server_time": 5})
        data = json.loads(stream.next_message().data)
        assert abs(data.pop("server_time") - time.time()) < 5 * SLOW
        assert data == {"type": "message", "title": "New"}
        assert other.quiet_for(0.05)


def test_chat(sluice, redis, way):
    with sluice.open(f"/{way}/chat/lobby") as stream:
        publish(redis, "chat:room:lobby", {"username": "ada", "text": "hi", "admin": True}, {"username": "no text"},
                {"username": "bob", "text": "yo"})
        got = events(stream, 2)
        ids = {data.pop("id") for _, data in got}
        assert len(ids) == 2
        assert got == [("message", {"room_id": "lobby", "username": "ada", "text": "hi", "timestamp": NOW}),
                       ("message", {"room_id": "lobby", "username": "bob", "text": "yo", "timestamp": NOW})]


jobs = itertools.count(100)


@pytest.mark.parametrize("last, text", [({"status": "completed"}, "Done"), ({"status": "failed", "message": None}, "Done"),
                                        ({"status": "failed", "message": "disk full"}, "disk full")])
def test_job_progress_that_ends(sluice, redis, way, last, text):
    job = next(jobs)  # what was said of another must not come late
    with sluice.open(f"/{way}/jobs/{job}") as stream:
        publish(redis, f"job:{job}:progress", {"status": "running", "percent": 40, "message": None}, last, {"status": "running"})
        got = [(e.type, json.loads(e.data)) for e in stream.rest()]
        assert got == [("message", {"status": "running", "percent": 40, "message": None}),
                       ("message", {"status": last["status"], "percent": 100, "message": text}),
                       ("stream-done", {"reason": "until"})]
    with sluice.get(f"/{way}/jobs/{job}", headers={"Last-Event-ID": stream.parser.last_event_id}) as response:
        assert response.status == 204


def test_dashboard_metrics(sluice, redis, way):
    with sluice.open(f"/{way}/dashboard") as stream:
        publish(redis, "metrics:users", {"value": 5})
        publish(redis, "metrics:orders", {"value": 1.5, "timestamp": 17})
        publish(redis, "metrics:performance", {"value": {"p99": 3}})
        assert events(stream, 3) == [("message", {"metric": "users", "value": 5, "timestamp": NOW}),
                                     ("message", {"metric": "orders", "value": 1.5, "timestamp": 17}),
                                     ("message", {"metric": "performance", "value": {"p99": 3}, "timestamp": NOW})]


def test_conditional(sluice, redis, way):
    with sluice.open(f"/{way}/conditional") as stream:
        publish(redis, "events", {"priority": 4}, {"priority": 5, "n": 1}, {}, {"priority": 4.9}, {"priority": "7"},
                {"priority": 10, "n": 2})
        assert events(stream, 2) == [("message", {"priority": 5, "n": 1}), ("message", {"priority": 10, "n": 2})]


def test_rate_limit_sends_the_newest_when_the_time_is_over(sluice, redis, way):
    with sluice.open(f"/{way}/ratelimit") as stream:
        began = time.monotonic()
        publish(redis, "updates", *[{"n": n} for n in range(5)])
        assert events(stream, 2) == [("message", {"n": 0}), ("message", {"n": 4})]
        assert 0.45 < time.monotonic() - began and soon(began, 3)
        assert stream.quiet_for(0.7)
        publish(redis, "updates", {"n": 9})
        assert events(stream, 1) == [("message", {"n": 9})]


def test_aggregation_by_count_and_by_time(sluice, redis, way):
    with sluice.open(f"/{way}/aggregate") as stream:
        for n in range(12):
            publish(redis, f"channel{n % 3 + 1}", {"n": n})
        items = [{"channel": f"channel{n % 3 + 1}", "data": {"n": n}} for n in range(12)]
        assert events(stream, 2) == [("message", {"batch": items[:10], "count": 10}),
                                     ("message", {"batch": items[10:], "count": 2})]


def test_heartbeat_without_a_message_and_timeout(sluice, redis, way):
    with sluice.open(f"/{way}/heartbeat") as stream:
        assert events(stream, 2) == 2 * [("message", {"type": "heartbeat", "timestamp": NOW})]
        publish(redis, "notifications", {"n": 1})
        got = events(stream, 2)
        assert ("message", {"n": 1}) in got
        end = stream.rest(10)[-1]
        assert (end.type, json.loads(end.data)) == ("stream-end", {"reason": "lifetime"})


def test_periodic_updates(sluice, redis, way):
    client = redis.client()
    client.delete("gallery:data")
    with sluice.open(f"/{way}/periodic") as stream:
        assert stream.quiet_for(0.3), "there is no such key"
        client.set("gallery:data", '{"n":1}')
        assert events(stream, 1) == [("message", {"n": 1})]
        assert stream.quiet_for(0.3), "nothing has changed"
        with sluice.open(f"/{way}/periodic") as later:
            assert events(later, 1) == [("message", {"n": 1})], "the newest is the first"
            client.set("gallery:data", '{"n":2}')
            assert events(stream, 1) == events(later, 1) == [("message", {"n": 2})]


def test_redis_is_asked_once_for_all_subscribers(sluice, redis, way):
    client = redis.client()
    client.set("gallery:data", "{}")

    def asked():
        return client.info("commandstats")["cmdstat_get"]["calls"]
    streams = [sluice.open(f"/{way}/periodic") for _ in range(50)]
    before, began = asked(), time.monotonic()
    wait_for(lambda: asked() >= before + 5, lambda: "5 more")
    assert asked() - before <= (time.monotonic() - began) / 0.1 + 2
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("path", ["/c/notifications", "/c/chat"])
def test_what_no_key_holds_a_handler_cannot_ask_for(launch, path):
    """Or the messages of one client would be another's."""
    handler = path.split("/")[-1]
    instance = launch({"n": {"path": "/n", "handler": handler}})
    with instance.get("/n?user_id=1&room_id=1") as response:
        assert response.status == 400
