"""The subcommands, and what `check` says about a configuration."""

import json
import re
import signal
import subprocess

import pytest

from sluice import Sluice, ini
from processes import Child
from waiting import wait_for

ROUTE = {"path": "/x/{id}", "channels": "x:{id}"}
GOOD = {"route x": ROUTE}


@pytest.fixture
def sluice(folder, redis):
    """Only its configuration."""
    instance = Sluice(folder, GOOD, redis)
    yield instance
    instance.reports.check()


# General


def test_version(sluice):
    result = sluice.run("--version")
    assert result.returncode == 0 and re.fullmatch(r"sluice \d+\.\d+\.\d+.*\n", result.out), result.out


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["serve", "--help"]])
def test_help(sluice, args):
    result = sluice.run(*args)
    assert result.returncode == 0 and result.err == ""
    for word in ("serve", "check", "routes", "emit", "tail", "-c"):
        assert word in result.out


@pytest.mark.parametrize("args", [["nonsense"], ["check", "--nonsense"], ["serve", "-w", "x"], ["serve", "-w", "0"],
                                  ["emit"], ["tail"], ["serve", "-c"], ["check", "-c"]])
def test_wrong_usage(sluice, args):
    result = sluice.run(*args, env={"SLUICE_CONFIG": str(sluice.config)})
    assert result.returncode == 2 and result.err and result.out == ""


@pytest.mark.parametrize("command", [["serve"], ["check"], ["routes"], ["emit", "x", "{}"], ["tail", "/x/1"]])
def test_no_configuration(sluice, command):
    name, *rest = command
    result = sluice.run(name, "-c", sluice.folder / "missing.ini", *rest)
    assert result.returncode == 1 and "missing.ini" in result.err


# check


def check(sluice, text, **env):
    """The exit code, and all that is said."""
    sluice.write_config(text)
    result = sluice.run("check", "-c", sluice.config, env=env)
    assert result.returncode in (0, 1)
    return result.returncode, result.out + result.err


def test_check_of_a_good_one(sluice):
    assert sluice.run("check", "-c", sluice.config).returncode == 0


def with_line(section, line):
    """A good configuration with one more line, and that line's number."""
    text = ini({"server": {"listen": "unix:/tmp/sluice-check.sock"}, "redis": {"url": "redis://127.0.0.1"},
                "route x": ROUTE})
    lines = text.splitlines()
    if f"[{section}]" not in lines:
        lines.append(f"[{section}]")
    at = lines.index(f"[{section}]") + 1
    lines.insert(at, line)
    return "\n".join(lines) + "\n", at + 1


