"""handler = mux: one connection that carries many routes."""

import json
import os
import urllib.parse

import pytest

from test_auth import AUTH, bearer
from test_publish import post
from waiting import wait_for

ROUTES = {
    "mux": {"path": "/mux", "handler": "mux", "auth": "jwt none", "routes": "*"},
    "a": {"path": "/a/{name}", "channels": "m:{name}", "event": "named"},
    "s": {"path": "/s/{name}", "streams": "m:s:{name}", "start": "0"},
    "mine": {"path": "/mine", "channels": "m:mine:{user}", "auth": "jwt", "max_per_user": 1},
    "until": {"path": "/until", "channels": "m:until", "until": "message.last == true"},
    "wait": {"path": "/wait", "handler": "wait", "channels": "m:wait", "timeout": "100ms"},
    "said": {"path": "/said", "channels": "m:said", "event": "{.kind}"},
    "auto": {"path": "/auto", "handler": "queue", "streams": "m:auto", "group": "g"},
    "client": {"path": "/client", "handler": "queue", "streams": "m:client", "group": "g", "ack": "client"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, auth={**AUTH, "jwt_query": "token"}, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    return sluice


class Mux:
    """A connection and what it has told."""

    def __init__(self, sluice, *wanted, **kw):
        self.sluice, self.kw = sluice, kw
        query = "?s=" + urllib.parse.quote(json.dumps(wanted)) if wanted else ""
        self.stream = sluice.open("/mux" + query, **kw)
        event = self.stream.next_event()
        assert event.type == "mux-open"
        self.secret = json.loads(event.data)["connection"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def next(self, timeout=5.0):
        """(key, name, id, data)"""
        event = self.stream.next_event(timeout)
        assert event.type == "mux", event
        head, _, data = event.data.partition("\n")
        return (*json.loads(head), data)

    def change(self, status=202, secret=None, headers=None, **body):
        got = post(self.sluice, f"/mux?connection={secret or self.secret}", json.dumps(body), headers=headers or self.kw.get("headers"))
        assert got[0] == status, got

    def opened(self, *keys):
        for _ in keys:
            key, name, _, data = self.next()
            assert key in keys and name == "stream-open", (key, name, data)
        return self


def test_many_routes_on_one_connection(sluice, redis):
    with Mux(sluice, ["1", "/a/x"], ["2", "/a/y"]) as mux:
        mux.opened("1", "2")
        wait_for(lambda: sluice.status()["connections"] <= 2, "it is the only one beside the question")
        redis.publish("m:x", "one\ntwo")
        redis.publish("m:y", '{"n":1}')
        got = sorted(mux.next() for _ in range(2))
        assert got == [("1", "named", "", "one\ntwo"), ("2", "named", "", '{"n":1}')]


def test_added_and_removed_by_any_worker(sluice, redis):
    with Mux(sluice) as mux:
        for n in range(8):
            mux.change(add=[[f"k{n}", "/a/z"]])
        mux.opened(*[f"k{n}" for n in range(8)])
        redis.publish("m:z", "1")
        assert sorted(mux.next()[0] for _ in range(8)) == [f"k{n}" for n in range(8)]
        mux.change(remove=["k0", "k1", "nothing"], add=[["new", "/a/w"]])
        mux.opened("new")
        redis.publish("m:z", "2")
        assert sorted(mux.next()[0] for _ in range(6)) == [f"k{n}" for n in range(2, 8)]
    wait_for(lambda: sluice.status()["subscribers"] == 0, "all to be gone")
    wait_for(lambda: not [c for c in redis.channels() if c.startswith("sluice:mux:")], "its channel to be left", 15)


def test_a_refusal_ends_no_other(sluice, redis):
    wanted = [["ok", "/a/x"], ["gone", "/nothing"], ["rule", "/a/%2A"], ["who", "/mine"], ["wait", "/wait"], ["mux", "/mux"],
              ["ok", "/a/y"], "rubbish", ["", "/a/x"], ["far", "http://other/"], ["k" * 65, "/a/x"]]
    with Mux(sluice, *wanted) as mux:
        told = {}
        for _ in wanted:
            key, name, _, data = mux.next()
            told.setdefault(key, []).append((name, json.loads(data).get("status") if name == "mux-refused" else None))
        assert ("stream-open", None) in told["ok"] and ("mux-refused", 400) in told["ok"]
        assert told["gone"] == [("mux-refused", 404)] and told["rule"] == [("mux-refused", 400)]
        assert told["who"] == [("mux-refused", 401)] and told["mux"] == [("mux-refused", 400)]
        assert told["wait"] == [("mux-refused", 400)] and told["far"] == [("mux-refused", 400)]
        redis.publish("m:x", "1")
        assert mux.next() == ("ok", "named", "", "1")


def test_each_is_authorised_and_limited_as_its_own_route(sluice, redis):
    with Mux(sluice, ["a", "/mine"], ["b", "/mine"], headers=bearer("zoe")) as mux:
        told = {}
        for _ in range(2):
            key, name, _, data = mux.next()
            told[name] = json.loads(data)
        assert told["mux-refused"]["status"] == 429
        redis.publish("m:mine:zoe", "1")
        assert mux.next()[1:] == ("message", "", "1")
        redis.publish("sluice:kick", "route:mine")
        names = [mux.next()[1] for _ in range(2)]
        assert names == ["stream-end", "mux-end"]


def test_only_its_own_user_may_change_it(sluice):
    with Mux(sluice, headers=bearer("zoe")) as mux:
        mux.change(add=[["x", "/a/x"]], headers=bearer("eve"))
        mux.change(add=[["y", "/a/x"]], headers={"Accept": "x"})
        mux.change(add=[["z", "/a/x"]])
        mux.opened("z")
        mux.change(404, secret="0" * 32, add=[])
        mux.change(400, secret="x", add=[])
        assert post(sluice, f"/mux?connection={mux.secret}", "[]")[0] == 400
        assert post(sluice, f"/mux?connection={mux.secret}", "{")[0] == 400
        for nothing in ({}, {"add": 5}, {"remove": "z"}, {"add": None}, {"add": [], "remove": {}}, {"adds": []}):
            mux.change(400, **nothing)
        mux.change(remove=["z\0"], add=[["n\0o", "/a/x"], ["p", "/a/x\0"]])  # cut at the NUL these would be others
        assert [mux.next()[:2] for _ in range(2)] == [("", "mux-refused"), ("p", "mux-refused")]
        mux.change(add=[["z", "/a/x"]])
        assert mux.next()[:2] == ("z", "mux-refused"), "it is still there"


@pytest.mark.parametrize("list", ["", "{}", "x", '"x"', '[["k","/a/x"]'])
def test_a_list_that_is_none(sluice, list):
    """The problem names the parameter, and what it must be."""
    with sluice.get(f"/mux?s={urllib.parse.quote(list)}") as response:
        assert response.status == 400
        detail = response.json()["detail"]
    assert "parameter s" in detail and "[key, path]" in detail


def test_more_than_an_address_holds(sluice):
    """The problem names the limit, and the other way."""
    query = urllib.parse.quote(json.dumps([[str(n), f"/a/x{n}"] for n in range(300)]))
    with sluice.get(f"/mux?s={query}") as response:
        assert response.status == 400
        detail = response.json()["detail"]
    assert "4096 bytes" in detail and "POST" in detail


def test_all_resume_from_the_one_id(sluice, redis):
    client = redis.client()
    client.delete("m:s:a", "m:s:b")
    wanted = [["a", "/s/a"], ["live", "/a/x"], ["b", "/s/b"]]
    with Mux(sluice, *wanted) as mux:
        mux.opened("a", "live", "b")
        client.xadd("m:s:a", {"data": "a1"})
        assert mux.next()[3] == "a1"
        client.xadd("m:s:b", {"data": "b1"})
        assert mux.next()[3] == "b1"
        last = mux.stream.parser.last_event_id
        assert last.count(";") == 2
        client.xadd("m:s:b", {"data": "b2"})
        mux.next()
    client.xadd("m:s:a", {"data": "a2"})
    with Mux(sluice, *wanted, headers={"Last-Event-ID": last}) as mux:
        got = {}
        for _ in range(5):
            key, name, _, data = mux.next()
            got.setdefault(key, []).append(name if name.startswith("stream-") else data)
        assert got == {"a": ["stream-open", "a2"], "b": ["stream-open", "b2"], "live": ["stream-open"]}
    own = client.xrange("m:s:a")[0][0].decode()
    with Mux(sluice, ["a", "/s/a", own]) as mux:
        mux.opened("a")
        assert mux.next()[3] == "a2"


def test_an_end_for_good(sluice, redis):
    with Mux(sluice, ["u", "/until"], ["x", "/a/x"]) as mux:
        mux.opened("u", "x")
        redis.publish("m:until", '{"last":true}')
        told = [mux.next() for _ in range(3)]
        assert [t[1] for t in told] == ["message", "stream-done", "mux-end"] and json.loads(told[2][3]) == {"for_good": True}
        redis.publish("m:x", "1")
        assert mux.next()[3] == "1"
    with Mux(sluice, ["u", "/until", "0.end"]) as mux:
        assert mux.next()[1:] == ("mux-end", "", '{"for_good":true}')


def test_thirty_subscriptions(sluice, redis):
    client = redis.client()
    wanted = [[str(n), f"/s/many{n}"] for n in range(30)]
    for n in range(30):
        client.delete(f"m:s:many{n}")
    seen, lasts = {str(n): [] for n in range(30)}, {}
    for round in range(8):
        with Mux(sluice, *[[k, p, *([lasts[k]] if k in lasts else [])] for k, p in wanted]) as mux:
            for n in range(30):
                for m in range(2):
                    client.xadd(f"m:s:many{n}", {"data": f"{round}.{m}"})
            for _ in range(40 if round < 7 else 1000):  # then it is cut
                if all(len(v) == 16 for v in seen.values()):
                    break
                key, name, id, data = mux.next()
                lasts[key] = id or lasts.get(key, "")
                if name == "message":
                    seen[key].append(data)
    assert all(v == [f"{r}.{m}" for r in range(8) for m in range(2)] for v in seen.values())


@pytest.mark.parametrize("query", ["?s=x", "?s=%7B%7D", "?s=1", "?s=%5B", pytest.param(f"?s=[{'1,' * 500}1]", id="501")])
def test_what_is_no_list(sluice, query):
    """Nor is one of more subscriptions than a connection has; and nobody else loses by it."""
    workers = sluice.workers()
    for _ in workers:
        assert sluice.get("/mux" + query).status == 400
    assert sluice.workers() == workers


def last_id(mux):
    return mux.stream.parser.last_event_id


def test_the_one_id_outlives_an_end(sluice, redis):
    """Another subscription that is over neither ends the connection nor moves the others' places."""
    client = redis.client()
    client.delete("m:s:c", "m:s:d")
    wanted = [["u", "/until"], ["gone", "/nothing"], ["c", "/s/c"], ["d", "/s/d"]]
    with Mux(sluice, *wanted) as mux:
        for _ in wanted:
            mux.next()
        redis.publish("m:until", '{"last":true}')
        for _ in range(3):
            mux.next()
        assert not last_id(mux).endswith(".end")
        mux.change(remove=["c"])
        client.xadd("m:s:d", {"data": "d1"})
        assert mux.next()[3] == "d1"
        last = last_id(mux)
        assert last.split(";")[:3] == ["-", "", "-"]
    client.xadd("m:s:d", {"data": "d2"})
    with Mux(sluice, *wanted, headers={"Last-Event-ID": last}) as mux:
        told = {}
        for _ in range(5):
            key, name, _, data = mux.next()
            told.setdefault(key, []).append(data if name == "message" else name)
        assert told == {"u": ["mux-end"], "gone": ["mux-refused"], "c": ["mux-end"], "d": ["stream-open", "d2"]}
    redis.publish("m:until", '{"last":true}')


@pytest.mark.parametrize("id", ["junk", "1-0;2-0;3-0", "a\nb;c\nd", "~"])
def test_an_id_of_no_such_address_is_told_by_each(sluice, redis, id):
    client = redis.client()
    client.delete("m:s:e", "m:s:f")
    for name in "ef":
        client.xadd(f"m:s:{name}", {"data": name}, id="1-0")
    query = urllib.parse.quote(id)
    wanted = [["e", "/s/e"], ["f", "/s/f"], ["own", "/s/e", "0-0"]][:3 if id == "junk" else 2]
    with sluice.open("/mux?s=" + urllib.parse.quote(json.dumps(wanted)) + "&last_event_id=" + query) as stream:
        told = {}
        while sum(len(names) for names in told.values()) < 2 * len(wanted):
            event = stream.next_event()
            if event.type == "mux":
                key, name, _ = json.loads(event.data.split("\n")[0])
                told.setdefault(key, []).append(name)
    assert all(told[key] == ["stream-open", "stream-reset"] for key in "ef")
    assert told.get("own", ["stream-open", "message"]) == ["stream-open", "message"]


def test_the_first_id_has_the_places_of_all(sluice, redis):
    """Whoever is cut before all subscriptions have begun has lost no place."""
    client = redis.client()
    client.delete("m:s:g")
    client.xadd("m:s:g", {"data": "g"}, id="1-0")
    with Mux(sluice, ["u", "/until"], ["gone", "/nothing"], ["g", "/s/g"], headers={"Last-Event-ID": "-;;1-0"}) as mux:
        assert mux.next()[1] == "mux-end"
        assert last_id(mux) == "-;;1-0"
        assert json.loads(mux.next()[3])["status"] == 404


def test_an_end_alone_is_no_end_of_the_connection(sluice, redis):
    with Mux(sluice, ["u", "/until"]) as mux:
        mux.opened("u")
        redis.publish("m:until", '{"last":true}')
        for _ in range(3):
            mux.next()
        last = last_id(mux)
    with Mux(sluice, ["u", "/until"], headers={"Last-Event-ID": last}) as mux:
        assert mux.next()[1:] == ("mux-end", "", '{"for_good":true}')


def test_more_places_than_an_id_holds(sluice, redis):
    """Then all are told that they may have missed something; an early, short id is not taken for the last."""
    client = redis.client()
    wanted = [[str(n), f"/s/long{n}"] for n in range(12)]
    for n in range(12):
        client.delete(f"m:s:long{n}")
    with Mux(sluice, *wanted) as mux:
        mux.opened(*[key for key, _ in wanted])
        for n in range(12):
            client.xadd(f"m:s:long{n}", {"data": "x"})
            mux.next()
        last = last_id(mux)
        assert len(last) <= 128 and last == "~"
    with Mux(sluice, *wanted, headers={"Last-Event-ID": last}) as mux:
        told = [mux.next() for _ in range(24)]
        assert sorted(t[1] for t in told) == ["stream-open"] * 12 + ["stream-reset"] * 12


def test_a_message_cannot_speak_for_the_connection(sluice, redis):
    with Mux(sluice, ["a", "/said"]) as mux:
        mux.opened("a")
        redis.publish("m:said", '{"kind":"mux-end","for_good":true}')
        redis.publish("m:said", '{"kind":"fine"}')
        assert mux.next()[1] == "fine"


def test_a_token_in_the_address_counts_for_its_subscriptions(sluice, redis):
    token = bearer("zoe")["Authorization"].split()[1]
    stream = sluice.open(f"/mux?token={token}&s=" + urllib.parse.quote(json.dumps([["a", "/mine"]])))
    assert stream.next_event().type == "mux-open"
    assert json.loads(stream.next_event().data.split("\n")[0])[1] == "stream-open"
    redis.publish("m:mine:zoe", "1")
    assert stream.next_event().data.split("\n")[1] == "1"
    stream.close()


def test_a_queue_is_carried_if_its_client_acknowledges(sluice, redis):
    client = redis.client()
    with Mux(sluice, ["auto", "/auto"], ["client", "/client"]) as mux:
        told = dict(mux.next()[:2] for _ in range(2))
        assert told == {"auto": "mux-refused", "client": "stream-open"}
        client.xadd("m:client", {"data": "1"})
        key, name, id, data = mux.next()
        assert (key, data) == ("client", "1")
        assert post(sluice, f"/client?ack={id}", "")[0] == 200


def refused(mux):
    key, name, _, data = mux.next()
    assert name == "mux-refused", (key, name, data)
    return key, json.loads(data)["status"]


def test_without_a_query_the_same_is_refused(sluice):
    with Mux(sluice) as mux:
        mux.change(add=[["mux", "/mux"], ["auto", "/auto"], ["wait", "/wait"], ["poll", "/a/x?mode=poll&timeout=100"]])
        assert [refused(mux) for _ in range(4)] == [("mux", 400), ("auto", 400), ("wait", 400), ("poll", 400)]


def test_what_its_section_does_not_name_is_not_carried(launch, redis):
    """A web server guards a path, and sees nothing of what a connection carries."""
    sluice = launch({**ROUTES, "mux": {"path": "/mux", "handler": "mux", "routes": "a, until"},
                     "admin": {"path": "/admin/events", "channels": "m:admin"},
                     "metrics": {"path": "/admin/metrics", "handler": "metrics"}}, auth=AUTH)
    wanted = [["s", "/status"], ["m", "/admin/metrics"], ["e", "/admin/events"], ["a", "/a/x"]]
    with Mux(sluice, *wanted) as mux:
        assert [refused(mux) for _ in range(3)] == [("s", 400), ("m", 400), ("e", 403)]
        mux.opened("a")
        redis.publish("m:admin", "secret")
        redis.publish("m:x", "1")
        assert mux.next()[3] == "1"


@pytest.mark.parametrize("origin, status", [(None, 0), ("http://own.example", 0), ("https://partner.example", 0),
                                            ("https://else.example", 403), ("null", 403)])
def test_each_obeys_its_own_origins(launch, origin, status):
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*", "cors_origins": "https://partner.example https://else.example",
                             "cors_credentials": "yes"},
                     "open": {"path": "/open", "channels": "m:open", "cors_origins": "https://partner.example"},
                     "any": {"path": "/any", "channels": "m:any", "cors_origins": "*"},
                     "own": {"path": "/own", "channels": "m:own"}})
    headers = {"Host": "own.example", **({"Origin": origin} if origin else {})}
    is_own = origin in (None, "http://own.example")
    with Mux(sluice, ["open", "/open"], ["own", "/own"], ["any", "/any"], headers=headers) as mux:
        told = {}
        for _ in range(3):
            key, name, _, data = mux.next()
            told[key] = json.loads(data)["status"] if name == "mux-refused" else 0
    assert told == {"open": status, "own": 0 if is_own else 403, "any": 0}


