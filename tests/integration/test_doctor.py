"""sluice doctor: what stands in the way is named, with the line of the very web server.

Each web server is there three times: as it is shipped; with all slips at once that do not hide each other; and with the
one that keeps everything back. All are looked at at the same time, for the doctor mostly waits.
"""

import re
import shutil
import socket
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import webservers
from processes import free_port
from program import IS_ROOT
from webservers import ALL, ApacheHttp2, NginxHttp2

ROUTES = {"hello": {"path": "/hello", "channels": "hello"}}
QUIET = {"quiet": {"path": "/quiet", "channels": "quiet", "heartbeat": "0"}}
KEPT = {"kept": {"path": "/kept", "streams": "kept"}}


class NginxProxy(webservers.Nginx):
    """Passes HTTP on to another, and keeps it all back."""

    def configuration(self, fragment):
        text = super().configuration(fragment)
        line = f"include {fragment};"
        assert text.count(line) == 1
        return text.replace(line, f"location / {{ proxy_pass http://127.0.0.1:{self.behind}; proxy_ignore_headers X-Accel-Buffering; }}")


class Slips:
    """Edits of the fragment and of the site around it, (pattern, replacement) each, and what the doctor must say: the check,
    and a line below it."""

    def __init__(self, fragment=(), site=(), says=(), without_come_back=False):
        self.fragment, self.site, self.says, self.without_come_back = fragment, site, says, without_come_back


def edit(text, edits):
    for pattern, replacement in edits:
        text, n = re.subn(pattern, replacement, text, flags=re.M)
        assert n > 0, pattern
    return text


def slipped(cls, slips):
    """The web server with the slips made."""
    class Slipped(cls):
        def shipped(self):
            copy = super().shipped()
            copy.write_text(edit(copy.read_text(), slips.fragment))
            return copy

        def configuration(self, fragment):
            site = list(slips.site)
            if slips.without_come_back:
                site.append((r"^.*[iI]nclude .*sluice-come-back\.conf.*$", ""))
            return edit(super().configuration(fragment), site)
    return Slipped


LATE = ("warn leaving", "[route quiet] heartbeat = 15s")  # where a client that leaves is noticed at the next write
BASE = ("FAIL base", "[server] base = /events")
MANY = {
    "lighttpd": Slips(
        [(r"server.max-write-idle = 3600", "server.max-write-idle = 4"), (r'"tcp-fin-propagate" => "enable",', "")],
        [(r"^server.port", "server.max-connections = 14\nserver.port")],
        [BASE, ("FAIL silence", "server.max-write-idle = 3600"),
         ("warn leaving", '"tcp-fin-propagate" => "enable"'), ("FAIL streams", "server.max-connections = 20000"),
         ("warn come back", "lighty-enable-mod sluice-come-back")], without_come_back=True),
    "nginx": Slips(
        [(r"^\tgzip off;", ""), (r"fastcgi_ignore_client_abort off", "fastcgi_ignore_client_abort on"),
         (r"fastcgi_read_timeout 1d", "fastcgi_read_timeout 4s"), (r"error_page 502 503 504.*", ""),
         (r"fastcgi_param REMOTE_PORT", "fastcgi_param REMOTE_USER $remote_user;\n\tfastcgi_param REMOTE_PORT")],
        [(r"worker_connections 2048", "worker_connections 24")],
        [BASE, ("FAIL gzip", "gzip off;"), ("FAIL silence", "fastcgi_read_timeout 1d;"),
         ("warn leaving", "fastcgi_ignore_client_abort off;"), ("FAIL user", "fastcgi_param REMOTE_USER"),
         ("FAIL streams", "worker_connections 20000;"), ("warn come back", "error_page 502 503 504 = @sluice_come_back;")]),
    "apache": Slips(
        [(r"timeout=86400 retry", "timeout=4 retry"), (r"CGIPassAuth On", ""), (r"SetEnv no-gzip 1", "")],
        [(r"ServerLimit 8", "ServerLimit 1"), (r"ThreadsPerChild 32", "ThreadsPerChild 12"), (r"MaxRequestWorkers 256", "MaxRequestWorkers 12"),
         (r"MinSpareThreads 32", "MinSpareThreads 1"), (r"MaxSpareThreads 256", "MaxSpareThreads 12")],
        [BASE, ("FAIL gzip", "SetEnv no-gzip 1"), ("FAIL silence", "timeout=86400"), ("FAIL request", "CGIPassAuth On"),
         LATE, ("FAIL streams", "MaxRequestWorkers 2048"), ("warn come back", "a2enconf sluice-come-back")], without_come_back=True),
    "haproxy": Slips(
        [(r"option http-no-delay", ""), (r"timeout server 1d", "timeout server 4s"),
         (r"pass-header authorization", ""), (r"set-param (REMOTE_USER|AUTH_TYPE).*", ""), (r"http-after-response .*", "")],
        [(r"maxconn 2000", "maxconn 14")],
        [BASE, ("FAIL buffering", "option http-no-delay"),
         ("FAIL silence", "timeout server 1d"), ("FAIL request", "pass-header authorization"),
         ("FAIL user", "set-param REMOTE_USER %[var(txn.nobody)]"), LATE, ("FAIL streams", "maxconn 20000"),
         ("warn come back", "http-error status 503")]),
    "caddy": Slips(
        [(r"read_timeout 24h", "read_timeout 4s"), (r"request_header -Proxy", "request_header -Authorization"),
         (r"(?s)^handle_errors \{.*?^\}", "")],
        (), [BASE, ("FAIL silence", "read_timeout 24h"), ("FAIL request", "header_up Authorization"), LATE,
             ("warn come back", "handle_errors")]),
}

