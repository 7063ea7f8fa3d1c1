"""Publishing by POST."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import fcgi
from waiting import wait_for

ROUTES = {
    "chat": {"path": "/chat/{room}", "channels": "p:{room}", "publish": "p:{room}", "publish_auth": "none",
             "cors_origins": "https://site.example"},
    "only": {"path": "/only", "publish": "p:only", "publish_auth": "none"},
    "stream": {"path": "/stream/{k}", "streams": "p:s:{k}", "publish_stream": "p:s:{k}", "publish_auth": "none",
               "publish_maxlen": 100},
    "valid": {"path": "/valid/{who}", "publish": "p:valid", "publish_auth": "none", "publish_max": "100",
              "publish_filter": "type(message.text) == 'string' and #message.text < 10",
              "publish_transform": "message.text ~= '' and {user = params.who, text = message.text} or nil"},
    "rate": {"path": "/rate", "publish": "p:rate", "publish_auth": "none", "publish_rate": "3/2s"},
    "short": {"path": "/short", "publish": "p:short", "publish_auth": "none", "publish_rate": "1/500ms"},
    "slow": {"path": "/slow", "publish": "p:slow", "publish_auth": "none", "publish_rate": "1/90s"},
    "stamped": {"path": "/stamped", "publish_stream": "p:stamped", "publish_auth": "none",
                "publish_transform": "{text = message.text, at = now, chance = math.random()}"},
    "none": {"path": "/none", "channels": "p:none"},
    "query": {"path": "/query", "publish": "p:{to}", "publish_auth": "none"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


def post(sluice, path, body="{}", type="application/json", method="POST", headers=None):
    """(status, headers, the answer as JSON or None)"""
    body = body if isinstance(body, bytes) else body.encode()
    connection = sluice.connect()
    more = {"CONTENT_LENGTH": str(len(body))}
    if type is not None:
        more["CONTENT_TYPE"] = type
    connection.send(fcgi.request(path, method=method, body=body, headers=headers or {}, **more))
    with fcgi.Response(connection) as response:
        response.rest(10)
        text = bytes(response.body)
        return response.status, response.headers, json.loads(text) if text else None


def test_the_very_bytes_reach_who_follows(sluice):
    with sluice.open("/chat/a") as one, sluice.open("/chat/a") as two, sluice.open("/chat/b") as other:
        for body in ('{ "text" : "Zo\\u00eb ë", "n": 18446744073709551616 }', "5", "null", '"x"'):
            status, headers, answer = post(sluice, "/chat/a", body)
            assert (status, answer) == (202, {"receivers": 1})
            assert headers["content-type"] == "application/json"
            assert one.next_message().data == two.next_message().data == body
        assert other.quiet_for(0.05)


def test_to_a_stream(sluice, redis):
    status, _, answer = post(sluice, "/stream/k", '{"n":1}')
    assert status == 202
    assert redis.client().xrange("p:s:k") == [(answer["id"].encode(), {b"data": b'{"n":1}'})]
    with sluice.get("/stream/k", headers={"Last-Event-ID": "0-0"}) as stream:
        stream.opened()
        assert stream.next_message().data == '{"n":1}'
        assert stream.parser.last_event_id == answer["id"]
    for _ in range(300):
        redis.client().xadd("p:s:k", {"data": "{}"})
    post(sluice, "/stream/k")
    assert redis.client().xlen("p:s:k") <= 201


@pytest.mark.parametrize("body", ["", "{", "NaN", "{'a':1}", "[" * 100, "{}x", "\0", b'"\xff"'])
def test_what_is_no_json_is_400(sluice, body):
    status, headers, answer = post(sluice, "/chat/a", body)
    assert status == 400 and answer["status"] == 400
    assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body, what", [
    ('"\\ud800"', "surrogate"), ("[" * 100 + "]" * 100, "64 deep"), ('{"a\\u0000b":1}', "u0000"), (b'"\xff"', "UTF-8"), ("{", "not JSON")])
def test_what_is_wrong_with_a_body_is_told(sluice, body, what):
    status, _, answer = post(sluice, "/chat/a", body)
    assert status == 400 and what in answer["detail"]


def test_an_encoded_body_is_415(sluice):
    for encoding in ("gzip", "br", "gzip, identity"):
        status, _, answer = post(sluice, "/only", headers={"Content-Encoding": encoding})
        assert status == 415 and "Content-Encoding" in answer["detail"]
    assert post(sluice, "/only", headers={"Content-Encoding": "identity"})[0] == 202


@pytest.mark.parametrize("type, status", [("application/json", 202), ("application/json; charset=utf-8", 202),
                                          ("APPLICATION/JSON", 202), ("text/plain", 415), (None, 415),
                                          ('application/json;charset="UTF-8"; v=1', 202), ("application/json;charset=iso-8859-1", 415),
                                          ("application/json; v=1; Charset=utf-16", 415), ("application/json; charset=utf-81", 415),
                                          ("application/jsonx", 415), ("application/x-www-form-urlencoded", 415)])
def test_content_type(sluice, type, status):
    assert post(sluice, "/only", type=type)[0] == status


def test_size(sluice):
    def body(n):
        return '"' + "x" * (n - 2) + '"'
    assert post(sluice, "/only", body(65536))[0] == 202
    assert post(sluice, "/only", body(65537))[0] == 413
    assert post(sluice, "/valid/u", body(101))[0] == 413


def test_filter_and_transform(sluice, redis):
    pubsub = redis.client().pubsub()
    pubsub.subscribe("p:valid")
    pubsub.get_message(timeout=30)
    assert post(sluice, "/valid/ada", '{"text":"hi","admin":true}')[0] == 202
    assert json.loads(pubsub.get_message(timeout=30)["data"]) == {"user": "ada", "text": "hi"}
    for text in ('{"text":5}', "{}", "[]", '{"text":"much too long"}', '{"text":""}'):
        status, _, answer = post(sluice, "/valid/ada", text)
        assert status == 422, text
        assert "params" not in answer["detail"]
    pubsub.close()


def test_parameters_keep_their_rules(sluice):
    assert post(sluice, "/chat/a%3Ab")[0] == 400
    assert post(sluice, "/query")[0] == 400
    assert post(sluice, "/query?to=a:b")[0] == 400
    assert post(sluice, "/query?to=ab")[0] == 202


def test_rate(sluice):
    statuses = [post(sluice, "/rate")[0] for _ in range(6)]
    assert statuses == [202] * 3 + [429] * 3
    status, headers, _ = post(sluice, "/rate")
    assert status == 429 and int(headers["retry-after"]) > 0
    wait_for(lambda: post(sluice, "/rate")[0] == 202, "the next window")


def test_the_rest_of_the_window_is_told(sluice):
    assert post(sluice, "/slow")[0] == 202
    status, headers, _ = post(sluice, "/slow")
    assert status == 429 and 60 < int(headers["retry-after"]) <= 90
    assert 1 <= int(next(h for s, h, _ in (post(sluice, "/short") for _ in range(8)) if s == 429)["retry-after"]) <= 1


@pytest.mark.parametrize("path, method, status, allow", [
    ("/none", "POST", 405, "GET, HEAD, OPTIONS"), ("/none", "PUT", 405, "GET, HEAD, OPTIONS"),
    ("/chat/a", "DELETE", 405, "GET, HEAD, OPTIONS, POST"), ("/only", "GET", 405, "OPTIONS, POST"),
    ("/only", "HEAD", 405, "OPTIONS, POST"), ("/only", "OPTIONS", 204, "OPTIONS, POST"),
    ("/status", "POST", 405, "GET, HEAD, OPTIONS"), ("/nowhere", "POST", 404, None)])
def test_methods(sluice, path, method, status, allow):
    got, headers, _ = post(sluice, path, "" if method in ("GET", "HEAD") else "{}", method=method)
    assert (got, headers.get("allow")) == (status, allow)


def test_cors(sluice):
    origin = {"Origin": "https://site.example"}
    status, headers, _ = post(sluice, "/chat/a", headers=origin)
    assert status == 202 and headers["access-control-allow-origin"] == "https://site.example"
    status, headers, _ = post(sluice, "/chat/a", "", method="OPTIONS", headers={
        **origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
    assert status == 204
    assert headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS, POST"
    assert headers["access-control-allow-headers"] == "Content-Type"


def test_each_is_logged_without_its_body(sluice):
    post(sluice, "/chat/logged", '{"secret":"hidden"}')
    sluice.wait_log("[route chat] POST to channel p:logged, 19 bytes: published")
    assert "hidden" not in sluice.log()


def test_a_hundred_at_once(sluice, redis):
    with sluice.open("/chat/crowd") as stream, ThreadPoolExecutor(20) as pool:
        before = sluice.status()["published"]
        answers = list(pool.map(lambda n: post(sluice, "/chat/crowd", str(n)), range(100)))
        assert {status for status, _, _ in answers} == {202}
        assert sorted(int(stream.next_message().data) for _ in range(100)) == list(range(100))
        assert sluice.status()["published"] == before + 100


def test_a_client_that_does_not_wait_for_the_answer(sluice, redis):
    with sluice.open("/chat/gone") as stream:
        for n in range(50):
            connection = sluice.connect()
            body = str(n).encode()
            connection.send(fcgi.request("/chat/gone", method="POST", body=body, CONTENT_LENGTH=str(len(body)),
                                         CONTENT_TYPE="application/json"))
            connection.close()
        post(sluice, "/chat/gone", '"last"')
        while stream.next_message().data != '"last"':
            pass
    wait_for(lambda: sluice.status()["connections"] <= 2, lambda: "no connection is left over")


def test_while_redis_is_away(launch, own_redis):
    redis = own_redis().start()
    sluice = launch({"only": ROUTES["only"]}, redis=redis)
    wait_for(lambda: post(sluice, "/only")[0] == 202, lambda: "the first")
    redis.kill()
    status, headers, answer = post(sluice, "/only")
    assert status == 503 and "retry-after" in headers
    assert headers["content-type"] == "application/problem+json"
    redis.start()
    wait_for(lambda: post(sluice, "/only")[0] == 202, lambda: "it is back", 15)


@pytest.mark.parametrize("path, body, status", [
    ("/stream/x", '"x"', 202), ("/queue?ack=1-1", None, 200), (f"/mux?connection={'0' * 32}", "{}", 404)])
def test_what_tells_redis_waits_for_it(launch, own_redis, path, body, status):
    """As when the program has just been started: nobody is refused for what is there in a moment."""
    redis = own_redis()
    sluice = launch({"stream": {**ROUTES["stream"], "open_wait": "60s"},
                     "queue": {"path": "/queue", "handler": "queue", "streams": "q", "group": "g", "open_wait": "60s"},
                     "mux": {"path": "/mux", "handler": "mux", "routes": "*", "open_wait": "60s"}}, redis=redis)
    connection = sluice.connect()
    more = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"} if body else {}
    connection.send(fcgi.request(path, method="POST", body=(body or "").encode(), **more))
    sluice.status()  # a marker: it has been read
    redis.start()
    with fcgi.Response(connection, timeout=20) as response:
        assert response.status == status, response.rest(10)
    if status == 202:
        assert redis.client().xlen("p:s:x") == 1
    assert sluice.status()["requests_refused"] == (status == 404)


def test_who_waits_for_redis_may_leave(launch, own_redis):
    redis = own_redis()
    sluice = launch({"only": {**ROUTES["only"], "open_wait": "60s"}}, redis=redis)
    connection = sluice.connect()
    connection.send(fcgi.request("/only", method="POST", body=b"{}", CONTENT_LENGTH="2", CONTENT_TYPE="application/json"))
    connection.close()
    wait_for(lambda: sluice.status()["connections"] == 1, "it is let go of", 20)
    redis.start()
    wait_for(lambda: post(sluice, "/only")[0] == 202, "another is served", 20)
    assert sluice.status()["published"] == 1


def test_what_waits_for_redis_is_bounded(launch, own_redis):
    """17 MB of bodies at a time: the last of them are told at once, and those that wait are served."""
    redis = own_redis()
    sluice = launch({"only": {**ROUTES["only"], "open_wait": "60s"}}, redis=redis, server={"workers": 1})
    body = b'"' + b"x" * 65000 + b'"'
    connections = []
    for _ in range(270):
        connection = sluice.connect()
        connection.send(fcgi.request("/only", method="POST", body=body, CONTENT_LENGTH=str(len(body)), CONTENT_TYPE="application/json"))
        connections.append(connection)
    refused = 270 - (16 << 20) // len(body)
    wait_for(lambda: sluice.status()["requests_refused"] == refused, lambda: f"refused: {sluice.status()['requests_refused']}", 20)
    redis.start()
    statuses = [fcgi.Response(connection, timeout=30).status for connection in connections]
    assert statuses == [202] * (270 - refused) + [503] * refused


def test_the_prefix(launch, redis):
    sluice = launch({"only": ROUTES["only"], "stream": ROUTES["stream"]}, link={"prefix": "pre:"})
    wait_for(lambda: post(sluice, "/stream/x")[0] == 202, lambda: "Redis")
    assert redis.client().xlen("pre:p:s:x") == 1


@pytest.mark.parametrize("keys, what", [
    ({"publish": "c"}, "publish_auth"), ({"publish": "c", "publish_stream": "s", "publish_auth": "none"}, "one of them"),
    ({"publish": "c", "publish_auth": "nobody"}, "none"), ({"publish": "c:{.x}", "publish_auth": "none"}, "{.x}"),
    ({"publish": "c", "publish_auth": "none", "publish_filter": "mesage.x"}, "message"),
    ({"publish": "c", "publish_auth": "none", "publish_max": "2m"}, "publish_max")])
def test_faults(launch, keys, what):
    sluice = launch({"x": {"path": "/x", "channels": "x", **keys}}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and what in result.err


def once(sluice, path, body, key, **kw):
    return post(sluice, path, body, headers={"Idempotency-Key": key}, **kw)[::2]


def test_said_again_it_is_published_once(sluice, redis):
    with sluice.open("/chat/once") as s:
        assert once(sluice, "/chat/once", '{"n":1}', "k-1") == (202, {"receivers": 1})
        assert once(sluice, "/chat/once", '{"n":1}', "k-1") == (202, {"receivers": 1})
        assert once(sluice, "/chat/once", '{"n":2}', "k-2") == (202, {"receivers": 1})
        assert [s.next_message().data for _ in range(2)] == ['{"n":1}', '{"n":2}']
        assert s.quiet_for(0.05)
    first = once(sluice, "/stream/once", '{"n":1}', "k-1")
    assert once(sluice, "/stream/once", '{"n":1}', "k-1") == first
    assert redis.client().xlen("p:s:once") == 1
    assert 86_000 < redis.client().ttl("p:s:once:once:k-1") <= 86_400
    status, problem = once(sluice, "/stream/once", '{"n":2}', "k-1")
    assert status == 422 and "Idempotency-Key" in problem["detail"]
    assert redis.client().xlen("p:s:once") == 1


@pytest.mark.parametrize("key", ["a b", "x" * 256, '"' + "x" * 256 + '"', "ä", '""', '"a', '"a"b', '"a\\b"', '"a b"', "\x01"])
def test_keys_that_are_none(sluice, redis, key):
    status, answer = once(sluice, "/stream/badkey", "{}", key)
    assert status == 400 and "Idempotency-Key" in answer["detail"]


@pytest.mark.parametrize("key", ["a:b", "x" * 255, '"' + "y" * 255 + '"', "*", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "{a}%", 'q"'])
def test_keys_of_visible_characters(sluice, redis, key):
    first = once(sluice, "/stream/goodkey", "{}", key)
    assert first[0] == 202 and once(sluice, "/stream/goodkey", "{}", key) == first


def test_a_key_is_the_same_quoted_or_not(sluice):
    first = once(sluice, "/stream/quoted", "{}", "8e03978e-40d5-43dd-bc93-6894a57f9324")
    assert once(sluice, "/stream/quoted", "{}", '"8e03978e-40d5-43dd-bc93-6894a57f9324"') == first
    assert once(sluice, "/stream/quoted", "{}", '"a\\"b"') == once(sluice, "/stream/quoted", "{}", 'a"b')


def test_what_was_sent_is_known_again_not_what_was_made_of_it(sluice, redis):
    """The time of day in a transform makes no other message of it."""
    first = once(sluice, "/stamped", '{"text":"x"}', "k")
    assert first[0] == 202 and once(sluice, "/stamped", '{"text":"x"}', "k") == first
    assert once(sluice, "/stamped", '{"text":"y"}', "k")[0] == 422
    assert redis.client().xlen("p:stamped") == 1


def test_recorded_once(launch, redis):
    sluice = launch({"r": {"path": "/r", "channels": "p:ro", "record": 10, "publish": "p:ro", "publish_auth": "none"}})
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    with sluice.open("/r") as s:
        first = once(sluice, "/r", "1", "one")
        assert first[0] == 202 and once(sluice, "/r", "1", "one") == first
        event = s.next_message()
        assert (event.data, event.last_event_id) == ("1", first[1]["id"])
        assert s.quiet_for(0.05)
    assert redis.client().xlen("p:ro:log") == 1
