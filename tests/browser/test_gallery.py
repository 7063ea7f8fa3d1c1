"""The gallery: chat, notifications that are replayed, work that outlives a reload, patterns; and what it looks like."""

import json
import subprocess
import urllib.request

import pytest
from conftest import wait_for
from selenium.webdriver.common.by import By

MOST_BYTES = 150_000


def find(browser, css):
    return browser.find_element(By.CSS_SELECTOR, css)


def texts(browser, css):
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", css)


def open_page(browser, demo, size=(1280, 1000), scheme="light"):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(demo.url + "gallery.html")
    wait_for(lambda: find(browser, "#overall").text == "live", "the page to be live")


def complaints(browser):
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def redis(demo, *words):
    return subprocess.run([*demo.redis_cli, *words], capture_output=True, text=True, check=True).stdout


def status(demo):
    with urllib.request.urlopen(demo.url + "events/status") as answer:
        return json.load(answer)


def test_chat(browser, demo):
    open_page(browser, demo)
    find(browser, "#chat-name").send_keys("Ada")
    find(browser, "#chat-text").send_keys("<b>hello</b>")
    find(browser, "#chat-form button").click()
    wait_for(lambda: texts(browser, "#chat-list .text") == ["<b>hello</b>"], "what was said")
    assert texts(browser, "#chat-list .source") == ["Ada"]
    browser.refresh()
    wait_for(lambda: texts(browser, "#chat-list .text") == ["<b>hello</b>"], "what was said before the page came")
    browser.execute_script("document.querySelector('#room').value = 'garden';"
                           "document.querySelector('#room').dispatchEvent(new Event('change'))")
    wait_for(lambda: texts(browser, "#chat-list .text") == [], "another room")
    redis(demo, "--eval", "conf/record.lua", "chat:garden", "chat:garden:log", ",", '{"name":"Bo","text":"hi","t":0}', "200")
    wait_for(lambda: texts(browser, "#chat-list .text") == ["hi"], "what a program said")
    assert complaints(browser) == []


def test_notifications_are_replayed(browser, demo):
    open_page(browser, demo)
    redis(demo, "XADD", "demo:notes", "*", "data", '{"text":"from a shell"}')
    wait_for(lambda: "from a shell" in texts(browser, "#notes-list .text"), "the notification")
    find(browser, "#note-cut").click()
    wait_for(lambda: find(browser, "#note-replayed").text == "3 replayed", "what was missed", 15)
    got = texts(browser, "#notes-list .text")
    assert [t for t in got if t.startswith("Sent while")] == [f"Sent while this page was away ({n} of 3)" for n in (3, 2, 1)]
    assert got.count("from a shell") == 1
    assert complaints(browser) == []


def test_work_outlives_a_reload(browser, demo):
    open_page(browser, demo)

    def percents():
        return texts(browser, "#work-list .percent")

    def start(megabytes):
        n = len(percents())
        field = find(browser, "#megabytes")
        field.clear()
        field.send_keys(str(megabytes))
        find(browser, "#work-form button").click()
        wait_for(lambda: len(percents()) == n + 1, "the job")
    start(1)
    wait_for(lambda: percents()[0].endswith("%") and int(percents()[0].split()[0]) > 5, "some of it is done")
    before = int(percents()[0].split()[0])
    browser.refresh()
    wait_for(lambda: percents() and percents()[0].endswith("%") and int(percents()[0].split()[0]) >= before, "its bar after a reload")
    wait_for(lambda: percents() == ["done"], "its end", 20)
    browser.refresh()
    wait_for(lambda: percents() == ["done"], "it stays finished")
    start(2000)
    wait_for(lambda: percents()[0].endswith("%"), "it runs")
    find(browser, "#work-list li button").click()
    wait_for(lambda: percents()[0] == "cancelled", "it is cancelled")
    assert complaints(browser) == []


def test_patterns(browser, demo):
    open_page(browser, demo)
    wait_for(lambda: "%" in find(browser, "#latest-value").text, "the newest value")
    wait_for(lambda: find(browser, "#batch-value").text.count("%") == 6, "a batch of six", 15)
    for _ in range(20):
        demo.publish("machine:metrics", '{"cpu":99,"t":0}')
    wait_for(lambda: "99" in find(browser, "#filter-value").text, "one that passes the filter")
    assert complaints(browser) == []


def test_one_connection_small_and_its_own(browser, demo):
    open_page(browser, demo)
    assert status(demo)["connections"] <= 2, "one for all, and that of the question"
    sizes = browser.execute_script("return performance.getEntriesByType('resource').map(e => [e.name, e.decodedBodySize])")
    assert all(name.startswith(demo.url) for name, _ in sizes), sizes
    assert sum(size for _, size in sizes) < MOST_BYTES, sizes


def test_each_shows_how_it_is_made(browser, demo):
    open_page(browser, demo)
    wait_for(lambda: len(texts(browser, ".how pre")) == 12, "three blocks for each of four panels")
    for text in texts(browser, ".how pre"):
        assert len(text) > 30, text


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_looks(browser, demo, screenshots, width, scheme):
    open_page(browser, demo, (width, 1000), scheme)
    wait_for(lambda: len(texts(browser, ".how pre")) == 12, "how it is made")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width, "nothing stands out"
    unnamed = browser.execute_script("""
        return [...document.querySelectorAll("input, select, button, textarea, progress")].filter(e =>
            !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))).map(e => e.outerHTML)""")
    assert unnamed == []
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    browser.save_screenshot(str(screenshots / f"gallery-{width}-{scheme}.png"))