HELD_BACK = {
    "lighttpd": Slips([(r"server.stream-response-body = 2", "server.stream-response-body = 0")], (),
                      [("FAIL buffering", "server.stream-response-body = 2")]),
    "nginx": Slips([(r"fastcgi_buffering off;", "fastcgi_buffering on; fastcgi_ignore_headers X-Accel-Buffering;")], (),
                   [("FAIL buffering", "fastcgi_buffering off;")]),
    "apache": Slips([(r"flushpackets=on timeout", "timeout")], (), [("FAIL buffering", "flushpackets=on")]),
}

NO_SOCKET = {
    "lighttpd": '"socket" => "{path}"', "nginx": "fastcgi_pass unix:{path};", "apache": "unix:{path}|fcgi://sluice/events/",
    "haproxy": "server sluice unix@{path} proto fcgi", "caddy": "reverse_proxy unix/{path}",
}

NO_ROUTE = {
    "lighttpd": "lighty-enable-mod sluice", "nginx": "include snippets/sluice.conf;", "apache": "a2enconf sluice",
    "haproxy": "use_backend sluice if { path_beg /elsewhere/ }", "caddy": "import /etc/caddy/sluice.caddy",
}


def found(done):
    """{check: (verdict, all of its lines)}"""
    checks, name = {}, None
    for line in done.out.splitlines():
        match = re.match(r"(ok|warn|FAIL) {2,4}(\w+(?: back)?) +(.*)", line)
        if match:
            name = match[2]
            checks[name] = (match[1], [match[3]])
        elif name:
            checks[name][1].append(line.strip())
    return checks


def check_says(done, says):
    checks = found(done)
    for check, line in says:
        verdict, name = check.split(" ", 1)
        assert name in checks and checks[name][0] == verdict, f"{check}\n{done.out}{done.err}"
        assert any(line in one for one in checks[name][1]), f"{check}: {line}\n{done.out}{done.err}"


def check_fine(done):
    assert done.returncode == 0, done.out + done.err
    assert all(verdict == "ok" for verdict, _ in found(done).values()), done.out


