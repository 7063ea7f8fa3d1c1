"""rediss://: every link over TLS, and whoever cannot prove who he is gets nothing."""

import socket

import pytest

from certificates import Authority

ROUTES = {
    "x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "200ms", "open_wait": "300ms"},
    "s": {"path": "/s/{id}", "streams": "s:{id}", "open_wait": "300ms", "start": "0"},
    "p": {"path": "/p", "channels": "p", "publish": "p", "publish_auth": "none"},
    "health": {"path": "/health", "handler": "health"},
}


@pytest.fixture
def authority(folder):
    return Authority(folder)


@pytest.fixture
def tls_redis(own_redis, authority):
    return own_redis(certificate=(*authority.sign("redis", "IP:127.0.0.1,DNS:localhost"), authority.pem)).start()


def assert_works(sluice, redis):
    with sluice.open("/x/1") as stream:
        redis.publish("x:1", "hello")
        assert stream.next_event().data == "hello"


def health(sluice):
    with sluice.get("/health") as response:
        return response.status


def assert_refused(sluice, why):
    """Told in words, tried again, nobody let in and nobody told 5xx."""
    with sluice.get("/x/1") as stream:
        assert stream.status == 200
        sluice.wait_log(why)
        assert health(sluice) == 503


def test_every_link(launch, tls_redis):
    """Pub/sub, commands, a reader: all of them, and nothing over the plain port."""
    sluice = launch(ROUTES, tls_redis)
    assert_works(sluice, tls_redis)
    with sluice.open("/s/1") as stream:
        tls_redis.client().xadd("s:1", {"data": "entry"})
        assert stream.next_event().data == "entry"
    addresses = {c["laddr"] for c in tls_redis.client().client_list() if c["name"] == "sluice"}
    assert addresses == {f"127.0.0.1:{tls_redis.tls_port}"}


def test_large_messages(launch, tls_redis):
    """TLS hands on records of 16 KiB: none of what it has decoded may be left lying."""
    sluice = launch({"x": {**ROUTES["x"], "queue": "16m"}}, tls_redis)
    with sluice.open("/x/1") as stream:
        for size in (16383, 16384, 16385, 65536, 1000000, 4000000):
            tls_redis.publish("x:1", "a" * size)
            assert len(stream.next_event(20).data) == size


def test_emit(launch, tls_redis):
    sluice = launch(ROUTES, tls_redis)
    with sluice.open("/x/1") as stream:
        done = sluice.run("emit", "-c", sluice.config, "x:1", '{"a":1}')
        assert (done.returncode, done.err) == (0, "")
        assert stream.next_event().data == '{"a":1}'


def test_by_host_name(launch, tls_redis):
    sluice = launch(ROUTES, tls_redis, link={"url": f"rediss://localhost:{tls_redis.tls_port}"})
    assert_works(sluice, tls_redis)


def test_named_by_a_key(launch, own_redis, authority):
    redis = own_redis(certificate=(*authority.sign("r", "DNS:redis.example"), authority.pem)).start()
    assert_works(launch(ROUTES, redis, link={"tls_server_name": "redis.example"}), redis)


def test_wrong_name(launch, own_redis, authority):
    redis = own_redis(certificate=(*authority.sign("r", "DNS:redis.example"), authority.pem)).start()
    assert_refused(launch(ROUTES, redis), "its certificate is refused: IP address mismatch")


def test_unknown_authority(launch, tls_redis, folder):
    other = Authority(folder, "other")
    sluice = launch(ROUTES, tls_redis, link={"tls_ca": other.pem})
    assert_refused(sluice, "its certificate is refused:")
    done = sluice.run("emit", "-c", sluice.config, "x:1", "1")
    assert done.returncode == 1 and "its certificate is refused" in done.err


def test_expired(launch, own_redis, authority):
    redis = own_redis(certificate=(*authority.sign("r", "IP:127.0.0.1", days=-1), authority.pem)).start()
    assert_refused(launch(ROUTES, redis), "its certificate is refused: certificate has expired")


def test_own_certificate(launch, own_redis, authority, folder):
    pem, key = authority.sign("client", "DNS:client")
    redis = own_redis(certificate=(*authority.sign("redis", "IP:127.0.0.1"), authority.pem))
    redis.options += ["--tls-auth-clients", "yes"]
    redis.start()
    assert_works(launch(ROUTES, redis, link={"tls_cert": pem, "tls_key": key}), redis)
    assert_refused(launch(ROUTES, redis, name="without"), "pub/sub")


def test_plain_port(launch, tls_redis):
    """A plain Redis says nothing to a TLS greeting, or an error that is no TLS."""
    sluice = launch(ROUTES, tls_redis, link={"url": f"rediss://127.0.0.1:{tls_redis.port}", "connect_timeout": "300ms"})
    assert_refused(sluice, "speak TLS there")
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert done.returncode == 1 and "speak TLS there" in done.out


def test_plain_url_at_the_tls_port(launch, tls_redis):
    sluice = launch(ROUTES, tls_redis, link={"url": f"redis://127.0.0.1:{tls_redis.tls_port}"}, start=False)
    del sluice.sections["redis"]["tls_ca"]
    sluice.write_config()
    sluice.start()
    assert_refused(sluice, "pub/sub")


def test_handshake_that_stalls(launch, tls_redis):
    """Passed over within connect_timeout: the next server serves."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"rediss://127.0.0.1:{mute.getsockname()[1]} {tls_redis.url}"
        sluice = launch(ROUTES, tls_redis, link={"url": url, "connect_timeout": "300ms"})
        assert_works(sluice, tls_redis)
        sluice.wait_log("no TLS handshake within connect_timeout")


def test_restart(launch, tls_redis):
    """A session is taken up again, or a new one is made; either way it comes back."""
    sluice = launch(ROUTES, tls_redis)
    with sluice.open("/x/1") as stream:
        for _ in range(3):
            tls_redis.client().client_kill_filter(_type="pubsub")
            assert stream.next_event(10).type == "stream-reset"
            tls_redis.publish("x:1", "back")
            assert stream.next_event().data == "back"


def test_check(launch, redis, folder):
    """Files that are no certificates, keys of TLS without TLS."""
    sluice = launch(ROUTES, start=False)
    junk = folder / "junk.pem"
    junk.write_text("junk\n")
    good = Authority(folder)
    cases = (
        ({"url": "rediss://h", "tls_ca": junk}, "[redis] tls_ca: "),
        ({"url": "rediss://h", "tls_cert": junk}, "[redis] tls_cert: "),
        ({"url": "rediss://h", "tls_key": good.key}, "[redis] tls_key: a key goes with a certificate: tls_cert is missing"),
        ({"url": "redis://h", "tls_ca": good.pem}, "[redis] tls_ca: no url begins with rediss://, so there is no TLS"),
        ({"url": "rediss://h", "tls_ca": folder / "none.pem"}, "No such file or directory"),
    )
    for link, want in cases:
        sluice.sections["redis"] = link
        sluice.write_config()
        done = sluice.run("check", "-c", sluice.config)
        assert done.returncode == 1 and want in done.err + done.out, (link, done.err, done.out)
    sluice.sections["redis"] = {"url": "rediss://h", "tls_ca": good.pem}
    sluice.write_config()
    assert sluice.run("check", "-c", sluice.config).returncode == 0
