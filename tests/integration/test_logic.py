"""What a route's section does to messages: filter, transform, fields, script, until, rate, batch."""

import json
import time
from decimal import Decimal

import pytest

from waiting import SLOW, Timeout, deadline, wait_for

SCRIPTS = {
    "count.lua": """
        local n = 0
        return function(channel, message, event)
            n = n + 1
            return {n = n, channel = channel, room = params.room, now = now}
        end""",
    "same.lua": "return function(channel, message, event) return message end",
    "nulls.lua": """
        return function(channel, message, event)
            message.error = message.error or "none"
            message.gone = nil
            return message
        end""",
    "job.lua": """
        return function(channel, message, event)
            if message.status == "completed" or message.status == "failed" then
                event:message({status = message.status, percent = 100, message = message.message or "Done"})
                return false
            end
            return message
        end""",
    "more.lua": """
        return function(channel, message, event)
            event:message("first", "one")
            event:message({2}, "two")
            if message.stop then event:terminate() end
            return "last"
        end""",
    "later.lua": """
        local held = {}
        return function(channel, message, event)
            if message == nil then
                local batch = held
                held = {}
                return batch
            end
            held[#held + 1] = message
            if #held == 1 then event:after(150) end
            return nil
        end""",
    "bad.lua": """
        return function(channel, message, event)
            event:message("not sent")
            return message.user.name
        end""",
    "away.lua": """
        return function(channel, message, event)
            while message.loop do end
            return "fine"
        end""",
    "done.lua": """
        return function(channel, message, event)
            if text == "[DONE]" then return false end
            return message and message.n or "no JSON: " .. text
        end""",
    "nothing.lua": "return function() return nil end",
    "hoard.lua": """
        local seen, n = {}, 0
        return function(channel, message, event)
            n = n + 1
            for i = 1, message.size or 0 do seen[#seen + 1] = i end
            return {n = n}
        end""",
}