FAULTS = [
    # section, line, what must be said
    ("server", "lisen = unix:/x", "listen"),
    ("server", "listen = nonsense", "unix:"),
    ("server", "listen = 127.0.0.1:0", ""),
    ("server", "listen = 127.0.0.1:70000", ""),
    ("server", "listen = unix:" + "x" * 200, ""),
    ("server", "socket_mode = 0999", ""),
    ("server", "socket_mode = rw", ""),
    ("server", "workers = 0", ""),
    ("server", "workers = -1", ""),
    ("server", "workers = 100000", ""),
    ("server", "workers = many", "auto"),
    ("server", "drain = 10", ""),
    ("server", "drain = 5 m", ""),
    ("server", "drain = -1s", ""),
    ("server", "drain = 1e3ms", ""),
    ("server", "drain = 99999999999h", ""),
    ("server", "drain = 1.5s", ""),
    ("server", "drain = 0x10s", ""),
    ("server", "log_level = loud", "debug"),
    ("server", "log_format = xml", "json"),
    ("server", "base = events", "/"),
    ("server", "user = nobody-of-that-name", "nobody-of-that-name"),
    ("server", "log = /tmp", "is a folder"),
    ("server", "log = /tmp/", "is a folder"),
    ("server", "listen = unix:/tmp/a, unix:/tmp/b", "one address"),
    ("server", "listen = unix:/tmp/a 127.0.0.1:9000", "one address"),
    ("server", "max_memory = 1m", "of 0, or from 16m"),
    ("server", "socket_group = no-such-group", "no-such-group"),
    ("redis", "url = http://127.0.0.1", "redis://"),
    ("redis", "url = redis://127.0.0.1:99999", ""),
    ("redis", "url = redis://127.0.0.1/x", ""),
    ("redis", "urls = redis://127.0.0.1", "url"),
    ("redis", "connect_timeout = 0", ""),
    ("redis", "password_file = /nonexistent/password", "/nonexistent/password"),
    ("redis", "password_file = /dev/null", "/dev/null"),
    ("redis", "url = redis://sluice@127.0.0.1", "names a user"),
    ("auth", "jwt_query = last_event_id", "meaning of its own"),
    ("auth", "session_user = user", "the session is message"),
    ("auth", "session_user = message.id or claims.id", "the session is message"),
    ("auth", "jwt_cookie = a b", "no cookie's name"),
    ("auth", "session_cookie = a=b", "no cookie's name"),
    ("defaults", "path = /y", "path"),
    ("defaults", "hartbeat = 1s", "heartbeat"),
    ("nonsense", "a = b", "nonsense"),
    ("route x", "chanels = a", "channels"),
    ("route x", "handler = reley", "relay"),
    ("route x", "channels = a:{id", ""),
    ("route x", "param.id = [", ""),
    ("route x", r"param.id = \d+", "[0-9]"),
    ("route x", "param.other = [a-z]+", "other"),
    ("route x", "fields = ,", "it is empty"),
    ("route x", "cors_origins = ,", "it is empty"),
    ("server", "trusted_proxies = ,", "it is empty"),
    ("route x", "heartbeat = 15", ""),
    ("route x", "heartbeat = soon", ""),
    ("route x", "heartbeat_event = stream-end", "stream-"),
    ("route x", "event = stream-open", "stream-"),
    ("route x", "max_events = -1", ""),
    ("route x", "max_events = 1x", ""),
    ("route x", "retry = 0", ""),
    ("route x", "announce = maybe", "yes"),
    ("route x", "queue = 64K1", ""),
    ("route x", "queue = -1", ""),
    ("route x", "queue = 1g1", ""),
    ("route x", "overflow = drop_newest", "drop_oldest"),
    ("route x", "cors_origins = https://site.example/", "https://site.example"),
    ("route x", "cors_origins = site.example", ""),
    ("route x", "cors_credentials = perhaps", "no"),
    ("route x", "path = /again", ""),
    ("route x", "auth = jwt", ""),  # a key that does not exist yet is unknown
    ("route y", "path = x", "/"),
    ("route y", "path = /{a}{b}", ""),
    ("route y", "path = /{a}/{a}", "a"),
    ("route y", "path = /{a", ""),
    ("route y", "path = /x/{id}", "x"),
    ("route", "path = /y", ""),
    ("route a:b", "path = /y", ""),
]


@pytest.mark.parametrize("section, line, said", FAULTS, ids=[f"{s}-{l[:40]}" for s, l, _ in FAULTS])
def test_fault(sluice, section, line, said):
    """File, line, what is wrong, and the nearest valid name or what is allowed."""
    text, number = with_line(section, line)
    code, output = check(sluice, text)
    assert code == 1, output
    places = re.findall(rf"^{re.escape(str(sluice.config))}:(\d+): (.+)$", output, re.M)
    assert places, output
    # The section's own line, or that of the key it collides with, is as good.
    assert any(abs(int(n) - number) <= 3 for n, _ in places), (number, output)
    assert said in output


def test_every_fault_is_told(sluice):
    text = "[server]\nlisen = x\n[redis]\nurll = y\n[route x]\npath = z\n"
    code, output = check(sluice, text)
    assert code == 1
    assert {2, 4, 6} <= {int(n) for n in re.findall(rf"^{re.escape(str(sluice.config))}:(\d+):", output, re.M)}


