"""Start, sockets, signals, workers: what an operator or a service manager does to Sluice."""

import grp
import json
import os
import pwd
import re
import signal
import socket
import stat
import threading
import time

import pytest

import fcgi
from processes import children_of, free_port, is_alive, n_descriptors
from program import IS_ROOT
from waiting import bound, soon, wait_for

ROUTES = {"x": {"path": "/x/{id}", "channels": "x:{id}", "heartbeat": "200ms"}}
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files and processes away")


def reason_of(event):
    assert event.type == "stream-end", event
    return json.loads(event.data)["reason"]


def assert_delivers(sluice, redis, path="/x/1", channel="x:1"):
    with sluice.open(path) as stream:
        redis.publish(channel, "hello")
        assert stream.next_event().data == "hello"


# Sockets


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_tcp(launch, redis, host):
    port = free_port()
    sluice = launch(ROUTES, start=False, server={"listen": f"{host}:{port}"})
    sluice.address = ("::1" if host == "[::1]" else "127.0.0.1", port)
    sluice.start()
    assert_delivers(sluice, redis)


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
@pytest.mark.parametrize("umask", [0, 0o077])
def test_socket_mode(launch, redis, mode, umask):
    sluice = launch(ROUTES, start=False, server={"socket_mode": mode})
    sluice.start(umask=umask)
    assert stat.S_IMODE(os.stat(sluice.path).st_mode) == int(mode, 8)
    assert_delivers(sluice, redis)


def test_socket_mode_by_default(launch):
    assert stat.S_IMODE(os.stat(launch(ROUTES).path).st_mode) == 0o660


@needs_root
def test_socket_owner(launch, redis):
    sluice = launch(ROUTES, server={"socket_user": "daemon", "socket_group": "www-data"})
    st = os.stat(sluice.path)
    assert (pwd.getpwuid(st.st_uid).pw_name, grp.getgrgid(st.st_gid).gr_name) == ("daemon", "www-data")
    assert_delivers(sluice, redis)


@needs_root
def test_user_and_group(launch, redis):
    sluice = launch(ROUTES, server={"user": "nobody", "group": "nogroup"})
    assert_delivers(sluice, redis)
    status = open(f"/proc/{sluice.worker()}/status").read()
    uid, gid = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
    assert re.search(r"^Uid:(.*)$", status, re.M)[1].split() == [str(uid)] * 4
    assert re.search(r"^Gid:(.*)$", status, re.M)[1].split() == [str(gid)] * 4
    groups = re.search(r"^Groups:(.*)$", status, re.M)[1].split()
    assert groups in ([], [str(gid)])


def test_stale_socket_is_replaced(launch, redis):
    sluice = launch(ROUTES, start=False)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(sluice.path)
    sluice.start()
    assert_delivers(sluice, redis)


def test_live_socket_is_refused(launch, redis):
    first = launch(ROUTES)
    with first.open("/x/1") as stream:
        result = first.run("serve", "-c", first.config)
        assert result.returncode == 1
        assert first.path in result.err and "Traceback" not in result.err
        redis.publish("x:1", "undisturbed")
        assert stream.next_event().data == "undisturbed"
        assert_delivers(first, redis)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_path_that_is_no_socket(launch, kind):
    sluice = launch(ROUTES, start=False)
    if kind == "file":
        open(sluice.path, "w").write("precious")
    else:
        os.mkdir(sluice.path)
    result = sluice.run("serve", "-c", sluice.config)
    assert result.returncode == 1 and sluice.path in result.err
    assert os.path.exists(sluice.path)
    if kind == "file":
        assert open(sluice.path).read() == "precious"


