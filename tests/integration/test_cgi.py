"""The same binary as plain CGI, and spawned by lighttpd itself."""

import os
import select
import signal
import subprocess

import pytest

import fcgi
from processes import children_of, is_alive
from streams import StreamReader, parse_head
from waiting import Timeout, left, patient, wait_for
from webservers import Lighttpd

ROUTES = {"x": {"path": "/x/{id}", "channels": "cgi:{id}", "heartbeat": "200ms"},
          "health": {"path": "/health", "handler": "health"},
          "life": {"path": "/life", "channels": "cgi-life", "lifetime": "500ms"}}


class CgiResponse(StreamReader):
    """Sluice started as a web server starts a CGI program: request in the environment, response on stdout."""

    def __init__(self, sluice, path, method="GET", body=b"", **more):
        super().__init__()
        variables = fcgi.cgi_variables(path, method, **more)
        if body:
            variables["CONTENT_LENGTH"] = str(len(body))
        reading, writing = os.pipe()
        env = {**sluice.reports.environment(), **variables, "SLUICE_CONFIG": str(sluice.config)}
        self.process = subprocess.Popen(sluice.argv(), env=env, stdin=reading, stdout=subprocess.PIPE,
                                        stderr=open(sluice.folder / "cgi.err", "ab"))
        os.close(reading)
        os.write(writing, body)
        os.close(writing)
        os.set_blocking(self.process.stdout.fileno(), False)
        head, rest = self.read_head(20)
        self.status, self.headers = parse_head(head, is_cgi=True)
        self._on_body(rest)

    def receive(self, until):
        if not select.select([self.process.stdout], [], [], left(until))[0]:
            raise Timeout("nothing from the CGI program in time")
        return os.read(self.process.stdout.fileno(), 1 << 16) or None

    def close(self):
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def sluice(launch):
    """Only its configuration: no server runs."""
    instance = launch(ROUTES, start=False)
    yield instance
    instance.reports.check()


def test_stream(sluice, redis):
    with CgiResponse(sluice, "/x/1") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream.opened()
        redis.publish("cgi:1", "a\nb")
        assert stream.next_event().data == "a\nb"
        assert stream.next_event(skip=()).type == "keep-alive"


def test_health(sluice):
    """The process has just begun, and says what Redis is like once it has reached it."""
    with CgiResponse(sluice, "/health") as answer:
        assert answer.status == 200 and answer.json()["status"] == "ok"


def test_health_without_redis(launch, own_redis):
    away = own_redis("away")
    sluice = launch({"health": ROUTES["health"]}, away, start=False, defaults={"open_wait": "100ms"})
    with CgiResponse(sluice, "/health") as answer:
        assert answer.status == 503 and answer.json()["status"] == "down"


def test_nothing_is_lost_behind_the_head(sluice, redis):
    for i in range(5):
        with CgiResponse(sluice, f"/x/lost{i}") as stream:
            redis.publish(f"cgi:lost{i}", "x")
            assert stream.next_message().data == "x"


def test_large_event(sluice, redis):
    with CgiResponse(sluice, "/x/large") as stream:
        stream.opened()
        redis.publish("cgi:large", "x" * 1_000_000)
        assert stream.next_event(20).data == "x" * 1_000_000


@pytest.mark.parametrize("path, method, status", [("/nothing", "GET", 404), ("/x/:", "GET", 400),
                                                  ("/x/1", "POST", 405), ("/x/1", "HEAD", 200)])
def test_short_answers(sluice, path, method, status):
    with CgiResponse(sluice, path, method) as response:
        assert response.status == status
        response.rest()
        assert response.process.wait(10) == 0


def test_body(sluice):
    with CgiResponse(sluice, "/x/1", "POST", b"x" * 1000) as response:
        assert response.status == 405
        response.rest()


def test_end_of_the_stream_is_the_end_of_the_process(sluice):
    with CgiResponse(sluice, "/life") as stream:
        assert stream.rest()[-1].type == "stream-end"
        assert stream.process.wait(10) == 0


def test_term_ends_it(sluice):
    """lighttpd's cgi.limits sends it when the client has gone."""
    with CgiResponse(sluice, "/x/1") as stream:
        stream.opened()
        stream.process.send_signal(signal.SIGTERM)
        stream.rest()
        assert stream.process.wait(patient(2)) == 0


