"""What strikes: each of these begins, lasts, and is over again; the program is then as it was."""

import os
import re
import signal
import time

from processes import Child, children_of, is_alive
from waiting import wait_for


class Program:
    """Sluice under strikes: its process may be another one after each."""

    def __init__(self, sluice):
        self.sluice, self.pid, self.n = sluice, sluice.child.pid, 0
        self.old = []  # children that drain

    def workers(self):
        return [w for w in children_of(self.pid) if is_alive(w)]

    def start(self):
        self.n += 1
        child = Child(f"sluice{self.n}", self.sluice.argv("serve", "-c", self.sluice.config), self.sluice.folder,
                      env=self.sluice.reports.environment())
        child.wait_ready(lambda: "serves" in child.text(), 15)
        self.old.append(self.sluice.child)
        self.sluice.child, self.pid = child, child.pid

    def log(self):
        text = "\n".join(p.read_text(errors="replace") for p in sorted(self.sluice.folder.glob("sluice*.out")))
        return "\n".join(line for line in text.split("\n") if "POST to" not in line)

    def end(self):
        """All that is left, well: who was told to end has ended with 0."""
        for child in self.old:
            child.wait(20)
        os.kill(self.pid, signal.SIGTERM)
        wait_for(lambda: not is_alive(self.pid), "the last program has ended", 20)
        self.sluice.child = None
        self.sluice.reports.check()


class Strikes:
    """Each is a method: it takes how long it lasts, and returns when it is over."""

    def __init__(self, program, redis, servers, random):
        self.program, self.redis, self.servers, self.random = program, redis, servers, random

    def redis_killed(self, seconds):
        self.redis.kill()
        time.sleep(seconds)
        self.redis.start()

    def redis_stopped(self, seconds):
        self.redis.child.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.redis.child.send_signal(signal.SIGCONT)

    def redis_busy(self, seconds):
        self.redis.client().execute_command("DEBUG", "SLEEP", f"{seconds:.1f}")

    def links_cut(self, _seconds):
        client = self.redis.client()
        for one in client.client_list():
            if one["name"]:
                client.client_kill_filter(_id=one["id"])

    def one_link_cut(self, _seconds):
        client = self.redis.client()
        named = [one for one in client.client_list() if one["name"]]
        if named:  # beside another strike there may be none
            client.client_kill_filter(_id=self.random.choice(named)["id"])

    def worker_killed(self, _seconds):
        os.kill(self.random.choice(self.program.workers()), signal.SIGKILL)

    def worker_stopped(self, _seconds):
        worker = self.random.choice(self.program.workers())
        os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: not is_alive(worker), "the watchdog has ended it", 10)

    def reloaded(self, _seconds):
        sections = self.program.sluice.sections
        sections["route stream"]["history"] = sections["route stream"].get("history", 1000) + 1
        sections["server"]["log_level"] = "info"
        self.program.sluice.write_config()
        os.kill(self.program.pid, signal.SIGHUP)

    def restarted(self, _seconds):
        """The plain way: TERM, and the new one is started while the old one drains."""
        os.kill(self.program.pid, signal.SIGTERM)
        self.program.start()

    def replaced(self, _seconds):
        """USR2."""
        before = self.program.pid
        os.kill(before, signal.SIGUSR2)

        def successor():
            found = re.findall(r"USR2: process (\d+) serves", self.program.log())
            return found and int(found[-1]) != before and is_alive(int(found[-1])) and int(found[-1])
        wait_for(successor, "the new program serves", 15)
        self.program.pid = successor()

    def supervisor_killed(self, _seconds):
        killed = self.program.pid
        os.kill(killed, signal.SIGKILL)
        child = self.program.sluice.child
        self.program.start()
        if child in self.program.old and child.pid == killed:
            self.program.old.remove(child)
            child.wait(10)

    def web_server_restarted(self, seconds):
        server = self.random.choice(self.servers)
        server.stop()
        time.sleep(seconds / 4)
        server.start_again()


ALL = [name for name in vars(Strikes) if not name.startswith("_")]
# What cuts off requests that a process had accepted, so that a web server can say nothing but 5xx to them.
CRASHES = {"worker_killed", "worker_stopped", "supervisor_killed"}