def test_port_in_use(launch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sluice = launch(ROUTES, start=False, server={"listen": f"127.0.0.1:{port}"})
        result = sluice.run("serve", "-c", sluice.config)
        assert result.returncode == 1 and str(port) in result.err


def test_socket_is_removed_at_the_end(launch):
    sluice = launch(ROUTES)
    sluice.stop()
    assert not os.path.exists(sluice.path)


def test_listen_on_the_command_line(launch, redis, folder):
    sluice = launch(ROUTES, start=False)
    sluice.address = str(folder / "other.sock")
    sluice.start(sluice.argv("serve", "-c", sluice.config, "-l", f"unix:{sluice.address}", "-w", "1"))
    assert_delivers(sluice, redis)
    assert not os.path.exists(sluice.path)


def test_configuration_from_the_environment(launch, redis):
    sluice = launch(ROUTES, start=False)
    env = {**sluice.reports.environment(), "SLUICE_CONFIG": str(sluice.config)}
    sluice.start(sluice.argv(), env=env)
    assert_delivers(sluice, redis)


def test_override_from_the_environment(launch, redis, folder):
    sluice = launch(ROUTES, start=False)
    sluice.address = str(folder / "env.sock")
    env = {**sluice.reports.environment(), "SLUICE_SERVER_LISTEN": f"unix:{sluice.address}",
           "SLUICE_REDIS_PREFIX": "env:"}
    sluice.start(env=env)
    with sluice.open("/x/1") as stream:
        redis.publish("env:x:1", "hello")
        assert stream.next_event().data == "hello"


# Inherited sockets


@pytest.fixture
def inherited(folder):
    """A listening socket that somebody else has made."""
    path = str(folder / "given.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        os.chmod(path, 0o666)
        s.listen(1024)
        yield s, path


def without_address(launch, path):
    sluice = launch(ROUTES, start=False)
    del sluice.sections["server"]["listen"]
    sluice.write_config()
    sluice.address = path
    return sluice


@pytest.mark.parametrize("args", [[], ["-l", "inherit"]])
def test_descriptor_zero(launch, redis, inherited, args):
    """As spawn-fcgi and mod_fcgid do it."""
    given, path = inherited
    sluice = without_address(launch, path)
    sluice.start(sluice.argv("serve", "-c", sluice.config, *args), stdin=given)
    assert_delivers(sluice, redis)
    sluice.stop()
    assert os.path.exists(path), "who made it removes it"


def test_descriptor_zero_outlives_us(launch, redis, inherited):
    """A socket that outlives the program is the way to restart without a 5xx: requests wait in it."""
    given, path = inherited
    sluice = without_address(launch, path)
    sluice.start(stdin=given)
    assert_delivers(sluice, redis)
    sluice.stop()
    result = []
    thread = threading.Thread(target=lambda: result.append(sluice.get("/x/1", timeout=20).status))
    thread.start()
    sluice.start(stdin=given)
    thread.join(60)
    assert result == [200]


def test_spawn_fcgi(launch, redis, folder):
    path = str(folder / "spawned.sock")
    sluice = without_address(launch, path)
    sluice.start(["spawn-fcgi", "-n", "-s", path, "-M", "0666", "--", *sluice.argv("serve", "-c", sluice.config)])
    assert_delivers(sluice, redis)


def test_listen_fds(launch, redis, inherited):
    """As systemd does it."""
    given, path = inherited
    sluice = without_address(launch, path)
    command = f'exec 3<&{given.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    sluice.start(["bash", "-c", command, "bash", *sluice.argv("serve", "-c", sluice.config)], pass_fds=[given.fileno()])
    assert_delivers(sluice, redis)


def test_listen_fds_for_another_process(launch, redis, inherited):
    """A LISTEN_PID that is not ours is left over from a parent: not for us."""
    given, path = inherited
    sluice = without_address(launch, path)
    command = f'exec 3<&{given.fileno()}; LISTEN_FDS=1 LISTEN_PID=1 exec "$@"'
    sluice.start(["bash", "-c", command, "bash", *sluice.argv("serve", "-c", sluice.config)], wait=False,
                 pass_fds=[given.fileno()])
    assert sluice.child.wait() != 0
    sluice.kill()


def test_closed_standard_descriptors(launch, redis):
    """No socket may take their place and be written to as a log."""
    sluice = launch(ROUTES, start=False)
    sluice.start(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *sluice.argv("serve", "-c", sluice.config)])
    assert_delivers(sluice, redis)
    for pid in (sluice.child.pid, sluice.worker()):
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"


# The end: TERM, INT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain(launch, number):
    """Every subscriber is told; they are spread over the time; new ones are not let in; exit 0."""
    sluice = launch(ROUTES, server={"drain": "1s"})
    streams = [sluice.open(f"/x/{i}") for i in range(20)]
    ends, errors = [], []
    start = time.monotonic()

    def read(stream):
        try:
            events = [e for e in stream.rest(10) if e.type != "keep-alive"]
            ends.append(time.monotonic() - start)
            assert [reason_of(e) for e in events] == ["drain"]
            assert stream.protocol_status == 0
        except BaseException as e:
            errors.append(e)
    threads = [threading.Thread(target=read, args=(s,)) for s in streams]
    for t in threads:
        t.start()
    sluice.child.send_signal(number)
    assert sluice.child.wait(5) == 0
    took, may_take = time.monotonic() - start, bound(2, start)
    for t in threads:
        t.join()
    assert not errors, errors[0]
    assert took < may_take
    ends.sort()
    assert ends[-1] - ends[0] > 0.3, f"all at once: {ends}"
    assert not os.path.exists(sluice.path)
    sluice.kill()
    sluice.reports.check()


@pytest.mark.parametrize("held", [False, True])
def test_requests_while_it_drains(launch, redis, inherited, held):
    """A stream is told when to come back, what can be served is, and health says so."""
    routes = {**ROUTES, "w": {"path": "/w", "handler": "wait", "channels": "w", "timeout": "30s"},
              "p": {"path": "/p", "channels": "p", "publish": "p", "publish_auth": "none"},
              "health": {"path": "/health", "handler": "health"}}
    sluice = launch(routes, start=False, server={"drain": "4s"})
    if held:
        del sluice.sections["server"]["listen"]
        sluice.write_config()
        sluice.address = inherited[1]
        sluice.start(stdin=inherited[0])
    else:
        sluice.start()
    wait_for(lambda: sluice.get("/health").json() == {"status": "ok", "why": [], "redis": "up"}, "it has Redis")
    streams = [sluice.open(f"/x/{i}") for i in range(20)]
    waits = [sluice.connect() for _ in range(2)]
    for wait in waits:
        wait.send(fcgi.request("/w"))
    wait_for(lambda: redis.n_subscribers("w") == 1, "they wait")
    start = time.monotonic()
    sluice.child.send_signal(signal.SIGTERM)
    wait_for(lambda: sluice.get("/health").status == 503, "it drains")
    with sluice.get("/health") as response:
        assert response.json()["status"] == "draining"
    retries = set()
    for _ in range(20):
        with sluice.get("/x/1") as response:
            assert response.status == 200
            events = response.rest()
            assert [reason_of(e) for e in events] == ["drain"]
            rest = 4000 - (time.monotonic() - start) * 1000
            assert rest - 100 <= response.parser.retry <= 8100
            retries.add(response.parser.retry)
    assert len(retries) > 15, "spread"
    with sluice.get("/p", method="POST", body=b"1", CONTENT_TYPE="application/json") as response:
        assert response.status == 202
    redis.publish("w", "1")
    for wait in waits[:1]:
        assert fcgi.Response(wait).status == 200
    with sluice.get("/w", timeout=10) as response:
        assert response.status == 504, "told at the drain's end, not cut off"
    assert sluice.child.wait(10) == 0
    for stream in streams:
        assert [reason_of(e) for e in stream.rest() if e.type != "keep-alive"] == ["drain"]
        assert stream.parser.retry > 4000 / 10, "after this program has gone"
    for wait in waits:
        wait.close()
    sluice.kill()


def test_end_without_subscribers_is_quick(launch):
    sluice = launch(ROUTES, server={"drain": "10s"})
    start = time.monotonic()
    sluice.stop()
    assert soon(start, 1)


def test_second_signal_ends_at_once(launch):
    sluice = launch(ROUTES, server={"drain": "30s"})
    streams = [sluice.open(f"/x/{i}") for i in range(20)]
    workers = sluice.workers()
    sluice.child.send_signal(signal.SIGTERM)
    wait_for(lambda: any(s.has_ended(0.05) for s in streams), "it drains: the first stream has ended", 10)
    time_of_second = time.monotonic()
    sluice.child.send_signal(signal.SIGTERM)
    sluice.child.wait(2)
    assert soon(time_of_second, 1)
    wait_for(lambda: not any(is_alive(w) for w in workers), "no worker is left", 1)
    sluice.kill()
    for stream in streams:
        stream.close()


def test_end_while_redis_is_absent(launch, own_redis):
    sluice = launch(ROUTES, own_redis())
    with sluice.get("/x/1") as stream:
        start = time.monotonic()
        sluice.stop()
        assert soon(start, 2)
        assert reason_of([e for e in stream.rest() if e.type != "keep-alive"][-1]) == "drain"


def test_end_while_redis_hangs(launch, own_redis):
    redis = own_redis().start()
    sluice = launch(ROUTES, redis)
    with sluice.open("/x/1"):
        redis.child.send_signal(signal.SIGSTOP)
        try:
            start = time.monotonic()
            sluice.stop()
            assert soon(start, 2)
        finally:
            redis.child.send_signal(signal.SIGCONT)


# Workers


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_worker_is_replaced(launch, redis, number):
    sluice = launch(ROUTES)
    with sluice.open("/x/1") as stream:
        worker = sluice.worker()
        os.kill(worker, number)
        start = time.monotonic()
        wait_for(lambda: sluice.workers() not in ([], [worker]), "another worker", 2)
        with sluice.open("/x/2"):
            assert soon(start, 1)
        stream.connection.is_closed(1)
    assert_delivers(sluice, redis)


def test_worker_that_dies_again_and_again(launch, redis):
    sluice = launch(ROUTES)
    for _ in range(4):
        worker = sluice.worker()
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: sluice.workers() not in ([], [worker]), "another worker", 10)
    assert_delivers(sluice, redis)


