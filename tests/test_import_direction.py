"""Imports point one way, as docs/architecture.md says."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_sparrow"


def rooms():
    """The rooms in the order of the table, each with its row's number; rooms of one row may know each other."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", text, flags=re.MULTILINE)
    return {name: number for number, row in enumerate(rows) for name in re.findall(r"`(\w+)`", row)}


def names():
    """The dotted name within the package of every module, and its path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


@functools.cache
def modules():
    """Every module of the package: its dotted name within the package, what it imports, whether it reads argv.

    No tree is kept: the garbage collector would go through all of them, at every turn.
    """
    trees = ((name, ast.parse(path.read_text(encoding="utf-8"))) for name, path in names())
    return [(name, set(_imported(tree)), _reads_argv(tree)) for name, tree in trees]


def _imported(tree):
    """Every module that is imported anywhere in a tree, for typing alone or lazily too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            if node.module == "pytest_sparrow":
                yield from (f"pytest_sparrow.{alias.name}" for alias in node.names)


def _reads_argv(tree):
    return any(isinstance(node, ast.Attribute) and node.attr == "argv" for node in ast.walk(tree))


ROOMS = sorted({name.partition(".")[0] for name, _ in names() if name})


def test_every_room_is_in_the_table():
    """The table names every module and folder of the package, and nothing that isn't there."""
    assert set(rooms()) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_stands_above_it(room):
    """A room imports rooms of its own row or of rows above it, never one below."""
    order = rooms()
    wrong = [
        f"{name} imports {target}"
        for name, imported, _ in modules()
        if name.partition(".")[0] == room
        for target in sorted(imported)
        if target.startswith("pytest_sparrow.") and order[target.split(".")[1]] > order[room]
    ]
    assert wrong == []


OWNERS = {
    "pytest": {"plugin", "testing"},
    "_pytest": set(),
    "argparse": {"cli"},
    "pydantic": {"json_objects", "events", "values", "boundaries"},
    "deepdiff": {"comparing"},
    "httpx": {"boundaries"},
    "httpx2": {"boundaries"},
    "openai": set(),
    "anthropic": set(),
}


@pytest.mark.parametrize("library", OWNERS)
def test_who_knows_what(library):
    """Only plugin knows pytest, only cli knows argv, only a boundary an HTTP library; SDKs nobody."""
    knows = {
        name.partition(".")[0]
        for name, imported, _ in modules()
        if any(target.partition(".")[0] == library for target in imported)
    }
    assert knows <= OWNERS[library]


def test_only_cli_reads_argv():
    """sys.argv is read in cli alone."""
    assert {name.partition(".")[0] for name, _, reads_argv in modules() if reads_argv} <= {"cli"}
