"""The first event is what is now, and nothing falls between it and what comes."""

import json
import os
import threading
import time

import pytest

import fcgi
from sluice import ini
from waiting import SLOW

ROUTES = {
    "get": {"path": "/get/{k}", "channels": "n:{k}", "snapshot": "GET n:{k}:now"},
    "hash": {"path": "/hash", "channels": "n:changes", "snapshot": "HGETALL n:state"},
    "list": {"path": "/list", "channels": "n:list", "snapshot": "LRANGE n:items 0 -1"},
    "logic": {"path": "/logic", "channels": "n:logic", "snapshot": "GET n:logic:now", "filter": "message.n > 5"},
    "until": {"path": "/until/{k}", "channels": "n:until:{k}", "snapshot": "GET n:until:{k}:now",
              "filter": "message.n > 5", "until": "message.done == true and id == nil and channel == nil or message.last == true"},
    "text": {"path": "/text", "channels": "n:text", "snapshot": "GET n:text:now", "until": "text == '[DONE]'"},
    "stream": {"path": "/stream", "streams": "n:stream", "snapshot": "GET n:stream:now"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


def test_it_comes_first(sluice, redis):
    redis.client().set("n:a:now", "what is: Zoë")
    with sluice.open("/get/a") as stream:
        event = stream.next_event()
        assert (event.type, event.data) == ("snapshot", "what is: Zoë")
        redis.publish("n:a", "what comes")
        assert stream.next_event().data == "what comes"


def test_none_without_the_key(sluice, redis):
    with sluice.open("/get/none") as stream:
        redis.publish("n:none", "1")
        assert stream.next_event().data == "1"


def test_hash_and_list(sluice, redis):
    client = redis.client()
    client.hset("n:state", mapping={"a": "1", "b": "x"})
    client.rpush("n:items", '{"id":1}', "two")
    with sluice.open("/hash") as stream:
        assert json.loads(stream.next_event().data) == {"a": "1", "b": "x"}
    with sluice.open("/list") as stream:
        assert json.loads(stream.next_event().data) == [{"id": 1}, "two"]


def test_logic_is_for_messages(sluice, redis):
    redis.client().set("n:logic:now", "no JSON")
    with sluice.open("/logic") as stream:
        assert stream.next_event().data == "no JSON"
        redis.publish("n:logic", '{"n":1}')
        redis.publish("n:logic", '{"n":9}')
        assert stream.next_event().data == '{"n":9}'


def test_until_is_asked_of_it(sluice, redis):
    """Without the filter; the subscriber alone ends."""
    client = redis.client()
    with sluice.open("/until/a") as before:
        client.set("n:until:a:now", '{"n":1,"done":true}')
        with sluice.open("/until/a") as stream:
            events = stream.rest()
            assert [e.type for e in events] == ["snapshot", "stream-done"]
            assert json.loads(events[-1].data) == {"reason": "until"}
            assert events[-1].last_event_id.endswith(".end")
        redis.publish("n:until:a", '{"n":9,"done":true}')
        assert before.next_message().data == '{"n":9,"done":true}'
    client.set("n:until:b:now", '{"n":1}')
    with sluice.open("/until/b") as stream:
        assert stream.next_event().type == "snapshot"
        redis.publish("n:until:b", '{"n":9}')
        assert stream.next_message().data == '{"n":9}'
    client.set("n:text:now", "[DONE]")
    with sluice.open("/text") as stream:
        assert [e.type for e in stream.rest()] == ["snapshot", "stream-done"]


def test_who_resumes_needs_none(sluice, redis):
    client = redis.client()
    client.set("n:stream:now", "now")
    with sluice.open("/stream") as stream:
        assert stream.next_event().data == "now"
        id = client.xadd("n:stream", {"data": "1"}).decode()
        client.xadd("n:stream", {"data": "2"})
        assert stream.next_event().data == "1"
    with sluice.open("/stream", headers={"Last-Event-ID": id}) as stream:
        assert stream.next_event().data == "2"
    with sluice.open("/stream", headers={"Last-Event-ID": "rubbish"}) as stream:
        assert stream.next_event().type == "stream-reset"
        assert stream.next_event().data == "now"


def test_nothing_falls_between(sluice, redis):
    """1,000 come while a hash changes 1,000 times a second: the snapshot and the events give the final state."""
    client = redis.client()
    client.delete("n:state")
    done = threading.Event()
    written, rates = {}, []

    def write():
        writer = redis.client(username="default")
        n, started = 0, time.monotonic()
        while not done.is_set():
            if n % 10 == 0:  # ten at a time, at their time
                time.sleep(max(0, started + n / 1000 - time.monotonic()))
            n += 1
            field = f"f{n % 7}"
            with writer.pipeline(transaction=True) as pipe:
                pipe.hset("n:state", field, n)
                pipe.publish("n:changes", json.dumps({field: str(n)}))
                pipe.execute()
            written[field] = str(n)
            if n == 1:
                begun.set()
        rates.append(n / (time.monotonic() - started))

    begun = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        begun.wait(5)
        responses = [fcgi.get(sluice.address, "/hash") for _ in range(1000)]
    finally:
        done.set()
        thread.join()
    print(f"the hash changed {rates[0]:.0f} times a second")
    assert rates[0] > 1000 / 4 / SLOW, "it was to change all the time"
    for response in responses:
        with response:
            state = None
            while state != written:
                event = response.next_event(10)
                if event.type == "snapshot":
                    assert state is None, "the first event"
                    state = json.loads(event.data)
                elif event.type == "message":
                    state.update(json.loads(event.data))


def test_reads_are_shared(sluice, redis):
    client = redis.client()
    client.set("n:many:now", "x")

    def calls():
        return client.info("commandstats")["cmdstat_get"]["calls"]
    with sluice.open("/get/many") as stream:
        stream.next_event()
        before = calls()
        connections = [sluice.connect() for _ in range(100)]
        for connection in connections:
            connection.send(fcgi.request("/get/many"))
        responses = [fcgi.Response(connection) for connection in connections]
        for response in responses:
            assert response.opened().next_event().data == "x"
            response.close()
        assert calls() - before < 100


def test_redis_goes_and_comes_back(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"get": ROUTES["get"]}, redis=redis)
    with sluice.open("/get/k"):
        redis.kill()
        stream = sluice.get("/get/k")
        redis.start()
        redis.client().set("n:k:now", "back")
        assert stream.opened(15).next_event(15).data in ("back",)
        stream.close()


# What is sent in its place, and where it says that the stream begins.

FROM = {
    "text": {"path": "/t/{k}", "streams": "nf:{k}", "snapshot": "GET nf:{k}:now", "snapshot_from": "{.at}", "history": 100000},
    "absent": {"path": "/absent/{k}", "streams": "nf:{k}", "snapshot": "GET nf:{k}:now", "snapshot_from": "{.at}", "start": "0",
               "snapshot_missing": '{"text":""}'},
    "zero": {"path": "/zero/{k}", "streams": "nf:{k}", "snapshot": "GET nf:{k}:now", "snapshot_from": "{.at}",
             "snapshot_missing": '{"at":"0-0"}'},
    "template": {"path": "/template/{k}", "channels": "nf:{k}", "snapshot": "HGETALL nf:{k}:h", "snapshot_missing": '{{"of":"{k}"}}'},
    "list": {"path": "/list/{k}", "channels": "nf:{k}", "snapshot": "LRANGE nf:{k}:l 0 -1", "snapshot_missing": '{{"none":"{k}"}}'},
    "hash": {"path": "/hash/{k}", "channels": "nf:{k}", "snapshot": "HMGET nf:{k}:h a b", "snapshot_missing": "none"},
    "range": {"path": "/range/{k}", "channels": "nf:{k}", "snapshot": "XREVRANGE nf:{k}:x + - COUNT 3"},
    "ends": {"path": "/ends/{k}", "channels": "nf:{k}", "snapshot": "GET nf:{k}:now", "snapshot_missing": "gone", "until": "text == 'gone'"},
    "recorded": {"path": "/recorded/{k}", "channels": "nf:{k}", "record": 100, "snapshot": "GET nf:{k}:now", "snapshot_from": "{.at}"},
}


@pytest.fixture(scope="module")
def places(launch_shared):
    return launch_shared(FROM, name="places")


def test_what_is_sent_for_a_key_that_is_not_there(places, redis):
    client = redis.client()
    for path, data in (("/template/a", '{"of":"a"}'), ("/list/a", '{"none":"a"}'), ("/hash/a", "none")):
        with places.open(path) as stream:
            event = stream.next_event()
            assert (event.type, event.data) == ("snapshot", data)
            redis.publish("nf:a", "1")
            assert stream.next_event().data == "1"
    client.hset("nf:a:h", "x", "1")
    with places.open("/template/a") as stream:
        assert json.loads(stream.next_event().data) == {"x": "1"}
    client.hset("nf:a:h", "b", "2")
    with places.open("/hash/a") as stream:
        assert json.loads(stream.next_event().data) == [None, "2"]
    with places.open("/ends/a") as stream:
        assert [e.type for e in stream.rest()] == ["snapshot", "stream-done"]
    client.set("nf:a:now", "")
    with places.open("/ends/a") as stream:  # an empty text is there
        redis.publish("nf:a", "gone")
        assert [e.data for e in stream.rest()][:-1] in (["", "gone"], ["gone"])


def test_an_empty_list_or_stream_is_no_key(places, redis):
    client = redis.client()
    with places.open("/range/e") as stream:
        redis.publish("nf:e", "first")
        assert stream.next_event().data == "first"
    client.rpush("nf:e:l", "1")
    client.xadd("nf:e:x", {"data": "1"}, id="5-1")
    with places.open("/list/e") as stream:
        assert (stream.next_event().data) == '["1"]'
    with places.open("/range/e") as stream:
        assert json.loads(stream.next_event().data) == [["5-1", ["data", "1"]]]


def test_the_stream_begins_where_it_says(places, redis):
    client = redis.client()
    ids = [client.xadd("nf:b", {"data": str(n)}).decode() for n in range(5)]
    client.set("nf:b:now", json.dumps({"at": ids[2], "text": "012"}))
    with places.get("/t/b") as stream:
        event = stream.next_of("stream-open")
        assert json.loads(event.data) == {"resumed": False, "from": ids[2]} and event.last_event_id == ids[2]
        assert json.loads(stream.next_event().data)["text"] == "012"
        client.xadd("nf:b", {"data": "5"})
        assert [stream.next_message().data for _ in range(3)] == ["3", "4", "5"]
    with places.open("/t/b", headers={"Last-Event-ID": ids[3]}) as stream:  # it says so itself
        assert [stream.next_event().data for _ in range(2)] == ["4", "5"]


@pytest.mark.parametrize("id", ["rubbish", "9999999999999-0"])
def test_who_says_what_is_no_place(places, redis, id):
    """The client is told that its own id is none, and the stream begins where the snapshot says."""
    client = redis.client()
    first = client.xadd("nf:g", {"data": "before"}).decode()
    client.xadd("nf:g", {"data": "behind"})
    client.set("nf:g:now", json.dumps({"at": first}))
    with places.get("/t/g", headers={"Last-Event-ID": id}) as stream:
        assert json.loads(stream.next_of("stream-open").data) == {"resumed": False, "from": first}
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "unknown-id"})
        assert stream.next_event().type == "snapshot"
        assert stream.next_message().data == "behind"


