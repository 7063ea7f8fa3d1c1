"""Whose cursor it is: a browser keeps its last id while another user logs in in another tab."""

import json
import re
import threading

import pytest

from test_auth import AUTH, bearer
from test_mux import Mux
from waiting import wait_for

ROUTES = {
    "inbox": {"path": "/inbox", "streams": "w:inbox:{user}", "auth": "jwt"},
    "two": {"path": "/two", "streams": "w:inbox:{user} w:all", "auth": "jwt"},
    "dept": {"path": "/dept", "streams": "w:dept:{claim.dept}", "auth": "jwt"},
    "recorded": {"path": "/recorded", "channels": "w:rec:{user}", "record": 100, "auth": "jwt", "publish": "w:rec:{user}", "publish_auth": "jwt"},
    "path": {"path": "/path/{id}", "streams": "w:path:{id}", "auth": "jwt"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "*", "auth": "jwt"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    auth = {k: v for k, v in AUTH.items() if k != "jwt_channels"}
    sluice = launch_shared(ROUTES, auth=auth, server={"workers": 2})
    wait_for(lambda: sluice.status()["redis_links"] >= 4, "all links to Redis are up")
    return sluice


def add(redis, user, text):
    return redis.client().xadd(f"w:inbox:{user}", {"data": text}).decode()


def opened(s):
    """(id, data) of stream-open."""
    event = s.next_of("stream-open")
    return event.last_event_id, json.loads(event.data)


def reset(s):
    return json.loads(s.next_of("stream-reset").data)["reason"]


@pytest.mark.parametrize("path", ["/inbox", "/two", "/dept"])
def test_the_same_user_goes_on(sluice, redis, path):
    headers = bearer("ada", dept="toys")
    key = "w:dept:toys" if path == "/dept" else "w:inbox:ada"
    with sluice.get(path, headers=headers) as s:
        at, _ = opened(s)
        redis.client().xadd(key, {"data": "1"})
        seen = s.next_message().last_event_id
    for last in (at, seen):
        assert re.fullmatch(r"\d+-\d+(,\d+-\d+)?~[0-9a-z]{6}", last)
    redis.client().xadd(key, {"data": "2"})
    with sluice.get(path, headers={**headers, "Last-Event-ID": seen}) as s:
        assert opened(s) == (seen, {"resumed": True, "from": seen})
        assert s.next_message().data == "2"
    with sluice.get(path, headers={**headers, "Last-Event-ID": at}) as s:
        assert [s.next_message().data for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize("path, mine, others", [("/inbox", "eva", "sam"), ("/two", "eva", "sam"), ("/recorded", "eva", "sam")])
def test_another_users_id(sluice, redis, path, mine, others):
    """Nothing of what the one has missed since the other's id: it is fetched anew, then live."""
    def publish(user, text):
        if path == "/recorded":
            from test_publish import post
            return post(sluice, "/recorded", json.dumps(text), headers=bearer(user))
        return add(redis, user, json.dumps(text))
    with sluice.get(path, headers=bearer(others)) as s:
        opened(s)
        publish(others, "his")
        his = s.next_message().last_event_id
    publish(mine, "hers, before")
    with sluice.get(path, headers={**bearer(mine), "Last-Event-ID": his}) as s:
        at, data = opened(s)
        assert data["resumed"] is False and at != his and at.split("~")[1] != his.split("~")[1]
        assert reset(s) == "other"
        publish(others, "his")
        publish(mine, "hers")
        assert s.next_message().data == '"hers"'


def test_another_claim(sluice, redis):
    with sluice.get("/dept", headers=bearer("ada", dept="food")) as s:
        at, _ = opened(s)
    with sluice.get("/dept", headers={**bearer("ada", dept="arms"), "Last-Event-ID": at}) as s:
        assert opened(s)[1]["resumed"] is False and reset(s) == "other"


def test_ids_without_a_digest(sluice, redis):
    """Whoever adds entries knows their ids; where anybody's streams are the same an id says nothing of names."""
    first = add(redis, "ida", "1")
    add(redis, "ida", "2")
    with sluice.get("/inbox", headers={**bearer("ida"), "Last-Event-ID": first}) as s:
        assert opened(s)[1]["resumed"] is True and s.next_message().data == "2"
    with sluice.get("/path/a", headers=bearer("ida")) as s:
        at, _ = opened(s)
        assert "~" not in at
    with sluice.get("/path/a", headers={**bearer("max"), "Last-Event-ID": at}) as s:
        assert opened(s)[1]["resumed"] is True
    with sluice.get("/path/a", headers={**bearer("max"), "Last-Event-ID": at + "~aaaaaa"}) as s:
        assert opened(s)[1]["resumed"] is False and reset(s) == "other"
    for last in ("~", "~aaaaaa~", f"{at}~", f"{at}~AAAAAA", f"{at}~aaaaaaa", f"~~{at}"):
        with sluice.get("/inbox", headers={**bearer("ida"), "Last-Event-ID": last}) as s:
            assert opened(s)[1]["resumed"] is False and reset(s) == "unknown-id", last


def test_one_message_at_a_time(sluice, redis):
    """?mode=poll: the same user's past, and not what another has missed."""
    his = add(redis, "pit", "1")
    with sluice.get("/inbox", headers=bearer("pit")) as s:
        digest = opened(s)[0].split("~")[1]
    add(redis, "pit", "2")
    with sluice.get(f"/inbox?mode=poll&after={his}~{digest}", headers=bearer("pit")) as r:
        assert r.status == 200 and r.json() == 2 and r.headers["last-event-id"].endswith("~" + digest)
    add(redis, "pam", '"before"')
    stop = threading.Event()

    def go_on():
        while not stop.wait(0.05):
            add(redis, "pam", '"live"')
    writer = threading.Thread(target=go_on)
    writer.start()
    with sluice.get(f"/inbox?mode=poll&after={his}~{digest}&timeout=5000", headers=bearer("pam")) as r:
        assert r.status == 200 and r.json() == "live"
    stop.set()
    writer.join()


def test_on_a_mux(sluice, redis):
    with Mux(sluice, ["a", "/inbox"], ["b", "/path/m"], headers=bearer("tim")) as mux:
        mux.opened("a", "b")
        add(redis, "tim", "1")
        while mux.next()[:2] != ("a", "message"):
            pass
        last = mux.stream.parser.last_event_id
    add(redis, "kim", '"before"')
    with Mux(sluice, ["a", "/inbox"], ["b", "/path/m"], headers={**bearer("kim"), "Last-Event-ID": last}) as mux:
        seen = [mux.next() for _ in range(3)]
        assert [(key, json.loads(data)["reason"]) for key, name, _, data in seen if name == "stream-reset"] == [("a", "other")]
        add(redis, "kim", '"live"')
        key, name, _, data = mux.next()
        assert (key, name, data) == ("a", "message", '"live"')
