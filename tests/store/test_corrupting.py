"""Corrupted transcripts: an error of its own for each, or proven harmless; see `corrupting`.

In full (2,000, two minutes): ``SPARROW_TEST_FULL=1 pytest tests/store/test_corrupting.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from full import FULL
from inner_runs import run as run_python

from pytest_sparrow.errors import TooLarge, UsageError
from pytest_sparrow.events import UnknownEvent
from pytest_sparrow.store import iter_events, load_transcript
from pytest_sparrow.store.damage import DEFAULT_LIMITS, Limits
from pytest_sparrow.transcript import Transcript

from .conversations import request
from .shelves import exchange, run_of, shelf

NUMBER = 2000 if FULL else 39


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory as Linux tells it")
def test_every_corruption_is_an_error_that_names_the_file_or_harmless(tmp_path):
    """13 kinds from a seed: none hangs, none takes 500 MiB, none loads as something else than was written."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("corrupting.py")), str(tmp_path), str(NUMBER), "suite"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert reported["wrong"] == []
    assert sum(reported["ends"].values()) == NUMBER
    assert {end.partition(": ")[2] for end in reported["ends"]} >= {
        "DamagedTranscript",
        "TooLarge",
        "harmless",
    }


@pytest.mark.parametrize(
    ("limits", "name", "line", "says"),
    [
        (Limits(file=600), "exchanges.jsonl", None, "file"),
        (Limits(line=400), "meta.json", 1, "line"),
        (Limits(events=3), "events.jsonl", 4, "events"),
        (Limits(exchanges=8), "exchanges.jsonl", 9, "exchanges"),
        (Limits(values=70), "exchanges.jsonl", None, "values"),
    ],
    ids=str,
)
def test_a_limit_is_named_with_file_line_and_the_setting_that_lifts_it(tmp_path, limits, name, line, says):
    """What passes a limit is refused before it is parsed, in a text that is pasted into the ini file."""
    run = run_of("r", "a,[{" * 20, "b", "c", exchanges=9)
    shelf(tmp_path).save(run)
    with pytest.raises(TooLarge) as caught:
        shelf(tmp_path, limits=limits).load("r")
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "r" / name), line)
    assert caught.value.reason.startswith("holds ")
    reported = caught.value.hint.partition("sparrow_limits, like: ")[2]
    assert reported.startswith(f"{says} = ")
    lifted = getattr(Limits.of([reported], "ini"), says)
    fitting = {field: getattr(limits, field) for field in Limits.__slots__} | {says: lifted}
    assert shelf(tmp_path, limits=Limits(**fitting)).load("r").events == run.events


def _most(folder):
    """How much of each limit a transcript without signs in its texts takes."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    lines = {name: data.split(b"\n")[:-1] for name, data in files.items() if name.endswith(".jsonl")}
    return {
        "file": max(map(len, files.values())),
        "line": max(len(line) for name, data in files.items() for line in lines.get(name, [data])),
        "events": len(lines["events.jsonl"]),
        "exchanges": len(lines["exchanges.jsonl"]),
        "values": max(sum(map(data.count, (b",", b"[", b"{"))) for data in files.values()),
        "shared_items": sum(
            stop - start
            for line in map(json.loads, lines["exchanges.jsonl"])
            for _, _, start, stop in line["asked"]["body"].get("same", [])
        ),
    }


@pytest.mark.parametrize("name", ["file", "line", "events", "exchanges", "values", "shared_items"])
def test_a_limit_is_the_most_that_is_read(tmp_path, name):
    """As much as a limit says is read, and not a bit more."""
    said = ["word " * 20 + str(number) for number in range(9)]
    exchanges = [request([{"text": text} for text in said[:number]]) for number in range(1, 10)]
    made = Transcript.new("r", run_of("r").inputs, run_of("r", "x" * 9000, "b").events, exchanges=exchanges)
    shelf(tmp_path).save(made)
    most = _most(tmp_path / "r")[name]
    assert most > 1
    assert load_transcript(tmp_path / "r", limits=Limits(**{name: most})).exchanges == tuple(exchanges)
    with pytest.raises(TooLarge, match=f"{name} = ") as caught:
        load_transcript(tmp_path / "r", limits=Limits(**{name: most - 1}))
    assert caught.value.line == {"line": 2, "events": 3, "exchanges": 9, "shared_items": 9}.get(name)


@pytest.mark.parametrize("name", ["line", "events", "values"])
def test_one_by_one_as_much_is_read(tmp_path, name):
    """iter_events has the same limits; of values it has one line's at a time."""
    run = run_of("r", "x" * 2000)
    shelf(tmp_path).save(run.with_events([*run.events, UnknownEvent(value={"type": "New", "x": [1] * 50})]))
    lines = (tmp_path / "r" / "events.jsonl").read_bytes().split(b"\n")[:-1]
    values = max(sum(map(line.count, (b",", b"[", b"{"))) for line in lines)
    most = {"line": max(map(len, lines)), "events": 3, "values": values}[name]
    assert len(list(iter_events(tmp_path / "r", limits=Limits(**{name: most})))) == 3
    with pytest.raises(TooLarge, match=f"{name} = "):
        list(iter_events(tmp_path / "r", limits=Limits(**{name: most - 1})))


