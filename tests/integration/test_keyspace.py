"""What becomes of keys in Redis, told by key or by pattern of keys."""

import json
import os
import signal
import threading
import time

import pytest

from waiting import wait_for

ROUTES = {
    "key": {"path": "/key/{k}", "keyspace": "a:{k}"},
    "all": {"path": "/all", "keyspace": "a:*"},
    "class": {"path": "/class", "keyspace": "c:[xy]?"},
    "literal": {"path": "/literal", "keyspace": r"l\*"},
    "del": {"path": "/del", "keyspace": "a:*", "filter": "text == 'del' and channel ~= 'a:kept'"},
    "until": {"path": "/until/{k}", "keyspace": "u:{k}", "until": "text == 'del'", "snapshot": "GET u:{k}"},
    "shaped": {"path": "/shaped", "keyspace": "s:*", "event": "{channel}", "add.op": "{text}"},
    "lua": {"path": "/lua", "keyspace": "t:*", "transform": "text .. ' ' .. channel .. ' ' .. message.key"},
    "plain": {"path": "/plain", "patterns": "*", "event": "{channel}"},
    "wait": {"path": "/wait", "handler": "wait", "keyspace": "w:*", "timeout": "20s"},
    "valued": {"path": "/valued", "keyspace": "v:*", "keyspace_value": "yes", "queue": "64m"},
    "value": {"path": "/value/{k}", "keyspace": "v:{k}", "keyspace_value": "yes", "snapshot": "GET v:{k}",
              "until": "text == 'del'"},
    "chosen": {"path": "/chosen", "keyspace": "v:*", "keyspace_value": "yes",
               "filter": "text == 'set' and channel ~= 'v:hidden' and message.value ~= 'no'"},
    "health": {"path": "/health", "handler": "health"},
}
ALL = ["--notify-keyspace-events", "KA"]


@pytest.fixture
def keyed(launch, own_redis):
    """A Redis that tells of keys, and a Sluice of database 3 with a prefix that holds glob characters."""
    redis = own_redis(options=ALL).start()
    sluice = launch(ROUTES, redis, link={"url": f"redis://127.0.0.1:{redis.port}/3", "prefix": "p[1]:"})
    return sluice, redis, redis.client(db=3)


def told(event, prefix=""):
    return event.type, json.loads(event.data)["key"].removeprefix(prefix)


def test_a_key(keyed):
    """Its operations, its name without the prefix; no other key's, no other database's, none without the prefix."""
    sluice, redis, client = keyed
    with sluice.open("/key/1") as stream:
        client.set("p[1]:a:12", "another")
        client.set("a:1", "no prefix")
        client.set("p1:a:1", "what the prefix would match as a pattern")
        redis.client().set("p[1]:a:1", "another database")
        client.set("p[1]:a:1", "x")
        event = stream.next_event()
        assert (event.type, event.data) == ("set", '{"key":"a:1"}')
        client.delete("p[1]:a:1")
        client.hset("p[1]:a:1", "f", "1")
        assert [told(stream.next_event()) for _ in range(2)] == [("del", "a:1"), ("hset", "a:1")]


def test_a_pattern(keyed):
    sluice, redis, client = keyed
    with sluice.open("/all") as stream, sluice.open("/class") as some, sluice.open("/literal") as literal:
        client.set("p1:a:0", "what the prefix would match as a pattern")
        client.set("p[1]:b:1", "another")
        client.rpush('p[1]:a:"ü', "1")
        client.sadd("p[1]:a:", "1")
        assert [told(stream.next_event()) for _ in range(2)] == [("rpush", 'a:"ü'), ("sadd", "a:")]
        for key in ("c:z1", "c:x", "c:y2", "lx", "l*"):
            client.set(f"p[1]:{key}", "1")
        assert told(some.next_event()) == ("set", "c:y2")
        assert told(literal.next_event()) == ("set", "l*")


