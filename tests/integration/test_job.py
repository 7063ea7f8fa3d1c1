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
        redis.publish(f"job:{state}:progress", '{"status":"running","percent":40}')
        assert json.loads(stream.next_event().data)["percent"] == 40
        redis.publish(f"job:{state}:progress", '{"status":"%s"}' % state)
        redis.publish(f"job:{state}:progress", '{"status":"running"}')
        events = stream.rest()
        assert [json.loads(e.data)["status"] for e in events if e.type == "message"] == [state]
        assert (events[-1].type, json.loads(events[-1].data)) == ("stream-done", {"reason": "until"})
        id = stream.parser.last_event_id
        assert id.endswith(".end")
    with sluice.get(f"/jobs/{state}/progress", headers={"Last-Event-ID": id}) as response:
        assert response.status == 204


def test_all_its_subscribers_end(sluice, redis):
    streams = [sluice.open("/jobs/all/progress") for _ in range(10)]
    redis.publish("job:all:progress", '{"status":"completed"}')
    for stream in streams:
        assert [e.type for e in stream.rest()] == ["message", "stream-done"]
    sluice.wait_subscribers(0)


def test_the_next_job_of_that_name(sluice, redis):
    """Who comes after the end follows anew."""
    for _ in range(3):
        with sluice.open("/jobs/again/progress") as stream:
            redis.publish("job:again:progress", '{"status":"running"}')
            assert stream.next_event().type == "message"
            redis.publish("job:again:progress", '{"status":"completed"}')
            assert [e.type for e in stream.rest()] == ["message", "stream-done"]


def test_other_jobs_go_on(sluice, redis):
    with sluice.open("/jobs/a/progress") as a, sluice.open("/jobs/b/progress") as b:
        redis.publish("job:a:progress", '{"status":"completed"}')
        a.rest()
        redis.publish("job:b:progress", '{"status":"running"}')
        assert b.next_event().type == "message"


@pytest.mark.parametrize("payload", ["", "no JSON", "[", '{"status":"completed"', "\0"])
def test_what_is_not_json_is_dropped_and_counted(sluice, redis, payload):
    with sluice.open("/jobs/c/progress") as stream:
        before = sluice.dropped()
        redis.publish("job:c:progress", payload)
        redis.publish("job:c:progress", '{"status":"running"}')
        assert stream.next_event().data == '{"status":"running"}'
        assert sluice.dropped() == before + 1


@pytest.mark.parametrize("payload", ["[1]", "1", '"completed"', '{"status":5}', '{"status":null}', "{}", "null"])
def test_other_json_passes(sluice, redis, payload):
    with sluice.open("/jobs/d/progress") as stream:
        redis.publish("job:d:progress", payload)
        redis.publish("job:d:progress", '{"status":"running"}')
        assert stream.next_event().data in (payload, '{"status":"running"}')
