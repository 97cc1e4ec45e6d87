"""The package speaks the field's language: one meaning for a class name, and none of the words that it once used."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_sparrow"
FILES = sorted(PACKAGE.rglob("*.py"))

# Words of a language of our own, each with the field's word.
OURS = {
    "skin": "adapter",
    "dress": "wrap",
    "feeder": "replayer",
    "feeding": "replaying",
    "fed": "replayed",
    "ledger": "violations",
    "overlay": "fault plan",
    "laid": "injected",
    "owed": "deferred",
    "likeness": "similarity",
    "likest": "most similar",
    "departure": "divergence point",
    "lent": "borrowed",
    "adopt": "borrow",
    "narrator": "emitter",
    "told": "emitted",
    "retelling": "projection",
    "essence": "comparable arguments",
    "made_up": "synthetic",
    "made up": "synthetic",
    "made-up": "synthetic",
    "standin": "trampoline",
    "stand-in": "trampoline",
    "spoiled": "corrupted",
    "unseen": "uncaptured",
    "patience": "cancellation wait",
}
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(OURS)})s?(?![a-z])", re.IGNORECASE)

# A key of goldens that exist.
KEPT = {"made_up"}

# Classes that were named after a metaphor.
METAPHORS = {"Door", "Flow", "Freezer", "Hands", "Place", "Print", "Reach", "Sharer", "Step", "Take"}


def classes():
    """Every class of the package: its name, and the file that defines it."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node.name, path.relative_to(PACKAGE).as_posix()


def test_a_class_name_has_one_meaning():
    """No two classes of the package have one name."""
    where = defaultdict(list)
    for name, path in classes():
        where[name].append(path)
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_no_class_is_named_after_a_metaphor():
    """Classes have names that the field knows."""
    assert {(name, path) for name, path in classes() if name in METAPHORS} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_names_and_docstrings_use_the_words_of_the_field(path):
    """No name, docstring, comment or message uses a word of a language of our own."""
    found = [
        f"{number}: {match[0]!r}, say {OURS[match[0].lower().removesuffix('s')]!r}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in WORD.finditer(line)
        if match[0] not in KEPT
    ]
    assert found == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_opens_with_one_sentence(path):
    """The first line of a file says what the file is for, in one line."""
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    assert first.endswith((".", ":"))
