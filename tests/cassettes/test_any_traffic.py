"""Every exchange of every cassette, of a model or not, is recorded and replayed by plain clients, and imported."""

from __future__ import annotations

import json

import pytest
from full import FULL

from pytest_sparrow.importing import Destination, read_cassette, write_cassette
from pytest_sparrow.providers.registry import registered
from pytest_sparrow.store import load_transcript

from .replaying import run_both
from .serving import CASSETTES_VARIABLE, cassette_files
from .wire_compared import differences
from .wire_files import read_file

SOME = 4 if FULL else 1
"""In how many ways each cassette goes: sync and async, through httpx and httpx2."""

INNER = """
import asyncio
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest

from cassettes.serving import cassette_files, load_cassette, serve

CASSETTES = {path.stem: path for path in cassette_files()}


def plain(response):
    return [response.status_code, response.headers.get("content-type"), response.text.replace("\\r\\n", "\\n")]


def sync(library, base, interactions):
    with library.Client() as client:
        return [plain(client.request(each.method, base + path(each), json=each.request)) for each in interactions]


async def gathered(library, base, interactions):
    async with library.AsyncClient() as client:
        return [plain(await client.request(each.method, base + path(each), json=each.request)) for each in interactions]


def path(interaction):
    url = urlsplit(interaction.url)
    return url.path + ("?" + url.query if url.query else "")


WAYS = [("sync", httpx), ("async", httpx2), ("sync", httpx2), ("async", httpx)]
SOME = int(os.environ["SOME"])


@pytest.mark.parametrize(
    ("name", "way"), [(name, (number + way) % 4) for number, name in enumerate(CASSETTES) for way in range(SOME)]
)
def test_cassette(sparrow, name, way):
    kind, library = WAYS[way]
    cassette = load_cassette(CASSETTES[name])
    all_of_it = cassette.interactions

    def run(base):
        return sync(library, base, all_of_it) if kind == "sync" else asyncio.run(gathered(library, base, all_of_it))

    if sparrow.golden is None:
        with serve(cassette) as served:
            results = run(served.root)
    else:
        results = run("http://127.0.0.1:9")
    number = list(CASSETTES).index(name)
    Path(os.environ["OUT"], f"{number}-{kind}-{library.__name__}.json").write_text(json.dumps(results))
"""


@pytest.mark.skipif(
    not cassette_files(), reason=f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes"
)
def test_every_cassette_comes_back_as_it_was(tmp_path):
    """Status, content type and text of every answer are equal with the server off: JSON, streams and errors."""
    found = run_both(tmp_path, INNER, SOME=str(SOME))
    assert len(found["record"]) == SOME * len(cassette_files())
    for name, recorded in found["record"].items():
        for one, other in zip(recorded, found["replay"][name], strict=True):
            assert one[:2] == other[:2], name
            assert _read(one[2]) == _read(other[2]), name
    goldens = [each.parent for each in tmp_path.glob("__sparrow__/test_inner/*/meta.json")]
    assert len(goldens) == SOME * len(cassette_files())
    for run in map(load_transcript, goldens):
        (path,) = (each for each in cassette_files() if f"[{each.stem}-" in run.meta.nodeid)
        assert differences(read_file(path), run.events) == {}, path.stem


@pytest.mark.parametrize("path", cassette_files(), ids=lambda path: path.stem)
def test_an_import_says_what_an_independent_reading_of_the_wire_says(tmp_path, path):
    """Texts, reasoning, calls, outputs, usage and errors: all of them, and nothing else."""
    run, *_ = write_cassette(read_cassette(path), Destination(store=tmp_path, run_id="a"), registered())
    assert differences(read_file(path), run.events) == {}


def _read(text: str) -> object:
    """JSON may be spelled otherwise; a stream is its very text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
