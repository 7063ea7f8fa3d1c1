"""The commands of the how-to pages run as they stand, in the order of each page: see test_docs_pages.py."""

import pytest

from test_docs_pages import RUN, run_commands


@pytest.mark.parametrize("name", [name for name in RUN if name.startswith("howto/")])
def test_commands_run(name, folder, redis, launch, serve):
    run_commands(name, folder, redis, launch, serve)