@pytest.mark.parametrize("now", ['{"at":"rubbish"}', '{"at":"9999999999999-0"}', '{"text":"x"}', "no JSON", '{"at":"1-1,1-1"}'])
def test_what_is_no_place(places, redis, now):
    client = redis.client()
    client.xadd("nf:c", {"data": "before"})
    client.set("nf:c:now", now)
    with places.open("/t/c") as stream:
        event = stream.next_event()
        assert (event.type, json.loads(event.data)) == ("stream-reset", {"reason": "unknown-id"})
        assert stream.next_event().data == now
        client.xadd("nf:c", {"data": "live"})
        assert stream.next_event().data == "live"


def test_a_place_for_what_is_missing(places, redis):
    client = redis.client()
    client.xadd("nf:d", {"data": "1"})
    for path, data in (("/absent/d", '{"text":""}'), ("/zero/d", '{"at":"0-0"}')):
        with places.open(path) as stream:
            assert [stream.next_event().data for _ in range(2)] == [data, "1"]
    with places.open("/t/none") as stream:
        client.xadd("nf:none", {"data": "1"})
        assert stream.next_event().data == "1"


def test_recorded(places, redis):
    client = redis.client()
    id = client.xadd("nf:e:log", {"data": "1"}).decode()
    client.xadd("nf:e:log", {"data": "2"})
    client.set("nf:e:now", json.dumps({"at": id}))
    with places.open("/recorded/e") as stream:
        assert json.loads(stream.next_event().data) == {"at": id}
        assert stream.next_event().data == "2"


