"""What keeps serving while processes hang, die, are replaced or make room for a new program."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

import fcgi
from processes import Child, free_port, is_alive
from program import IS_INSTRUMENTED, IS_ROOT, IS_VALGRIND, ROOT
from waiting import SLOW, patient, soon, wait_for

ROUTES = {"x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "200ms"}}


def assert_delivers(sluice, redis, path="/x/1", channel="x:1"):
    with sluice.open(path) as stream:
        redis.publish(channel, "hello")
        assert stream.next_event().data == "hello"


class Successor:
    """The processes that a program has started in its place: ended by their pid."""

    def __init__(self, pid):
        self.pid = pid

    def end(self, number=signal.SIGTERM):
        os.kill(self.pid, number)
        wait_for(lambda: not is_alive(self.pid), "the successor has ended", 15)


# The path of the socket


@pytest.mark.parametrize("n", range(5))
def test_start_at_once_after_the_supervisor_was_killed(launch, redis, n):
    """Its workers die an instant later: that is no reason to refuse."""
    sluice = launch(ROUTES, server={"workers": 2})
    for i in range(4):
        sluice.child.send_signal(signal.SIGKILL)
        again = Child(f"again{i}", sluice.argv("serve", "-c", sluice.config), sluice.folder,
                      env=sluice.reports.environment())
        sluice.child.wait()
        again.wait_ready(lambda: "serves" in again.text(), 10)
        assert "already in use" not in again.text()
        sluice.child = again
        assert_delivers(sluice, redis)


def test_a_new_program_takes_the_path_of_one_that_drains(launch, redis):
    """A plain restart by TERM and start: at no moment there is nobody to connect to."""
    old = launch(ROUTES, server={"drain": "3s"})
    streams = [old.open(f"/x/{i}") for i in range(10)]
    old.child.send_signal(signal.SIGTERM)
    new = Child("new", old.argv("serve", "-c", old.config), old.folder, env=old.reports.environment())
    inode = os.stat(old.path).st_ino

    def taken():
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(old.path)  # raises if there were nobody
        return os.stat(old.path).st_ino != inode
    wait_for(taken, "the new socket has the old one's path")
    assert old.child.is_running()
    for stream in streams:
        stream.close()
    assert old.child.wait() == 0
    assert os.stat(old.path).st_ino != inode, "the old one leaves the new one's socket alone"
    old.child = new
    assert_delivers(old, redis)


def test_a_new_program_takes_the_address_of_one_that_drains(launch, redis):
    """So with TCP, where both have a socket of the address for a while: what comes is the new one's."""
    old = launch(ROUTES, start=False, server={"drain": "30s", "workers": 2})
    port = free_port()
    old.sections["server"]["listen"], old.address = f"127.0.0.1:{port}", ("127.0.0.1", port)
    old.write_config()
    old.start()
    streams = [old.open(f"/x/{i}") for i in range(10)]
    second = old.run("serve", "-c", old.config)
    assert second.returncode == 1 and "already in use" in second.err, "it serves, and does not drain"
    old.child.send_signal(signal.SIGTERM)
    new = Child("new", old.argv("serve", "-c", old.config), old.folder, env=old.reports.environment())
    new.wait_ready(lambda: "serves" in new.text(), 20)
    later = [old.open(f"/x/{i}") for i in range(40)]  # the old one would end it at once
    for stream in streams:
        stream.close()
    assert old.child.wait(20) == 0
    for i, stream in enumerate(later):
        redis.publish(f"x:{i}", "still here")
        assert stream.next_event().data == "still here"
        stream.close()
    old.child = new
    assert_delivers(old, redis)


def test_an_abstract_socket_is_refused(launch):
    sluice = launch(ROUTES, start=False, server={"listen": "unix:@sluice"})
    for args in (["check"], ["serve"]):
        result = sluice.run(*args, "-c", sluice.config)
        assert result.returncode == 1 and "unix:@" in result.err and "abstract" in result.err
    assert not os.path.exists("@sluice")


