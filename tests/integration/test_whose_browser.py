"""Two users of one browser, in Chromium: a page is open while another logs in. Nobody's list is ever mixed."""

import sys
from pathlib import Path

import pytest

import webservers
from cutter import Cutter
from program import ROOT
from test_auth import AUTH, token
from waiting import wait_for

sys.path.append(str(ROOT / "tests" / "browser"))
import chromium  # noqa: E402

ROUTES = {
    "inbox": {"path": "/inbox", "streams": "wb:{user}", "auth": "jwt", "retry": "200ms"},
    "team": {"path": "/team", "streams": "wb:{claim.team}", "auth": "jwt", "retry": "200ms"},
    "mux": {"path": "/mux", "handler": "mux", "routes": "inbox team", "auth": "jwt", "retry": "200ms"},
}
# A list for each way of following, emptied where the page is told that it is another's.
FOLLOW = """
    const done = arguments[0];
    window.lists = {};
    window.resets = [];
    window.mixed = [];
    const backoff = [100, 500];
    const put = (name, text) => {
        const list = lists[name];
        if (list.length && list[0].split(" ")[0] !== text.split(" ")[0]) mixed.push([name, ...list, text]);
        list.push(text);
    };
    const clear = (name, reason) => {
        resets.push([name, reason]);
        lists[name] = [];
    };
    import("/www/sluice.js").then(async ({Sluice}) => {
        const opened = [];
        // A browser has six connections to a server: these take five.
        const ways = {alone: new Sluice("/events", {shared: false, backoff}), mux: new Sluice("/events", {mux: "/mux", shared: false, backoff}),
                      shared: new Sluice("/events", {mux: "/mux", backoff})};
        for (const path of ["/inbox", "/team"]) {
            const name = `native${path}`, source = new EventSource(`/events${path}`);
            lists[name] = [];
            source.onmessage = ({data}) => put(name, data);
            source.addEventListener("stream-reset", ({data}) => clear(name, JSON.parse(data).reason));
            opened.push(new Promise(resolve => source.addEventListener("stream-open", resolve, {once: true})));
            for (const way of path === "/inbox" ? ["alone", "mux", "shared"] : ["mux", "shared"]) {
                const of = `${way}${path}`, one = ways[way].subscribe(path);
                lists[of] = [];
                one.listen("message", ({data}) => put(of, data));
                one.reset = reason => clear(of, reason);
                opened.push(new Promise(resolve => { one.open = resolve; }));
            }
        }
        await Promise.all(opened);
        done("open");
    }).catch(error => done(String(error)));
"""


class Web(webservers.Lighttpd):
    def configuration(self, fragment, more=""):
        return super().configuration(fragment, f"""{more}
server.modules += ( "mod_alias" )
mimetype.assign = ( ".html" => "text/html", ".js" => "text/javascript" )
alias.url = ( "/www/" => "{ROOT}/www/" )
""")


@pytest.fixture
def site(launch, folder, tmp_path):
    sluice = launch(ROUTES, auth={**{k: v for k, v in AUTH.items() if k != "jwt_channels"}}, server={"base": "/events", "workers": 2})
    (folder / "web").mkdir()
    (folder / "web").chmod(0o755)
    web = Web(folder / "web", sluice.path).start()
    cutter = Cutter(web.port)
    browser = chromium.start(Path(tmp_path) / "profile")
    try:
        browser.get(f"http://127.0.0.1:{cutter.port}/index.html")
        browser.set_script_timeout(60)
        yield browser, cutter
    finally:
        browser.quit()
        cutter.close()
        web.stop()


def test_another_logs_in_while_a_page_is_open(site, redis):
    browser, cutter = site
    client = redis.client()
    client.delete("wb:ada", "wb:bob")

    def log_in(user):
        browser.execute_script("document.cookie = arguments[0]", f"token={token(user, team=user)}; path=/")

    def publish(user, n):
        client.xadd(f"wb:{user}", {"data": f"{user} {n}"})

    def shown():
        return browser.execute_script("return lists")

    def wait_shown(*texts):
        wait_for(lambda: all(list == [*texts] for list in shown().values()), lambda: f"{texts} in each: {shown()}", 30)
    log_in("ada")
    assert browser.execute_async_script(FOLLOW) == "open"
    publish("ada", 1)
    wait_shown("ada 1")
    cutter.hold()  # the same user goes on where she stood
    cutter.cut()
    publish("ada", 2)
    cutter.go_on()
    wait_shown("ada 1", "ada 2")
    assert not browser.execute_script("return resets")
    publish("bob", 0)
    log_in("bob")
    cutter.hold()
    cutter.cut()
    publish("ada", 3)
    publish("bob", 1)
    cutter.go_on()
    wait_for(lambda: len(browser.execute_script("return resets")) >= len(shown()), lambda: browser.execute_script("return [lists, resets]"), 30)
    publish("bob", 2)
    wait_for(lambda: all(list and list[-1] == "bob 2" for list in shown().values()), lambda: f"all follow the other: {shown()}", 30)
    assert all(text.startswith("bob") for list in shown().values() for text in list)
    assert browser.execute_script("return mixed") == []
    assert {reason for _, reason in browser.execute_script("return resets")} == {"other"}