def test_with_a_cookie_an_origin_must_be_let_in_with_cookies(launch):
    cookie = {"Cookie": "t=" + bearer("zoe")["Authorization"].split()[1], "Host": "own.example", "Origin": "https://partner.example"}
    partner = {"cors_origins": "https://partner.example"}
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*", **partner, "cors_credentials": "yes"},
                     "with": {"path": "/with", "channels": "m:1", "auth": "jwt", **partner, "cors_credentials": "yes"},
                     "bare": {"path": "/bare", "channels": "m:2", "auth": "jwt", **partner}}, auth={**AUTH, "jwt_cookie": "t"})
    with Mux(sluice, ["bare", "/bare"], ["with", "/with"], headers=cookie) as mux:
        assert refused(mux) == ("bare", 403)
        mux.opened("with")


@pytest.mark.parametrize("id", ["1;2", "-", "~", "5-3", "x"])
def test_only_a_cursor_of_ours_is_a_place(launch, redis, id):
    """What a message says of itself moves no other subscription, and ends none."""
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*"}, "s": ROUTES["s"],
                     "said": {"path": "/said", "channels": "m:id", "id": "{.id}"}})
    client = redis.client()
    client.delete("m:s:place")
    entries = [client.xadd("m:s:place", {"data": str(n)}).decode() for n in range(3)]
    wanted = [["said", "/said"], ["s", "/s/place", entries[0]]]
    with Mux(sluice, *wanted) as mux:
        told = [mux.next() for _ in range(4)]
        assert [t[3] for t in told if t[0] == "s"][1:] == ["1", "2"]
        redis.publish("m:id", json.dumps({"id": id}))
        assert mux.next()[:3] == ("said", "message", id)
        last = last_id(mux)
        assert last == f";{entries[2]}"
    with Mux(sluice, *wanted, headers={"Last-Event-ID": last}) as mux:
        mux.opened("said", "s")
        redis.publish("m:id", json.dumps({"id": "y"}))
        assert mux.next()[:3] == ("said", "message", "y")


