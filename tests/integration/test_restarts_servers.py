"""A restart of the program, each kind behind each web server: no client is told an error, all are back, and not at once."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))
import crowd  # noqa: E402
import strikes  # noqa: E402
from processes import is_alive, processes_of  # noqa: E402
from program import IS_VALGRIND  # noqa: E402
from waiting import wait_for  # noqa: E402


@pytest.mark.parametrize("kind", ["held", "overlap", "usr2", "reload"])
@pytest.mark.parametrize("server", [crowd.Lighttpd, crowd.Nginx])
def test_nobody_is_told_an_error(folder, server, kind):
    out = crowd.run(folder, server, kind, 200, "2s")
    assert set(out.statuses) == {200}
    assert len(out.back) >= 200
    # When each was told to return, which a loaded machine moves but little, unless they are ended one after the other; when they are there
    # is judged by `make crowd`.
    slow = out.slow if kind == "usr2" else 1
    assert crowd.busiest(out.told) <= crowd.MOST * out.evenly * slow


@pytest.mark.skipif(IS_VALGRIND, reason="it would execute valgrind alone")
@pytest.mark.parametrize("has_successor", [False, True])
def test_chaos_leaves_no_process_behind(launch, redis, has_successor):
    """Not even one that it never learned of, because the strike that has started it went wrong."""
    sluice = launch({"x": {"path": "/x", "channels": "x"}}, server={"drain": "1s"})
    program = strikes.Program(sluice)
    os.kill(program.pid, signal.SIGUSR2)
    if has_successor:
        wait_for(lambda: not is_alive(program.pid), "its successor serves", 20)
        assert processes_of(sluice.config)
    assert program.end() == []
    assert processes_of(sluice.config) == []
