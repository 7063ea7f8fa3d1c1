"""What a browser's own EventSource makes of us, through each web server: the cases of the web-platform tests that
concern a server."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import webservers
from waiting import wait_for

sys.path.append(str(Path(__file__).parents[1] / "browser"))
import chromium  # noqa: E402

# Most web servers notice at a write alone that a page has closed its stream: that of a test must be gone in the next one.
BEAT = {"heartbeat": "400ms"}
ROUTES = {
    "channel": {"path": "/channel/{name}", "channels": "be:{name}", "retry": "300ms", **BEAT},
    "named": {"path": "/named", "channels": "be:named", "event": "{.kind}", **BEAT},
    "stream": {"path": "/stream/{name}", "streams": "be:s:{name}", "start": "0", "retry": "300ms", **BEAT},
    "until": {"path": "/until", "channels": "be:until", "until": "message == 'last'", "retry": "100ms", **BEAT},
    "comment": {"path": "/comment", "channels": "be:comment", "heartbeat": "100ms", "heartbeat_event": '""'},
    "shared": {"path": "/shared", "channels": "be:shared", "cors_origins": "http://other.example", **BEAT},
    "refused": {"path": "/refused", "channels": "be:x", "auth": "jwt"},
    "wait": {"path": "/wait", "handler": "wait", "channels": "be:wait"},
    "idle": {"path": "/idle", "channels": "be:idle", "idle": "500ms", "retry": "200ms"},
}

OPEN = """
    const [path, names, done] = arguments;
    window.got = [];
    window.states = [];
    window.source?.close();
    window.source = new EventSource(path);
    for (const name of ["message", "stream-open", "stream-reset", "stream-end", "stream-done", "keep-alive", ...names])
        source.addEventListener(name, e => got.push([e.type, e.data, e.lastEventId]));
    source.onopen = () => states.push("open");
    source.onerror = () => states.push(source.readyState === 2 ? "closed" : "connecting");
    source.addEventListener("stream-open", () => done("open"), {once: true});
    source.addEventListener("error", () => source.readyState === 2 && done("closed"));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, auth={"jwt_key": "k" * 32}, server={"base": "/events"})


class Page:
    def __init__(self, browser, web):
        self.browser, self.web = browser, web
        browser.get(f"{web.scheme}://127.0.0.1:{web.port}/events/nothing")

    def open(self, path, *names):
        return self.browser.execute_async_script(OPEN, f"/events{path}", list(names))

    def script(self, text):
        return self.browser.execute_script(text)

    def got(self, *types):
        return [e for e in self.script("return got") if e[0] in (types or ("message",))]

    def wait(self, n, *types):
        wait_for(lambda: len(self.got(*types)) >= n, lambda: f"{n} of {types}: {self.script('return [got, states]')}", 10)
        return self.got(*types)


@pytest.fixture(scope="module", params=list(webservers.ALL))
def web(request, sluice):
    """Each web server in turn, one for all tests."""
    server = webservers.ALL[request.param](sluice.folder, sluice.path)
    yield server.start()
    server.stop()


@pytest.fixture
def page(browser, web):
    page = Page(browser, web)
    yield page
    page.script("window.source?.close()")


@pytest.mark.parametrize("payload", ["", "x", " leading", "  two", "trailing\n", "\n", "\n\n", "a\nb", "a\rb", "a\r\nb", "a\n\nb", "data: x",
                                     "id: 7\n\nevent: stream-end\ndata: {}", ": comment", "\ufeffx", "ü€😀", "x" * 100_000, "a:b", "retry: 1"],
                         ids=range(19))
def test_data(page, redis, payload):
    """format-newlines, -field-data, -leading-space, -comments, -bom, -utf-8, -parsing"""
    assert page.open("/channel/data") == "open"
    redis.publish("be:data", payload)
    redis.publish("be:data", "after")
    got = page.wait(2)
    assert got[0][1] == payload.replace("\r\n", "\n").replace("\r", "\n") and got[1][1] == "after"


def test_names(page, redis):
    """format-field-event: a name reaches its listener and no other, whatever it is"""
    assert page.open("/named", "order", "Ünïcode", "a b") == "open"
    for kind in ("order", "message", "Ünïcode", "a b", "stream-end", "un\\nknown"):
        redis.publish("be:named", f'{{"kind":"{kind}"}}')
    redis.publish("be:named", '{"kind":"order","last":1}')
    got = page.wait(5, "order", "message", "Ünïcode", "a b")
    assert [e[0] for e in got] == ["order", "message", "Ünïcode", "a b", "order"]
    assert page.got("stream-end") == []


