"""Methods, errors, CORS, health: everything that is no event."""

import json
import signal

import pytest

import fcgi
from waiting import wait_for

SITE = "https://site.example"
OTHER = "https://other.example:8443"
ROUTES = {
    "open": {"path": "/open/{id}", "channels": "open:{id}"},
    "rule": {"path": "/rule/{n}", "param.n": "[0-9]{1,4}", "channels": "rule:{n}"},
    "query": {"path": "/query", "channels": "query:{topic}"},
    "cors": {"path": "/cors/{n}", "param.n": "[0-9]+", "channels": "cors:{n}", "cors_origins": f"{SITE}, {OTHER}"},
    "cookies": {"path": "/cookies", "channels": "cookies", "cors_origins": SITE, "cors_credentials": "yes"},
    "any": {"path": "/any", "channels": "any", "cors_origins": "*"},
    "health": {"path": "/health", "handler": "health"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, server={"base": "/events"})


def status_of(sluice, path, **kw):
    with sluice.get(path, **kw) as response:
        return response.status


def assert_problem(response, status):
    """RFC 9457."""
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    assert "no-store" in response.headers["cache-control"]
    problem = response.json()
    assert problem["status"] == status
    assert isinstance(problem["title"], str) and problem["title"]
    assert isinstance(problem.get("detail", ""), str)
    assert response.protocol_status == 0
    return problem


# Paths and parameters


@pytest.mark.parametrize("path", [
    "/events/nothing", "/events/open", "/events/open/", "/events/open/a/b", "/events", "/events/", "/", "/open/1",
    "/eventsopen/1", "/events/Open/1", "/events/open/1/"])
def test_unknown_path(sluice, path):
    with sluice.get(path) as response:
        assert_problem(response, 404)


@pytest.mark.parametrize("path", ["/events/open/a%2Fb", "/events/open/..%2f..%2fx", "/events/open/%2f"])
def test_slash_within_a_segment(sluice, path):
    """It borders no segments, and no parameter may hold it."""
    assert status_of(sluice, path) in (400, 404)


@pytest.mark.parametrize("path", [
    "/events/rule/x", "/events/rule/12345", "/events/rule/1%0a", "/events/rule/%00", "/events/rule/-1",
    "/events/open/a:b", "/events/open/a%3Ab", "/events/open/*", "/events/open/%ff", "/events/open/%c0%af",
    "/events/open/" + "x" * 129, "/events/open/%2561dmin", "/events/open/a%20b", "/events/open/a%0d%0aX: y",
    "/events/open/%zz", "/events/open/%", "/events/open/%4",
    "/events/query", "/events/query?topic=", "/events/query?topic=a:b", "/events/query?topic=a&topic=b",
    "/events/query?topic=a&topic=a", "/events/query?topic=%0a", "/events/query?other=1", "/events/query?topic=a+b"])
def test_bad_parameter(sluice, path):
    with sluice.get(path) as response:
        problem = assert_problem(response, 400)
        assert "rule:" not in str(problem) and "open:" not in str(problem), "no name of a channel is given away"


@pytest.mark.parametrize("path", [
    "/events/open/1", "/events/open/a-b_c.d", "/events/open/%61", "/events/open/1?x=1&&=&y", "/events/open/1?",
    "/events/open/" + "x" * 128, "/events/rule/0042", "/events/query?&topic=%61"])
def test_good_path(sluice, path):
    with sluice.get(path) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/events//open/1", "/events/./open/1", "/events/open/x/../1"])
def test_path_that_is_not_normal(sluice, path):
    """As the normal form, or not at all; never anything else."""
    assert status_of(sluice, path) in (200, 404)


def test_dots_do_not_leave_the_base(sluice):
    assert status_of(sluice, "/events/../open/1") in (400, 404)
    assert status_of(sluice, "/events/open/..") in (400, 404)


def test_bad_escape_in_a_parameter_that_nobody_uses(sluice):
    assert status_of(sluice, "/events/query?topic=a&x=%zz") in (200, 400)


def test_long_path_and_many_parameters(sluice):
    assert status_of(sluice, "/events/open/" + "x" * 8_000) in (400, 414)
    assert status_of(sluice, "/events" + "/x" * 300) == 404
    assert status_of(sluice, "/events/query?" + "&".join(f"p{i}=1" for i in range(200)) + "&topic=a") in (200, 400)


def test_empty_variable_is_an_absent_one(sluice):
    """nginx sends what it does not know as empty."""
    with sluice.get("/events/open/1", CONTENT_LENGTH="", REMOTE_USER="", HTTPS="", HTTP_LAST_EVENT_ID="") as response:
        assert response.status == 200


@pytest.mark.parametrize("value", ["-1", "1e3", "0x10", " 5", "99999999999999999999", "5x"])
def test_bad_content_length(sluice, value):
    assert status_of(sluice, "/events/open/1", CONTENT_LENGTH=value) == (413 if value.isdigit() else 400)


def test_request_without_a_uri(sluice):
    """Some servers give SCRIPT_NAME and PATH_INFO alone; without any of the three there is nothing to route."""
    variables = fcgi.cgi_variables("/events/open/1")
    del variables["REQUEST_URI"], variables["SCRIPT_NAME"]
    with sluice.connect() as connection:
        connection.send(fcgi.begin() + fcgi.params(variables) + fcgi.stdin())
        assert fcgi.Response(connection).status in (400, 404)


def test_request_without_a_method(sluice):
    variables = fcgi.cgi_variables("/events/open/1")
    del variables["REQUEST_METHOD"]
    with sluice.connect() as connection:
        connection.send(fcgi.begin() + fcgi.params(variables) + fcgi.stdin())
        assert fcgi.Response(connection).status in (400, 405)


def test_body_of_a_get_is_ignored(sluice):
    with sluice.get("/events/open/1", body=b"abc") as response:
        assert response.status == 200


@pytest.mark.parametrize("name", ["ACCEPT", "RANGE", "IF_NONE_MATCH", "EXPECT", "UPGRADE", "PROXY"])
def test_header_that_does_not_matter(sluice, name):
    with sluice.get("/events/open/1", headers={name: "application/json"}) as response:
        assert response.status == 200


def test_accept_absent(sluice):
    variables = fcgi.cgi_variables("/events/open/1")
    del variables["HTTP_ACCEPT"]
    with sluice.connect() as connection:
        connection.send(fcgi.begin() + fcgi.params(variables) + fcgi.stdin())
        assert fcgi.Response(connection).status == 200


# Methods


def test_head_is_the_head_alone(sluice, redis):
    with sluice.get("/events/open/head", method="HEAD") as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store, no-transform"
        response.rest()
        assert bytes(response.body) == b""
    assert redis.n_subscribers("open:head") == 0, "HEAD subscribes to nothing"


def test_head_of_errors_has_no_body(sluice):
    for path, status in (("/events/nothing", 404), ("/events/rule/x", 400)):
        with sluice.get(path, method="HEAD") as response:
            assert response.status == status
            response.rest()
            assert bytes(response.body) == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO", "get", "CONNECT", "G ET"])
def test_wrong_method(sluice, method):
    with sluice.get("/events/open/1", method=method) as response:
        assert_problem(response, 405)
        allowed = {m.strip() for m in response.headers["allow"].split(",")}
        assert allowed == {"GET", "HEAD", "OPTIONS"}


def test_wrong_method_with_a_body(sluice):
    with sluice.get("/events/open/1", method="POST", body=b"x" * 1000) as response:
        assert_problem(response, 405)


def test_wrong_method_of_an_unknown_path(sluice):
    assert status_of(sluice, "/events/nothing", method="DELETE") == 404


def test_options_without_an_origin(sluice):
    with sluice.get("/events/open/1", method="OPTIONS") as response:
        assert response.status == 204
        assert "GET" in response.headers["allow"]
        assert not any(h.startswith("access-control-") for h in response.headers)
        response.rest()
        assert bytes(response.body) == b""


def test_options_of_an_unknown_path(sluice):
    assert status_of(sluice, "/events/nothing", method="OPTIONS") == 404


# CORS, as the Fetch standard says


@pytest.mark.parametrize("origin", [SITE, OTHER])
def test_cors_of_an_allowed_origin(sluice, origin):
    with sluice.get("/events/cors/1", headers={"Origin": origin}) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in response.headers
        assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("origin", [
    "https://evil.example", "null", "http://site.example", "https://site.example.evil.example",
    "https://site.example:8443", "https://site.example/", "https://site.example.", "HTTPS://SITE.EXAMPLE",
    "https://xsite.example", f"{SITE} {OTHER}", f"{SITE}, {OTHER}", "https://site.example" + "x" * 4096, "*"])
def test_cors_of_another_origin(sluice, origin):
    with sluice.get("/events/cors/1", headers={"Origin": origin}) as response:
        assert not any(h.startswith("access-control-") for h in response.headers)
        assert "origin" in response.headers["vary"].lower()


def test_cors_with_credentials(sluice):
    with sluice.get("/events/cookies", headers={"Origin": SITE}) as response:
        assert response.headers["access-control-allow-origin"] == SITE
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "origin" in response.headers["vary"].lower()
    with sluice.get("/events/cookies", headers={"Origin": OTHER}) as response:
        assert not any(h.startswith("access-control-") for h in response.headers)


def test_cors_of_any_origin(sluice):
    with sluice.get("/events/any", headers={"Origin": "https://whoever.example"}) as response:
        assert response.headers["access-control-allow-origin"] in ("*", "https://whoever.example")
        assert "access-control-allow-credentials" not in response.headers


def test_cors_not_configured(sluice):
    with sluice.get("/events/open/1", headers={"Origin": SITE}) as response:
        assert response.status == 200
        assert not any(h.startswith("access-control-") for h in response.headers)


def test_cors_of_errors(sluice):
    """Else a page sees only "network error"."""
    with sluice.get("/events/cors/x", headers={"Origin": SITE}) as response:
        assert response.status == 400
        assert response.headers["access-control-allow-origin"] == SITE
    with sluice.get("/events/cors/1", method="DELETE", headers={"Origin": SITE}) as response:
        assert response.status == 405
        assert response.headers["access-control-allow-origin"] == SITE


def preflight(sluice, path, origin, **more):
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET",
               "Access-Control-Request-Headers": "last-event-id", **more}
    return sluice.get(path, method="OPTIONS", headers=headers)