@pytest.fixture(scope="module")
def looked(launch_shared):
    """(server, which) → what the doctor said: of all at once."""
    path = Path(tempfile.mkdtemp(prefix="sluice-", dir="/tmp"))
    path.chmod(0o777)
    right = launch_shared(ROUTES, name="right", server={"base": "/events"})
    bare = launch_shared(ROUTES | QUIET, name="bare")  # without the base that the web servers pass on
    other = launch_shared(ROUTES, name="other", start=False, server={"base": "/elsewhere", "listen": f"unix:{right.path}"})
    started = []

    def start(cls, folder, socket):
        (path / folder).mkdir(exist_ok=True)
        (path / folder).chmod(0o755)
        server = cls(path / folder, socket)
        started.append(server)
        return server.start()

    jobs = {}
    for name, cls in ALL.items():
        fine = start(cls, "fine", right.path)
        jobs[name, "fine"] = right, fine, "/events", ["--for", "2s", "--streams", "20"]
        jobs[name, "no route"] = other, fine, "/elsewhere", ["--quick"]
        jobs[name, "many"] = bare, start(slipped(cls, MANY[name]), "many", bare.path), "/events", ["--for", "10s" if name == "lighttpd" else "6s", "--streams", "20"]
        if name in HELD_BACK:
            jobs[name, "held back"] = right, start(slipped(cls, HELD_BACK[name]), "held", right.path), "/events", ["--quick"]
        jobs[name, "no socket"] = right, start(cls, "nobody", f"{path}/nobody.sock"), "/events", ["--quick"]
    for cls in (NginxHttp2, ApacheHttp2):
        server = start(cls, "fine", right.path)
        jobs[cls.name, "fine"] = right, server, "/events", ["--insecure", "--quick"]
        jobs[cls.name, "certificate"] = right, server, "/events", ["--quick"]
    proxy = start(type("Proxy", (NginxProxy,), {"behind": jobs["lighttpd", "fine"][1].port}), "proxy", right.path)
    jobs["proxy", "held back"] = right, proxy, "/events", ["--quick"]
    jobs["lighttpd", "of the site"] = right, jobs["lighttpd", "fine"][1], "/", ["--quick"]
    jobs["lighttpd", "of a route"] = right, jobs["lighttpd", "fine"][1], "/events/hello?x=1", ["--quick"]

    def look(job):
        sluice, server, url_path, args = job
        return sluice.run("doctor", "-c", sluice.config, *args, f"{server.scheme}://127.0.0.1:{server.port}{url_path}", seconds=120)

    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            yield dict(zip(jobs, pool.map(look, jobs.values()), strict=True))
    finally:
        for server in started:
            server.stop()
        shutil.rmtree(path)


def test_as_shipped(looked, server_class):
    check_fine(looked[server_class.name, "fine"])


def test_many_slips(looked, server_class):
    done = looked[server_class.name, "many"]
    assert done.returncode == 1
    check_says(done, MANY[server_class.name].says)


@pytest.mark.parametrize("name", HELD_BACK)
def test_held_back(looked, name):
    done = looked[name, "held back"]
    assert done.returncode == 1
    check_says(done, HELD_BACK[name].says)


def test_no_route(looked, server_class):
    done = looked[server_class.name, "no route"]
    assert done.returncode == 1
    check_says(done, [("FAIL reached", NO_ROUTE[server_class.name])])


def test_no_socket(looked, server_class):
    """It finds nobody where it looks: the line with the socket at which Sluice listens."""
    done = looked[server_class.name, "no socket"]
    assert done.returncode == 1
    path = re.search(r"answers on unix:(\S+)", done.out)[1]
    check_says(done, [("ok program", "Sluice answers"), ("FAIL reached", NO_SOCKET[server_class.name].format(path=path))])


@pytest.mark.parametrize("cls, says", [(NginxHttp2, ("ok http2", "a connection has 128 streams")),
                                       (ApacheHttp2, ("warn http2", "serves 6 streams at a time"))], ids=lambda x: getattr(x, "name", ""))
def test_https(looked, cls, says):
    done = looked[cls.name, "fine"]
    assert done.returncode == 0, done.out
    check_says(done, [says, ("ok buffering", "none")])
    check_says(looked[cls.name, "certificate"], [("FAIL reached", "--insecure")])


def test_proxy_before_it(looked):
    """The line is that of the one that keeps the events back."""
    done = looked["proxy", "held back"]
    assert done.returncode == 1
    check_says(done, [("ok proxies", "nginx stands before lighttpd"), ("FAIL buffering", "nginx: proxy_buffering off;")])


def test_url_of_the_site(looked):
    """The base may be missing in the URL, and a route may stand behind it."""
    check_fine(looked["lighttpd", "of the site"])
    check_fine(looked["lighttpd", "of a route"])


if IS_ROOT:
    def test_may_not_open(launch, serve):
        """The socket's group is not the web server's."""
        sluice = launch(ROUTES, server={"base": "/events", "socket_group": "root"})
        server = serve(webservers.Apache, sluice.path)
        done = sluice.run("doctor", "-c", sluice.config, "--quick", f"http://127.0.0.1:{server.port}/events")
        assert done.returncode == 1
        check_says(done, [("FAIL reached", "www-data may not open " + sluice.path), ("FAIL reached", "socket_group = www-data")])


