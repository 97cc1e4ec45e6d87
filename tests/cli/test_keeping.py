"""``pytest-sparrow mv`` and ``prune``: goldens follow their tests."""

import json
import sys

import inner_runs
import pytest

from pytest_sparrow.cli import main
from pytest_sparrow.events import Message
from pytest_sparrow.store import FsRecorder, load_transcript, safe_name
from pytest_sparrow.transcript import FURTHER_RUNS, RunInputs, Transcript

SCRIPT = "import sys; from pytest_sparrow.cli import main; sys.exit(main())"


def save(store, test, nodeid, further=()):
    """A golden with one event of its own, and one that names another run."""
    run_id = safe_name(test)
    inputs = RunInputs(task="t", config_snapshot={FURTHER_RUNS: [f"{run_id}+{each}" for each in further]})
    events = [Message(run=run, role="assistant", text="1.0 é") for run in (run_id, "other")]
    FsRecorder(store).save(Transcript.new(run_id, inputs, events, exchanges=[], nodeid=nodeid))
    for each in further:
        FsRecorder(store).save(
            Transcript.new(
                f"{run_id}+{each}", RunInputs(task=""), [], exchanges=[], nodeid=f"{nodeid}+{each}"
            )
        )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two test files and goldens."""
    tests = tmp_path / "tests"
    store = tests / "__sparrow__" / "test_it"
    save(store, "test_a[1]", "tests/test_it.py::test_a[1]", further=["more"])
    save(store, "test_b", "tests/test_it.py::test_b")
    (tests / "test_it.py").write_text("def test_a(): pass\ndef test_b(): pass\n")
    (tests / "test_new.py").write_text("class TestC:\n    def test_c(self): pass\n")
    monkeypatch.chdir(tmp_path)
    return tests


def run(capsys, *args):
    """Run a verb; gives the exit code and what it printed."""
    code = main([*map(str, args)])
    out, err = capsys.readouterr()
    return code, out + err


def test_a_golden_moves_with_all_that_stands_beside_it(project, capsys):
    """To another name in another file; its folder, its id, its events and the node ids are the new test's."""
    old = project / "__sparrow__" / "test_it" / safe_name("test_a[1]")
    before = load_transcript(old)
    code, output = run(capsys, "mv", "tests/test_it.py::test_a[1]", "tests/test_new.py::TestC::test_c")
    assert code == 0, output
    store = project / "__sparrow__" / "test_new"
    name = safe_name("TestC::test_c")
    assert output.splitlines()[0] == f"{old.relative_to(project.parent)} -> tests/__sparrow__/test_new/{name}"
    moved = load_transcript(store / name)
    assert (moved.meta.nodeid, [event.run for event in moved.events]) == (
        "tests/test_new.py::TestC::test_c",
        [name, "other"],
    )
    assert moved.inputs.further_runs == [f"{name}+more"]
    assert moved.created_at == before.created_at
    assert load_transcript(store / f"{name}+more").meta.nodeid == "tests/test_new.py::TestC::test_c+more"
    assert not old.exists()
    assert run(capsys, "check")[0] == 0


def test_a_golden_is_not_lost_by_a_move(project, capsys):
    """What is taken, damaged, absent or nobody's is refused, and nothing has changed; --replace writes over."""
    store = project / "__sparrow__" / "test_it"
    for old, new in (
        ("tests/test_it.py::test_z", "tests/test_it.py::test_a"),
        ("tests/nowhere", "tests/test_it.py::test_a"),
        (store, "tests/test_it.py::test_a"),
        (store / "test_b", "tests/test_it.py::test_b"),
        (store / "test_b", "tests/test_it.py::test_a[1]"),
        (store / "test_b", "tests/test_it.py::test_gone"),
        (store / "test_b", "tests/test_none.py::test_a"),
        (store / "test_b", "tests/test_it.py"),
    ):
        code, output = run(capsys, "mv", old, new)
        assert (code, bool(output)) == (4, True), (old, new)
    assert run(capsys, "check")[1].startswith("3 whole")
    code, output = run(capsys, "mv", "--json", "--replace", store / "test_b", "tests/test_it.py::test_a[1]")
    assert code == 0
    assert list(json.loads(output)["moved"][0]) == ["from", "to"]
    events = store / safe_name("test_a[1]") / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-3])
    assert run(capsys, "mv", events.parent, "tests/test_new.py::TestC::test_c")[0] == 2


def test_prune_shows_and_removes(project, monkeypatch):
    """What pytest collects decides, also of a parameter that is gone; an option of the ini file hides no test."""
    for name, value in inner_runs.ONLY_SPARROW.items():
        monkeypatch.setenv(name, value)
    (project.parent / "pytest.ini").write_text("[pytest]\naddopts = -k test_b\n")

    def prune(*args):
        done = inner_runs.run([sys.executable, "-c", SCRIPT, "prune", *args], cwd=project.parent, timeout=60)
        return done.returncode, (done.stdout + done.stderr).decode()

    code, output = prune()
    gone = f"tests/__sparrow__/test_it/{safe_name('test_a[1]')}"
    assert (code, output.splitlines()) == (
        1,
        [gone, f"{gone}+more", "no test uses 2 goldens: --yes removes them"],
    )
    code, output = prune("--yes", "--json")
    assert (code, json.loads(output)["unused"][0]) == (
        0,
        {"golden": gone, "test": "tests/test_it.py::test_a[1]"},
    )
    assert prune() == (0, "every golden belongs to a test\n")
    (project / "test_new.py").write_text("import nowhere\n")
    code, output = prune()
    assert (code, "No module named 'nowhere'" in output) == (1, True)
    assert prune("--yes", "tests/none.py")[0] == 4
    (project / "test_new.py").unlink()
    (project / "test_it.py").unlink()
    assert prune("--yes") == (0, "tests/__sparrow__/test_it/test_b\n1 golden removed\n")
    assert not (project / "__sparrow__" / "test_it").exists()


def test_check_names_a_golden_whose_test_is_gone(project, capsys):
    """By the text of the file beside it; what a class inherits, or a star imports, may be there."""
    assert run(capsys, "check") == (0, "3 whole\n")
    (project / "test_it.py").write_text("def test_a(): pass\n")
    code, output = run(capsys, "check")
    assert code == 0
    assert "test_b: whole, but test_it.py holds no test test_b any more\n" in output
    assert output.endswith("\n3 whole, 1 without a test\n")
    (project / "test_it.py").write_text("from base import *\n")
    assert run(capsys, "check") == (0, "3 whole\n")
    (project / "test_it.py").unlink()
    assert run(capsys, "check")[1].endswith("3 whole, 3 without a test\n")
    save(project / "__sparrow__" / "test_new", "TestC::test_d", "tests/test_new.py::TestC::test_d")
    assert "test_new.py holds no test TestC::test_d any more" in run(capsys, "check")[1]
    (project / "test_new.py").write_text("class TestC(Base):\n    pass\n")
    assert "test_new.py" not in run(capsys, "check")[1]


@pytest.mark.parametrize(
    "words", [["mv", "{}", "{}"], ["mv", "{}::test", "a::b"], ["list", "{}"], ["check", "{}"], ["show", "{}"]]
)
def test_a_name_longer_than_a_file_may_have(project, capsys, words):
    """Is no file that there is: a usage error in a line."""
    code, output = run(capsys, *(word.format("x" * 300) for word in words))
    assert code == 4
    assert "there is no" in output
