"""conf/redis.acl: with its rights all works, and nothing outside the prefix can be touched."""

import json
import re
import secrets
from pathlib import Path

import pytest
import redis as redis_client

from test_publish import post
from waiting import wait_for

ACL = Path(__file__).parents[2] / "conf/redis.acl"
QUEUE = {"handler": "queue", "streams": "jobs", "group": "g", "ack": "client", "claim_after": "200ms", "dead_letter": "dead",
         "max_deliveries": 1}
ROUTES = {
    "channel": {"path": "/channel", "channels": "c"},
    "stream": {"path": "/stream", "streams": "s", "start": "0", "publish_stream": "s", "publish_auth": "none",
               "snapshot": "GET now"},
    "recorded": {"path": "/recorded", "channels": "r", "record": 10, "publish": "r", "publish_auth": "none",
                 "snapshot": "HGETALL all"},
    "queue": {"path": "/queue", **QUEUE},
    "wait": {"path": "/wait", "handler": "wait", "channels": "r", "record": 10},
    "session": {"path": "/session", "channels": "c", "auth": "session"},
}


@pytest.fixture
def server(own_redis, folder):
    server = own_redis(options=["--aclfile", str(folder / "users.acl")])
    lines = [line.replace("CHANGE-ME", "pass") for line in ACL.read_text().splitlines() if line.startswith("user ")]
    assert len(lines) == 2
    (folder / "users.acl").write_text("\n".join([*lines, "user default on nopass ~* &* +@all"]) + "\n")
    return server.start()


def run(launch, server, user, routes):
    url = f"unix://{user}:pass@{server.path}"
    sluice = launch(routes, redis=server, link={"url": url, "prefix": "app:"},
                    auth={"session_cookie": "S", "session_key": "sess:{cookie}", "session_user": "message.user", "kick": "kick"})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def test_channels(launch, server):
    """A pattern must stand in the ACL letter for letter."""
    sluice = run(launch, server, "sluice-channels", {"channel": ROUTES["channel"], "all": {"path": "/all", "patterns": "*"},
                                                     "some": {"path": "/some", "patterns": "p:*"}})
    with sluice.open("/channel") as s, sluice.open("/all") as all:
        server.publish("app:c", "1")
        assert (s.next_message().data, all.next_message().data) == ("1", "1")
        with sluice.get("/some") as some:
            assert some.status == 200  # it waits until Redis permits it
        server.publish("app:c", "2")
        assert (s.next_message().data, all.next_message().data) == ("2", "2")


def test_all_else(launch, server):
    server.client().set("app:now", "5")
    server.client().hset("app:all", "a", "1")
    sluice = run(launch, server, "sluice", ROUTES)
    for path, key in (("/stream", None), ("/recorded", "k"), ("/stream", "k")):
        headers = {"Idempotency-Key": secrets.token_hex(8)} if key else {}
        assert post(sluice, path, '{"n":1}', headers=headers)[0] == 202
    with sluice.open("/stream") as s:
        assert (s.next_event().data, s.next_message().data) == ("5", '{"n":1}')
    with sluice.open("/recorded", headers={"Last-Event-ID": "0-1"}) as s:
        assert s.next_event().type in ("snapshot", "message", "stream-reset")
    assert sluice.get("/wait?after=0-0").status == 200
    id = server.client().xadd("app:jobs", {"data": "1"}).decode()
    with sluice.open("/queue") as s:
        assert s.next_message().last_event_id == id
        wait_for(lambda: server.client().xlen("app:dead") == 1, "it to be among the dead")
        other = server.client().xadd("app:jobs", {"data": "2"}).decode()
        s.next_message()
        assert post(sluice, f"/queue?ack={other}", "", type=None)[2] == {"acked": 1}
    server.client().set("app:sess:abc", '{"user":"zoe"}')
    with sluice.open("/session", headers={"Cookie": "S=abc"}) as s:
        server.publish("app:kick", "user:zoe")
        assert json.loads(s.next_of("stream-end").data)["reason"] == "auth"
    refused = re.findall("refuses.*", sluice.log())
    assert not refused, refused


def test_nothing_else(server):
    client = redis_client.Redis(unix_socket_path=server.path, username="sluice", password="pass")
    for command in (["GET", "other"], ["SET", "other", "1"], ["FLUSHALL"], ["KEYS", "*"], ["CONFIG", "GET", "*"], ["DEL", "app:x"],
                    ["PUBLISH", "other", "1"], ["SUBSCRIBE", "other"], ["EVAL", "return redis.call('GET', 'other')", "0"]):
        with pytest.raises(redis_client.ResponseError):
            client.execute_command(*command)
