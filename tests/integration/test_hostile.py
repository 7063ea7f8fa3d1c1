"""What a client may post, and what Redis may answer to it: the right status, nothing stored by halves, and the streams go on."""

import json
import os
import signal
import socket
import time

import pytest

import fcgi
from test_publish import post
from waiting import soon, wait_for

ROUTES = {
    "post": {"path": "/post", "publish": "h:post", "publish_auth": "none", "channels": "h:post", "publish_max": "64k"},
    "stream": {"path": "/stream", "publish_stream": "h:stream", "publish_auth": "none"},
    "valid": {"path": "/valid", "publish": "h:valid", "publish_auth": "none", "publish_filter": "message.amount <= 10"},
    "loop": {"path": "/loop", "publish": "h:loop", "publish_auth": "none",
             "publish_filter": "(function() while message do end end)()"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    sluice = launch_shared(ROUTES)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    return sluice


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b'{"a":1', b'{"a":1}x', b'{"a":1}{"b":2}', b'{"a":1}\0', b'{"a":1}\0{"a":2}', b'{"a":"\0"}', b'"\xff"', b'"\xc0\xaf"',
    b'"\xed\xa0\x80"', b'"\xf5\x80\x80\x80"', b'\xef\xbb\xbf{}', b'"\\ud800"', b'"\\udc00\\ud800"', b"[" * 70 + b"]" * 70, b"[" * 60000,
    b'{"a":' * 1000, b"{/**/}", b"{'a':1}", b'{"a":1,}', b"NaN", b"Infinity", b"+1", b"01", b".5", b'"a\nb"', b"tru", b"// {}\n{}"])
def test_what_is_no_json(sluice, redis, body):
    with sluice.open("/post") as stream:
        status, headers, problem = post(sluice, "/post", body)
        assert status == 400 and headers["content-type"] == "application/problem+json", body[:40]
        assert stream.quiet_for(0.02)


@pytest.mark.parametrize("body", [
    b'{"a":"\\u0000"}', b"123456789012345678901234567890", b"-0", b"0.1", b"1e1000", b'"\\ud83d\\ude00"', b'{"a":1,"b":[]}', "\"ü…\u2028\"".encode(),
    b'{"event":"stream-end","id":"9-9","retry":0}', b'"x\\n\\nevent: stream-end\\ndata: {}"', b"[" * 30 + b"]" * 30, b'"' + b"x" * 65534 + b'"'])
def test_what_is_comes_out_byte_for_byte(sluice, body):
    with sluice.open("/post") as stream:
        assert post(sluice, "/post", body)[0] == 202
        event = stream.next_message()
        assert (event.type, event.data.encode()) == ("message", body)
        assert stream.quiet_for(0.02)


def test_what_is_checked_is_what_is_stored(sluice, redis):
    """A name that stands twice means one thing to the filter and another to who reads it."""
    assert post(sluice, "/valid", '{"amount":5}')[0] == 202
    for body in ('{"amount":50}', '{"amount":50,"amount":5}', '{"amount":5,"amount":50}', '{"amount":5,"x":{"a":1,"a":2}}',
                 '{"amount":"5"}', '{"amount":null}', "[]", "5", "null", '"x"', '{"\\u0061mount":50,"amount":5}'):
        status, _, problem = post(sluice, "/valid", body)
        assert status == 422, body


def test_a_filter_that_runs_for_ever(sluice):
    began = time.monotonic()
    assert post(sluice, "/loop", "{}")[0] == 422
    assert soon(began, 0.5)


@pytest.mark.parametrize("size, status", [(65536, 202), (65537, 413), (1 << 20, 413), ((1 << 20) + 1, 413)])
def test_sizes(sluice, size, status):
    body = b'"' + b"x" * (size - 2) + b'"'
    try:
        assert post(sluice, "/post", body)[0] == status
    except (BrokenPipeError, ConnectionResetError):
        assert size > 1 << 20, "it may be cut off while it is sent"


def test_a_slow_body(sluice, redis):
    """It is given up after a while, and nobody else waits for it."""
    connection = sluice.connect(timeout=30)
    body = b'{"slow":true}'
    data = fcgi.request("/post", method="POST", body=body, CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body)))
    connection.send(data[:-30])
    with sluice.open("/post") as stream:
        began = time.monotonic()
        assert post(sluice, "/post", "1")[0] == 202
        assert stream.next_message().data == "1" and soon(began, 0.5)
        try:
            with fcgi.Response(connection, timeout=20) as response:
                assert response.status == 408
        except AssertionError as e:
            assert "closed" in str(e) or "ended" in str(e), e
        assert stream.quiet_for(0.05), "a part is no message"


def test_what_redis_refuses(sluice, redis):
    client = redis.client()
    client.delete("h:stream")
    client.set("h:stream", "no stream")
    status, headers, problem = post(sluice, "/stream", "1")
    assert status == 503 and "retry-after" in headers and "h:stream" not in json.dumps(problem)
    client.delete("h:stream")
    client.config_set("maxmemory", "1")
    try:
        assert post(sluice, "/stream", "1")[0] == 503
    finally:
        client.config_set("maxmemory", "0")
    client.config_set("min-replicas-to-write", "1")
    try:
        assert post(sluice, "/stream", "1")[0] == 503
    finally:
        client.config_set("min-replicas-to-write", "0")
    assert post(sluice, "/stream", "1")[0] == 202
    assert client.xlen("h:stream") == 1


def test_redis_hangs_between(launch, own_redis):
    """Nobody knows whether it was published, and that is what the answer says; it is not said again."""
    server = own_redis().start()
    sluice = launch({"stream": ROUTES["stream"]}, redis=server)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up")
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        connection = sluice.connect(timeout=30)
        connection.send(fcgi.request("/stream", method="POST", body=b"1", CONTENT_TYPE="application/json"))
        with fcgi.Response(connection, timeout=20) as response:
            response.rest(10)
            assert response.status == 503
            assert "or not" in json.loads(bytes(response.body))["detail"]
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
    wait_for(lambda: sluice.status()["redis_links"] >= 2, "both links to Redis are up", 20)
    assert server.client().xlen("h:stream") <= 1


def test_two_thousand_at_once(sluice, redis):
    """Each gets an answer, and a stream beside them its events in time."""
    with sluice.open("/post") as stream:
        sockets = []
        for i in range(2000):
            s = socket.socket(fcgi.family_of(sluice.address), socket.SOCK_STREAM)
            s.settimeout(20)
            s.connect(sluice.address)
            s.sendall(fcgi.request("/stream", method="POST", body=b"1", CONTENT_TYPE="application/json"))
            sockets.append(s)
        began = time.monotonic()
        redis.publish("h:post", "now")
        assert stream.next_message().data == "now"
        assert soon(began, 1)
        answered = 0
        for s in sockets:
            data = s.recv(4096)
            answered += b"Status: 202" in data or b"Status: 503" in data
            s.close()
        assert answered == 2000