ROUTES = {
    "filter": {"path": "/filter", "channels": "l:filter", "filter": "message.priority >= 5"},
    "transform": {"path": "/transform/{room}", "channels": "l:transform",
                  "transform": "{room = params.room, text = message.text, channel = channel, at = now}"},
    "value": {"path": "/value", "channels": "l:value", "transform": "message.value"},
    "whole": {"path": "/whole", "channels": "l:exact", "transform": "message"},
    "parts": {"path": "/parts", "channels": "l:exact", "transform": "{n = message.n}"},
    "pass": {"path": "/pass", "channels": "l:exact", "filter": "true"},
    "exact_script": {"path": "/exact-script", "channels": "l:exact", "script": "same.lua"},
    "exact_fields": {"path": "/exact-fields", "channels": "l:exact", "fields": "n, list, none"},
    "exact_batch": {"path": "/exact-batch", "channels": "l:exact", "batch": "1/1s"},
    "fields": {"path": "/fields/{room}", "channels": "l:fields", "fields": "id, user",
               "add.server_time": "{now}", "add.room": "{room}", "add.owner": "{.user.name}", "add.who": "{.user}",
               "add.text": "{room}/{.id}", "add.from": "{channel}", "add.camelCase": "x"},
    "named": {"path": "/named", "channels": "l:named", "event": "{.type}", "id": "{.id}"},
    "named_batch": {"path": "/named-batch", "channels": "l:named-batch", "event": "{.type}", "id": "{.id}", "batch": "2/1h"},
    "away": {"path": "/away/{id}", "channels": "l:away:{id}", "script": "away.lua"},
    "unique": {"path": "/unique", "channels": "l:unique", "id": "{unique}"},
    "until": {"path": "/until", "channels": "l:until", "filter": "message.job == 7",
              "until": "message.status == 'done'"},
    "until_slow": {"path": "/until-slow", "channels": "l:until-slow", "until": "message.done", "rate": "1/1h",
                   "batch": "100/1h", "rate_mode": "latest", "rate_by": "{.key}"},
    "drop": {"path": "/drop", "channels": "l:drop", "rate": "2/500ms"},
    "latest": {"path": "/latest", "channels": "l:latest", "rate": "1/300ms", "rate_mode": "latest"},
    "latest_by": {"path": "/latest-by", "channels": "l:latest-by", "rate": "1/300ms", "rate_mode": "latest",
                  "rate_by": "{.sensor}"},
    "batch": {"path": "/batch", "channels": "l:batch1 l:batch2", "batch": "3/300ms"},
    "text_batch": {"path": "/text-batch", "channels": "l:text-batch", "batch": "5/1h"},
    "count": {"path": "/count/{room}", "channels": "l:count", "script": "count.lua"},
    "nulls": {"path": "/nulls", "channels": "l:nulls", "script": "nulls.lua"},
    "job": {"path": "/job/{id}", "channels": "l:job:{id}", "script": "job.lua"},
    "more": {"path": "/more", "channels": "l:more", "script": "more.lua"},
    "later": {"path": "/later", "channels": "l:later", "script": "later.lua"},
    "bad": {"path": "/bad", "channels": "l:bad", "script": "bad.lua"},
    "hoard": {"path": "/hoard/{room}", "channels": "l:hoard", "script": "hoard.lua", "retry": "100ms"},
    "text_until": {"path": "/text-until", "channels": "l:text", "until": "text == '[DONE]'"},
    "text_filter": {"path": "/text-filter", "channels": "l:text", "filter": "text ~= 'skip'", "event": "{channel}"},
    "text_transform": {"path": "/text-transform", "channels": "l:text", "transform": "{was = text, n = #text}"},
    "text_name": {"path": "/text-name", "channels": "l:text", "event": "{text}"},
    "text_and_more": {"path": "/text-and-more", "channels": "l:text", "filter": "message.n", "until": "text == '[DONE]'"},
    "text_script": {"path": "/text-script", "channels": "l:text", "script": "done.lua"},
    "nothing": {"path": "/nothing", "channels": "l:nothing", "script": "nothing.lua"},
    "plain": {"path": "/plain", "channels": "l:plain"},
    "plain_field": {"path": "/plain-field", "channels": "l:plain-field", "event": "{.type}"},
    "max": {"path": "/max", "channels": "l:max", "filter": "message > 1", "max_events": 2},
    "shared": {"path": "/shared", "channels": "l:shared", "filter": "message.n % 2 == 0",
               "transform": "{n = message.n}", "rate": "1000/s"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    instance = launch_shared(ROUTES, start=False)
    for name, text in SCRIPTS.items():
        (instance.folder / name).write_text(text)
    return instance.start()


def data(stream, n=1):
    return [json.loads(stream.next_message().data) for _ in range(n)]


def publish(redis, channel, *messages):
    """All at once: what belongs into one window is there when it begins."""
    pipe = redis.client().pipeline(transaction=False)
    for message in messages:
        pipe.publish(channel, message if isinstance(message, (str, bytes)) else json.dumps(message))
    pipe.execute()


def test_filter(sluice, redis):
    """A message without the field, or with another type in it, counts as not true."""
    with sluice.open("/filter") as stream:
        before = sluice.status()
        sent = ['{"priority":5}', '{ "priority" : 9, "x": [1, 2] }']
        publish(redis, "l:filter", {"priority": 4}, sent[0], {}, {"priority": "6"}, [], "3", "no JSON", sent[1])
        assert [stream.next_message().data for _ in sent] == sent, "the very bytes"
        after = sluice.status()
        assert after["filtered"] - before["filtered"] == 5
        assert after["failed"] - before["failed"] == 4
        assert after["dropped_invalid"] - before["dropped_invalid"] == 1
    sluice.wait_log("[route filter] filter: ")


def test_transform_knows_parameters_and_channel(sluice, redis):
    with sluice.open("/transform/a") as a, sluice.open("/transform/b") as b:
        publish(redis, "l:transform", {"text": "Zoë"})
        for stream, room in ((a, "a"), (b, "b")):
            got = data(stream)[0]
            assert abs(got.pop("at") - time.time()) < 5 * SLOW
            assert got == {"room": room, "text": "Zoë", "channel": "l:transform"}


def test_what_a_result_becomes(sluice, redis):
    with sluice.open("/value") as stream:
        publish(redis, "l:value", *[{"value": v} for v in
                                    ["text as it is", "", 7, 1.5, True, False, None, [1, [], {}, None], {"a": {}}]], {"x": 1})
        publish(redis, "l:value", {"value": "end"})
        got = [stream.next_message().data for _ in range(8)]
        assert got == ["text as it is", "", "7", "1.5", "true", "[1,[],{},null]", '{"a":{}}', "end"]


EXACT = ["18446744073709551615", "-9223372036854775808", "9007199254740993", "18446744073709551616",
         "123456789012345678901234567890", "-9223372036854775809", "0.1", "1e3", "true", "null", '"Zo\\u00eb"', "[]",
         "{}", "[null,[],{}]"]


@pytest.mark.parametrize("path", ["whole", "parts", "pass", "exact-script", "exact-fields", "exact-batch"])
def test_what_passes_is_exact(sluice, redis, path):
    with sluice.open(f"/{path}") as stream:
        for text in EXACT:
            publish(redis, "l:exact", '{"n":%s}' % text)
            got = stream.next_message().data
            value = json.loads(got, parse_int=Decimal, parse_float=Decimal)
            if path == "exact-batch":
                value = value["batch"][0]["data"]
            expected = json.loads('{"n":%s}' % text, parse_int=Decimal, parse_float=Decimal)
            if path == "parts" and text == "null":
                expected = {}
            assert value == expected, got


NOT_JSON = ["{\"n\":NaN}", "{'n':1}", '{"n":Infinity}', "{\"n\":01}", '{"n":1,}', "[1,]", '{"n":1}x', "\0", '{"n":"\n"}',
            "[" * 10000 + "]" * 10000, '{"n":' * 10000, '{"n":1} /* no */', '{"a\\u0000b":1}', '{"n":"\\x"}', "nul",
            b'{"n":"\xff"}']


@pytest.mark.parametrize("path", ["whole", "parts", "pass", "exact-script", "exact-fields"])
def test_what_is_no_json_is_dropped_and_counted(sluice, redis, path):
    with sluice.open(f"/{path}") as stream:
        before = sluice.status()["dropped_invalid"]
        publish(redis, "l:exact", *NOT_JSON, '{"n":1}')
        assert data(stream) == [{"n": 1}]
        assert sluice.status()["dropped_invalid"] - before == len(NOT_JSON)


def test_duplicate_names_last_one_counts(sluice, redis):
    with sluice.open("/parts") as stream, sluice.open("/pass") as passed:
        publish(redis, "l:exact", '{"n":1,"n":2}')
        assert data(stream) == [{"n": 2}]
        assert passed.next_message().data == '{"n":1,"n":2}'


def test_a_message_beyond_a_mebibyte_is_not_looked_into(sluice, redis):
    with sluice.open("/pass") as stream:
        before = sluice.status()["dropped_invalid"]
        publish(redis, "l:exact", '{"n":"%s"}' % ("x" * (1 << 20)), '{"n":1}')
        assert data(stream) == [{"n": 1}]
        assert sluice.status()["dropped_invalid"] == before + 1


def test_fields_and_add(sluice, redis):
    with sluice.open("/fields/r1") as stream:
        publish(redis, "l:fields", {"id": 7, "secret": "x", "user": {"name": "ada", "n": [1]}, "room": "forged"})
        got = data(stream)[0]
        assert isinstance(got["server_time"], int) and abs(got.pop("server_time") - time.time()) < 5 * SLOW
        assert got == {"id": 7, "user": {"name": "ada", "n": [1]}, "room": "r1", "owner": "ada",
                       "who": {"name": "ada", "n": [1]}, "text": "r1/7", "from": "l:fields", "camelCase": "x"}
        before = sluice.status()["failed"]
        publish(redis, "l:fields", {"id": 8}, [1], {"id": 9, "user": {"name": 'q"\\'}})
        assert data(stream)[0]["owner"] == 'q"\\'
        assert sluice.status()["failed"] == before + 2


def test_event_and_id_from_the_message(sluice, redis):
    with sluice.open("/named") as stream:
        before = sluice.status()
        publish(redis, "l:named", {"type": "order", "id": 5}, {"type": "stream-open", "id": 6}, {"type": "a", "id": "x.end"},
                {"type": "a\nb", "id": 1}, {"type": "a", "id": "a\u0000b"}, {"id": 8}, {"type": "a"}, "text",
                {"type": "pay", "id": "k-1"})
        first, second = stream.next_event(), stream.next_event()
        assert (first.type, stream.parser.last_event_id) == ("order", "k-1")
        assert second.type == "pay"
        after = sluice.status()
        assert after["dropped_reserved"] - before["dropped_reserved"] == 2
        assert after["dropped_invalid"] - before["dropped_invalid"] == 5


def test_a_bad_name_takes_no_others_of_its_batch_with_it(sluice, redis):
    with sluice.open("/named-batch") as stream:
        before = sluice.status()["dropped_invalid"]
        publish(redis, "l:named-batch", {"type": "a", "id": "1"}, {"type": "b\n", "id": "2"}, {"type": "c", "id": "(3)"},
                {"type": "d", "id": "4"})
        event = stream.next_message()
        assert (event.type, stream.parser.last_event_id) == ("d", "4")
        assert [b["data"]["id"] for b in json.loads(event.data)["batch"]] == ["1", "4"]
        assert sluice.status()["dropped_invalid"] == before + 2


def test_a_script_that_runs_away_does_not_shut_out_who_comes_meanwhile(sluice, redis):
    with sluice.open("/away/a") as bad:
        publish(redis, "l:away:a", *[{"loop": True}] * 50)
        wait_for(lambda: sluice.status()["failed"] >= 50, lambda: "all to fail")
        with sluice.open("/away/b") as stream:
            until = deadline(10)
            while time.monotonic() < until:
                publish(redis, "l:away:b", {})
                try:
                    assert stream.next_message(0.1).data == "fine"
                    break
                except Timeout:
                    pass
            else:
                raise AssertionError("the second feed never gets anything")
        assert bad.quiet_for(0.05)


def test_unique(sluice, redis):
    with sluice.open("/unique") as stream:
        ids = set()
        for _ in range(20):
            publish(redis, "l:unique", "{}")
            stream.next_message()
            ids.add(stream.parser.last_event_id)
        assert len(ids) == 20


def test_until_is_asked_only_of_what_passes(sluice, redis):
    with sluice.open("/until") as stream:
        publish(redis, "l:until", {"job": 8, "status": "done"}, {"job": 7}, {"job": 7, "status": "done"}, {"job": 7})
        events = stream.rest()
        assert [json.loads(e.data) for e in events if e.type == "message"] == [{"job": 7}, {"job": 7, "status": "done"}]
        assert (events[-1].type, json.loads(events[-1].data)) == ("stream-done", {"reason": "until"})
    with sluice.get("/until", headers={"Last-Event-ID": stream.parser.last_event_id}) as response:
        assert response.status == 204


def test_until_sends_all_that_is_held(sluice, redis):
    with sluice.open("/until-slow") as stream:
        publish(redis, "l:until-slow", {"key": "a", "v": 1}, {"key": "a", "v": 2}, {"key": "b", "v": 3}, {"key": "b", "v": 4},
                {"key": "a", "done": True})
        events = [e for e in stream.rest() if e.type == "message"]
        assert len(events) == 1
        got = json.loads(events[0].data)
        assert got["count"] == 4
        assert [b["data"] for b in got["batch"]] == [{"key": "a", "v": 1}, {"key": "b", "v": 3}, {"key": "b", "v": 4},
                                                     {"key": "a", "done": True}]


def test_rate_drops(sluice, redis):
    with sluice.open("/drop") as stream:
        before = sluice.status()["rate_limited"]
        publish(redis, "l:drop", *range(10))
        assert data(stream, 2) == [0, 1]
        wait_for(lambda: sluice.status()["rate_limited"] == before + 8, lambda: "8 to be limited")
        time.sleep(0.6 * SLOW)  # a window of 500 ms
        publish(redis, "l:drop", 10, 11, 12)
        assert data(stream, 2) == [10, 11]


def test_the_newest_value_is_never_lost(sluice, redis):
    """It is sent when the window opens, though nothing more is published."""
    with sluice.open("/latest") as stream:
        began = time.monotonic()
        publish(redis, "l:latest", *range(10))
        assert data(stream, 2) == [0, 9]
        assert time.monotonic() - began > 0.25
        assert stream.quiet_for(0.5)


def test_rate_by_has_a_window_for_each_value(sluice, redis):
    with sluice.open("/latest-by") as stream:
        publish(redis, "l:latest-by", *[{"sensor": s, "v": v} for v in range(3) for s in "ab"])
        got = data(stream, 4)
        assert got[:2] == [{"sensor": "a", "v": 0}, {"sensor": "b", "v": 0}]
        assert sorted(got[2:], key=str) == [{"sensor": "a", "v": 2}, {"sensor": "b", "v": 2}]


def test_a_batch_goes_by_count_and_by_time(sluice, redis):
    with sluice.open("/batch") as stream:
        publish(redis, "l:batch1", {"a": 1})
        publish(redis, "l:batch2", {"a": 2})
        publish(redis, "l:batch1", {"a": 3}, {"a": 4})
        first, second = data(stream, 2)
        assert first == {"batch": [{"channel": "l:batch1", "data": {"a": 1}}, {"channel": "l:batch2", "data": {"a": 2}},
                                   {"channel": "l:batch1", "data": {"a": 3}}], "count": 3}
        assert second == {"batch": [{"channel": "l:batch1", "data": {"a": 4}}], "count": 1}


def test_text_in_a_batch(sluice, redis):
    with sluice.open("/text-batch") as stream:
        sent = ["plain", 'quo"te\\', "NaN", "line\nline", "Zoë"]
        publish(redis, "l:text-batch", *sent)
        assert [b["data"] for b in data(stream)[0]["batch"]] == sent


def test_a_batch_does_not_wait_for_who_comes_later(sluice, redis):
    """What was held for those who have left is not sent to the next."""
    with sluice.open("/text-batch") as stream:
        publish(redis, "l:text-batch", "old")
        wait_for(lambda: redis.n_subscribers("l:text-batch") == 1, lambda: "the subscription")
    sluice.wait_subscribers(0)
    with sluice.open("/text-batch") as stream:
        publish(redis, "l:text-batch", *"12345")
        assert [b["data"] for b in data(stream)[0]["batch"]] == [1, 2, 3, 4, 5]


def test_a_script_keeps_a_state_for_each_feed(sluice, redis):
    with sluice.open("/count/a") as a, sluice.open("/count/b") as b, sluice.open("/count/a") as a2:
        publish(redis, "l:count", {}, {})
        assert [d["n"] for d in data(a, 2)] == [1, 2]
        assert [d["n"] for d in data(a2, 2)] == [1, 2]
        for i, got in enumerate(data(b, 2)):
            assert (got["n"], got["channel"], got["room"]) == (i + 1, "l:count", "b")
            assert abs(got["now"] - time.time()) < 5 * SLOW


def test_null_reads_as_nil_in_a_script_and_comes_out_as_null(sluice, redis):
    with sluice.open("/nulls") as stream:
        publish(redis, "l:nulls", '{"error":null,"gone":null,"kept":null,"list":[1,null,[]],"empty":[],"object":{}}')
        assert stream.next_message().data == ('{"error":"none","kept":null,"list":[1,null,[]],"empty":[],"object":{}}')


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_script_ends_the_stream(sluice, redis, status):
    with sluice.open(f"/job/{status}") as stream:
        publish(redis, f"l:job:{status}", {"status": "running", "percent": 5}, {"status": status, "message": None})
        events = stream.rest()
        assert [json.loads(e.data) for e in events] == [
            {"status": "running", "percent": 5}, {"status": status, "percent": 100, "message": "Done"}, {"reason": "until"}]
    with sluice.get(f"/job/{status}", headers={"Last-Event-ID": stream.parser.last_event_id}) as response:
        assert response.status == 204


def test_a_script_sends_many(sluice, redis):
    with sluice.open("/more") as stream:
        publish(redis, "l:more", {}, {"stop": True})
        events = [(e.type, e.data) for e in stream.rest()]
        three = [("one", "first"), ("two", "[2]"), ("message", "last")]
        assert events == three + three + [("stream-done", '{"reason":"until"}')]


def test_a_script_is_called_after_a_time(sluice, redis):
    with sluice.open("/later") as stream:
        publish(redis, "l:later", 1, 2)
        assert data(stream) == [[1, 2]]
        publish(redis, "l:later", 3)
        assert data(stream) == [[3]]


def test_a_script_that_fails_sends_nothing(sluice, redis):
    with sluice.open("/bad") as stream:
        before = sluice.status()["failed"]
        publish(redis, "l:bad", {}, {"user": {"name": "x"}})
        assert [stream.next_message().data for _ in range(2)] == ["not sent", "x"]
        assert sluice.status()["failed"] == before + 1
    sluice.wait_log("[route bad] script: bad.lua:")


def test_a_script_whose_state_is_full_begins_anew(sluice, redis):
    with sluice.open("/hoard/a") as first, sluice.open("/hoard/a") as second:
        def has_ended():
            publish(redis, "l:hoard", {"size": 20000})
            return first.has_ended(0.02)
        wait_for(has_ended, "the state is full", 20)
        for stream in (first, second):
            assert json.loads(stream.next_of("stream-end").data) == {"reason": "reload"}
    with sluice.open("/hoard/a") as stream:
        publish(redis, "l:hoard", {})
        assert data(stream)[0]["n"] < 10, "it has begun anew"
    assert sluice.log().count("it begins anew") == 1


def test_text_of_a_message_that_is_no_json(sluice, redis):
    with sluice.open("/text-until") as until, sluice.open("/text-filter") as filtered, sluice.open("/text-transform") as made, \
            sluice.open("/text-name") as named, sluice.open("/text-and-more") as more, sluice.open("/text-script") as script:
        before = sluice.status()["dropped_invalid"]
        publish(redis, "l:text", "hello", "skip", '{"n":1}', "[DONE]", '{"n":2}')
        assert [e.data for e in until.rest() if e.type == "message"] == ["hello", "skip", '{"n":1}', "[DONE]"]
        assert [(e.type, e.data) for e in (filtered.next_message() for _ in range(4))] == [
            ("l:text", "hello"), ("l:text", '{"n":1}'), ("l:text", "[DONE]"), ("l:text", '{"n":2}')]
        assert data(made, 2)[1] == {"was": "skip", "n": 4}
        assert [named.next_message().type for _ in range(2)] == ["hello", "skip"]
        assert [more.next_message().data for _ in range(2)] == ['{"n":1}', '{"n":2}']
        assert [e.data for e in script.rest() if e.type == "message"] == ["no JSON: hello", "no JSON: skip", "1"]
        assert sluice.status()["dropped_invalid"] - before == 3, "the route that looks into the message"


def test_nil_sends_nothing(sluice, redis):
    with sluice.open("/nothing") as stream:
        publish(redis, "l:nothing", {}, {})
        assert stream.quiet_for(0.2)


def test_a_route_without_logic_forwards_the_bytes(sluice, redis):
    with sluice.open("/plain") as stream:
        for text in ["no JSON", '{"n":NaN}', '{ "a" : 1e0 }', "x" * 100000]:
            publish(redis, "l:plain", text)
            assert stream.next_message().data == text


def test_max_events_counts_what_is_sent(sluice, redis):
    with sluice.open("/max") as stream:
        publish(redis, "l:max", 1, 2, 1, 3, 4)
        events = stream.rest()
        assert [e.data for e in events] == ["2", "3", '{"reason":"max_events"}']


def test_work_is_done_once_for_all_subscribers(sluice, redis):
    streams = [sluice.open("/shared") for _ in range(1000)]
    before = sluice.status()
    publish(redis, "l:shared", *[{"n": n} for n in range(100)])
    for stream in streams:
        assert [d["n"] for d in data(stream, 50)] == list(range(0, 100, 2))
    after = sluice.status()
    assert after["rendered"] - before["rendered"] == 50
    assert after["filtered"] - before["filtered"] == 50
    assert after["messages"] - before["messages"] == 100
    assert after["deliveries"] - before["deliveries"] == 50 * 1000
    for stream in streams:
        stream.close()
