"""sentinel_master: the primary is who the sentinels name, and a fail-over is followed."""

import os
import signal
import time
from pathlib import Path

import pytest
import redis as redis_py

from redis_sentinel import House, SentinelServer
from waiting import soon, wait_for

ACL = Path(__file__).parents[2] / "conf/redis-sentinel.acl"
ROUTES = {
    "x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "300ms", "open_wait": "500ms"},
    "s": {"path": "/s/{id}", "streams": "s:{id}", "open_wait": "500ms", "start": "0"},
    "health": {"path": "/health", "handler": "health"},
}
BACK_S = 5  # after the promotion


@pytest.fixture
def house(folder, own_redis):
    house = House(folder, own_redis)
    yield house
    house.end()


def health(sluice):
    with sluice.get("/health") as response:
        return response.status


def links(server):
    return sum(c["name"] == "sluice" for c in server.client().client_list())


def kill(house, old):
    old.kill()


def stop(house, old):
    old.child.send_signal(signal.SIGSTOP)


def command(house, old):
    def accepted():
        try:
            return house.sentinels[1].client().execute_command("SENTINEL", "FAILOVER", "main")
        except redis_py.ResponseError:  # the one before is not over yet
            return False
    wait_for(accepted, "a sentinel takes the command", 30)


def undo(how, old):
    if how is kill:
        old.start()
    if how is stop:
        old.child.send_signal(signal.SIGCONT)


def follows(old, new):
    """Sentinels make it a replica, too, but when they please; and whoever changes its role loses its connections."""
    try:
        if old.client().role()[0] == b"slave":
            return True
        old.client().replicaof("127.0.0.1", str(new.port))
    except redis_py.RedisError:
        pass
    return False


# Twice each with SENTINEL_LONG, as it is measured before a release; a fail-over takes seconds.
WAYS = [kill, stop, command] * 2 if os.environ.get("SENTINEL_LONG") else [kill, command]


def test_fail_overs(launch, house):
    """Streams lose nothing that the new primary holds, channels are told, no link stays behind."""
    sluice = launch(ROUTES, house.servers[0], link=house.link)
    written, seen = [], []
    with sluice.open("/x/1") as live, sluice.open("/s/1") as entries:
        for n, how in enumerate(WAYS):
            # A machine under load may have seen one more fail-over, of the sentinels' own accord.
            old = wait_for(house.agreed, lambda: f"{n}: all is well: {house.state()}", 30)
            for i in range(10):
                written.append(f"{n}.{i}")
                old.client().xadd("s:1", {"data": written[-1]})
            assert old.client().wait(2, 5000) == 2
            how(house, old)
            new = house.failed_over(old)
            began = time.monotonic()
            wait_for(lambda: new.n_subscribers("x:1") == 1, lambda: f"{n}: subscribed at the new primary, {new.port}: {sluice.log()[-3000:]}", 20)
            assert soon(began, BACK_S), how.__name__
            assert live.next_of("stream-reset", 10).data == '{"reason":"redis"}'
            new.publish("x:1", how.__name__)
            assert live.next_message().data == how.__name__
            written.append(f"{n}.after")
            new.client().xadd("s:1", {"data": written[-1]})
            while not seen or seen[-1] != written[-1]:
                seen.append(entries.next_of("message", 10).data)
            undo(how, old)
            wait_for(lambda: follows(old, new), f"{how.__name__}: the old one follows", 30)
            wait_for(lambda: links(old) == 0 and links(new) >= 3, "no link is left behind", 10)
    assert seen == written
    assert sluice.status()["redis_failovers"] >= len(WAYS)


def test_sentinels_that_are_away(launch, house):
    """One of three is enough to begin; while none answers, the links that are up stay."""
    house.sentinels[0].end()
    house.sentinels[1].end()
    sluice = launch(ROUTES, house.servers[0], link=house.link)
    with sluice.open("/x/1") as stream:
        house.sentinels[2].end()
        wait_for(lambda: sluice.status()["sentinel_links"] == 0, "no sentinel", 10)
        house.servers[0].publish("x:1", "still here")
        assert stream.next_event().data == "still here"