@pytest.mark.parametrize("name, text", {
    "duplicate key": "[route x]\npath = /x\nchannels = a\nchannels = b\n",
    "duplicate section": "[route x]\npath = /x\nchannels = a\n[route x]\nchannels = b\n",
    "unterminated quote": '[route x]\npath = "/x\nchannels = a\n',
    "value cut at #": "[route x]\npath = /x\nchannels = a#b\n",
    "value cut at ;": "[route x]\npath = /x\nchannels = a;b\n",
    "key without a value": "[route x]\npath = /x\nchannels =\n",
    "word alone": "[route x]\npath = /x\nchannels\n",
    "value without a key": "[route x]\npath = /x\n= a\nchannels = a\n",
    "empty section": "[]\n[route x]\npath = /x\nchannels = a\n",
    "open section": "[route x\npath = /x\nchannels = a\n",
    "key before any section": "path = /x\n[route x]\npath = /x\nchannels = a\n",
    "NUL": "[route x]\npath = /x\0\nchannels = a\n",
    "long line": "[route x]\npath = /x\nchannels = " + "a" * 1100 + "\n",
    "no route": "[server]\nworkers = 1\n",
    "empty": "",
    "no channels": "[route x]\npath = /x\n",
    "two routes with one path": "[route x]\npath = /x\nchannels = a\n[route y]\npath = /x\nchannels = a\n",
    "credentials for anybody": "[route x]\npath = /x\nchannels = a\ncors_origins = *\ncors_credentials = yes\n",
    "no path": "[route x]\nchannels = a\n",
}.items())
def test_fault_of_the_whole(sluice, name, text):
    code, output = check(sluice, text)
    assert code == 1, output
    assert str(sluice.config) in output
    assert sluice.run("serve", "-c", sluice.config).returncode == 1, "and serve refuses it"


@pytest.mark.parametrize("name, text", {
    "CRLF": "[route x]\r\npath = /x\r\nchannels = a\r\n",
    "tabs": "[route x]\n\tpath\t=\t/x\n\tchannels = a\n",
    "comments": "# a\n; b\n[route x]\npath = /x ; d\nchannels = a # e\n",
    "quoted": '[route x]\npath = "/x"\nchannels = "a#b;c"\n',
    "upper case keys": "[route x]\nPATH = /x\nChannels = a\n",
    "data that is JSON": '[route x]\npath = /x\nchannels = a\nheartbeat_data = {}\n',
    "data that is a template": '[route x]\npath = /x\nchannels = a\nheartbeat_data = {{"t":{now}}}\n',
    "no line end": "[route x]\npath = /x\nchannels = a",
}.items())
def test_good_text(sluice, name, text):
    code, output = check(sluice, text)
    assert code == 0, output


@pytest.mark.parametrize("kind", ["folder", "null", "unreadable", "loop"])
def test_configuration_that_is_no_file(sluice, kind):
    path = sluice.folder / "odd.ini"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "null":
        path = "/dev/null"
    result = sluice.run("check", "-c", path)
    assert result.returncode == 1 and str(path) in result.err + result.out


def test_include(sluice):
    (sluice.folder / "routes.d").mkdir()
    sluice.sections["server"]["include"] = f"{sluice.folder}/routes.d/*.ini"
    sluice.write_config()
    included = sluice.folder / "routes.d" / "y.ini"
    included.write_text("[route y]\npath = /y\nchannels = y\n")
    assert sluice.run("check", "-c", sluice.config).returncode == 0
    assert "/y" in sluice.run("routes", "-c", sluice.config).out
    included.write_text("[route y]\npath = /y\nchanels = y\n")
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and f"{included}:3: " in result.out + result.err


@pytest.mark.parametrize("name, value, code", [("SLUICE_SERVER_WORKERS", "2", 0), ("SLUICE_SERVER_WORKERS", "x", 1),
                                               ("SLUICE_REDIS_PREFIX", "a:", 0)])
def test_environment(sluice, name, value, code):
    result = sluice.run("check", "-c", sluice.config, env={name: value})
    assert result.returncode == code
    if code:
        assert name in result.out + result.err


def test_password_is_never_shown(sluice):
    sluice.sections["redis"]["url"] = "redis://user:topsecret@127.0.0.1:99999/"
    sluice.write_config()
    for command in ("check", "routes"):
        result = sluice.run(command, "-c", sluice.config)
        assert "topsecret" not in result.out + result.err


# routes