def test_only_the_subscribers_of_a_dead_worker_notice(launch, redis):
    sluice = launch(ROUTES, server={"workers": 2})
    wait_for(lambda: len(sluice.workers()) == 2, "two workers")
    streams = [sluice.open("/x/1") for _ in range(40)]
    victim, other = sluice.workers()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: not is_alive(victim), "it is dead")
    redis.publish("x:1", "hello")
    alive = 0
    for stream in streams:
        try:
            assert stream.next_event(2).data == "hello"
            alive += 1
        except AssertionError:
            pass
        stream.close()
    assert is_alive(other)
    assert redis.n_subscribers("x:1") >= (1 if alive else 0)


def test_workers_share_the_socket(launch, redis):
    sluice = launch(ROUTES, server={"workers": 2})
    wait_for(lambda: len(sluice.workers()) == 2, "two workers")
    for i in range(50):
        with sluice.open(f"/x/{i}") as stream:
            redis.publish(f"x:{i}", "x")
            assert stream.next_event().data == "x"


def test_workers_auto(launch):
    sluice = launch(ROUTES, server={"workers": "auto"})
    wait_for(lambda: len(sluice.workers()) == len(os.sched_getaffinity(0)), "a worker for each core")


def test_killed_supervisor_leaves_no_worker(launch):
    sluice = launch(ROUTES, server={"workers": 2})
    workers = wait_for(lambda: len(sluice.workers()) == 2 and sluice.workers(), "two workers")
    sluice.child.send_signal(signal.SIGKILL)
    sluice.child.wait()
    wait_for(lambda: not any(is_alive(w) for w in workers), "no worker is left", 3)
    sluice.kill()
    again = launch(ROUTES)
    assert again.get("/x/1").status == 200, "and its socket is replaced"


