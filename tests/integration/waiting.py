"""Waiting for conditions. No test sleeps for a fixed time and hopes."""

import time

from program import SLOW


class Timeout(AssertionError):
    """A condition did not come true in time."""


def deadline(seconds):
    """The monotonic time at which `seconds`, stretched for slow builds, are over."""
    return time.monotonic() + seconds * SLOW


def left(until):
    """Seconds until the deadline; 0 if it has passed."""
    return max(0.0, until - time.monotonic())


def wait_for(condition, what, seconds=5.0, every=0.01):
    """Ask until `condition()` is true, and return what it said.

    `what` is for the reader of the failure; it may be a function, called only then.
    """
    until = deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            text = what() if callable(what) else what
            raise Timeout(f"not within {seconds * SLOW:g} s: {text}")
        time.sleep(every)
