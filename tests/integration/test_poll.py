"""handler = poll: a Redis command every so often, once for all subscribers of a feed."""

import json
import os
import signal
import time

import pytest

from waiting import SLOW

FAST = "100ms"
ROUTES = {
    "get": {"path": "/get/{key}", "handler": "poll", "command": "GET p:{key}", "interval": FAST},
    "always": {"path": "/always", "handler": "poll", "command": "GET p:always", "interval": FAST, "always": "yes"},
    "hash": {"path": "/hash", "handler": "poll", "command": "HGETALL p:hash", "interval": FAST},
    "list": {"path": "/list", "handler": "poll", "command": "LRANGE p:list 0 -1", "interval": FAST},
    "number": {"path": "/number", "handler": "poll", "command": "INCRBY p:number 0", "interval": FAST},
    "logic": {"path": "/logic", "handler": "poll", "command": "HGETALL p:logic", "interval": FAST,
              "filter": "tonumber(message.n) > 1", "transform": "{n = tonumber(message.n), at = now}", "event": "stats"},
    "source": {"path": "/source", "handler": "poll", "script": "source.lua", "interval": FAST},
    "wrong": {"path": "/wrong", "handler": "poll", "command": "LRANGE p:string 0 -1", "interval": FAST},
    "nested": {"path": "/nested", "handler": "poll", "command": "EVAL \"return {{1, {{2, {{3}}}}, false, redis.status_reply('OK')}}\" 0",
               "interval": FAST},
}
SOURCE = """
    local n = 0
    return function(channel, message, event)
        assert_nothing = channel == nil and message == nil
        n = n + 1
        return assert_nothing and math.min(n // 3, 2) or nil
    end"""


@pytest.fixture(scope="module")
def sluice(launch_shared):
    instance = launch_shared(ROUTES, start=False)
    (instance.folder / "source.lua").write_text(SOURCE)
    return instance.start()


def test_the_string_as_it_is_when_it_changes(sluice, redis):
    client = redis.client()
    client.set("p:a", "no JSON: Zoë")
    with sluice.open("/get/a") as stream:
        assert stream.next_message().data == "no JSON: Zoë"
        assert stream.quiet_for(0.3)
        client.set("p:a", "2")
        assert stream.next_message().data == "2"
        client.delete("p:a")
        assert stream.quiet_for(0.3), "nil sends nothing"
        client.set("p:a", "2")
        assert stream.next_message().data == "2", "it was gone"
        client.set("p:a", "")
        assert stream.next_message().data == ""


def test_always(sluice, redis):
    redis.client().set("p:always", "same")
    with sluice.open("/always") as stream:
        assert [stream.next_message().data for _ in range(3)] == ["same"] * 3


def test_a_hash_is_an_object_and_a_list_an_array(sluice, redis):
    client = redis.client()
    client.hset("p:hash", mapping={"name": "Zoë", "n": "5", "j": '{"a":1}', 'q"': ""})
    client.rpush("p:list", "text", "5", "[1]", "null", "[no")
    with sluice.open("/hash") as hash, sluice.open("/list") as list:
        assert json.loads(hash.next_message().data) == {"name": "Zoë", "n": "5", "j": {"a": 1}, 'q"': ""}
        assert json.loads(list.next_message().data) == ["text", "5", [1], "null", "[no"]
    with sluice.open("/number") as number, sluice.open("/nested") as nested:
        assert number.next_message().data == "0"
        assert nested.next_message().data == '[1,[2,[3]],null,"OK"]'


def test_stages_apply(sluice, redis):
    client = redis.client()
    client.hset("p:logic", "n", "1")
    with sluice.open("/logic") as stream:
        client.hset("p:logic", "n", "2")
        event = stream.next_message()
        assert event.type == "stats"
        data = json.loads(event.data)
        assert abs(data.pop("at") - time.time()) < 5 * SLOW and data == {"n": 2}
        assert stream.quiet_for(1.2), "the time alone is no change"


def test_a_script_is_the_source(sluice):
    with sluice.open("/source") as stream:
        assert [stream.next_message().data for _ in range(3)] == ["0", "1", "2"]
        assert stream.quiet_for(0.3)


def test_each_parameter_has_a_feed(sluice, redis):
    client = redis.client()
    client.mset({"p:x": "X", "p:y": "Y"})
    with sluice.open("/get/x") as x, sluice.open("/get/y") as y:
        assert (x.next_message().data, y.next_message().data) == ("X", "Y")


def test_an_error_is_logged_and_nothing_is_sent(sluice, redis):
    redis.client().set("p:string", "x")
    with sluice.open("/wrong") as stream:
        sluice.wait_log("[route wrong] Redis refuses LRANGE: WRONGTYPE")
        assert stream.quiet_for(0.2)


def test_nobody_is_asked_for_without_subscribers(sluice, redis):
    client = redis.client()

    def asked():
        return client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
    client.set("p:left", "1")
    with sluice.open("/get/left") as stream:
        stream.next_message()
    sluice.wait_subscribers(0)
    before = asked()
    time.sleep(0.5)
    assert asked() - before <= 1
    client.set("p:left", "2")
    with sluice.open("/get/left") as stream:  # the feed lingers: at once what it had, then what is
        assert stream.next_message().data == "1"
        assert stream.next_message().data == "2"


def test_redis_goes_and_comes_back(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"get": ROUTES["get"]}, redis=redis)
    redis.client().set("p:k", "1")
    with sluice.open("/get/k") as stream:
        assert stream.next_message().data == "1"
        redis.kill()
        assert stream.quiet_for(0.3)
        redis.start()
        redis.client().set("p:k", "2")
        assert stream.next_message(15).data == "2"


def test_the_prefix_is_put_before_the_key(launch, redis):
    sluice = launch({"get": ROUTES["get"], "eval": {
        "path": "/eval", "handler": "poll", "command": "EVAL return{{KEYS[1],ARGV[1]}} 1 k v", "interval": FAST}},
        link={"prefix": "pre:"})
    redis.client().set("pre:p:k", "prefixed")
    with sluice.open("/get/k") as stream, sluice.open("/eval") as other:
        assert stream.next_message().data == "prefixed"
        assert other.next_message().data == '["pre:k","v"]'


def test_a_reload_in_the_middle(launch, redis):
    """An answer may be on its way when the route goes."""
    sluice = launch({"get": {**ROUTES["get"], "interval": "10ms"}})
    redis.client().set("p:k", "1")
    for n in range(5):
        with sluice.open("/get/k") as stream:
            assert stream.next_message().data == "1"
            sluice.sections["route get"]["interval"] = f"{11 + n}ms"
            sluice.write_config()
            os.kill(sluice.child.pid, signal.SIGHUP)
            assert json.loads(stream.rest()[-1].data) == {"reason": "reload"}
    with sluice.open("/get/k") as stream:
        assert stream.next_message().data == "1"


@pytest.mark.parametrize("command, what", [
    ("BLPOP q 0", "BLPOP would block"), ("SUBSCRIBE c", "SUBSCRIBE would block"), ("select 5", "select would block"),
    ("EVAL 'return 1 0", "ends nowhere"), ("{name} x", "cannot be a parameter"), ("GET {.x}", "{.x}"), ("", "neither command nor script")])
def test_a_command_that_may_not_be(launch, command, what):
    sluice = launch({"p": {"path": "/p/{name}", "handler": "poll", "command": command}}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1
    assert what in result.err


def test_relay_asks_nothing(launch):
    sluice = launch({"p": {"path": "/p", "channels": "x", "command": "GET k"}}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and "handler = poll" in result.err
