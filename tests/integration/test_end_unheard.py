"""A stream that has ended for good, and a client that was cut before it was told so."""

import json
import time

import pytest

import fcgi

ROUTES = {
    "until": {"path": "/until/{name}", "streams": "eu:{name}", "until": "message.done == true"},
    "filtered": {"path": "/filtered/{name}", "streams": "eu:{name}", "filter": "message.n ~= 0", "until": "message.done == true"},
    "both": {"path": "/both/{name}", "streams": "eu:{name}:a eu:{name}", "until": "message.done == true"},
    "recorded": {"path": "/recorded/{name}", "channels": "eu:{name}", "record": "100", "until": "message.done == true",
                 "publish": "eu:{name}", "publish_auth": "none"},
    "script": {"path": "/script/{name}", "streams": "eu:{name}", "script": "ends.lua"},
    "plain": {"path": "/plain/{name}", "streams": "eu:{name}", "announce": "no", "until": "message.done == true"},
    "failed": {"path": "/failed/{name}", "streams": "eu:{name}", "until": "message.done == true", "abandoned": "300ms",
               "abandoned_data": '{"state":"failed"}'},
    "mux": {"path": "/mux", "handler": "mux", "routes": "*"},
}
ENDS = ["until", "filtered", "both", "script", "plain", "failed"]


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES, start=False)
    (sluice.folder / "ends.lua").write_text("return function(channel, message, event)\n"
                                            "  if message.done then event:message(message) return false end\n"
                                            "  return message\nend\n")
    return sluice.start()


def write(redis, name, *messages):
    return [redis.client().xadd(f"eu:{name}", {"data": json.dumps(m)}).decode() for m in messages]


def is_over(events, reason="until"):
    return events[-1].type == "stream-done" and json.loads(events[-1].data) == {"reason": reason} \
        and events[-1].last_event_id.endswith(".end")


@pytest.mark.parametrize("route", ENDS)
def test_who_has_had_the_last_event_is_told_that_it_was_the_last(sluice, redis, route):
    name, path = f"last-{route}", f"/{route}/last-{route}"
    with sluice.get(path) as stream:
        if route != "plain":
            stream.opened()
        else:
            sluice.wait_subscribers(1)
        first, last = write(redis, name, {"n": 1}, {"n": 2, "done": True})
        ids = [stream.next_message().last_event_id for _ in range(2)]
        stream.rest()
    for after in ([], write(redis, name, {"n": 3})):  # what comes later is not of it, either
        with sluice.get(path, headers={"Last-Event-ID": ids[1]}) as stream:
            events = stream.rest()
            if route == "plain":
                assert not events and bytes(stream.body).endswith(b"id: 0.end\n\n")
            else:
                assert [e.type for e in events] == ["stream-open", "stream-done"] and is_over(events)
                assert json.loads(events[0].data) == {"resumed": True, "from": ids[1]}
        with sluice.get(path, headers={"Last-Event-ID": ids[0]}) as stream:
            events = stream.rest()
            assert [e.data for e in events if e.type == "message"] == ['{"n": 2, "done": true}'] or \
                [json.loads(e.data) for e in events if e.type == "message"] == [{"n": 2, "done": True}]
            assert route == "plain" or is_over(events)
        with sluice.get(path + "?mode=ndjson", headers={"Last-Event-ID": ids[1]}) as stream:
            assert is_over(stream.rest())


def test_a_stream_that_is_used_again(sluice, redis):
    """An end of long ago is not the end for who has only stood behind it, as everybody does who comes without an id."""
    id = f"{int(time.time() - 120) * 1000}-0"
    redis.client().xadd("eu:again", {"data": '{"done":true}'}, id=id)
    with sluice.open("/until/again") as stream:
        assert stream.parser.last_event_id == id
    with sluice.open("/until/again", headers={"Last-Event-ID": id}) as stream:
        write(redis, "again", {"n": 1}, {"n": 2, "done": True})
        assert [e.data for e in stream.rest() if e.type == "message"] == ['{"n": 1}', '{"n": 2, "done": true}']


def test_of_a_recorded_channel(sluice, redis):
    with sluice.open("/recorded/r") as stream:
        for body in (b'{"n":1}', b'{"n":2,"done":true}'):
            with sluice.get("/recorded/r", method="POST", body=body, CONTENT_TYPE="application/json") as answer:
                assert answer.status == 202
        ids = [stream.next_message().last_event_id for _ in range(2)]
        assert is_over(stream.rest())
    for id, n in ((ids[1], 0), (ids[0], 1)):
        with sluice.get("/recorded/r", headers={"Last-Event-ID": id}) as stream:
            events = stream.rest()
            assert is_over(events) and len([e for e in events if e.type == "message"]) == n


def test_an_entry_that_the_filter_keeps_away_is_no_end(sluice, redis):
    """It is true for until, and was not sent: whoever has a place there goes on."""
    id = write(redis, "away", {"n": 0, "done": True})[0]
    with sluice.open("/filtered/away", headers={"Last-Event-ID": id}) as stream:
        write(redis, "away", {"n": 1})
        assert json.loads(stream.next_message().data) == {"n": 1}


def test_one_that_comes_while_somebody_is_sent_what_he_missed(sluice, redis):
    """The last event stands in the log before he reads it: he ends behind it, as all others do."""
    path = "/until/meanwhile"
    first = write(redis, "meanwhile", {"n": 1}, *[{"n": n} for n in range(2, 9)])[0]
    with sluice.open(path):
        redis.client().execute_command("CLIENT", "PAUSE", 100, "ALL")  # what they missed is not read yet
        responses = [fcgi.Connection(sluice.address) for _ in range(3)]
        for connection in responses:
            connection.send(fcgi.request(path, headers={"Last-Event-ID": first}))
        write(redis, "meanwhile", {"n": 9, "done": True})
        for connection in responses:
            with fcgi.Response(connection) as response:
                events = response.rest()
                assert is_over(events)
                assert [json.loads(e.data)["n"] for e in events if e.type == "message"] == [*range(2, 10)]


def test_carried_by_a_mux(sluice, redis):
    with sluice.open("/until/mux") as stream:
        last = write(redis, "mux", {"done": True})[0]
        assert stream.next_message().last_event_id == last
    subscriptions = json.dumps([["k", "/until/mux", last]]).replace('"', "%22").replace(" ", "")
    with sluice.open(f"/mux?s={subscriptions}") as stream:
        heads = []
        while not heads or heads[-1][1] != "mux-end":
            event = stream.next_of("mux")
            heads.append(json.loads(event.data.partition("\n")[0]))
    assert [name for _, name, _ in heads] == ["stream-open", "stream-done", "mux-end"]
    assert json.loads(event.data.partition("\n")[2]) == {"for_good": True}
