"""Sessions as frameworks write them (session_format)."""

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import urllib.parse

import pytest

import npm_packages
from program import ROOT
from test_auth import problem, reason
from waiting import patient, wait_for

SECRET, OLD = secrets.token_hex(20), secrets.token_hex(20)
ROUTE = {"path": "/mine", "channels": "f:{user}", "auth": "session"}


def start(launch_shared, name, **auth):
    """A Sluice of one route, for this format."""
    sluice = launch_shared({"mine": ROUTE}, start=False, name=name, auth={
        "session_cookie": "sid", "session_format": name, "session_secret_file": str(launch_shared.folder / "secret"), "reauth": "1s", **auth})
    (sluice.folder / "secret").write_text(f"{SECRET}\n{OLD}\n")
    (sluice.folder / "secret").chmod(0o640)
    sluice.start()
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def cookie(text):
    return {"Cookie": f"sid={urllib.parse.quote(text, safe='')}"}


def is_let_in(sluice, redis, user, headers):
    with sluice.open("/mine", headers=headers) as s:
        redis.publish(f"f:{user}", "1")
        assert s.next_message().data == "1"


# Express

def express(name, secret=SECRET):
    mac = base64.b64encode(hmac.new(secret.encode(), name.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    return cookie(f"s:{name}.{mac}")


@pytest.fixture(scope="module")
def of_express(launch_shared):
    return start(launch_shared, "express", session_key="sess:{cookie}", session_user="message.passport.user")


@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_express(of_express, redis, secret):
    name = secrets.token_urlsafe(24)
    redis.client().set(f"sess:{name}", json.dumps({"cookie": {"originalMaxAge": None, "httpOnly": True}, "passport": {"user": "zoe"}}))
    is_let_in(of_express, redis, "zoe", express(name, secret))


def test_express_when_the_session_ends(of_express, redis):
    name = secrets.token_urlsafe(24)
    redis.client().set(f"sess:{name}", json.dumps({"passport": {"user": "zoe"}}))
    with of_express.open("/mine", headers=express(name)) as s:
        redis.client().delete(f"sess:{name}")
        assert reason(s) == "auth"


@pytest.mark.parametrize("value, why", [
    ('{"passport":{}}', "names no user"), ("passport|i:7;", "not JSON"), ({"passport": "x"}, "another type than a text"), (None, "no such session")])
def test_sessions_that_are_none_of_express(of_express, redis, value, why):
    name = secrets.token_urlsafe(24)
    if isinstance(value, dict):
        redis.client().hset(f"sess:{name}", mapping=value)
    elif value is not None:
        redis.client().set(f"sess:{name}", value)
    assert why in problem(of_express, "/mine", 401, headers=express(name))[1]["detail"]


def test_cookies_that_express_did_not_sign(of_express, redis):
    redis.client().set("sess:known", json.dumps({"passport": {"user": "zoe"}}))
    is_let_in(of_express, redis, "zoe", express("known"))
    for headers in (cookie("known"), cookie("s:known"), cookie("s:known."), express("known", "another secret of a site"), cookie("j:{}")):
        assert "the cookie" in problem(of_express, "/mine", 401, headers=headers)[1]["detail"]
    assert "rule" in problem(of_express, "/mine", 403, headers=express("a:b"))[1]["detail"]


def test_express_session_and_connect_redis_themselves(of_express, redis):
    site = subprocess.run(["node", npm_packages.install() / "express-session.mjs", redis.path, SECRET, "eve"], capture_output=True,
                          timeout=patient(60), text=True)
    assert site.returncode == 0, site.stderr
    name, _, value = site.stdout.strip().partition("=")
    assert name == "connect.sid"
    is_let_in(of_express, redis, "eve", {"Cookie": f"sid={value}"})


# Django and Flask, as Debian has them

DJANGO = """
import sys
from django.conf import settings
settings.configure(SECRET_KEY=sys.argv[1], SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies")
from django.contrib.sessions.backends.signed_cookies import SessionStore
store = SessionStore()
store["_auth_user_id"], store["_auth_user_hash"] = sys.argv[2], sys.argv[3]
store.save()
print(store.session_key)
"""
FLASK = """
import sys, flask
app = flask.Flask("site")
app.secret_key = sys.argv[1]
print(app.session_interface.get_signing_serializer(app).dumps({"_user_id": sys.argv[2], "more": sys.argv[3]}))
"""
WHOLE = {"django": (DJANGO, "message._auth_user_id"), "flask": (FLASK, "message._user_id")}


@pytest.fixture(scope="module", params=list(WHOLE))
def of_whole(request, launch_shared):
    sluice = start(launch_shared, request.param, session_user=WHOLE[request.param][1])
    sluice.program = WHOLE[request.param][0]
    return sluice


def whole(sluice, user, secret=SECRET, more="x"):
    """The cookie as the framework itself makes it."""
    done = subprocess.run(["/usr/bin/python3", "-c", sluice.program, secret, user, more], capture_output=True, timeout=patient(60), text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("secret", [SECRET, OLD])
@pytest.mark.parametrize("more", ["x", "compressed " * 50])
def test_whole_cookies(of_whole, redis, secret, more):
    text = whole(of_whole, "7", secret, more)
    assert text.startswith(".") or more == "x"
    is_let_in(of_whole, redis, "7", cookie(text))


def test_whole_cookies_that_are_not_signed(of_whole):
    mine, other = whole(of_whole, "7"), whole(of_whole, "8")
    mac = mine[-10:]
    for text in (whole(of_whole, "7", "another secret of a site"), other[:-10] + mac, mine[:-1], mine + "x", "s:a.b", "x"):
        assert "the cookie" in problem(of_whole, "/mine", 401, headers=cookie(text))[1]["detail"]
    assert "too long" in problem(of_whole, "/mine", 401, headers=cookie("x" * 4097))[1]["detail"]


# Laravel, as Debian has it

KEY, OLD_KEY = (f"base64:{base64.b64encode(secrets.token_bytes(32)).decode()}" for _ in range(2))
LOGIN = "message.login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d"


def laravel_cookie(redis, user, key=KEY, cipher="AES-256-CBC"):
    """A session that Laravel's own classes have written, and its cookie."""
    done = subprocess.run(["php", "-d", "display_errors=stderr", ROOT / "tests" / "clients" / "laravel-session.php", redis.path, key, cipher, user],
                          capture_output=True, timeout=patient(60), text=True)
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr
    return done.stdout


def of_cookie(text):
    return {"Cookie": f"laravel_session={urllib.parse.quote(text, safe='')}"}


@pytest.fixture(scope="module")
def of_laravel(launch_shared):
    (launch_shared.folder / "app_keys").write_text(f"{KEY}\n{OLD_KEY}\n")
    (launch_shared.folder / "app_keys").chmod(0o640)
    return start(launch_shared, "laravel", session_cookie="laravel_session", session_key="laravel_database_laravel_cache:{cookie}",
                 session_secret_file=str(launch_shared.folder / "app_keys"), session_user=LOGIN)


@pytest.mark.parametrize("key, cipher", [(KEY, "AES-256-CBC"), (OLD_KEY, "AES-256-CBC"), (KEY, "AES-256-GCM")], ids=["CBC", "old key", "GCM"])
def test_laravel(of_laravel, redis, key, cipher):
    is_let_in(of_laravel, redis, "7", of_cookie(laravel_cookie(redis, "7", key, cipher)))


def test_laravel_when_the_session_ends(of_laravel, redis):
    text = laravel_cookie(redis, "8")
    with of_laravel.open("/mine", headers=of_cookie(text)) as s:
        for key in redis.client().scan_iter("laravel_database_laravel_cache:*"):
            redis.client().delete(key)
        assert reason(s) == "auth"
    assert "no such session" in problem(of_laravel, "/mine", 401, headers=of_cookie(text))[1]["detail"]


def test_cookies_that_laravel_did_not_encrypt(of_laravel, redis):
    other = f"base64:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    mine = laravel_cookie(redis, "9")
    for text in (laravel_cookie(redis, "9", other), laravel_cookie(redis, "9", other, "AES-256-GCM"), mine[:-4], "A" * 400, "eyJpdiI6IiJ9"):
        assert "the cookie" in problem(of_laravel, "/mine", 401, headers=of_cookie(text))[1]["detail"]


# The configuration

@pytest.mark.parametrize("auth, why", [
    ({"session_format": "express", "session_key": "s:{cookie}"}, "session_format: its cookie is signed: with which secret?"),
    ({"session_key": "s:{cookie}", "session_secret_file": "secret"}, "session_secret_file: with session_format = auto nothing is signed"),
    ({"session_format": "expres", "session_key": "s:{cookie}"}, 'did you mean "express"?'),
    ({"session_format": "rails", "session_key": "s:{cookie}"}, '"rails" is none of: auto express django flask laravel'),
    ({"session_format": "laravel", "session_key": "s:{cookie}", "session_secret_file": "secret"}, "a line is no APP_KEY"),
    ({"session_format": "laravel", "session_key": "s:{cookie}"}, "its cookie is signed: with which secret?"),
    ({"session_format": "express", "session_secret_file": "secret"}, "which key in Redis"),
    ({"session_format": "django"}, "its cookie is signed: with which secret?"),
    ({"session_format": "flask", "session_key": "s:{cookie}", "session_secret_file": "secret"}, "session_key: the cookie of this session_format is"),
    ({"session_format": "express", "session_key": "s:{cookie}", "session_secret_file": "short"}, "can be guessed"),
    ({"session_format": "express", "session_key": "s:{cookie}", "session_secret_file": "nowhere"}, "No such file")])
def test_faults(launch, auth, why):
    files = {k: str(launch.folder / v) for k, v in auth.items() if k == "session_secret_file"}
    sluice = launch({"mine": ROUTE}, start=False, auth={"session_cookie": "sid", **auth, **files})
    for name, text in (("secret", SECRET), ("short", "short")):
        (sluice.folder / name).write_text(text)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and why in result.out + result.err, result.out + result.err
