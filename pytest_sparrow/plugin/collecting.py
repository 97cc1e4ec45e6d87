"""Markers are checked when tests are collected: a wrong one is a usage error, not a failing test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.plugin import corpus, faults
from pytest_sparrow.plugin.overrides import MARKER, marked
from pytest_sparrow.plugin.state import SESSION

if TYPE_CHECKING:
    import pytest

__all__ = ["check_markers"]


def check_markers(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read every test's markers once.

    Not in a worker of pytest-xdist, where a usage error is a crash without words: there each such test fails.

    Raises:
        pytest.UsageError: a marker is wrong; the text names the test and the valid keys or values.
    """
    if hasattr(config, "workerinput"):
        return
    session = config.stash[SESSION]
    for item in items:
        corpus.check(item)
        faults.check(item)
        if item.get_closest_marker(MARKER) is not None:
            marked(item, session, session.settings)
