"""What a coverage-guided fuzzer (atheris, 3 million runs) found worth keeping of input for the readers.

``tests/data/fuzz/readers.jsonl``: an input a line, by what it is for.
"""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.events import dump_event, parse_event
from pytest_sparrow.events.jsontext import BrokenJson, decode, encode, equal
from pytest_sparrow.store import load_transcript
from pytest_sparrow.store.limits import Beyond
from pytest_sparrow.store.rebuilding import Rebuilder

CORPUS = [
    (line["kind"], base64.b64decode(line["base64"]))
    for line in map(
        json.loads, (Path(__file__).parents[1] / "data/fuzz/readers.jsonl").read_bytes().splitlines()
    )
]
EVENT, EXCHANGES, JSON, TRANSCRIPT = range(4)
DEFAULTS = {
    "meta.json": b'{"run_id":"r","created_at":"2026-01-01 00:00:00"}',
    "inputs.json": b'{"task":"","config_snapshot":{},"model_id":"","repo_head":null,"timestamp":"","agent":""}',
    "events.jsonl": b"",
    "exchanges.jsonl": b"",
}


def _inputs(kind):
    found = [data for each, data in CORPUS if each == kind]
    assert len(found) > 10
    return found


def test_events_come_back_or_are_refused():
    """A line is an event that is written and read as the same, or a ValueError."""
    for data in _inputs(EVENT):
        try:
            event = parse_event(data)
        except ValueError:
            continue
        assert parse_event(dump_event(event)) == event


def test_exchanges_are_put_back_or_refused():
    """Lines that refer to one another: an exchange each, or a ValueError or a limit."""
    for data in _inputs(EXCHANGES):
        rebuilder = Rebuilder()
        for line in data.split(b"\n"):
            try:
                rebuilder.read(line)
            except (ValueError, Beyond):
                break


def test_json_comes_back_or_is_refused():
    """A value that was read is written and read as an equal one."""
    for data in _inputs(JSON):
        try:
            value = decode(data)
            text = encode(value)
        except (BrokenJson, SparrowError):
            continue
        assert equal(decode(text), value)


def test_transcripts_load_or_are_damaged(tmp_path):
    """Four files of anything: a transcript, or an error of ours."""
    for data in _inputs(TRANSCRIPT):
        parts = [*data.split(b"\x00", 3), b"", b"", b"", b""]
        for (name, default), part in zip(DEFAULTS.items(), parts, strict=False):
            (tmp_path / name).write_bytes(part or default)
        with contextlib.suppress(SparrowError):
            load_transcript(tmp_path)
