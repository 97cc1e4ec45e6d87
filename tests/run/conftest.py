"""What tests of this room share."""

from __future__ import annotations

import pytest

from pytest_sparrow.boundaries.world import strands
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.run.context import close_window, open_window
from run.making import run_of


@pytest.fixture
def open_run():
    """Opens a run of these parts: of a golden's exchanges, a run that replays them."""
    opened = []

    def open_run(**parts):
        run = run_of(wire=Wire(()), **parts)
        opened.append((run, open_window(run)))
        strands.PATCHES.install()
        run.body_begins()
        return run

    yield open_run
    for run, token in reversed(opened):
        strands.PATCHES.uninstall()
        close_window(run, token)
