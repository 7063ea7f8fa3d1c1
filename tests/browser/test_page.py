"""The first page in a real browser: events arrive by EventSource, and what is published is seen."""

import json
import os
import re
import shlex
import signal
import struct
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from conftest import TREE, Demo, processes_in, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from waiting import bound

WIDE = (1280, 1000)
NARROW = (320, 720)
MOST_BYTES = 100_000


def find(browser, css):
    return browser.find_element(By.CSS_SELECTOR, css)


def text(browser, css):
    return find(browser, css).text


def look(browser, demo, size=WIDE, scheme="light"):
    """Opens the page in a window of this size and waits until each of its connections is live."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(demo.url)
    wait_for(lambda: text(browser, "#overall") == "live", "all four connections live")


def wait_for_figures(browser):
    """Figures, charts and the feed have been drawn from events that came by EventSource."""
    wait_for(lambda: re.fullmatch(r"\d+ %\n.*", text(browser, "#cpu")), "the processor's figure")
    wait_for(lambda: len(browser.find_elements(By.CSS_SELECTOR, "#job-list progress")) >= 3,
             "three jobs")
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "#feed-list .source"), "the feed")
    wait_for(lambda: find(browser, "#cpu-chart path.first").get_attribute("d").count("L") > 4,
             "a chart of some points")


def errors_in_console(browser):
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


def fill(browser, css, value):
    field = find(browser, css)
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(value)


def brightness(browser):
    rgb = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return sum(int(n) for n in re.findall(r"\d+", rgb)[:3])


@pytest.mark.parametrize("size, scheme, name", [
    (WIDE, "light", "wide-light"), (WIDE, "dark", "wide-dark"),
    (NARROW, "light", "narrow-light"), (NARROW, "dark", "narrow-dark")])
def test_events_arrive_and_page_fits(browser, demo, screenshots, size, scheme, name):
    look(browser, demo, size, scheme)
    wait_for_figures(browser)
    overhang = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
    assert browser.execute_script(overhang) == 0
    assert (brightness(browser) > 384) == (scheme == "light")
    browser.save_screenshot(str(screenshots / f"page-{name}.png"))
    assert errors_in_console(browser) == []


def size_of(png):
    """Of the head of the file: width and height."""
    return struct.unpack(">II", png.read_bytes()[16:24])


def test_picture_of_the_readme(browser, demo, screenshots):
    """docs/page.png, made anew: copy it there from build/screenshots when the page looks otherwise."""
    look(browser, demo, size_of(TREE / "docs" / "page.png"))
    wait_for_figures(browser)
    browser.save_screenshot(str(screenshots / "page.png"))
    assert size_of(screenshots / "page.png") == size_of(TREE / "docs" / "page.png")
    assert (screenshots / "page.png").stat().st_size > 30_000, "there is something on it"


def test_shell_publish_is_seen(browser, demo):
    look(browser, demo)
    payload = json.dumps({"source": "test", "text": "<b>bold</b> & \u00fc"}, ensure_ascii=False)
    assert demo.publish("demo:feed", payload) >= 1
    wait_for(lambda: "<b>bold</b> & \u00fc" in text(browser, "#feed-list"), "the text as it is, no HTML")
    wait_for(lambda: f"event: demo:feed\ndata: {payload}" in text(browser, "#frames"), "the raw frame")


def test_publish_box(browser, demo):
    look(browser, demo)
    fill(browser, "#channel", "job:mine:progress")
    fill(browser, "#data", '{"job":"mine","percent":60}' + Keys.CONTROL + Keys.ENTER)
    wait_for(lambda: "Here again after" in text(browser, "#publish-done"), "the time of the way round")
    wait_for(lambda: "mine\n60 %" in text(browser, "#job-list"), "a bar of its own")
    wait_for(lambda: "event: job:mine:progress" in text(browser, "#frames .own"), "the own frame")
    assert errors_in_console(browser) == []


@pytest.mark.parametrize("channel, data, complaint", [
    ("demo:hello", "{not json", "not JSON"),
    ("", "1", "Which channel"),
    ("machine:metrics", "1", "This door is for")])
def test_publish_box_explains_errors(browser, demo, channel, data, complaint):
    look(browser, demo)
    fill(browser, "#channel", Keys.DELETE + channel)
    fill(browser, "#data", data)
    find(browser, "#publish .primary").click()
    wait_for(lambda: complaint in text(browser, "#publish-error"), complaint)


def test_inspector_follows_another_route(browser, demo):
    look(browser, demo)
    find(browser, "#route").send_keys("/events/watch")
    wait_for(lambda: "stream-open" in text(browser, "#frames"), "the new stream's first frame")
    wait_for(lambda: text(browser, "[data-pill=inspector]") == "live", "live again")
    demo.publish("demo:hello", '{"n":1}')
    wait_for(lambda: 'data: {"n":1}' in text(browser, "#frames"), "the event of the route")


def test_pause_holds_and_resumes(browser, demo):
    look(browser, demo)
    find(browser, "#pause").click()
    demo.publish("demo:feed", '{"text":"held"}')
    assert text(browser, "#overall") == "paused"
    assert "held" not in text(browser, "#feed-list")
    find(browser, "#pause").click()
    wait_for(lambda: "held" in text(browser, "#feed-list"), "what was held")


def test_two_pages_share_the_connections(browser, demo):
    """Eight streams would be more than the six that a browser opens to one host."""
    look(browser, demo)
    browser.switch_to.new_window("window")
    look(browser, demo)
    demo.publish("demo:feed", '{"text":"for both"}')
    for window in browser.window_handles:
        browser.switch_to.window(window)
        wait_for(lambda: "for both" in text(browser, "#feed-list"), "the event in each window")


def test_routes_and_commands_are_shown(browser, demo):
    look(browser, demo)
    wait_for(lambda: "patterns = job:*:progress" in text(browser, "#jobs .how"), "the route's lines")
    shown = text(browser, "#feed .how").replace("\n", " ")
    assert f"{shlex.join(demo.redis_cli)} PUBLISH demo:feed" in shown
    assert f"curl -N {demo.url}events/feed" in shown


def test_page_is_small_and_strict(demo):
    size = 0
    for name in ("", "style.css", "page.js", "favicon.svg"):
        with urllib.request.urlopen(demo.url + name) as answer:
            size += len(answer.read())
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert size < MOST_BYTES


@pytest.mark.parametrize("name, origin, content_type, body, status", [
    ("no origin", None, "application/json", b"{}", 403),
    ("another origin", "http://example.org", "application/json", b"{}", 403),
    ("a form", "own", "text/plain", b"{}", 415),
    ("no JSON", "own", "application/json", b"{", 400),
    ("deep JSON", "own", "application/json", b"[" * 8000, 400),
    ("no channel", "own", "application/json", b'{"data":1}', 400),
    ("a lone surrogate", "own", "application/json", b'{"channel":"demo:x","data":"\\ud800"}', 400),
    ("a channel that is not the demo's", "own", "application/json", b'{"channel":"x","data":1}', 403),
    ("a newline behind the channel", "own", "application/json", b'{"channel":"demo:x\\n","data":1}', 403),
    ("too long", "own", "application/json", b'"' + b"x" * 8192 + b'"', 413),
    ("right", "own", "application/json", b'{"channel":"demo:x","data":1}', 202)])
def test_the_demo_s_own_door(demo, name, origin, content_type, body, status):
    request = urllib.request.Request(demo.url + "demo/publish", data=body,
                                     headers={"Content-Type": content_type})
    if origin:
        request.add_header("Origin", demo.url.rstrip("/") if origin == "own" else origin)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    assert answer.status == status, name


def test_printed_lines_work_when_pasted(demo):
    with subprocess.Popen(["sh", "-c", "exec " + demo.curl_line.replace("-N", "-sN")], text=True,
                          stdout=subprocess.PIPE) as curl:
        try:
            for line in curl.stdout:
                if line.startswith("event: stream-open"):
                    break
            pasted = subprocess.run(["sh", "-c", demo.publish_line], text=True, capture_output=True,
                                    check=True)
            assert int(pasted.stdout) >= 1
            assert any(line == 'data: {"text":"Hello"}\n' for line in curl.stdout)
        finally:
            curl.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
                         ids=lambda number: number.name)
def test_end_leaves_nothing(number):
    began = time.monotonic()
    demo = Demo()
    assert demo.ms < 1000 * bound(1, began)
    assert demo.folder.exists() and len(processes_in(demo.folder)) >= 4
    assert demo.end(number) == 0
    assert not demo.folder.exists()
    assert processes_in(demo.folder) == []


def test_two_demos_side_by_side():
    first, second = Demo(), Demo()
    try:
        assert first.url != second.url and first.folder != second.folder
    finally:
        assert [first.end(), second.end()] == [0, 0]


def test_death_of_a_part_ends_all():
    demo = Demo()
    os.kill(demo.publisher(), signal.SIGKILL)
    rest = demo.process.stdout.read()
    assert demo.process.wait(30) == 1
    assert "Publisher has ended by SIGKILL" in rest
    assert not demo.folder.exists() and processes_in(demo.folder) == []
