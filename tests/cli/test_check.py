"""``pytest-sparrow check``: whole, damaged, unfinished, left of a swap; and what an unfinished run had, given back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import inner_runs
import pytest

from pytest_sparrow.cli import main
from pytest_sparrow.events import Message
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, layout, load_transcript
from pytest_sparrow.transcript import RunInputs, Transcript

KILLED = """
import os, sys
from pytest_sparrow.events import Message
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs
store = FsRecorder(sys.argv[1])
store.start_run(sys.argv[2], RunInputs(task="t"), nodeid=sys.argv[3], exchanges=True)
for text in ("one", "two"):
    store.record(Message(run=sys.argv[2], role="assistant", text=text))
os._exit(9)
"""


@pytest.fixture
def goldens(tmp_path, monkeypatch):
    """A project with two whole goldens, in its working directory."""
    folder = tmp_path / "tests" / "__sparrow__" / "test_it"
    for name in ("test_a", "test_b"):
        events = [Message(run=name, role="assistant", text="hello")]
        FsRecorder(folder).save(Transcript.new(name, RunInputs(task="t"), events, exchanges=[]))
    monkeypatch.chdir(tmp_path)
    return folder


def check(capsys, *args):
    """Run the verb; gives the exit code and what it printed."""
    code = main(["check", *map(str, args)])
    out, err = capsys.readouterr()
    return code, out + err


def kill(folder, run_id, nodeid):
    """Leave the journal of a killed process."""
    done = inner_runs.run([sys.executable, "-c", KILLED, str(folder), run_id, nodeid])
    assert done.returncode == 9


def test_all_whole(goldens, capsys):
    """A count, and nothing else; with --all each is named; any way of saying where they are will do."""
    for paths in (
        [],
        ["."],
        ["tests"],
        ["tests/__sparrow__"],
        [goldens],
        [goldens / "test_a", goldens / "test_b"],
    ):
        assert check(capsys, *paths) == (0, "2 whole\n")
    code, output = check(capsys, "--all", "tests")
    assert (code, output.splitlines()[0]) == (
        0,
        "tests/__sparrow__/test_it/test_a: whole, 1 event, 0 exchanges",
    )


def test_damage_names_file_line_and_reason(goldens, capsys):
    """Damage is output for each run, the others are read all the same, and the exit code is 2."""
    events = goldens / "test_a" / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-3])
    (goldens / "test_b" / "meta.json").unlink()
    code, output = check(capsys)
    assert code == 2
    assert "tests/__sparrow__/test_it/test_a: damaged\n" in output
    assert "test_a/events.jsonl:1: the last line is torn" in output
    assert "test_b/meta.json: the file is missing" in output
    assert output.endswith("\n2 damaged\n")
    assert check(capsys, goldens / "test_a")[0] == 2


def test_a_killed_recording_is_listed_and_given_back(goldens, capsys):
    """The list names the test, the size and the command to record again; a recovered run loads, and is marked."""
    kill(goldens, "test_c", "tests/test_it.py::test_c[a+b]")
    kill(goldens, "test_d+more", "tests/test_it.py::test_d+more")
    before = {path: path.stat().st_mtime_ns for path in goldens.rglob("*")}
    code, output = check(capsys)
    assert code == 1
    assert {path: path.stat().st_mtime_ns for path in goldens.rglob("*")} == before
    assert ": unfinished, its process was killed; it holds 2 events, 0 exchanges\n" in output
    assert "  test     tests/test_it.py::test_c[a+b]\n" in output
    assert "  again    pytest --sparrow-record 'tests/test_it.py::test_c[a+b]'\n" in output
    assert "  again    pytest --sparrow-record tests/test_it.py::test_d\n" in output
    assert output.endswith("2 whole, 2 unfinished\n")
    command = next(line for line in output.splitlines() if line.startswith("  recover") and "test_c" in line)
    words = command.split()[2:]
    assert words[-1] == "FOLDER"
    assert check(capsys, *words[1:-1], "corpus")[0] == 0
    run = FsRecorder("corpus").load("test_c")
    assert [event.text for event in run.events] == ["one", "two"]
    assert run.meta.extra == {"recovered": True}
    assert check(capsys, "corpus") == (0, "1 whole\n")
    assert check(capsys, *words[1:-1], "corpus")[0] == 2  # one is there


def test_what_did_not_pass_and_what_is_being_recorded(goldens, capsys):
    """An abandoned run is unfinished; so is a run that a living process records, which needs no recovery."""
    store = FsRecorder(goldens)
    for name in ("abandoned", "living"):
        store.start_run(name, RunInputs(task="t"))
        store.record(Message(run=name, role="assistant", text="x"))
    store.abandon("abandoned")
    code, output = check(capsys)
    assert code == 1
    assert "unfinished, its test did not pass; it holds 1 event" in output
    assert "being recorded now; it holds 1 event" in output
    assert output.count("  recover  ") == 1
    living = next(path for path in (goldens / ".pending").iterdir() if path.name.startswith("living"))
    code, output = check(capsys, "--recover", living, "--to", "corpus")
    assert (code, "is being recorded" in output) == (2, True)
    store.discard("living")


def test_interrupted_swaps(goldens, capsys):
    """What readers take for a run is distinguished from rests that nothing reads."""
    (goldens / "test_a").rename(layout.new_folder(goldens, "test_a"))
    layout.old_folder(goldens, "test_b").mkdir()
    code, output = check(capsys)
    assert code == 1
    assert ".test_a.new: a swap was interrupted; it is whole, and read as test_a\n" in output
    assert ".test_b.old: left of a swap that was interrupted; nothing reads it\n" in output
    assert output.endswith("1 whole, 2 left of a swap\n")


def test_wrong_uses_are_usage_errors(goldens, capsys):
    """What isn't there, half a recovery, and a limit that is none: 4."""
    for args in (["nowhere"], ["--recover", goldens], ["--to", "x"], ["--limit", "x=1"], ["--what"]):
        code, output = check(capsys, *args)
        assert (code, bool(output)) == (4, True)
    assert check(capsys, "--recover", "nowhere", "--to", "x")[0] == 4


