"""The site's own login, or the web server's, decides who follows a route with auth = remote_user: each by its recipe."""

import base64
import http.cookies
import http.server
import secrets
import subprocess
import threading

import pytest

import webservers
from fcgi import Spy
from program import ROOT

ROUTES = {
    "mine": {"path": "/mine", "channels": "sl:{user}", "auth": "remote_user"},
    "open": {"path": "/open", "channels": "sl:open"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, server={"base": "/events"})


class Site(http.server.BaseHTTPRequestHandler):
    """Knows users by a cookie."""

    def do_GET(self):
        user = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))["user"].value if "Cookie" in self.headers else None
        self.send_response(401 if user == "banned" else 200)
        if self.path == "/whoami" and user not in (None, "banned"):
            self.send_header("X-User", user)
        self.end_headers()

    def log_message(self, *_):
        pass


class HttpSite:
    """Where nginx asks."""

    def __init__(self, _folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
        self.address = "127.0.0.1:{}".format(self.server.server_port)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Authorizer:
    """The same as a FastCGI authorizer, for Apache."""

    def __init__(self, _folder):
        self.spy = Spy(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self.spy.path)
        self.is_over = False
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.is_over:
            if self.spy.requests.empty():
                threading.Event().wait(0.005)
                continue
            request = self.spy.requests.get()
            cookie = http.cookies.SimpleCookie(request.value("HTTP_COOKIE") or "")
            user = cookie["user"].value if "user" in cookie else None
            if user == "banned":
                request.send(b"Status: 401\r\n\r\n")
            elif user is None:
                request.send(b"Status: 200\r\n\r\n")
            else:
                request.send(f"Status: 200\r\nVariable-REMOTE_USER: {user}\r\nVariable-AUTH_TYPE: Site\r\n\r\n".encode())
            request.finish()

    def stop(self):
        self.is_over = True
        self.thread.join()
        self.spy.close()


class Nginx(webservers.Nginx):
    def shipped(self):
        (self.folder / "snippets").mkdir(exist_ok=True)
        text = (ROOT / "conf/nginx/sluice-login.conf").read_text()
        assert text.count("127.0.0.1:8000") == 1
        (self.folder / "snippets/sluice-login.conf").write_text(text.replace("127.0.0.1:8000", self.site.address))
        return super().shipped()


class Lighttpd(webservers.Lighttpd):
    """It has a login of its own, and asks no site."""

    def configuration(self, fragment, more=""):
        (self.folder / "users").write_text("ada:" + SECRET + "\n")
        return super().configuration(fragment, f'''
server.modules += ( "mod_auth", "mod_authn_file" )
auth.backend = "plain"
auth.backend.plain.userfile = "{self.folder}/users"
$HTTP["url"] =~ "^/events/" {{
	auth.require = ( "" => ( "method" => "basic", "realm" => "the site", "require" => "valid-user" ) )
}}
''')


class Apache(webservers.Apache):
    def configuration(self, fragment):
        text = (ROOT / "conf/apache/sluice-login.conf").read_text()
        assert text.count("127.0.0.1:9001") == 1
        login = self.folder / "sluice-login.conf"
        login.write_text(text.replace("127.0.0.1:9001", self.site.address))
        load = "".join(f"LoadModule {n}_module /usr/lib/apache2/modules/mod_{n}.so\n" for n in ("authn_core", "authz_user", "authnz_fcgi"))
        return super().configuration(fragment) + load + f"Include {login}\n"


class ApacheBasic(webservers.Apache):
    """As any login of Apache's own."""

    def configuration(self, fragment):
        hashed = subprocess.run(["openssl", "passwd", "-apr1", SECRET], capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / "users").write_text(f"ada:{hashed}\n")
        load = "".join(f"LoadModule {n}_module /usr/lib/apache2/modules/mod_{n}.so\n"
                       for n in ("authn_core", "authz_user", "auth_basic", "authn_file"))
        return super().configuration(fragment) + load + f"""
<Location "/events/">
AuthType Basic
AuthName "the site"
AuthUserFile {self.folder}/users
Require valid-user
</Location>
"""


SECRET = secrets.token_hex(8)
SERVERS = {"nginx": (Nginx, HttpSite), "apache": (Apache, Authorizer)}


@pytest.fixture(params=list(SERVERS))
def web(request, folder, sluice):
    cls, site = SERVERS[request.param]
    server = cls(folder, sluice.path)
    server.site = site(folder)
    try:
        yield server.start()
    finally:
        server.stop()
        server.site.stop()


def test_the_site_decides(web, redis):
    def status_of(path, user=None, **headers):
        with web.get(path, headers={**({"Cookie": f"user={user}"} if user else {}), **headers}) as response:
            return response.status
    with web.open("/events/mine", headers={"Cookie": "user=ada"}) as ada, web.open("/events/mine", headers={"Cookie": "user=bob"}) as bob:
        redis.publish("sl:ada", "for ada")
        redis.publish("sl:bob", "for bob")
        assert ada.next_message().data == "for ada"
        assert bob.next_message().data == "for bob"
    with web.open("/events/open") as guest:
        redis.publish("sl:open", "for all")
        assert guest.next_message().data == "for all"
    assert status_of("/events/mine") == 401, "a guest"
    assert status_of("/events/mine", "banned") == 401 and status_of("/events/open", "banned") == 401
    name = base64.b64encode(b"ada:x").decode()
    for header in ({"Authorization": f"Basic {name}"}, {"X-User": "ada"}, {"Remote-User": "ada"}, {"Variable-REMOTE_USER": "ada"}):
        assert status_of("/events/mine", **header) == 401, header
    assert status_of("/events/sluice-login") == 404


@pytest.mark.parametrize("cls", ["Lighttpd", "ApacheBasic"])
def test_the_web_server_decides(serve, sluice, redis, cls):
    web = serve(globals()[cls], sluice.path)

    def credentials(password):
        return {"Authorization": "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()}
    with web.open("/events/mine", headers=credentials(SECRET)) as ada:
        redis.publish("sl:ada", "for ada")
        assert ada.next_message().data == "for ada"
    for headers in ({}, credentials("wrong")):
        with web.get("/events/mine", headers=headers) as response:
            assert response.status == 401
