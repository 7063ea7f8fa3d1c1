"""Redis: how Sluice gets in, and what its going away looks like to subscribers."""

import json
import signal
import socket
import time

import pytest

from processes import free_port
from waiting import Timeout, soon, wait_for

ROUTES = {
    "x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "200ms", "open_wait": "500ms"},
    "pattern": {"path": "/pattern", "patterns": "p:*"},
    "named": {"path": "/named", "patterns": "n:*", "event": "{channel}"},
    "health": {"path": "/health", "handler": "health"},
}


def health(sluice):
    with sluice.get("/health") as response:
        return response.status


def assert_delivers(sluice, redis, **auth):
    with sluice.open("/x/1") as stream:
        redis.client(**auth).publish("x:1", "hello")
        assert stream.next_event().data == "hello"


# Ways in


def test_tcp(launch, redis):
    assert_delivers(launch(ROUTES), redis)


def test_unix_socket(launch, redis):
    assert_delivers(launch(ROUTES, link={"url": redis.unix_url}), redis)


def test_host_name(launch, redis):
    assert_delivers(launch(ROUTES, link={"url": f"redis://localhost:{redis.port}"}), redis)


def test_password(launch, own_redis):
    redis = own_redis(options=["--requirepass", "p@ss:w/rd#;%"]).start()
    url = f"redis://:p%40ss%3Aw%2Frd%23%3B%25@127.0.0.1:{redis.port}/0"
    assert_delivers(launch(ROUTES, redis, link={"url": url}), redis, password="p@ss:w/rd#;%")


def test_password_file(launch, own_redis, folder):
    redis = own_redis(options=["--requirepass", "secret"]).start()
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    sluice = launch(ROUTES, redis, link={"password_file": folder / "password"})
    assert_delivers(sluice, redis, password="secret")


def test_acl_user(launch, own_redis):
    redis = own_redis().start()
    redis.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "&x:*", "+@all")
    url = f"redis://app:secret@127.0.0.1:{redis.port}"
    sluice = launch(ROUTES, redis, link={"url": url})
    assert_delivers(sluice, redis)
    users = {c["user"] for c in redis.client().client_list(_type="pubsub")}
    assert users == {"app"}


def test_database(launch, redis):
    """Pub/sub knows no databases, but keys do."""
    sluice = launch(ROUTES, link={"url": f"redis://127.0.0.1:{redis.port}/3"})
    assert_delivers(sluice, redis)
    wait_for(lambda: any(c["db"] == "3" for c in redis.client().client_list()), "a connection to database 3")


def test_wrong_password(launch, own_redis):
    """The stream waits; nobody is told 5xx; when the password is right, it opens."""
    redis = own_redis(options=["--requirepass", "right"]).start()
    sluice = launch(ROUTES, redis, link={"url": f"redis://:wrong@127.0.0.1:{redis.port}"})
    with sluice.get("/x/1") as stream:
        assert stream.status == 200
        assert health(sluice) == 503
        assert "wrong" not in sluice.log(), "the password is not logged"
        client = redis.client(password="right")
        client.config_set("requirepass", "wrong")
        stream.opened(15)
        client.publish("x:1", "hello")
        assert stream.next_event().data == "hello"


def test_prefix(launch, redis):
    sluice = launch(ROUTES, link={"prefix": "app1:"})
    with sluice.open("/x/1") as stream, sluice.open("/pattern") as pattern:
        redis.publish("x:1", "not this")
        redis.publish("app1:x:1", "this")
        assert stream.next_event().data == "this"
        redis.publish("p:a", "not this")
        redis.publish("app1:p:a", "this")
        assert pattern.next_event().data == "this"


def test_channel_without_its_prefix(launch, redis):
    """A route's {channel} is the channel as the route names it."""
    sluice = launch(ROUTES, link={"prefix": "app2:"})
    with sluice.open("/named") as stream:
        redis.publish("app2:n:a", "x")
        assert stream.next_event().type == "n:a"


# Several URLs


def test_first_url_refuses(launch, redis):
    url = f"redis://127.0.0.1:{free_port()} {redis.url}"
    assert_delivers(launch(ROUTES, link={"url": url}), redis)


