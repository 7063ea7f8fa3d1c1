"""The demo's four programs, each of which can be ended and started again while a browser looks on."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from processes import free_port

TREE = pathlib.Path(__file__).resolve().parents[2]
DEMO = TREE / "conf" / "demo"
PATIENCE_S = 30


class Site:
    """Redis keeps what it has (appendonly), as a site's does; the rest is as `make run` starts it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-site-", dir="/tmp"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.redis_cli = ["redis-cli", "-s", str(self.folder / "redis.sock")]
        self.children = {}
        program = os.environ.get("SLUICE_PROGRAM", str(TREE / "build" / "sluice"))
        self.commands = {
            "redis": ["redis-server", DEMO / "redis.conf", "--dir", self.folder, "--unixsocket", self.folder / "redis.sock",
                      "--appendonly", "yes", "--appendfsync", "always"],
            "sluice": [program, "serve", "-c", DEMO / "demo.ini", "-l", f"unix:{self.folder}/sluice.sock"],
            "publisher": [sys.executable, DEMO / "publisher", self.folder / "redis.sock", self.folder / "publisher.sock"],
            "lighttpd": ["/usr/sbin/lighttpd", "-D", "-f", DEMO / "lighttpd.conf"],
        }
        self.environment = {**os.environ, "SLUICE_REDIS_URL": f"unix://{self.folder}/redis.sock", "PYTHONDONTWRITEBYTECODE": "1",
                            "DEMO_RUN": str(self.folder), "DEMO_TREE": str(TREE), "DEMO_PORT": str(self.port)}
        for name in self.commands:
            self.start(name)

    def start(self, name):
        if name == "publisher":
            (self.folder / "publisher.sock").unlink(missing_ok=True)
        with open(self.folder / f"{name}.out", "ab") as out:
            self.children[name] = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *self.commands[name]], stdin=subprocess.DEVNULL,
                                                   stdout=out, stderr=out, env=self.environment)
        until = time.monotonic() + PATIENCE_S
        while not self.answers(name):
            assert time.monotonic() < until and self.children[name].poll() is None, (self.folder / f"{name}.out").read_text()
            time.sleep(0.01)

    def answers(self, name):
        if name == "lighttpd":
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        if name == "redis":  # it listens before it has read its file
            return subprocess.run([*self.redis_cli, "PING"], capture_output=True, text=True, check=False).stdout == "PONG\n"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / f"{name}.sock")) == 0

    def end(self, name):
        child = self.children.pop(name)
        child.terminate()
        child.wait(PATIENCE_S)

    def redis(self, *words):
        return subprocess.run([*self.redis_cli, *words], capture_output=True, text=True, check=True).stdout.strip()

    def record(self, channel, payload):
        """Published and kept, as on a recorded channel."""
        self.redis("--eval", str(TREE / "conf/record.lua"), channel, f"{channel}:log", ",", payload, "200")

    def close(self):
        for name in reversed(list(self.children)):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)
