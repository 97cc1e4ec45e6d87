"""Images, files and audio in tool outputs: small ones whole, large ones by their size and SHA-256."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest

from pytest_sparrow.events import ToolOutput, dump_event, parse_event
from pytest_sparrow.providers.blocks import MAX_IMAGE, image_block, image_block_of, slim


def content_of(size):
    """Bytes that are the same in every run."""
    return random.Random(size).randbytes(size)


def fingerprint_of(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_small_image_is_whole():
    """Up to the limit an Image block holds every byte, so that the cockpit shows it."""
    content = content_of(MAX_IMAGE)
    assert image_block_of(content, "image/png") == {"Image": {"data": list(content), "mime": "image/png"}}


@pytest.mark.parametrize("size", [MAX_IMAGE + 1, 300_000])
def test_a_large_image_costs_an_event_nothing(size):
    """Above it the block holds size and digest, is still an Image block, and comes back equal from disk."""
    content = content_of(size)
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    block = image_block(uri)
    assert block == {"Image": {"data": [], "mime": "image/png", **fingerprint_of(content)}}
    event = ToolOutput(run="r", id="i", blocks=[block])
    assert len(dump_event(event)) < 300
    assert parse_event(dump_event(event)) == event


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_a_large_file_within_a_part_is_named_by_its_digest(encode):
    """Base64 in any of its spellings, plain or as a data URI, however deep, becomes digest and size."""
    content = content_of(5_000)
    text = encode(content).decode()
    part = {
        "type": "input_file",
        "file": {"name": "a.pdf", "data": [text, f"data:application/pdf;base64,{text}"]},
    }
    assert slim(part) == {
        "type": "input_file",
        "file": {
            "name": "a.pdf",
            "data": [fingerprint_of(content), {"mime": "application/pdf", **fingerprint_of(content)}],
        },
    }


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(content_of(MAX_IMAGE)).decode(),
        "some words, " * 500,
        "data:text/plain," + "a" * 5_000,
        "data:image/png;base64," + "not base64! " * 500,
        "A" * 5_001,
        "A" * 2_000 + "=" + "A" * 2_000,
        "+-" * 2_000,
        "é" * 5_000,
    ],
    ids=[
        "small",
        "words",
        "plain-uri",
        "broken-uri",
        "no-base64-length",
        "inner-padding",
        "mixed",
        "letters",
    ],
)
def test_what_is_no_large_base64_stays(text):
    """Text stays text, and a part without a file is the very same object."""
    part = {"type": "document", "source": {"data": text, "sizes": [1, 1.0, None, True]}}
    assert slim(part) is part


def test_a_run_of_line_ends_is_no_work():
    """No clock is read: were the search for the end of base64 begun at each of them, this would take minutes."""
    text = "\n" * 200_000 + "!"
    assert slim(text) is text
