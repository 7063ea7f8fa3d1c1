"""The gallery: each page does what it shows, on one connection, within its limits; and what it looks like."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager

import npm_packages
import pytest
from conftest import wait_for
from selenium.webdriver.common.by import By
from waiting import bound

PAGES = ["dashboard", "jobs", "notifications", "chat", "inspector", "patterns"]
MOST_BYTES = 150_000


def find(browser, css):
    return browser.find_element(By.CSS_SELECTOR, css)


def texts(browser, css):
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", css)


def text(browser, css):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", css)


def is_live(browser):
    return browser.execute_script("return document.querySelector('#overall')?.dataset.state") == "live"


def open_page(browser, demo, page, size=(1280, 1000), scheme="light"):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(f"{demo.url}gallery/{page}.html")
    wait_for(lambda: is_live(browser), f"{page} to be live")


def complaints(browser):
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def redis(demo, *words):
    return subprocess.run([*demo.redis_cli, *words], capture_output=True, text=True, check=True).stdout


def record(demo, channel, **message):
    redis(demo, "--eval", "conf/record.lua", channel, f"{channel}:log", ",", json.dumps(message), "200")


def status(demo):
    with urllib.request.urlopen(demo.url + "events/status") as answer:
        return json.load(answer)


def test_dashboard(browser, demo):
    open_page(browser, demo, "dashboard")
    wait_for(lambda: all(one for one in texts(browser, "figcaption output")), "a figure for each of the six charts", 15)
    assert len(texts(browser, "figcaption output")) == 6
    browser.execute_script("document.querySelectorAll('figure details').forEach(one => one.open = true)")
    wait_for(lambda: len(texts(browser, "figure:first-child tbody tr")) >= 3, "its table", 15)
    rows = texts(browser, "figure:first-child tbody td")
    assert rows[1].endswith("%") and rows[0].count(":") == 2
    demo.publish("machine:metrics", '{"cpu":77,"memory":1,"received":1,"sent":1,"t":%d}' % 1e12)
    wait_for(lambda: "77 %" in text(browser, "figure:first-child tbody"), "what a shell has published")
    find(browser, "#pause").click()
    before = texts(browser, "figcaption output")
    demo.publish("machine:metrics", '{"cpu":78,"memory":1,"received":1,"sent":1,"t":%d}' % 1e12)
    demo.publish("demo:feed", "1")
    assert texts(browser, "figcaption output") == before
    assert complaints(browser) == []


@contextmanager
def nobody_works(demo):
    """The publisher, which does the jobs, stands still: none is over before the next line of the test, however slow that is."""
    pid = demo.publisher()
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


def test_jobs_outlive_a_reload(browser, demo):
    open_page(browser, demo, "jobs")

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
    with nobody_works(demo):
        for _ in range(3):
            start(2000)
    wait_for(lambda: sum(one.endswith("%") for one in percents()) == 3, lambda: f"three run at once: {percents()}")
    with nobody_works(demo):
        for button in browser.find_elements(By.CSS_SELECTOR, "#work-list li:not(.done) button"):
            button.click()
    wait_for(lambda: percents() == ["cancelled"] * 3 + ["done"], lambda: f"they are cancelled: {percents()}")
    assert complaints(browser) == []


def test_notifications_are_replayed(browser, demo):
    open_page(browser, demo, "notifications")
    redis(demo, "XADD", "demo:notes", "*", "data", '{"text":"from a shell"}')
    wait_for(lambda: "from a shell" in texts(browser, "#notes-list .text"), "the notification")
    find(browser, "#note-cut").click()
    wait_for(lambda: text(browser, "#note-replayed") == "3 replayed", "what was missed", 15)
    got = texts(browser, "#notes-list .text")
    assert [t for t in got if t.startswith("Sent while")] == [f"Sent while this page was away ({n} of 3)" for n in (3, 2, 1)]
    assert got.count("from a shell") == 1
    assert text(browser, "#badge") == f"{len(got)} new"
    find(browser, "#note-read").click()
    find(browser, "#note-send").click()
    wait_for(lambda: text(browser, "#badge") == "1 new", "a badge that counts anew")
    assert complaints(browser) == []


def test_chat(browser, demo):
    open_page(browser, demo, "chat")
    first = browser.current_window_handle
    find(browser, "#chat-name").send_keys("Ada")
    find(browser, "#chat-text").send_keys("<b>hello</b>")
    find(browser, "#chat-form button").click()
    wait_for(lambda: texts(browser, "#chat-list .text") == ["<b>hello</b>"], "what was said")
    assert texts(browser, "#chat-list .source") == ["Ada"]
    wait_for(lambda: text(browser, "#here") == "Ada", "who is here")
    browser.switch_to.new_window("window")
    open_page(browser, demo, "chat")
    wait_for(lambda: texts(browser, "#chat-list .text") == ["<b>hello</b>"], "what was said before the page came")
    wait_for(lambda: text(browser, "#here") == "Ada, a guest", "both")
    browser.close()
    browser.switch_to.window(first)
    wait_for(lambda: text(browser, "#here") == "Ada", "the other has gone")
    browser.execute_script("document.querySelector('#room').value = 'garden';"
                           "document.querySelector('#room').dispatchEvent(new Event('change'))")
    wait_for(lambda: texts(browser, "#chat-list .text") == [], "another room")
    record(demo, "chat:garden", name="Bo", text="hi", t=0)
    wait_for(lambda: texts(browser, "#chat-list .text") == ["hi"], "what a program said")
    name = find(browser, "#chat-name")
    name.clear()
    name.send_keys("A<b")
    browser.execute_script("arguments[0].dispatchEvent(new Event('change'))", name)
    wait_for(lambda: "none of < >" in text(browser, "#chat-error"), "why this is no name")
    wait_for(lambda: text(browser, "#here") == "a guest", "a guest until then")
    name.clear()
    name.send_keys("Ada")
    browser.execute_script("arguments[0].dispatchEvent(new Event('change'))", name)
    wait_for(lambda: text(browser, "#here") == "Ada" and text(browser, "#chat-error") == "", "one that is")
    assert complaints(browser) == []


def test_inspector(browser, demo):
    open_page(browser, demo, "inspector")

    def ask(path, last_id=""):
        for css, value in (("#path", path), ("#last-id", last_id)):
            browser.execute_script("document.querySelector(arguments[0]).value = arguments[1]", css, value)
        find(browser, "#ask .primary").click()
        wait_for(lambda: "event: stream-open" in text(browser, "#frames"), "its first frames")
    ask("/events/watch/inspected")
    assert "[route watch]" in text(browser, "#route") and "curl -N" in text(browser, "#curl")
    browser.execute_script("document.querySelector('#channel').value = 'demo:inspected'")
    find(browser, "#publish .primary").click()
    wait_for(lambda: "1 received it" in text(browser, "#published"), "it was received")
    wait_for(lambda: 'data: {"text":"Hello"}' in text(browser, "#frames li:first-child pre"), "its frame")
    assert "bytes" in text(browser, "#frames li:first-child .meta")
    first, second = (redis(demo, "XADD", "demo:notes", "*", "data", f'{{"text":"{n}"}}').strip() for n in (1, 2))
    ask("/events/notes", first)
    wait_for(lambda: f"id: {second}" in text(browser, "#frames li:first-child pre"), "what came behind the id")
    assert f"id: {first}\ndata" not in text(browser, "#frames")
    browser.execute_script("document.querySelector('#path').value = '/events/nothing'")
    find(browser, "#ask .primary").click()
    wait_for(lambda: text(browser, "#state").startswith("404"), "what is no route")
    assert all("404" in complaint for complaint in complaints(browser))


def test_patterns(browser, demo):
    open_page(browser, demo, "patterns")
    wait_for(lambda: "%" in text(browser, "#latest-value"), "the newest value")
    wait_for(lambda: "%" in text(browser, "#rate-value"), "the limited one")
    wait_for(lambda: text(browser, "#batch-value").count("%") == 6, "a batch of six", 15)
    for _ in range(20):
        demo.publish("machine:metrics", '{"cpu":99,"t":0}')
    wait_for(lambda: "99" in text(browser, "#filter-value"), "one that passes the filter")
    assert complaints(browser) == []


def test_all_pages_in_eight_tabs_have_one_connection(browser, demo):
    wait_for(lambda: status(demo)["connections"] == 1, "nobody else is there")
    pages = [page for page in PAGES if page != "inspector"]  # which shows a stream of its own
    for i, page in enumerate(pages + pages[:3]):
        if i:
            browser.switch_to.new_window("tab")
        open_page(browser, demo, page)
    assert len(browser.window_handles) == 8
    wait_for(lambda: status(demo)["connections"] == 2, "one for all, and that of the question")
    for tab in browser.window_handles:
        browser.switch_to.window(tab)
        assert is_live(browser)
        assert complaints(browser) == []


@pytest.mark.parametrize("page", PAGES)
def test_small_quick_and_its_own(browser, demo, page):
    """No other host, 150 KB at most, and the first event painted within 500 ms of the load: the best of some loads."""
    record(demo, "chat:lobby", name="Ada", text="before", t=0)
    redis(demo, "XADD", "demo:notes", "*", "data", '{"text":"before"}')
    open_page(browser, demo, page)
    sizes = browser.execute_script("""return performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
        .map(e => [e.name, e.decodedBodySize])""")
    assert all(name.startswith(demo.url) for name, _ in sizes), sizes
    assert sum(size for _, size in sizes) < MOST_BYTES, sizes
    shows = {"dashboard": "figcaption output:not(:empty)", "notifications": "#notes-list li", "chat": "#chat-list li",
             "inspector": "#frames li", "patterns": "#rate-value", "jobs": "#overall[data-state=live]"}[page]
    quickest(lambda: first_event_ms(browser, demo, page, shows), 500)


def quickest(measure, most, tries=8):
    """The others on the machine make each slower, but seldom all of them; a page that is slow by itself is so each time."""
    took, began = [measure()], time.monotonic()
    while min(took) >= most and len(took) < tries:
        took.append(measure())
    assert 0 <= min(took) < bound(most, began), took


def first_event_ms(browser, demo, page, css):
    """From the start of the navigation until the first event stands in the page and a frame has been painted."""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        const look = () => {
            const found = document.querySelector(%s);
            if (found && found.textContent !== "–") requestAnimationFrame(() => window.firstEventMs = performance.now());
            else requestAnimationFrame(look);
        };
        look();""" % json.dumps(css)})
    browser.get(f"{demo.url}gallery/{page}.html")
    ms = wait_for(lambda: browser.execute_script("return window.firstEventMs"), "its first event")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    return ms