def test_preflight_of_an_allowed_origin(sluice):
    """An id of more than 128 bytes makes the browser ask first."""
    with preflight(sluice, "/events/cors/1", SITE) as response:
        assert response.status == 204
        assert response.headers["access-control-allow-origin"] == SITE
        assert "last-event-id" in response.headers["access-control-allow-headers"].lower()
        assert "GET" in response.headers["access-control-allow-methods"]
        assert "origin" in response.headers["vary"].lower()
        assert int(response.headers.get("access-control-max-age", "0")) <= 86400
        assert "access-control-allow-credentials" not in response.headers


def test_preflight_with_credentials(sluice):
    with preflight(sluice, "/events/cookies", SITE) as response:
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "*" not in response.headers["access-control-allow-headers"]


def test_preflight_of_another_origin(sluice):
    with preflight(sluice, "/events/cors/1", "https://evil.example") as response:
        assert not any(h.startswith("access-control-") for h in response.headers)


# Health and status


def test_health(sluice):
    with sluice.get("/events/health") as response:
        assert response.status == 200
        assert "no-store" in response.headers["cache-control"]
        response.rest()


def test_status(sluice, redis):
    before = sluice.status()
    assert before["redis"] == "up"
    with sluice.open("/events/open/status") as stream:
        redis.publish("open:status", "x")
        stream.next_event()
        now = sluice.status()
        assert now["subscribers"] >= 1 and now["feeds"] >= 1
        assert now["messages"] == before["messages"] + 1
        assert now["events"] >= before["events"] + 1
        assert sluice.dropped() == 0


