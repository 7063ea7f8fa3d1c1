"""The documentation holds what it says: its configurations are right, its programs are read, its commands run, in the order of the page."""

import base64
import json
import os
import re
import signal
import subprocess

import pytest

import doc_page
import npm_packages
import webservers
from program import BINARY, ROOT
from waiting import patient, wait_for

PAGES = {doc_page.name_of(page): doc_page.blocks(page) for page in doc_page.pages()}
RUN = [name for name, blocks in PAGES.items() if any(b.language == "sh" and "not run" not in b.marks for b in blocks)]
# What a user types, and what it is here.
SHIMS = {
    "redis-cli": 'exec /usr/bin/redis-cli -s "$REDIS_SOCKET" "$@"',
    "sluice": 'exec "$SLUICE_BINARY" "$@"',
    "sudo": 'exec "$@"',
    # As under systemd, it comes back when the configuration has been read.
    "systemctl": """case "$*" in *reload*sluice*) ;; *) echo "systemctl $*: not here" >&2; exit 1 ;; esac
n=$(grep -c "configuration reloaded" "$SLUICE_LOG"); kill -HUP "$SLUICE_PID"
until [ "$(grep -c "configuration reloaded" "$SLUICE_LOG")" -gt "$n" ]; do sleep 0.05; done""",
    "curl": 'for a; do case $a in http://localhost/*) a="http://127.0.0.1:$PORT/${a#http://localhost/}" ;; esac; set -- "$@" "$a"; shift; done; exec /usr/bin/curl -s "$@"',
    "python3": 'exec /usr/bin/python3 "$@"',
}
# The files of [auth] that pages name.
KEYS = {"jwt.key": "", "link.key": "", "session.secret": "", "redis.password": "", "app.key": "base64:"}


def here(text, folder, port=6379):
    """The page's paths, as they are here."""
    return text.replace("/etc/sluice/", f"{folder}/").replace("/var/log/sluice/", f"{folder}/").replace("6379", str(port))


def lay_out(name, folder, port=6379):
    """The page's files, and the keys that it may name."""
    (folder / "node_modules").symlink_to(npm_packages.FOLDER / "node_modules")
    for key, before in KEYS.items():
        (folder / key).write_text(before + base64.b64encode(os.urandom(32)).decode() + "\n")
        (folder / key).chmod(0o640)
    for block in PAGES[name]:
        if "file" in block.marks:
            path = folder / block.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(here(block.text, folder, port))


def check(folder, text):
    (folder / "check.ini").write_text(here(text, folder))
    done = subprocess.run([BINARY, "check", "-c", folder / "check.ini"], capture_output=True, text=True, timeout=patient(30))
    assert done.returncode == 0, done.stderr + text


@pytest.mark.parametrize("name", [name for name, blocks in PAGES.items() if any(b.language == "ini" for b in blocks)])
def test_configurations(tmp_path, name):
    """Each by itself is fine, as it stands, with [auth] as the page has it."""
    lay_out(name, tmp_path)
    auth = [doc_page.configuration(b.text) for b in PAGES[name] if b.language == "ini" and "[auth]" in b.text and "alone" not in b.marks]
    for block in PAGES[name]:
        if block.language == "ini":
            check(tmp_path, doc_page.configuration(*([] if "alone" in block.marks else auth), block.text))


def read_by(*argv):
    """By a program that reads a text of its language from its standard input."""
    def read(text):
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=patient(60))
        assert done.returncode == 0, done.stdout + done.stderr
    return read


read_module = read_by("node", "--input-type=module", "--check")


def read_html(text):
    for script in re.findall(r"<script[^>]*>(.*?)</script>", text, re.S):
        read_module(script)


READERS = {
    "php": lambda text: read_by("php", "-l")(text if text.startswith("<?php") else "<?php\n" + text),
    "python": lambda text: compile(text, "page", "exec"),
    "js": read_module,
    "html": read_html,
    "json": json.loads,
    "sh": read_by("bash", "-n"),
}


@pytest.mark.parametrize("block", [pytest.param(block, id=f"{name}:{block.line}") for name, found in PAGES.items() for block in found
                                   if block.language in READERS])
def test_it_can_be_read(block):
    READERS[block.language](block.text)


def test_languages_are_known():
    assert {block.language for found in PAGES.values() for block in found} <= {*READERS, "ini", "lua", "text", "yaml"}


