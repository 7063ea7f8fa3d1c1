"""Sluice as a child process, with a configuration of its own."""

import os
import re
import signal
import subprocess
from pathlib import Path

import fcgi
from processes import Child, accepts, children_of
from program import BINARY, IS_ROOT, IS_VALGRIND, WRAP
from waiting import Timeout, patient, wait_for


def ini(sections):
    """The text of a configuration: {section: {key: value}}. Values are quoted, for ; and # would cut them."""
    text = ""
    for section, keys in sections.items():
        text += f"[{section}]\n"
        for key, value in keys.items():
            text += f'{key} = "{value}"\n' if re.search("[;#]", str(value)) else f"{key} = {value}\n"
        text += "\n"
    return text


class Reports:
    """What sanitizers or valgrind had to say about any process that ran in the folder."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def environment(self):
        env = dict(os.environ)
        for name in [n for n in env if n.startswith("SLUICE_") or n in ("LISTEN_FDS", "LISTEN_PID")]:
            del env[name]
        env["ASAN_OPTIONS"] = f"log_path={self.folder}/report-asan:detect_leaks=1:exitcode=66"
        env["UBSAN_OPTIONS"] = f"log_path={self.folder}/report-ubsan:print_stacktrace=1:halt_on_error=1"
        return env

    def wrap(self):
        if IS_VALGRIND:
            return [*WRAP, "-q", "--vgdb=no", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
                    "--errors-for-leak-kinds=definite",
                    f"--log-file={self.folder}/report-valgrind.%p"]
        return WRAP

    @staticmethod
    def says_something(report):
        """LeakSanitizer alone tells, too, that a process was killed while it looked: that is no finding."""
        return any(line and not line.endswith("was not suspended. False leaks are possible.")
                   for line in report.read_text(errors="replace").splitlines())

    def check(self):
        found = [p for p in sorted(self.folder.glob("report-*")) if self.says_something(p)]
        text = "\n".join(f"{p.name}:\n{p.read_text(errors='replace')[:8000]}" for p in found)
        for p in found:
            p.unlink()
        assert not found, text


class Sluice:
    """`sections` is the configuration; [server] listen and [redis] url are filled in."""

    def __init__(self, folder, sections, redis=None, name="sluice", listen=None):
        self.folder = Path(folder)
        self.name = name
        self.path = str(self.folder / f"{name}.sock")
        self.address = self.path  # what a FastCGI client connects to
        self.config = self.folder / f"{name}.ini"
        self.reports = Reports(self.folder)
        self.child = None
        self.binary = BINARY
        server = {"listen": f"unix:{self.path}", "workers": 1, "drain": "100ms", "log_level": "debug",
                  "watchdog": "60s"}  # a loaded machine is no fault of the program
        if IS_ROOT:
            server["socket_group"] = "www-data"
        self.sections = {"server": server, "redis": redis.link if redis else {}}
        for section, keys in sections.items():
            self.sections.setdefault(section, {}).update(keys)
        self.write_config()

    def write_config(self, text=None):
        self.config.write_text(ini(self.sections) if text is None else text)

    def argv(self, *args):
        return [*self.reports.wrap(), self.binary, *map(str, args)]

    def start(self, argv=None, wait=True, **popen):
        popen.setdefault("env", self.reports.environment())
        self.child = Child(self.name, argv or self.argv("serve", "-c", self.config), self.folder, **popen)
        if wait:
            self.child.wait_ready(lambda: accepts(self.address), 20)
        return self

    def run(self, *args, seconds=20.0, stdin=None, env=None):
        """Run a subcommand to its end."""
        result = subprocess.run(self.argv(*args), capture_output=True, timeout=patient(seconds), input=stdin,
                                env={**self.reports.environment(), **(env or {})}, cwd=self.folder)
        result.out, result.err = (t.decode(errors="replace") for t in (result.stdout, result.stderr))
        return result

    def stop(self):
        """End it as an operator does; it must end well. For the end of each test."""
        if self.child is None:
            return
        child, self.child = self.child, None
        was_running = child.is_running()
        code = child.end(signal.SIGTERM, 15)
        self.reports.check()
        assert was_running, f"{self.name} had ended with {code} before its time:\n{child.text()[-4000:]}"
        assert code == 0, f"{self.name} exited with {code} at TERM:\n{child.text()[-4000:]}"

    def kill(self):
        """For a test that has ended it already, or fails anyway."""
        if self.child is not None:
            child, self.child = self.child, None
            child.end(signal.SIGKILL)

    def log(self):
        return self.child.text()

    def wait_log(self, text, seconds=5.0):
        wait_for(lambda: text in self.log(), lambda: f"{text!r} in the log:\n{self.log()[-2000:]}", seconds)

    def workers(self):
        """The pids of the worker processes."""
        return children_of(self.child.pid)

    def worker(self):
        """The pid of the one worker."""
        return wait_for(self.workers, "there is a worker")[0]

    # Clients

    def get(self, path, **kw):
        """Send a request by FastCGI; returns when the head is there."""
        return fcgi.get(self.address, path, **kw)

    def open(self, path, **kw):
        """Open a stream and wait until Redis has confirmed it."""
        response = self.get(path, **kw)
        assert response.status == 200, (response.status, response.rest())
        return response.opened()

    def connect(self, **kw):
        return fcgi.Connection(self.address, **kw)

    # What the status handler says: the one place that knows its names.

    def status(self):
        with self.get(self.sections["server"].get("base", "") + "/status") as response:
            assert response.status == 200
            return response.json()

    def wait_status(self, name, value, seconds=5.0):
        last = {}

        def reached():
            last.update(self.status())
            return last[name] == value
        try:
            wait_for(reached, "", seconds)
        except Timeout:
            raise Timeout(f"status never said {name} = {value}; at last: {last}") from None

    def wait_subscribers(self, n, seconds=5.0):
        self.wait_status("subscribers", n, seconds)

    def dropped(self, reason=None):
        """Messages that were not sent, for one reason or for all."""
        status = self.status()
        if reason:
            return status[f"dropped_{reason}"]
        return sum(n for name, n in status.items() if name.startswith("dropped_"))

    def replaced(self):
        """Bytes that were not UTF-8."""
        return self.status()["utf8_replaced"]
