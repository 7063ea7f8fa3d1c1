"""What was published, what each client was sent, and which promise was broken.

It knows nothing of Sluice but what its users are promised: on a stream and a recorded channel everything arrives, once
and in order, unless Redis lost what was sent: then that is told, and what came in its stead may be older; on a channel
what is missing is told by an event before the next one; of a queue everything is given to somebody. Pure: logs in, findings out.
"""

import json
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field

KINDS = ("lost", "doubled", "out of order", "forged", "missing at the end")


def check_of(source, n):
    return zlib.crc32(f"{source} {n}".encode())


@dataclass
class Published:
    """One source: numbers from 1 on, each acknowledged or not (it may have arrived all the same)."""

    source: str
    sent: int = 0
    at: dict = field(default_factory=dict)  # when each was sent
    acked: set = field(default_factory=set)
    gone: set = field(default_factory=set)  # acknowledged, and lost by Redis
    turn: threading.Lock = field(default_factory=threading.Lock)  # from taking a number until it is published

    def next(self, now, more=None):
        """The next number, and its message."""
        self.sent += 1
        n = self.sent
        self.at[n] = now
        return n, json.dumps({"source": self.source, "n": n, "at": now, "check": check_of(self.source, n), **(more or {})})

    def keep(self, texts):
        """Only these are there at the end. What is newer than the first of them, and is none of them, has gone, acknowledged or not; what is older was trimmed."""
        held = {json.loads(t)["n"] for t in texts}
        self.gone = {n for n in self.acked if n not in held and n > min(held, default=0)}
        self.acked -= self.gone

    def is_ours(self, message):
        return (message.get("source") == self.source and 0 < message.get("n", 0) <= self.sent
                and message.get("check") == check_of(self.source, message["n"]))


class Reading:
    """One client's view of one source: numbers, and when it was told that some may be missing."""

    def __init__(self, published):
        self.published, self.last, self.seen, self.was_told = published, 0, set(), False
        self.newest = 0  # since it was last told: what comes then may be older than what it had
        self.findings, self.lost, self.lost_and_told = Counter(), set(), set()

    def told(self):
        self.was_told = True
        self.newest = 0

    def message(self, message):
        if not self.published.is_ours(message):
            self.findings["forged"] += 1
            return
        n = message["n"]
        if n in self.seen:
            self.findings["doubled"] += 1
        elif n < self.newest:
            self.findings["out of order"] += 1
        elif n < self.last:
            self.lost.discard(n)
            self.lost_and_told.discard(n)
        elif self.last > 0:
            self._gap(n)
        self.seen.add(n)
        self.newest = max(self.newest, n)
        self.last = max(self.last, n)
        self.was_told = False

    def _gap(self, n):
        missing = {k for k in range(self.last + 1, n) if k in self.published.acked}
        if self.was_told:
            self.lost_and_told |= missing
        else:
            self.lost |= missing

    def end(self):
        """Everything has had its time: what was acknowledged last must be there."""
        if self.lost:
            self.findings["lost"] += len(self.lost)
        if self.published.acked and not self.was_told:
            self.findings["missing at the end"] += sum(1 for k in self.published.acked if k > self.last)


def judge(log, published, may_be_told):
    """Findings of one client. `log` has ("told", source or None), ("message", message) in the order of arrival;
    `published` is {source: Published} of what it follows. Without `may_be_told` a gap is one, told or not."""
    readings = {source: Reading(p) for source, p in published.items()}
    findings = Counter()
    for kind, what in log:
        if kind == "told":
            for source, reading in readings.items():
                if what in (None, source):
                    reading.told()
        elif kind == "message" and isinstance(what, dict) and what.get("source") in readings:
            readings[what["source"]].message(what)
        elif kind == "message":
            findings["forged"] += 1
    told = 0
    for reading in readings.values():
        reading.end()
        findings += reading.findings
        told += len(reading.lost_and_told)
    if not may_be_told:
        findings["lost"] += told
    return +findings, told


def judge_queue(logs, published):
    """Each acknowledged entry was given to somebody: those that were not."""
    given = {what["n"] for log in logs for kind, what in log if kind == "message" and published.is_ours(what)}
    return sorted(published.acked - given)
