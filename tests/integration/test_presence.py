"""handler = presence: who is here, as JSON and as a stream, over all workers; and right again after a crash."""

import json
import os
import signal
import time

import pytest

from test_auth import AUTH, bearer
from waiting import soon, wait_for

ROUTES = {
    "here": {"path": "/here/{room}", "handler": "presence", "channels": "who:{room}", "lease": "1s", "linger": "0", "param.name": "[A-Za-z ]+",
             "auth": "jwt none"},
    "linger": {"path": "/linger/{room}", "handler": "presence", "channels": "who:linger:{room}", "linger": "600ms", "lease": "4s"},
    "info": {"path": "/info/{room}", "handler": "presence", "channels": "who:info:{room}", "linger": "0", "auth": "jwt none",
             "presence_info": "{claim.name}"},
    "events": {"path": "/events/{room}", "handler": "presence", "channels": "who:events:{room}", "linger": "300ms", "lease": "1s",
               "presence_events": "yes"},
    "told": {"path": "/told/{room}", "channels": "who:events:{room}:presence"},
    "long": {"path": "/long", "handler": "presence", "channels": "who:long"},
    "few": {"path": "/few", "handler": "presence", "channels": "who:few", "max_per_ip": 2},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, auth=AUTH, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    return sluice


def told(stream, timeout=5.0):
    """(name, what it says)"""
    event = stream.next_event(timeout)
    return event.type, json.loads(event.data)


def who(sluice, path):
    answer = sluice.get(path + ("&" if "?" in path else "?") + "mode=poll")
    answer.rest()
    assert answer.status == 200, bytes(answer.body)
    return json.loads(bytes(answer.body))


def enter(sluice, path, **kw):
    stream = sluice.open(path, **kw)
    name, list = told(stream)
    assert name == "presence"
    return stream, list


def test_who_comes_and_goes(sluice):
    ada, list = enter(sluice, "/here/a?name=Ada")
    with ada:
        assert list == {"count": 1, "users": ["Ada"]}
        bob, list = enter(sluice, "/here/a?name=Bob%20B")
        assert list == {"count": 2, "users": ["Ada", "Bob B"]}
        assert told(ada) == ("join", {"user": "Bob B"})
        assert who(sluice, "/here/a") == {"count": 2, "users": ["Ada", "Bob B"]}
        assert who(sluice, "/here/other") == {"count": 0, "users": []}
        bob.close()
        assert told(ada) == ("leave", {"user": "Bob B"})
        assert who(sluice, "/here/a") == {"count": 1, "users": ["Ada"]}


def test_a_user_is_one_however_many_tabs(sluice):
    with sluice.open("/here/tabs?mode=watch") as watcher:
        assert told(watcher) == ("presence", {"count": 0, "users": []})
        first, _ = enter(sluice, "/here/tabs?name=Ada")
        assert told(watcher) == ("join", {"user": "Ada"})
        second, list = enter(sluice, "/here/tabs?name=Ada")
        assert list == {"count": 1, "users": ["Ada"]}
        first.close()
        enter(sluice, "/here/tabs?name=Bob")[0].close()
        assert [told(watcher) for _ in range(2)] == [("join", {"user": "Bob"}), ("leave", {"user": "Bob"})]
        assert who(sluice, "/here/tabs") == {"count": 1, "users": ["Ada"]}
        second.close()
        assert told(watcher) == ("leave", {"user": "Ada"})


def test_credentials_come_before_a_parameter(sluice):
    zoe, list = enter(sluice, "/here/c?name=Eve", headers=bearer("zoe", channels=["who:c"]))
    with zoe:
        assert list["users"] == ["zoe"]


def test_guests(sluice):
    with sluice.open("/here/g?mode=watch") as watcher:
        told(watcher)
        guest, list = enter(sluice, "/here/g")
        assert list == {"count": 1, "users": []}
        assert told(watcher) == ("join", {"user": None})
        guest.close()
        assert told(watcher) == ("leave", {"user": None})


def test_a_name_keeps_its_rule(sluice):
    for path in ("/here/rule?name=%22%3C", "/here/rule?name=", "/here/rule?name=%22%3C&mode=poll"):
        with sluice.get(path) as response:
            assert response.status == 400 and "name must match [A-Za-z ]+" in response.json()["detail"]
    with sluice.get("/here/rule?name=%22%3C", headers=bearer("zoe", channels=["who:rule"])) as response:
        assert response.status == 400, "whoever it is"
    stream, list = enter(sluice, "/here/rule")
    with stream:
        assert list == {"count": 1, "users": []}, "it is no name"


def test_a_crash_is_forgotten_within_the_lease(sluice, redis):
    """All that a killed worker's subscribers were is gone; those that are there stay."""
    with sluice.open("/here/crash?mode=watch") as watcher:
        assert told(watcher)[0] == "presence"
        redis.client().hset("who:crash", "dead", f"{int(time.time() * 1000) + 2500} \"Ghost\"")  # as it would stand after a crash
        stream, list = enter(sluice, "/here/crash?name=Ada")
        with stream:
            assert list["users"] == ["Ada", "Ghost"]
            began = time.monotonic()
            events = []
            while ("leave", {"user": "Ghost"}) not in events:
                events.append(told(watcher))
            assert soon(began, 3)
            assert who(sluice, "/here/crash") == {"count": 1, "users": ["Ada"]}


def test_it_is_renewed(sluice):
    stream, _ = enter(sluice, "/here/renew?name=Ada")
    with stream:
        time.sleep(2.5)
        wait_for(lambda: who(sluice, "/here/renew")["users"] == ["Ada"], "she is still here")


def test_nothing_is_left(sluice, redis):
    stream, _ = enter(sluice, "/here/left?name=Ada")
    stream.close()
    wait_for(lambda: not redis.client().exists("who:left"), "the hash to be gone", 10)


def test_limits_hold(sluice):
    streams = [enter(sluice, "/few")[0] for _ in range(2)]
    assert sluice.get("/few").status == 429
    for stream in streams:
        stream.close()


def test_a_worker_is_killed(launch, redis):
    sluice = launch(ROUTES, auth=AUTH, server={"workers": 2})
    streams = [enter(sluice, f"/here/kill?name=U{chr(65 + i)}")[0] for i in range(8)]
    assert who(sluice, "/here/kill")["count"] == 8
    os.kill(sluice.workers()[0], signal.SIGKILL)

    def is_right():
        return who(sluice, "/here/kill")["count"] == sluice.status()["subscribers"]
    wait_for(is_right, "only those that are there", 10)
    for stream in streams:
        stream.close()


def test_a_reload_is_no_leave(sluice, redis):
    """Who comes back within the linger never left, for those who are here and for those who watch."""
    with enter(sluice, "/linger/a?mode=watch")[0] as watcher, enter(sluice, "/linger/a?name=Bob")[0] as bob:
        assert told(watcher) == ("join", {"user": "Bob"})
        for _ in range(50):
            enter(sluice, "/linger/a?name=Ada")[0].close()
        eve, list = enter(sluice, "/linger/a?name=Eve")
        assert list == {"count": 3, "users": ["Ada", "Bob", "Eve"]}, "she is still here"
        for stream in (bob, watcher):
            assert [told(stream) for _ in range(2)] == [("join", {"user": "Ada"}), ("join", {"user": "Eve"})]
        wait_for(lambda: redis.client().hlen("who:linger:a") <= 4, "one entry for all that she was")
        eve.close()
        for stream in (bob, watcher):
            assert sorted(told(stream)[1]["user"] for _ in range(2)) == ["Ada", "Eve"]
        assert who(sluice, "/linger/a") == {"count": 1, "users": ["Bob"]}


def test_who_lingers_is_gone_when_nobody_is_left_to_see_it(sluice, redis):
    enter(sluice, "/linger/alone?name=Ada")[0].close()
    wait_for(lambda: not redis.client().exists("who:linger:alone"), "the hash to be gone", 10)
    assert redis.client().zscore("sluice:presence", "who:linger:alone") is None


@pytest.mark.parametrize("setting", ["min-replicas-to-write", "maxmemory"])
def test_while_redis_refuses_writes(launch, own_redis, setting):
    """What could not be written is not told: one join when it can be again, and a leave is not lost."""
    redis = own_redis().start()
    sluice = launch({"here": {"path": "/here", "handler": "presence", "channels": "who", "lease": "2s", "linger": "500ms"}},
                    redis=redis)
    refuse = redis.client().config_set
    with sluice.open("/here?mode=watch") as watcher:
        assert told(watcher) == ("presence", {"count": 0, "users": []})
        refuse(setting, 1)
        ada = sluice.open("/here?name=Ada")
        wait_for(lambda: sluice.status()["redis_refusals"] >= 3, "it has tried three times", 20)
        refuse(setting, 0)
        assert told(watcher, 20) == ("join", {"user": "Ada"})
        bob, _ = enter(sluice, "/here?name=Bob")
        assert told(watcher, 20) == ("join", {"user": "Bob"}), "she has joined once"
        refuse(setting, 1)
        ada.close()
        sluice.wait_status("subscribers", 2, 20)
        refuse(setting, 0)
        assert told(watcher, 20) == ("leave", {"user": "Ada"})
        assert who(sluice, "/here") == {"count": 1, "users": ["Bob"]}
        bob.close()
        assert told(watcher, 20) == ("leave", {"user": "Bob"})


def test_what_is_told_of_each(sluice):
    ada, list = enter(sluice, "/info/a", headers=bearer("ada", name='Ada "L"', channels=["who:info:a"]))
    with ada:
        assert list == {"count": 1, "users": ["ada"], "info": {"ada": 'Ada "L"'}}
        guest, list = enter(sluice, "/info/a")
        with guest:
            assert list == {"count": 2, "users": ["ada"], "info": {"ada": 'Ada "L"'}}
            assert told(ada) == ("join", {"user": None}), "whose credential says nothing of it"
            with enter(sluice, "/info/a", headers=bearer("bob", name="Bob", channels=["who:info:a"]))[0]:
                assert told(ada) == told(guest) == ("join", {"user": "bob", "info": "Bob"})
            assert told(ada) == ("leave", {"user": "bob"})


def said(stream):
    return json.loads(stream.next_event(10).data)["type"]


def test_first_and_last(sluice, redis):
    """Once over all workers; a reload of the only page is none; guests count, too."""
    with sluice.open("/told/a") as stream:
        redis.wait_subscribed("who:events:a:presence")
        first = enter(sluice, "/events/a?name=Ada")[0]
        assert said(stream) == "occupied"
        more = [enter(sluice, f"/events/a?name=U{i}")[0] for i in range(4)]
        for each in (*more, first):
            each.close()
        for _ in range(5):
            enter(sluice, "/events/a?name=Ada")[0].close()
        assert said(stream) == "vacated"
        guest = enter(sluice, "/events/a")[0]
        assert said(stream) == "occupied"
        guest.close()
        assert said(stream) == "vacated"
        redis.publish("who:events:a:presence", '{"type":"marker"}')
        assert said(stream) == "marker"


def test_the_last_is_gone_by_a_crash(launch, redis):
    """With all that followed, and all workers, nobody is left to see it but those that are started anew."""
    sluice = launch(ROUTES, auth=AUTH, server={"workers": 2}, link={"prefix": "p:"})
    pubsub = redis.client().pubsub()
    pubsub.subscribe("p:who:events:crash:presence")

    def heard():
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=0.05)
        return message and json.loads(message["data"])["type"]
    streams = [enter(sluice, f"/events/crash?name=U{i}")[0] for i in range(4)]
    assert wait_for(heard, "the first") == "occupied"
    for worker in sluice.workers():
        os.kill(worker, signal.SIGKILL)
    assert wait_for(heard, "the last is gone", 10) == "vacated"
    assert who(sluice, "/events/crash") == {"count": 0, "users": []}
    for stream in streams:
        stream.close()
    with enter(sluice, "/events/crash?name=Ada")[0]:
        assert wait_for(heard, "the next first") == "occupied"
    assert wait_for(heard, "and last", 10) == "vacated"
    pubsub.close()


@pytest.mark.parametrize("section, why", [
    ({"channels": "a b"}, "needs one channel"), ({"channels": "a", "record": 10}, "follows one channel"),
    ({"streams": "a"}, "follows one channel"), ({"channels": "a", "lease": "10ms"}, "lease"),
    ({"channels": "a", "linger": "11m"}, "linger"), ({"channels": "a", "presence_info": "{.field}"}, "presence_info"),
    ({"handler": "relay", "channels": "a", "lease": "10s"}, "only handler = presence")])
def test_what_is_no_section_for_it(launch, section, why):
    sluice = launch({"x": {"path": "/x", "handler": "presence", **section}}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and why in result.err
