"""``pytest-sparrow merge`` as git's merge driver: two branches that both changed a golden."""

import json
import subprocess

import pytest

from pytest_sparrow.cli import main
from pytest_sparrow.errors import DamagedTranscript
from pytest_sparrow.events import Message
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS, META
from pytest_sparrow.store.merging import MergeConflict, merged
from pytest_sparrow.transcript import RunInputs, Transcript

SYSTEM = "You are a support agent. Be kind, be short. " + "Rules apply. " * 60
ANSWERS = ("first", "second")


def save(store, *, system=SYSTEM, tools=("refund",), answers=ANSWERS, extra=(), began=0.0):
    """A golden of two requests, the second with the words of the first."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hello"}]
    exchanges, events = [], []
    for number, answer in enumerate(answers):
        body = {"model": "m", "tools": [{"name": name} for name in tools], "messages": list(messages)}
        asked = {"method": "POST", "url": "http://h/v1", "headers": {}, "body": {"json": body}}
        answered = {"status": 200, "headers": {}, "body": {"json": {"text": answer}}}
        exchanges.append(
            Exchange(
                kind="http", asked=asked, answered=answered, began=began + number, ended=began + number + 0.5
            )
        )
        events.append(Message(run="test_a", role="assistant", text=answer))
        messages.append({"role": "assistant", "content": answer})
    events += [Message(run="test_a", role="assistant", text=text) for text in extra]
    inputs = RunInputs(task="hello", timestamp=f"2026-01-01T00:00:0{int(began)}+00:00")
    run = Transcript.new("test_a", inputs, events, exchanges=exchanges, nodeid="test_it.py::test_a")
    FsRecorder(store, replace=True).save(run)
    return store / "test_a"


def git(*args, code=0):
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a golden and the driver; what makes two branches change the golden, and merges them."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")):
        monkeypatch.setenv(name, value)
    git("init", "-q", "-b", "ours")
    git("config", "user.email", "a@example.com")
    git("config", "user.name", "a")
    store = tmp_path / "__sparrow__" / "test_it"
    golden = save(store)
    assert main(["install-merge-driver"]) == 0
    assert main(["install-merge-driver"]) == 0
    assert (tmp_path / ".gitattributes").read_text() == "**/__sparrow__/** merge=pytest-sparrow\n"
    git("add", ".")
    git("commit", "-qm", "base")

    def merge(ours, theirs, code=0):
        git("checkout", "-qb", "theirs")
        save(store, **theirs)
        git("commit", "-qam", "theirs")
        git("checkout", "-q", "ours")
        save(store, **ours)
        git("commit", "-qam", "ours")
        return golden, git("merge", "--no-edit", "theirs", code=code)

    return merge


def test_two_prompt_edits(repository, capsys):
    """Both edits are in each request, answers stay, and the golden replays; --fix-meta gives the digests back."""
    ours = {"system": SYSTEM.replace("kind", "very kind"), "began": 3.0}
    golden, said = repository(ours, {"system": SYSTEM.replace("short", "brief"), "tools": ["refund", "look"]})
    assert "__sparrow__/test_it/test_a: merged" in said
    run = load_transcript(golden)
    expected = save(
        golden.parents[2] / "expected",
        system=SYSTEM.replace("kind", "very kind").replace("short", "brief"),
        tools=["refund", "look"],
        began=3.0,
    )
    assert run.exchanges == load_transcript(expected).exchanges
    assert (golden / EXCHANGES).read_bytes() == (expected / EXCHANGES).read_bytes()
    capsys.readouterr()
    assert main(["check", "__sparrow__"]) == 1
    assert "nothing says whether it was changed since it was merged" in capsys.readouterr().out
    assert main(["check", "--fix-meta", "__sparrow__"]) == 0
    assert capsys.readouterr().out.splitlines()[1:2] == ["  meta.json: held no digests"]
    assert json.loads((golden / META).read_bytes())["sha256"]


def test_a_conflict_keeps_this_branch_and_names_the_way_out(repository, capsys):
    """Another answer in both branches: git says conflict, and no marker is in the golden."""
    golden, said = repository({"answers": ("ours", "second")}, {"answers": ("theirs", "second")}, code=1)
    assert "CONFLICT" in said
    assert "both branches changed exchange.answered; this branch's file is kept" in said
    assert "pytest-sparrow check --fix-meta __sparrow__/test_it/test_a" in said
    assert b"<<<<" not in b"".join(file.read_bytes() for file in golden.iterdir())
    assert [exchange.answered["body"]["json"]["text"] for exchange in load_transcript(golden).exchanges] == [
        "ours",
        "second",
    ]


def test_markers_name_the_commands(repository, capsys):
    """Left by git in a clone without the driver: what the error names settles it, in no more than six lines."""
    git("config", "--remove-section", "merge.pytest-sparrow")
    golden, _ = repository({"began": 3.0}, {"system": SYSTEM.replace("short", "brief")}, code=1)
    with pytest.raises(DamagedTranscript) as caught:
        load_transcript(golden)
    _, first, *others = str(caught.value).splitlines()
    assert len(others) == 2
    assert others[-1] == "  then   pytest-sparrow check --fix-meta __sparrow__/test_it/test_a"
    install, _, checkout = first.removeprefix("  merge  ").partition(" && ")
    assert main(install.split()[1:]) == 0
    git(*checkout.split()[1:])
    assert main(others[-1].split()[2:]) == 0
    capsys.readouterr()
    assert main(["check", "__sparrow__"]) == 0
    assert "be brief" in str(load_transcript(golden).exchanges[0].asked)


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_each_file_by_itself(tmp_path):
    """One branch's change is that branch's, added events stay in order, equal changes are no conflict."""
    base = files(save(tmp_path / "a"))
    one = files(save(tmp_path / "b", extra=["more"], began=2.0))
    two = files(save(tmp_path / "c", system="Other. " + SYSTEM))
    for name in (EVENTS, EXCHANGES, INPUTS):
        assert merged(name, base[name], one[name], base[name]) == one[name]
        assert merged(name, base[name], base[name], two[name]) == two[name]
        assert merged(name, base[name], two[name], two[name]) == two[name]
    assert merged(EVENTS, base[EVENTS], two[EVENTS], one[EVENTS]) == one[EVENTS]
    three = files(save(tmp_path / "d", extra=["less"]))
    for name, sides in (
        (EVENTS, (base[EVENTS], one[EVENTS], three[EVENTS])),
        (EVENTS, (base[EVENTS], b"<<<<<<<\n", one[EVENTS])),
        ("other.txt", (b"", b"", b"")),
    ):
        with pytest.raises(MergeConflict):
            merged(name, *sides)
    assert b'"sha256"' not in merged(META, base[META], one[META], two[META])


def test_wrong_uses(tmp_path, monkeypatch, capsys):
    """A file that is not there, and a folder without a repository: 4."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["merge", "a", "b", "c", "d"]) == 4
    assert main(["install-merge-driver"]) == 4
    assert capsys.readouterr().err