def test_program_needs_no_terminal_and_no_shell(launch):
    """Nothing but the workers is started."""
    sluice = launch(ROUTES)
    worker = sluice.worker()
    assert os.path.realpath(f"/proc/{worker}/exe") == os.path.realpath(f"/proc/{sluice.child.pid}/exe")
    assert children_of(worker) == []


def test_descriptors_are_raised(launch):
    sluice = launch(ROUTES)
    limits = open(f"/proc/{sluice.worker()}/limits").read()
    soft, hard = re.search(r"Max open files\s+(\d+)\s+(\d+)", limits).groups()
    assert soft == hard


# HUP


def test_reload(launch, redis):
    """A new route is served, a route that is gone is not, and a change of one counts."""
    more = {"old": {"path": "/old", "channels": "old"}, "same": {"path": "/same", "channels": "same"}}
    sluice = launch({**ROUTES, **more})
    same = sluice.open("/same")
    with sluice.open("/old") as old:
        del sluice.sections["route old"]
        sluice.sections["route new"] = {"path": "/new", "channels": "new"}
        sluice.sections["route x"]["event"] = "renamed"
        sluice.write_config()
        sluice.child.send_signal(signal.SIGHUP)
        assert reason_of(old.next_event()) == "reload"
        old.rest()
    wait_for(lambda: _status(sluice, "/new") == 200, "the new route is served", 2)
    assert _status(sluice, "/old") == 404
    with sluice.open("/x/1") as stream:
        redis.publish("x:1", "hello")
        assert stream.next_event().type == "renamed"
    redis.publish("same", "a route that is as it was goes on with its subscribers")
    assert same.next_event().type == "message"
    same.close()


