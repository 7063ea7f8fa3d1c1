"""Credentials through each web server: what it hands on, and what it must not."""

import base64
import secrets

import pytest

from test_auth import AUTH, SECRET, bearer, link, session, token

ROUTES = {
    "token": {"path": "/token", "channels": "aw:{user}", "auth": "jwt"},
    "session": {"path": "/session", "channels": "aw:{user}", "auth": "session"},
    "signed": {"path": "/signed/{id}", "channels": "aw:{id}", "auth": "signed"},
    "user": {"path": "/user", "channels": "aw:{user}", "auth": "remote_user"},
    "post": {"path": "/post", "publish": "aw:{user}", "publish_auth": "session"},
}


@pytest.fixture(scope="module")
def sluice(launch_shared):
    return launch_shared(ROUTES, auth=AUTH, server={"base": "/events"})


@pytest.fixture
def web(serve, server_class, sluice):
    return serve(server_class, sluice.path)


def status_of(web, path, **kw):
    with web.get(path, **kw) as response:
        return response.status


def test_each_kind(web, redis):
    cookie = session(redis, '{"user":"sam"}')
    with web.open("/events/token", headers=bearer("tom")) as s:
        redis.publish("aw:tom", "1")
        assert s.next_message().data == "1"
    with web.open("/events/token", headers={"Cookie": f"token={token('kim')}"}) as s:
        redis.publish("aw:kim", "2")
        assert s.next_message().data == "2"
    with web.open("/events/session", headers=cookie) as s:
        redis.publish("aw:sam", "3")
        assert s.next_message().data == "3"
    with web.open(link("/events/signed/a?x=%20y")) as s:
        redis.publish("aw:a", "4")
        assert s.next_message().data == "4"


def test_who_is_not_let_in(web):
    for path in ("token", "session", "signed/a", "user"):
        with web.get(f"/events/{path}") as response:
            assert response.status == 401 and "www-authenticate" in response.headers
            assert response.headers["content-type"] == "application/problem+json"
    basic = base64.b64encode(b"admin:anything").decode()
    assert status_of(web, "/events/user", headers={"Authorization": f"Basic {basic}"}) == 401, "nobody has checked it"
    assert status_of(web, "/events/user", headers={"Remote-User": "admin", "Auth-Type": "Basic"}) == 401
    assert status_of(web, "/events/token", headers={"Authorization": "Bearer " + token(key=secrets.token_hex(32))}) == 401
    assert SECRET not in web.errors()


def test_pages_of_the_site(web, redis):
    cookie = session(redis, '{"user":"sam"}')
    port = web.address[1]

    def post(origin):
        headers = {**cookie, "Content-Type": "application/json", "Origin": origin}
        return status_of(web, "/events/post", method="POST", body=b"{}", headers=headers)
    assert post(f"http://127.0.0.1:{port}") == 202
    for origin in ("https://evil.example", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port}", "null"):
        assert post(origin) == 403, origin
