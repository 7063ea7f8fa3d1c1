"""Who may: tokens, sessions, links, what the web server says; allow, names of who asks; living authorisation."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import signal
import subprocess
import time

import pytest

import fcgi
from test_publish import post
from waiting import soon, wait_for

SECRET, LINK_SECRET = secrets.token_hex(32), secrets.token_hex(32)
AUTH = {"jwt_key": SECRET, "jwt_issuer": "shop", "jwt_cookie": "token", "session_cookie": "PHPSESSID",
        "session_key": "sess:{cookie}", "session_user": "message.user", "reauth": "1s", "signed_key": LINK_SECRET,
        "kick": "sluice:kick", "jwt_channels": "channels"}
JWT = {"path": "/jwt", "channels": "a:jwt", "auth": "jwt"}
ROUTES = {
    "jwt": JWT,
    "inbox": {**JWT, "path": "/inbox", "channels": "a:inbox:{user}", "event": "{user}"},
    "dept": {**JWT, "path": "/dept", "channels": "a:dept:{claim.dept}", "param.claim.dept": "[a-z]+"},
    "org": {**JWT, "path": "/org", "channels": "a:org:{claim.org}"},
    "logic": {**JWT, "path": "/logic", "filter": "message.to == user or claims.admin == true",
              "transform": "{text = message.text, to = user, level = claims.level}"},
    "script": {**JWT, "path": "/script", "script": "who.lua"},
    "shadow": {**JWT, "path": "/shadow", "script": "shadow.lua"},
    "shadow_filter": {**JWT, "path": "/shadow-filter",
                      "filter": "(function(user, claims) return message.banned ~= user and claims.dept == 'x' end)(user, claims)"},
    "allow": {**JWT, "path": "/allow/{room}", "allow": "claims.rooms ~= nil and claims.rooms[1] == params.room or user == 'root'"},
    "fails": {**JWT, "path": "/fails", "allow": "claims.nothing.there"},
    "any": {**JWT, "path": "/any/{name}", "channels": "a:any:{name}", "auth": "jwt none", "transform": "user or 'nobody'"},
    "session": {**JWT, "path": "/session", "auth": "session", "channels": "a:s:{user}"},
    "both": {**JWT, "path": "/both", "auth": "jwt session", "transform": "user"},
    "signed": {**JWT, "path": "/signed/{id}", "auth": "signed", "channels": "a:l:{id}", "transform": "user or 'nobody'"},
    "basic": {**JWT, "path": "/basic", "auth": "remote_user", "transform": "user"},
    "post": {**JWT, "path": "/post", "publish": "a:post:{user}", "publish_auth": "jwt session",
             "publish_filter": "message.from == user", "cors_origins": "https://friend.example"},
    "wait": {**JWT, "path": "/wait", "handler": "wait", "auth": "session", "timeout": "200ms"},
    "limited": {**JWT, "path": "/limited", "max_per_user": 2},
    "address": {"path": "/address", "channels": "a:address", "max_per_ip": 2},
    "few": {"path": "/few", "channels": "a:few", "max_subscribers": 3},
}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user="zoe", key=SECRET, alg="HS256", header=None, **claims):
    claims = {"sub": user, "iss": "shop", "exp": int(time.time()) + 60, **claims}
    claims = {k: v for k, v in claims.items() if v is not None}
    text = b64(json.dumps(header or {"alg": alg}).encode()) + "." + b64(json.dumps(claims).encode())
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}.get(alg, hashlib.sha256)
    return text + "." + b64(hmac.new(key.encode(), text.encode(), digest).digest())


def bearer(*args, **claims):
    return {"Authorization": "Bearer " + token(*args, **claims)}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, start=False, auth=AUTH, server={"workers": 2, "trusted_proxies": "127.0.0.1 10.0.0.0/8"})
    (sluice.folder / "who.lua").write_text("return function(channel, message) return {user = user, dept = claims.dept} end")
    (sluice.folder / "shadow.lua").write_text("""
        local function is_banned(m, user) return m.banned == user end
        return function(channel, message)
            local claims = claims or {}
            for _, user in ipairs({user}) do
                if is_banned(message, user) or claims.dept ~= "x" then return nil end
            end
            return {text = message.text, to = user}
        end""")
    sluice.start()
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    return sluice


def problem(sluice, path, status, **kw):
    with sluice.get(path, **kw) as response:
        assert response.status == status, (response.status, response.rest())
        assert response.headers["content-type"] == "application/problem+json"
        return response.headers, response.json()


def test_a_token(sluice, redis):
    with sluice.open("/jwt", headers=bearer()) as s:
        redis.publish("a:jwt", "1")
        assert s.next_message().data == "1"
    headers, body = problem(sluice, "/jwt", 401)
    assert headers["www-authenticate"] == "Bearer"
    for scheme in ("bearer ", "BEARER "):
        sluice.open("/jwt", headers={"Authorization": scheme + token()}).close()
    sluice.open("/jwt", headers={"Cookie": f"a=b; token={token()}; c=d"}).close()


@pytest.mark.parametrize("value", [
    "Bearer  " + token(), "Basic eA==", "Bearer " + token() + ", Bearer " + token(), token(),
    "Bearer " + token(alg="none"), "Bearer " + token(key="x" * 32), "Bearer " + token(iss=None), "Bearer " + token(iss="x"),
    "Bearer " + token(exp=int(time.time()) - 31), "Bearer " + token(nbf=int(time.time()) + 300),
    "Bearer " + token(alg="HS384"), "Bearer " + token()[:-2], "Bearer " + token() + "=", "Bearer " + "a" * 60_000,
    "Bearer " + token(header={"alg": "HS256", "crit": ["x"]}),
])
def test_what_is_no_token(sluice, value):
    before = sluice.log().count(" 401")
    headers, body = problem(sluice, "/jwt", 401, headers={"Authorization": value})
    assert headers["www-authenticate"].startswith("Bearer")
    wait_for(lambda: sluice.log().count(" 401") + sluice.log().count("more requests were refused") > before,
             lambda: f"a line about it: {sluice.log()[-500:]}")
    assert SECRET not in sluice.log() and value[7:] not in sluice.log()


def test_a_query_counts_only_if_it_is_switched_on(sluice):
    problem(sluice, f"/jwt?token={token()}&access_token={token()}", 401)


def test_a_bad_one_is_not_skipped(sluice):
    problem(sluice, "/any/x", 401, headers={"Authorization": "Bearer x"})
    problem(sluice, "/jwt", 401, headers={"Authorization": "Bearer x", "Cookie": f"token={token()}"})
    with sluice.open("/any/x") as s:
        assert s.opened


def test_names_of_who_asks(sluice, redis):
    with sluice.open("/inbox", headers=bearer("zoe")) as zoe, sluice.open("/inbox", headers=bearer("max")) as max:
        redis.publish("a:inbox:zoe", "1")
        event = zoe.next_message()
        assert (event.type, event.data) == ("zoe", "1")
        assert max.quiet_for(0.05)
    with sluice.open("/dept", headers=bearer(dept="toys")) as s:
        redis.publish("a:dept:toys", "1")
        assert s.next_message().data == "1"


@pytest.mark.parametrize("path, user, claims", [
    ("/inbox", "*", {}), ("/inbox", "a:b", {}), ("/inbox", "../x", {}), ("/inbox", "a\nb", {}), ("/inbox", "x" * 300, {}),
    ("/inbox", "ü", {}), ("/jwt", "a b", {}), ("/dept", "zoe", {}), ("/dept", "zoe", {"dept": 1}), ("/dept", "zoe", {"dept": True}),
    ("/org", "zoe", {"org": True}), ("/org", "zoe", {"org": 1.5}), ("/org", "zoe", {"org": [1]}), ("/org", "zoe", {"org": {}}),
    ("/jwt", ["zoe"], {}), ("/jwt", True, {}), ("/jwt", 1.5, {}), ("/jwt", "", {}), ("/inbox", "a\0b", {}), ("/inbox", "a*b@c", {}),
    ("/dept", "zoe", {"dept": ["toys"]}), ("/dept", "zoe", {"dept": "Toys"}), ("/dept", "zoe", {"dept": "a\0b"}),
])
def test_names_that_break_their_rule(sluice, redis, path, user, claims):
    problem(sluice, path, 403, headers=bearer(user, **claims))
    assert not [c for c in redis.channels() if c.startswith(("a:dept:1", "a:dept:T", "a:inbox:*", "a:inbox:a"))]


@pytest.mark.parametrize("user, text", [("ada@example.org", "ada@example.org"), ("auth0|123", "auth0|123"),
                                        ("ada+news@example.org", "ada+news@example.org"), (7, "7"), (2 ** 53 + 1, "9007199254740993")])
def test_users_as_they_are(sluice, redis, user, text):
    """E-mail addresses, what providers make up, and integers name somebody, in a claim, too."""
    with sluice.open("/inbox", headers=bearer(user)) as s, sluice.open("/org", headers=bearer(org=user)) as of_org:
        redis.publish(f"a:inbox:{text}", "1")
        redis.publish(f"a:org:{text}", "2")
        event = s.next_message()
        assert (event.type, event.data, of_org.next_message().data) == (text, "1", "2")


def test_what_is_refused_is_told(sluice):
    for path, user, claims, why in [("/jwt", ["zoe"], {}, "neither a text nor an integer"), ("/jwt", "a b", {}, "[A-Za-z0-9_.@+|-]{1,128}"),
                                    ("/org", "zoe", {"org": [1]}, "neither a text nor an integer as claim.org"),
                                    ("/org", "zoe", {}, "says no claim.org"), ("/org", "zoe", {"org": "a b"}, "claim.org must match")]:
        assert why in problem(sluice, path, 403, headers=bearer(user, **claims))[1]["detail"]


def test_another_scheme_is_no_credential(sluice, redis):
    """What the web server or a proxy asks for by Basic says nothing of a token."""
    for scheme in ("Basic eA==", "Negotiate x", "Digest a=b", "Bearer", "Token x"):
        with sluice.open("/jwt", headers={"Authorization": scheme, "Cookie": f"token={token()}"}) as s:
            assert s.status == 200
        headers, _ = problem(sluice, "/jwt", 401, headers={"Authorization": scheme})
        assert headers["www-authenticate"] == "Bearer"
    problem(sluice, "/jwt", 401, headers={"Authorization": "Bearer x", "Cookie": f"token={token()}"})


def test_times_of_tokens(sluice):
    now = time.time()
    for claims in ({"exp": now + 60.5}, {"exp": 4e9, "nbf": now - 0.5}, {"exp": 4000000000.0}, {"nbf": int(now)}):
        sluice.open("/jwt", headers=bearer(**claims)).close()
    for claims in ({"exp": now - 60.5}, {"nbf": 4e9}, {"exp": "4000000000"}):
        problem(sluice, "/jwt", 401, headers=bearer(**claims))


def test_logic_knows_who_asks(sluice, redis):
    with sluice.open("/logic", headers=bearer("zoe", level=7)) as zoe, sluice.open("/logic", headers=bearer("max")) as max, \
            sluice.open("/logic", headers=bearer("root", admin=True)) as root, \
            sluice.open("/script", headers=bearer("eve", dept="x")) as script:
        redis.publish("a:jwt", '{"to":"zoe","text":"hi"}')
        assert json.loads(zoe.next_message().data) == {"text": "hi", "to": "zoe", "level": 7}
        assert json.loads(root.next_message().data) == {"text": "hi", "to": "root"}
        assert json.loads(script.next_message().data) == {"user": "eve", "dept": "x"}
        assert max.quiet_for(0.05)


@pytest.mark.parametrize("path", ["/shadow", "/shadow-filter"])
def test_a_name_that_the_logic_declares_itself_divides_the_feeds_as_well(sluice, redis, path):
    with sluice.open(path, headers=bearer("amy", dept="x")) as amy, sluice.open(path, headers=bearer("bob", dept="x")) as bob, \
            sluice.open(path, headers=bearer("cat", dept="y")) as cat:
        redis.publish("a:jwt", '{"banned":"bob","text":"not for bob"}')
        redis.publish("a:jwt", '{"text":"for both"}')
        assert [json.loads(amy.next_message().data)["text"] for _ in range(2)] == ["not for bob", "for both"]
        assert json.loads(bob.next_message().data)["text"] == "for both"
        assert cat.quiet_for(0.05)


def test_allow(sluice):
    sluice.open("/allow/a", headers=bearer(rooms=["a"])).close()
    sluice.open("/allow/b", headers=bearer("root")).close()
    for claims in ({"rooms": ["b"]}, {"rooms": "a"}, {}):
        problem(sluice, "/allow/a", 403, headers=bearer(**claims))
    problem(sluice, "/fails", 403, headers=bearer())


def test_each_route_whose_allow_fails_is_told(launch):
    fails = {**JWT, "allow": "claims.nothing.there"}
    sluice = launch({"one": {**fails, "path": "/one"}, "other": {**fails, "path": "/other"}}, auth=AUTH)
    for path in ("/one", "/one", "/other"):
        problem(sluice, path, 403, headers=bearer())
    for route in ("one", "other"):
        sluice.wait_log(f"warn [route {route}] allow: ")
    assert sluice.log().count("warn [route one] allow: ") == 1


def test_channels_that_the_token_lists(sluice):
    sluice.open("/any/x", headers=bearer(channels=["b", "a:any:*"])).close()
    sluice.open("/any/x", headers=bearer(channels="a:any:x")).close()
    sluice.open("/any/x").close()
    for channels in ([], ["a:any:y"], None, "a:any", [7], {"a:any:x": 1}):
        problem(sluice, "/any/x", 403, headers=bearer(channels=channels))
    sluice.open("/jwt", headers=bearer(channels=[])).close()


# Sessions

def session(redis, value, name=None):
    """A new session in Redis; the header that names it."""
    name = name or secrets.token_hex(13)
    if isinstance(value, dict):
        redis.client().hset(f"sess:{name}", mapping=value)
    else:
        redis.client().set(f"sess:{name}", value)
    return {"Cookie": f"PHPSESSID={name}"}


@pytest.mark.parametrize("value", ['{"user":"zoe","n":1}', 'user|s:3:"zoe";cart|a:1:{i:0;i:7;}', {"user": "zoe", "n": "1"},
                                   'a:1:{s:4:"user";s:3:"zoe";}'])
def test_sessions(sluice, redis, value):
    with sluice.open("/session", headers=session(redis, value)) as s:
        redis.publish("a:s:zoe", "1")
        assert s.next_message().data == "1"


@pytest.mark.parametrize("value, why", [
    ("", "names no user"), ("x", "neither JSON"), ("[]", "neither JSON"), ("null", "neither JSON"), ('{"n":1}', "names no user"),
    ('{"user":""}', "names no user"), ('{"user":false}', "names no user"), ('{"user":null}', "names no user"), ('"zoe"', "neither JSON"),
    ('user|s:99:"zoe";', "neither JSON"), ({"other": "zoe"}, "names no user"), ("{" * 100_000, "neither JSON")])
def test_sessions_that_are_none(sluice, redis, value, why):
    assert why in problem(sluice, "/session", 401, headers=session(redis, value))[1]["detail"]


@pytest.mark.parametrize("value", ['{"user":["zoe"]}', '{"user":7.5}', '{"user":true}', "user|b:1;", '{"user":{"id":7}}', '{"user":"a\\u0000b"}',
                                   '{"user":"a b"}', '{"user":"*"}'])
def test_users_of_sessions_that_cannot_be_taken(sluice, redis, value):
    """There is such a session: it is no question of who asks."""
    assert "user" in problem(sluice, "/session", 403, headers=session(redis, value))[1]["detail"]


@pytest.mark.parametrize("value", ['{"user":7}', "user|i:7;", 'suit|E:6:"Suit:A";user|i:7;', {"user": "7"},
                                   'a:2:{s:1:"s";E:6:"Suit:A";s:4:"user";i:7;}'])
def test_users_of_sessions_that_are_integers(sluice, redis, value):
    with sluice.open("/session", headers=session(redis, value)) as s:
        redis.publish("a:s:7", "1")
        assert s.next_message().data == "1"


def test_cookies_are_decoded_once(sluice, redis):
    name = "a,b-c_d.e" + secrets.token_hex(8)
    session(redis, '{"user":"zoe"}', name)
    for sent in (name.replace(",", "%2C"), name.replace(",", "%2c").replace("-", "%2D")):
        sluice.open("/session", headers={"Cookie": f"PHPSESSID={sent}"}).close()
    for sent in (name.replace(",", "%252C"), "%00" + name, "%2A", "%zz", "a%3Ab", "%c3%bc"):
        assert "rule" in problem(sluice, "/session", 403, headers={"Cookie": f"PHPSESSID={sent}"})[1]["detail"]


def test_session_cookies(sluice, redis):
    cookie = session(redis, '{"user":"zoe"}')["Cookie"]
    sluice.open("/session", headers={"Cookie": f"x=1; {cookie}; {cookie}"}).close()
    problem(sluice, "/session", 401)
    problem(sluice, "/session", 401, headers={"Cookie": "phpsessid=x"})
    problem(sluice, "/session", 401, headers={"Cookie": "PHPSESSID"})
    problem(sluice, "/session", 401, headers={"Cookie": "PHPSESSID="})
    problem(sluice, "/session", 401, headers={"Cookie": "PHPSESSID=unknown"})
    problem(sluice, "/session", 401, headers={"Cookie": f"{cookie}; PHPSESSID=other"})
    problem(sluice, "/session", 401, headers={"Cookie": "PHPSESSID=" + "x" * 257})
    for value in ("a:b", "*", "a%0ab", '"a"', "a b"):
        problem(sluice, "/session", 403, headers={"Cookie": f"PHPSESSID={value}"})


def test_a_wrong_type(sluice, redis):
    redis.client().rpush("sess:list", "x")
    problem(sluice, "/session", 401, headers={"Cookie": "PHPSESSID=list"})


def test_many_ask_at_once(launch, own_redis):
    """Redis is asked once for all who ask for the same session while it has not answered."""
    redis = own_redis().start()
    sluice = launch({"session": {**ROUTES["session"], "open_wait": "60s"}}, redis, auth=AUTH)
    headers = session(redis, '{"user":"many"}')
    redis.client().config_resetstat()
    connections = [sluice.connect() for _ in range(200)]
    before = sluice.status()["requests"]
    redis.child.send_signal(signal.SIGSTOP)
    try:
        for c in connections:
            c.send(fcgi.request("/session", headers=headers))
        wait_for(lambda: sluice.status()["requests"] >= before + 200, "all have asked")
    finally:
        redis.child.send_signal(signal.SIGCONT)
    for c in connections:
        with fcgi.Response(c) as r:
            r.opened(20)
    assert redis.client().info("commandstats")["cmdstat_get"]["calls"] <= 20


def test_a_session_counts_as_it_is_at_the_moment(sluice, redis):
    """Who has just logged in is let in, and who has just logged out is not, however short ago it was asked."""
    name = secrets.token_hex(8)
    headers = {"Cookie": f"PHPSESSID={name}"}
    for _ in range(3):
        problem(sluice, "/session", 401, headers=headers)
        session(redis, '{"user":"zoe"}', name)
        sluice.open("/session", headers=headers).close()
        redis.client().delete(f"sess:{name}")


def test_the_first_kind_that_is_there(sluice, redis):
    headers = session(redis, '{"user":"sam"}')
    with sluice.open("/both", headers=headers) as s:
        redis.publish("a:jwt", "1")
        assert s.next_message().data == "sam"
    with sluice.open("/both", headers={**headers, **bearer("tom")}) as s:
        redis.publish("a:jwt", "1")
        assert s.next_message().data == "tom"
    problem(sluice, "/both", 401, headers={**headers, "Authorization": "Bearer x"})


def test_redis_is_away(launch, own_redis):
    """Nobody is let in, and nobody turned away for good."""
    server = own_redis().start()
    routes = {"s": ROUTES["session"], "w": ROUTES["wait"], "p": ROUTES["post"], "quiet": {**ROUTES["session"], "path": "/quiet", "announce": "no"}}
    sluice = launch(routes, redis=server, auth=AUTH)
    wait_for(lambda: sluice.status()["redis_links"] == 2, "the links to be up")
    headers = session(server, '{"user":"zoe"}')
    with sluice.open("/session", headers=headers) as s:
        server.kill()
        wait_for(lambda: sluice.status()["redis_links"] == 0, "the links to be lost")
        with sluice.get("/session", headers={"Cookie": "PHPSESSID=other"}) as r:
            assert r.status == 200 and r.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert [(e.type, e.data) for e in r.rest()] == [("stream-end", '{"reason":"auth"}')] and b"retry:" in r.body
            assert r.body.startswith(b"retry: ") and r.body.count(b"\n\n") == 1, "one frame"
        with sluice.get("/quiet", headers={"Cookie": "PHPSESSID=other"}) as r:
            assert r.status == 200 and r.rest() == [] and re.fullmatch(rb"retry: \d+\n\n?", r.body), r.body
        assert sluice.get("/session?mode=poll", headers={"Cookie": "PHPSESSID=other"}).status == 503
        other = {"Cookie": "PHPSESSID=other", "Sec-Fetch-Site": "same-origin"}
        assert sluice.get("/wait", headers=other).status == 503
        assert post(sluice, "/post", '{"from":"zoe"}', headers=other)[0] == 503
        assert not s.has_ended(2.5), "an open stream stays while nobody can look at its session"
        server.start()
        session(server, '{"user":"zoe"}', headers["Cookie"].partition("=")[2])
        wait_for(lambda: sluice.status()["redis_links"] == 2, "the links to be up", 15)
        sluice.open("/session", headers=headers).close()


# Living authorisation

def reason(stream, timeout=8):
    event = stream.next_of("stream-end", timeout)
    assert not event.last_event_id.endswith(".end"), "it comes back, and is asked who it is"
    return json.loads(event.data)["reason"]


def test_a_token_expires(sluice):
    """At exp and the grace together: whoever may begin within the grace is not put out within it."""
    expires, began = int(time.time()) + 2, time.monotonic()
    with sluice.open("/jwt", headers=bearer(exp=expires - 30)) as s:
        assert reason(s) == "auth"
        assert expires - 0.1 <= time.time() and soon(began, 2 + 1.5)


def test_a_session_ends(sluice, redis):
    headers = session(redis, '{"user":"zoe"}')
    other = session(redis, '{"user":"zoe"}')
    with sluice.open("/session", headers=headers) as s, sluice.open("/session", headers=other) as changed:
        assert s.quiet_for(1.5)
        redis.client().delete("sess:" + headers["Cookie"].partition("=")[2])
        redis.client().set("sess:" + other["Cookie"].partition("=")[2], '{"user":"max"}')
        assert reason(s) == reason(changed) == "auth"


def test_kicked(sluice, redis):
    headers = session(redis, '{"user":"zoe"}')
    name = headers["Cookie"].partition("=")[2]
    with sluice.open("/jwt", headers=bearer("eve")) as eve, sluice.open("/jwt", headers=bearer("zoe")) as zoe, \
            sluice.open("/session", headers=headers) as of_session, sluice.open("/few") as few:
        for text in ("user:ev", "user:", "", "user:eve\0", "x" * 1000, "route:fe", "session:x"):
            redis.publish("sluice:kick", text)
        assert eve.quiet_for(0.1)
        began = time.monotonic()
        redis.publish("sluice:kick", "user:eve")
        assert reason(eve) == "auth" and soon(began, 1)
        redis.publish("sluice:kick", f"session:{name}")
        assert reason(of_session) == "auth"
        redis.publish("sluice:kick", "route:few")
        assert reason(few) == "auth"
        assert zoe.quiet_for(0.1)


# Links, and the web server

def link(uri, seconds=60, key=LINK_SECRET):
    uri += ("&" if "?" in uri else "?") + f"expires={int(time.time()) + seconds}"
    return uri + "&signature=" + hmac.new(key.encode(), uri.encode(), hashlib.sha256).hexdigest()


def test_links(sluice, redis):
    with sluice.open(link("/signed/a?user=zoe")) as s, sluice.open(link("/signed/a") + "&lastEventId=1-0") as nobody:
        redis.publish("a:l:a", "1")
        assert (s.next_message().data, nobody.next_message().data) == ("zoe", "nobody")
    good = link("/signed/a?user=zoe")
    for bad in ("/signed/a", link("/signed/b").replace("/b", "/a"), link("/signed/a", -1), link("/signed/a", key="x" * 32),
                good.replace("zoe", "eve"), good + "&user=eve", good[:-1], good.upper().replace("/SIGNED/A", "/signed/a"),
                good.replace("/signed/a", "/signed/%61"), "/signed/a?signature=" + "0" * 64):
        problem(sluice, bad, 400 if bad.endswith("user=eve") else 401)
    for more in ("&last_event_id=1-0", "&lastEventID=1-0", "&Last-Event-ID=1-0", "&mode=stream", "&x=1", "&utm_source=mail"):
        sluice.open(good + more).close()
    for more in ("&signature=0", "&id=b", "&%69d=b", "&expires=9999999999", "&may=publish"):
        assert sluice.get(good + more).status in (400, 401), more
    with sluice.open(link("/signed/a", 2)) as s:
        assert reason(s) == "auth"


def test_links_and_tokens_of_the_program(sluice, redis):
    out = sluice.run("token", "-c", sluice.config, "--link", "/signed/a?x=1", "--user", "zoe", "--ttl", "30s")
    assert out.returncode == 0, out.err
    sluice.open(out.out.strip()).close()
    out = sluice.run("token", "-c", sluice.config, "--user", "zoe", "--claim", 'rooms=["a"]', "--claim", "level=3")
    assert out.returncode == 0, out.err
    sluice.open("/allow/a", headers={"Authorization": "Bearer " + out.out.strip()}).close()
    for args in (["--user", "zoe", "--ttl", "x"], ["--user", "zoe", "--claim", "a=b"], ["--user", "z", "--claim", "=1"]):
        assert sluice.run("token", "-c", sluice.config, *args).returncode == 1
    assert sluice.run("token", "-c", sluice.config).returncode == 2


def test_the_web_servers_user(sluice, redis):
    def ask(**vars):
        c = sluice.connect()
        c.send(fcgi.request("/basic", **vars))
        return fcgi.Response(c)
    with ask(REMOTE_USER="zoe", AUTH_TYPE="Basic") as s:
        s.opened()
        redis.publish("a:jwt", "1")
        assert s.next_message().data == "zoe"
    assert ask(REMOTE_USER="zoe").status == 401, "nobody has checked it"
    assert ask(REMOTE_USER="", AUTH_TYPE="Basic").status == 401
    assert ask(REMOTE_USER="a:b", AUTH_TYPE="Basic").status == 403
    assert sluice.get("/basic", headers={"Remote-User": "zoe", "X-Remote-User": "zoe", "Auth-Type": "Basic"}).status == 401


# Publishing, and pages of other sites

def test_who_publishes(sluice, redis):
    pubsub = redis.client().pubsub()
    pubsub.subscribe("a:post:zoe")
    pubsub.get_message(timeout=30)
    assert post(sluice, "/post", '{"from":"zoe"}', headers=bearer("zoe"))[0] == 202
    assert json.loads(pubsub.get_message(timeout=30)["data"]) == {"from": "zoe"}
    assert post(sluice, "/post", '{"from":"zoe"}', headers=bearer("max"))[0] == 422
    assert post(sluice, "/post", '{"from":"zoe"}')[0] == 401


def test_a_key_is_its_users_own(sluice, redis):
    for user in ("zoe", "max"):
        headers = {**bearer(user), "Idempotency-Key": "k"}
        assert post(sluice, "/post", json.dumps({"from": user}), headers=headers)[0] == 202


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "http://site.example", "Host": "site.example"}, 202),
    ({"Origin": "https://friend.example", "Host": "site.example"}, 202),
    ({"Sec-Fetch-Site": "same-origin"}, 202),
    ({"Referer": "http://site.example/page?x", "Host": "site.example"}, 202),
    ({"Origin": "https://evil.example", "Host": "site.example"}, 403),
    ({"Origin": "https://site.example", "Host": "site.example"}, 403),
    ({"Origin": "http://site.example.evil.example", "Host": "site.example"}, 403),
    ({"Origin": "null", "Host": "site.example"}, 403),
    ({"Origin": "http://site.example:8080", "Host": "site.example"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Referer": "http://evil.example/http://site.example/", "Host": "site.example"}, 403),
    ({}, 403),
])
def test_a_cookie_counts_for_the_sites_own_pages(sluice, redis, headers, status):
    cookie = session(redis, '{"user":"zoe"}')
    assert post(sluice, "/post", '{"from":"zoe"}', headers={**cookie, **headers})[0] == status
    got = sluice.get("/wait", headers={**cookie, **headers}).status
    assert got == (403 if status == 403 or "friend" in headers.get("Origin", "") else 504)


# Limits, in all workers

def test_limits(sluice):
    open_ = [sluice.open("/limited", headers=bearer("zoe")) for _ in range(2)]
    headers, body = problem(sluice, "/limited", 429, headers=bearer("zoe"))
    assert int(headers["retry-after"]) > 0 and "user" in body["detail"]
    sluice.open("/limited", headers=bearer("max")).close()
    open_.pop().close()
    again = wait_for(lambda: (lambda r: r if r.status == 200 else None)(sluice.get("/limited", headers=bearer("zoe"))),
                     "the place to be free again")
    again.close()
    open_.pop().close()
    few = [sluice.open("/few") for _ in range(3)]
    problem(sluice, "/few", 429)
    for s in few:
        s.close()


def test_limits_of_addresses(sluice):
    def ask(peer, forwarded=None):
        c = sluice.connect()
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        c.send(fcgi.request("/address", headers=headers, REMOTE_ADDR=peer))
        return c

    def count(n, peers):
        """All at once, for whoever is one too many waits a moment for a place."""
        wait_for(lambda: sluice.status()["connections"] == 1, "nobody is there but who asks")
        open_ = [fcgi.Response(c) for c in [ask(*peer) for peer in peers]]
        assert sorted(r.status for r in open_) == [200] * n + [429] * (len(peers) - n)
        for r in open_:
            r.close()
    count(2, [("192.0.2.1",)] * 4)
    count(2, [("192.0.2.2", f"198.51.100.{i}") for i in range(4)])  # not a proxy: its word counts nothing
    count(4, [("127.0.0.1", f"198.51.100.{i}") for i in range(4)])
    count(2, [("127.0.0.1", f"198.51.100.{i}, 203.0.113.7, 10.1.2.3") for i in range(4)])
    count(2, [("127.0.0.1", f"10.0.0.{i}, rubbish") for i in range(4)])
    count(2, [("127.0.0.1", f"[2001:db8::7]:{i}") for i in range(4)])
    count(2, [(f"2001:db8:0:1::{i + 1}",) for i in range(4)])  # one network of IPv6 is one address
    count(4, [(f"2001:db8:0:{i}::1",) for i in range(4)])
    count(2, [("::ffff:192.0.2.9",), ("::ffff:192.0.2.9",), ("::ffff:192.0.2.9",)])
    count(2, [("unix:",)] * 3)


def test_a_worker_that_died_gives_back(launch):
    import os
    import signal
    sluice = launch({"few": {**ROUTES["few"]}})
    streams = [sluice.open("/few") for _ in range(3)]
    problem(sluice, "/few", 429)
    worker = sluice.worker()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: sluice.workers() not in ([], [worker]), "another worker")
    again = [sluice.open("/few") for _ in range(3)]
    problem(sluice, "/few", 429)
    for s in streams + again:
        s.close()


def test_a_publish_rate_of_all_workers(launch):
    sluice = launch({"p": {"path": "/p", "publish": "a:p", "publish_auth": "none", "publish_rate": "5/10s"}}, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    assert sorted(post(sluice, "/p", "1")[0] for _ in range(12)) == [202] * 5 + [429] * 7


def test_all_streams_of_the_server(launch):
    sluice = launch({"a": {"path": "/a", "channels": "a"}, "b": {"path": "/b", "channels": "b"}}, server={"max_subscribers": 2})
    with sluice.open("/a"), sluice.open("/b"):
        problem(sluice, "/a", 429)


# Configurations

@pytest.mark.parametrize("auth, route, why", [
    ({}, {"auth": "jwt"}, "jwt needs a jwt_key_file or jwt_key in [auth]"),
    ({}, {"auth": "session"}, "session needs a session_cookie and a session_key"),
    ({}, {"auth": "signed"}, "signed needs a signed_key_file or signed_key"),
    ({}, {"auth": "jwtt"}, 'did you mean "jwt"?'),
    ({}, {"auth": ""}, "lets everybody in"),
    ({"jwt_key": SECRET}, {"auth": "none jwt"}, "it stands last"),
    ({"jwt_key": SECRET}, {"auth": "jwt jwt"}, "stands twice"),
    ({"jwt_key": "short"}, {}, "fewer than 32 bytes"),
    ({"jwt_key_file": "/nowhere/key"}, {}, "No such file"),
    ({"jwt_key_file": "/tmp"}, {}, "no regular file"),
    ({"jwt_key": SECRET, "jwt_algorithms": "RS256"}, {}, "no key is of the kind"),
    ({"jwt_key": SECRET, "jwt_algorithms": "none"}, {}, "is none of HS256"),
    ({"session_cookie": "a"}, {}, "which key in Redis"),
    ({"session_key": "a:{user}"}, {}, "the cookie's value"),
    ({"session_user": "message.("}, {}, "session_user"),
    ({"jwt_kee": "x"}, {}, 'did you mean "jwt_key"?'),
    ({}, {"channels": "a:{user}"}, "lets in whom nobody knows"),
    ({}, {"channels": "a:{claim.x}"}, "lets in whom nobody knows"),
    ({}, {"filter": "user == 1"}, "lets in whom nobody knows"),
    ({}, {"filter": "claims.x == 1"}, "lets in whom nobody knows"),
    ({}, {"publish": "a:{user}", "publish_auth": "none"}, "lets in whom nobody knows"),
    ({}, {"path": "/x/{user}"}, "has a {user} in its path"),
    ({"jwt_key": SECRET}, {"auth": "jwt", "allow": "user =="}, "allow"),
    ({}, {"max_per_ip": "-1"}, "max_per_ip"),
])
def test_configurations_that_are_wrong(launch, auth, route, why):
    sluice = launch({"x": {"path": "/x", "channels": "a", **route}}, auth=auth, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and why in result.out + result.err, result.out + result.err


def test_keys_of_files_and_of_the_environment(launch, folder, redis):
    key = folder / "key"
    key.write_text(SECRET + "\n")
    key.chmod(0o600)
    sluice = launch({"jwt": JWT}, auth={"jwt_key_file": str(key)})
    sluice.open("/jwt", headers=bearer(iss=None)).close()
    shown = sluice.run("routes", "-c", sluice.config)
    assert SECRET not in shown.out + shown.err


def test_a_file_that_everybody_may_read(launch, folder):
    """That is told of a secret, and not of a public key."""
    secret, public = folder / "secret", folder / "public.pem"
    secret.write_text(SECRET + "\n")
    pair = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True).stdout
    public.write_bytes(subprocess.run(["openssl", "pkey", "-pubout"], input=pair, check=True, capture_output=True).stdout)
    for file in (secret, public):
        file.chmod(0o644)
    sluice = launch({"jwt": JWT}, auth={"jwt_key_file": f"{public} {secret}"}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 0 and f"{secret} holds a secret" in result.err, result.err
    assert str(public) not in result.err


def test_tail_as_a_user(sluice, redis):
    tail = subprocess.Popen(sluice.argv("tail", "-c", sluice.config, "--user", "tess", "/inbox"), stdout=subprocess.PIPE)
    try:
        redis.wait_subscribed("a:inbox:tess")
        redis.publish("a:inbox:tess", "42")
        for line in tail.stdout:
            if line.startswith(b"data: 42"):
                break
    finally:
        tail.kill()
        tail.wait()
    assert sluice.run("tail", "-c", sluice.config, "--token", "x", "/inbox").returncode == 1


def test_routes_tell_who_shares(launch):
    sluice = launch({"x": {"path": "/x/{room}", "channels": "a:{room}:{user}", "filter": "message.to == user and claims.level > 3",
                           "auth": "jwt"}}, auth=AUTH, start=False)
    assert "those with the same room, user, claims.level" in sluice.run("routes", "-c", sluice.config).out


def test_who_waits_counts_as_a_stream(sluice, redis):
    """As long as its client is there."""
    path = "/address?mode=poll&timeout={}"
    connections = [sluice.connect() for _ in range(2)]
    before, asked = sluice.status()["requests"], 0
    for connection in connections:
        connection.send(fcgi.request(path.format(60000)))

    def both_are_there():  # a request that came between them would take a place of theirs
        nonlocal asked
        asked += 1
        return sluice.status()["requests"] - before >= 2 + asked
    wait_for(both_are_there, "two wait")
    assert sluice.get(path.format(1)).status == 429
    for connection in connections:
        connection.close()
    wait_for(lambda: sluice.get(path.format(1)).status == 504, "their places are free")


def test_the_keys_of_users_are_their_own(launch, redis):
    sluice = launch({"mine": {"path": "/mine", "publish_stream": "p:mine", "publish_auth": "jwt none"}}, auth=AUTH)
    wait_for(lambda: post(sluice, "/mine")[0] == 202, "Redis is there")

    def said(user, key):
        headers = {**(bearer(user) if user else {}), "Idempotency-Key": key}
        return post(sluice, "/mine", "{}", headers=headers)[2]["id"]
    asked = [("ada", "k"), ("bob", "k"), (None, "ada:k"), (None, "k"), ("ada", ":k")]
    ids = [said(*a) for a in asked]
    assert len(set(ids)) == len(asked) and [said(*a) for a in asked] == ids