def test_a_limit_can_be_lifted(goldens, capsys):
    """--limit does what the ini file does."""
    code, output = check(capsys, "--limit", "file=1")
    assert (code, "holds" in output) == (2, True)
    assert check(capsys, "--limit", "events=1", "--limit", "line = 1M")[0] == 0


def test_nothing_is_printed_raw(goldens, capsys):
    """Names and texts that hold control sequences are escaped."""
    hostile = "\x1b[2J\u202e\x07"
    kill(goldens, "x" + hostile.replace("\x1b", "").replace("\x07", ""), "test_it.py::" + hostile)
    (goldens / f"y{hostile}").mkdir()
    (goldens / f"y{hostile}" / "events.jsonl").write_bytes(b"{" + hostile.encode())
    code, output = check(capsys)
    assert code == 2
    assert not [sign for sign in ("\x1b", "\u202e", "\x07") if sign in output]
    assert "\\u202e" in output


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_out_of_the_store_are_unsafe(goldens, capsys, tmp_path):
    """Neither a run nor the folder of pending runs may lead elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    (goldens / "test_a").rename(elsewhere)
    (goldens / "test_a").symlink_to(elsewhere)
    (goldens / ".pending").symlink_to(tmp_path)
    code, output = check(capsys)
    assert code == 2
    assert output.count(": unsafe\n") == 2
    assert load_transcript(elsewhere).events


def test_what_older_formats_did_not_record_is_said(capsys):
    """A whole golden of an older format compares less, and one line says what; of the newest format nothing is said."""
    goldens = Path(__file__).parents[1] / "data/goldens"
    for version in ("v1", "v2"):
        code, output = check(capsys, goldens / version)
        assert code == 0
        assert "of an older format, which did not record, and so does not compare: headers" in output
    assert "older format" not in check(capsys, goldens / "v3")[1]


def test_nothing_there_says_so(tmp_path, monkeypatch, capsys):
    """A folder without transcripts is no error, and no success either that would read like one."""
    monkeypatch.chdir(tmp_path)
    assert check(capsys) == (0, "no transcripts here: give the folder that holds them\n")


def test_a_named_folder_without_transcripts_is_a_usage_error(tmp_path, capsys):
    """A wrong folder in a CI job must not stay green."""
    assert main(["check", str(tmp_path)]) == 4
    assert "no transcripts there" in capsys.readouterr().err


def test_a_file_outside_the_temporary_folders_is_refused(goldens, capsys):
    """Where directories are placeholders, a tool's file at a place of its own is none that a recording wrote."""
    for name, directories in (("test_c", True), ("test_d", False)):
        inputs = RunInputs(task="t", config_snapshot={"python": "3", "directories": directories})
        answered = {"returned": 1, "files": {"/opt/app/conftest.py": {"text": "x"}}}
        asked = {"name": "write", "args": {}, "id": "1"}
        written = Exchange(kind="tool", asked=asked, answered=answered, began=0.1, ended=0.2)
        events = [Message(run=name, role="assistant", text="hello")]
        FsRecorder(goldens).save(Transcript.new(name, inputs, events, exchanges=[written]))
    code, text = check(capsys)
    assert code == 2
    assert "exchanges.jsonl:1: a tool's file outside the test's temporary folders: '/opt/app/conf" in text
    assert "3 whole, 1 damaged" in text


def test_a_variable_that_steers_programs_is_refused(goldens, capsys):
    """File, line, and exit code 2; the other goldens are read all the same; ``--env`` says that a setting names it."""
    config = {"python": "3", "env": {"REGION": "eu", "PYTHONHASHSEED": "1"}}
    inputs = RunInputs(task="t", config_snapshot=config)
    events = [Message(run="test_c", role="assistant", text="hello")]
    FsRecorder(goldens).save(Transcript.new("test_c", inputs, events, exchanges=[]))
    code, text = check(capsys)
    assert code == 2
    assert "inputs.json:7: env: PYTHONHASHSEED steers interpreters, loaders or other programs" in text
    assert "2 whole, 1 damaged" in text
    assert check(capsys, "--env", "PYTHONHASHSEED") == (0, "3 whole\n")
