"""The client library in a real browser, on the demo: one connection for all tabs, and back after what may happen."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
import redis
from conftest import TREE, wait_for

sys.path.append(str(TREE / "tests" / "integration"))
from cutter import Cutter  # noqa: E402
from waiting import soon  # noqa: E402

SUBSCRIBE = """
    const done = arguments[arguments.length - 1];
    import("/sluice.js").then(async ({Sluice}) => {
        window.got = [];
        window.sluice = new Sluice("/events", {mux: "/mux", backoff: [50, 500]});
        window.one = sluice.subscribe(arguments[0]);
        one.listen(m => got.push(m.data));
        await one.ready;
        done("ready");
    }).catch(e => done(String(e)));
"""


def blank(browser, demo):
    """A page of the site that opens nothing by itself."""
    browser.get(demo.url + "favicon.svg")


def subscribe(browser, name, path="/watch/"):
    assert browser.execute_async_script(SUBSCRIBE, path + name) == "ready"


def record(demo, channel, payload):
    """Publish what is kept, too."""
    subprocess.run([*demo.redis_cli, "--eval", TREE / "conf/record.lua", channel, f"{channel}:log", ",", payload, "200"],
                   capture_output=True, check=True)


def got(browser):
    return browser.execute_script("return window.got")


def status(demo):
    with urllib.request.urlopen(demo.url + "events/status") as answer:
        return json.load(answer)


def worker_of(demo):
    """The pid of Sluice's worker: the child whose parent is Sluice, too."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environ, parent = (process / "environ").read_bytes(), (process / "stat").read_text().rpartition(")")[2].split()[1]
            names = (process / "comm").read_text().strip(), pathlib.Path(f"/proc/{parent}/comm").read_text().strip()
        except OSError:
            continue
        if str(demo.folder).encode() in environ + (process / "cmdline").read_bytes() and names == ("sluice", "sluice"):
            return int(process.name)
    return None


def test_subscribe_and_publish(browser, demo):
    blank(browser, demo)
    subscribe(browser, "client")
    demo.publish("demo:client", '{"n":1}')
    wait_for(lambda: got(browser) == ['{"n":1}'], "the event")
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE" and "favicon.ico" not in e["message"]] == []
    browser.execute_script("one.stop()")
    demo.publish("demo:client", "2")
    wait_for(lambda: status(demo)["subscribers"] == 0, "the stream to be gone")
    assert got(browser) == ['{"n":1}']


def test_eight_tabs_have_one_connection(browser, demo):
    tabs = []
    for i in range(8):
        if i:
            browser.switch_to.new_window("tab")
        blank(browser, demo)
        subscribe(browser, "tabs", "/chat/")
        tabs.append(browser.current_window_handle)
    wait_for(lambda: status(demo)["connections"] == 2, "one connection, and that of the question")
    record(demo, "chat:tabs", "1")

    def all_have(tabs, events):
        for tab in tabs:
            browser.switch_to.window(tab)
            if got(browser) != events:
                return False
        return True
    wait_for(lambda: all_have(tabs, ["1"]), "all tabs to have it")
    browser.switch_to.window(tabs[0])  # it came first, so the connection is its own
    browser.close()
    browser.switch_to.window(tabs[1])
    record(demo, "chat:tabs", "2")  # somebody has the stream already, or will have it: none misses it
    wait_for(lambda: all_have(tabs[1:], ["1", "2"]), "the other tabs to have the next")
    wait_for(lambda: status(demo)["connections"] == 2, "one of them to have the connection")
    for tab in tabs[2:]:
        browser.switch_to.window(tab)
        browser.close()
    browser.switch_to.window(tabs[1])


def test_another_tab_takes_over_from_one_that_is_frozen(browser, demo):
    tabs = []
    for i in range(3):
        if i:
            browser.switch_to.new_window("tab")
        blank(browser, demo)
        subscribe(browser, "frozen", "/chat/")
        tabs.append(browser.current_window_handle)
    record(demo, "chat:frozen", "1")
    wait_for(lambda: got(browser) == ["1"], "the first to be there")
    browser.switch_to.window(tabs[0])
    browser.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    froze_at = time.monotonic()
    browser.switch_to.window(tabs[2])
    record(demo, "chat:frozen", "2")
    wait_for(lambda: got(browser) == ["1", "2"], "the next to be there", 10)
    assert soon(froze_at, 10)
    browser.switch_to.window(tabs[0])
    browser.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})
    record(demo, "chat:frozen", "3")
    for tab in tabs:
        browser.switch_to.window(tab)
        wait_for(lambda: got(browser) == ["1", "2", "3"], "each once, in order")
    wait_for(lambda: status(demo)["connections"] == 2, "one connection, and that of the question")
    for tab in tabs[:0:-1]:
        browser.switch_to.window(tab)
        browser.close()
    browser.switch_to.window(tabs[0])


