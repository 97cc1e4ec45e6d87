"""What a replay that differs leaves behind: its new run and its findings, until somebody accepts or rejects them."""

import json
import re
import shutil
import subprocess

import pytest

from plugin.failures import reported
from plugin.test_update import recorded  # noqa: F401 - a fixture
from pytest_sparrow.cli import main

ACCEPTED = {"prompt", "runs", "less", "turned", "strands", "ran"}
REFUSED = {"more": "answers", "nothing": "answers", "verified": "answers", "own": "own", "faults": "what-if"}


def goldens(inner):
    """The bytes of every golden, by its file."""
    return {name: what[0] for name, what in inner.files().items() if "/.pending/" not in name}


def left(inner):
    """What is pending, by the test's name without ``test_``."""
    return {
        path.stem.removeprefix("test_"): json.loads(path.read_text())
        for path in inner.path.glob("__sparrow__/*/.pending/review/*.json")
    }


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n4")], ids=["alone", "workers"])
def test_accepting_is_updating(recorded, monkeypatch, capsys, workers):  # noqa: F811
    """What a replay leaves becomes the golden byte for byte as an update writes it; what an update refuses is refused.

    The replay itself writes nothing beside the goldens, and git sees nothing of what is pending.
    """
    monkeypatch.chdir(recorded.path)
    before = goldens(recorded)
    shutil.copytree("__sparrow__", "before")
    result = recorded.replay(*workers)
    result.assert_outcomes(passed=4, failed=11)
    assert goldens(recorded) == before
    pending = left(recorded)
    assert {name: each["refused"] for name, each in pending.items()} == dict.fromkeys(ACCEPTED, "") | REFUSED
    alike = pending["prompt"]["change"]
    assert [name for name, each in pending.items() if each["change"] == alike and name != "prompt"]
    result.stdout.fnmatch_lines(
        ["sparrow: 4 replayed equal, 11 diverged *; 11 pending, 4 of them alike: pytest-sparrow review"]
    )
    texts = reported(result)
    way = f"  review  pytest-sparrow review  # or all that changed alike: pytest-sparrow accept --like {alike[:5]}"
    assert way in texts["test_prompt"].splitlines()
    assert "pytest-sparrow review" not in texts["test_more"]
    subprocess.run(["git", "init", "-q"], check=True)
    (recorded.golden(".gitignore")).unlink()
    seen = ["git", "status", "--porcelain", "--untracked-files=all", "__sparrow__"]
    assert ".pending" not in subprocess.run(seen, check=True, capture_output=True, text=True).stdout

    assert main(["accept", "--all"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(": accepted") for line in said) == len(ACCEPTED)
    assert said[-1] == f"{len(ACCEPTED)} accepted, {len(REFUSED)} left"
    at = said.index(
        "test_it.py::test_more: not accepted: the golden lacks answers that the agent asks for, and only a recording "
        "gives them"
    )
    assert said[at + 1 : at + 3] == [
        "  extend  pytest --sparrow-mode=extend test_it.py::test_more",
        "  record  pytest --sparrow-record test_it.py::test_more",
    ]
    assert set(left(recorded)) == set(REFUSED)
    accepted = goldens(recorded)
    shutil.rmtree("__sparrow__")
    shutil.move("before", "__sparrow__")
    names = " or ".join(f"test_{name}" for name in sorted(ACCEPTED))
    recorded.run("--sparrow-update", "-k", names).assert_outcomes(passed=len(ACCEPTED), deselected=9)
    updated = goldens(recorded)
    # Moments of a call that only the new run made are that run's own, and a digest with them.
    own = "__sparrow__/test_it/test_ran/exchanges.jsonl"
    one, other = (re.sub(rb'"(began|ended)":[0-9.]+', b"", found.pop(own)) for found in (accepted, updated))
    assert one == other
    different = {name for name, what in updated.items() if accepted.get(name) != what}
    assert different == {own.replace("exchanges.jsonl", "meta.json")}
    assert {name.split("/")[2] for name, what in accepted.items() if before[name] != what} == {
        *(f"test_{name}" for name in ACCEPTED),
        "test_runs+second",
    }


def test_what_settles_it(recorded):  # noqa: F811
    """A replay that is equal again drops what was pending; on CI nothing is left, and no report names a review."""
    chosen = ("-k", "prompt or runs or more or own")
    recorded.replay(*chosen).assert_outcomes(failed=4, deselected=11)
    assert set(left(recorded)) == {"prompt", "runs", "more", "own"}
    samples = recorded.golden("test_it/.pending/samples/1/test_prompt")
    samples.mkdir(parents=True)
    recorded.unset("NEW", "PROMPT")
    recorded.replay(*chosen).assert_outcomes(passed=4, deselected=11)
    assert left(recorded) == {}
    assert [path.name for path in recorded.golden("test_it/.pending").iterdir()] == ["samples"]
    recorded.env(NEW="1", PROMPT="be very kind", CI="true")
    result = recorded.replay(*chosen)
    result.assert_outcomes(failed=4, deselected=11)
    assert left(recorded) == {}
    result.stdout.no_fnmatch_line("*pytest-sparrow review*")
    # What is written by another way is settled, too.
    recorded.replay("--sparrow-pending=true", *chosen).assert_outcomes(failed=4, deselected=11)
    assert set(left(recorded)) == {"prompt", "runs", "more", "own"}
    recorded.run("--sparrow-update", *chosen).assert_outcomes(passed=2, failed=2, deselected=11)
    assert set(left(recorded)) == {"more", "own"}


KINDS = """
    import os
    import unittest

    import pytest

    NEW = os.environ.get("NEW", "")
    KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9" * 2

    def locate(place, key=""):
        return f"{place} is found"

    class TestPlaces:
        @pytest.mark.parametrize("place", ["Ulm/1", "Bonn"])
        def test_one(self, sparrow, place):
            sparrow.call("geo", locate, place)
            sparrow.call("geo", locate, place, NEW or "old")

    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _sparrow(self, sparrow):
            self.sparrow = sparrow

        def test_less(self):
            self.sparrow.call("geo", locate, "Kiel")
            if not NEW:
                self.sparrow.call("geo", locate, "Ulm")

        def test_fails(self):
            self.sparrow.call("geo", locate, "Kiel")
            if not NEW:
                self.sparrow.call("geo", locate, "Ulm")
            assert not NEW

    def test_secret(sparrow, subtests):
        sparrow.call("geo", locate, "Kiel", KEY)
        if not NEW:
            sparrow.call("geo", locate, "Ulm", KEY)

    def test_subtests(sparrow, subtests):
        with subtests.test("one"):
            sparrow.call("geo", locate, "Kiel")
            if not NEW:
                sparrow.call("geo", locate, "Ulm")
            assert not NEW

    @pytest.mark.xfail
    def test_xfail(sparrow):
        sparrow.call("geo", locate, "Kiel")
        if not NEW:
            sparrow.call("geo", locate, "Ulm")

    def test_stopped(sparrow):
        sparrow.call("geo", locate, "Kiel")
        if NEW:
            raise KeyboardInterrupt
        sparrow.call("geo", locate, "Ulm")
"""


def test_kinds_of_tests(inner, monkeypatch, capsys):
    """Classes, parameters, unittest, subtests, xfail; no secret is left; a stopped test leaves nothing."""
    monkeypatch.chdir(inner.path)
    inner.write("tests/test_kinds.py", KINDS)
    inner.record().assert_outcomes(passed=7, xpassed=1)
    inner.env(NEW="1")
    result = inner.replay()
    assert result.ret == 2
    mend = (
        "  mend    what the test fails by itself, or let new answers make it pass: pytest --sparrow-record "
    )
    mended = [line.removeprefix(mend) for line in result.outlines if line.startswith(mend)]
    assert mended == [f"tests/test_kinds.py::{name}" for name in ("TestCase::test_fails", "test_subtests")]
    found = {
        each["name"]: each
        for path in inner.path.rglob(".pending/review/*.json")
        for each in [json.loads(path.read_text())]
    }
    assert {name: each["refused"] for name, each in found.items()} == {
        "TestPlaces::test_one[Ulm/1]": "answers",
        "TestPlaces::test_one[Bonn]": "answers",
        "TestCase::test_less": "",
        "TestCase::test_fails": "own",
        "test_secret": "",
        "test_subtests": "own",
        "test_xfail": "",
    }
    assert found["TestPlaces::test_one[Bonn]"]["change"] == found["TestPlaces::test_one[Ulm/1]"]["change"]
    texts = b"".join(path.read_bytes() for path in inner.path.rglob(".pending/**/*") if path.is_file())
    assert b"<secret:" in texts
    assert b"ghp_" not in texts
    assert main(["accept", "tests/test_kinds.py::TestCase", "tests/test_kinds.py::test_secret"]) == 1
    said = capsys.readouterr().out
    assert "TestCase::test_less: accepted" in said
    assert "TestCase::test_fails: not accepted: the test failed by itself, too" in said
    assert main(["reject", "tests"]) == 0
    assert list(inner.path.rglob(".pending")) == []
    inner.replay("-k", "less or secret or subtests").assert_outcomes(passed=2, failed=2, deselected=5)
