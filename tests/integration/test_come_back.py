"""While no Sluice runs, each web server tells an EventSource to come back: told 500, 502 or 503 it never would."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fcgi import Connection
from program import ROOT
from streams import Disconnected
from waiting import wait_for

sys.path.append(str(ROOT / "tests" / "browser"))
import chromium  # noqa: E402

ROUTES = {"stream": {"path": "/stream/{name}", "streams": "cb:{name}", "retry": "200ms"}}
OPEN = """
    window.got = [];
    window.states = [];
    window.source?.close();
    window.source = new EventSource(arguments[0]);
    source.onmessage = ({data}) => got.push(data);
    for (const name of ["stream-open", "stream-end"]) source.addEventListener(name, () => states.push(name));
    source.onerror = () => states.push(source.readyState === 2 ? "closed" : "connecting");
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


def is_told_to_come_back(told):
    assert told.status == 200
    assert told.headers["content-type"] == "text/event-stream; charset=utf-8"
    told.rest()
    assert (1000 <= told.parser.retry <= 3000) and bytes(told.parser.raw).endswith(
        b'\nevent: stream-end\ndata: {"reason":"drain"}\n\n')


def test_an_eventsource_is_back_and_has_all(launch, redis, serve, server_class, browser):
    sluice = launch(ROUTES, server={"base": "/events"})
    web = serve(server_class, sluice.path)
    name = web.name
    redis.client().delete(f"cb:{name}")
    browser.get(f"http://127.0.0.1:{web.port}/events/status")
    browser.execute_script(OPEN, f"/events/stream/{name}")

    def state():
        return browser.execute_script("return [got, states]")
    wait_for(lambda: "stream-open" in state()[1], lambda: f"open: {state()}", 20)
    sluice.stop()
    assert not os.path.exists(sluice.path)
    redis.client().xadd(f"cb:{name}", {"data": "1"})
    with web.get(f"/events/stream/{name}", headers={"Accept": "text/event-stream"}) as told:
        is_told_to_come_back(told)
    with web.get(f"/events/stream/{name}", headers={"Accept": "*/*"}) as other:
        assert other.status in (502, 503)
    with web.get(f"/events/stream/{name}", method="POST", body=b"{}", headers={"Accept": "text/event-stream"}) as other:
        assert other.status in (502, 503)
    wait_for(lambda: state()[1].count("stream-end") > 1 or "closed" in state()[1], lambda: f"it is told once more: {state()}", 20)
    assert "closed" not in state()[1], state()
    sluice.start()
    redis.client().xadd(f"cb:{name}", {"data": "2"})
    wait_for(lambda: state()[0] == ["1", "2"] or "closed" in state()[1], lambda: f"all of it: {state()}", 30)
    assert state()[0] == ["1", "2"] and "closed" not in state()[1]
    browser.execute_script("source.close()")


def n_sockets(folder):
    """How many sockets were bound in the folder: those that listen, and one for each who has connected."""
    return sum(f" {folder}/" in line for line in Path("/proc/net/unix").read_text().splitlines())


def test_a_request_that_waits_in_the_queue_of_one_that_dies(launch, serve, server_class):
    """It was sent, and so the web server may not send it again: that is another fault to it than that nobody listens."""
    sluice = launch(ROUTES, server={"base": "/events"})
    web = serve(server_class, sluice.path)
    os.kill(sluice.worker(), signal.SIGSTOP)
    before = n_sockets(sluice.folder)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(web.get, "/events/stream/x", headers={"Accept": "text/event-stream"}, timeout=20)
        wait_for(lambda: n_sockets(sluice.folder) > before, "the request is in the queue", 20)
        sluice.kill()
        with asked.result() as told:
            is_told_to_come_back(told)


def test_a_stream_ends_with_its_worker(launch, serve, server_class):
    """At once, and not after the time for which the web server keeps a connection, which is long here: so its client is back soon."""
    class Keeps(server_class):
        def configuration(self, fragment, *more):
            more_apache = "KeepAliveTimeout 90\n" if self.name == "apache" else ""
            return super().configuration(fragment, *more) + more_apache
    sluice = launch(ROUTES, server={"base": "/events"})
    web = serve(Keeps, sluice.path)
    with web.open("/events/stream/x") as stream:
        os.kill(sluice.worker(), signal.SIGKILL)
        with pytest.raises(Disconnected):
            stream.next_event(20)


@pytest.mark.parametrize("workers", (1, 3))
def test_whoever_could_connect_is_answered(launch, workers):
    """At a TERM: until the last moment there is either an answer, or nobody to connect to."""
    sluice = launch(ROUTES, server={"workers": workers})

    def ask_on():
        """As often as it can, until nobody listens."""
        while True:
            try:
                connection = Connection(sluice.path, timeout=20)
            except OSError:
                return
            with connection, connection.get("/status") as answer:
                answered.append(answer.json())
    with ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            answered = []
            asking = [pool.submit(ask_on) for _ in range(16)]
            wait_for(lambda: len(answered) > 64, "they are answered", 20)
            sluice.stop()
            for one in asking:
                one.result()
            sluice.start()