def test_reading_one_by_one_holds_the_limits_too(tmp_path):
    """iter_events stops at a line that is too long without reading it, at too many values, at an event too many."""
    shelf(tmp_path).save(run_of("r", "x" * 2000, "b"))
    for limits in (Limits(events=2), Limits(line=900)):
        with pytest.raises(TooLarge, match=r"events\.jsonl:(2|3): holds"):
            list(iter_events(tmp_path / "r", limits=limits))
    (tmp_path / "r" / "events.jsonl").write_bytes(b'{"type":"New","x":[' + b"{}," * 99 + b"{}]}\n")
    with pytest.raises(TooLarge, match=r"events\.jsonl:1: holds 202 JSON values, and at most 201"):
        list(iter_events(tmp_path / "r", limits=Limits(values=201)))
    assert next(iter_events(tmp_path / "r", limits=Limits(values=202)))


def test_commas_in_texts_are_no_values(tmp_path):
    """A text full of signs, escaped quotes among them, counts as one value."""
    shelf(tmp_path).save(run_of("r", 'a,[{"\\' * 500))
    assert load_transcript(tmp_path / "r", limits=Limits(values=20)).events


def test_a_run_that_passes_a_limit_is_not_recorded(tmp_path):
    """What could not be read again is refused when it is finished, and kept as what it is."""
    store = shelf(tmp_path, limits=Limits(exchanges=2))
    from .shelves import inputs

    store.start_run("r", inputs())
    for number in range(3):
        store.record_exchange("r", exchange(number))
    with pytest.raises(TooLarge, match="exchanges = 6"):
        store.finalize("r")
    assert store.load("r") is None
    assert len(load_transcript(next((tmp_path / ".pending").iterdir())).exchanges) == 3


def test_limits_are_read_as_people_write_them():
    """Names, numbers with underscores, K, M and G; anything else is an error that says what there is."""
    found = Limits.of(["events = 5_000_000", "file=1G", "line = 2 m"], "ini")
    assert (found.events, found.file, found.line) == (5_000_000, 1 << 30, 2 << 20)
    assert found.exchanges == DEFAULT_LIMITS.exchanges
    for wrong in (
        "events",
        "events = -1",
        "events = 0",
        "event = 3",
        "line = 1T",
        "line = " + "9" * 5000,
        "= 3",
    ):
        with pytest.raises(UsageError, match=r"ini: .* is no limit; .*file, line, events, exchanges, values"):
            Limits.of([wrong], "ini")


_AUDITED = """
import sys
from pathlib import Path
from pytest_sparrow.errors import SparrowError
from pytest_sparrow.store import load_transcript, iter_events
folder = Path(sys.argv[1])
def read():
    for path in sorted(folder.iterdir()):
        try:
            load_transcript(path)
            list(iter_events(path))
        except SparrowError:
            pass
read()
seen = []
sys.addaudithook(lambda name, args: seen.append((name, str(args)[:200])))
read()
allowed = ("open", "os.listdir", "os.scandir", "object.__getattr__", "sys._getframe", "marshal", "code.__new__")
print([each for each in seen if not each[0].startswith(allowed)])
"""


def test_nothing_in_a_transcript_is_imported_or_executed(tmp_path):
    """Whatever it names (modules, types, paths, templates): reading opens its own files, and does nothing else."""
    hostile = [
        "__import__('os').system('id')",
        "os.system",
        "pickle.loads",
        "!!python/object/apply:os.system",
        "{0.__class__}",
    ]
    for number, text in enumerate(hostile):
        shelf(tmp_path).save(run_of(f"r{number}", text, exchanges=1))
        folder = tmp_path / f"r{number}"
        line = b'{"type":"%s","run":"r","module":"os","text":"x"}\n' % text.encode()
        raised = (
            b'{"kind":"tool","asked":{"name":"f","args":{}},'
            b'"answered":{"raised":{"type":"system","module":"os","message":"m","args":["id"]}}}\n'
        )
        (folder / "events.jsonl").write_bytes(line)
        (folder / "exchanges.jsonl").write_bytes(raised)
        (folder / "meta.json").write_bytes(
            b'{"run_id":"r","created_at":"2026-01-01 00:00:00","__class__":"os"}'
        )
        assert load_transcript(folder).exchanges
    done = run_python([sys.executable, "-c", _AUDITED, str(tmp_path)])
    assert (done.returncode, done.stdout) == (0, b"[]\n"), done.stderr


@pytest.mark.parametrize(
    "value",
    [b"1" * 3_000_000 + b".0", b'{"k%s":1,"k%s":2}' % (b"k" * 100_000, b"k" * 100_000)],
    ids=["number", "key"],
)
def test_an_error_quotes_little_and_nothing_raw(tmp_path, value):
    """A text that names what it found stays short, and a hostile folder's name is escaped in it."""
    folder = tmp_path / "r\x1b[2J\u202e"
    folder.mkdir()
    shelf(tmp_path).save(run_of("r"))
    for path in (tmp_path / "r").iterdir():
        path.rename(folder / path.name)
    (folder / "events.jsonl").write_bytes(b'{"type":"Error","run":' + value + b"}\n")
    with pytest.raises(Exception, match="events") as caught:
        load_transcript(folder)
    assert len(str(caught.value)) < 2000
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
