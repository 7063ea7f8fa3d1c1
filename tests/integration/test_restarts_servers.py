"""A restart of the program, each kind behind each web server: no client is told an error, all are back, and not at once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))
import crowd  # noqa: E402


@pytest.mark.parametrize("kind", ["held", "overlap", "usr2", "reload"])
@pytest.mark.parametrize("server", [crowd.Lighttpd, crowd.Nginx])
def test_nobody_is_told_an_error(folder, server, kind):
    statuses, back, busiest, _ = crowd.run(folder, server, kind, 100, "2s")
    assert set(statuses) == {200}
    assert len(back) >= 100 and busiest <= 80, "spread over more than a second"
