"""Recorded traffic through the whole plugin: recorded with a real SDK, then replayed with the server off."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inner_runs import pytest_in

from pytest_sparrow.store import load_transcript

from .table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.events import Event

    from .drivers import Driver
    from .serving import Cassette

__all__ = ["Runs", "check_events", "check_replays", "record_and_replay"]

_TESTS = Path(__file__).parents[1]

_LIBRARIES = {
    "chat": "import openai, groq, mistralai.client",
    "responses": "import openai",
    "anthropic": "import anthropic",
    "gemini": "from google import genai",
}
"""What drives cassettes; imported at the top, so that the process that the runs are forked from has loaded it."""

_INNER = """
import json
import os
from pathlib import Path

import pytest

from cassettes.drivers import DRIVERS
from cassettes.serving import serve

DRIVER = DRIVERS[os.environ["DRIVER"]]
CASES = DRIVER.cases()


@pytest.mark.parametrize("number", range(len(CASES)))
def test_cassette(sparrow, number):
    cassette, way = CASES[number]

    def run(root):
        return [DRIVER.drive(root, each, way) for each in cassette.interactions]

    if sparrow.golden is None:
        with serve(cassette) as served:
            results = run(served.root)
    else:
        results = run("http://127.0.0.1:9")
    out = Path(os.environ["OUT"], f"{number}.json")
    out.write_text(json.dumps({"name": cassette.name, "way": way, "results": results, "golden": sparrow.run_id}))
"""


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


def record_and_replay(folder: Path, driver: Driver) -> Runs:
    """Drive all of a driver's cassettes in two inner pytest runs."""
    (folder / "test_inner.py").write_text(f"{_LIBRARIES[driver.name]}\n{_INNER}")
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(_TESTS)!r})\n")
    found = {}
    for mode in ("record", "replay"):
        out = folder / mode
        out.mkdir()
        code, output = pytest_in(folder, f"--sparrow-{mode}", OUT=str(out), DRIVER=driver.name)
        assert code == 0, output
        read = [json.loads(path.read_text()) for path in out.iterdir()]
        found[mode] = {(each["name"], each["way"]): each for each in read}
    goldens = folder / "__sparrow__" / "test_inner"
    return Runs(driver=driver, record=found["record"], replay=found["replay"], goldens=goldens)


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