def test_every_way_in_which_a_key_goes(launch, own_redis):
    redis = own_redis(options=ALL).start()
    sluice, client = launch(ROUTES, redis), redis.client()
    with sluice.open("/all") as stream:
        def next_ones(n):
            return [told(stream.next_event()) for _ in range(n)]
        client.set("a:1", "x", px=50)
        assert next_ones(3) == [("set", "a:1"), ("expire", "a:1"), ("expired", "a:1")]
        client.set("a:1", "x")
        client.rename("a:1", "a:2")
        assert next_ones(3) == [("set", "a:1"), ("rename_from", "a:1"), ("rename_to", "a:2")]
        client.delete("a:2")
        assert next_ones(1) == [("del", "a:2")]
        client.set("a:3", "x")
        client.flushall()
        client.set("a:marker", "x")
        assert next_ones(2) == [("set", "a:3"), ("set", "a:marker")], "Redis tells nothing per key"
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "1")
        assert next_ones(1) == [("evicted", "a:marker")]


def test_logic(keyed):
    """text is the operation, channel the key without the prefix, message the data."""
    sluice, redis, client = keyed
    with sluice.open("/del") as stream, sluice.open("/shaped") as shaped, sluice.open("/lua") as lua:
        for key in ("kept", "1"):
            client.set(f"p[1]:a:{key}", "x")
            client.delete(f"p[1]:a:{key}")
        assert told(stream.next_event()) == ("del", "a:1")
        client.set("p[1]:s:1", "x")
        event = shaped.next_event()
        assert (event.type, json.loads(event.data)) == ("s:1", {"key": "s:1", "op": "set"})
        client.append("p[1]:t:1", "x")
        event = lua.next_event()
        assert (event.type, event.data) == ("append", "append t:1 t:1")


def test_snapshot_and_until(keyed):
    sluice, redis, client = keyed
    client.set("p[1]:u:1", "as it is")
    with sluice.open("/until/1") as stream:
        event = stream.next_event()
        assert (event.type, event.data) == ("snapshot", "as it is")
        client.set("p[1]:u:1", "x")
        client.delete("p[1]:u:1")
        assert [stream.next_event().type for _ in range(3)] == ["set", "del", "stream-done"]


def test_a_pattern_of_channels_is_none_of_ours(launch, own_redis):
    """Who follows the notifications' channels as channels goes on seeing them so, beside who follows keys."""
    redis = own_redis(options=ALL).start()
    name = "__keyspace@0__:a:1"
    sluice = launch({**ROUTES, "raw": {"path": "/raw", "channels": name, "event": "{channel}"}}, redis)
    with sluice.open("/raw") as raw, sluice.open("/key/1") as key:
        assert redis.n_subscribers(name) == 1, "one subscription for both"
        redis.client().set("a:1", "x")
        event = raw.next_event()
        assert (event.type, event.data) == (name, "set")
        assert told(key.next_event()) == ("set", "a:1")


def test_wait(keyed):
    sluice, redis, client = keyed
    done = []

    def ask():
        with sluice.get("/wait") as response:
            done.append((response.status, response.json(20)))
    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_for(lambda: redis.n_patterns() == 1, "it is followed")
    client.set("p[1]:w:1", "x")
    waiting.join(60)
    assert done == [(200, {"key": "w:1"})]


def test_what_is_lost_is_told(launch, own_redis):
    redis = own_redis(options=ALL).start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/all") as stream:
        redis.kill()
        redis.start()
        event = stream.next_event(timeout=20)
        assert (event.type, event.data) == ("stream-reset", '{"reason":"redis"}')
        redis.client().set("a:1", "x")
        assert told(stream.next_event()) == ("set", "a:1")


def test_many_in_order(launch, own_redis):
    """200 keys that change for three seconds: every operation, in order, for each who follows."""
    redis = own_redis(options=ALL).start()
    sluice, client = launch(ROUTES, redis), redis.client()
    with sluice.open("/all") as one, sluice.open("/all") as two, sluice.open("/key/7") as seventh:
        sent, got = [], {one: [], two: []}
        end = time.monotonic() + 3

        def read(stream):
            while not got[stream] or got[stream][-1][1] != "a:last":
                got[stream].append(told(stream.next_event(timeout=30)))
        readers = [threading.Thread(target=read, args=(s,)) for s in got]
        for reader in readers:
            reader.start()
        while time.monotonic() < end:
            pipe = client.pipeline(transaction=False)
            for i in range(200):
                if (i + len(sent)) % 3:
                    pipe.hset(f"a:{i}", "n", "1")
                    sent.append(("hset", f"a:{i}"))
                else:
                    pipe.hincrby(f"a:{i}", "n", 1)
                    sent.append(("hincrby", f"a:{i}"))
            pipe.execute()
            time.sleep(0.05)  # so many a second
        client.set("a:last", "x")
        sent.append(("set", "a:last"))
        for reader in readers:
            reader.join(60)
        assert got[one] == sent and got[two] == sent
        of_seven = [s for s in sent if s[1] == "a:7"]
        assert [told(seventh.next_event()) for _ in of_seven] == of_seven


