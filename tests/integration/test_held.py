"""What rate and batch hold for later is never lost: by no end, no return, no reload, no drain, no kick, no overflow.

Every way in which a stream ends × what holds × where messages come from. The windows are so long that nothing
goes out by itself within a test, but where a test waits for just that.
"""

import json
import os
import signal
from pathlib import Path

import pytest

from waiting import SLOW, wait_for

SCRIPT = (Path(__file__).parents[2] / "conf/record.lua").read_text()
SOURCES = {"channel": {"channels": "h:{k}"}, "stream": {"streams": "h:{k}"}, "recorded": {"channels": "h:{k}", "record": 100}}
HOLDS = {"batch": {"batch": "100/1h"}, "latest": {"rate": "1/1h", "rate_mode": "latest"},
         "both": {"rate": "1/1h", "rate_mode": "latest", "rate_by": "{.by}", "batch": "100/1h"}}
SHORT = {"batch": {"batch": "100/300ms"}, "latest": {"rate": "1/300ms", "rate_mode": "latest"},
         "both": {"rate": "1/300ms", "rate_mode": "latest", "batch": "100/300ms"}}
ENDS = {
    "lifetime": {"lifetime": f"{int(700 * SLOW)}ms"},
    "until": {"until": "message.n == 9"},
    "reload": {}, "drain": {}, "kick": {"auth": "remote_user"}, "idle": {"idle": f"{int(400 * SLOW)}ms"},
    # Of both no event but a batch comes, so one is the last of them; its other windows are held then.
    "max_events": {"max_events": 1},
}
CASES = [(s, h) for s in SOURCES for h in HOLDS]


def routes():
    out = {}
    for end, keys in ENDS.items():
        for source, of in SOURCES.items():
            for hold in HOLDS:
                how = SHORT[hold] if end == "idle" else HOLDS[hold]
                out[f"{end}-{source}-{hold}"] = {"path": f"/{end}/{source}/{hold}/{{k}}", **of, **how, **keys}
    out["many"] = {"path": "/many", "channels": "h:many", "rate": "1/1h", "rate_mode": "latest", "rate_by": "{.by}",
                   "auth": "remote_user", "queue": "64m"}
    out["past"] = {"path": "/past", "streams": "h:past", "start": "0", "rate": "1/1h"}
    out["slow"] = {"path": "/slow", "streams": "h:slow", "batch": "7/1h", "queue": "16k", "history": 5000,
                   "auth": "remote_user"}
    return out


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(routes(), auth={"kick": "h:kick"})


class Writer:
    """Messages {"n":1}, {"n":2}… as the source wants them; by tells the window. It returns when they are there, for
    what comes on another link, as a kick, may come before."""

    def __init__(self, redis, source, key, sluice):
        self.client, self.source, self.key, self.sluice = redis.client(), source, key, sluice

    def __call__(self, *numbers, by="a"):
        there = self.sluice.status()["messages"] + len(numbers)
        self.write(numbers, by)
        wait_for(lambda: self.sluice.status()["messages"] >= there, "the messages are at the worker")

    def write(self, numbers, by):
        for n in numbers:
            text = json.dumps({"n": n, "by": by})
            if self.source == "channel":
                self.client.publish(self.key, text)
            elif self.source == "stream":
                self.client.xadd(self.key, {"data": text})
            else:
                self.client.register_script(SCRIPT)(keys=[self.key, self.key + ":log"], args=[text, 100])


def numbers(events):
    out = []
    for event in events:
        if event.type == "message":
            value = json.loads(event.data)
            out += [b["data"]["n"] for b in value["batch"]] if "batch" in value else [value["n"]]
    return out


def held(hold, *numbers):
    """Of what was published while one window was open: what is owed."""
    return list(numbers) if hold == "batch" else [numbers[0], numbers[-1]]


def reason_of(event):
    assert event.type in ("stream-end", "stream-done"), event
    return json.loads(event.data)["reason"]


def read_until_end(stream, seconds=10):
    events = stream.rest(seconds)
    return numbers(events), reason_of(events[-1]), events


@pytest.fixture
def case(sluice, redis):
    """(open, write, key) of one route."""
    def make(end, source, hold):
        name = f"{end}-{source}-{hold}"
        path = f"/{end}/{source}/{hold}/{name}"

        def open(last=None, user=name):
            who = {"REMOTE_USER": user, "AUTH_TYPE": "Basic"} if end == "kick" else {}
            return sluice.open(path, headers={"Last-Event-ID": last} if last else {}, **who)
        return open, Writer(redis, source, f"h:{name}", sluice), name
    return make