def test_routes(sluice):
    sluice.sections["route health"] = {"path": "/health", "handler": "health"}
    sluice.sections["server"]["base"] = "/events"
    sluice.write_config()
    result = sluice.run("routes", "-c", sluice.config)
    assert result.returncode == 0
    lines = result.out.splitlines()
    assert any(re.search(r"/x/\{id\}", l) and "relay" in l for l in lines), result.out
    assert any("/health" in l for l in lines)
    assert "x:{id}" in result.out


# emit


@pytest.fixture
def running(launch):
    return launch({"x": ROUTE})


def test_emit(running):
    with running.open("/x/1") as stream:
        result = running.run("emit", "-c", running.config, "x:1", '{"n":1}')
        assert result.returncode == 0, result.err
        assert stream.next_event().data == '{"n":1}'


def test_emit_from_standard_input(running):
    with running.open("/x/1") as stream:
        result = running.run("emit", "-c", running.config, "x:1", "-", stdin=b'{"n":"Zo\xc3\xab"}')
        assert result.returncode == 0, result.err
        assert json.loads(stream.next_event().data) == {"n": "Zo\u00eb"}
        result = running.run("emit", "-c", running.config, "x:1", "-", stdin=b' {"n": 1}\r\n\n')
        assert result.returncode == 0, result.err
        assert stream.next_event().data == ' {"n": 1}'  # what a shell ends the text with is no line of it


def test_emit_to_a_stream(running, redis):
    result = running.run("emit", "--stream", "-c", running.config, "emitted", '{"n":1}')
    assert result.returncode == 0
    assert redis.client().xrange("emitted") == [(result.out.strip().encode(), {b"data": b'{"n":1}'})]


def test_emit_uses_the_prefix(launch):
    running = launch({"x": ROUTE}, link={"prefix": "cli:"})
    with running.open("/x/1") as stream:
        assert running.run("emit", "-c", running.config, "x:1", "1").returncode == 0
        assert stream.next_event().data == "1"


def test_emit_without_redis(folder, own_redis):
    sluice = Sluice(folder, GOOD, own_redis())
    result = sluice.run("emit", "-c", sluice.config, "x", "{}")
    assert result.returncode == 1 and result.err


# tail


def test_tail(launch, redis, folder):
    running = launch({"x": ROUTE})
    tail = Child("tail", running.argv("tail", "-c", running.config, "/x/1"), folder, env=running.reports.environment())
    try:
        redis.wait_subscribed("x:1")
        wait_for(lambda: redis.publish("x:1", "to the terminal") and "to the terminal" in tail.text(),
                 lambda: f"the event in the terminal: {tail.text()!r}", every=0.05)
    finally:
        code = tail.end(signal.SIGINT)
    assert code in (0, 130, -signal.SIGINT)


def test_tail_of_nothing(launch):
    running = launch({"x": ROUTE})
    result = running.run("tail", "-c", running.config, "/nothing")
    assert result.returncode == 1 and "404" in result.err


def test_tail_says_why_an_answer_is_none(launch, own_redis):
    away = own_redis()  # never started
    running = launch({"health": {"path": "/health", "handler": "health"}}, redis=away)
    result = running.run("tail", "-c", running.config, "/health")
    assert result.returncode == 1 and "503" in result.err and '"status":"down"' in result.err


def test_tail_tells_nothing_about_a_stream_that_is_not_announced(launch, redis):
    running = launch({name: {"path": f"/{name}", "streams": "tail:ends", "start": "0", "announce": announce, "max_events": 2}
                      for name, announce in (("plain", "no"), ("told", "yes"))})
    for n in range(2):
        redis.client().xadd("tail:ends", {"event": "x", "data": '{"event":"stream-done"}', "n": n})
    lines = [json.loads(line) for line in running.run("tail", "--json", "-c", running.config, "/plain").out.splitlines()]
    assert [line["event"] for line in lines] == ["x", "x"]
    lines = [json.loads(line) for line in running.run("tail", "--json", "-c", running.config, "/told").out.splitlines()]
    assert [line["event"] for line in lines] == ["stream-open", "x", "x", "stream-done"]


def test_tail_without_a_server(sluice):
    result = sluice.run("tail", "-c", sluice.config, "/x/1")
    assert result.returncode == 1 and result.err


# Start