# With what the key holds


def n_reads(redis):
    return redis.client().info("commandstats").get("cmdstat_eval", {}).get("calls", 0)


def valued(event):
    data = json.loads(event.data)
    return event.type, data["key"], data["value"]


def test_the_value_of_every_type(keyed):
    """As a snapshot of the key: text, or JSON; what is gone is null. Each change is read once for all who follow."""
    sluice, redis, client = keyed
    with sluice.open("/valued") as one, sluice.open("/valued") as two, sluice.open("/value/s") as three:
        def told_to_all():
            first = valued(one.next_event())
            assert valued(two.next_event()) == first
            if first[1] == "v:s":
                assert valued(three.next_event()) == first
            return first
        steps = [(("set", "s", "x"), ("set", "v:s", "x")), (("set", "s", "5"), ("set", "v:s", 5)),
                 (("set", "s", '{"a":[1]}'), ("set", "v:s", {"a": [1]})), (("set", "s", ""), ("set", "v:s", "")),
                 (("hset", "h", "f", "1"), ("hset", "v:h", {"f": "1"})),
                 (("rpush", "l", "a", '{"b":2}'), ("rpush", "v:l", ["a", {"b": 2}])),
                 (("sadd", "m", "a"), ("sadd", "v:m", ["a"])),
                 (("zadd", "z", "2", "a"), ("zadd", "v:z", ["a", "2"])),
                 (("xadd", "x", "5-0", "k", "v"), ("xadd", "v:x", [["5-0", ["k", "v"]]])),
                 (("incr", 'ü"'), ("incrby", 'v:ü"', 1)),
                 (("expire", "h", "1000"), ("expire", "v:h", {"f": "1"})), (("del", "h"), ("del", "v:h", None))]
        for (command, key, *words), want in steps:
            client.execute_command(command, f"p[1]:v:{key}", *words)
            assert told_to_all() == want
        assert n_reads(redis) == len(steps), "by two routes and three streams"


def test_the_value_and_the_rest_of_a_route(keyed):
    """Snapshot before it, until and filter over it, in the order of what Redis told."""
    sluice, redis, client = keyed
    client.set("p[1]:v:1", "old")
    with sluice.open("/value/1") as stream, sluice.open("/chosen") as chosen:
        assert stream.next_event().data == "old"
        for key, value in (("hidden", "x"), ("1", "no"), ("1", "new"), ("2", "line\nfeed")):
            client.set(f"p[1]:v:{key}", value)
        client.delete("p[1]:v:1")
        client.set("p[1]:v:last", "x")
        ops = [(e.type, e.data) for e in (stream.next_event() for _ in range(4))]
        assert [type for type, _ in ops] == ["set", "set", "del", "stream-done"]
        assert json.loads(ops[2][1]) == {"key": "v:1", "value": None}
        got = []
        while not got or got[-1][1] != "v:last":
            got.append(valued(chosen.next_event()))
        assert got[-2:] == [("set", "v:2", "line\nfeed"), ("set", "v:last", "x")]


def test_a_key_that_changes_while_it_is_read(launch, own_redis):
    """A burst: every operation in order, the last with the newest value, and hardly a read for each."""
    redis = own_redis(options=ALL).start()
    sluice, client = launch(ROUTES, redis), redis.client()
    with sluice.open("/valued") as one, sluice.open("/value/a") as two:
        for i in range(10):
            pipe = client.pipeline(transaction=False)
            for n in range(50):
                pipe.rpush("v:l", i * 50 + n)
                pipe.set("v:a", i * 50 + n)
            pipe.execute()
        client.delete("v:a")
        got = [valued(one.next_event(timeout=30)) for _ in range(1001)]
        assert [g[:2] for g in got] == [("rpush", "v:l"), ("set", "v:a")] * 500 + [("del", "v:a")]
        for i, (_, _, value) in enumerate(got[0:1000:2]):
            assert value[:i + 1] == [str(n) for n in range(i + 1)], "never older than the change"
        values = [value for _, _, value in got[1:1000:2]]
        assert all(v is None or v >= i for i, v in enumerate(values)), "never older than the change"
        assert got[-1][2] is None
        assert [valued(two.next_event())[:2] for _ in range(501)] == [g[:2] for g in got if g[1] == "v:a"]
        assert n_reads(redis) <= 1001