def _status(sluice, path):
    with sluice.get(path) as response:
        return response.status


def _retry(sluice):
    """What a new subscriber is told: by this the tests know the configurations apart."""
    with sluice.get("/x/1") as response:
        return response.parser.retry


def test_nobody_is_refused_during_a_reload(launch):
    sluice = launch(ROUTES)
    for i in range(20):
        sluice.sections["route x"]["retry"] = f"{i + 1}s"
        sluice.write_config()
        sluice.child.send_signal(signal.SIGHUP)
        for _ in range(3):
            assert _status(sluice, "/x/1") == 200
    wait_for(lambda: 16_000 <= _retry(sluice) <= 24_000, "the last configuration counts")


@pytest.mark.parametrize("fault", ["[route x]\npath = /x\nchanel = a\n", "", "[server\n", "\0\0", None])
def test_faulty_reload_changes_nothing(launch, redis, fault):
    sluice = launch(ROUTES)
    with sluice.open("/x/1") as stream:
        good = sluice.config.read_text()
        if fault is None:
            sluice.config.unlink()
        else:
            sluice.write_config(fault if fault in ("", "\0\0") else good + fault)
        before = sluice.log()
        sluice.child.send_signal(signal.SIGHUP)
        wait_for(lambda: str(sluice.config) in sluice.log()[len(before):], "the refusal is logged")
        redis.publish("x:1", "goes on")
        assert stream.next_event().data == "goes on"
        assert_delivers(sluice, redis)
        sluice.write_config(good)
    sluice.child.send_signal(signal.SIGHUP)
    assert_delivers(sluice, redis)


