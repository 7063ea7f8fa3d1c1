"""Whatever is restarted, and after a sleep: within five seconds each page shows what is so, without a reload."""

import json
import os
import pathlib
import signal
import time

import chromium
import pytest
from conftest import wait_for
from site_programs import Site
from test_gallery import is_live, text, texts
from waiting import soon

WITHIN_S = 5
ASLEEP_S = 120
JOB = "1700000000000-0"


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.close()


class Tabs:
    """Each page in a tab of its own, opened once and never reloaded."""

    def __init__(self, site, browser):
        self.site, self.browser, self.tabs, self.round = site, browser, {}, 0
        browser.get(site.url + "favicon.svg")
        browser.execute_script("localStorage.setItem('work', arguments[0])", json.dumps([JOB]))
        site.record(f"demo:work:{JOB}", '{"state":"running","percent":0}')
        for page in ("dashboard", "notifications", "chat", "patterns", "jobs", "inspector"):
            browser.switch_to.new_window("tab")
            browser.get(f"{site.url}gallery/{page}.html")
            wait_for(lambda: is_live(browser), f"{page} to be live")
            browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true); window.isTheSame = true")
            self.tabs[page] = browser.current_window_handle

    def publish_while_away(self):
        """What a page that is away must not miss, with a mark of its own."""
        self.round += 1
        for n in range(3):
            self.site.redis("XADD", "demo:notes", "*", "data", json.dumps({"text": f"note {self.round}.{n}"}))
            self.site.record("chat:lobby", json.dumps({"name": "Ada", "text": f"line {self.round}.{n}", "t": 0}))
        self.site.record(f"demo:work:{JOB}", json.dumps({"state": "running", "percent": 10 + self.round}))

    def shows(self, page):
        """Does it have all that was said while it was away, each once, and does it live?"""
        if page == "dashboard":
            self.site.record("machine:metrics", json.dumps({"cpu": 140 + self.round, "memory": 1, "received": 1, "sent": 1,
                                                            "t": int(time.time() * 1000)}))
            return f"{140 + self.round} %" in text(self.browser, "figure:first-child tbody")
        if page == "patterns":
            self.site.record("machine:metrics", json.dumps({"cpu": 140 + self.round, "t": 0}))
            return f"{140 + self.round} %" in text(self.browser, "#filter-value")
        if page == "jobs":
            return text(self.browser, "#work-list .percent") == f"{10 + self.round} %"
        if page == "inspector":
            return all(text(self.browser, "#frames").count(f'"note {self.round}.{n}"') >= 1 for n in range(3))
        name, kind = {"notifications": ("note", "#notes-list"), "chat": ("line", "#chat-list")}[page]
        wanted = [f"{name} {self.round}.{n}" for n in (2, 1, 0)]
        got = [one for one in texts(self.browser, f"{kind} .text") if one.startswith(f"{name} {self.round}.")]
        return got == wanted

    def all_are_right(self, since):
        for page, tab in self.tabs.items():
            self.browser.switch_to.window(tab)
            wait_for(lambda: self.shows(page), lambda: f"{page}: {self.browser.execute_script('return document.body.innerText')[:400]}")
            assert soon(since, WITHIN_S), page
            assert self.browser.execute_script("return window.isTheSame"), "it was not reloaded"
            wait_for(lambda: is_live(self.browser), f"{page} says that it is live")


@pytest.fixture(scope="module")
def tabs(site, tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    yield Tabs(site, driver)
    driver.quit()


def test_all_is_well_at_first(tabs):
    tabs.publish_while_away()
    tabs.all_are_right(time.monotonic())


def test_the_web_server_is_restarted(site, tabs):
    site.end("lighttpd")
    tabs.publish_while_away()
    time.sleep(1)  # long enough that each page has tried in vain
    site.start("lighttpd")
    tabs.all_are_right(time.monotonic())


def test_sluice_is_restarted(site, tabs):
    site.end("sluice")
    tabs.publish_while_away()
    time.sleep(1)
    site.start("sluice")
    tabs.all_are_right(time.monotonic())


def test_redis_is_restarted(site, tabs):
    site.end("redis")
    site.children.pop("publisher").wait(30)  # it ends with Redis, as it says
    time.sleep(1)
    site.start("redis")
    site.start("publisher")
    since = time.monotonic()
    tabs.publish_while_away()
    tabs.all_are_right(since)


def children_of(pid):
    found = [pid]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += children_of(int(process.name))
    return found


def test_the_machine_was_asleep(site, tabs):
    """The browser stands still for two minutes; meanwhile the web server is restarted, which nobody tells it."""
    driver = tabs.browser.service.process.pid
    browser = [pid for pid in children_of(driver) if pid != driver]
    for pid in browser:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2)
        site.end("lighttpd")
        site.start("lighttpd")
        tabs.publish_while_away()
        time.sleep(ASLEEP_S - 2)
    finally:
        for pid in browser:
            os.kill(pid, signal.SIGCONT)
    tabs.all_are_right(time.monotonic())