def test_the_value_may_not_be_read(launch, own_redis):
    """It is told without one, which differs from null, and the operator is told why."""
    redis = own_redis(options=ALL).start()
    redis.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-eval")
    sluice = launch(ROUTES, redis, link={"url": f"redis://app:secret@127.0.0.1:{redis.port}"})
    with sluice.open("/valued") as stream:
        redis.client().set("v:1", "x")
        event = stream.next_event()
        assert (event.type, event.data) == ("set", '{"key":"v:1"}')
    sluice.wait_log("v:1")
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert "[route valued] EVAL" in done.out and "NOPERM" in done.out


def test_redis_goes_while_a_value_is_read(launch, own_redis):
    """What was told before is told with what the key holds once Redis is back."""
    redis = own_redis(options=ALL).start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/valued") as stream:
        redis.client().set("v:0", "x")
        assert valued(stream.next_event()) == ("set", "v:0", "x")
        redis.kill()
        redis.start()
        assert stream.next_event(timeout=20).type == "stream-reset"
        redis.client().set("v:1", "x")
        assert valued(stream.next_event(timeout=20)) == ("set", "v:1", "x")


# KEYSPACE_FULL=1: 1,000 keys that change 100 times a second for ten seconds, and 200 who follow.
FULL = bool(os.environ.get("KEYSPACE_FULL"))


def test_at_scale(launch, own_redis):
    """Every operation in order for each of all who follow; a value never older than its change, read at most once for it."""
    n_keys, rounds, per_second, followed = (1000, 1000, 100, 100) if FULL else (60, 60, 100, 20)
    redis = own_redis(options=[*ALL, "--client-output-buffer-limit", "pubsub", "512mb", "512mb", "60"]).start()
    sluice = launch({"plain": {"path": "/plain/{k}", "keyspace": "n:{k}", "queue": "64m"},
                     "value": {"path": "/value/{k}", "keyspace": "n:{k}", "queue": "64m", "keyspace_value": "yes"},
                     "all": {"path": "/all", "keyspace": "n:*", "queue": "64m"}}, redis)
    client = redis.client()
    plain, value = ([sluice.open(f"/{kind}/{k}") for k in range(followed)] for kind in ("plain", "value"))
    every = None if FULL else sluice.open("/all")
    began = time.monotonic()
    for n in range(rounds):
        pipe = client.pipeline(transaction=False)
        for k in range(n_keys):
            if n % 2:
                pipe.incrby(f"n:{k}", 1)
            else:
                pipe.set(f"n:{k}", n)
        pipe.execute()
        time.sleep(max(0, began + (n + 1) / per_second - time.monotonic()))
    took = time.monotonic() - began
    operations = ["incrby" if n % 2 else "set" for n in range(rounds)]
    for k, stream in enumerate(plain):
        assert [told(stream.next_event(timeout=60)) for _ in operations] == [(op, f"n:{k}") for op in operations]
    for k, stream in enumerate(value):
        got = [valued(stream.next_event(timeout=60)) for _ in operations]
        assert [g[:2] for g in got] == [(op, f"n:{k}") for op in operations]
        values = [v for _, _, v in got]
        assert all(v >= n for n, v in enumerate(values)) and values == sorted(values) and values[-1] == rounds - 1
    if every:
        assert [told(every.next_event(timeout=60)) for _ in range(n_keys * rounds)] == [
            (op, f"n:{k}") for op in operations for k in range(n_keys)]
    assert 0 < n_reads(redis) <= followed * rounds
    print(f"{n_keys * rounds} changes in {took:.1f} s, {2 * followed * rounds} events, {n_reads(redis)} reads")
    for stream in [*plain, *value, *([every] if every else [])]:
        stream.close()


# What Redis must be set to


def health(sluice):
    with sluice.get("/health") as response:
        body = response.json()
    return body["status"], " ".join(body["why"])


