"""sluice check --connect: every server that is named is tried, and what the routes need of it."""

from pathlib import Path

from processes import free_port

ACL = Path(__file__).parents[2] / "conf/redis.acl"

ROUTES = {
    "x": {"path": "/x/{shop}", "channels": "x:{shop}", "record": "10"},
    "s": {"path": "/s", "streams": "s"},
    "p": {"path": "/p", "patterns": "p:*"},
}


def connect(launch, redis, link=None):
    sluice = launch(ROUTES, redis, link=link, start=False)
    return sluice.run("check", "-c", sluice.config, "--connect")


def test_all_is_well(launch, own_redis):
    redis = own_redis().start()
    done = connect(launch, redis)
    assert done.returncode == 0, done.out + done.err
    for text in (f"127.0.0.1:{redis.port}", "is       Redis ", "is       a primary", "maxmemory-policy noeviction",
                 "client-output-buffer-limit pubsub 33554432", "fine"):
        assert text in done.out, text
    assert redis.client().dbsize() == 0, "nothing is written"


def test_nobody_there(launch, redis):
    done = connect(launch, redis, {"url": f"redis://127.0.0.1:{free_port()}"})
    assert done.returncode == 1 and "Connection refused" in done.out


def test_a_replica(launch, own_redis):
    """Passed over, while the primary beside it is fine; alone it is a fault."""
    primary = own_redis("one").start()
    replica = own_redis("two", ["--replicaof", f"127.0.0.1 {primary.port}"]).start()
    done = connect(launch, primary, {"url": f"{replica.url} {primary.url}"})
    assert done.returncode == 0 and "it is a replica, and only a primary is served from" in done.out
    assert connect(launch, replica).returncode == 1


def test_it_evicts(launch, own_redis):
    done = connect(launch, own_redis(options=["--maxmemory-policy", "allkeys-lru"]).start())
    assert "warning  maxmemory-policy allkeys-lru may evict a stream" in done.out and "noeviction" in done.out


def test_small_output_limit(launch, own_redis):
    done = connect(launch, own_redis(options=["--client-output-buffer-limit", "pubsub 1mb 1mb 10"]).start())
    assert "a burst of more than 1048576 bytes ends the connection" in done.out


def test_rights(launch, own_redis):
    """What the ACL refuses is named with its route; what may not be asked is no fault."""
    redis = own_redis().start()
    redis.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "~x:*", "&x:*", "-@all", "+subscribe",
                                   "+psubscribe", "+xinfo|stream", "+client|setname", "+ping")
    done = connect(launch, redis, {"url": f"redis://app:secret@127.0.0.1:{redis.port}"})
    assert done.returncode == 1
    assert "note     INFO may not be asked" in done.out
    assert "[route p] PSUBSCRIBE p:*: NOPERM" in done.out
    assert "[route s] XINFO s: NOPERM" in done.out
    assert "[route x]" not in done.out, "its parameter stands for itself: x:shop, and x:shop:log"


def test_wrong_type(launch, own_redis):
    redis = own_redis().start()
    redis.client().set("s", "text")
    done = connect(launch, redis)
    assert done.returncode == 1 and "[route s] XINFO s: WRONGTYPE" in done.out


def test_wrong_password(launch, own_redis):
    redis = own_redis(options=["--requirepass", "right"]).start()
    done = connect(launch, redis, {"url": f"redis://:wrong@127.0.0.1:{redis.port}"})
    assert done.returncode == 1 and "WRONGPASS" in done.out and ":wrong@" not in done.out + done.err


MORE = {
    "q": {"path": "/q", "handler": "queue", "streams": "q", "group": "g", "dead_letter": "dead"},
    "r": {"path": "/r/{id}", "channels": "r:{id}", "record": "10", "publish": "r:{id}", "publish_auth": "none"},
    "c": {"path": "/c", "channels": "c", "publish": "c", "publish_auth": "none", "snapshot": "HGETALL c:now"},
    "s": {"path": "/s", "streams": "s"},
}


def as_user(launch, server, words):
    server.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "resetkeys", "resetchannels", "-@all", *words)
    link = {"url": f"redis://app:secret@127.0.0.1:{server.port}", "prefix": "app:"}
    sluice = launch(MORE, server, link=link, start=False)
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert server.client().dbsize() == 0, "nothing is written"
    return done


def test_rights_without_which_nothing_arrives(launch, own_redis):
    """Each command that a route will say is asked for, and none is said."""
    done = as_user(launch, own_redis().start(), ["~app:*", "&app:*", "+eval", "+subscribe", "+xinfo|stream", "+xread"])
    assert done.returncode == 1
    for text in ("[route s] XRANGE app:s - +", "[route q] XREADGROUP GROUP group consumer STREAMS app:q >", "[route q] XADD app:dead",
                 "[route r] XADD app:r:id:log", "[route c] PUBLISH app:c", "[route c] HGETALL app:c:now"):
        assert f"{text}" in done.out, (text, done.out)
    assert "XREAD STREAMS" not in done.out
    assert "has no right to it" in done.out


def test_keys_that_the_user_may_not_touch(launch, own_redis):
    done = as_user(launch, own_redis().start(), ["~app:*", "&app:c", "&app:r:*", "+@all"])
    assert done.returncode == 0, done.out
    done = as_user(launch, own_redis("other").start(), ["~app:q", "&app:*", "+@all"])
    assert "[route q] XADD app:dead" in done.out and "[route q] XACK" not in done.out


def test_scripts_that_the_user_may_not_run(launch, own_redis):
    done = as_user(launch, own_redis().start(), ["~app:*", "&app:*", "+@all", "-eval"])
    assert done.returncode == 1
    assert "[route q] EVAL: NOPERM" in done.out and "[route r] EVAL: NOPERM" in done.out
    assert done.out.count("EVAL may not be asked") == 1


def test_the_rights_of_the_acl(launch, own_redis):
    """conf/redis.acl has all that is asked for."""
    line = next(line for line in ACL.read_text().splitlines() if line.startswith("user sluice "))
    done = as_user(launch, own_redis().start(), line.split()[4:])
    assert done.returncode == 0 and "fine     the routes may" in done.out, done.out
