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


def modules():
    """Every module of the package: its path, its dotted name within the package, its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield path, name, ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imported(tree):
    """Every module that is imported anywhere in a tree, for typing alone or lazily too."""
    return list(_imported(tree))


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            if node.module == "pytest_sparrow":
                yield from (f"pytest_sparrow.{alias.name}" for alias in node.names)


MODULES = list(modules())


def test_every_room_is_in_the_table():
    """The table names every module and folder of the package, and nothing that isn't there."""
    there = {name.partition(".")[0] for _, name, _ in MODULES if name}
    assert set(rooms()) == there


@pytest.mark.parametrize("room", sorted({name.partition(".")[0] for _, name, _ in MODULES if name}))
def test_a_room_imports_what_stands_above_it(room):
    """A room imports rooms of its own row or of rows above it, never one below."""
    order = rooms()
    wrong = [
        f"{name} imports {target}"
        for _, name, tree in MODULES
        if name.partition(".")[0] == room
        for target in imported(tree)
        if target.startswith("pytest_sparrow.") and order[target.split(".")[1]] > order[room]
    ]
    assert wrong == []


OWNERS = {
    "pytest": {"plugin"},
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
        for _, name, tree in MODULES
        if any(target.partition(".")[0] == library for target in imported(tree))
    }
    assert knows <= OWNERS[library]


def test_only_cli_reads_argv():
    """sys.argv is read in cli alone."""
    readers = {
        name.partition(".")[0]
        for _, name, tree in MODULES
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "argv"
    }
    assert readers <= {"cli"}
