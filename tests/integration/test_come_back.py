"""While no Sluice runs, each web server tells an EventSource to come back: told 502 or 503 it never would."""

import os
import sys
import time

import pytest

from program import ROOT
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


def test_an_eventsource_is_back_and_has_all(launch, redis, serve, server_class, browser):
    sluice = launch(ROUTES, server={"base": "/events"})
    web = serve(server_class, sluice.path)
    name = web.name
    redis.client().delete(f"cb:{name}")
    browser.get(f"http://127.0.0.1:{web.port}/events/status")
    browser.execute_script(OPEN, f"/events/stream/{name}")

    def state():
        return browser.execute_script("return [got, states]")
    wait_for(lambda: "stream-open" in state()[1], lambda: f"open: {state()}", 10)
    sluice.stop()
    assert not os.path.exists(sluice.path)
    redis.client().xadd(f"cb:{name}", {"data": "1"})
    with web.get(f"/events/stream/{name}", headers={"Accept": "text/event-stream"}) as told:
        assert told.status == 200
        assert told.headers["content-type"] == "text/event-stream; charset=utf-8"
        told.rest()
        assert (1000 <= told.parser.retry <= 3000) and bytes(told.parser.raw).endswith(
            b'\nevent: stream-end\ndata: {"reason":"drain"}\n\n')
    with web.get(f"/events/stream/{name}", headers={"Accept": "*/*"}) as other:
        assert other.status in (502, 503)
    with web.get(f"/events/stream/{name}", method="POST", body=b"{}", headers={"Accept": "text/event-stream"}) as other:
        assert other.status in (502, 503)
    away = time.monotonic() + 4
    wait_for(lambda: time.monotonic() > away, "", 5)
    assert "closed" not in state()[1], state()
    sluice.start()
    redis.client().xadd(f"cb:{name}", {"data": "2"})
    wait_for(lambda: state()[0] == ["1", "2"] or "closed" in state()[1], lambda: f"all of it: {state()}", 15)
    assert state()[0] == ["1", "2"] and "closed" not in state()[1]
    browser.execute_script("source.close()")