def test_web_server_that_closes(sluice):
    """Noticed at once, or at the next heartbeat."""
    with CgiResponse(sluice, "/x/1") as stream:
        stream.opened()
        stream.process.stdout.close()
        assert stream.process.wait(patient(2)) == 0


# Through lighttpd


class LighttpdCgi(Lighttpd):
    """mod_cgi, as a site without a service manager would have it."""

    def __init__(self, folder, sluice):
        super().__init__(folder, "")
        self.sluice = sluice

    def shipped(self):
        return None

    def configuration(self, _):
        script = self.folder / "www" / "events.cgi"
        words = " ".join(map(str, self.sluice.argv()))
        exports = "".join(f"export {n}='{v}'\n" for n, v in self.sluice.reports.environment().items()
                          if n.endswith("SAN_OPTIONS"))
        script.write_text(f"#!/bin/sh\n{exports}export SLUICE_CONFIG='{self.sluice.config}'\nexec {words}\n")
        script.chmod(0o755)
        return f"""
server.bind = "127.0.0.1"
server.port = {self.port}
server.document-root = "{self.folder}/www"
server.errorlog = "{self.folder}/error.log"
server.modules = ( "mod_cgi" )
server.stream-response-body = 2
cgi.assign = ( ".cgi" => "" )
cgi.limits = ( "tcp-fin-propagate" => "SIGTERM" )
"""


def test_through_lighttpd(launch, redis, folder):
    sluice = launch(ROUTES, start=False, server={"base": "/events.cgi"})
    web = LighttpdCgi(folder, sluice).start()
    try:
        with web.open("/events.cgi/x/1") as stream:
            redis.publish("cgi:1", "hello")
            assert stream.next_event().data == "hello"
            assert len(children_of(web.child.pid)) == 1
        wait_for(lambda: not children_of(web.child.pid), "the program ends with its client", 3)
        with web.get("/events.cgi/nothing") as response:
            assert response.status == 404
    finally:
        web.stop()
    sluice.reports.check()


class LighttpdSpawns(Lighttpd):
    """lighttpd starts the program: bin-path."""

    def __init__(self, folder, sluice):
        super().__init__(folder, str(sluice.folder / "spawned"))
        self.sluice = sluice

    def configuration(self, fragment):
        text = fragment.read_text()
        words = " ".join(map(str, self.sluice.argv("serve", "-c", self.sluice.config)))
        env = ", ".join(f'"{n}" => "{v}"' for n, v in self.sluice.reports.environment().items()
                        if n.endswith("SAN_OPTIONS"))
        spawning = f'"bin-path" => "{words}", "max-procs" => 1, "bin-environment" => ( {env} ),'
        assert text.count('"check-local"') == 1
        fragment.write_text(text.replace('"check-local"', f'{spawning}\n"check-local"'))
        return super().configuration(fragment)


def test_spawned_by_lighttpd(launch, redis, folder):
    sluice = launch(ROUTES, start=False, server={"base": "/events", "log": folder / "spawned.log"})
    del sluice.sections["server"]["listen"]
    sluice.write_config()
    web = LighttpdSpawns(folder, sluice).start()
    try:
        spawned = wait_for(lambda: children_of(web.child.pid), "lighttpd has started it")[0]
        for i in range(10):
            with web.open(f"/events/x/{i}") as stream:
                redis.publish(f"cgi:{i}", "hello")
                assert stream.next_event().data == "hello"
        with web.open("/events/x/end") as stream:
            web.child.send_signal(signal.SIGTERM)
            wait_for(lambda: not is_alive(spawned), "it ends with lighttpd", 5)
    finally:
        web.stop()
    sluice.reports.check()


def test_killed_worker_of_a_spawned_program(launch, redis, folder):
    """Replaced by its supervisor; lighttpd does not notice."""
    sluice = launch(ROUTES, start=False, server={"base": "/events", "log": folder / "spawned.log"})
    del sluice.sections["server"]["listen"]
    sluice.write_config()
    web = LighttpdSpawns(folder, sluice).start()
    try:
        with web.open("/events/x/1"):
            [spawned] = children_of(web.child.pid)
            [worker] = children_of(spawned)
            os.kill(worker, signal.SIGKILL)
        with web.open("/events/x/1") as stream:
            redis.publish("cgi:1", "hello")
            assert stream.next_event().data == "hello"
        assert children_of(web.child.pid) == [spawned] and children_of(spawned) not in ([], [worker])
    finally:
        web.stop()