def test_status_by_route(launch, redis):
    """Each thing that is counted stands with its route, and nowhere else."""
    sluice = launch({"a": {"path": "/a", "channels": "sr:a", "filter": "message.n > 1"},
                     "b": {"path": "/b", "channels": "sr:b", "auth": "jwt"}}, auth={"jwt_key": "k" * 32})

    def route(name):
        return next(r for r in sluice.status()["routes"] if r["name"] == name)
    with sluice.open("/a") as stream:
        redis.publish("sr:a", '{"n":1}')
        redis.publish("sr:a", '{"n":2}')
        assert stream.next_event().data == '{"n":2}'
        wait_for(lambda: route("a").get("deliveries") == 1, "it is counted as written")
        a, b = route("a"), route("b")
        assert (a["path"], a["handler"], a["subscribers"], a["messages"], a["events"]) == ("/a", "relay", 1, 2, 1)
        assert a["filtered"] == 1 and a["p99_ms"] is not None and a["lag"] == 0 and a["refused"] == {}
        assert (b["subscribers"], b["messages"], b["p99_ms"]) == (0, 0, None)
    assert sluice.get("/b").status == 401
    assert route("b")["refused"] == {"401": 1} and route("a")["refused"] == {}
    assert sluice.status()["requests_refused"] == 1


