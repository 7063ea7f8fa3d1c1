"""What a handler withholds nobody is sent, by whatever way a message comes."""

import json
import subprocess
from pathlib import Path

import pytest

from test_publish import post
from test_wait import answer, ask
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]

GUARD = """
#include <sluice/handler.h>

static enum verdict
guard_message(struct feed *feed, struct message *msg)
{
	(void)feed;
	return json_is_true(message_json(msg), "internal") ? DROP : KEEP;
}

static const struct handler guard = {.name = "guard", .open = feed_subjects, .message = guard_message};
static const struct handler guard_wait = {
    .name = "guard_wait", .open = feed_subjects, .message = guard_message, .kind = HANDLER_WAIT};
static const struct handler guard_queue = {
    .name = "guard_queue", .open = feed_subjects, .message = guard_message, .kind = HANDLER_QUEUE};

SLUICE_MODULE(&guard, &guard_wait, &guard_queue);
"""

ROUTES = {
    "channel": {"path": "/channel/{id}", "handler": "guard", "channels": "door:{id}"},
    "paced": {"path": "/paced/{id}", "handler": "guard", "channels": "door:{id}", "rate": "1000/1s", "batch": "2/5s"},
    "stream": {"path": "/stream/{id}", "handler": "guard", "streams": "door:{id}", "start": "0"},
    "recorded": {"path": "/recorded/{id}", "handler": "guard", "channels": "door:{id}", "record": 100, "start": "0",
                 "publish": "door:{id}", "publish_auth": "none"},
    "wait": {"path": "/wait/{id}", "handler": "guard_wait", "streams": "door:{id}", "timeout": "5s"},
    "queue": {"path": "/queue/{id}", "handler": "guard_queue", "streams": "door:{id}", "group": "g", "start": "0"},
}
SECRET, PUBLIC = {"internal": True}, {"n": 1}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, server={"modules": "guard.so"}, start=False)
    source = sluice.folder / "guard.c"
    source.write_text(GUARD)
    subprocess.run(["cc", "-O1", "-fPIC", "-shared", f"-I{ROOT}/include", "-o", sluice.folder / "guard.so", source], check=True)
    sluice.start()
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def xadd(redis, key, *values):
    return [redis.client().xadd(key, {"data": json.dumps(v)}).decode() for v in values]


def test_live(sluice, redis):
    dropped = sluice.dropped("handler")
    with sluice.open("/channel/live") as s:
        redis.publish("door:live", json.dumps(SECRET))
        redis.publish("door:live", json.dumps(PUBLIC))
        assert json.loads(s.next_message().data) == PUBLIC
    assert sluice.dropped("handler") == dropped + 1


def test_batched(sluice, redis):
    with sluice.open("/paced/batch") as s:
        for message in (SECRET, PUBLIC, SECRET, {"n": 2}):
            redis.publish("door:batch", json.dumps(message))
        assert [b["data"] for b in json.loads(s.next_message().data)["batch"]] == [PUBLIC, {"n": 2}]


@pytest.mark.parametrize("is_resumed", [False, True])
def test_replayed(sluice, redis, is_resumed):
    name = f"past{is_resumed}"
    ids = xadd(redis, f"door:{name}", {"n": 0}, SECRET, PUBLIC)
    headers = {"Last-Event-ID": ids[0]} if is_resumed else {}
    with sluice.open(f"/stream/{name}", headers=headers) as s:
        if not is_resumed:
            assert json.loads(s.next_message().data) == {"n": 0}
        assert json.loads(s.next_message().data) == PUBLIC
        xadd(redis, f"door:{name}", SECRET, {"n": 2})
        assert json.loads(s.next_message().data) == {"n": 2}


def test_recorded(sluice):
    for message in (SECRET, PUBLIC):
        assert post(sluice, "/recorded/a", json.dumps(message))[0] == 202
    with sluice.open("/recorded/a") as s:
        assert json.loads(s.next_message().data) == PUBLIC
    assert answer(ask(sluice, "/recorded/a?mode=poll&after=0-0"))[1] == PUBLIC


@pytest.mark.parametrize("path", ["/stream/poll?mode=poll&after=0-0", "/wait/poll?after=0-0"])
def test_waited_for(sluice, redis, path):
    redis.client().delete("door:poll")
    xadd(redis, "door:poll", SECRET, PUBLIC)
    assert answer(ask(sluice, path))[1] == PUBLIC


def test_waited_for_live(sluice, redis):
    connection = ask(sluice, "/channel/soon?mode=poll&timeout=5000")
    redis.wait_subscribed("door:soon")
    redis.publish("door:soon", json.dumps(SECRET))
    redis.publish("door:soon", json.dumps(PUBLIC))
    assert answer(connection)[1] == PUBLIC


def test_of_a_queue(sluice, redis):
    xadd(redis, "door:queue", SECRET, PUBLIC)
    with sluice.open("/queue/queue") as s:
        assert json.loads(s.next_message().data) == PUBLIC
        wait_for(lambda: redis.client().xpending("door:queue", "g")["pending"] == 0, "all to be acknowledged")