def test_reloads_leave_nothing_behind(launch, redis):
    sluice = launch(ROUTES)
    worker = sluice.worker()

    def reload(n):
        for i in range(n):
            sluice.sections["route x"]["retry"] = f"{i + 1}s"
            sluice.write_config()
            sluice.child.send_signal(signal.SIGHUP)
            wait_for(lambda: (i + 1) * 800 <= _retry(sluice) <= (i + 1) * 1200, "reloaded")
    reload(3)
    wait_for(lambda: sluice.status()["subscribers"] == 0, "all have left")
    if sluice.worker() != worker:
        worker = sluice.worker()
    before = n_descriptors(worker), n_descriptors(sluice.child.pid)
    reload(15)
    wait_for(lambda: sluice.status()["subscribers"] == 0, "all have left")
    wait_for(lambda: (n_descriptors(sluice.worker()), n_descriptors(sluice.child.pid)) <= before,
             "as many descriptors as before")


# Logs


def test_log_file_is_reopened(launch, redis, folder):
    log = folder / "sluice.log"
    sluice = launch(ROUTES, server={"log": log})
    assert_delivers(sluice, redis)
    assert log.stat().st_size
    log.rename(folder / "sluice.log.1")
    sluice.child.send_signal(signal.SIGUSR1)
    wait_for(log.exists, "the new log file")
    sluice.child.send_signal(signal.SIGHUP)
    wait_for(lambda: log.stat().st_size, "lines in the new log file")
    old = (folder / "sluice.log.1").stat().st_size
    assert_delivers(sluice, redis)
    assert (folder / "sluice.log.1").stat().st_size == old


@needs_root
def test_log_file_is_reopened_by_another_user(launch, redis, folder):
    """As logrotate does it with "create": the file is there, and is the user's."""
    log = folder / "sluice.log"
    sluice = launch(ROUTES, server={"log": log, "user": "nobody"})
    assert pwd.getpwuid(log.stat().st_uid).pw_name == "nobody"
    log.rename(folder / "sluice.log.1")
    sluice.child.send_signal(signal.SIGUSR1)
    wait_for(log.exists, "the new log file")
    sluice.child.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in log.read_text(), "lines in the new log file")
    assert "cannot" not in log.read_text()


@needs_root
def test_log_that_cannot_be_reopened_is_told(launch, folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o755)
    log = closed / "sluice.log"
    launch(ROUTES, server={"log": log, "user": "nobody"})
    wait_for(lambda: "may not write the folder" in log.read_text(), "the warning")


def test_log_as_json(launch, redis, folder):
    log = folder / "sluice.log"
    sluice = launch(ROUTES, server={"log": log, "log_format": "json", "log_level": "debug"})
    assert_delivers(sluice, redis)
    sluice.get("/x/%22%0a%ff").close()
    lines = log.read_text().splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)


def test_log_is_escaped(launch, folder):
    """No request writes a line of its own into the log."""
    sluice = launch(ROUTES)
    for path in ("/x/a%0aFORGED", "/x/%1b[31mFORGED", "/x/\nFORGED", "/\x1bFORGED"):
        sluice.get(path, headers={"Last-Event-ID": "\nFORGED", "Origin": "\nFORGED"}).close()
    assert not re.search(r"^\s*FORGED", sluice.log(), re.M)
    assert "\x1b" not in sluice.log()


def test_log_to_a_full_disk(launch, redis):
    sluice = launch(ROUTES, server={"log": "/dev/full"})
    assert_delivers(sluice, redis)


def test_log_that_nobody_reads(launch, redis):
    """A pipe that is full must not stop the loop."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writing, True)
        sluice = launch(ROUTES, start=False)
        sluice.start(stderr=writing)
        for _ in range(20):
            assert_delivers(sluice, redis)
    finally:
        os.close(reading)
        os.close(writing)


def test_clients_log_nothing_above_debug(launch, redis):
    sluice = launch(ROUTES, server={"log_level": "info"})
    assert_delivers(sluice, redis)
    before = len(sluice.log())
    for i in range(50):
        assert_delivers(sluice, redis)
    assert len(sluice.log()) == before, "a line for each client"
