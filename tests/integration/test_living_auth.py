"""Rights that change while a stream is open, requests of which it cannot be decided yet, places of clients that have gone."""

import json
import secrets
import signal
import threading
import time

import pytest

import fcgi
from test_auth import AUTH, SECRET, bearer, problem, reason
from waiting import soon, wait_for
from webservers import Apache

SESSION = {"channels": "l:c", "auth": "session"}
ROUTES = {
    "allow": {**SESSION, "path": "/allow/{room}", "allow": "claims.admin == true and params.room ~= 'closed'"},
    "any": {**SESSION, "path": "/any", "allow": "(function() for _ in pairs(claims) do return true end end)()"},
    "until": {**SESSION, "path": "/until", "allow": "claims.paid_until > now"},
    "filter": {**SESSION, "path": "/filter", "filter": "message.level <= claims.level"},
    "transform": {**SESSION, "path": "/transform", "transform": "{by = claims.nick}"},
    "template": {**SESSION, "path": "/template", "channels": "l:{claim.dept}"},
    "script": {**SESSION, "path": "/script", "script": "who.lua"},
    "plain": {**SESSION, "path": "/plain"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, start=False, auth=AUTH)
    (sluice.folder / "who.lua").write_text("return function(channel, message) return {by = claims.nick} end")
    sluice.start()
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


class Session:
    """A session in Redis, which may change."""

    def __init__(self, redis, **claims):
        self.redis, self.name = redis, secrets.token_hex(13)
        self.headers = {"Cookie": f"PHPSESSID={self.name}"}
        self.claims = {"user": "zoe", "admin": True, "level": 3, "nick": "z", "dept": "toys", "seen": 1, **claims}
        self.set()

    def set(self, **claims):
        self.claims.update(claims)
        self.redis.client().set(f"sess:{self.name}", json.dumps(self.claims))


@pytest.mark.parametrize("path, change", [
    ("/allow/a", {"admin": False}), ("/any", {"seen": 2}), ("/filter", {"level": 2}), ("/transform", {"nick": "y"}),
    ("/template", {"dept": "food"}), ("/script", {"nick": "y"}), ("/plain", {"user": "max"}), ("/plain", {"user": False}),
    ("/filter", {"level": 3.5}), ("/filter", {"level": None}), ("/plain", {"user": ["zoe"]}),
])
def test_what_the_route_names_has_changed(sluice, redis, path, change):
    """Also from a value to another that would be let in: the feed goes by the old one."""
    mine = Session(redis)
    with sluice.open(path, headers=mine.headers) as s:
        mine.set(**change)
        assert reason(s) == "auth"


def test_what_it_does_not_name_may_change(sluice, redis):
    """The next look of each has come and gone by the time that others have ended by theirs."""
    mine, other = Session(redis), Session(redis)
    paths = ("/allow/a", "/filter", "/transform", "/template", "/script", "/plain")
    streams = [sluice.open(path, headers=mine.headers) for path in paths]
    marker = [sluice.open("/plain", headers=other.headers) for _ in paths]
    mine.set(seen=2, visits=17)
    other.set(user="max")
    for s in marker:
        assert reason(s) == "auth"
    with sluice.open("/plain", headers=other.headers) as again:
        other.set(user="zoe")
        assert reason(again) == "auth", "a second round has passed"
    for s in streams:
        assert s.quiet_for(0.01)
        s.close()


def test_allow_is_asked_again(sluice, redis):
    """Of a claim that is as it was: time has passed."""
    mine = Session(redis, paid_until=int(time.time()) + 3)
    with sluice.open("/until", headers=mine.headers) as s:
        assert reason(s) == "auth"
        assert time.time() >= mine.claims["paid_until"] - 0.1
    problem(sluice, "/until", 403, headers=mine.headers)


# What cannot be decided yet

def test_the_first_milliseconds(launch, own_redis):
    """Redis comes within open_wait: the stream opens, and nobody was told to come back."""
    server = own_redis().start()
    mine = Session(server)
    server.child.send_signal(signal.SIGSTOP)
    routes = {"s": {**SESSION, "path": "/s", "open_wait": "20s"}, "w": {**SESSION, "path": "/w", "handler": "wait", "open_wait": "20s"}}
    sluice = launch(routes, redis=server, auth=AUTH)
    connection = sluice.connect(timeout=20)
    connection.send(fcgi.request("/s", headers=mine.headers))
    time.sleep(0.3)  # it is waiting now
    server.child.send_signal(signal.SIGCONT)
    with fcgi.Response(connection, timeout=20) as s:
        assert s.status == 200
        s.opened(20)


def test_a_client_that_leaves_while_it_waits(launch, own_redis):
    server = own_redis().start()
    mine = Session(server)
    sluice = launch({"s": {**SESSION, "path": "/s", "open_wait": "20s"}}, redis=server, auth=AUTH)
    wait_for(lambda: sluice.status()["redis_links"] == 2, "the links to be up")
    server.kill()
    wait_for(lambda: sluice.status()["redis_links"] == 0, "the links to be lost")
    for _ in range(50):
        connection = sluice.connect()
        connection.send(fcgi.request("/s", headers=mine.headers))
        connection.close()
    assert sluice.get("/status").status == 200
    server.start()


def test_a_reload_while_a_request_waits(launch, own_redis):
    """The old cookie says nothing to the configuration that serves it."""
    server = own_redis().start()
    mine = Session(server)
    sluice = launch({"s": {**SESSION, "path": "/s", "open_wait": "20s"}}, redis=server, auth=AUTH)
    wait_for(lambda: sluice.status()["redis_links"] == 2, "the links to be up")
    server.child.send_signal(signal.SIGSTOP)
    connection = sluice.connect(timeout=20)
    connection.send(fcgi.request("/s", headers=mine.headers))
    time.sleep(0.3)  # it is waiting now
    sluice.sections["auth"]["session_cookie"] = "other"
    sluice.write_config()
    sluice.child.send_signal(signal.SIGHUP)
    sluice.wait_log("configuration reloaded")
    server.child.send_signal(signal.SIGCONT)
    with fcgi.Response(connection, timeout=20) as r:
        assert r.status == 401


# Places of clients that have gone

class Proxy:
    """As Apache does: it notices that its client has gone when it writes to it for the second time."""

    def __init__(self, sluice, path, headers):
        self.response = sluice.open(path, headers=headers)
        self.n_written = 0
        self.thread = None

    def client_leaves(self):
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self):
        began = len(self.response.body)
        while len(self.response.body) < began + 4:  # two comments
            self.response._pump(time.monotonic() + 10)
        self.n_written = self.response.body[began:].count(b":\n")
        self.response.close()


