"""A running demo, as `make run` starts it, and a headless Chromium that looks at it."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import chromium
import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(TREE / "tests" / "integration"))
import processes  # noqa: E402
import waiting  # noqa: E402

START_S = 30


class Demo:
    """conf/demo/run on free ports. Its output is read until it has said how to publish."""

    def __init__(self):
        # SLUICE_PROGRAM serves for a build in another folder, such as build/asan.
        program = os.environ.get("SLUICE_PROGRAM", str(TREE / "build" / "sluice"))
        self.process = subprocess.Popen(
            [TREE / "conf" / "demo" / "run", "--port", "0", "--sluice", program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if "Ctrl-C" in line:
                break
        try:
            self.url = re.search(r"http://127\.0\.0\.1:\d+/", self.said)[0]
            self.ms = float(re.search(r"in ([\d.]+) ms", self.said)[1])
            self.publish_line = re.search(r"redis-cli .* PUBLISH .*", self.said)[0]
            self.curl_line = re.search(r"curl -N .*", self.said)[0]
        except TypeError:
            self.end()
            raise AssertionError("the demo did not come up:\n" + self.said) from None
        self.redis_cli = shlex.split(self.publish_line)[:3]
        self.folder = pathlib.Path(self.redis_cli[2]).parent

    def publish(self, channel, payload):
        done = subprocess.run([*self.redis_cli, "PUBLISH", channel, payload],
                              capture_output=True, text=True, check=True)
        return int(done.stdout)

    def publisher(self):
        """The pid of the program that feeds the pages and does the work."""
        return next(pid for pid in processes.children_of(self.process.pid) if b"publisher" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.stdout.read()
        return self.process.wait(START_S)


def processes_in(folder):
    """Command lines of the processes that name the folder: our Redis, Sluice, publisher, lighttpd."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(words.split(b"\0")[0].decode())
    return found


@pytest.fixture(scope="session")
def screenshots():
    folder = TREE / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def demo():
    running = Demo()
    yield running
    running.end()


@pytest.fixture(scope="module")
def modules_chromium(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("chromium") / "profile")
    yield driver
    driver.quit()


@pytest.fixture
def browser(modules_chromium):
    """A browser that has seen nothing yet."""
    yield modules_chromium
    chromium.renew(modules_chromium)


def wait_for(condition, what, seconds=10):
    return waiting.wait_for(condition, what, seconds, every=0.05)
