"""What pytest collected: whether a session ran every test, and which goldens belong to no test.

The process that collects notes it; under pytest-xdist each worker does, and sends at its end what it noted. The process
that reports judges once, after a complete and green session in which a test used sparrow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.golden import FIXTURES, place_of
from pytest_sparrow.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SENT = "sparrow"
"""The key of what a worker sends at its end."""

_FILTERS = ("keyword", "markexpr", "deselect", "lf", "stepwise", "ignore", "ignore_glob")
"""pytest's options that leave tests out."""

_USUAL_FOLDER = Settings().dir


@dataclass(slots=True, eq=False, repr=False)
class Collected:
    """What was collected in this process, or in the workers of this session.

    Attributes:
        goldens: the folders of goldens that pytest met on its way.
        files: the test files of which every test is known.
        left_out: an option or a plugin left tests out.
        stopped: the session was stopped, or a worker of it crashed.
        ownerless: the goldens that no test owns, from the workers.
        named: a test file, or a conftest.py above it, names the fixture; noted in replays.
    """

    goldens: set[Path] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)
    left_out: bool = False
    stopped: bool = False
    ownerless: set[str] = field(default_factory=set)
    named: bool = False

    def meet(self, path: Path, directory: str) -> bool | None:
        """Note a folder of goldens; True where pytest need not look for tests in it.

        Args:
            path: a file or folder that pytest is about to collect.
            directory: the name of the goldens' folders.
        """
        if path.name != directory or not path.is_dir():
            return None
        self.goldens.add(path)
        # A folder of another name may hold tests, too.
        return True if directory == _USUAL_FOLDER else None

    def note(self, collector: pytest.Collector, report: pytest.CollectReport) -> None:
        """Note a file that was collected; one that skips itself may hold any test."""
        if isinstance(collector, pytest.File) and report.passed:
            self.files.add(collector.path)

    def is_whole(self, config: pytest.Config) -> bool:
        """Whether the session ran every test of the project."""
        if self.left_out or self.stopped or any(config.getoption(name, None) for name in _FILTERS):
            return False
        if config.args_source is config.ArgsSource.TESTPATHS:
            return True
        start = config.invocation_params.dir
        given = {Path(os.path.normpath(start / path)) for path in config.args}
        listed = {config.rootpath / path for path in config.getini("testpaths")}
        return config.rootpath in given or (bool(listed) and given == listed)

    def without_test(self, items: Iterable[pytest.Item], directory: str) -> Iterator[Path]:
        """The goldens that no collected test owns, of the files of which every test is known.

        Args:
            items: all tests.
            directory: the name of the goldens' folders.
        """
        from pytest_sparrow.store.finding import finished_runs
        from pytest_sparrow.store.goldens import module_files, recorded_beside

        owned: dict[Path, set[str]] = {}
        for item in items:
            place = place_of(item, directory, _named_golden(item))
            owned.setdefault(place.directory, set()).add(place.run_id)
        for goldens in sorted(self.goldens):
            files = module_files(goldens)
            for store in sorted(goldens.iterdir()):
                if store.name.startswith(".") or not self.files.issuperset(files.get(store.name, ())):
                    continue
                for run_id in finished_runs(store):
                    test, _, further = run_id.partition("+")
                    if test not in owned.get(store, ()):
                        yield store / run_id
                    elif further and further != FIXTURES:
                        recorded = recorded_beside(store / test)
                        if recorded is not None and run_id not in recorded:
                            yield store / run_id

    def send(self, session: pytest.Session, output: dict[str, Any], directory: str, *, used: bool) -> None:
        """Hand a worker's notes to the process that reports.

        Args:
            session: the worker's session.
            output: what the worker sends.
            directory: the name of the goldens' folders.
            used: whether a test of this worker used sparrow.
        """
        found = self.without_test(session.items, directory) if used and not self.left_out else ()
        output[_SENT] = {"left_out": self.left_out, "ownerless": list(map(str, found))}

    def receive(self, output: dict[str, Any]) -> None:
        """Add what a worker sent; one that crashed sent nothing."""
        sent = output.get(_SENT)
        if sent is None:
            self.stopped = True
            return
        self.left_out = self.left_out or sent["left_out"]
        self.ownerless.update(sent["ownerless"])


def _named_golden(item: pytest.Item) -> str:
    """The other test's name, if the test replays another test's golden; else ""."""
    named = (marker.kwargs.get("golden") for marker in item.iter_markers("sparrow"))
    return next((name for name in named if name), "")