def test_status_as_a_stream(launch):
    """By it the page for people keeps itself up to date."""
    sluice = launch()
    with sluice.get("/status?mode=stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        first = stream.next_message(5)
        assert json.loads(first.data)["status"] in ("ok", "down")
        assert json.loads(stream.next_message(5).data)["subscribers"] == 1


def test_status_for_people(sluice):
    with sluice.get("/events/status", HTTP_ACCEPT="text/html,application/xhtml+xml") as response:
        assert response.headers["content-type"].startswith("text/html")
        response.rest()
        assert b"subscribers" in response.body and b"<script>" in response.body


def test_what_is_wrong_stands_in_health_and_status(launch, own_redis):
    """Down while there is no Redis; degraded while a configuration is refused; and why."""
    redis = own_redis().start()
    sluice = launch({"h": {"path": "/health", "handler": "health"}, "streamed": {"path": "/s", "streams": "s"}}, redis)

    def health():
        with sluice.get("/health") as response:
            return response.status, response.json()["status"], " ".join(response.json()["why"])
    wait_for(lambda: health() == (200, "ok", ""), "all is well")
    good = sluice.config.read_text()
    sluice.write_config(good + "nonsense\n")
    sluice.child.send_signal(signal.SIGHUP)
    wait_for(lambda: health()[:2] == (200, "degraded") and "configuration" in health()[2], "it is told")
    assert sluice.status()["reloads_refused"] == 1 and sluice.status()["status"] == "degraded"
    sluice.write_config(good)
    sluice.child.send_signal(signal.SIGHUP)
    wait_for(lambda: health() == (200, "ok", ""), "all is well again")
    redis.client().execute_command("ACL", "SETUSER", "default", "-@stream")
    with sluice.get("/s"):
        wait_for(lambda: health()[:2] == (200, "degraded") and "streamed" in health()[2], "the route is named", 10)
    redis.end()
    wait_for(lambda: health()[:2] == (503, "down") and "Redis" in health()[2], "it is told")
    redis.start()
    wait_for(lambda: health()[0] == 200, "it has Redis again", 10)


def test_what_was_wrong_is_told_no_more(launch, own_redis):
    """Seconds after it was repaired, and not a minute: what is asked again by itself; and a snapshot, by the next one."""
    redis = own_redis().start()
    sluice = launch({"h": {"path": "/health", "handler": "health"}, "streamed": {"path": "/s", "streams": "s"},
                     "snap": {"path": "/snap", "channels": "c", "snapshot": "GET k"}}, redis)

    def health():
        with sluice.get("/health") as response:
            return response.json()["status"], " ".join(response.json()["why"])
    acl = redis.client().execute_command
    wait_for(lambda: health()[0] == "ok", "all is well")
    redis.client().hset("k", "a", "b")
    sluice.open("/snap").close()
    wait_for(lambda: "snap" in health()[1], "the route is named", 20)
    with sluice.get("/s"):
        acl("ACL", "SETUSER", "default", "-@stream")
        wait_for(lambda: health()[0] == "degraded" and "streamed" in health()[1], "the route is named", 20)
        acl("ACL", "SETUSER", "default", "+@stream")
        said = wait_for(lambda: (lambda now: "streamed" not in now[1] and now)(health()), "it is repaired", 30)
    assert said[0] == "degraded" and "snap" in said[1], "nobody has asked for that since"
    redis.client().delete("k")
    sluice.open("/snap").close()
    wait_for(lambda: health()[0] == "ok", "it is repaired", 30)


def test_metrics(launch, redis):
    """Prometheus's text format: each metric with its help and type, and nothing that is no number."""
    sluice = launch({"m": {"path": "/metrics", "handler": "metrics"}, "x": {"path": "/x", "channels": "metrics"}})
    with sluice.open("/x") as stream:
        redis.publish("metrics", "1")
        stream.next_message()
        with sluice.get("/metrics") as response:
            assert response.status == 200
            assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            response.rest()
            lines = bytes(response.body).decode().splitlines()
    values, described = {}, {}
    for line in lines:
        if line.startswith("# "):
            _, what, name, text = line.split(" ", 3)
            described.setdefault(name, {})[what] = text
        else:
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
            base = name.partition("{")[0]
            kind = described.get(base, {}).get("TYPE")
            if kind is None:
                base, _, part = base.rpartition("_")
                assert part in ("bucket", "sum", "count") and described[base]["TYPE"] == "histogram"
            else:
                assert kind == ("counter" if base.endswith("_total") else "gauge")
            assert set(described[base]) == {"HELP", "TYPE"}
    assert values['sluice_route_messages_total{route="x"}'] == 1 and values['sluice_route_subscribers{route="x"}'] == 1
    took = [values[f'sluice_route_delivery_seconds_bucket{{route="x",le="{le}"}}'] for le in ("0.00025", "5", "+Inf")]
    assert took == sorted(took) and took[-1] == values['sluice_route_delivery_seconds_count{route="x"}'] == 1
    assert values["sluice_subscribers"] == 1 and values["sluice_messages_total"] == 1 and values["sluice_redis_up"] == 1
    assert {f"sluice_{n}" for n, v in sluice.status().items() if isinstance(v, int)} <= {n.removesuffix("_total") for n in values}
