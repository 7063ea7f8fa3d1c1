"""The example handler: the progress of one job, until it is done."""

import json

import pytest

ROUTES = {"job": {"path": "/jobs/{job_id}/progress", "handler": "job"}}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES)


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_last_message_ends_it_for_good(sluice, redis, state):
    with sluice.open(f"/jobs/{state}/progress") as stream:
        redis.publish(f"job:{state}:progress", '{"state":"running","percent":40}')
        assert json.loads(stream.next_event().data)["percent"] == 40
        redis.publish(f"job:{state}:progress", '{"state":"%s"}' % state)
        redis.publish(f"job:{state}:progress", '{"state":"running"}')
        events = stream.rest()
        assert [json.loads(e.data)["state"] for e in events if e.type == "message"] == [state]
        assert (events[-1].type, json.loads(events[-1].data)) == ("stream-end", {"reason": "until"})
        id = stream.parser.last_event_id
        assert id.endswith(".end")
    with sluice.get(f"/jobs/{state}/progress", headers={"Last-Event-ID": id}) as response:
        assert response.status == 204


def test_all_its_subscribers_end(sluice, redis):
    streams = [sluice.open("/jobs/all/progress") for _ in range(10)]
    redis.publish("job:all:progress", '{"state":"completed"}')
    for stream in streams:
        assert [e.type for e in stream.rest()] == ["message", "stream-end"]
    sluice.wait_subscribers(0)


def test_the_next_job_of_that_name(sluice, redis):
    """Who comes after the end follows anew."""
    for _ in range(3):
        with sluice.open("/jobs/again/progress") as stream:
            redis.publish("job:again:progress", '{"state":"running"}')
            assert stream.next_event().type == "message"
            redis.publish("job:again:progress", '{"state":"completed"}')
            assert [e.type for e in stream.rest()] == ["message", "stream-end"]


def test_other_jobs_go_on(sluice, redis):
    with sluice.open("/jobs/a/progress") as a, sluice.open("/jobs/b/progress") as b:
        redis.publish("job:a:progress", '{"state":"completed"}')
        a.rest()
        redis.publish("job:b:progress", '{"state":"running"}')
        assert b.next_event().type == "message"


@pytest.mark.parametrize("payload", ["", "no JSON", "[", '{"state":"completed"', "\0"])
def test_what_is_not_json_is_dropped_and_counted(sluice, redis, payload):
    with sluice.open("/jobs/c/progress") as stream:
        before = sluice.dropped()
        redis.publish("job:c:progress", payload)
        redis.publish("job:c:progress", '{"state":"running"}')
        assert stream.next_event().data == '{"state":"running"}'
        assert sluice.dropped() == before + 1


@pytest.mark.parametrize("payload", ["[1]", "1", '"completed"', '{"state":5}', '{"state":null}', "{}", "null"])
def test_other_json_passes(sluice, redis, payload):
    with sluice.open("/jobs/d/progress") as stream:
        redis.publish("job:d:progress", payload)
        redis.publish("job:d:progress", '{"state":"running"}')
        assert stream.next_event().data in (payload, '{"state":"running"}')
