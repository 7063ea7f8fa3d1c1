"""tests/run counts what the runners say; what is soon is so on a loaded machine, too, and what is not is not."""

import importlib.machinery
import importlib.util
import threading
import time

import pytest

from program import ROOT
from waiting import soon


@pytest.fixture(scope="module")
def runner():
    loader = importlib.machinery.SourceFileLoader("tests_run", str(ROOT / "tests" / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tests_run", loader))
    loader.exec_module(module)
    return module


FAILED_4 = """[  FAILED  ] limit_of_40
[==========] 5 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] 4 test(s), listed below:
[  FAILED  ] limit_of_40
[  FAILED  ] b
[  FAILED  ] c
[  FAILED  ] d

 4 FAILED TEST(S)
"""


@pytest.mark.parametrize("output, code, counts", [
    ("[==========] 3 test(s) run.\n[  PASSED  ] 3 test(s).\n", 0, (3, 0)),
    (FAILED_4, 4, (1, 4)),
    ("[  PASSED  ] 3 test(s).\n==1==ERROR: LeakSanitizer: detected memory leaks\n", 1, (3, 1)),
    ("[ RUN      ] a\nSegmentation fault\n", -11, (0, 1)),
    ("", 0, (0, 1)),
], ids=["all", "four of five", "a leak", "a crash", "nothing"])
def test_cmocka(runner, output, code, counts):
    assert runner.cmocka_counts(output, code) == counts


def test_every_group_has_its_tests(runner):
    """No list names a file: whatever is called test_* belongs to a group, and what runs alone is there."""
    files = {name for group in ("integration", "browser") for name, _ in runner.GROUPS[group]()}
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("*/test_*.py")}
    assert files == there
    assert runner.ALONE | set(runner.LONGEST) <= {runner.file_of(name) for group in runner.GROUPS.values() for name, _ in group()}


@pytest.mark.parametrize("is_spare, at_once", [(False, 2), (True, 5)], ids=["busy", "idle"])
def test_as_many_at_once_as_there_is_room_for(runner, monkeypatch, is_spare, at_once):
    """The processors decide between the two bounds, and each job's answer comes once."""
    monkeypatch.setattr(runner.Idleness, "is_spare", lambda self: is_spare)
    all_run = threading.Barrier(at_once)
    lock, n_running, most = threading.Lock(), 0, 0

    def run(job):
        nonlocal n_running, most
        with lock:
            n_running += 1
            most = max(most, n_running)
        all_run.wait(60)
        with lock:
            n_running -= 1
        return job
    jobs = list(range(2 * at_once))
    assert sorted(runner.as_they_end(jobs, run, 2, 5)) == jobs
    assert most <= at_once


def test_idleness(runner, monkeypatch, tmp_path):
    """By what the kernel counts: user, nice, system, idle, waiting for a disk, and more."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n")
    idleness = runner.Idleness(stat)
    assert not idleness.is_spare(), "it has only just begun"
    stat.write_text("cpu  130 0 130 730 110 0 0 0 0 0\n")
    assert idleness.look() == 0.4
    assert idleness.look() == 0, "nothing has passed since"
    monkeypatch.setattr(runner, "IDLE_SECONDS", 0)
    stat.write_text("cpu  130 0 130 830 110 0 0 0 0 0\n")
    assert idleness.is_spare()
    assert runner.Idleness(tmp_path / "none").look() == 0


def test_soon():
    assert soon(time.monotonic(), 1)
    assert not soon(time.monotonic() - 3600, 1), "however crowded it is"