def test_in_a_web_worker(browser, demo):
    """There is no document and no localStorage, but `online` comes there, too."""
    browser.get(demo.url + "events/health")  # the demo's own pages may start no worker
    assert browser.execute_async_script("""
        const done = arguments[arguments.length - 1];
        window.got = [];
        const code = `
            import {Sluice} from "${location.origin}/sluice.js";
            const one = new Sluice("${location.origin}/events", {mux: "/mux"}).subscribe("/watch/worker", {}, {load: true});
            const two = new Sluice("${location.origin}/events").subscribe("/watch/worker");
            for (const each of [one, two]) {
                each.listen(m => postMessage(m.data));
                each.lost = () => postMessage("lost");
            }
            onmessage = () => dispatchEvent(new Event("online"));
            await Promise.all([one.ready, two.ready]);
            postMessage("ready");
        `;
        window.worker = new Worker(URL.createObjectURL(new Blob([code], {type: "text/javascript"})), {type: "module"});
        worker.onmessage = ({data}) => data === "ready" ? done(data) : got.push(data);
        worker.onerror = error => { got.push(error.message); done(error.message); };
    """) == "ready"
    demo.publish("demo:worker", "1")
    wait_for(lambda: got(browser) == ["1", "1"], "the event, twice")
    browser.execute_script("worker.postMessage('online')")

    def sees():
        demo.publish("demo:worker", "2")
        return got(browser)[2:].count("2") >= 2
    wait_for(sees, "events again")
    assert set(got(browser)) == {"1", "2"}, "no error, nothing lost"
    browser.execute_script("worker.terminate()")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_back_after_a_worker_has_ended(browser, demo, number):
    blank(browser, demo)
    subscribe(browser, "back")
    old = worker_of(demo)
    os.kill(old, number)
    wait_for(lambda: worker_of(demo) not in (None, old), "another worker")

    def sees():
        demo.publish("demo:back", "here")
        return "here" in got(browser)
    wait_for(sees, "events again", 15)


def test_many_subscriptions_on_one_connection(browser, demo):
    blank(browser, demo)
    assert browser.execute_async_script("""
        const done = arguments[arguments.length - 1];
        import("/sluice.js").then(async ({Sluice}) => {
            window.got = [];
            window.sluice = new Sluice("/events", {mux: "/mux", backoff: [50, 500]});
            window.all = [];
            for (let i = 0; i < 30; i++) {
                const one = sluice.subscribe(`/watch/many${i}`);
                one.listen(m => got.push(`${i} ${m.data}`));
                all.push(one);
                if (i === 20) await all[0].ready; // some while it is open
            }
            await Promise.all(all.map(one => one.ready));
            done("ready");
        }).catch(e => done(String(e)));
    """) == "ready"
    wait_for(lambda: status(demo)["connections"] <= 3, "one of ours, and that of the question")
    for i in range(30):
        demo.publish(f"demo:many{i}", "x")
    wait_for(lambda: sorted(got(browser)) == sorted(f"{i} x" for i in range(30)), "an event for each")
    old = worker_of(demo)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: worker_of(demo) not in (None, old), "another worker")

    def sees():
        demo.publish("demo:many29", "y")
        return "29 y" in got(browser)
    wait_for(sees, "events again", 15)
    browser.execute_script("all.forEach(one => one.stop())")
    wait_for(lambda: status(demo)["subscribers"] == 0, "all to be gone")


def test_thirty_subscriptions_are_cut_for_a_minute(browser, demo):
    """50 messages a second on 30 recorded channels, one connection that is cut at random: each has each once, in order."""
    seconds, rate, n, seed = 60, 50, 30, random.randrange(10**6)
    dice = random.Random(seed)
    cutter = Cutter(int(demo.url.rsplit(":", 1)[1].strip("/")))
    try:
        browser.get(f"http://127.0.0.1:{cutter.port}/favicon.svg")
        assert browser.execute_async_script("""
            const [n, done] = arguments;
            import("/sluice.js").then(async ({Sluice}) => {
                window.got = Array.from({length: n}, () => []);
                window.sluice = new Sluice("/events", {mux: "/mux", backoff: [50, 400]});
                const all = got.map((list, i) => sluice.subscribe(`/chat/cut-${i}`).listen(m => list.push(m.json)));
                await Promise.all(all.map(one => one.ready));
                done("ready");
            }).catch(e => done(String(e)));
        """, n) == "ready"
        client = redis.Redis(unix_socket_path=demo.redis_cli[2])
        record = client.register_script((TREE / "conf/record.lua").read_text())
        sent = [[] for _ in range(n)]
        began = time.monotonic()
        cut_at = began + 1
        for i in range(seconds * rate):
            channel = dice.randrange(n)
            record(keys=[f"chat:cut-{channel}", f"chat:cut-{channel}:log"], args=[i, 1000])
            sent[channel].append(i)
            now = time.monotonic()
            if now >= cut_at:
                cutter.cut()
                cut_at = now + dice.uniform(0.2, 3)
            time.sleep(max(0, began + (i + 1) / rate - now))
        assert soon(began, seconds * 1.1), "50 messages a second were meant"
        wait_for(lambda: sum(map(len, got(browser))) >= seconds * rate, f"all of them (seed {seed})", 15)
        assert got(browser) == sent, f"seed {seed}"
        assert cutter.n_cut >= 20
    finally:
        cutter.close()