def test_first_url_has_no_socket(launch, redis, folder):
    url = f"unix://{folder}/nothing.sock, {redis.unix_url}"
    assert_delivers(launch(ROUTES, link={"url": url}), redis)


def test_first_url_never_answers(launch, redis):
    """It accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]} {redis.url}"
        sluice = launch(ROUTES, link={"url": url, "connect_timeout": "300ms"})
        assert_delivers(sluice, redis)


def test_fail_over(launch, own_redis):
    one, two = own_redis("one").start(), own_redis("two").start()
    sluice = launch(ROUTES, one, link={"url": f"{one.url} {two.url}"})
    with sluice.open("/x/1") as stream:
        one.publish("x:1", "from one")
        assert stream.next_event().data == "from one"
        one.kill()
        assert stream.next_of("stream-reset", 10).data == '{"reason":"redis"}'
        two.wait_subscribed("x:1")
        two.publish("x:1", "from two")
        assert stream.next_message().data == "from two"


# Going away


def assert_reset_once(stream, timeout=10):
    """Something may have been missed: told once, and then new events arrive."""
    event = stream.next_of("stream-reset", timeout)
    assert json.loads(event.data) == {"reason": "redis"}


def test_killed_and_back(launch, own_redis):
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as a, sluice.open("/x/2") as b, sluice.open("/pattern") as c:
        redis.kill()
        sluice.wait_status("redis", "down")
        assert health(sluice) == 503
        for stream in (a, b):
            assert stream.next_event(skip=()).type == "keep-alive", "heartbeats go on"
        redis.start()
        for stream, channel in ((a, "x:1"), (b, "x:2"), (c, "p:x")):
            assert_reset_once(stream)
            assert redis.publish(channel, "new") == 1, "told when the subscription is there again"
            assert stream.next_message().data == "new"
        for stream in (a, b, c):
            assert b'"reason":"redis"' in stream.body and stream.body.count(b"stream-reset") == 1
        sluice.wait_status("redis", "up")
        assert health(sluice) == 200


def test_back_soon(launch, own_redis):
    """Recovered within 1.5 s of Redis's return, if it was not away for long."""
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        redis.kill()
        redis.start()
        start = time.monotonic()
        redis.wait_subscribed("x:1")
        assert soon(start, 1.5)
        assert_reset_once(stream)


def test_absent_at_start(launch, own_redis):
    """The head comes within open_wait, as 200: an EventSource that is told 5xx never comes back."""
    redis = own_redis()
    sluice = launch(ROUTES, redis)
    start = time.monotonic()
    with sluice.get("/x/1") as stream:
        assert 0.4 < time.monotonic() - start and soon(start, 1.5), "open_wait is 500 ms"
        assert stream.status == 200
        assert stream.next_event(skip=()).type == "keep-alive"
        assert stream.parser.retry is not None
        assert health(sluice) == 503
        redis.start()
        event = stream.next_event(10)
        assert event.type == "stream-open", event
        redis.publish("x:1", "hello")
        assert stream.next_event().data == "hello"
        assert b"stream-reset" not in stream.body, "it had missed nothing that it was promised"


def test_opened_while_away(launch, own_redis):
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    assert_delivers(sluice, redis)
    redis.kill()
    sluice.wait_status("redis", "down")
    with sluice.get("/x/3") as stream:
        assert stream.status == 200
        redis.start()
        assert stream.next_event(10).type == "stream-open"
        redis.publish("x:3", "hello")
        assert stream.next_event().data == "hello"


def test_client_kill(launch, own_redis):
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        for round in range(3):
            redis.client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            assert_reset_once(stream)
            assert redis.publish("x:1", f"after {round}") == 1
            assert stream.next_message().data == f"after {round}"


def test_client_kill_of_the_command_link(launch, own_redis):
    """Subscribers do not notice."""
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        redis.publish("x:1", "x")
        assert stream.next_event().data == "x"
        assert b"stream-reset" not in stream.body


def test_hangs(launch, own_redis):
    """It accepts connections and answers nothing: noticed by the probe."""
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        redis.child.send_signal(signal.SIGSTOP)
        try:
            sluice.wait_status("redis", "down", 15)
            with sluice.get("/x/2") as other:
                assert other.status == 200, "requests are answered meanwhile"
        finally:
            redis.child.send_signal(signal.SIGCONT)
        assert_reset_once(stream)
        assert redis.publish("x:1", "new") == 1
        assert stream.next_message().data == "new"


