"""Waiting for conditions. No test sleeps for a fixed time and hopes, and none takes a loaded machine for a slow program."""

import collections
import os
import threading
import time

from program import SLOW


class Timeout(AssertionError):
    """A condition did not come true in time."""


# A loaded machine may need so long for what takes it milliseconds at other times. It costs nothing: each wait ends when its condition holds.
PATIENCE = 30.0


def patient(seconds):
    """How long to wait for what must come. Less than a second is a look at what is there, and stays one."""
    return max(seconds * SLOW, PATIENCE) if seconds >= 1 else seconds * SLOW


def deadline(seconds):
    """The monotonic time at which the patience for what must come is over."""
    return time.monotonic() + patient(seconds)


def moment(seconds):
    """The monotonic time at which `seconds`, stretched for slow builds, are over: for what must not come until then."""
    return time.monotonic() + seconds * SLOW


def left(until):
    """Seconds until the deadline; 0 if it has passed."""
    return max(0.0, until - time.monotonic())


def wait_for(condition, what, seconds=5.0, every=0.01):
    """Ask until `condition()` is true, and return what it said.

    `what` is for the reader of the failure; it may be a function, called only then.
    """
    until = deadline(max(seconds, 1))
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            text = what() if callable(what) else what
            raise Timeout(f"not within {patient(max(seconds, 1)):g} s: {text}")
        time.sleep(every)


class Pulse(threading.Thread):
    """How crowded the machine is, all the time: how late a short sleep ends, and how many want a processor."""

    EVERY = 0.01

    def __init__(self):
        super().__init__(daemon=True)
        self.beats = collections.deque(maxlen=60_000)  # (when, how late, how many for each processor)
        self.start()

    def run(self):
        while True:
            before = time.monotonic()
            time.sleep(self.EVERY)
            with open("/proc/loadavg") as f:
                running = int(f.read().split()[3].partition("/")[0])
            now = time.monotonic()
            self.beats.append((now, now - before - self.EVERY, running / (os.cpu_count() or 1)))

    def stretch(self, since):
        """By how much what was done since then has taken longer than on a machine of one's own; at least 1."""
        beats = [b for b in list(self.beats) if b[0] >= since] or list(self.beats)[-1:] or [(0, 0, 1)]
        late, running = (sum(b[i] for b in beats) / len(beats) for i in (1, 2))
        return max(1.0, 1 + late / self.EVERY, running)


def _work():
    began = time.perf_counter()
    for i in range(50_000):
        i * i % 7
    return time.perf_counter() - began


# This many times slower than the machine on which the bounds were chosen.
MACHINE = max(1.0, min(_work() for _ in range(5)) / 0.002)
_pulse = Pulse()


def bound(seconds, began):
    """Seconds, stretched for slow builds, slow machines, and those that others used since `began`, too.

    It tells a defect that costs several times as much: `seconds` must lie far above what is usual, and well below what the defect would cost.
    """
    return seconds * SLOW * MACHINE * _pulse.stretch(began)


def soon(began, seconds):
    """Are no more than `seconds` over since `began`? Stretched as bound() does."""
    took, may_take = time.monotonic() - began, bound(seconds, began)
    if took >= may_take:
        print(f"took {took:.3f} s, and may take {may_take:.3f} s")
    return took < may_take
