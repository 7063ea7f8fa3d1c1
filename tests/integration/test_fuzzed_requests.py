"""Random requests, from one seed: no crash, no leak, no connection that stays, and nobody else notices.

FUZZ_REQUESTS says how many (make fuzz-requests sends a million), FUZZ_SEED which.
"""

import base64
import hashlib
import hmac
import json
import os
import random
import re
import secrets
import shlex
import socket
import threading
import time

import redis as redis_client

import fcgi
from waiting import bound, patient, wait_for

N = int(os.environ.get("FUZZ_REQUESTS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECRET, LINK_SECRET = secrets.token_hex(32), secrets.token_hex(32)
AUTH = {"jwt_key": SECRET, "jwt_cookie": "token", "jwt_query": "jwt", "jwt_channels": "channels", "session_cookie": "S",
        "session_key": "fz:sess:{cookie}", "session_user": "message.user", "signed_key": LINK_SECRET, "kick": "fz:kick"}
ROUTES = {
    "control": {"path": "/control", "channels": "fz:control"},
    "any": {"path": "/any/{name}/x", "channels": "fz:{name}", "auth": "jwt session signed remote_user none",
            "allow": "params.name ~= 'no'", "filter": "message.a == user", "max_per_ip": 50, "cors_origins": "https://a.example"},
    "jwt": {"path": "/jwt/{name}", "channels": "fz:{user}:{name}", "auth": "jwt", "transform": "{claims.a, user}"},
    "session": {"path": "/session", "channels": "fz:{user}", "auth": "session"},
    "signed": {"path": "/signed/{id}", "channels": "fz:{id}", "auth": "signed"},
    "stream": {"path": "/stream/{id}", "streams": "fz:s:{id} fz:t", "start": "last:3", "publish_stream": "fz:s:{id}",
               "publish_auth": "none", "publish_maxlen": 10, "publish_filter": "message.n > 0"},
    "recorded": {"path": "/recorded", "channels": "fz:r", "record": 5, "publish": "fz:r", "publish_auth": "jwt none",
                 "publish_max": "1k", "snapshot": "GET fz:now"},
    "queue": {"path": "/queue", "handler": "queue", "streams": "fz:q", "group": "g", "ack": "client", "claim_after": "200ms"},
    "wait": {"path": "/wait/{id}", "handler": "wait", "channels": "fz:w:{id}", "timeout": "50ms"},
    "poll": {"path": "/poll", "handler": "poll", "command": "GET fz:{key}", "interval": "50ms"},
}
PATHS = ["/control", "/any/a/x", "/any/no/x", "/jwt/a", "/session", "/signed/7", "/stream/a", "/recorded", "/queue", "/wait/1",
         "/poll?key=now", "/status", "/nothing", "", "/", "//", "/any//x", "/any/%2f/x", "/any/%00/x", "/any/%ff/x", "/any/../x",
         "/stream/" + "a" * 9000, "http://host/control", "*", "/any/%25/x", "/any/\xff/x"]
QUERIES = ["", "", "a=1", "a=1&a=2", "last_event_id=1-1", "lastEventId=0-0,0-0", "timeout=1", "timeout=x", "after=0-0", "ack=1-1",
           "ack=1-1,x", "jwt=a.b.c", "%zz", "&&=&", "user=zoe&expires=9999999999&signature=" + "0" * 64, "x=" + "y" * 5000, "name=*"]
METHODS = ["GET"] * 8 + ["POST"] * 4 + ["HEAD", "OPTIONS", "PUT", "TRACE", "get", ""]
BODIES = [b"", b"{}", b'{"n":1}', b'{"n":-1}', b"[" * 100, b'"\xff"', b"\0", b'{"a":1}x', b"x" * 3000, b'{"n":1e999}', b"null"]
TEXTS = ["", "*", "a:b", "\r\n", "\0", "\xff", "'", '"', "%s%n", "{user}", "0-0", "1-1.end", "18446744073709551615-1", "x" * 300, ","]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Monitor(threading.Thread):
    """What Redis is asked, as MONITOR shows it: the names of channels and keys."""

    KEY_AT = {"SUBSCRIBE": 1, "UNSUBSCRIBE": 1, "GET": 1, "HGETALL": 1, "XADD": 1, "PUBLISH": 1, "XRANGE": 1, "XREVRANGE": 1}

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client = redis_client.Redis(unix_socket_path=server.path)
        self.names = set()
        self.seen = 0
        self.start()

    def run(self):
        try:
            with self.client.monitor() as monitor:
                for command in monitor.listen():
                    words = self.words(command["command"].encode("ascii", "backslashreplace").decode())
                    self.seen += 1
                    if words and words[0].upper() in self.KEY_AT:
                        self.names.add(words[self.KEY_AT[words[0].upper()]])
        except (redis_client.RedisError, OSError):
            pass  # it was stopped

    @staticmethod
    def words(command):
        try:
            return shlex.split(command)
        except ValueError:  # the client has taken the backslashes from before quotes: a payload's do not match
            return [word.strip('"') for word in command.split()]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def token(self):
        pick = self.random.choice
        header = pick([{"alg": "HS256"}, {"alg": "none"}, {"alg": "RS256"}, {}, [], {"alg": "HS256", "crit": []}])
        claims = {"sub": pick(["zoe", 7, None, "", "a:b", "x" * 200]), "exp": pick([9999999999, 1, "1", -1, 1e300]),
                  "channels": pick([["fz:*"], "x", 1, None]), "a": pick([1, None, {}, "\0"])}
        text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return text + "." + b64(hmac.new(pick([SECRET, "x"]).encode(), text.encode(), hashlib.sha256).digest())

    def link(self, path):
        path += ("&" if "?" in path else "?") + "expires=9999999999"
        return path + "&signature=" + hmac.new(LINK_SECRET.encode(), path.encode("latin-1", "replace"), hashlib.sha256).hexdigest()

    def headers(self):
        r, pick = self.random, self.random.choice
        out = {}
        for name, values in {
                "Last-Event-ID": TEXTS, "Origin": ["https://a.example", "null", *TEXTS], "Idempotency-Key": ["k", *TEXTS],
                "Authorization": ["Bearer " + self.token(), "Basic eA==", "Bearer", *TEXTS], "X-Forwarded-For": ["1.2.3.4", "::1,x", *TEXTS],
                "Cookie": ["S=abc", "S=" + pick(TEXTS), "token=" + self.token(), "S=1; S=2", "=;;=", *TEXTS],
                "Access-Control-Request-Headers": TEXTS, "Sec-Fetch-Site": ["same-origin", "x"], "Accept": TEXTS}.items():
            if r.random() < 0.25:
                out[name] = pick(values)
        return out

    def request(self):
        """Bytes, most of them well-formed."""
        r, pick = self.random, self.random.choice
        path, query = pick(PATHS), pick(QUERIES)
        if query:
            path += ("&" if "?" in path else "?") + query
        if r.random() < 0.1:
            path = self.link(path)
        more = {"CONTENT_TYPE": pick(["application/json", "text/plain", ""])} if r.random() < 0.5 else {}
        for name in ("REMOTE_USER", "AUTH_TYPE", "CONTENT_LENGTH", "HTTPS", "REMOTE_ADDR", "SERVER_PORT"):
            if r.random() < 0.05:
                more[name] = pick(TEXTS)
        more = {k: v.encode("latin-1", "replace") for k, v in more.items()}
        path, headers = path.encode("latin-1").decode("latin-1"), {k: v.encode("latin-1") for k, v in self.headers().items()}
        data = fcgi.request(path, pick(METHODS), headers, pick(BODIES), flags=pick([0, 0, 1]), **more)
        return self.damage(data) if r.random() < 0.25 else data

    def damage(self, data):
        r = self.random
        data = bytearray(data)
        for _ in range(r.randrange(1, 5)):
            at = r.randrange(len(data))
            kind = r.randrange(4)
            if kind == 0:
                data[at] = r.randrange(256)
            elif kind == 1:
                del data[at:at + r.randrange(1, 20)]
            elif kind == 2:
                data[at:at] = r.randbytes(r.randrange(1, 20))
            else:
                data = data[:at + 1]
            if not data:
                break
        return bytes(data)


def test_nobody_notices(launch, redis):
    client = redis.client()
    client.set("fz:now", "1")
    client.set("fz:sess:abc", '{"user":"zoe"}')
    sluice = launch(ROUTES, auth=AUTH, server={"workers": 1, "trusted_proxies": "127.0.0.1", "log_level": "warn"})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    maker, worker, family = Maker(SEED), sluice.worker(), fcgi.family_of(sluice.address)
    open_, worst, monitor = [], 0.0, Monitor(redis)
    with sluice.open("/control") as control:
        before = sluice.status()["connections"]
        for n in range(N):
            s = socket.socket(family, socket.SOCK_STREAM)
            s.settimeout(patient(10))
            s.connect(sluice.address)
            try:
                s.send(maker.request())
            except OSError:
                pass  # it was refused before it was whole
            open_.append(s)
            if len(open_) > 100:  # some are read, and all are left
                old = open_.pop(maker.random.randrange(len(open_)))
                old.setblocking(False)
                try:
                    old.recv(4096)
                except OSError:
                    pass
                old.close()
            if n % 50 == 0:
                client.xadd("fz:q", {"data": n}, maxlen=100)
                redis.publish("fz:r", maker.random.choice(['{"a":"zoe"}', "x", "\x1e1-1\ny", "null"]))
            if n % 1000 == 0:
                began = time.monotonic()
                redis.publish("fz:control", str(n))
                assert control.next_message(10).data == str(n)
                took = time.monotonic() - began
                worst = max(worst, took / bound(1, began))
        for s in open_:
            s.close()
        wait_for(lambda: sluice.status()["connections"] <= before, lambda: f"all to be gone: {sluice.status()}", 20)
    assert sluice.worker() == worker, sluice.log()[-3000:]
    served = sluice.status()
    print(f"{N} requests from seed {SEED}, {served['requests']} of them understood, {served['requests_refused']} refused, "
          f"{served['records_refused']} cut off; the control stream waited {worst:.2f} of what it may at most")
    assert worst < 1
    assert served["requests"] > N / 4
    wait_for(lambda: monitor.seen > 100 and {"fz:control", "fz:sess:abc"} <= monitor.names,
             lambda: f"what Redis was asked to be read: {monitor.seen} {monitor.names}", 20)
    assert monitor.is_alive()
    strange = [n for n in monitor.names if not re.fullmatch(r"fz:([A-Za-z0-9_.-]{1,128}(:once:[a-z0-9:]+)?|(s|w|sess|[a-z]+):[A-Za-z0-9_.-]{1,128})(:log)?", n)]
    assert strange == [], strange