def test_text_so_far_and_then_its_tokens(places, redis):
    """Pages opened at any time while tokens are written: the text is equal in all, and nothing comes twice."""
    script = """local at = redis.call('XADD', KEYS[1], '*', 'data', ARGV[1])
        redis.call('SET', KEYS[2], cjson.encode({at = at, text = ARGV[2]}))"""
    total, pages, opened = *((3000, 500) if os.environ.get("SNAPSHOT_FULL") else (1500, 250)), []

    def write():
        client, text = redis.client(username="default"), ""
        for n in range(total):
            text += f"{n} "
            client.eval(script, 2, "nf:f", "nf:f:now", f"{n} ", text)
        written.append(text)
    written = []
    thread = threading.Thread(target=write)
    thread.start()
    try:
        opened = [fcgi.get(places.address, "/t/f") for _ in range(pages)]
    finally:
        thread.join()
    begun = set()
    for response in opened:
        with response:
            text = ""
            while text != written[0]:
                event = response.next_event(10)
                if event.type == "snapshot":
                    assert text == "", "the first event"
                    text = json.loads(event.data)["text"]
                    begun.add(text)
                elif event.type == "message":
                    text += event.data
                    assert written[0].startswith(text)
                else:
                    assert event.type == "stream-open", event
    assert len(begun) > 1, "pages were to be opened meanwhile"


@pytest.mark.parametrize("keys, said", [
    ({"streams": "x", "snapshot_missing": "x"}, "snapshot_missing: there is no snapshot"),
    ({"streams": "x", "snapshot_from": "{.at}"}, "snapshot_from: there is no snapshot"),
    ({"channels": "x", "snapshot": "GET x", "snapshot_from": "{.at}"}, "snapshot_from: an id is a place in streams"),
    ({"streams": "x", "channels": "y", "snapshot": "GET x", "snapshot_from": "{.at}"}, "snapshot_from: an id is a place in streams"),
])
def test_what_check_refuses(places, tmp_path, keys, said):
    file = tmp_path / "sluice.ini"
    file.write_text(ini({"server": {"listen": f"unix:{tmp_path}/s"}, "route x": {"path": "/x", **keys}}))
    result = places.run("check", "-c", file)
    assert result.returncode != 0 and said in result.out + result.err
