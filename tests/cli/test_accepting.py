"""``accept`` and ``reject``: by test, file, folder and ID; what is refused names the way out."""

import json
from types import SimpleNamespace

import pytest

from pytest_sparrow.cli import main
from pytest_sparrow.events import Message
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict, Way, WayKind
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.layout import review_file, review_store, safe_name
from pytest_sparrow.store.pending import Pending, leave
from pytest_sparrow.transcript import RunInputs, Transcript

PROMPT = "You are kind.\nBe short.\n"
TESTS = {
    "a.py::test_many[1]": ("xfqwbcdghjkm", ""),
    "a.py::test_many[2]": ("xfqwbcdghjkm", ""),
    "a.py::TestC::test_more": ("xfqwzzzzzzzz", "answers"),
    "sub/b.py::test_many[1]": ("xfqwbcdghjkm", ""),
    "sub/b.py::test_own": ("bbbbbbbbbbbb", "own"),
}


def verdict(nodeid):
    """A replay in which the prompt differs."""
    part = Finding(
        kind=Kind.CHANGE,
        how="changed",
        steps=("request", ".messages", "[system", ".content"),
        golden=PROMPT,
        new=PROMPT.replace("short", "very short"),
    )
    asked = {"method": "POST", "url": "http://host/chat"}
    drift = Finding(kind=Kind.DRIFT, boundary="http", golden=asked, new=asked, parts=(part,))
    ways = (Way(WayKind.ACCEPT, (nodeid,)), Way(WayKind.IGNORE, (part.path,)))
    return Verdict(subject=Subject(nodeid=nodeid, golden="g"), findings=(drift,), ways=ways, answerable=True)


@pytest.fixture
def project(tmp_path, monkeypatch, capsys):
    """Five pending tests in two files."""
    monkeypatch.chdir(tmp_path)
    for nodeid, (change, refused) in TESTS.items():
        path, _, name = nodeid.partition("::")
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.touch()
        store = file.parent / "__sparrow__" / file.stem
        run_id = safe_name(name)
        events = [Message(run=run_id, role="assistant", text="one")]
        run = Transcript.new(run_id, RunInputs(task="t"), events, exchanges=[], nodeid=nodeid)
        golden = FsRecorder(store).save(run)
        golden = FsRecorder(store).load(run_id)
        new = golden.with_events([Message(run=run_id, role="assistant", text="two")])
        waits = Pending(
            store=store,
            run_id=run_id,
            test=nodeid,
            name=name,
            file=file.name,
            change=change,
            refused=refused,
            verdicts=[verdict(nodeid).to_json()],
        )
        leave(waits, [(golden, new)], FsRecorder(review_store(store), replace=True))

    def run(*args):
        code = main([*map(str, args)])
        out, err = capsys.readouterr()
        return code, (out + err).splitlines()

    def store_of(nodeid):
        path, _, name = nodeid.partition("::")
        return (tmp_path / path).parent / "__sparrow__" / (tmp_path / path).stem, safe_name(name)

    def text(nodeid):
        store, run_id = store_of(nodeid)
        return FsRecorder(store).load(run_id).events[0].text

    def left():
        return {nodeid for nodeid in TESTS if review_file(*store_of(nodeid)).exists()}

    return SimpleNamespace(run=run, text=text, left=left, store_of=store_of, path=tmp_path)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["a.py::test_many"], {"a.py::test_many[1]", "a.py::test_many[2]"}),
        (["a.py::test_many[2]"], {"a.py::test_many[2]"}),
        (
            ["./sub/../a.py::test_many[2]", "sub"],
            {"a.py::test_many[2]", "sub/b.py::test_many[1]", "sub/b.py::test_own"},
        ),
        (["sub/b.py"], {"sub/b.py::test_many[1]", "sub/b.py::test_own"}),
        (["a.py::TestC"], {"a.py::TestC::test_more"}),
        (["__sparrow__/a"], {"a.py::test_many[1]", "a.py::test_many[2]", "a.py::TestC::test_more"}),
        (["--like", "xfqwb"], {"a.py::test_many[1]", "a.py::test_many[2]", "sub/b.py::test_many[1]"}),
        (["--like", "xfqwb", "sub"], {"sub/b.py::test_many[1]"}),
        (["--all"], set(TESTS)),
    ],
    ids=["function", "parameter", "several", "file", "class", "goldens", "like", "like-in", "all"],
)
def test_which_are_meant(project, said, meant):
    """``reject`` drops them, and no other; the goldens stay."""
    code, lines = project.run("reject", *said)
    assert (code, project.left()) == (0, set(TESTS) - meant)
    assert lines[-1] == f"{len(meant)} rejected: the goldens stay as they are"
    assert {project.text(nodeid) for nodeid in TESTS} == {"one"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "say what to accept: tests, files or folders, --like ID or --all (5 pending)"),
        (["nowhere.py::test_a"], "nowhere.py::test_a: there is no such file or folder"),
        (["a.py::test_man"], "a.py::test_man: nothing is pending"),
        (["--like", "xfq"], "--like xfq: give at least 4 letters"),
        (
            ["--like", "xfqw"],
            "--like xfqw: means several changes; give one whole: xfqwbcdghjkm, xfqwzzzzzzzz",
        ),
        (["--like", "zzzz"], "--like zzzz: nothing that is pending changed so"),
        (["--all", "a.py"], "--all means all that is pending below this folder"),
    ],
    ids=["nothing", "no-file", "no-test", "short", "ambiguous", "unknown", "all-and-some"],
)
def test_wrong_uses(project, said, why):
    """Exit code 4, and nothing is written."""
    code, lines = project.run("accept", *said)
    assert (code, lines[0].startswith(why)) == (4, True), lines
    assert project.left() == set(TESTS)