def test_a_sentinel_that_lies(launch, house, own_redis):
    """One of three that names another server, even a primary, moves nobody."""
    other = own_redis("other").start()
    liar = house.sentinels[0].client()
    liar.execute_command("SENTINEL", "REMOVE", "main")
    liar.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", other.port, 1)
    sluice = launch(ROUTES, house.servers[0], link=house.link)
    wait_for(lambda: links(house.servers[0]) >= 2 and links(other) == 0, "all are where most say", 10)
    done = sluice.run("check", "-c", sluice.config, "--connect")
    assert f"names    127.0.0.1:{other.port}" in done.out and "the sentinels do not agree" in done.out
    with sluice.open("/x/1") as stream:
        house.servers[0].publish("x:1", "right")
        assert stream.next_event().data == "right"


def test_an_unknown_name(launch, house):
    sluice = launch(ROUTES, house.servers[0], link={**house.link, "sentinel_master": "nobody"})
    sluice.wait_log("it names no primary for sentinel_master nobody")
    assert health(sluice) == 503
    done = sluice.run("emit", "-c", sluice.config, "x:1", "1")
    assert done.returncode == 1 and "names no primary" in done.err


def test_emit(launch, house):
    sluice = launch(ROUTES, house.servers[0], link=house.link)
    with sluice.open("/x/1") as stream:
        assert sluice.run("emit", "-c", sluice.config, "x:1", '{"a":1}').returncode == 0
        assert stream.next_event().data == '{"a":1}'


def test_a_reload_that_names_sentinels(launch, house):
    """From a server of its own to sentinels and back, without a restart."""
    sluice = launch(ROUTES, house.servers[0])
    with sluice.open("/x/1") as stream:
        for link in (house.link, {"url": house.servers[0].url}):
            sluice.sections["redis"] = link
            sluice.write_config()
            os.kill(sluice.child.pid, signal.SIGHUP)
            assert stream.next_of("stream-reset", 10)
            house.servers[0].publish("x:1", "on")
            assert stream.next_message().data == "on"


def test_passwords(launch, own_redis, folder):
    primary = own_redis("p", ["--requirepass", "server-secret"]).start()
    sentinel = SentinelServer(folder, 9, primary, quorum=1, password="sentinel-secret")
    with open(sentinel.config, "a") as f:
        f.write("sentinel auth-pass main server-secret\nrequirepass sentinel-secret\n")
    sentinel.start()
    try:
        (folder / "password").write_text("sentinel-secret\n")
        (folder / "password").chmod(0o600)
        sluice = launch(ROUTES, primary, link={"url": f"redis://:server-secret@127.0.0.1:{sentinel.port}",
                                               "sentinel_master": "main", "sentinel_password_file": folder / "password"})
        with sluice.open("/x/1") as stream:
            primary.client(password="server-secret").publish("x:1", "in")
            assert stream.next_event().data == "in"
    finally:
        sentinel.end()


def test_check(launch, redis, folder):
    sluice = launch(ROUTES, start=False)
    (folder / "secret").write_text("x")
    for link, want in (
            ({"url": "unix:///run/redis.sock", "sentinel_master": "main"}, "[redis] url: sentinels are reached by"),
            ({"sentinel_password_file": folder / "secret"}, "there is no sentinel_master")):
        sluice.sections["redis"] = link
        sluice.write_config()
        done = sluice.run("check", "-c", sluice.config)
        assert done.returncode == 1 and want in done.err + done.out, (done.err, done.out)


def test_the_rights_of_the_acl(launch, own_redis, folder):
    """conf/redis-sentinel.acl is enough at a sentinel."""
    primary = own_redis("alone").start()
    sentinel = SentinelServer(folder, 9, primary, quorum=1).start()
    try:
        line = next(line for line in ACL.read_text().splitlines() if line.startswith("user "))
        sentinel.client().execute_command("ACL SETUSER", "admin", "on", "nopass", "~*", "&*", "+@all")
        sentinel.client().execute_command("ACL SETUSER", "default", "reset", *line.replace("CHANGE-ME", "pass").split()[2:])
        (folder / "sentinel.password").write_text("pass\n")
        sluice = launch(ROUTES, primary, link={"url": sentinel.url, "sentinel_master": "main",
                                               "sentinel_password_file": folder / "sentinel.password"})
        with sluice.open("/x/1") as stream:
            primary.wait_subscribed("x:1", 1, 20)
            primary.publish("x:1", "1")
            assert stream.next_message(20).data == "1"
        sluice.wait_status("sentinel_links", 2, 20)  # one asks, one listens
        assert "NOPERM" not in sluice.log()
    finally:
        sentinel.end()