@pytest.mark.parametrize("source,hold", CASES)
def test_lifetime(case, source, hold):
    open, write, _ = case("lifetime", source, hold)
    with open() as stream:
        write(1, 2, 3)
        got, reason, _ = read_until_end(stream)
        assert (got, reason) == (held(hold, 1, 2, 3), "lifetime")


@pytest.mark.parametrize("source,hold", CASES)
def test_lifetime_of_one_of_two(case, source, hold):
    """Who stays has the same when its own time comes: nothing twice, nothing lost."""
    open, write, _ = case("lifetime", source, hold)
    with open() as first:
        write(1, 2)
        with open() as second:
            write(3)
            a, reason, _ = read_until_end(first)
            assert (a, reason) == (held(hold, 1, 2, 3), "lifetime")
            b, reason, _ = read_until_end(second)
            assert reason == "lifetime" and b[-1] == 3 and len(b) == len(set(b))


@pytest.mark.parametrize("source,hold", [c for c in CASES if c[0] != "channel"])
def test_who_was_ended_and_comes_back_has_all_once(case, redis, source, hold):
    """While another stays, for whom it is still held."""
    open, write, name = case("kick", source, hold)
    with open() as first, open(user="another") as other:
        write(1, 2, 3)
        redis.publish("h:kick", f"user:{name}")
        got, _, events = read_until_end(first)
        last = [e.last_event_id for e in events if e.type == "message"][-1]
        with open(last) as again:
            write(4)
            redis.publish("h:kick", f"user:{name}")
            more, reason, _ = read_until_end(again)
            assert got + more == held(hold, 1, 2, 3) + [4] and reason == "auth"
        redis.publish("h:kick", "user:another")
        assert read_until_end(other)[0] == held(hold, 1, 2, 3) + [4]


@pytest.mark.parametrize("source,hold", CASES)
def test_until(case, source, hold):
    open, write, _ = case("until", source, hold)
    with open() as stream:
        write(1, 2, 3)
        write(9, by="b")
        got, reason, _ = read_until_end(stream)
        owed = held(hold, 1, 2, 3) if hold != "latest" else [1]  # of its one window the last is the newest
        assert (sorted(got), reason) == (owed + [9], "until")


@pytest.mark.parametrize("source", SOURCES)
def test_max_events(case, source):
    """An end by the first event of a window, while another holds one: of batch and latest alone the last event is
    the last that there is."""
    open, write, _ = case("max_events", source, "latest")
    with open() as stream:
        write(1)
        got, reason, _ = read_until_end(stream)
        assert (got, reason) == ([1], "max_events")


@pytest.mark.parametrize("source,hold", CASES)
def test_kick(case, sluice, redis, source, hold):
    open, write, name = case("kick", source, hold)
    with open() as stream:
        write(1, 2, 3)
        redis.publish("h:kick", f"user:{name}")
        got, reason, _ = read_until_end(stream)
        assert (got, reason) == (held(hold, 1, 2, 3), "auth")


@pytest.mark.parametrize("source,hold", CASES)
def test_idle_is_not_while_something_is_held(case, source, hold):
    open, write, _ = case("idle", source, hold)
    with open() as stream:
        write(1, 2, 3)
        got, reason, _ = read_until_end(stream)
        assert (got, reason) == (held(hold, 1, 2, 3), "idle")


@pytest.mark.parametrize("source,hold", [c for c in CASES if c[0] != "channel"])
def test_who_goes_and_comes_back(case, sluice, redis, source, hold):
    """Alone, with the id of the first event, or of the place where it began: what came then, once."""
    open, write, name = case("kick", source, hold)
    with open() as stream:
        last = stream.parser.last_event_id
        if hold == "latest":
            write(1)
            last = stream.next_message().last_event_id
        write(2, 3, 4)
        sluice.wait_subscribers(1)
    sluice.wait_subscribers(0)
    with open(last) as stream:
        write(5)
        redis.publish("h:kick", f"user:{name}")
        got, reason, _ = read_until_end(stream)
        owed = [2, 3, 4, 5]
        assert reason == "auth"
        assert [n for n in got if n in owed] == got == sorted(set(got)) and got[-1] == 5
        assert hold != "batch" or got == owed


