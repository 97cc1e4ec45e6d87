"""Every cassette is imported, and replays for plain clients that send what the cassette holds."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from full import FULL
from inner_runs import pytest_in

from tests.importing.test_verb import imported

from .serving import CASSETTES_VARIABLE, cassette_files

TESTS = Path(__file__).parents[1]

WAYS = ("thread", "tasks")
"""All requests from one thread, and each from a task of its own."""

INNER = """
import asyncio
import json
import os

import httpx
import httpx2
import pytest

from cassettes.serving import _raw, _text, cassette_files, load_cassette

FILES = cassette_files()
CASES = [tuple(each.split(":")) for each in os.environ["CASES"].split()]


def sent(raw):
    kinds = [each for name, each in (raw.get("headers") or {}).items() if name.lower() == "content-type"]
    kind = kinds[0][0] if kinds and isinstance(kinds[0], list) else kinds[0] if kinds else ""
    headers = {"content-type": kind} if kind else {}
    return {"method": raw["method"], "url": raw["uri"], "content": _text(raw).encode(), "headers": headers}


def plain(response):
    return [response.status_code, spelled(response.text)]


def spelled(text):
    try:
        return json.loads(text)
    except ValueError:
        return text.replace("\\r\\n", "\\n").strip("\\n")


def expected(each):
    text = each.body.decode() if each.events is None else "\\n\\n".join(each.events)
    return [each.status, spelled(text)]


async def in_tasks(requests):
    async with httpx2.AsyncClient() as client:
        return [await asyncio.create_task(client.request(**each)) for each in requests]


@pytest.mark.parametrize(("number", "way"), CASES)
def test_cassette(sparrow, number, way):
    path = FILES[int(number)]
    requests = [sent(each["request"]) for each in _raw(path)]
    if way == "tasks":
        answers = asyncio.run(in_tasks(requests))
    else:
        with httpx.Client() as client:
            answers = [client.request(**each) for each in requests]
    assert [plain(each) for each in answers] == [expected(each) for each in load_cassette(path).interactions]
"""


@pytest.mark.skipif(
    not cassette_files(), reason=f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes"
)
def test_imported_cassettes_replay_as_they_are(tmp_path):
    """All of each file is there: status and content of every answer are the file's, the events those of the import."""
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n")
    folder = tmp_path / "cassettes" / "test_inner"
    folder.mkdir(parents=True)
    cases = [
        (number, way)
        for number in range(len(cassette_files()))
        for way in (WAYS if FULL else [WAYS[number % 2]])
    ]
    for number, way in cases:
        shutil.copy(cassette_files()[number], folder / f"test_cassette[{number}-{way}].yaml")
    code, out, err = imported("cassettes", cwd=tmp_path)
    assert code == 0, err
    # Of searches, files and the like it is said that no events are made of them.
    assert all(
        re.fullmatch(r"note: .*, replayed and compared as HTTP, no events", line) for line in err.splitlines()
    )
    assert f"{len(cases)} imported" in out
    code, output = pytest_in(
        tmp_path,
        "--sparrow-replay",
        CASES=" ".join(f"{number}:{way}" for number, way in cases),
        **{CASSETTES_VARIABLE: os.environ[CASSETTES_VARIABLE]},
    )
    assert code == 0, output
    assert f"{len(cases)} replayed equal" in output
