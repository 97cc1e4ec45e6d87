"""What an older version recorded is read, written and replayed by this one."""

from __future__ import annotations

import re

import pytest

from pytest_sparrow.events import dump_event, parse_event
from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, load_transcript

from .corpus import CORPUS, GOLDENS, PROJECTS, copy_of, files_in, pytest_in
from .shapes import SHAPES, lines_of

RECORDED_TESTS = {"v1/shapes": 14, "v1/support_agent": 4, "v2/shapes": 15, "v3/shapes": 16}
"""How many tests each project of the corpus has; one that is lost must be noticed."""


def named(folder):
    return folder.relative_to(CORPUS).as_posix()


def test_the_corpus_is_whole():
    """No project and no golden of an old format gets lost."""
    assert {named(project) for project in PROJECTS} == set(RECORDED_TESTS)
    assert len([golden for golden in GOLDENS if "+" not in golden.name]) == sum(RECORDED_TESTS.values())


@pytest.mark.parametrize("project", PROJECTS, ids=named)
def test_an_old_project_replays_green(project, tmp_path):
    """A golden that a released version wrote replays in this one, with the world gone, and nothing is written."""
    folder = copy_of(project, tmp_path)
    before = files_in(folder / "__sparrow__")
    code, output = pytest_in(folder, "--sparrow-replay", ".", PYTHONDONTWRITEBYTECODE="1")
    assert (code, f"{RECORDED_TESTS[named(project)]} replayed equal" in output) == (0, True), output
    assert files_in(folder / "__sparrow__") == before


@pytest.mark.parametrize("project", [CORPUS / "v1/shapes", CORPUS / "v3/shapes"], ids=named)
def test_an_update_of_an_unchanged_agent_writes_nothing(project, tmp_path):
    """What an older format does not say is no difference."""
    folder = copy_of(project, tmp_path)
    before = files_in(folder / "__sparrow__")
    code, output = pytest_in(folder, "--sparrow-update", ".", PYTHONDONTWRITEBYTECODE="1")
    assert (code, "updated" in output) == (0, False), output
    assert files_in(folder / "__sparrow__") == before


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_an_old_golden_is_written_back_to_the_byte(golden, tmp_path):
    """Loaded and saved by the public store, all four files keep their bytes."""
    loaded = FsRecorder(golden.parent).load(golden.name)
    FsRecorder(tmp_path).save(loaded)
    assert files_in(tmp_path / golden.name) == files_in(golden)


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_an_old_line_is_what_would_be_written_afresh(golden):
    """Key order, numbers and defaults are still those of the specification: the bytes come from the values."""
    for line in (golden / "events.jsonl").read_bytes().split(b"\n")[:-1]:
        assert dump_event(parse_event(line)) == line
    for line in (golden / "exchanges.jsonl").read_bytes().split(b"\n")[:-1]:
        assert encode(Exchange.from_json(decode(line)).to_json()) == line


@pytest.mark.parametrize("golden", GOLDENS, ids=named)
def test_crossings_of_an_old_golden_have_an_order(golden):
    """``began`` is never twice the same: answers are replayed in this order."""
    began = [exchange.began for exchange in load_transcript(golden).exchanges]
    assert len(set(began)) == len(began)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_corpus_holds_every_shape(shape):
    """Each shape of an exchange and each kind of lane stands in the corpus, so that a later version must read it."""
    assert any(shape.fits(line) for golden in GOLDENS for line in lines_of(golden, shape.file))


def test_no_secret_is_in_the_corpus():
    """What the projects use as secrets left placeholders, and nothing of this machine was written."""
    every = b"".join(content for golden in GOLDENS for content in files_in(golden).values())
    assert re.findall(rb"shop-4711|sk-proj-|Tr0ub4dor|visit-[0-9a-f]|sid=[0-9a-f]|/tmp/|/home/", every) == []
    assert {b"password", b"access-token", b"openai-key", b"shop-token"} <= set(
        re.findall(rb"<secret:([a-z-]+):[0-9]+>", every)
    )