@pytest.mark.parametrize("keys", [{"socket_group": "no-such-group"}, {"user": "no-such-user"},
                                  {"listen": "unix:/nonexistent/sluice.sock"}, {"log": "/nonexistent/sluice.log"}])
def test_cannot_start(sluice, keys):
    """One line that names the setting, and 1."""
    sluice.sections["server"].update(keys)
    sluice.write_config()
    result = sluice.run("serve", "-c", sluice.config)
    assert result.returncode == 1
    assert list(keys.values())[0].removeprefix("unix:") in result.err


def test_no_address(sluice):
    del sluice.sections["server"]["listen"]
    sluice.write_config()
    result = sluice.run("serve", "-c", sluice.config)
    assert result.returncode == 1 and "listen" in result.err


# What is printed


@pytest.mark.parametrize("args", [["routes"], ["check"], ["token", "--user", "zoe"], ["check", "--explain", "/x/1"],
                                  ["--help"], ["tail", "--help"]])
def test_a_full_device(sluice, args):
    sluice.sections["auth"] = {"jwt_key": "k" * 40}
    sluice.write_config()
    config = [] if "--help" in args else ["-c", sluice.config]
    with open("/dev/full", "w") as full:
        child = subprocess.run(sluice.argv(*args, *config), stdout=full, stderr=subprocess.PIPE,
                               env=sluice.reports.environment(), timeout=20)
    assert child.returncode == 1


def test_tail_to_a_full_device_ends(launch, redis):
    running = launch({"x": {"path": "/x", "channels": "x"}})
    with open("/dev/full", "w") as full:
        child = subprocess.run(running.argv("tail", "-c", running.config, "/x"), stdout=full, stderr=subprocess.PIPE,
                               env=running.reports.environment(), timeout=20)
    assert child.returncode == 1 and b"sluice tail: " in child.stderr


def test_help_has_every_option(sluice):
    for args in (["--help"], ["help"], ["serve", "--help"]):
        out = sluice.run(*args).out
        for name in ("config", "listen", "workers", "json", "stream", "timeout", "user", "token", "cookie", "link", "ttl",
                     "claim", "may", "explain"):
            assert f"--{name}" in out
        for name in ("serve", "check", "routes", "emit", "tail", "wait", "cursor", "token"):
            assert name in out


def test_a_misspelt_command(sluice):
    result = sluice.run("chekc")
    assert result.returncode == 2 and 'did you mean "check"?' in result.err


def test_check_of_a_file_that_is_an_argument(sluice):
    assert sluice.run("check", sluice.config).returncode == 0
    result = sluice.run("check", sluice.folder / "gone.ini")
    assert result.returncode == 1 and "gone.ini" in result.err


def test_check_notes_what_is_hardly_meant(sluice):
    sluice.sections = {"route x": {"path": "/d/{shop}", "channels": "d:{shp}"}}
    sluice.write_config()
    result = sluice.run("check", sluice.config)
    assert result.returncode == 0
    assert re.search(r":3: note: .*\{shp\}.*did you mean \{shop\}\?", result.err), result.err


def test_check_explains_a_path(sluice):
    sluice.sections["server"]["base"] = "/ev"
    sluice.sections["route orders"] = {"path": "/orders/{id}", "channels": "orders:{id} audit:{kind}", "param.id": "[0-9]+",
                                       "filter": "message.n > 1", "max_per_user": 3}
    sluice.write_config()
    for path in ("/ev/orders/7?kind=big", "/orders/7?kind=big"):
        result = sluice.run("check", "-c", sluice.config, "--explain", path)
        assert result.returncode == 0, result.err
        for said in ("[route orders]", "/orders/{id}", "relay", "orders:7", "audit:big", "filter", "max_per_user = 3",
                     "those with the same id, kind"):
            assert said in result.out, (said, result.out)
    refused = sluice.run("check", "-c", sluice.config, "--explain", "/orders/x").out
    assert "refused, for its rule is [0-9]+" in refused and "{kind}: the query does not have it" in refused
    nothing = sluice.run("check", "-c", sluice.config, "--explain", "/nothing")
    assert nothing.returncode == 1 and "no route serves /nothing" in nothing.err


