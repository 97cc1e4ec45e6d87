"""The mutation table: the recorded example stays green unchanged, and each single change of it goes red."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from full import FULL
from inner_runs import pytest_in

from .table import EXAMPLE, MUTATIONS, apply

MOST_LINES = 25
DRIVERS = ("sync", "streaming", "threads", "async")
RUNS = 10 if FULL else 1


def failures(output):
    """The text of each failed test, by the test's name."""
    body = output.partition("= FAILURES =")[2].partition("= short test summary")[0]
    parts = re.split(r"^_+ (test_\w+) _+$", body, flags=re.MULTILINE)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    return {
        name: re.sub(r"^(=+.*|sparrow: .*)$", "", text, flags=re.MULTILINE).strip()
        for name, text in texts.items()
    }


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A copy of the example, recorded against its own provider."""
    folder = tmp_path_factory.mktemp("recorded") / "support_agent"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__sparrow__", "__pycache__"))
    code, output = pytest_in(folder, "--sparrow-record")
    assert (code, "4 recorded" in output) == (0, True), output
    return folder


@pytest.fixture
def copy(recorded, tmp_path):
    """A copy of the recorded example, goldens and all."""
    return shutil.copytree(recorded, tmp_path / "support_agent", ignore=shutil.ignore_patterns("__pycache__"))


def snapshot(folder):
    """Every file of the goldens with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("__sparrow__/**/*")) if path.is_file()}


def test_unchanged_stays_green_again_and_again(copy):
    """An unchanged agent replays green every time, and nothing is written.

    So it does when two workers share the tests, and the summary counts both workers' tests.
    """
    before = snapshot(copy)
    for workers in (*[()] * RUNS, ("-n", "2")):
        code, output = pytest_in(copy, "--sparrow-replay", *workers)
        assert (code, "4 replayed equal" in output) == (0, True), output
    assert snapshot(copy) == before


def test_recording_again_unchanged_touches_no_byte(copy):
    """The provider's ids are new on every call; a golden that is otherwise equal stays as it is."""
    before = snapshot(copy)
    code, output = pytest_in(copy, "--sparrow-record")
    assert (code, "4 recorded again, unchanged" in output) == (0, True), output
    assert snapshot(copy) == before


def mutate(mutation, folder):
    """Add an agent with one change, and its tests and goldens, all named by the mutation; returns the tests' names."""
    module = mutation.name.replace("-", "_")
    unchanged = (folder / mutation.file).read_text(encoding="utf-8")
    apply(mutation, folder)
    changed = (folder / mutation.file).rename(folder / f"{module}.py")
    (folder / mutation.file).write_text(unchanged, encoding="utf-8")
    text = (folder / "test_support.py").read_text(encoding="utf-8")
    text = text.replace(f"from {Path(mutation.file).stem} import", f"from {changed.stem} import")
    (folder / f"test_{module}.py").write_text(
        re.sub(r"def (test_\w+)", rf"def \1_{module}", text), encoding="utf-8"
    )
    goldens = folder / "__sparrow__"
    for driver in DRIVERS:
        new = goldens / f"test_{module}" / f"test_{driver}_{module}"
        shutil.copytree(goldens / "test_support" / f"test_{driver}", new)
    return [f"test_{driver}_{module}" for driver in DRIVERS]


@pytest.fixture(scope="module")
def mutated(recorded, tmp_path_factory):
    """The text of each failure of all changed agents in one replay; nothing else fails, and no golden is written."""
    folder = shutil.copytree(recorded, tmp_path_factory.mktemp("mutated") / "support_agent")
    names = {mutation.name: mutate(mutation, folder) for mutation in MUTATIONS}
    before = snapshot(folder)
    code, output = pytest_in(folder, "--sparrow-replay")
    assert code == 1, output
    waiting = {path for path in snapshot(folder) if "review" in path.parts}
    assert {path: data for path, data in snapshot(folder).items() if path not in waiting} == before
    texts = failures(output)
    assert {*texts} <= {test for tests in names.values() for test in tests}, output
    return {name: {test: texts[test] for test in tests if test in texts} for name, tests in names.items()}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_goes_red_and_says_why(mutation, mutated):
    """In every driver: red, in at most 25 lines of ours, with the changed path and both values."""
    texts = mutated[mutation.name]
    assert len(texts) == len(DRIVERS), texts
    for text in texts.values():
        assert len(text.splitlines()) <= MOST_LINES, text
        assert all(wanted in text for wanted in mutation.shows), text
        assert "Traceback" not in text
        assert "pytest_sparrow/" not in text
