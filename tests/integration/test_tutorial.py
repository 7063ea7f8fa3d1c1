"""The tutorials, as their readers do them: the page of each in a browser, its worker beside it, a reload in the middle."""

import json
import os
import subprocess
import sys

import pytest

import doc_page
import npm_packages
import webservers
from program import ROOT
from test_docs_pages import PAGES, lay_out
from waiting import patient, wait_for

sys.path.append(str(ROOT / "tests" / "browser"))
import chromium  # noqa: E402

WORKERS = {"php": ["php", "export.php"], "python": ["/usr/bin/python3", "export.py"], "node": ["node", "export.mjs"]}
PERCENT = "return document.querySelector('#bar').value"


class Site(webservers.Lighttpd):
    """It serves the folder of the page."""

    def configuration(self, fragment, more=""):
        text = super().configuration(fragment, f'{more}\nmimetype.assign = ( ".html" => "text/html" )\n')
        return text.replace(f"{self.folder}/www", str(self.folder.parent))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


def run(folder, name, job):
    return subprocess.Popen([*WORKERS[name], job], cwd=folder, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def said(browser):
    return browser.execute_script("return document.querySelector('#said').textContent")


@pytest.mark.parametrize("name", WORKERS)
def test_bar_survives_a_reload(name, folder, redis, launch, serve, browser):
    npm_packages.install()
    lay_out(f"tutorial/{name}.md", folder, redis.port)
    blocks = PAGES[f"tutorial/{name}.md"]
    sluice = launch(start=False, server={"base": "/events"})
    sluice.write_config(doc_page.configuration(*(b.text for b in blocks if b.language == "ini"), sluice.config.read_text()).replace(
        "abandoned = 60s", "abandoned = 30s"))
    sluice.start()
    web = serve(Site, sluice.path)
    browser.get(f"http://127.0.0.1:{web.port}/job.html?id={name}")
    assert browser.execute_script(PERCENT) == 0
    worker = run(folder, name, name)
    wait_for(lambda: browser.execute_script(PERCENT) >= 20, "the bar moves", 20)
    before = browser.execute_script(PERCENT)
    browser.refresh()
    wait_for(lambda: browser.execute_script(PERCENT) >= before, lambda: f"it goes on at {before}, and is at {browser.execute_script(PERCENT)}", 20)
    wait_for(lambda: said(browser) == "Done.", lambda: f"it is done; it says {said(browser)}", 20)
    assert browser.execute_script(PERCENT) == 100
    out, _ = worker.communicate(timeout=patient(30))
    assert worker.returncode == 0, out
    # Nobody follows any more, and the browser does not come back; who opens the page now is told at once.
    sluice.wait_subscribers(0, 20)
    browser.refresh()
    wait_for(lambda: said(browser) == "Done.", "it is still done", 20)


def test_a_worker_that_dies_is_told(folder, redis, launch, serve, browser):
    lay_out("tutorial/python.md", folder, redis.port)
    sluice = launch(start=False, server={"base": "/events"})
    sluice.write_config(doc_page.configuration(*(b.text for b in PAGES["tutorial/python.md"] if b.language == "ini"), sluice.config.read_text()).replace(
        "abandoned = 60s", "abandoned = 5s"))
    sluice.start()
    web = serve(Site, sluice.path)
    worker = run(folder, "python", "dies")
    browser.get(f"http://127.0.0.1:{web.port}/job.html?id=dies")
    wait_for(lambda: browser.execute_script(PERCENT) >= 5, "the bar moves", 20)
    worker.kill()
    worker.communicate()
    wait_for(lambda: said(browser) == "The export has failed.", lambda: f"it says {said(browser)}", 20)


def text_of(browser):
    return browser.execute_script("return document.querySelector('#answer').textContent")


def test_an_answer_survives_a_reload_and_is_stopped(folder, redis, launch, serve, browser):
    """howto/tokens.md: all of it once after a reload in the middle, the same in a second tab, and an end when it is stopped."""
    lay_out("howto/tokens.md", folder, redis.port)
    sluice = launch(start=False, server={"base": "/events"})
    sluice.write_config(doc_page.configuration(*(b.text for b in PAGES["howto/tokens.md"] if b.language == "ini"), sluice.config.read_text()))
    sluice.start()
    web = serve(Site, sluice.path)
    # The second would take half a minute, so it is stopped in the middle on a slow machine, too.
    for job, n_words in (("whole", 60), ("stopped", 600)):
        question = " ".join(f"word{n}" for n in range(n_words))
        redis.client().delete(f"answer:{job}", f"answer:{job}:stop")
        worker = subprocess.Popen(["/usr/bin/python3", "worker.py", job, question], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        browser.get(f"http://127.0.0.1:{web.port}/answer.html?id={job}")
        wait_for(lambda: "word3 " in text_of(browser), "the first words", 20)
        if job == "whole":
            browser.refresh()
        else:
            redis.client().set(f"answer:{job}:stop", 1)
        out, _ = worker.communicate(timeout=patient(60))
        assert worker.returncode == 0, out
        words = "".join(json.loads(fields[b"data"]).get("text", "") for _, fields in redis.client().xrange(f"answer:{job}"))
        assert words.startswith("You asked: word0") and words.endswith(f"word{n_words - 1} ") == (job == "whole")
        wait_for(lambda: text_of(browser) == words, lambda: f"{words!r}, and no word twice: {text_of(browser)!r}", 20)
        browser.switch_to.new_window("tab")
        browser.get(f"http://127.0.0.1:{web.port}/answer.html?id={job}")
        wait_for(lambda: text_of(browser) == words, "the same in a second tab", 20)
        browser.close()
        browser.switch_to.window(browser.window_handles[0])
