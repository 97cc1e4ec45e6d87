"""Recorded traffic through the whole plugin: recorded with a real SDK, then replayed with the server off."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inner_runs import pytest_in

from pytest_sparrow.store import load_transcript

from .drivers import INSTALLED
from .table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.events import Event

    from .drivers import Driver
    from .serving import Cassette

__all__ = ["Facts", "Runs", "check_events", "check_replays", "record_and_replay", "run_both"]

_TESTS = Path(__file__).parents[1]

_BOTH = """
import os
import sys

import pytest

OUT = os.environ["OUT"]
for mode in ("record", "replay"):
    os.environ["OUT"] = os.path.join(OUT, mode)
    if code := pytest.main([*sys.argv[1:], f"--sparrow-{mode}"]):
        sys.exit(code)
"""
"""Runs pytest twice: what libraries load and build at their first use takes longer than all of their calls."""

# The SDKs stand at the top, so that the process that the runs are forked from has loaded them.
_SDKS = "".join(f"import {sdk}\n" for sdk in sorted({driver.sdk for driver in INSTALLED.values()}))

_INNER = (
    _SDKS
    + """
import json
import os
from pathlib import Path

import groq
import mistralai.client
import pytest

from cassettes.drivers import INSTALLED
from cassettes.serving import serve

CASES = {
    f"{driver.name}-{number}": (driver, *case)
    for driver in INSTALLED.values()
    for number, case in enumerate(driver.cases())
}


@pytest.mark.parametrize("name", CASES)
def test_cassette(sparrow, name):
    driver, cassette, way = CASES[name]

    def run(root):
        return [driver.drive(root, each, way) for each in cassette.interactions]

    if sparrow.golden is None:
        with serve(cassette) as served:
            results = run(served.root)
    else:
        results = run("http://127.0.0.1:9")
    found = {"driver": driver.name, "name": cassette.name, "way": way, "results": results, "golden": sparrow.run_id}
    Path(os.environ["OUT"], f"{name}.json").write_text(json.dumps(found))
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What an SDK returned while recording and in replay.

    Attributes:
        driver: how the cassettes were driven.
        record: by cassette's name and way, what was written while recording.
        replay: the same in replay.
        goldens: where the recordings lie.
    """

    driver: Driver
    record: Mapping[tuple[str, str], Any]
    replay: Mapping[tuple[str, str], Any]
    goldens: Path

    def equal(self, cassette: Cassette, way: str) -> bool:
        """Whether the SDK returned the same, with the server off."""
        return bool(self.record[cassette.name, way] == self.replay.get((cassette.name, way)))

    def results(self, cassette: Cassette, way: str) -> Any:
        """What the SDK returned, one entry an interaction."""
        return self.record[cassette.name, way]["results"]

    def events(self, cassette: Cassette, way: str) -> Sequence[Event]:
        """The events of the recording."""
        return load_transcript(self.goldens / self.record[cassette.name, way]["golden"]).events


def run_both(folder: Path, tests: str, **environ: str) -> dict[str, dict[str, Any]]:
    """Record a module of tests, and replay it; what its tests wrote to ``OUT``, by mode and name of the file.

    Args:
        folder: an empty folder.
        tests: the module.
        environ: environment variables of both runs.
    """
    (folder / "test_inner.py").write_text(tests)
    (folder / "both.py").write_text(_BOTH)
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(_TESTS)!r})\n")
    modes = ("record", "replay")
    for mode in modes:
        (folder / mode).mkdir()
    code, output = pytest_in(folder, program="both", OUT=str(folder), **environ)
    assert code == 0, output
    return {
        mode: {path.stem: json.loads(path.read_text()) for path in (folder / mode).iterdir()}
        for mode in modes
    }


def record_and_replay(folder: Path) -> dict[str, Runs]:
    """Drive the cassettes of all drivers, by the driver's name."""
    found = run_both(folder, _INNER)
    goldens = folder / "__sparrow__" / "test_inner"

    def results_of(mode: str, driver: Driver) -> dict[tuple[str, str], Any]:
        results = [each for each in found[mode].values() if each["driver"] == driver.name]
        return {(each["name"], each["way"]): each for each in results}

    return {
        name: Runs(
            driver=driver,
            record=results_of("record", driver),
            replay=results_of("replay", driver),
            goldens=goldens,
        )
        for name, driver in INSTALLED.items()
    }


def check_replays(runs: Runs) -> None:
    """What the SDK returns is equal, for every cassette in every way."""
    assert runs.replay == runs.record
    assert set(runs.record) == {(each.name, way) for each, way in runs.driver.cases()}


Facts = dict[str, tuple[list[Any], list[Any]]]
"""What the events tell and what the traffic holds, by kind: ``texts``, ``calls``, ``outputs``, ``usage``, and more."""


def check_events(
    runs: Runs,
    facts: Callable[[Cassette, Any, Sequence[Event]], Facts | None],
    tell: Callable[[Row], None],
) -> None:
    """Everything in the traffic is in the events; each recorded file gives a row of the table, whatever comes of it.

    Args:
        runs: the runs.
        facts: of one cassette, the SDK's results and the events; None where nothing can be said.
        tell: takes the rows.
    """
    files = {each.name for each in runs.driver.recorded()}
    wrong = []
    for cassette, way in runs.driver.cases():
        found = facts(cassette, runs.results(cassette, way), runs.events(cassette, way))
        if found is None:
            assert cassette.name not in files
            continue
        wrong += [(cassette.name, way, kind, *both) for kind, both in found.items() if both[0] != both[1]]
        if cassette.name in files:
            tell(_row(runs, cassette, way, found))
    for provider in runs.driver.providers if not files else ():
        tell(Row(provider=provider))
    assert wrong == []


def _row(runs: Runs, cassette: Cassette, way: str, found: Facts) -> Row:
    return Row(
        provider=runs.driver.provider(cassette),
        file=cassette.name,
        way=way,
        exchanges=cassette.exchanges,
        calls=len(cassette.interactions),
        equal=runs.equal(cassette, way),
        found={kind: (sum(_shared(*found[kind])), len(found[kind][1])) for kind in Row.KINDS},
    )


def _shared(found: list[Any], wanted: list[Any]) -> Iterator[int]:
    left = list(found)
    for each in wanted:
        if each in left:
            left.remove(each)
            yield 1