class Terminal:
    """Where a page's commands are typed: its own Redis, Sluice and lighttpd answer to the names that a user's have."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.running, self.n = folder, environment, [], 0
        tools = folder / "tools"
        tools.mkdir()
        for name, body in SHIMS.items():
            (tools / name).write_text(f"#!/bin/sh\n{body}\n")
            (tools / name).chmod(0o755)
        self.environment["PATH"] = f"{tools}:{os.environ['PATH']}"

    def type(self, text):
        self.n += 1
        out = self.folder / f"output-{self.n}"
        with open(out, "wb") as f:
            process = subprocess.Popen(["bash", "-e", "-c", here(text, self.folder, self.environment["REDIS_PORT"])], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=f, stderr=f, start_new_session=True)
        self.running.append(process)
        return process, out

    def run(self, block):
        process, out = self.type(block.text)
        try:
            code = process.wait(patient(60))
        except subprocess.TimeoutExpired:
            code = "no end"
        assert code == 0, f"line {block.line}: {code}\n{block.text}\n{out.read_text(errors='replace')}"
        return out

    def leave(self):
        for process in self.running:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def expects(out, block):
    """Its lines in this order, with others between them."""
    parts = [re.escape(line.strip()).replace("…", ".*") for line in block.text.strip().split("\n") if line.strip() != "…"]
    pattern = re.compile(r"(?s:.*?)".join(rf"^[ \t]*{part}[ \t]*$" for part in parts), re.M)
    wait_for(lambda: pattern.search(out.read_text(errors="replace")),
             lambda: f"line {block.line}: {block.text}\nin what was printed:\n{out.read_text(errors='replace')}", 20)


def run_page(name, terminal):
    out, last = None, None
    for block in PAGES[name]:
        if "output" in block.marks:
            expects(last, block)
        elif block.language == "sh" and "not run" not in block.marks:
            if "background" in block.marks:
                _, last = terminal.type(block.text)
                out = last
                wait_for(lambda: out.stat().st_size > 0, lambda: f"line {block.line}: {block.text} says something", 20)
            else:
                last = terminal.run(block)


def run_commands(name, folder, redis, launch, serve):
    """The page's commands, against the configuration that the page builds up."""
    npm_packages.install()
    lay_out(name, folder, redis.port)
    client = redis.client()
    client.flushall()
    sluice = launch(start=False, server={"base": "/events", "log": "stderr"})
    own = doc_page.configuration("\n".join(f"[{s}]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items()) for s, keys in sluice.sections.items()))
    whole = [here(b.text, folder, redis.port) for b in PAGES[name]
             if b.language == "ini" and "alone" not in b.marks and "[" in b.text]
    shipped = (ROOT / "packaging" / "sluice.ini").read_text()
    sluice.write_config(doc_page.configuration(shipped, *whole, own))
    sluice.start()
    server = serve(webservers.ALL["lighttpd"], sluice.path)
    environment = {**sluice.reports.environment(), "REDIS_SOCKET": redis.path, "SLUICE_BINARY": BINARY, "SLUICE_CONFIG": str(sluice.config),
                   "SLUICE_PID": str(sluice.child.pid), "SLUICE_LOG": str(sluice.child.output), "PORT": str(server.port), "REDIS_PORT": str(redis.port), "TREE": str(ROOT), "HOME": str(folder),
                   "PYTHONDONTWRITEBYTECODE": "1"}
    terminal = Terminal(folder, environment)
    try:
        run_page(name, terminal)
    finally:
        terminal.leave()


@pytest.mark.parametrize("name", [name for name in RUN if not name.startswith("howto/")])
def test_commands_run(name, folder, redis, launch, serve):
    """Those of the how-to pages run in test_docs_howto.py, beside this file."""
    run_commands(name, folder, redis, launch, serve)


def test_every_page_says_why_a_block_is_not_run():
    for name, found in PAGES.items():
        for block in found:
            assert block.marks.get("not run", "said") != "", f"{name}:{block.line}: why not?"


def test_the_site_is_made(tmp_path):
    """Each link leads to a page, a heading or a file that is there."""
    done = subprocess.run([ROOT / "docs" / "site" / "build", tmp_path / "site"], capture_output=True, text=True, timeout=patient(120))
    assert done.returncode == 0, done.stderr
    n = 0
    for page in (tmp_path / "site").rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#]+)', page.read_text()):
            assert not link.startswith("//") and (link.startswith(("http:", "https:", "mailto:")) or (page.parent / link).exists()), f"{page}: {link}"
            n += 1
        assert not re.findall(r'(?:src|<link[^>]*href)="http', page.read_text()), f"{page} needs the network"
    assert n > 100
