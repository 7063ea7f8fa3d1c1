"""Child processes: started in the foreground, ended by their pid, and never left behind."""

import os
import random
import signal
import socket
import subprocess
from pathlib import Path

from program import IS_INSTRUMENTED
from waiting import Timeout, patient, wait_for


# A node of a Redis Cluster listens 10,000 higher, too. Both are below those that the kernel gives to whoever asks for any.
PORTS = range(10_000, 20_000)
_held = []  # a socket with the name of each port, for as long as this process lives


def free_port():
    """A loopback port that nobody uses, and that no other test is given meanwhile: it may be used later, again, or never."""
    while True:
        port, name = random.choice(PORTS), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0sluice-tests-{port}")
            for number in port, port + 10_000:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            name.close()
            continue
        _held.append(name)
        return port


def family_of(address):
    """The address is a path, or (host, port)."""
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def accepts(address):
    """Does somebody answer at the path or (host, port)?"""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as s:
        s.settimeout(1)
        try:
            s.connect(address)
            return True
        except OSError:
            return False


class Child:
    """A child process. Its output is kept in a file and shown when something goes wrong."""

    def __init__(self, name, argv, folder, **popen):
        self.name = name
        self.output = Path(folder) / f"{name}.out"
        # setpriv executes the program itself, so the pid is the program's; should the tests
        # be killed, the kernel ends it too.
        argv = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)]
        self.argv = argv
        popen.setdefault("stdin", subprocess.DEVNULL)
        with open(self.output, "ab") as out:
            popen.setdefault("stdout", out)
            popen.setdefault("stderr", out)
            self.process = subprocess.Popen(argv, **popen)

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return self.output.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait_ready(self, is_ready, seconds=10.0):
        """Wait until `is_ready()`; if the process ends first, say what it wrote."""
        def ready_or_dead():
            return is_ready() or not self.is_running()
        try:
            wait_for(ready_or_dead, f"{self.name} is ready", seconds)
        except Timeout as e:
            raise Timeout(f"{e}\n{self.text()}") from None
        if not self.is_running():
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.text()}")

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=10.0):
        """The exit code: negative for a signal."""
        try:
            return self.process.wait(patient(seconds))
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still runs after {patient(seconds):g} s\n{self.text()}") from None

    def end(self, number=signal.SIGTERM, seconds=10.0):
        """End it, by force if it must be. Returns the exit code."""
        if self.is_running():
            self.send_signal(number)
        try:
            return self.wait(seconds)
        finally:
            if self.is_running():
                self.process.kill()
                self.process.wait()


def children_of(pid):
    """The pids of a process's children."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def parent_of(pid):
    """The pid of its parent, 0 if it has ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def processes_of(argument):
    """The pids of all processes that were started with this argument, whoever their parent is by now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if str(argument).encode() in argv and is_alive(int(folder.name)):
            found.append(int(folder.name))
    return sorted(found)


def is_alive(pid):
    """Is there such a process, and is it more than a zombie? (One with threads left still holds its sockets.)"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def cpu_seconds(pid):
    """Processor time that the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    """Memory of the process that is its own (not shared with its siblings); 0 if that says nothing."""
    if IS_INSTRUMENTED:
        return 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no RssAnon for {pid}")


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