@pytest.mark.skipif(not IS_ROOT, reason="only root can become another")
def test_no_socket_is_left_where_privileges_cannot_be_dropped(launch):
    sluice = launch(ROUTES, start=False, server={"user": "nobody"})
    # Without the right to set ids, as in a container that has dropped it.
    result = subprocess.run(["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid", "--",
                             *sluice.argv("serve", "-c", sluice.config)], capture_output=True, text=True,
                            env=sluice.reports.environment(), timeout=patient(20))
    assert result.returncode == 1 and "cannot become" in result.stderr
    assert not os.path.exists(sluice.path)


# USR2


@pytest.fixture
def successors():
    started = []
    yield started
    for pid in started:
        if is_alive(pid):
            Successor(pid).end(signal.SIGKILL)


def upgrade(sluice, successors):
    """Send USR2; the pid of the new program, once the old one drains."""
    sluice.child.send_signal(signal.SIGUSR2)
    sluice.wait_log("this one drains", 15)
    pid = int(re.search(r"USR2: process (\d+) serves", sluice.log())[1])
    successors.append(pid)
    return pid


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_usr2_starts_the_program_anew(launch, redis, successors, kind):
    sluice = launch(ROUTES, start=False, server={"drain": "1s", "workers": 2})
    if kind == "tcp":
        port = free_port()
        sluice.sections["server"]["listen"] = f"127.0.0.1:{port}"
        sluice.address = ("127.0.0.1", port)
        sluice.write_config()
    sluice.start()
    streams = [sluice.open(f"/x/{i}") for i in range(6)]
    new = upgrade(sluice, successors)
    assert_delivers(sluice, redis, "/x/new", "x:new")
    for stream in streams:
        assert [e.type for e in stream.rest(10) if e.type != "keep-alive"] == ["stream-end"]
    assert sluice.child.wait() == 0
    assert_delivers(sluice, redis)
    assert is_alive(new)
    if kind == "unix":
        os.kill(new, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(sluice.path), "who has taken the path over removes it", 5)
    sluice.kill()
    sluice.reports.check()


def test_usr2_to_a_worker_is_answered_in_the_log(launch, redis):
    sluice = launch(ROUTES)
    worker = sluice.worker()
    os.kill(worker, signal.SIGUSR2)
    sluice.wait_log("USR2: a worker does not follow it", 20)
    assert_delivers(sluice, redis)
    assert sluice.workers() == [worker] and "is to take over" not in sluice.log()


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
def test_usr2_again_and_again(launch, redis, successors):
    """A successor has successors."""
    sluice = launch(ROUTES)
    pid = upgrade(sluice, successors)
    for _ in range(3):
        wait_for(lambda: not is_alive(sluice.child.pid), "the first has ended", 5)
        os.kill(pid, signal.SIGUSR2)
        before = pid
        wait_for(lambda: int(re.findall(r"USR2: process (\d+) serves", sluice.log())[-1]) != before, "the next serves", 15)
        pid = int(re.findall(r"USR2: process (\d+) serves", sluice.log())[-1])
        successors.append(pid)
        wait_for(lambda: not is_alive(before), "the one before has ended", 10)
        assert_delivers(sluice, redis)
    sluice.kill()


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
def test_usr2_with_a_program_that_does_not_come_up(launch, redis):
    sluice = launch(ROUTES)
    good = sluice.config.read_text()
    with sluice.open("/x/1") as stream:
        sluice.write_config(good + "[route x]\nbroken\n")
        sluice.child.send_signal(signal.SIGUSR2)
        sluice.wait_log("this one goes on", 15)
        redis.publish("x:1", "undisturbed")
        assert stream.next_event().data == "undisturbed"
        assert_delivers(sluice, redis)
        sluice.write_config(good)


