"""What stands in a query, and in a Last-Event-ID: what the route knows must be right, and nothing else is its business."""

import json

import pytest

from test_publish import post

ROUTES = {
    "room": {"path": "/room", "channels": "q:{room}"},
    "path": {"path": "/path/{id}", "channels": "q:{id}"},
    "lua": {"path": "/lua", "channels": "q:lua", "filter": "params.least == nil or message.n >= tonumber(params.least)"},
    "stream": {"path": "/stream", "streams": "q:stream"},
    "recorded": {"path": "/recorded", "channels": "q:recorded", "record": 10},
    "id": {"path": "/id", "channels": "q:id", "id": "{.id}"},
    "wait": {"path": "/wait", "handler": "wait", "channels": "q:wait"},
    "until": {"path": "/until", "channels": "q:until", "max_events": 1},
    "post": {"path": "/post", "publish": "q:post:{to}", "publish_auth": "none"},
    "origin": {"path": "/origin", "channels": "q:{room}", "cors_origins": "https://a.example"},
}

NOT_OURS = ["utm_source=a&utm_source=b", "x[]=1&x[]=2", "x=%E9", "x=%", "x=%zz&%zz=x", "x=%00", "x=%0a", "=&=x&&", "x=" + "y" * 6000,
            "&".join(f"p{i}={i}" for i in range(500)), "Room=a&Room=b", "%ff%fe"]


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, auth={"jwt_query": "access_token", "jwt_key": "0123456789abcdef0123456789abcdef"})


@pytest.mark.parametrize("query", NOT_OURS, ids=range(len(NOT_OURS)))
def test_what_the_route_does_not_name_is_ignored(sluice, redis, query):
    for path, channel in (f"/room?{query}&room=a", "q:a"), (f"/room?room=a&{query}", "q:a"), (f"/path/a?{query}", "q:a"):
        with sluice.open(path) as stream:
            redis.publish(channel, "1")
            assert stream.next_event().data == "1", path
    assert sluice.get(f"/status?{query}").status == 200


@pytest.mark.parametrize("path", ["/room?room=a&room=a", "/room?room=a&room=b", "/room?room=a&x=1&%72oom=b", "/room?room=%E9", "/room?room=%",
                                  "/room?room=a%00", "/room?room=" + "a" * 5000, "/lua?least=1&least=2", "/room?room=a&mode=poll&mode=poll",
                                  "/wait?timeout=1&timeout=2", "/wait?timeout=%", "/wait?after=0-0&after=0-0",
                                  "/room?room=a&access_token=a&access_token=b"])
def test_what_the_route_names_stands_once_and_right(sluice, path):
    with sluice.get(path) as response:
        assert response.status == 400 and response.headers["content-type"] == "application/problem+json"
        assert "parameter" in response.json()["detail"]


def test_a_post_too(sluice, redis):
    assert post(sluice, "/post?to=a&to=b", "1")[0] == 400
    assert post(sluice, "/post?to=a&utm=1&utm=2&x=%", "1")[0] == 202


def test_a_preflight_is_no_request_yet(sluice):
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert sluice.get("/origin?room=a&room=b", method="OPTIONS", headers=headers).status == 204


# Last-Event-ID

ODD = [b"\xc3\xa9", b"\xe9", b"a b", b"a\tb", b"-", b"0.en", b"urn:uuid:1", b"'\"<>", b"x" * 3000, b"5-0;5-0", b"5-0,5-0", b"18446744073709551616-0", b"~"]


@pytest.mark.parametrize("id", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("path", ["/stream", "/recorded"])
def test_an_id_that_is_none_of_ours(sluice, redis, path, id):
    with sluice.get(path, headers={"Last-Event-ID": id.decode("latin-1")}) as stream:
        assert stream.status == 200
        assert json.loads(stream.next_event().data)["resumed"] is False
        event = stream.next_event()
        assert (event.type, event.data) == ("stream-reset", '{"reason":"unknown-id"}')


@pytest.mark.parametrize("id", ODD, ids=range(len(ODD)))
def test_it_says_nothing_where_nothing_can_be_resumed(sluice, redis, id):
    with sluice.get("/room?room=b", headers={"Last-Event-ID": id.decode("latin-1")}) as stream:
        assert stream.next_event().data == '{"resumed":false,"from":null}'
        redis.publish("q:b", "1")
        assert stream.next_event().data == "1"


@pytest.mark.parametrize("id", ["a b", "é", "a,b;c", "~a'", "\u20ac" * 40])
def test_an_id_that_we_sent_is_taken_back(sluice, redis, id):
    with sluice.open("/id") as stream:
        redis.publish("q:id", json.dumps({"id": id}))
        assert stream.next_event().last_event_id == id
    with sluice.get("/id", headers={"Last-Event-ID": id.encode().decode("latin-1")}) as back:
        assert back.status == 200 and back.next_event().type == "stream-open"


@pytest.mark.parametrize("name", ["last_event_id", "lastEventId", "lastEventID", "Last-Event-ID"])
def test_the_parameter_has_four_names(sluice, redis, name):
    first, second = (redis.client().xadd("q:stream", {"data": text}).decode() for text in "ab")
    with sluice.get(f"/stream?{name}={first}") as stream:
        assert stream.next_of("stream-open").data == json.dumps({"resumed": True, "from": first}, separators=(",", ":"))
        assert stream.next_event().last_event_id == second
    with sluice.get(f"/until?{name}=0.end") as over:
        assert over.status == 204


def test_of_several_the_last_that_is_not_empty_counts(sluice, redis):
    first, second, third = (redis.client().xadd("q:stream", {"data": text}).decode() for text in "abc")
    for query, headers, wanted in [
            (f"lastEventId={first}&last_event_id={second}", {}, third),
            (f"last_event_id={second}&last_event_id=", {}, third),
            (f"last_event_id={second}&Last-Event-ID={first}", {}, second),
            (f"last_event_id={second}", {"Last-Event-ID": first}, second),
            (f"last_event_id={second}", {"Last-Event-ID": ""}, third)]:
        with sluice.get(f"/stream?{query}", headers=headers) as stream:
            stream.next_of("stream-open")
            assert stream.next_message().last_event_id == wanted, (query, headers)
