"""``check --fix-meta`` after a hand edit or a merge, and ``upgrade`` of older formats."""

import json
import re

import pytest
from format.corpus import CORPUS, copy_of, pytest_in

from pytest_sparrow.cli import main
from pytest_sparrow.events import Message
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.transcript import RunInputs, Transcript

CONFLICT = b"<<<<<<< HEAD\n%s=======\n%s>>>>>>> theirs\n"


@pytest.fixture
def golden(tmp_path, monkeypatch):
    """A golden in its project, which is the working directory."""
    store = FsRecorder(tmp_path / "__sparrow__" / "test_it")
    events = [Message(run="test_a", role="assistant", text=text) for text in ("one", "two")]
    store.save(Transcript.new("test_a", RunInputs(task="t"), events, exchanges=[]))
    monkeypatch.chdir(tmp_path)
    return store.transcripts_dir / "test_a"


def run(capsys, *args):
    """Run a verb; gives the exit code and what it printed."""
    code = main([*map(str, args)])
    out, err = capsys.readouterr()
    return code, out + err


def test_a_hand_edit_that_is_meant(golden, capsys):
    """The error names the verb, the verb says what did not fit, and the golden is whole; a second time it is silent."""
    events = golden / "events.jsonl"
    events.write_bytes(events.read_bytes().replace(b"two", b"2"))
    code, printed = run(capsys, "check")
    assert (code, f"pytest-sparrow check --fix-meta {golden.relative_to(golden.parents[2])}" in printed) == (
        2,
        True,
    )
    assert "goldens are not edited by hand" in printed
    code, printed = run(capsys, "check", "--fix-meta")
    assert (code, printed.splitlines()) == (
        0,
        [
            "__sparrow__/test_it/test_a: meta.json fits again",
            "  events.jsonl: was changed",
            "1 whole",
        ],
    )
    assert run(capsys, "check", "--fix-meta") == (0, "1 whole\n")
    events.write_bytes(events.read_bytes().split(b"\n")[0].rstrip(b"\n"))
    code, printed = run(capsys, "check", "--fix-meta", golden)
    assert code == 0
    assert "  events.jsonl: its newlines were changed, and are put back\n" in printed
    assert "  events.jsonl: was changed, 1 event, 2 before\n" in printed


def test_conflict_markers_name_the_command(golden, capsys):
    """In meta.json one side is kept; in another file nobody can choose, so nothing is written."""
    meta, events = golden / "meta.json", golden / "events.jsonl"
    whole = meta.read_bytes()
    other = whole.replace(b"test_a", b"test_b")
    meta.write_bytes(CONFLICT % (whole, other))
    code, printed = run(capsys, "check")
    assert (code, "pytest-sparrow check --fix-meta" in printed) == (2, True)
    code, printed = run(capsys, "check", "--fix-meta")
    assert code == 0
    assert "  meta.json: holds conflict markers; the first side is kept\n" in printed
    assert load_transcript(golden).run_id == "test_a"
    lines = events.read_bytes()
    events.write_bytes(CONFLICT % (lines, lines))
    before = meta.read_bytes()
    code, printed = run(capsys, "check", "--fix-meta")
    assert (code, "events.jsonl:1: holds a merge conflict marker" in printed) == (2, True)
    assert (str(golden.parent.parent.parent) in printed, meta.read_bytes()) == (False, before)
    here = golden.relative_to(golden.parents[2]).as_posix()  # not where the files were checked
    assert printed.splitlines()[1].endswith(f"git checkout --merge -- {here}")
    meta.unlink()
    assert run(capsys, "check", "--fix-meta")[0] == 2


@pytest.mark.parametrize("project", ["v1/shapes", "v2/shapes"])
def test_an_upgraded_golden_replays_as_before(project, tmp_path, capsys):
    """The newest format, with a note of the one that it was recorded in: what that left out is still not compared."""
    folder = copy_of(CORPUS / project, tmp_path)
    goldens = folder / "__sparrow__"
    before = {meta.parent: load_transcript(meta.parent) for meta in goldens.rglob("meta.json")}
    code, printed = run(capsys, "upgrade", goldens)
    assert (code, f"{len(before)} goldens upgraded, 0 left as they are\n" in printed) == (0, True)
    for place, old in before.items():
        new = load_transcript(place)
        assert (new.events, new.exchanges, new.inputs) == (old.events, old.exchanges, old.inputs)
        meta = json.loads((place / "meta.json").read_bytes())
        assert (meta["format"], meta["upgraded_from"], new.notes_types) == (3, int(project[1]), False)
    code, printed = pytest_in(folder, "--sparrow-replay", ".", PYTHONDONTWRITEBYTECODE="1")
    assert (code, bool(re.search(r"\d+ replayed equal; saved", printed))) == (0, True), printed
    assert run(capsys, "upgrade", "--json", goldens) == (0, '{\n  "upgraded": []\n}\n')
    code, printed = run(capsys, "list", goldens)
    assert "of an older format" in printed
