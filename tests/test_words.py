"""The project speaks the field's language: one meaning for a class name, and none of the words that it once used."""

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_sparrow"
FILES = sorted(PACKAGE.rglob("*.py"))

# What else is read: not the frozen projects of old goldens, and not the list of words below.
READ = FILES + [
    path
    for top, pattern in (
        ("tests", "*.py"),
        ("benchmarks", "*.py"),
        ("examples", "*.py"),
        (".ci", "*"),
        ("docs", "*.md"),
        (".", "README.md"),
        (".", "CHANGELOG.md"),
    )
    for path in sorted((ROOT / top).rglob(pattern) if top != "." else [ROOT / pattern])
    if path.is_file() and path != Path(__file__) and ROOT / "tests" / "data" not in path.parents
]

# Words of a language of our own, each with the field's word.
OURS = {
    "skin": "adapter",
    "dress": "wrap",
    "feeder": "replayer",
    "feeding": "replaying",
    "feeds": "replays",
    "fed": "replayed",
    "ledger": "violations",
    "overlay": "fault plan",
    "laid": "injected",
    "owed": "deferred",
    "likeness": "similarity",
    "likest": "most similar",
    "departure": "divergence point",
    "branch": "fork",
    "branches": "forks",
    "lent": "borrowed",
    "adopt": "borrow",
    "narrator": "emitter",
    "told": "emitted, reported",
    "telling": "emitting, reporting",
    "retelling": "projection",
    "giving": "decoding",
    "essence": "comparable arguments",
    "made_up": "synthetic",
    "made up": "synthetic",
    "made-up": "synthetic",
    "standin": "trampoline",
    "stand-in": "trampoline",
    "door": "proxy transport",
    "gate": "router",
    "admit": "route",
    "admitted": "routed",
    "a take": "a body recorder",
    "the take": "the body recorder",
    "crossed =": "exchanges =",
    "spoiled": "corrupted",
    "spoilt": "corrupted",
    "unseen": "uncaptured",
    "patience": "cancellation wait",
    "aside": "isolated random state",
    "print of": "fingerprint of",
    "print_of": "fingerprint_of",
    "freezer": "canonical key",
    "sharing": "delta encoding",
    "rebuild": "decode",
    "rebuilding": "decoding",
    "rebuilt": "decoded",
}
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(OURS)})s?(?![a-z])", re.IGNORECASE)
PLAIN = {word + end for word in OURS if word.isalpha() for end in ("", "s")}
JOINED = re.compile("|".join(word for word in OURS if not word.isalpha()), re.IGNORECASE)

# Words that mean something else where they stand: in every file, or in one.
KEPT = {
    ("", "status_made_up"),  # a key of goldens that exist
    ("docs/format.md", "form feeds"),  # a character
    ("tests/inner_runs/server.py", "model_rebuild"),  # pydantic's
    ("pytest_sparrow/cli/merging.py", "branch"),  # git's
    ("pytest_sparrow/store/merging.py", "branch"),  # git's
    ("tests/cli/test_merging.py", "branch"),  # git's
    ("tests/inner_runs/server.py", "model_rebuild"),  # pydantic's
    ("tests/test_repo_head.py", "branch"),  # git's
    ("tests/store/test_damage.py", ">>>>>>> branch"),  # git's
    ("tests/boundaries/tools/test_target.py", "branch"),  # a shop's
}

# Classes that were named after a metaphor.
METAPHORS = {"Door", "Flow", "Freezer", "Hands", "Place", "Print", "Reach", "Sharer", "Step", "Take"}


@pytest.fixture(scope="module", autouse=True)
def _no_tree_is_kept():
    """Else the garbage collector would go through all of them, at every turn, in every test that follows."""
    yield
    trees.cache_clear()


@functools.cache
def trees():
    """The syntax tree of each file of the package, by the file's path within the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES
    }


@functools.cache
def classes():
    """Every class of the package: its name, and the file that defines it."""
    return [
        (node.name, path)
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]


def test_a_class_name_has_one_meaning():
    """No two classes of the package have one name."""
    where = defaultdict(list)
    for name, path in classes():
        where[name].append(path)
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_no_class_is_named_after_a_metaphor():
    """Classes have names that the field knows."""
    assert {(name, path) for name, path in classes() if name in METAPHORS} == set()


def test_the_words_are_the_words_of_the_field():
    """No name, docstring, comment, message or sentence of a document uses a word of a language of our own."""
    assert [line for path in READ for line in words_of_ours(path)] == []


def words_of_ours(path):
    """Each word of ours in a file, with its place and the field's word."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    for place, kept in KEPT:
        if place in ("", name):
            text = re.sub(re.escape(kept), "", text, flags=re.IGNORECASE)
    # Most files hold none: their words are looked at, not each place.
    if not PLAIN.isdisjoint(re.findall("[a-z]+", text.lower())) or JOINED.search(text):
        for number, line in enumerate(text.splitlines(), 1):
            for match in WORD.finditer(line):
                yield f"{name}:{number}: {match[0]!r}, say {said_for(match[0])!r}"


def said_for(word):
    """The field's word for a word of ours, which may stand in the plural."""
    return OURS.get(word.lower()) or OURS[word.lower().removesuffix("s")]


def test_a_file_opens_with_one_sentence():
    """The first line of a file says what the file is for, in one line."""
    first = {path: (ast.get_docstring(tree) or "").partition("\n")[0] for path, tree in trees().items()}
    assert {path: line for path, line in first.items() if not line.endswith((".", ":"))} == {}