def test_a_long_event_is_linear_work(launch, redis):
    """As much again for each byte, not for each piece of them that comes."""
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*"}, "a": ROUTES["a"]})

    def took(size):
        began = cpu_of(sluice)
        redis.publish("m:long", "x" * size)
        assert len(mux.next(30)[3]) == size
        return cpu_of(sluice) - began
    with Mux(sluice, ["a", "/a/long"]) as mux:
        mux.opened("a")
        took(1 << 20)
        small, large = took(1 << 20), took(12 << 20)
        assert large < 40 * max(small, 0.02), (small, large)


def cpu_of(sluice):
    """Seconds of processor time that the worker has had."""
    with open(f"/proc/{sluice.worker()}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_no_connection_can_carry_is_told(launch, redis):
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*"}, "a": ROUTES["a"], "s": ROUTES["s"]})
    client = redis.client()
    client.delete("m:s:huge")
    with Mux(sluice, ["s", "/s/huge"], ["a", "/a/x"]) as mux:
        mux.opened("s", "a")
        huge = client.xadd("m:s:huge", {"data": "x" * (17 << 20)}).decode()
        key, name, id, data = mux.next(30)
        assert (key, name, id, json.loads(data)) == ("s", "mux-end", huge, {"for_good": False, "reason": "too-long"})
        redis.publish("m:x", "1")
        assert mux.next()[3] == "1", "the others go on"
        last = last_id(mux)
    after = client.xadd("m:s:huge", {"data": "small"}).decode()
    with Mux(sluice, ["s", "/s/huge"], ["a", "/a/x"], headers={"Last-Event-ID": last}) as mux:
        while (got := mux.next())[1] == "stream-open":
            pass
        assert got == ("s", "message", after, "small")


def test_while_the_connection_lags_its_subscriptions_wait(launch, redis):
    """Far more than the connection's queue stands before it: nothing is lost, and it is not cut."""
    sluice = launch({"mux": {"path": "/mux", "handler": "mux", "routes": "*", "queue": "32k"}, "s": {**ROUTES["s"], "queue": "16m"}})
    client, n, keys = redis.client(), 400, ["p", "q", "r"]
    for key in keys:
        client.delete(f"m:s:{key}")
        pipe = client.pipeline()
        for i in range(n):
            pipe.xadd(f"m:s:{key}", {"data": f"{i} " + "x" * 4000})
        pipe.execute()
    got = {key: [] for key in keys}
    with Mux(sluice, *[[key, f"/s/{key}"] for key in keys]) as mux:
        wait_for(lambda: sluice.status()["subscribers"] == 1 + len(keys), "all to be open")
        while any(len(v) < n for v in got.values()):
            key, name, _, data = mux.next(20)
            assert name in ("stream-open", "message"), (name, data)
            if name == "message":
                got[key].append(int(data.split()[0]))
    assert got == {key: list(range(n)) for key in keys}


@pytest.mark.parametrize("body, status", [
    (b'{"remove":["a"]}', 202), (b'{"remove":["a"]}\0{}', 400), (b'\0{"remove":["a"]}', 400), (b'{"remove":["a"]}x', 400),
    (b'{"remove":["' + b"a" * (65536 - 15) + b'"]}', 202), (b'{"remove":["' + b"a" * (65536 - 14) + b'"]}', 413)],
    ids=["whole", "NUL behind", "NUL before", "more behind", "longest", "too long"])
def test_what_a_change_is(sluice, body, status):
    with Mux(sluice) as mux:
        assert post(sluice, f"/mux?connection={mux.secret}", body)[0] == status
