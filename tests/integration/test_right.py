"""allow_command: rights that stand in Redis."""

import json
import signal
import time

import pytest

import fcgi
from test_auth import AUTH, bearer, problem, reason, session
from test_publish import post
from waiting import soon, wait_for

ORG = {"path": "/org/{org}", "channels": "r:{org}", "auth": "jwt session", "allow_command": "SISMEMBER r:members:{org} {user}",
       "publish": "r:{org}", "publish_auth": "jwt"}
NO_LIST = {k: v for k, v in AUTH.items() if k != "jwt_channels"}
ROUTES = {
    "org": ORG,
    "any": {**ORG, "path": "/any/{org}", "allow_command": "SMISMEMBER r:members:{org} {user} everybody"},
    "both": {**ORG, "path": "/both/{org}", "allow": "claims.level == 1"},
    "role": {**ORG, "path": "/role", "channels": "r:role", "publish": "r:role", "allow_command": "HGET r:roles {claim.team}"},
    "broken": {**ORG, "path": "/broken", "channels": "r:b", "publish": "r:b", "allow_command": "GET r:members:a", "open_wait": "200ms"},
    "wait": {**ORG, "path": "/wait/{org}", "handler": "wait", "timeout": "100ms"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "*", "auth": "jwt"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared, redis):
    redis.client().sadd("r:members:a", "zoe", "7")
    sluice = launch_shared(ROUTES, auth=NO_LIST, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    return sluice


def test_who_may(sluice, redis):
    for user in ("zoe", 7):
        sluice.open("/org/a", headers=bearer(user)).close()
        assert post(sluice, "/org/a", "1", headers=bearer(user))[0] == 202
    problem(sluice, "/org/a", 403, headers=bearer("max"))
    problem(sluice, "/org/b", 403, headers=bearer("zoe"))
    problem(sluice, "/wait/b", 403, headers=bearer("zoe"))
    assert post(sluice, "/org/a", "1", headers=bearer("max"))[0] == 403
    assert sluice.get("/wait/a", headers=bearer("zoe")).status == 504
    problem(sluice, "/org/a", 401)
    sluice.open("/org/a", headers=session(redis, '{"user":"zoe"}')).close()
    problem(sluice, "/org/a", 403, headers=session(redis, '{"user":"max"}'))


def test_a_list_of_noes_is_no(sluice, redis):
    redis.client().sadd("r:members:e", "zoe")
    redis.client().sadd("r:members:f", "everybody")
    problem(sluice, "/any/e", 403, headers=bearer("max"))
    for path, user in (("/any/e", "zoe"), ("/any/f", "max")):
        sluice.open(path, headers=bearer(user)).close()


def test_both_must_be_true(sluice):
    sluice.open("/both/a", headers=bearer("zoe", level=1)).close()
    problem(sluice, "/both/a", 403, headers=bearer("zoe", level=2))
    problem(sluice, "/both/b", 403, headers=bearer("zoe", level=1))


@pytest.mark.parametrize("role, may", [("admin", True), ("1", True), ("0", False), ("no", False), ("", False), (None, False)])
def test_answers(sluice, redis, role, may):
    redis.client().delete("r:roles")
    if role is not None:
        redis.client().hset("r:roles", "x", role)
    with sluice.get("/role", headers=bearer(team="x")) as r:
        assert r.status == (200 if may else 403)


def test_it_is_asked_with_what_keeps_its_rule(sluice):
    problem(sluice, "/role", 403, headers=bearer(team="a b"))
    problem(sluice, "/role", 403, headers=bearer(team=["x"]))
    problem(sluice, "/role", 403, headers=bearer())


def test_a_right_that_is_taken(sluice, redis):
    """Within reauth, of a token, too; whoever comes back is refused, and who has it still notices nothing."""
    redis.client().sadd("r:members:c", "zoe", "max")
    with sluice.open("/org/c", headers=bearer("zoe")) as zoe, sluice.open("/org/c", headers=bearer("max")) as max_, \
            sluice.open("/org/c", headers=session(redis, '{"user":"zoe"}')) as by_session:
        redis.client().srem("r:members:c", "zoe")
        assert reason(zoe) == reason(by_session) == "auth"
        assert max_.quiet_for(0.1)
    problem(sluice, "/org/c", 403, headers=bearer("zoe"))


def test_a_kick_asks_anew(sluice, redis):
    redis.client().sadd("r:members:d", "zoe")
    with sluice.open("/org/d", headers=bearer("zoe")) as s:
        redis.client().srem("r:members:d", "zoe")
        began = time.monotonic()
        redis.publish("sluice:kick", "user:zoe")
        assert reason(s) == "auth" and soon(began, 1)
    problem(sluice, "/org/d", 403, headers=bearer("zoe"))


def test_what_redis_refuses(sluice):
    """An error of the operator's: nobody is let in, and nobody turned away for good."""
    with sluice.get("/broken", headers=bearer("zoe")) as r:
        assert r.status == 200
        assert [(e.type, json.loads(e.data)) for e in r.rest()] == [("stream-end", {"reason": "auth"})]
    assert post(sluice, "/broken", "1", headers=bearer("zoe"))[0] == 503


def test_redis_comes_back(launch, own_redis):
    server = own_redis().start()
    server.client().sadd("r:members:a", "zoe")
    sluice = launch({"org": {**ORG, "open_wait": "20s"}}, redis=server, auth=NO_LIST)
    wait_for(lambda: sluice.status()["redis_links"] == 2, "the links to be up")
    server.child.send_signal(signal.SIGSTOP)
    connection = sluice.connect(timeout=20)
    connection.send(fcgi.request("/org/a", headers=bearer("zoe")))
    gone = [sluice.connect() for _ in range(20)]
    for c in gone:
        c.send(fcgi.request("/org/a", headers=bearer("zoe")))
    for c in gone:
        c.close()
    server.child.send_signal(signal.SIGCONT)
    with fcgi.Response(connection, timeout=20) as s:
        assert s.status == 200


def test_configurations_that_are_wrong(launch):
    for keys, why in (({"auth": "none"}, "lets in whom nobody knows"), ({"allow_command": "BLPOP r:{org} 0"}, "allow_command")):
        sluice = launch({"org": {**ORG, **keys}}, auth=AUTH, start=False)
        result = sluice.run("check", "-c", sluice.config)
        assert result.returncode == 1 and why in result.out + result.err, result.out + result.err
