"""Odd requests through each web server: what it makes of them, Sluice must not misread.

The servers differ, and some refuse by themselves; so often more than one answer is right. What is
never right is a stream of something else, or a failure (5xx).
"""

import pytest

ROUTES = {
    "open": {"path": "/open/{id}", "channels": "servers:{id}"},
    "stream": {"path": "/stream", "streams": "servers:stream"},
    "query": {"path": "/query", "channels": "servers:{topic}"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, server={"base": "/events"})


@pytest.fixture
def web(serve, server_class, sluice):
    return serve(server_class, sluice.path)


def status_of(web, path, **kw):
    with web.get(path, **kw) as response:
        return response.status


def test_methods(web):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with web.get("/events/open/1", method=method, body=b"x") as response:
            assert response.status == 405 and "GET" in response.headers["allow"], method
    for method in ("TRACE", "FOO", "get"):
        assert status_of(web, "/events/open/1", method=method) in (400, 405, 501), method
    with web.get("/events/open/1", method="OPTIONS") as response:
        assert response.status in (200, 204)
        assert "GET" in response.headers["allow"]


@pytest.mark.parametrize("id", ["\u00e9", "a b", "urn:uuid:1", "(x)", "\u00c3\u00a9;,=", "x" * 2000, "5-0, 6-0"])
def test_a_last_event_id_of_any_bytes(web, id):
    """An EventSource that is told 400 never comes back."""
    for path in "/events/open/1", "/events/stream":
        with web.get(path, headers={"Last-Event-ID": id}) as response:
            assert response.status == 200, path
            assert response.next_event().type == "stream-open"
            assert path != "/events/stream" or response.next_event().data == '{"reason":"unknown-id"}'


def test_a_query_that_is_none_of_the_routes(web):
    for query in "utm_source=a&utm_source=b", "x[]=1&x[]=2", "x=%E9", "a;b&&=&%3D":
        assert status_of(web, f"/events/query?topic=1&{query}") == 200, query
    assert status_of(web, "/events/query?topic=1&topic=1") == 400


def test_get_with_a_body(web):
    with web.get("/events/open/1", body=b"abc") as response:
        if web.name == "lighttpd":
            assert response.status == 400, "it refuses such by itself"
            return
        assert response.status == 200
        response.opened()


def test_paths(web):
    """%2F is no border of segments, and nothing is decoded twice."""
    assert status_of(web, "/events/open/a%2Fb") in (400, 404)
    assert status_of(web, "/events/open/%2561dmin") == 400
    assert status_of(web, "/events/open/%61") == 200
    assert status_of(web, "/events/open/a%3Ab") == 400
    assert status_of(web, "/events/open/*") == 400
    assert status_of(web, "/events/open/%2a") == 400
    for path in ("%00", "%0a", "%0d%0aX:y", "%1b", "%ff%fe", "%c0%af", "%zz", "%"):
        assert status_of(web, f"/events/open/{path}") in (400, 404, *web.says_of_malformed), path
    for path in ("/events//open/1", "/events/./open/1", "/events/open/x/../1", "/x/../events/open/1"):
        assert status_of(web, path) in (200, 400, 404), path
    for path in ("/events/..%2f..%2fopen/1", "/events/open/..", "/events/../open/1", "/eventsx/open/1"):
        assert status_of(web, path) in (400, 403, 404), path
    assert status_of(web, "/events/open/" + "x" * 4000) in (400, 414)


def test_queries(web):
    assert status_of(web, "/events/query?topic=a&x=1") == 200
    assert status_of(web, "/events/query?topic=%61") == 200
    for query in ("", "?", "?topic", "?topic=", "?topic=a&topic=b", "?topic=%0a", "?topic=a%2A", "?topic=a+b"):
        assert status_of(web, f"/events/query{query}") == 400, query


def test_headers(web):
    """None of these changes anything for a stream."""
    for headers in ({"Accept": "application/json"}, {"Range": "bytes=0-10"}, {"If-None-Match": '"x"'},
                    {"Upgrade": "websocket"}, {"X-Long": "y" * 6000}, {"Proxy": "http://evil.example"},
                    {"Content-Type": "x/y"}, {"Accept-Encoding": "gzip, deflate, br"}):
        with web.get("/events/open/1", headers=headers) as response:
            assert response.status == 200, headers
            assert "content-encoding" not in response.headers
            response.opened()
    assert status_of(web, "/events/open/1", headers=[(f"X-{i}", "y") for i in range(80)]) == 200


def test_header_twice(web):
    """The servers join it, or send it twice: never does the first win unseen."""
    for names in (("Last-Event-ID", "Last-Event-ID"), ("Last-Event-ID", "Last_Event_ID")):
        assert status_of(web, "/events/open/1", headers=[(names[0], "1-0"), (names[1], "2-0")]) in (200, 400)


def test_control_bytes_in_a_header(web):
    for value in ("a\x01b", "a\tb", "a\xffb"):
        assert status_of(web, "/events/open/1", headers={"Last-Event-ID": value}) in (200, 400)


def test_http_1_0(web, redis):
    with web.get("/events/open/old", version="1.0") as stream:
        assert stream.status == 200
        stream.opened()
        redis.publish("servers:old", "x")
        assert stream.next_event().data == "x"