def test_slow_answer_is_no_failure(launch, own_redis):
    redis = own_redis(options=["--enable-debug-command", "local"]).start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        redis.client().execute_command("DEBUG", "SLEEP", "1")
        redis.publish("x:1", "x")
        assert stream.next_event().data == "x"
        assert b"stream-reset" not in stream.body


def test_away_and_back_again_and_again(launch, own_redis):
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1") as stream:
        for round in range(3):
            redis.kill()
            stream.next_event(skip=())
            redis.start()
            redis.wait_subscribed("x:1")
        sluice.wait_status("redis", "up")
        redis.publish("x:1", "at last")
        while stream.next_message(10).data != "at last":
            pass
        assert 1 <= stream.body.count(b"stream-reset") <= 3


# What Redis is asked for


def test_last_subscriber_gone(launch, redis):
    """Nothing stays subscribed."""
    sluice = launch(ROUTES)
    before = redis.n_patterns()
    streams = [sluice.open(p) for p in ("/x/gone1", "/x/gone1", "/x/gone2", "/pattern")]
    assert redis.n_subscribers("x:gone1") == 1
    assert redis.n_patterns() == before + 1
    for stream in streams:
        stream.close()
    wait_for(lambda: not redis.channels() and redis.n_patterns() == before,
             lambda: f"no subscription; there are {redis.channels()}, {redis.n_patterns()} patterns", 10, every=0.1)
    assert_delivers(sluice, redis)


def test_one_subscription_for_many(launch, redis):
    sluice = launch(ROUTES)
    streams = [sluice.open("/x/many") for _ in range(20)]
    assert redis.n_subscribers("x:many") == 1
    for stream in streams:
        stream.close()


def test_page_reload_costs_no_subscription(launch, redis):
    """The feed outlives its last subscriber by some seconds."""
    sluice = launch(ROUTES)
    sluice.open("/x/reload").close()
    sluice.wait_subscribers(0)
    before = redis.client().info("commandstats").get("cmdstat_subscribe", {}).get("calls", 0)
    for _ in range(10):
        with sluice.open("/x/reload"):
            pass
    after = redis.client().info("commandstats")["cmdstat_subscribe"]["calls"]
    assert after - before < 10, "SUBSCRIBE each time"


def test_channel_that_the_acl_refuses(launch, own_redis):
    """Its own client waits or is told; nobody else is cut off."""
    redis = own_redis().start()
    redis.client().execute_command("ACL", "SETUSER", "app", "on", ">secret", "resetchannels", "&x:good*",
                                   "+@all")
    sluice = launch(ROUTES, redis, link={"url": f"redis://app:secret@127.0.0.1:{redis.port}"})
    with sluice.open("/x/good1") as good:
        with sluice.get("/x/bad") as bad:
            assert bad.status in (200, 403)
            for i in range(3):
                try:
                    good.quiet_for(0.3)
                except AssertionError as e:
                    pytest.fail(f"another's subscriber was disturbed: {e}")
                redis.publish("x:good1", str(i))
                assert good.next_message().data == str(i)


def test_false_redis(launch):
    """Something else answers on Redis's port: no harm, and no busy loop of connecting."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as liar:
        liar.settimeout(0.1)
        port = liar.getsockname()[1]
        sluice = launch(ROUTES, link={"url": f"redis://127.0.0.1:{port}"})
        answers = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR no\r\n", b"*1\r\n$1\r\nx\r\n", b"*0\r\n",
                   b"$9223372036854775807\r\n", b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", b"\xff" * 100, b":1\r\n",
                   b"*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n", b"*-1\r\n", b"+PONG\r\n"]
        n = 0
        until = time.monotonic() + 3
        while time.monotonic() < until:
            try:
                peer, _ = liar.accept()
            except (socket.timeout, Timeout):
                continue
            with peer:
                try:
                    peer.settimeout(0.2)
                    peer.recv(1000)
                    peer.sendall(answers[n % len(answers)])
                    peer.recv(1000)
                except OSError:
                    pass
            n += 1
        assert n < 60, f"{n} attempts in 3 s"
        with sluice.get("/x/1") as stream:
            assert stream.status == 200
        assert health(sluice) == 503
