"""The mutation table: the recorded example stays green unchanged, and each single change of it goes red."""

from __future__ import annotations

import re
import shutil

import pytest
from full import FULL
from inner_runs import pytest_in

from .table import EXAMPLE, MUTATIONS, apply

MOST_LINES = 25
DRIVERS = ("sync", "streaming", "threads", "async")
RUNS = 10 if FULL else 2


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
    """An unchanged agent replays green every time, and nothing is written."""
    before = snapshot(copy)
    for _ in range(RUNS):
        code, output = pytest_in(copy, "--sparrow-replay")
        assert (code, "4 replayed equal" in output) == (0, True), output
    assert snapshot(copy) == before


def test_unchanged_stays_green_under_xdist(copy):
    """An unchanged agent is green when two workers share the tests, and the summary counts both workers' tests."""
    code, output = pytest_in(copy, "--sparrow-replay", "-n", "2")
    assert (code, "4 replayed equal" in output) == (0, True), output


def test_recording_again_unchanged_touches_no_byte(copy):
    """The provider's ids are new on every call; a golden that is otherwise equal stays as it is."""
    before = snapshot(copy)
    code, output = pytest_in(copy, "--sparrow-record")
    assert (code, "4 recorded again, unchanged" in output) == (0, True), output
    assert snapshot(copy) == before


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_goes_red_and_says_why(mutation, copy):
    """In every driver: red, in at most 25 lines of ours, with the changed path and both values."""
    apply(mutation, copy)
    before = snapshot(copy)
    code, output = pytest_in(copy, "--sparrow-replay")
    assert code == 1, output
    texts = failures(output)
    assert set(texts) == {f"test_{driver}" for driver in DRIVERS}, output
    for text in texts.values():
        assert len(text.splitlines()) <= MOST_LINES, text
        assert all(wanted in text for wanted in mutation.shows), text
        assert "Traceback" not in text
        assert "pytest_sparrow/" not in text
    assert snapshot(copy) == before
