"""``pytest-sparrow list``: what each golden amounts to."""

import contextlib
import gc
import io
import json
import re
import sys
import time
from pathlib import Path

import pytest

from pytest_sparrow.cli import main, output
from pytest_sparrow.events import Message, TokenUsage
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs, Transcript

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two goldens, one of them old, and one without a recording."""
    store = FsRecorder(tmp_path / "tests" / "__sparrow__" / "test_it")
    for name, model, tokens in (("test_big", "gpt-9", 5_000), ("test_small", "claude-9", 7)):
        config = {"packages": {"openai": "3.1", "pytest-sparrow": "0.1"}}
        events = [
            Message(run=name, role="assistant", text="hi"),
            *[TokenUsage(run=name, input=tokens, output=1)] * 2,
        ]
        asked = Exchange(kind="call", asked={"name": "x", "args": [], "kwargs": {}}, answered=None, ended=2.5)
        inputs = RunInputs(task="", model_id=model, config_snapshot=config)
        run = Transcript.new(name, inputs, events, exchanges=[asked], nodeid=f"tests/test_it.py::{name}")
        store.save(run)
    meta = store.transcripts_dir / "test_big" / "meta.json"
    meta.write_text(re.sub(r'"created_at": "[^"]*"', '"created_at": "2024-01-01 00:00:00"', meta.read_text()))
    monkeypatch.chdir(tmp_path)
    return store.transcripts_dir


def run(capsys, *args):
    """Run the verb; gives the exit code and what it printed."""
    code = main(["list", *map(str, args)])
    out, err = capsys.readouterr()
    return code, out + err


def test_the_table(project, capsys):
    """A row a golden, in aligned columns, and the sums; sorted and filtered as asked."""
    code, printed = run(capsys)
    assert code == 0
    head, big, small, total = printed.splitlines()
    assert head.split() == ["test", "events", "calls", "tokens", "model", "age", "size", "SDKs"]
    assert re.fullmatch(
        r"tests/test_it.py::test_big    +3 +1  10,002  gpt-9     +\d+d  +[\d.]+ k?B  openai 3.1", big
    )
    assert small.split()[:5] == ["tests/test_it.py::test_small", "3", "1", "16", "claude-9"]
    assert total.startswith("2 goldens, 10,018 tokens, ")

    def tests(*args):
        return re.findall(r"::(\w+)", run(capsys, *args)[1])

    assert tests("--sort", "tokens") == ["test_small", "test_big"]
    assert tests("--sort", "age", "--reverse") == ["test_big", "test_small"]
    assert tests("--filter", "model=gpt-*") == ["test_big"]
    assert tests("--filter", "sdk=openai", "--filter", "test=*small") == ["test_small"]
    assert tests("--older", "1y") == ["test_big"]
    assert tests(project / "test_small") == ["test_small"]


def test_json_and_what_cannot_be_read(project, capsys):
    """One object with every figure; a golden that cannot be read is a row, too, and the exit code is 2."""
    code, printed = run(capsys, "--json")
    (_, small) = json.loads(printed)["goldens"]
    assert code == 0
    assert small | {"size": 0, "recorded": ""} == {
        "golden": "tests/__sparrow__/test_it/test_small",
        "test": "tests/test_it.py::test_small",
        "events": 3,
        "calls": 1,
        "tokens": {"input": 14, "output": 2},
        "seconds": 2.5,
        "model": "claude-9",
        "recorded": "",
        "days": 0,
        "size": 0,
        "sdks": {"openai": "3.1"},
        "format": 3,
        "not_compared": None,
        "damage": None,
        "pending": False,
    }
    with (project / "test_small" / "events.jsonl").open("a") as file:
        file.write('{"type":"X"}\n')
    code, printed = run(capsys)
    assert code == 2
    assert "test_small: cannot be read: events.jsonl holds 4 events, and meta.json says 3\n" in printed


def test_older_formats_say_what_is_not_compared(capsys):
    """What a format did not record stands below the table, and with each golden in JSON."""
    code, printed = run(capsys, GOLDENS / "v1")
    assert code == 0
    assert "of an older format, which did not record, and so does not compare: headers" in printed
    found = json.loads(run(capsys, "--json", "--filter", "format=3", GOLDENS)[1])["goldens"]
    assert {each["not_compared"] for each in found} == {None}


def test_wrong_uses(project, capsys):
    """4, and what is valid."""
    for args in (["nowhere"], ["--filter", "colour=x"], ["--older", "soon"], ["--sort", "beauty"]):
        code, printed = run(capsys, *args)
        assert (code, bool(printed)) == (4, True)


@pytest.mark.parametrize("bar", ["plain", "rich"])
def test_progress_is_shown_on_a_terminal(monkeypatch, bar):
    """Only there; every item passes, what is printed stands alone, and the bar is gone in the end."""
    if bar == "rich":
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    assert list(output.progress(range(3), "golden", after=0)) == [0, 1, 2]
    assert shown.getvalue() == ""
    monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
    passed = []
    for item in output.progress(range(3), "golden", after=0):
        passed.append(item)
        output.complain(f"item {item}")
    assert passed == [0, 1, 2]
    with contextlib.suppress(ValueError):
        for item in output.progress(range(3), "golden", after=0):
            raise ValueError(item)
    gc.collect()
    if bar == "plain":
        assert f"\r1 of 3 goldens{'':<26}\r{'':<40}\ritem 1\n" in shown.getvalue()
        assert shown.getvalue().endswith("\r")
        with output.working("comparing", after=0):
            while "\rcomparing: " not in shown.getvalue():
                time.sleep(0.01)
        assert shown.getvalue().endswith("\r")
