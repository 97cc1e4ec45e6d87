"""What an hour of a coverage-guided fuzzer found worth keeping of input for the readers; see ``fuzz.py`` beside.

``tests/data/fuzz/readers.jsonl``: an input a line, by the target that it is for: as text, or in base64 where it
is no UTF-8.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.fuzzing.targets import TARGETS

_LINES = (Path(__file__).parents[1] / "data" / "fuzz" / "readers.jsonl").read_bytes().splitlines()
CORPUS = [
    (line["target"], line["text"].encode() if "text" in line else base64.b64decode(line["base64"]))
    for line in map(json.loads, _LINES)
]


@pytest.mark.parametrize("target", TARGETS)
def test_what_holds_for_any_input_holds_for_the_corpus(target: str) -> None:
    """No input that reached something new makes a reader raise, or break what its target asserts."""
    inputs = [data for name, data in CORPUS if name == target]
    assert len(inputs) > 10
    for data in inputs:
        TARGETS[target](data)


def test_every_input_has_a_target() -> None:
    """Nothing in the corpus is skipped."""
    assert {name for name, _ in CORPUS} == set(TARGETS)
