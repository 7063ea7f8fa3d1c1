"""The fragments in conf/, as shipped, in front of an application that shows what it is asked."""

import threading
import time

import pytest

from fcgi import Spy
from waiting import Timeout, soon, wait_for

HEAD = (b"Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, no-transform\r\n"
        b"X-Accel-Buffering: no\r\n\r\nretry: 3000\n\n")


@pytest.fixture
def web(serve, server_class, spy):
    return serve(server_class, spy.path)


def open_stream(web, spy, path="/events/x", **kw):
    """A stream through the web server; both of its ends."""
    made = []
    thread = threading.Thread(target=lambda: made.append(web.get(path, **kw)))
    thread.start()
    request = spy.next_request()
    request.send(HEAD)
    thread.join(60)
    assert made, "the response's head never came through"
    return made[0], request


def test_other_urls_are_the_sites_own(web, spy):
    with web.get("/index.html") as page:
        assert page.status == 200
        page.rest()
        assert bytes(page.body) == b"a page\n"
    assert spy.requests.empty()


def test_each_event_comes_at_once(web, spy):
    stream, request = open_stream(web, spy)
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in stream.headers
    for i in range(20):
        start = time.monotonic()
        request.send(b"data: %d\n\n" % i)
        assert stream.next_event().data == str(i)
        assert soon(start, 0.2)
    request.finish()
    assert stream.rest() == []


def test_compression_of_the_site_does_not_touch_events(web, spy):
    stream, request = open_stream(web, spy, headers={"Accept-Encoding": "gzip, deflate"})
    assert "content-encoding" not in stream.headers
    request.send(b"data: x\n\n")
    assert stream.next_event().data == "x"
    stream.close()


def test_large_and_small_events_arrive_whole(web, spy):
    stream, request = open_stream(web, spy)
    sizes = [1, 100_000, 2, 65_528, 65_529, 3, 1_000_000]
    sender = threading.Thread(target=lambda: [request.send(b"data: " + b"x" * n + b"\n\n") for n in sizes])
    sender.start()
    assert [len(stream.next_event(20).data) for _ in sizes] == sizes
    sender.join()
    request.finish()


def test_silent_stream_is_not_cut(web, spy):
    """The site's own time-outs are a second here: the fragment's must count."""
    stream, request = open_stream(web, spy)
    request.send(b"data: before\n\n")
    assert stream.next_event().data == "before"
    stream.quiet_for(3)
    request.send(b"data: after\n\n")
    assert stream.next_event().data == "after"
    stream.close()


def test_application_learns_that_the_client_has_gone(web, spy):
    stream, request = open_stream(web, spy)
    request.send(b"data: 1\n\n")
    stream.next_event()
    stream.close()
    if web.notices_idle_client:
        assert request.wait_closed(1), "an idle client's end goes unnoticed"
        return
    # Apache: when it writes to the client for the second time.
    for _ in range(20):
        try:
            request.send(b": beat\n\n")
        except OSError:
            return
        if request.wait_closed(0.1):
            return
    pytest.fail("the client's end goes unnoticed though events are sent")


def test_application_learns_of_a_reset(web, spy):
    stream, request = open_stream(web, spy)
    request.send(b"data: 1\n\n")
    stream.next_event()
    stream.reset()
    for _ in range(20):
        try:
            request.send(b": beat\n\n")
        except OSError:
            return
        if request.wait_closed(0.1):
            return
    pytest.fail("the client's reset goes unnoticed")


def test_variables(web, spy):
    headers = {"Last-Event-ID": "1700000000000-0", "Cookie": "a=1", "Origin": "https://example.org",
               "Authorization": "Bearer abc"}
    stream, request = open_stream(web, spy, "/events/a%20b?x=1&y=%2F", headers=headers)
    assert request.value("REQUEST_URI") == "/events/a%20b?x=1&y=%2F"
    assert request.value("QUERY_STRING") == "x=1&y=%2F"
    assert request.value("REQUEST_METHOD") == "GET"
    assert request.value("REMOTE_ADDR") == "127.0.0.1"
    assert request.value("REQUEST_SCHEME") == "http"
    assert not request.value("HTTPS")
    assert request.value("HTTP_LAST_EVENT_ID") == "1700000000000-0"
    assert request.value("HTTP_COOKIE") == "a=1"
    assert request.value("HTTP_ORIGIN") == "https://example.org"
    assert request.value("HTTP_AUTHORIZATION") == "Bearer abc"
    assert request.value("CONTENT_LENGTH") in (None, "", "0")
    names = [n for n, _ in request.params]
    assert len(names) == len(set(names)), "a variable came twice"
    stream.close()


def test_unchecked_user_does_not_come_through(web, spy):
    stream, request = open_stream(web, spy, headers={"Authorization": "Basic YWRtaW46YW55dGhpbmc="})
    assert not request.value("REMOTE_USER")
    assert not request.value("AUTH_TYPE")
    stream.close()


def test_proxy_header_is_no_variable(web, spy):
    stream, request = open_stream(web, spy, headers={"Proxy": "http://evil.example"})
    assert not any(n == "HTTP_PROXY" and v for n, v in request.params)
    stream.close()


def test_body_of_a_post_comes_through(web, spy):
    made = []
    thread = threading.Thread(target=lambda: made.append(
        web.get("/events/x", method="POST", body=b'{"a":1}', headers={"Content-Type": "application/json"})))
    thread.start()
    request = spy.next_request()
    assert request.body == b'{"a":1}'
    assert request.value("CONTENT_LENGTH") == "7"
    assert request.value("CONTENT_TYPE") == "application/json"
    request.send(b"Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}")
    request.finish()
    thread.join(60)
    assert made[0].status == 202
    made[0].close()


def test_served_again_as_soon_as_the_application_is_back(web, spy, folder):
    """An EventSource that is told 5xx never comes back: the server must not go on saying so."""
    spy.close()
    (folder / "spy.sock").unlink()
    with web.get("/events/x", headers={"Accept": "*/*"}) as refused:
        assert refused.status in (502, 503)
    again = Spy(spy.path)
    (folder / "spy.sock").chmod(0o777)
    threading.Thread(target=answer_all, args=(again,), daemon=True).start()

    def is_served():
        with web.get("/events/x") as response:
            return response.status == 200
    wait_for(is_served, "served again", web.seconds_until_back)
    again.close()


def answer_all(spy):
    while True:
        try:
            request = spy.next_request()
        except Timeout:
            return
        request.send(HEAD)
        request.finish()
