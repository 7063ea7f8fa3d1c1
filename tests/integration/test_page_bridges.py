"""The element, the extension of htmx and the hooks of React, each in Chromium."""

import sys
from pathlib import Path

import pytest

import npm_packages
import webservers
from program import ROOT
from waiting import wait_for

sys.path.append(str(ROOT / "tests" / "browser"))
import chromium  # noqa: E402

ROUTES = {
    "x": {"path": "/x/{name}", "channels": "pb:{name}"},
    "named": {"path": "/named", "channels": "pb:named", "event": "{.kind}"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "x named"},
}


class Web(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, f"""{more}
server.modules += ( "mod_alias" )
mimetype.assign = ( ".html" => "text/html", ".js" => "text/javascript", ".mjs" => "text/javascript" )
alias.url = ( "/clients/" => "{npm_packages.FOLDER}/", "/www/" => "{ROOT}/www/" )
""")


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, server={"base": "/events"})


@pytest.fixture(scope="module")
def page(sluice, tmp_path_factory):
    npm_packages.install()
    folder = Path(sluice.folder) / "web"
    folder.mkdir()
    folder.chmod(0o755)
    web = Web(folder, sluice.path).start()
    browser = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    try:
        browser.get(f"http://127.0.0.1:{web.port}/clients/bridges.html")
        yield lambda script: browser.execute_script(f"return {script}")
    finally:
        browser.quit()
        web.stop()


@pytest.fixture(autouse=True)
def nothing_is_thrown(page):
    yield
    assert page("errors") == []


def shows(page, css, wanted):
    wait_for(lambda: page(f"document.querySelector('{css}')?.textContent") == wanted,
             lambda: f"{css} shows {wanted!r}: {page('document.body.innerText')} {page('errors')}", 10, every=0.05)


def test_the_element(page, redis, sluice):
    wait_for(lambda: page("document.querySelector('#source').getAttribute('state')") == "open", lambda: f"it is open: {page('errors')}", 10)
    page("(window.told = [], document.addEventListener('sluice:message', e => told.push(e.detail.json.percent)))")
    redis.publish("pb:plain", '{"percent":40}')
    wait_for(lambda: page("document.querySelector('#bar').value") == 40, "the bar")
    assert page("told") == [40]
    page("document.querySelector('#source').setAttribute('path', '/x/other')")
    wait_for(lambda: page("document.querySelector('#source').getAttribute('state')") == "open", "it follows another path")
    redis.publish("pb:plain", '{"percent":1}')
    redis.publish("pb:other", '{"percent":70}')
    wait_for(lambda: page("document.querySelector('#bar').value") == 70, "that of the other")
    assert page("told") == [40, 70]
    page("document.querySelector('#source').setAttribute('path', '/nothing')")
    wait_for(lambda: page("document.querySelector('#source').getAttribute('state')") == "error", "it says that there is none")
    page("document.querySelector('#source').remove()")
    assert page("document.querySelector('#source')") is None


def test_the_extension_of_htmx(page, redis):
    def publishes():
        redis.publish("pb:html", "<li>a</li>")
        return page("document.querySelectorAll('#by-htmx li').length")
    wait_for(publishes, lambda: f"it is swapped in: {page('errors')}", 10, every=0.1)
    n = page("document.querySelectorAll('#by-htmx li').length")
    redis.publish("pb:html", "<li>last</li>")
    wait_for(lambda: page("[...document.querySelectorAll('#by-htmx li')].at(-1).textContent") == "last", "the last")
    assert page("document.querySelectorAll('#by-htmx li').length") >= n + 1
    page("htmx.swap('#by-htmx', '', {swapStyle: 'innerHTML'})")
    assert page("document.querySelectorAll('#by-htmx li').length") == 0


def test_the_hooks_of_react(page, redis):
    shows(page, "#react-state", "open")
    shows(page, "#react-rows", "one")
    redis.publish("pb:a", "1")
    shows(page, "#react-message", "1")
    redis.publish("pb:rows", '{"id":2,"version":1,"text":"two"}')
    shows(page, "#react-rows", "one two")
    page("setPath('/x/b')")
    shows(page, "#react-state", "open")
    shows(page, "#react-message", "")

    def publishes():
        redis.publish("pb:b", "2")
        return page("document.querySelector('#react-message').textContent") == "2"
    wait_for(publishes, "those of the other path", 10, every=0.1)
    redis.publish("pb:a", "3")
    redis.publish("pb:b", "4")
    shows(page, "#react-message", "4")
    heard = page("heard")
    assert heard[0] == "/x/a 1" and "/x/a 3" not in heard and heard.count("/x/a 1") == 1, "once, also in StrictMode"
    page("setPath('')")
    wait_for(lambda: page("reactSluice.subscriptions.size") == 0, "both end with the component")