def test_nobody_listens(launch, own_redis):
    """No web server, and a Redis that throws away and forgets what is to be sent again."""
    redis = own_redis(options=["--maxmemory-policy", "allkeys-lru", "--save", ""]).start()
    sluice = launch(KEPT, redis, start=False)
    done = sluice.run("doctor", "-c", sluice.config, f"http://127.0.0.1:{free_port()}/")
    assert done.returncode == 1
    check_says(done, [("FAIL eviction", "maxmemory-policy noeviction"), ("warn kept", "appendonly yes"),
                      ("FAIL program", "systemctl start sluice"), ("FAIL reached", "no web server listens there")])
    redis.end()
    done = sluice.run("doctor", "-c", sluice.config, f"http://127.0.0.1:{free_port()}/")
    check_says(done, [("FAIL redis", "Connection refused")])


def test_another_redis(launch, own_redis):
    """The configuration is not the one by which it runs."""
    sluice = launch(ROUTES)
    mistaken = launch(ROUTES, own_redis().start(), name="mistaken", start=False, server={"listen": f"unix:{sluice.path}"})
    done = mistaken.run("doctor", "-c", mistaken.config, f"http://127.0.0.1:{free_port()}/")
    check_says(done, [("FAIL program", "reads another Redis")])


def test_a_hostile_web_server(launch):
    """What it says moves no cursor, and none of it is offered to a shell."""
    sluice = launch(ROUTES, start=False)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 302 Found\r\nServer: nginx\x1b[2J\r\nLocation: http://a/$(id)\x1b[2J\r\nContent-Length: 0\r\n\r\n")

        pool.submit(answer)
        done = sluice.run("doctor", "-c", sluice.config, "--quick", "http://127.0.0.1:{}/".format(server.getsockname()[1]))
        server.shutdown(socket.SHUT_RDWR)
    assert done.returncode == 1
    check_says(done, [("FAIL reached", "go elsewhere")])
    assert b"\x1b" not in done.stdout and b"$(id)" not in done.stdout, done.stdout


def test_a_server_that_trickles(launch):
    """Byte by byte, for ever: what it takes in all is bounded, not each byte."""
    sluice = launch(ROUTES, start=False)
    given_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        def answer():
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of TLS, of 16 KiB
                    for _ in range(600):
                        connection.sendall(b"\x02")
                        if given_up.wait(0.2):
                            return True
                except OSError:
                    return True
            return False

        told = pool.submit(answer)
        done = sluice.run("doctor", "-c", sluice.config, "--quick", "https://127.0.0.1:{}/".format(server.getsockname()[1]), seconds=60)
        given_up.set()
        assert told.result(), "it was the server that ended it"
    assert done.returncode == 1
    check_says(done, [("FAIL reached", "did not come to an end in time")])


@pytest.mark.parametrize("url", ["localhost", "ftp://localhost/", "http://", "http://user@localhost/", "http://localhost:x/"])
def test_usage(launch, url):
    sluice = launch(ROUTES, start=False)
    assert sluice.run("doctor", "-c", sluice.config, url).returncode == 2
    assert sluice.run("doctor", "-c", sluice.config, "--streams", "0", "http://localhost/").returncode == 2
    assert sluice.run("doctor", "-c", sluice.config, "--for", "1d", "http://localhost/").returncode == 2


def test_the_path_is_not_there(launch, redis):
    """Without its key it is a path like any other, by every method; with it, it ends with the key's time."""
    sluice = launch(ROUTES, server={"base": "/events"})
    key = "0123456789abcdef" * 2

    def answer(path, method="GET"):
        with sluice.get(path, method=method) as response:
            return response.status, response.rest()

    nothing = answer("/events/nothing")
    assert nothing[0] == 404
    for path in (f"/events/.doctor/{key}", f"/events/.doctor/{key}?drop=1", f"/.doctor/{key}", "/events/.doctor/", "/events/.doctor/x"):
        assert answer(path) == nothing, path
    client = redis.client()
    client.set(f"sluice:doctor:{key}", "1", ex=60)
    assert answer(f"/events/.doctor/{key}", "POST") == nothing
    assert answer(f"/events/.doctor/{key[:-1]}") == nothing
    with sluice.get(f"/events/.doctor/{key}?events=1&every=1") as response:
        assert response.status == 200
        assert [e.type for e in response.rest()] == ["greeting", "tick"]
    client.delete(f"sluice:doctor:{key}")
    assert answer(f"/events/.doctor/{key}") == nothing
    assert sluice.status()["requests_refused"] == 9
