"""An EventSource gives up for good at 4xx and 5xx. After each passing trouble a page that was open all the time lives, and has all."""

import os
import signal
import sys
import time

import pytest

import webservers
from cutter import Cutter
from program import IS_VALGRIND, ROOT
from test_auth import AUTH, token
from test_restarts import successors, upgrade  # noqa: F401 (a fixture)
from waiting import wait_for

sys.path.append(str(ROOT / "tests" / "browser"))
import chromium  # noqa: E402

OPEN = """
    const [path, cookie] = arguments;
    if (cookie) document.cookie = `${cookie}; path=/`;
    window.got = [];
    window.states = [];
    window.source?.close();
    window.source = new EventSource(path);
    source.onmessage = ({data}) => got.push(data);
    for (const name of ["stream-open", "stream-reset", "stream-end", "keep-alive"])
        source.addEventListener(name, e => states.push(`${name} ${e.data}`));
    source.onerror = () => states.push(source.readyState === 2 ? "closed" : "connecting");
"""
STREAM = {"path": "/stream", "streams": "pr:stream", "retry": "100ms"}
PLAIN = {"path": "/plain", "channels": "pr:plain", "retry": "100ms", "heartbeat": "200ms"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


class Web(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, more + 'mimetype.assign = ( ".html" => "text/html" )')


class Page:
    """One EventSource, which is never made anew by the test."""

    def __init__(self, browser, web):
        self.browser, self.cutter = browser, Cutter(web.port)
        browser.get(f"http://127.0.0.1:{self.cutter.port}/index.html")
        browser.delete_all_cookies()

    def open(self, path, cookie=""):
        self.browser.execute_script(OPEN, f"/events{path}", cookie)
        return self

    def got(self):
        return self.browser.execute_script("return got")

    def states(self):
        return self.browser.execute_script("return states")

    def wait_state(self, start, n=1):
        wait_for(lambda: sum(s.startswith(start) for s in self.states()) >= n or "closed" in self.states(),
                 lambda: f"{n} of {start}: {self.states()}", 15, every=0.05)
        assert "closed" not in self.states(), self.states()

    def wait_got(self, *wanted):
        wait_for(lambda: self.got() == list(wanted) or "closed" in self.states(), lambda: f"{wanted}: {self.got()}, {self.states()}", 15,
                 every=0.05)
        assert (self.got(), "closed" in self.states()) == (list(wanted), False), self.states()


@pytest.fixture
def page(browser, serve):
    pages = []

    def make(sluice):
        pages.append(Page(browser, serve(Web, sluice.path)))
        return pages[-1]
    yield make
    browser.execute_script("window.source?.close()")
    for one in pages:
        one.cutter.close()


def lives(page, redis, n=1):
    """It is cut, and has what came meanwhile, and what comes then."""
    page.cutter.cut()
    redis.client().xadd("pr:stream", {"data": f"away {n}"})
    page.wait_state("stream-open", n + 1)
    redis.client().xadd("pr:stream", {"data": f"live {n}"})


@pytest.mark.parametrize("id", ["a b", "é", "x&y=1", "漢字"])
def test_ids_of_any_bytes(launch, redis, page, id):
    """Sluice has sent it, so the browser says it when it comes back."""
    sluice = launch({"x": {**PLAIN, "id": "{.id}"}}, server={"base": "/events"})
    here = page(sluice).open("/plain")
    here.wait_state("stream-open")
    redis.publish("pr:plain", f'{{"id":"{id}"}}')
    here.wait_got(f'{{"id":"{id}"}}')
    here.cutter.cut()
    here.wait_state("stream-open", 2)
    redis.publish("pr:plain", '{"id":"z"}')
    here.wait_got(f'{{"id":"{id}"}}', '{"id":"z"}')


def test_a_query_that_is_no_business_of_the_route(launch, redis, page):
    redis.client().delete("pr:stream")
    sluice = launch({"x": STREAM}, server={"base": "/events"})
    here = page(sluice).open("/stream?utm_source=a&utm_source=b&x[]=1&x[]=2&x=%E9")
    here.wait_state("stream-open")
    lives(here, redis)
    here.wait_got("away 1", "live 1")


def test_rights_that_come_go_and_come(launch, own_redis, page):
    server = own_redis().start()
    admin = server.client()
    admin.execute_command("ACL", "SETUSER", "sluice", "on", ">pass", "+@all", "~*", "resetchannels", "&sluice*")
    sluice = launch({"x": PLAIN}, redis=server, link={"url": f"unix://sluice:pass@{server.path}"}, server={"base": "/events"})
    here = page(sluice).open("/plain")
    here.wait_state("keep-alive")
    assert not any(s.startswith("stream-open") for s in here.states())
    said = []
    for n in (1, 2):
        admin.execute_command("ACL", "SETUSER", "sluice", "&pr:plain")
        here.wait_state("stream-open" if n == 1 else "stream-reset")
        server.publish("pr:plain", str(n))
        said.append(str(n))
        here.wait_got(*said)
        admin.execute_command("ACL", "SETUSER", "sluice", "resetchannels", "&sluice*")
        beats = sum(s.startswith("keep-alive") for s in here.states())
        here.wait_state("keep-alive", beats + 2)


def test_a_key_of_another_type(launch, redis, page):
    client = redis.client()
    client.delete("pr:stream")
    client.set("pr:stream", "no stream")
    sluice = launch({"x": {**STREAM, "heartbeat": "200ms"}}, server={"base": "/events"})
    here = page(sluice).open("/stream")
    here.wait_state("keep-alive")
    client.delete("pr:stream")
    here.wait_state("stream-open")
    client.xadd("pr:stream", {"data": "1"})
    here.wait_got("1")
    lives(here, redis)
    here.wait_got("1", "away 1", "live 1")


@pytest.mark.parametrize("cookie", [
    "token=" + token(user=7), "token=" + token(user="ada@example.org"), "token=" + token(user="auth0|123"),
    "token=" + token(exp=time.time() + 4000.5), "token=" + token(exp=4e9), "PHPSESSID=pr7", "PHPSESSID=pr%2C7",
], ids=["an integer", "an address", "auth0", "a fraction", "1e9", "a session", "a comma"])
def test_whoever_asks(launch, redis, page, cookie):
    client = redis.client()
    client.delete("pr:stream")
    client.set("sess:pr7", '{"user":7}')
    client.set("sess:pr,7", '{"user":7}')
    sluice = launch({"x": {**STREAM, "auth": "jwt session"}}, auth=AUTH, server={"base": "/events"})
    here = page(sluice).open("/stream", cookie)
    here.wait_state("stream-open")
    lives(here, redis)
    here.wait_got("away 1", "live 1")


def test_a_session_in_the_first_milliseconds(launch, redis, page):
    """The worker is killed, and the page is back before the next one has Redis."""
    client = redis.client()
    client.delete("pr:stream")
    client.set("sess:pr8", '{"user":8}')
    sluice = launch({"x": {**STREAM, "auth": "session", "retry": "10ms"}}, auth=AUTH, server={"base": "/events"})
    here = page(sluice).open("/stream", "PHPSESSID=pr8")
    here.wait_state("stream-open")
    for n in (1, 2, 3):
        os.kill(sluice.worker(), signal.SIGKILL)
        client.xadd("pr:stream", {"data": str(n)})
        here.wait_state("stream-open", n + 1)
    client.xadd("pr:stream", {"data": "4"})
    here.wait_got("1", "2", "3", "4")


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
def test_a_new_program(launch, redis, page, successors):
    """USR2 starts the next one with the same socket, and drains."""
    redis.client().delete("pr:stream")
    sluice = launch({"x": STREAM}, server={"base": "/events", "drain": "1s"})
    here = page(sluice).open("/stream")
    here.wait_state("stream-open")
    upgrade(sluice, successors)
    redis.client().xadd("pr:stream", {"data": "1"})
    here.wait_state("stream-end")
    here.wait_state("stream-open", 2)
    redis.client().xadd("pr:stream", {"data": "2"})
    here.wait_got("1", "2")
    sluice.kill()
    sluice.reports.check()
