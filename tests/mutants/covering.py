"""Which test runs which line: a pytest plugin that names the running test to coverage; a reader of what it noted."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["covering"]

_TIMES = "SPARROW_MUTANTS_TIMES"
_DEPTH = "SPARROW_MUTANTS_INSIDE"
_taken: dict[str, float] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Say whose lines come now. Tests that run inside a test are part of it."""
    import coverage

    running = coverage.Coverage.current()
    if running is None or os.environ.get(_DEPTH):
        return (yield)
    os.environ[_DEPTH] = item.nodeid
    running.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        running.switch_context("")
        del os.environ[_DEPTH]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How long each test takes; one that failed tells nothing."""
    if not os.environ.get(_DEPTH) or os.environ[_DEPTH] == report.nodeid:
        _taken[report.nodeid] = _taken.get(report.nodeid, 0.0) + report.duration
        if report.outcome != "passed":
            _taken[report.nodeid] = float("inf")


def pytest_sessionfinish() -> None:
    """Leave the times where the reader finds them."""
    if os.environ.get(_TIMES) and not os.environ.get(_DEPTH):
        Path(os.environ[_TIMES]).write_text(json.dumps(_taken), encoding="utf-8")


def covering(data: Path, times: Path) -> dict[str, dict[int, list[tuple[float, str]]]]:
    """For each file and line the tests that run it, the quickest first, with their seconds."""
    import coverage

    taken: dict[str, float] = json.loads(times.read_text(encoding="utf-8"))
    noted = coverage.CoverageData(str(data))
    noted.read()
    found: dict[str, dict[int, list[tuple[float, str]]]] = defaultdict(dict)
    for file in noted.measured_files():
        for line, contexts in noted.contexts_by_lineno(file).items():
            tests = [(taken.get(test, float("inf")), test) for test in contexts if test]
            found[file][line] = sorted(test for test in tests if test[0] != float("inf"))
    return found
