"""What strikes: each of these begins, lasts, and is over again; the program is then as it was."""

import os
import re
import signal
import socket
import time

import redis as redis_client

from processes import Child, children_of, is_alive, parent_of, processes_of
from waiting import Timeout, wait_for


class Program:
    """Sluice under strikes: its process may be another one after each."""

    def __init__(self, sluice):
        self.sluice, self.pid, self.n = sluice, sluice.child.pid, 0
        self.old = []  # children that drain

    def workers(self):
        return [w for w in children_of(self.pid) if is_alive(w)]

    def start(self):
        self.n += 1
        child = Child(f"sluice{self.n:04}", self.sluice.argv("serve", "-c", self.sluice.config), self.sluice.folder,
                      env=self.sluice.reports.environment())
        self.old.append(self.sluice.child)
        self.sluice.child, self.pid = child, child.pid
        child.wait_ready(lambda: "serves" in child.text(), 15)

    def log(self):
        text = "\n".join(p.read_text(errors="replace") for p in sorted(self.sluice.folder.glob("sluice*.out")))
        return "\n".join(line for line in text.split("\n") if "POST to" not in line)

    def processes(self):
        """Each that is there, supervisors first; one that USR2 has started is nobody's child by now."""
        return processes_of(self.sluice.config)

    def end(self):
        """All that is left is told to end. Returns what did not, or not well, which is then ended by force."""
        pids = self.processes()
        for pid in pids:
            if parent_of(pid) not in pids:
                send(pid, signal.SIGTERM)
        try:
            wait_for(lambda: not self.processes(), "", 20)
        except Timeout:
            pass  # the answer tells it
        behind = self.processes()
        for pid in behind:
            send(pid, signal.SIGKILL)
        children, self.old, self.sluice.child = [*self.old, self.sluice.child], [], None
        codes = {child: child.wait(20) for child in children}
        self.sluice.reports.check()
        return ([f"process {pid}" for pid in behind]
                + [f"{child.name}, which ended with {code}" for child, code in codes.items() if code != 0 and child.pid not in behind])


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # a worker ends with its supervisor


class Strikes:
    """Each is a method: it takes how long it lasts, and returns when it is over."""

    def __init__(self, program, redis, servers, random, published):
        self.program, self.redis, self.servers, self.random, self.published = program, redis, servers, random, published

    def redis_killed(self, seconds):
        self.redis.kill()
        time.sleep(seconds)
        self.redis.start()

    def redis_stopped(self, seconds):
        self.redis.process().send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.redis.process().send_signal(signal.SIGCONT)

    def redis_busy(self, seconds):
        self.redis.client().execute_command("DEBUG", "SLEEP", f"{seconds:.1f}")

    def redis_loading(self, seconds):
        """It is there again at once, and reads its data for as long."""
        n_entries = self.redis.client().info("persistence")["aof_current_size"] // 200 + 1
        self.redis.kill()
        self.redis.start("--key-load-delay", int(seconds * 1e6 / n_entries), "--loading-process-events-interval-bytes", 1024)
        self.redis.client().config_set("key-load-delay", 0)

    def redis_script_busy(self, seconds):
        """A script that does not end, until somebody kills it: BUSY to everybody else."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.redis.path())
            s.sendall(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
            time.sleep(seconds)
            client = self.redis.client()

            def is_killed():
                try:
                    return client.script_kill()
                except redis_client.ResponseError:
                    return False  # it has not begun, or not run for lua-time-limit
            wait_for(is_killed, "the script is killed", 20)

    def redis_full(self, seconds):
        """OOM to everything that writes, for nothing is evicted."""
        self.redis.client().config_set("maxmemory", 1)
        time.sleep(seconds)
        self.redis.client().config_set("maxmemory", 0)

    def redis_cannot_save(self, seconds):
        """MISCONF to everything that writes, since the last snapshot failed."""
        client, pid = self.redis.client(), self.redis.process().pid
        # Redis saves by itself, too: when a replica begins.
        wait_for(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], "no other save is under way", 20)
        client.config_set("save", "3600 1")
        client.config_set("rdb-key-save-delay", 1000000)
        before = children_of(pid)
        client.bgsave()
        (child,) = wait_for(lambda: [c for c in children_of(pid) if c not in before], "it saves", 20)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "it has failed", 20)
        time.sleep(seconds)
        client.config_set("rdb-key-save-delay", 0)
        client.config_set("save", "")

    def password_changed(self, seconds):
        """By somebody who tells the program's operator only later."""
        self.redis.change_password()
        time.sleep(seconds)
        self.program.sluice.sections["redis"].update(self.redis.link)
        self.program.sluice.write_config()
        os.kill(self.program.pid, signal.SIGHUP)

    def buffer_limit_hit(self, seconds):
        """Redis lets go of whoever does not read at once what is longer."""
        client = self.redis.client()

        def links():
            return {one["id"] for one in client.client_list(_type="pubsub")}
        before = links()
        client.config_set("client-output-buffer-limit", "pubsub 65536 0 0")
        for _ in range(3):
            with self.published["channel"].turn:
                n, text = self.published["channel"].next(0, {"pad": "x" * 100000})
                if client.publish("x:channel", text):
                    self.published["channel"].acked.add(n)
            time.sleep(seconds / 3)
        assert not before or before - links(), "none was cut"
        client.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")

    def failed_over(self, _seconds):
        self.redis.fail_over()

    def network_slow(self, seconds):
        delay = self.random.uniform(0.05, 0.3)
        self.on_networks("delay", delay, 0.0, seconds)

    def network_silent(self, seconds):
        """Nothing arrives, and nothing is closed; then all of it does."""
        self.on_networks("is_silent", True, False, seconds)

    def on_networks(self, what, value, usual, seconds):
        for network in self.redis.networks:
            setattr(network, what, value)
        time.sleep(seconds)
        for network in self.redis.networks:
            setattr(network, what, usual)

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
            """By what this one says: another that was replaced before may still drain."""
            found = re.findall(rf" {before} info USR2: process (\d+) serves", self.program.log())
            return int(found[-1]) if found else 0
        self.program.pid = wait_for(successor, "the new program serves", 15)

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


ALL = [name for name in vars(Strikes) if not name.startswith("_") and name != "on_networks"]
# What cuts off requests that a process had accepted, so that a web server can say nothing but 5xx to them.
CRASHES = {"worker_killed", "worker_stopped", "supervisor_killed"}


def can_be_together(names):
    """What changes the process, or Redis, twice at the same time is no fault that there is."""
    groups = [{"restarted", "replaced", "supervisor_killed", "worker_killed", "worker_stopped", "reloaded"},
              {"redis_killed", "redis_stopped", "redis_busy", "redis_loading", "redis_script_busy", "redis_full",
               "redis_cannot_save", "password_changed", "buffer_limit_hit", "failed_over", "links_cut", "one_link_cut"},
              {"network_slow", "network_silent"}]
    # The new password is read where the process stays what it is.
    return not any(set(names) <= g for g in groups) and not ("password_changed" in names and set(names) & groups[0])