@pytest.mark.parametrize("page", PAGES)
def test_each_shows_how_it_is_made(browser, demo, page):
    open_page(browser, demo, page)
    wait_for(lambda: all(one == "told" for one in browser.execute_script(
        "return [...document.querySelectorAll('.how')].map(e => e.dataset.state)")), "it is told")
    shown = wait_for(lambda: texts(browser, "pre.code"), "the lines")
    wait_for(lambda: all(texts(browser, "pre.code")), "each has some")
    assert any(one.startswith("[route ") and "path = /events/" in one for one in shown)
    wait_for(lambda: any("import {" in one for one in texts(browser, "pre.code")), "the page's own")
    if page != "inspector":
        for language in ("Shell", "Python", "PHP", "Node.js"):
            assert language in texts(browser, "summary")


LANGUAGES = {
    "Shell": ["bash", "-c"],
    "Python": ["/usr/bin/python3", "-c"],
    "PHP": ["php", "-r"],
    "Node.js": ["node", "--input-type=module", "-e"],
}


@pytest.mark.parametrize("page, shows", [
    ("notifications", ("#notes-list .text", ["hi"] * 4)),
    ("chat", ("#chat-list .text", ["hi"] * 4)),
    ("patterns", ("#filter-value", ["100 %"])),
])
def test_the_lines_work_when_they_are_pasted(browser, demo, page, shows):
    """In each language, as they stand there: they reach the demo's own Redis."""
    open_page(browser, demo, page)
    css, wanted = shows

    def those_shown():
        return [one for one in texts(browser, css) if one == wanted[0]]
    before = len(those_shown())
    folder = npm_packages.install()
    for language, command in LANGUAGES.items():
        code = wait_for(lambda language=language: browser.execute_script(
            "return document.querySelector(`pre[aria-label='${arguments[0]}']`)?.textContent", language), language)
        done = subprocess.run([*command, code], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{language}:\n{code}\n{done.stdout}{done.stderr}"
        if page == "patterns":
            wait_for(lambda: those_shown() == wanted, f"{language}'s event")
    wait_for(lambda: len(those_shown()) == before + len(wanted) or those_shown() == wanted, f"one of each: {texts(browser, css)}")


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_looks(browser, demo, screenshots, width, scheme):
    for page in PAGES:
        open_page(browser, demo, page, (width, 1000), scheme)
        wait_for(lambda: all(texts(browser, "pre.code")), "how it is made")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, f"{page}: nothing stands out"
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": min(height, 4000), "deviceScaleFactor": 1, "mobile": False})
        browser.save_screenshot(str(screenshots / f"{page}-{width}-{scheme}.png"))