@pytest.mark.parametrize("args, says", [
    (["check", "--conect"], 'sluice check: there is no option --conect; did you mean --connect?'),
    (["routes", "--json"], "sluice routes: there is no option --json"),
    (["check", "--explain"], "sluice check: --explain needs a value behind it"),
    (["emit", "-x", "a", "1"], "sluice emit: there is no option -x"),
    (["check", "-xc", "a"], "sluice check: there is no option -x"),
    (["emit", "--user=bob", "-eh"], "sluice emit: there is no option --user=bob"),
    (["tail", "--user=bob", "-eh"], "sluice tail: there is no option -e"),
    (["check", "-é"], "sluice check: there is no option -é"),
    (["check", "--connect=1"], "sluice check: there is no option --connect=1; did you mean --connect?"),
    (["check", "--help=1"], "sluice check: there is no option --help=1"),
    (["serve", "--work", "x"], "sluice serve: -w takes a number"),
    (["tail", "--explain", "/x", "/y"], "sluice tail: there is no option --explain"),
    (["tail", "--explain=/x", "/y"], "sluice tail: there is no option --explain=/x"),
    (["-z"], "sluice serve: there is no option -z"),
    (["check", "--explain", "/x", "--connect"], "sluice check: one of --explain and --connect"),
    (["token", "--link", "/x", "--claim", "a=1"], "sluice token: a link has no claims"),
    (["token", "--user", ""], "sluice token: --user is empty"),
    (["tail", "--token", "", "/x"], "sluice tail: --token is empty"),
    (["tail", "--user", "a", "--token", "b", "/x"], "sluice tail: one of --user and --token"),
    (["wait", "--cookie", "a", "/x"], "sluice wait: --cookie takes NAME=VALUE"),
    (["cursor", "--cookie", "=a", "/x"], "sluice cursor: --cookie takes NAME=VALUE"),
    (["emit", "", "1"], "sluice emit: the channel's name is empty")])
def test_an_option_that_is_none(sluice, args, says):
    result = sluice.run(*args)
    assert result.returncode == 2
    assert result.err.startswith(says) and "usage: sluice" in result.err, result.err


def test_check_explains_a_path_of_users(sluice):
    """Nobody has asked for it, so the names stand in braces."""
    sluice.sections["auth"] = {"jwt_key": "k" * 32}
    sluice.sections["route inbox"] = {"path": "/inbox/{box}", "streams": "inbox:{user}:{box}:{claim.org}", "auth": "jwt",
                                      "filter": "message.to == user and claims.admin"}
    sluice.write_config()
    result = sluice.run("check", "-c", sluice.config, "--explain", "/inbox/1")
    assert result.returncode == 0, result.err
    assert "inbox:{user}:1:{claim.org}" in result.out and "jwt" in result.out


def test_cursor(launch, redis):
    running = launch({"s": {"path": "/s", "streams": "cursor:s"}, "all": {"path": "/all", "streams": "cursor:s", "start": "0"},
                      "r": {"path": "/r", "channels": "cursor:r", "record": 10}, "x": {"path": "/x", "channels": "x"},
                      "cookie": {"path": "/cookie", "streams": "cursor:s", "auth": "session"}},
                     auth={"session_cookie": "sid", "session_key": "cursor:{cookie}", "session_user": "message.user"})
    ids = [redis.client().xadd("cursor:s", {"data": str(i)}).decode() for i in range(3)]
    for path in ("/s", "/all"):
        result = running.run("cursor", "-c", running.config, path)
        assert (result.returncode, result.out) == (0, ids[-1] + "\n"), result.err
    assert running.run("cursor", "-c", running.config, "/r").returncode == 0
    redis.client().set("cursor:abc", '{"user":"zoe"}')
    result = running.run("cursor", "-c", running.config, "--cookie", "sid=abc", "/cookie")
    assert (result.returncode, result.out) == (0, ids[-1] + "\n"), result.err
    result = running.run("cursor", "-c", running.config, "/cookie")
    assert result.returncode == 1 and "401" in result.err
    result = running.run("cursor", "-c", running.config, "/x")
    assert result.returncode == 1 and "does not say where it stands" in result.err
    result = running.run("cursor", "-c", running.config, "/status")
    assert result.returncode == 1 and "the path gives no stream" in result.err
