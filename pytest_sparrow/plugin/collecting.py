"""Collects a project's tests for the console script, and says which goldens belong to none of them."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.errors import SparrowError, UsageError
from pytest_sparrow.plugin.session import SESSION

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

_MOST_LINES = 15
"""The most lines of pytest's own output that an error shows."""


class NotCollected(SparrowError):
    """pytest could not collect the tests; the text holds the end of its output."""


class _Look:
    """Asks which goldens no test owns, once pytest has collected."""

    def __init__(self) -> None:
        self.found: list[Path] = []
        self._items: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, Any]:
        self._items = list(items)  # also those that an option of the ini file leaves out
        return (yield)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        state = session.config.stash[SESSION]
        self.found = list(state.collected.without_test(self._items, state.settings.dir))


def without_test(paths: Sequence[str]) -> list[Path]:
    """The goldens that belong to no test, below what pytest collects.

    Args:
        paths: what pytest is to collect; none: what it collects by itself.

    Raises:
        UsageError: pytest refuses the paths or its configuration.
        NotCollected: a file of tests could not be collected.
    """
    look, output = _Look(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *paths], plugins=[look])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return look.found
    last = output.getvalue().splitlines()[-_MOST_LINES:]
    text = "\n".join(["the tests could not be collected, so nothing is known of their goldens", *last])
    raise (UsageError if code == pytest.ExitCode.USAGE_ERROR else NotCollected)(text)