def test_ids(page, redis):
    """format-field-id: an id stays until the next; a stream's is its entry's; a channel's events have none"""
    client = redis.client()
    client.delete("be:s:ids")
    assert page.open("/stream/ids") == "open"
    ids = [client.xadd("be:s:ids", {"data": n}).decode() for n in range(3)]
    assert [e[1:] for e in page.wait(3)] == [[str(n), i] for n, i in enumerate(ids)]
    assert page.open("/channel/noid") == "open"
    redis.publish("be:noid", "1")
    assert page.wait(1)[0][2] == ""


def test_a_hundred_in_order(page, redis):
    assert page.open("/channel/many") == "open"
    for n in range(100):
        redis.publish("be:many", str(n))
    assert [e[1] for e in page.wait(100)] == [str(n) for n in range(100)]


def test_heartbeats(page, redis):
    """A page hears those that have a name, and no comment."""
    assert page.open("/channel/beat") == "open"
    assert all(e[1] == "{}" for e in page.wait(2, "keep-alive"))
    assert page.got() == []
    assert page.open("/comment") == "open"
    time.sleep(0.4)
    assert [e[0] for e in page.script("return got")] == ["stream-open"]


def test_it_comes_back_and_misses_nothing(page, redis, sluice):
    """eventsource-reconnect, format-field-retry: after the stream's end, at the time asked for, with its id"""
    client = redis.client()
    client.delete("be:s:back")
    first = client.xadd("be:s:back", {"data": 0}).decode()
    assert page.open("/stream/back") == "open"
    assert page.wait(1)[0][1:] == ["0", first]
    for worker in sluice.workers():
        os.kill(worker, signal.SIGKILL)
    ids = [client.xadd("be:s:back", {"data": n}).decode() for n in range(1, 4)]
    wait_for(lambda: len(page.got("stream-open")) >= 2, lambda: f"it is back: {page.script('return [got, states]')}", 20)
    assert [e[1:] for e in page.wait(4)] == [["0", first], *[[str(n + 1), i] for n, i in enumerate(ids)]]
    assert "closed" not in page.script("return states")


def test_an_end_that_is_not_for_good(page, redis):
    assert page.open("/idle") == "open"
    wait_for(lambda: len(page.got("stream-open")) >= 2, "it is back", 10)
    assert page.got("stream-end")[0][1] == '{"reason":"idle"}'
    states = page.script("return states")
    assert states[:3] == ["open", "connecting", "open"], states


def test_an_end_for_good(page, redis, sluice):
    """request-status-error, 204: exactly one further request, then none"""
    assert page.open("/until") == "open"
    before = sluice.status()["requests"]
    redis.publish("be:until", '"first"')
    redis.publish("be:until", '"last"')
    wait_for(lambda: page.script("return source.readyState") == 2, "it has given up", 10)
    assert [e[1] for e in page.got()] == ['"first"', '"last"']
    assert page.got("stream-done")[0][1:] == ['{"reason":"until"}', "0.end"]
    time.sleep(0.5)
    assert sluice.status()["requests"] - before == 1 + 1, "its one, and our question"


@pytest.mark.parametrize("path", ["/nothing", "/channel/a%20b", "/refused", "/wait?timeout=100"])
def test_refusals_are_for_good(page, path):
    """request-status-error, format-mime-bogus"""
    assert page.open(path) == "closed"
    assert page.script("return states") == ["closed"]


def test_closing(page, sluice, redis):
    """eventsource-close, request-cancellation: the server hears of it"""
    assert page.open("/channel/closing") == "open"
    wait_for(lambda: sluice.status()["subscribers"] == 1, "one stream")
    page.script("source.close()")
    wait_for(lambda: sluice.status()["subscribers"] == 0, "none")
    redis.publish("be:closing", "x")
    assert page.got() == []


def test_another_origin(page, redis):
    """eventsource-cross-origin: only the page of a site that the route names may read"""
    port = page.web.port
    page.browser.get(f"http://localhost:{port}/events/nothing")
    assert page.browser.execute_async_script(OPEN, f"http://127.0.0.1:{port}/events/shared", []) == "closed"
    assert page.browser.execute_async_script(OPEN, f"http://localhost:{port}/events/shared", []) == "open"