@pytest.mark.parametrize("flags, lacks, line", [
    ("", "KA", "KA"), ("AE", "K", "KAE"), ("K", "A", "KA"), ("Kgxe", "$lshztd", "KA"), ("Elm", "Kg$shzxetd", "KAEm")])
def test_redis_does_not_tell(launch, own_redis, flags, lacks, line):
    """It is logged with the line to set, and health says so until it is set."""
    redis = own_redis(options=["--notify-keyspace-events", flags]).start()
    sluice = launch(ROUTES, redis)
    wait_for(lambda: health(sluice)[0] == "degraded", "it is noticed")
    status, why = health(sluice)
    assert f"lacks {lacks}," in why and why.endswith(f"CONFIG SET notify-keyspace-events {line}")
    sluice.wait_log(f"CONFIG SET notify-keyspace-events {line}")
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert done.returncode == 0 and f"warning  notify-keyspace-events lacks {lacks}," in done.out
    if flags:
        return  # one is enough to see that it is looked at again
    redis.client().config_set("notify-keyspace-events", line)
    wait_for(lambda: health(sluice) == ("ok", ""), "it is noticed, too", 20)
    assert "notify-keyspace-events" not in sluice.run("check", "-c", sluice.config, "--connect").out


def test_no_route_needs_it(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"x": {"path": "/x", "channels": "x"}, "health": ROUTES["health"]}, redis)
    with sluice.open("/x"):
        wait_for(lambda: health(sluice) == ("ok", ""), "Redis is up")
    assert "cmdstat_config" not in redis.client().info("commandstats"), "nobody has asked"
    assert "notify-keyspace-events" not in sluice.run("check", "-c", sluice.config, "--connect").out
    sluice.sections["route key"] = ROUTES["key"]
    sluice.write_config()
    sluice.child.send_signal(signal.SIGHUP)
    wait_for(lambda: health(sluice)[0] == "degraded", "a route needs it now")


def test_it_may_not_be_asked(launch, own_redis):
    """CONFIG is refused: then nothing is known, and nothing is said. So is the channel: that is."""
    redis = own_redis(options=ALL).start()
    redis.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "resetchannels",
                                   "&__keyspace@0__:a:*", "+@all", "-config")
    sluice = launch(ROUTES, redis, link={"url": f"redis://app:secret@127.0.0.1:{redis.port}"})
    with sluice.open("/all") as stream:
        redis.client().set("a:1", "x")
        assert told(stream.next_event()) == ("set", "a:1")
    assert health(sluice) == ("ok", "")
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert "[route key]" not in done.out
    assert "[route class] PSUBSCRIBE __keyspace@0__:c:[xy]?: NOPERM" in done.out


@pytest.mark.parametrize("key, value, why", [
    ("streams", "s", "has no past"), ("record", "10", "they alone"), ("start", "0", "no past"),
    ("history", "5", "no past"), ("param.k", ".+", "would choose the pattern"),
    ("snapshot_from", "{.at}", "no snapshot")])
def test_what_does_not_go_with_it(launch, key, value, why):
    sluice = launch({"x": {"path": "/x/{k}", "keyspace": "x:{k}", key: value}}, start=False)
    done = sluice.run("check", "-c", sluice.config)
    assert done.returncode != 0 and why in done.out + done.err


def test_one_database(launch, own_redis):
    """Its number stands in the names that are followed: all servers have the same, and it stays."""
    redis = own_redis(options=ALL).start()
    sluice = launch({"key": ROUTES["key"]}, redis, link={"url": f"redis://127.0.0.1:{redis.port}/1"})
    with sluice.open("/key/1") as stream:
        sluice.sections["redis"]["url"] = f"redis://127.0.0.1:{redis.port}/2"
        sluice.write_config()
        sluice.child.send_signal(signal.SIGHUP)
        sluice.wait_log("another database takes effect at the next start")
        redis.client(db=2).set("a:1", "x")
        redis.client(db=1).set("a:1", "x")
        redis.client(db=1).delete("a:1")
        assert [stream.next_event().type for _ in range(2)] == ["set", "del"]
    sluice.sections["redis"]["url"] += f" redis://127.0.0.1:{redis.port}/1"
    sluice.write_config()
    done = sluice.run("check", "-c", sluice.config)
    assert done.returncode != 0 and "all must name the same database" in done.out + done.err
