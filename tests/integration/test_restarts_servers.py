"""A restart of the program, each kind behind each web server: no client is told an error, all are back, and not at once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))
import crowd  # noqa: E402


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