@pytest.mark.parametrize("source,hold", CASES)
def test_reload(case, sluice, source, hold):
    open, write, name = case("reload", source, hold)
    with open() as stream, open() as other:
        write(1, 2, 3)
        sluice.sections[f"route {name}"]["retry"] = "4s"
        sluice.write_config()
        os.kill(sluice.child.pid, signal.SIGHUP)
        for one in stream, other:
            got, reason, _ = read_until_end(one)
            assert (got, reason) == (held(hold, 1, 2, 3), "reload")


@pytest.mark.parametrize("source,hold", CASES)
def test_drain(launch, redis, source, hold):
    key = f"h:drain-{hold}"
    sluice = launch({"r": {"path": "/r", **{k: v.replace("{k}", key[2:]) if isinstance(v, str) else v
                                            for k, v in SOURCES[source].items()}, **HOLDS[hold]}})
    write = Writer(redis, source, key, sluice)
    with sluice.open("/r") as stream, sluice.open("/r") as other:
        write(1, 2, 3)
        os.kill(sluice.child.pid, signal.SIGTERM)
        for one in stream, other:
            got, reason, _ = read_until_end(one)
            assert (got, reason) == (held(hold, 1, 2, 3), "drain")
    assert sluice.child.wait() == 0
    sluice.kill()


def test_an_overflow(sluice, redis):
    """Who was too slow is told, and comes back: batch by batch it has all, also what its feed holds still."""
    n = 1500
    who = {"REMOTE_USER": "slow", "AUTH_TYPE": "Basic"}
    with sluice.open("/slow", **who) as stream, sluice.open("/slow", REMOTE_USER="quick", AUTH_TYPE="Basic") as quick:
        seen = []
        for first in range(0, n, 70):
            pipe = redis.client().pipeline(transaction=False)
            for i in range(first, min(first + 70, n)):
                pipe.xadd("h:slow", {"data": json.dumps({"n": i, "text": "x" * 1000})})
            pipe.execute()
            while len(seen) < min(first + 70, n) // 7 * 7:
                seen += numbers([quick.next_message()])
        some, reason, events = read_until_end(stream)
        assert reason == "slow" and some == list(range(len(some))) and len(some) < n
        last = [e.last_event_id for e in events if e.last_event_id][-1]
    with sluice.open("/slow", headers={"Last-Event-ID": last}, **who) as stream:
        got = some
        while len(got) < n // 7 * 7:
            got += numbers([stream.next_message()])
        redis.publish("h:kick", "user:slow")
        got += read_until_end(stream)[0]
    assert got == list(range(n))


def test_more_values_than_windows(sluice, redis):
    """Of 10,000 values a window is kept; of those beyond it the oldest is sent and forgotten."""
    n = 11_000
    with sluice.open("/many", REMOTE_USER="many", AUTH_TYPE="Basic") as stream:
        there = sluice.status()["messages"] + 2 * n
        for value in 1, 2:
            pipe = redis.client().pipeline(transaction=False)
            for by in range(n):
                pipe.publish("h:many", json.dumps({"n": value, "by": by}))
            pipe.execute()
        wait_for(lambda: sluice.status()["messages"] >= there, "the messages are at the worker", 30)
        redis.publish("h:kick", "user:many")
        newest = {}
        for event in stream.rest(30):
            if event.type == "message":
                value = json.loads(event.data)
                newest[value["by"]] = value["n"]
        assert newest == {by: 2 for by in range(n)}


def test_messages_without_the_field_share_a_window(sluice, redis):
    with sluice.open("/many", REMOTE_USER="none", AUTH_TYPE="Basic") as stream:
        write = Writer(redis, "channel", "h:many", sluice)
        write(1, by="a")
        for text in '{"n":2}', '{"n":3}', '{"n":4,"by":[]}', '{"n":5}':
            redis.publish("h:many", text)
        write(6, by="a")
        redis.publish("h:kick", "user:none")
        assert read_until_end(stream)[:2] == ([1, 2, 6, 5], "auth")


def test_a_replay_is_sent_at_once(sluice, redis):
    """The rate concerns what is live."""
    client = redis.client()
    for i in range(5):
        client.xadd("h:past", {"data": json.dumps({"n": i})})
    with sluice.open("/past") as stream:
        assert numbers([stream.next_message() for _ in range(5)]) == list(range(5))