def test_usr2_is_refused_where_a_web_server_started_it(launch, redis, folder):
    path = str(folder / "given.sock")
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(path)
        given.listen(1024)
        sluice = launch(ROUTES, start=False)
        del sluice.sections["server"]["listen"]
        sluice.write_config()
        sluice.address = path
        sluice.start(stdin=given)
        sluice.wait_log("serves")
        sluice.child.send_signal(signal.SIGUSR2)
        sluice.wait_log("a web server has started this one")
        assert_delivers(sluice, redis)


# The service manager


@pytest.fixture
def manager(folder):
    """What a service manager hears."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(folder / "notify"))
        s.settimeout(patient(10))
        yield s


def heard(manager):
    return manager.recv(1024).decode().split("\n")


def test_a_service_manager_is_told(launch, redis, manager, folder):
    sluice = launch(ROUTES, start=False)
    sluice.start(env={**sluice.reports.environment(), "NOTIFY_SOCKET": str(folder / "notify")})
    assert heard(manager) == ["READY=1"]
    assert_delivers(sluice, redis)
    sluice.child.send_signal(signal.SIGHUP)
    reloading = heard(manager)
    assert reloading[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", reloading[1])
    assert heard(manager) == ["READY=1"]
    sluice.stop()
    assert heard(manager) == ["STOPPING=1"]


def test_a_service_manager_is_told_that_all_workers_turn(launch, manager, folder):
    """WatchdogSec= is fed while every worker turns, and not while one hangs."""
    sluice = launch(ROUTES, start=False, server={"watchdog": "0"})
    sluice.start(env={**sluice.reports.environment(), "NOTIFY_SOCKET": str(folder / "notify"),
                      "WATCHDOG_USEC": "900000"})
    assert heard(manager) == ["READY=1"]
    for _ in range(3):
        assert heard(manager) == ["WATCHDOG=1"]
    worker = sluice.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        manager.settimeout(2 * SLOW)
        with pytest.raises(TimeoutError):
            while True:
                heard(manager)
    finally:
        os.kill(worker, signal.SIGCONT)
    manager.settimeout(patient(10))
    assert heard(manager) == ["WATCHDOG=1"]


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
def test_a_service_manager_is_told_of_the_new_program(launch, manager, folder, successors):
    sluice = launch(ROUTES, start=False)
    sluice.start(env={**sluice.reports.environment(), "NOTIFY_SOCKET": str(folder / "notify")})
    assert heard(manager) == ["READY=1"]
    new = upgrade(sluice, successors)
    told = [heard(manager), heard(manager)]
    assert [f"MAINPID={new}", "READY=1"] in told
    assert sluice.child.wait() == 0
    os.kill(new, signal.SIGTERM)
    assert heard(manager) == ["STOPPING=1"]
    sluice.kill()


# Workers that hang or die


def test_a_worker_that_hangs_is_replaced(launch, redis):
    sluice = launch(ROUTES, server={"watchdog": "1s", "workers": 2})
    wait_for(lambda: len(sluice.workers()) == 2, "two workers")
    victim, other = sluice.workers()
    os.kill(victim, signal.SIGSTOP)
    begin = time.monotonic()
    wait_for(lambda: not is_alive(victim), "it is ended", 8)
    assert time.monotonic() - begin >= 1, "not before its time"
    wait_for(lambda: len(sluice.workers()) == 2, "another is there")
    assert is_alive(other)
    assert "has not turned" in sluice.log()
    assert_delivers(sluice, redis)


def test_a_worker_that_hangs_by_itself_leaves_a_core(launch, redis):
    """SIGABRT comes first, so that a core says where it hung."""
    sluice = launch(ROUTES, server={"watchdog": "1s"})
    worker = sluice.worker()
    os.kill(worker, signal.SIGSTOP)
    sluice.wait_log("has not turned", 8)
    os.kill(worker, signal.SIGCONT)
    sluice.wait_log(f"worker {worker} was killed by signal 6")
    wait_for(lambda: sluice.workers() not in ([], [worker]), "another is there", 8)
    assert_delivers(sluice, redis)


def test_a_pause_of_the_whole_machine_replaces_nobody(launch, redis):
    """Stopped together, as by a suspended machine: what the supervisor has missed does not count."""
    sluice = launch(ROUTES, server={"watchdog": "1s", "workers": 2})
    workers = wait_for(lambda: len(sluice.workers()) == 2 and sluice.workers(), "two workers")
    pids = [sluice.child.pid, *workers]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    subprocess.run(["sleep", "3"], check=True)  # the pause itself
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert_delivers(sluice, redis)
    sluice.child.send_signal(signal.SIGHUP)  # a marker: it has looked at its workers since
    sluice.wait_log("reloaded")
    assert sorted(sluice.workers()) == sorted(workers)
    assert "has not turned" not in sluice.log()


def test_workers_that_die_again_and_again_are_told(launch, redis):
    sluice = launch(ROUTES)
    for _ in range(3):
        worker = wait_for(lambda: [w for w in sluice.workers() if is_alive(w)], "a worker", 10)[0]
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not is_alive(worker), "it is dead")
    sluice.wait_log("has died 3 times in a row", 10)
    wait_for(lambda: sluice.workers(), "another worker", 10)
    assert_delivers(sluice, redis)


# Who accepts


def accepted(sluice):
    """How many connections each worker has open."""
    return [sum(is_socket(f"/proc/{w}/fd/{fd}") for fd in os.listdir(f"/proc/{w}/fd")) for w in sluice.workers()]


def is_socket(descriptor):
    with contextlib.suppress(FileNotFoundError):  # it was closed since it was listed
        return os.readlink(descriptor).startswith("socket:")
    return False


def test_long_connections_are_spread_evenly(launch):
    sluice = launch(ROUTES, server={"workers": 2})
    wait_for(lambda: len(sluice.workers()) == 2, "two workers")
    before = dict(zip(sluice.workers(), accepted(sluice)))
    connections = [sluice.connect() for _ in range(1000)]
    try:
        counts = wait_for(lambda: (lambda now: sum(now) >= 1000 and now)(
            [n - before[w] for w, n in zip(sluice.workers(), accepted(sluice))]), "all are accepted", 20)
        assert max(counts) <= 1.2 * min(counts), counts
    finally:
        for c in connections:
            c.close()


def test_quick_connections_are_spread_evenly(launch):
    """One after the other: the worker that goes to sleep last would wake first, each time."""
    sluice = launch(ROUTES, server={"workers": 2})
    wait_for(lambda: len(sluice.workers()) == 2, "two workers")
    before = [wake_ups(w) for w in sluice.workers()]
    for _ in range(300):
        sluice.get("/status").close()
    used = [wake_ups(w) - n for w, n in zip(sluice.workers(), before)]
    assert min(used) > 0.6 * max(used), used


def wake_ups(pid):
    """How often the process has given the processor away by itself."""
    text = open(f"/proc/{pid}/status").read()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])


def test_a_hung_worker_holds_no_connection_up(launch):
    """The other is ahead soon, and still takes what comes."""
    sluice = launch(ROUTES, server={"workers": 2, "watchdog": "0"})
    victim, _ = wait_for(lambda: len(sluice.workers()) == 2 and sluice.workers(), "two workers")
    sluice.get("/x/1").close()
    os.kill(victim, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        for i in range(200):
            with sluice.get(f"/x/{i}") as response:
                assert response.status == 200
        assert soon(begin, 4)
    finally:
        os.kill(victim, signal.SIGCONT)


def test_descriptors_are_kept_back_for_the_links(launch, own_redis):
    """Clients that take each descriptor which becomes free do not keep it from coming back to Redis."""
    redis = own_redis().start()
    sluice = launch(ROUTES, redis, start=False, server={"max_subscribers": 0})
    sluice.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    first = sluice.open("/x/1")
    clients = [sluice.connect() for _ in range(100)]
    try:
        sluice.wait_log("cannot accept")
        redis.end()
        assert first.next_event(5, skip=()).type == "keep-alive"
        redis.start()
        wait_for(lambda: redis.n_subscribers("x:1") == 1, "the link is back", 10)
        redis.publish("x:1", "back")
        wait_for(lambda: first.next_event(5).data == "back", "the message")
    finally:
        for c in clients:
            c.close()
    first.close()


# Memory


def test_beyond_max_memory_the_slowest_are_ended_first(launch, redis):
    """Who reads notices nothing; who does not is told "slow"; a new one is told so too, and comes back."""
    sluice = launch({"m": {"path": "/m/{id}", "channels": "mm:{id}", "queue": "64m", "retry": "1s"}},
                    server={"max_memory": "32m"}, start=False)
    sluice.binary = str(ROOT / "build" / "sluice")  # instrumented memory is no measure
    sluice.start()
    quick = sluice.open("/m/quick")
    slow = [sluice.open(f"/m/{i}", receive_buffer=4096) for i in range(2)]
    refused = []

    def is_over():
        for i in range(2):
            redis.publish(f"mm:{i}", "x" * 1_000_000)
        with sluice.get("/m/new") as response:
            event = response.next_event(5)
            if event.type == "stream-end":
                assert json.loads(event.data) == {"reason": "slow"} and 800 <= response.parser.retry <= 1200
                refused.append(event)
        return "max_memory" in sluice.log()
    wait_for(is_over, "it has more than it may", 30)
    wait_for(lambda: sluice.status()["slow"] >= 1, "a slow one is ended")
    redis.publish("mm:quick", "still here")
    assert quick.next_event(5).data == "still here"

    def has_room():
        with sluice.get("/m/new") as response:
            return response.next_event(5).type == "stream-open"
    wait_for(has_room, "there is room again", 15)
    ended = 0
    for i, stream in enumerate(slow):
        redis.publish(f"mm:{i}", "marker")
        while (event := stream.next_event(20)).data != "marker" and event.type != "stream-end":
            pass
        ended += event.type == "stream-end"
    assert ended >= 1, "as many as needed, no more"


def test_beyond_max_memory_answers_that_nobody_reads_are_cut_off(launch, redis):
    sluice = launch({"w": {"path": "/w", "handler": "wait", "channels": "mw", "timeout": "20s"}, "m": {"path": "/m", "channels": "mm"}},
                    server={"max_memory": "32m", "workers": 1}, start=False)
    sluice.binary = str(ROOT / "build" / "sluice")  # instrumented memory is no measure
    sluice.start()
    waiting = [sluice.connect() for _ in range(20)]
    for one in waiting:
        one.send(fcgi.request("/w"))
    redis.wait_subscribed("mw")
    wait_for(lambda: sluice.status()["connections"] >= 20, "all wait")
    redis.publish("mw", "x" * 5_000_000)

    def has_room():
        with sluice.get("/m") as response:
            return response.next_event(5).type == "stream-open"
    wait_for(lambda: re.search(r"more than max_memory: the [1-9]\d* slowest", sluice.log()), "they are cut off", 20)
    wait_for(has_room, "there is room again", 5)
    for one in waiting:
        one.close()


def test_a_new_stream_beyond_max_memory(launch, redis):
    """With sanitizers the least is too little from the start: nobody is told an error."""
    sluice = launch({"m": {"path": "/m", "channels": "m", "retry": "1s"}}, server={"max_memory": "16m"})
    if IS_INSTRUMENTED:
        def told():
            with sluice.get("/m") as response:
                assert response.status == 200
                event = response.next_event(5)
                return event.type == "stream-end" and json.loads(event.data) == {"reason": "slow"}
        wait_for(told, "there is no room", 5)
    else:
        with sluice.open("/m") as stream:
            redis.publish("m", "fits")
            assert stream.next_event().data == "fits"
