"""Several servers of Redis: one worker is at one server, and only at a primary."""

import time

import pytest

import fcgi
from waiting import soon, wait_for

ROUTES = {
    "x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "200ms", "open_wait": "500ms"},
    "s": {"path": "/s/{id}", "streams": "s:{id}", "open_wait": "500ms", "start": "0"},
    "post": {"path": "/post", "channels": "x:1", "publish": "x:1", "publish_auth": "none"},
    "health": {"path": "/health", "handler": "health"},
}
BACK_S = 5  # after the fault's end, whatever went before


def names(redis):
    """How many of our links a server has."""
    return sum(c["name"] == "sluice" for c in redis.client().client_list())


def post(sluice):
    connection = sluice.connect()
    connection.send(fcgi.request("/post", method="POST", body=b'{"a":1}', CONTENT_LENGTH="7",
                                 CONTENT_TYPE="application/json"))
    with fcgi.Response(connection) as response:
        response.rest(10)
        return response.status


def health(sluice):
    with sluice.get("/health") as response:
        return response.status


@pytest.fixture
def pair(own_redis):
    primary = own_redis("primary").start()
    replica = own_redis("replica", ["--replicaof", f"127.0.0.1 {primary.port}"]).start()
    wait_for(lambda: replica.client().info("replication")["master_link_status"] == "up", "the replica follows")
    return primary, replica


def both(pair):
    return {"url": f"{pair[0].url} {pair[1].url}"}


def test_a_replica_is_passed_over(launch, pair):
    primary, replica = pair
    sluice = launch(ROUTES, primary, link={"url": f"{replica.url} {primary.url}"})
    with sluice.open("/x/1") as stream:
        primary.publish("x:1", "hello")
        assert stream.next_event().data == "hello"
        sluice.wait_log("it is a replica, and only a primary is served from")
        assert names(replica) == 0


def test_a_replica_alone_is_no_server(launch, pair):
    primary, replica = pair
    sluice = launch(ROUTES, replica)
    with sluice.get("/x/1") as stream:
        assert stream.status == 200
        sluice.wait_log("it is a replica")
        assert health(sluice) == 503
        replica.client().replicaof("NO", "ONE")
        stream.opened()


def test_the_primary_restarts(launch, pair):
    """Nothing stays at the replica, which knows the channel but would take no message of ours."""
    primary, replica = pair
    sluice = launch(ROUTES, primary, link=both(pair))
    with sluice.open("/x/1") as stream:
        primary.kill()
        stream.next_event(skip=())
        time.sleep(2)  # away for so long: the replica is found, and refused
        primary.start()
        began = time.monotonic()
        primary.wait_subscribed("x:1")
        assert soon(began, BACK_S)
        assert stream.next_of("stream-reset", 10).data == '{"reason":"redis"}'
        wait_for(lambda: health(sluice) == 200, "healthy again")
        assert post(sluice) == 202
        assert stream.next_message().data == '{"a":1}'
        assert names(replica) == 0


def test_a_primary_becomes_a_replica(launch, pair):
    """REPLICAOF breaks no connection of ours, and is noticed all the same."""
    primary, replica = pair
    sluice = launch(ROUTES, primary, link=both(pair))
    with sluice.open("/x/1") as stream, sluice.open("/s/1") as entries:
        replica.client().replicaof("NO", "ONE")
        primary.client().replicaof("127.0.0.1", str(replica.port))
        began = time.monotonic()
        replica.wait_subscribed("x:1")
        wait_for(lambda: names(primary) == 0 and names(replica) >= 3, "every link is at the new primary")
        assert soon(began, BACK_S)
        assert stream.next_of("stream-reset", 10).data == '{"reason":"redis"}'
        replica.publish("x:1", "new")
        assert stream.next_message().data == "new"
        replica.client().xadd("s:1", {"data": "entry"})
        assert entries.next_of("message", 10).data == "entry"


def test_a_write_that_a_replica_refuses(launch, pair):
    """READONLY tells at once, without waiting until the role is asked for (which it may have been just then, on a slow machine)."""
    primary, replica = pair
    routes = {**ROUTES, "post": {"path": "/post", "streams": "s:9", "publish_stream": "s:9", "publish_auth": "none"}}
    sluice = launch(routes, primary, link=both(pair))
    refused = 0
    for _ in range(6):
        replica.client().replicaof("NO", "ONE")
        primary.client().replicaof("127.0.0.1", str(replica.port))
        refused += post(sluice) == 503
        wait_for(lambda: post(sluice) == 202, "published at the new primary")
        assert names(primary) == 0
        if refused:
            break
        primary, replica = replica, primary
    assert refused


def test_links_killed_one_by_one(launch, own_redis):
    """They come back to where the others are."""
    one, two = own_redis("one").start(), own_redis("two").start()
    sluice = launch(ROUTES, one, link={"url": f"{one.url} {two.url}"})
    with sluice.open("/x/1") as stream, sluice.open("/s/1"):
        for _ in range(4):
            for client in one.client().client_list():
                if client["name"] == "sluice":
                    one.client().client_kill_filter(_id=client["id"])
            one.wait_subscribed("x:1", 1)
            wait_for(lambda: names(one) >= 3, "all are back")
            assert names(two) == 0
        one.publish("x:1", "last")
        assert stream.next_message().data == "last"


@pytest.mark.parametrize("away", [0.2, 3, 8])
def test_back_within_seconds(launch, own_redis, away):
    """However long it was away: the pause between two tries is short, and the first that succeeds hurries the others."""
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1"), sluice.open("/s/1"):
        redis.kill()
        time.sleep(away)
        redis.start()
        began = time.monotonic()
        wait_for(lambda: redis.n_subscribers("x:1") == 1 and names(redis) >= 3, "all links are back", 20)
        assert soon(began, BACK_S)


def test_the_fail_over_is_counted(launch, own_redis):
    one, two = own_redis("one").start(), own_redis("two").start()
    sluice = launch(ROUTES, one, link={"url": f"{one.url} {two.url}"})
    with sluice.open("/x/1"):
        assert sluice.status()["redis_failovers"] == 0
        one.kill()
        two.wait_subscribed("x:1")
        wait_for(lambda: sluice.status()["redis_failovers"] == 1, "one fail-over of one worker")
