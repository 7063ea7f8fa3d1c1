"""A browser's own EventSource over HTTP/2: how it comes back, and how many streams there may be."""

import os
import signal

import pytest

from program import ROOT
from test_browser_eventsource import (  # noqa: F401 (the tests are run here, too, with the page below)
    Page, browser, sluice, test_a_hundred_in_order, test_an_end_for_good, test_an_end_that_is_not_for_good, test_closing,
    test_heartbeats, test_it_comes_back_and_misses_nothing, test_refusals_are_for_good)
from waiting import wait_for
from webservers import ApacheHttp2, NginxHttp2

BEHIND = {"nginx": NginxHttp2, "apache": ApacheHttp2}
STREAMS = 20

LIBRARY = """
    const [path, done] = arguments;
    fetch("/sluice.js").then(answer => answer.text()).then(async text => {
        const {Sluice} = await import(URL.createObjectURL(new Blob([text], {type: "text/javascript"})));
        window.got = [];
        window.sluice = new Sluice("/events", {stale: 1500, backoff: [50, 500]});
        const one = sluice.subscribe(path).listen(m => got.push([m.type, m.data, m.id]));
        await one.ready;
        done("ready");
    }).catch(error => done(String(error)));
"""


def pytest_generate_tests(metafunc):
    """Apache does not tell a client of HTTP/2 that what stands behind has died: it is the library that notices (below)."""
    if "page" in metafunc.fixturenames:
        is_told = metafunc.function.__name__ == "test_it_comes_back_and_misses_nothing"
        metafunc.parametrize("page", ["nginx"] if is_told else list(BEHIND), indirect=True)


@pytest.fixture(scope="module")
def webs(sluice):  # noqa: F811
    started = {name: cls(sluice.folder, sluice.path).start() for name, cls in BEHIND.items()}
    for web in started.values():
        (web.folder / "www" / "sluice.js").write_text((ROOT / "www" / "sluice.js").read_text())
    yield started
    for web in started.values():
        web.stop()


@pytest.fixture
def page(request, browser, webs):  # noqa: F811
    page = Page(browser, webs[request.param])
    assert page.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    yield page
    page.script("window.source?.close(); window.sluice?.disconnect()")


def add(client, *values):
    return [client.xadd("be:s:h2", {"data": n}).decode() for n in values]


def test_it_comes_back_after_an_orderly_end(page, redis, sluice):  # noqa: F811
    """As at a restart: workers end their streams before they go."""
    client = redis.client()
    client.delete("be:s:h2")
    ids = add(client, 0)
    assert page.open("/stream/h2") == "open"
    page.wait(1)
    for worker in sluice.workers():
        os.kill(worker, signal.SIGTERM)
    ids += add(client, 1, 2)
    wait_for(lambda: len(page.got("stream-open")) >= 2, lambda: f"it is back: {page.script('return [got, states]')}", 20)
    assert [e[1:] for e in page.wait(3)] == [[str(n), id] for n, id in enumerate(ids)]


def test_the_library_notices_what_nobody_tells(page, redis, sluice):  # noqa: F811
    client = redis.client()
    client.delete("be:s:h2")
    ids = add(client, 0)
    assert page.browser.execute_async_script(LIBRARY, "/stream/h2") == "ready"
    page.wait(1)
    for worker in sluice.workers():
        os.kill(worker, signal.SIGKILL)
    ids += add(client, 1, 2)
    assert [e[1:] for e in page.wait(3)] == [[str(n), id] for n, id in enumerate(ids)]


def test_many_streams_at_once(page, redis, sluice):  # noqa: F811
    """
    Over HTTP/1.1 a browser opens six connections to a host; here all are one. (Apache serves six at a time all the same, and
    fewer on a connection on which streams were closed: so this one is new, for its host has another name.)
    """
    streams = STREAMS if isinstance(page.web, NginxHttp2) else 6
    page.browser.get(f"{page.web.scheme}://localhost:{page.web.port}/events/nothing")
    page.script(f"""window.got = [];
        window.all = Array.from({{length: {streams}}}, (_, n) => new EventSource("/events/channel/h2-" + n));
        all.forEach((one, n) => one.onmessage = e => got.push(`${{n}} ${{e.data}}`));""")
    wait_for(lambda: page.script("return all.every(one => one.readyState === 1)"), "all of them to be open")
    sluice.wait_subscribers(streams)  # those of the tests before are gone
    for n in range(streams):
        redis.publish(f"be:h2-{n}", "x")
    wait_for(lambda: sorted(page.script("return got")) == sorted(f"{n} x" for n in range(streams)), "an event for each")
    page.script("all.forEach(one => one.close())")
    wait_for(lambda: sluice.status()["subscribers"] == 0, "none", 10)
