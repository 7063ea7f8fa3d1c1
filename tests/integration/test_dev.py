"""`sluice dev`: one address in front of a site's development server and Sluice."""

import http.server
import json
import os
import signal
import socket
import threading
import urllib.request

import pytest

from http_client import get
from processes import Child, accepts, children_of, free_port, is_alive
from sluice import Sluice
from waiting import wait_for

DJANGO = """
import sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import re_path
settings.configure(DEBUG=True, ROOT_URLCONF=__name__, SECRET_KEY="of a test", ALLOWED_HOSTS=["127.0.0.1"])
urlpatterns = [re_path("", lambda request: HttpResponse(f"the site at {request.get_full_path()}"))]
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
PHP = "<?php echo 'the site at ' . $_SERVER['REQUEST_URI'];"
SITES = {
    "django": ("site.py", DJANGO, ["/usr/bin/python3", "site.py", "runserver", "--noreload", "127.0.0.1:{}"]),
    "php": ("site.php", PHP, ["php", "-S", "127.0.0.1:{}", "site.php"]),
}
ROUTE = {"path": "/jobs/{id}/progress", "channels": "job:{id}", "publish": "job:{id}", "publish_auth": "none",
         "retry": "100ms"}


class Site(http.server.BaseHTTPRequestHandler):
    """Says what it was asked for; and sends back what comes over an upgraded connection, as vite's HMR does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                    b"Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
            self.connection.sendall(self.connection.recv(100).upper())
            self.close_connection = True
            return
        body = json.dumps({"path": self.path, "host": self.headers["Host"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address
    server.shutdown()
    thread.join()
    server.server_close()


class Dev:
    def __init__(self, folder, routes, redis, base="/events"):
        (folder / "tmp").mkdir()
        self.files = Sluice(folder, {"server": {"base": base, "user": "root"} if base else {}, **routes}, redis)
        self.folder, self.children = folder, []
        self.address = ("127.0.0.1", free_port())

    def start(self, upstream, *more):
        env = {**self.files.reports.environment(), "TMPDIR": str(self.folder / "tmp")}
        argv = self.files.argv("dev", "-c", self.files.config, "-l", "{}:{}".format(*self.address),
                               "--upstream", upstream, *more)
        self.child = Child("dev", argv, self.folder, env=env)
        self.children.append(self.child)
        return self

    def wait_ready(self):
        self.child.wait_ready(lambda: "is running" in self.child.text(), 30)
        return self

    def wait_says(self, text, n=1):
        wait_for(lambda: self.child.text().count(text) >= n, lambda: f"{text!r} in\n{self.child.text()}", 30)

    def ask(self, path):
        with urllib.request.urlopen("http://{}:{}{}".format(*self.address, path), timeout=30) as answer:
            return answer.read().decode()

    def descendants(self):
        found, todo = [], [self.child.pid]
        while todo:
            more = children_of(todo.pop())
            found += more
            todo += more
        return found

    def left_behind(self, pids):
        return [p for p in pids if is_alive(p)] or list((self.folder / "tmp").iterdir()) or accepts(self.address)

    def end(self):
        for child in self.children:
            child.end(signal.SIGTERM, 20)
        self.files.reports.check()


@pytest.fixture
def dev(folder, redis):
    made = []

    def make(routes=None, redis=redis, base="/events"):
        made.append(Dev(folder, routes or {"route job": ROUTE}, redis, base))
        return made[-1]
    yield make
    for one in made:
        one.end()


@pytest.mark.parametrize("kind", SITES)
def test_in_front_of_a_framework(dev, folder, kind):
    """The site as it is, and an event through the same address, with nothing but the one command."""
    name, text, command = SITES[kind]
    (folder / name).write_text(text)
    port = free_port()
    here = dev().start(f"http://127.0.0.1:{port}")
    framework = Child(kind, [word.format(port) for word in command], folder, cwd=folder)
    here.children.append(framework)
    framework.wait_ready(lambda: accepts(("127.0.0.1", port)), 30)
    here.wait_ready()
    with get(here.address, "/events/jobs/1/progress", timeout=20) as response:
        stream = response.opened()
        assert here.ask("/jobs/1/progress?x=%2F1") == "the site at /jobs/1/progress?x=%2F1"
        with get(here.address, "/events/jobs/1/progress", method="POST", body=b'{"percent":50}',
                 headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 202
        assert stream.next_event(timeout=20).data == '{"percent":50}'
    here.wait_says('[route job] {"id":null,"event":"message","data":{"percent":50}}\n')


@pytest.mark.parametrize("front", ["lighttpd", "nginx"])
def test_paths_and_upgrades(dev, site, front):
    """Without a base the routes' own paths are Sluice's; all else is the site's, as it was written, and WebSockets."""
    here = dev(base="").start("http://{}:{}".format(*site), "--front", front).wait_ready()
    for path in ("/", "/jobs", "/jobs/1/progress/more", "/@id/a%2Fb?v=1", "/@fs/tmp/x.ts", "/?token=a"):
        assert json.loads(here.ask(path)) == {"path": path, "host": "{}:{}".format(*here.address)}
    with get(here.address, "/jobs/1/progress", timeout=20) as response:
        assert response.opened().headers["content-type"].startswith("text/event-stream")
    with socket.create_connection(here.address, timeout=20) as ws:
        ws.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            got += ws.recv(1000)
        assert got.startswith(b"HTTP/1.1 101 ")
        ws.sendall(b"frame")
        rest = got.partition(b"\r\n\r\n")[2]
        while rest != b"FRAME":
            more = ws.recv(100)
            assert more, rest
            rest += more


def test_a_changed_configuration(dev, site):
    """It is read again; a faulty one is told as check tells it, and changes nothing; an include counts, too."""
    here = dev(base="").start("http://{}:{}".format(*site)).wait_ready()
    config = here.files.config
    good = config.read_text()
    config.write_text(good + "[route two]\npath = /two\nchanels = x\n")
    here.wait_says("is refused; the old configuration goes on")
    assert 'did you mean "channels"?' in here.child.text()
    with get(here.address, "/jobs/1/progress", timeout=20) as response:
        response.opened()
    other = config.with_name("other")  # as editors do it
    other.write_text(good + "[route two]\npath = /two\nchannels = x\n[server]\n")
    other.write_text(good.replace("[server]\n", f"[server]\ninclude = {here.folder}/more/*.ini\n")
                     + "[route two]\npath = /two\nchannels = x\n")
    (here.folder / "more").mkdir()
    (here.folder / "more" / "a.ini").write_text("[route three]\npath = /three\nchannels = y\n")
    other.rename(config)
    here.wait_says("was read again: 3 routes")

    def is_ours(path):
        try:
            with get(here.address, path, timeout=20) as response:
                return response.headers.get("content-type", "").startswith("text/event-stream")
        except (OSError, AssertionError):
            return False  # the web server is being started anew
    for path in ("/two", "/three", "/jobs/1/progress"):
        wait_for(lambda: is_ours(path), f"{path} is served", 20)
    (here.folder / "more" / "b.ini").write_text("[route four]\npath = /four\nchannels = y\n")
    here.wait_says("was read again: 4 routes")
    wait_for(lambda: is_ours("/four"), "it is served", 20)


def test_nothing_is_left(dev, site):
    here = dev().start("http://{}:{}".format(*site)).wait_ready()
    with get(here.address, "/events/jobs/1/progress", timeout=20) as response:
        response.opened()
        pids = here.descendants()
        assert len(pids) >= 3, "Sluice, its worker, the web server"
        here.child.send_signal(signal.SIGINT)
        assert here.child.wait(30) == 0
    assert not here.left_behind(pids)
    here.start("http://{}:{}".format(*site)).wait_says("is running", 2)
    pids = here.descendants()
    here.child.process.kill()
    wait_for(lambda: not [p for p in pids if is_alive(p)], "they end with it", 20)


def test_one_that_dies(dev, site):
    here = dev().start("http://{}:{}".format(*site)).wait_ready()
    pids = here.descendants()
    sluice = next(p for p in children_of(here.child.pid) if children_of(p))
    os.kill(sluice, signal.SIGKILL)
    assert here.child.wait(30) == 1
    assert "Sluice was killed by signal 9" in here.child.text()
    assert not here.left_behind(pids)


class NoRedis:
    def __init__(self):
        self.port = free_port()
        self.link = {"url": f"redis://:a%20%22word%5C@127.0.0.1:{self.port}/20"}


def test_a_private_redis(dev, site):
    """Where url says one is, so that a site which publishes there need not know; without --redis it is told."""
    here = dev(redis=NoRedis()).start("http://{}:{}".format(*site)).wait_ready()
    here.wait_says("--redis")
    here.end()
    here.start("http://{}:{}".format(*site), "--redis").wait_says("is running", 2)
    with get(here.address, "/events/jobs/1/progress", timeout=20) as response:
        stream = response.opened()
        done = here.files.run("emit", "-c", here.files.config, "job:1", "5")
        assert done.returncode == 0, done.err
        assert stream.next_event(timeout=20).data == "5"
    pids = here.descendants()
    here.child.send_signal(signal.SIGTERM)
    assert here.child.wait(30) == 0
    assert not here.left_behind(pids)


@pytest.mark.parametrize("args, why", [
    ([], "where is the site?"), (["--upstream", "https://x"], "must begin with http://"),
    (["--upstream", "http://127.0.0.1:8000/x"], "without a path"), (["--upstream", "http://127.0.0.1:x"], "port"),
    (["--upstream", "http://127.0.0.1:1", "--front", "x"], "lighttpd, nginx"),
    (["--upstream", "http://127.0.0.1:1", "-l", "x"], "-l x: "), (["--upstream", "http://[::1"], "bracket")])
def test_what_is_refused(folder, redis, args, why):
    files = Sluice(folder, {"route job": ROUTE}, redis)
    done = files.run("dev", "-c", files.config, *args)
    assert done.returncode in (1, 2) and why in done.err
    files.reports.check()


def test_it_is_there_later(dev):
    """The site's server may be started afterwards, and be at the last of its name's addresses."""
    port = free_port()
    here = dev().start(f"http://localhost:{port}").wait_ready()
    assert "which does not answer yet" in here.child.text()
    family, _, _, _, address = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)[-1]

    class Server(http.server.ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
    server = Server(address[:2], Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        here.wait_says("answers now")

        def is_there():
            try:
                return json.loads(here.ask("/a"))["path"] == "/a"
            except (OSError, ValueError):
                return False  # the web server is being started anew
        wait_for(is_there, "it is served", 20)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
