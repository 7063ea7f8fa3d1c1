"""The main job: from PUBLISH to an event stream, directly and through each web server."""

import json
import threading
import time
from statistics import median

import pytest

from waiting import SLOW, bound, wait_for

ROUTES = {
    "orders": {"path": "/orders/{id}", "channels": "orders:{id}"},
    "two": {"path": "/two/{a}/{b}", "channels": "two:{a} two:{b}"},
    "query": {"path": "/query", "channels": "query:{topic}"},
    "rule": {"path": "/rule/{n}", "param.n": "[0-9]{1,4}", "channels": "rule:{n}"},
    "star": {"path": "/star", "patterns": "star:*", "event": "{channel}"},
    "pattern": {"path": "/pattern/{a}", "patterns": "pattern:{a}:*"},
    "both": {"path": "/both", "channels": "both:x", "patterns": "both:*"},
    "named": {"path": "/named/{kind}", "channels": "named:{kind}", "event": "order.{kind}"},
    "literal": {"path": "/literal", "channels": "literal", "event": "tick"},
    "field": {"path": "/field", "channels": "field", "event": "{.kind}"},
    "quiet": {"path": "/quiet", "channels": "quiet", "announce": "no"},
    "retry": {"path": "/retry", "channels": "retry", "retry": "10s"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, server={"base": "/events"})


def open_two(sluice, path="/events/orders/1"):
    return sluice.open(path), sluice.open(path)


# Through the web servers


@pytest.fixture
def web(serve, server_class, sluice):
    return serve(server_class, sluice.path)


def test_through_web_server(web, redis):
    """Each event is there at once, the very first one too."""
    with web.open("/events/orders/7") as stream:
        assert stream.headers["content-type"].split(";")[0] == "text/event-stream"
        took, began = [], time.monotonic()
        for i in range(20):
            start = time.monotonic()
            assert redis.publish("orders:7", f'{{"n":{i}}}') == 1
            event = stream.next_event()
            took.append(time.monotonic() - start)
            assert (event.type, json.loads(event.data)) == ("message", {"n": i})
        # Others on the machine do not hold up each of them; a server that collects does.
        assert sorted(took)[4] < 0.05 * SLOW and median(took) < bound(0.05, began), took


def test_nothing_is_lost_behind_the_head_through_web_server(web, redis):
    rounds(web, redis, 60 if web.name != "lighttpd" else 200, f"through-{web.name}")


def test_nothing_is_lost_behind_the_head(sluice, redis):
    rounds(sluice, redis, 200, "direct")


def rounds(server, redis, n, name):
    """Publish as soon as the head has arrived: that is when EventSource fires `open`."""
    for i in range(n):
        with server.get(f"/events/orders/{name}-{i}") as stream:
            assert stream.status == 200
            redis.publish(f"orders:{name}-{i}", str(i))
            assert stream.next_message().data == str(i), f"round {i}"


def test_nothing_is_lost_behind_the_head_of_a_shared_channel(sluice, redis):
    """As above, where the subscription lingers from the round before."""
    for i in range(100):
        with sluice.get("/events/orders/shared") as stream:
            redis.publish("orders:shared", str(i))
            assert stream.next_message().data == str(i), f"round {i}"


def test_errors_through_web_server(web):
    for path, method, status in (("/events/nothing", "GET", 404), ("/events/rule/x", "GET", 400),
                                 ("/events/orders/1", "DELETE", 405)):
        with web.get(path, method=method) as response:
            assert response.status == status
            assert response.headers["content-type"].startswith("application/problem+json")
            assert response.json()["status"] == status


def test_head_through_web_server(web):
    with web.get("/events/orders/1", method="HEAD") as response:
        assert response.status == 200
        assert response.headers["content-type"].split(";")[0] == "text/event-stream"
        assert response.rest() == []


def test_large_event_through_web_server(web, redis):
    payload = "x" * 1_000_000
    with web.open("/events/orders/large") as stream:
        redis.publish("orders:large", payload)
        assert stream.next_event(20).data == payload
        redis.publish("orders:large", "small")
        assert stream.next_event().data == "small"


def test_client_gone_through_web_server(web, sluice, redis):
    """Its subscriber is freed: at once, or behind Apache when it has been written to."""
    sluice.wait_subscribers(0)
    stream = web.open("/events/orders/gone")
    sluice.wait_subscribers(1)
    stream.close()

    def is_freed():
        if not web.notices_idle_client:
            redis.publish("orders:gone", "x")
        return sluice.status()["subscribers"] == 0
    wait_for(is_freed, "the subscriber is freed", 2, every=0.05)


def test_client_reset_through_web_server(web, sluice, redis):
    sluice.wait_subscribers(0)
    stream = web.open("/events/orders/reset")
    sluice.wait_subscribers(1)
    stream.reset()

    def is_freed():
        redis.publish("orders:reset", "x")
        return sluice.status()["subscribers"] == 0
    wait_for(is_freed, "the subscriber is freed", 2, every=0.05)


# What a stream begins with


def test_head(sluice):
    with sluice.open("/events/orders/1") as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["incremental"] == "?1"
        assert "content-length" not in stream.headers
        assert "access-control-allow-origin" not in stream.headers


def test_stream_open_comes_first(sluice):
    with sluice.get("/events/orders/1") as stream:
        event = stream.next_event()
        assert event.type == "stream-open"
        assert json.loads(event.data) == {"resumed": False, "from": None}


def test_retry_comes_first_and_is_spread(sluice):
    seen = []
    for _ in range(30):
        with sluice.open("/events/retry") as stream:
            assert bytes(stream.body).startswith(b"retry: ")
            seen.append(stream.parser.retry)
    assert all(8_000 <= r <= 12_000 for r in seen), seen
    assert len(set(seen)) > 10, seen


def test_retry_by_default(sluice):
    with sluice.open("/events/orders/1") as stream:
        assert 2_400 <= stream.parser.retry <= 3_600


def test_no_announcements(sluice, redis):
    with sluice.get("/events/quiet") as stream:
        redis.publish("quiet", "1")
        assert stream.next_event().data == "1"
        assert b"stream-" not in stream.body
        assert stream.parser.retry is not None


def test_no_event_has_an_id(sluice, redis):
    with sluice.open("/events/orders/1") as stream:
        redis.publish("orders:1", "x")
        event = stream.next_event()
        assert not event.has("id")
        assert event.last_event_id == ""
        assert b"id:" not in stream.body


def test_last_event_id_of_another_is_no_obstacle(sluice, redis):
    with sluice.get("/events/orders/1", headers={"Last-Event-ID": "1700000000000-0"}) as stream:
        assert stream.status == 200
        redis.publish("orders:1", "x")
        assert stream.next_message().data == "x"


# Who gets what


def test_two_subscribers_of_one_feed(sluice, redis):
    a, b = open_two(sluice)
    with a, b:
        assert redis.publish("orders:1", "x") == 1, "one subscription serves both"
        assert a.next_event().data == b.next_event().data == "x"


def test_other_parameters_other_events(sluice, redis):
    with sluice.open("/events/orders/a") as a, sluice.open("/events/orders/b") as b:
        redis.publish("orders:a", "for a")
        redis.publish("orders:b", "for b")
        assert a.next_event().data == "for a"
        assert b.next_event().data == "for b"
        a.quiet_for(0.1)
        b.quiet_for(0.1)


def test_order(sluice, redis):
    with sluice.open("/events/orders/order") as stream:
        pipe = redis.client().pipeline(transaction=False)
        for i in range(5000):
            pipe.publish("orders:order", i)
        pipe.execute()
        assert [int(stream.next_event(20).data) for _ in range(5000)] == list(range(5000))


def test_several_channels(sluice, redis):
    with sluice.open("/events/two/x/y") as stream:
        for channel in ("two:x", "two:y", "two:x"):
            redis.publish(channel, channel)
            assert stream.next_event().data == channel


def test_same_channel_twice_is_sent_once(sluice, redis):
    with sluice.open("/events/two/z/z") as stream:
        redis.publish("two:z", "once")
        redis.publish("two:z", "twice")
        assert [stream.next_event().data, stream.next_event().data] == ["once", "twice"]
        stream.quiet_for(0.1)


def test_parameter_from_the_query(sluice, redis):
    with sluice.open("/events/query?topic=news&unknown=1") as stream:
        redis.publish("query:news", "x")
        assert stream.next_event().data == "x"


def test_pattern(sluice, redis):
    with sluice.open("/events/star") as stream:
        redis.publish("star:a", "1")
        redis.publish("star:b:c", "2")
        redis.publish("stars", "no")
        events = [stream.next_event(), stream.next_event()]
        assert [(e.type, e.data) for e in events] == [("star:a", "1"), ("star:b:c", "2")]
        stream.quiet_for(0.1)


def test_pattern_with_a_parameter(sluice, redis):
    with sluice.open("/events/pattern/a") as stream:
        redis.publish("pattern:b:1", "no")
        redis.publish("pattern:a:1", "yes")
        assert stream.next_event().data == "yes"


def test_parameter_is_no_pattern(sluice, redis):
    """No value may add a star, a colon or a line end to a channel's name."""
    for value in ("*", "%2a", "a:b", "a%0ab", "%5ba-z%5d", "a%3Fb", "%00", "%ff"):
        with sluice.get(f"/events/pattern/{value}") as response:
            assert response.status in (400, 404), value


def test_channel_and_pattern_that_both_match(sluice, redis):
    """Redis delivers such a message twice; what Sluice sends must not depend on luck, nor reach others."""
    with sluice.open("/events/both") as stream, sluice.open("/events/orders/1") as other:
        for i in range(3):
            redis.publish("both:x", str(i))
        redis.publish("both:y", "end")
        data = []
        while "end" not in data:
            data.append(stream.next_event().data)
        assert data in (["0", "1", "2", "end"], ["0", "0", "1", "1", "2", "2", "end"])
        other.quiet_for(0.1)


# The event's name


def test_event_name_literal(sluice, redis):
    with sluice.open("/events/literal") as stream:
        redis.publish("literal", "x")
        assert stream.next_event().type == "tick"


def test_event_name_from_a_parameter(sluice, redis):
    with sluice.open("/events/named/new") as stream:
        redis.publish("named:new", "x")
        assert stream.next_event().type == "order.new"


def test_event_name_from_the_message(sluice, redis):
    with sluice.open("/events/field") as stream:
        redis.publish("field", '{"kind":"paid","n":1}')
        event = stream.next_event()
        assert (event.type, event.data) == ("paid", '{"kind":"paid","n":1}')


def test_many_subscribers_share_the_work(sluice, redis):
    streams = [sluice.open("/events/orders/many") for _ in range(100)]
    redis.publish("orders:many", "x")
    assert all(s.next_event().data == "x" for s in streams)
    for s in streams:
        s.close()
    sluice.wait_subscribers(0)


def test_opened_and_closed_in_threads(sluice, redis):
    """Comings and goings while events flow: nobody gets a gap or another's events."""
    stop, errors = threading.Event(), []

    def come_and_go(name):
        try:
            while not stop.is_set():
                with sluice.open(f"/events/orders/{name}") as stream:
                    first = int(stream.next_event().data)
                    for i in range(5):
                        assert int(stream.next_event().data) == first + i + 1
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=come_and_go, args=(f"t{i % 3}",)) for i in range(6)]
    for t in threads:
        t.start()
    end = time.monotonic() + 1.5
    n = 0
    client = redis.client()
    while time.monotonic() < end or n < 100:
        pipe = client.pipeline(transaction=False)
        for i in range(3):
            pipe.publish(f"orders:t{i}", n)
        pipe.execute()
        n += 1
        time.sleep(0.002)
    stop.set()
    while any(t.is_alive() for t in threads):
        for i in range(3):
            client.publish(f"orders:t{i}", n)
        n += 1
        time.sleep(0.002)
    assert not errors, errors[0]