LIMITED = {"path": "/l", "channels": "l:l", "auth": "jwt", "max_per_user": 2}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_place_of_a_client_that_has_gone(launch, workers):
    """The newcomer waits while the others are looked at, whichever worker has them."""
    sluice = launch({"l": LIMITED}, auth={"jwt_key": SECRET}, server={"workers": workers})
    gone, there = [Proxy(sluice, "/l", bearer(iss=None)) for _ in range(2)]
    other = sluice.open("/l", headers=bearer("max", iss=None))
    gone.client_leaves()
    began = time.monotonic()
    with sluice.get("/l", headers=bearer(iss=None)) as r:
        assert r.status == 200 and soon(began, 1.5)
        r.opened()
        gone.thread.join()
        assert gone.n_written == 2
        assert there.response.quiet_for(0.01) and b":\n" in there.response.body, "it has only seen comments"
        assert other.quiet_for(0.01) and other.body.count(b":\n") == 0, "another user's is not looked at"
    there.response.close()
    other.close()


def test_nobody_has_gone(launch):
    sluice = launch({"l": LIMITED}, auth={"jwt_key": SECRET})
    streams = [sluice.open("/l", headers=bearer(iss=None)) for _ in range(2)]
    began = time.monotonic()
    headers, body = problem(sluice, "/l", 429, headers=bearer(iss=None))
    assert 1.4 < time.monotonic() - began and soon(began, 2.5) and "user" in body["detail"] and "retry-after" in headers
    for s in streams:
        assert s.quiet_for(0.01)
        s.close()


def test_six_reloads_behind_apache(launch, serve, redis):
    """Each reload is a stream that its client has left without Apache's noticing."""
    sluice = launch({"l": {"path": "/l", "channels": "l:l", "max_per_ip": 2, "heartbeat": "0"}}, server={"base": "/events"})
    web = serve(Apache, sluice.path)
    for _ in range(6):
        with web.get("/events/l", timeout=10) as s:
            assert s.status == 200, "an EventSource gives up at 429"
            s.opened(5)
