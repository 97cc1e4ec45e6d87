"""Damaged is never missing: in every mode that reads goldens the test fails, and nothing is overwritten."""

import hashlib
import json

import pytest
from inner_runs import TOOL_TEST

GOLDEN = "__sparrow__/test_it/test_add"


def torn(folder):
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-5])


def count(folder):
    path = folder / "meta.json"
    path.write_bytes(path.read_bytes().replace(b'"event_count": 5', b'"event_count": 6'))


def digest(folder):
    path = folder / "exchanges.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"returned":3', b'"returned":4'))


def utf8(folder):
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"add"', b'"\xff\xfe"', 1))


def conflict(folder):
    path = folder / "events.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\n<<<<<<< HEAD\n" + rest + b"=======\n>>>>>>> other\n")


def newlines(folder):
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def newer(folder):
    path = folder / "meta.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 3', b'"format": 99'))


def gone(folder):
    (folder / "meta.json").unlink()


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


def unreadable_exchange(folder):
    path = folder / "exchanges.jsonl"
    path.write_bytes(b'{"kind":"tool"}\n')
    meta = json.loads((folder / "meta.json").read_bytes())
    meta["sha256"]["exchanges.jsonl"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "meta.json").write_text(json.dumps(meta))


KINDS = {
    torn: "*test_torn/events.jsonl:5: the last line is torn*",
    count: "*test_count/events.jsonl:5: holds 5 events, and meta.json says 6*",
    digest: "*test_digest/exchanges.jsonl: was changed after it was recorded*",
    utf8: "*test_utf8/events.jsonl:2: the line is no JSON*",
    conflict: "*  __sparrow__/test_it/test_conflict/events.jsonl:2: holds a merge conflict marker*",
    newlines: "*test_newlines/events.jsonl:1: only its newlines were changed*",
    newer: "*test_newer/meta.json: has format 99; this version of pytest-sparrow reads formats up to 3*",
    gone: "*test_gone/meta.json: the file is missing*",
    empty: "*test_empty*: *missing*",
    unreadable_exchange: "*test_unreadable_exchange/exchanges.jsonl:1: the line is no exchange: 'asked' is missing*",
}


@pytest.mark.parametrize("option", ["--sparrow-replay", "--sparrow-record", "--sparrow-mode=new"])
def test_damage_fails_and_nothing_is_overwritten(inner, option):
    """FAILED, naming file and line and the way out, exit code 1, every byte as before."""

    def record():
        head, _, test = TOOL_TEST.partition("    def test_add")
        inner.write("test_it.py", head + "".join(f"    def test_{kind.__name__}{test}\n" for kind in KINDS))
        inner.record().assert_outcomes(passed=len(KINDS))

    inner.once(record)
    for kind in KINDS:
        kind(inner.path / f"__sparrow__/test_it/test_{kind.__name__}")
    before = inner.files()
    inner.env(SHUT="1")
    result = inner.run(option)
    assert result.ret == 1
    result.assert_outcomes(failed=len(KINDS))
    for kind, says in KINDS.items():
        folder = f"*__sparrow__/test_it/test_{kind.__name__}"
        result.stdout.fnmatch_lines([says, f"  golden  {folder}"])
    result.stdout.fnmatch_lines([f"sparrow: {len(KINDS)} without a usable golden"])
    for ours in ("the tool ran", "attempt.py", "reader.py", "Traceback"):
        result.stdout.no_fnmatch_line(f"*{ours}*")
    assert inner.files() == before