def test_accept_says_what_it_did(project):
    """A line for each; what is left, with its way out; then only that is pending."""
    code, lines = project.run("accept", "--all")
    assert (code, lines) == (
        1,
        [
            "a.py::test_many[1]: accepted",
            "a.py::test_many[2]: accepted",
            "sub/b.py::test_many[1]: accepted",
            "a.py::TestC::test_more: not accepted: the golden lacks answers that the agent asks for, and only a "
            "recording gives them",
            "  extend  pytest --sparrow-mode=extend a.py::TestC::test_more",
            "  record  pytest --sparrow-record a.py::TestC::test_more",
            "sub/b.py::test_own: not accepted: the test failed by itself, too",
            "  mend    what the test fails by itself, or let new answers make it pass: pytest --sparrow-record "
            "sub/b.py::test_own",
            "3 accepted, 2 left",
        ],
    )
    left = {"a.py::TestC::test_more", "sub/b.py::test_own"}
    assert project.left() == left
    assert {nodeid for nodeid in TESTS if project.text(nodeid) == "one"} == left
    assert project.run("accept", "--like", "bbbb", "--json")[0] == 1
    project.run("reject", "--all")
    assert project.run("accept", "--all") == (0, ["nothing is pending"])
    assert project.run("reject", "--all") == (0, ["nothing is pending"])


def test_damage_is_named_and_stops_nothing_else(project):
    """A golden, and what is pending: file, line, and the command that replays the test; exit code 2."""
    store, run_id = project.store_of("a.py::test_many[1]")
    events = store / run_id / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-2] + b"\n")
    review_file(*project.store_of("a.py::test_many[2]")).write_text('{"format": 1, "version": "0.0.1"}')
    code, lines = project.run("accept", "--json", "a.py::test_many", "sub/b.py::test_many")
    said = json.loads("\n".join(lines))
    assert (code, said["accepted"]) == (2, ["sub/b.py::test_many[1]"])
    one, other = said["left"]
    assert (one["test"], "events.jsonl" in one["why"][0]) == ("a.py::test_many[1]", True)
    assert "was left by pytest-sparrow 0.0.1" in other["why"][0]
    assert other["why"][-1] == "  replay  pytest 'a.py::test_many[2]'"
    assert project.run("reject", "a.py::test_many")[0] == 0


def test_what_else_knows_of_pending_runs(project):
    """``list`` counts them, and ``mv`` and ``check`` pass over them; ``mv`` leaves none for a test that is gone."""
    code, lines = project.run("list")
    assert (code, lines[-1]) == (0, "5 goldens with a new run to review: pytest-sparrow review")
    said = json.loads("\n".join(project.run("list", "--json")[1]))
    assert [golden["pending"] for golden in said["goldens"]] == [True] * 5
    assert project.run("check")[0] == 0
    (project.path / "c.py").write_text("def test_new(): pass\n")
    assert project.run("mv", "a.py::test_many[1]", "c.py::test_new")[0] == 0
    assert project.left() == set(TESTS) - {"a.py::test_many[1]"}
