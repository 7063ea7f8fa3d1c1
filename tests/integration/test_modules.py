"""Handlers that are compiled apart: built against the installed headers, loaded, checked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ECHO = """
#include <sluice/handler.h>

static int
echo_open(struct feed *feed, const struct request *req)
{
	return feed_channel(feed, "module:%s", request_param(req, "name"));
}

static enum verdict
echo_message(struct feed *feed, struct message *msg)
{
	struct json_object *out = json_object_new_object();

	json_object_object_add(out, "name", json_object_new_string(feed_param(feed, "name")));
	return message_replace(msg, out);
}

static const struct handler echo = {
    .name = "echo", .open = echo_open, .message = echo_message, .is_private = PRIVATE};

SLUICE_MODULE(&echo);
"""


@pytest.fixture
def installed(tmp_path):
    """Where `make install` puts the headers."""
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"], check=True,
                   capture_output=True, env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    return tmp_path / "usr"


def compile_module(folder, name, text, *options):
    """As the manual page says it."""
    source = folder / f"{name}.c"
    source.write_text(text)
    subprocess.run(["cc", "-O2", "-fPIC", "-shared", *options, "-o", folder / f"{name}.so", source], check=True)
    return folder / f"{name}.so"


def test_a_module_of_the_installed_headers(launch, redis, installed, folder):
    include = f"-I{installed}/include"
    module = compile_module(folder, "echo", ECHO, include, "-DPRIVATE=false")
    sluice = launch({"echo": {"path": "/echo/{name}", "handler": "echo"}}, server={"modules": module.name})
    with sluice.open("/echo/a") as one, sluice.open("/echo/a") as two:
        assert sluice.status()["feeds"] == 1
        redis.publish("module:a", "1")
        assert one.next_message().data == two.next_message().data == '{"name":"a"}'
    assert (installed / "share/man/man3/sluice-handler.3").exists()


def test_a_private_handler_has_a_feed_for_each_subscriber(launch, redis, installed, folder):
    module = compile_module(folder, "echo", ECHO, f"-I{installed}/include", "-DPRIVATE=true")
    sluice = launch({"echo": {"path": "/echo/{name}", "handler": "echo"}}, server={"modules": module})
    assert "none" in sluice.run("routes", "-c", sluice.config).out
    streams = [sluice.open("/echo/a") for _ in range(5)]
    assert sluice.status()["feeds"] == 5
    redis.publish("module:a", "1")
    for stream in streams:
        assert stream.next_message().data == '{"name":"a"}'
        stream.close()
    sluice.wait_status("feeds", 0, 10)


@pytest.mark.parametrize("name, text, options, what", [
    ("abi", ECHO, ["-DPRIVATE=false", "-USLUICE_HANDLER_ABI"], "handlers of version 99"),
    ("none", "int x;", [], "it says no SLUICE_MODULE()"),
    ("twice", ECHO.replace('"echo"', '"relay"'), ["-DPRIVATE=false"], 'there is a handler "relay" already'),
    ("missing", ECHO + "void gone(void); void *use = (void *)gone;", ["-DPRIVATE=false"], "gone"),
    ("follows", ECHO.replace(".open = echo_open,", '.open = echo_open, .follows_only = "strems",'), ["-DPRIVATE=false"],
     'the handler echo follows "strems", which is no kind of subject'),
    ("empty", ECHO.replace(".open = echo_open,", ""), ["-DPRIVATE=false", "-Wno-unused-function"], "open() and answer()"),
])
def test_a_module_that_is_refused(launch, folder, name, text, options, what):
    if name == "abi":
        text = text.replace("SLUICE_MODULE(&echo);", "#undef SLUICE_HANDLER_ABI\n#define SLUICE_HANDLER_ABI 99U\n"
                            "SLUICE_MODULE(&echo);")
    compile_module(folder, name, text, f"-I{ROOT}/include", *options)
    sluice = launch({"x": {"path": "/x", "channels": "x"}}, server={"modules": f"{name}.so"}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1
    assert "[server] modules: " in result.err and what in result.err
    assert result.err.startswith(f"{sluice.config}:")


def test_a_module_that_is_not_there(launch):
    sluice = launch({"x": {"path": "/x", "channels": "x"}}, server={"modules": "gone.so"}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and "there is no " in result.err and "gone.so" in result.err


def test_make_handlers_for_a_folder_of_ones_own(folder):
    (folder / "own.c").write_text(ECHO.replace("PRIVATE", "true"))
    subprocess.run(["make", "-s", "-C", ROOT, "handlers", f"H={folder}"], check=True, capture_output=True,
                   env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    assert (folder / "own.so").exists()


@pytest.fixture
def counting(installed, folder):
    """docs/skeleton/handler.c, as somebody would begin with it."""
    text = (ROOT / "docs/skeleton/handler.c").read_text()
    return compile_module(folder, "counting", text, f"-I{installed}/include", "-Wall", "-Wextra", "-Werror")


def test_the_skeleton_of_a_handler(launch, redis, counting):
    route = {"path": "/n/{id}", "handler": "counting", "channels": "n:{id}"}
    sluice = launch({"n": {**route, "summary": "50ms"}, "quiet": {**route, "path": "/quiet/{id}"}},
                    server={"modules": counting})
    with sluice.open("/n/a") as stream, sluice.open("/quiet/a") as quiet:
        redis.publish("n:a", '{"x":1}')
        assert json.loads(stream.next_of("message").data) == {"x": 1, "number": 1}
        assert json.loads(stream.next_of("summary").data) == {"count": 1}
        redis.publish("n:a", '{"x":2}')
        assert [json.loads(quiet.next_event().data)["number"] for _ in range(2)] == [1, 2], "and no sum between"
    assert "summary = 50ms" in sluice.run("routes", "-c", sluice.config).out


@pytest.mark.parametrize("keys, why", [
    ({"handler": "counting", "summary": "5"}, "summary: \"5\" is no duration from 0 to 1h"),
    ({"handler": "counting", "sumary": "5s"}, "unknown key \"sumary\"; did you mean \"summary\"?"),
    ({"summary": "5s"}, "summary: only handler = counting has one"),
    ({"handler": "counting", "batch": "2/s"}, "batch: handler = counting numbers each message by itself"),
    ({"lease": "5s"}, "lease: only handler = presence has one"),
    ({"handler": "counting", "timeout": "5s"}, "timeout: only handler = wait has one"),
])
def test_keys_of_a_module_are_checked_as_every_other(launch, counting, keys, why):
    sluice = launch({"n": {"path": "/n", "channels": "n", **keys}}, server={"modules": counting}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and why in result.err, result.err


def test_a_key_that_is_there_already(launch, installed, folder):
    text = (ROOT / "docs/skeleton/handler.c").read_text().replace('{"summary"', '{"heartbeat"')
    module = compile_module(folder, "counting", text, f"-I{installed}/include")
    sluice = launch({"n": {"path": "/n", "channels": "n"}}, server={"modules": module}, start=False)
    result = sluice.run("check", "-c", sluice.config)
    assert result.returncode == 1 and 'handler "counting" adds the key "heartbeat", which is there already' in result.err


@pytest.mark.parametrize("name", ["stage", "source"])
def test_the_skeleton_of_a_part_compiles(name):
    flags = subprocess.run(["pkg-config", "--cflags", "lua5.4", "json-c", "libuv", "hiredis"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror", "-D_GNU_SOURCE", "-fsyntax-only",
                    f"-I{ROOT}/app", f"-I{ROOT}/include", *flags, ROOT / f"docs/skeleton/{name}.c"], check=True)
