"""The table of settings: each row makes the README's line, and is a field with its default."""

import dataclasses
import re
from pathlib import Path

import pytest

from pytest_sparrow.settings import TABLE, Mode, SettingPlace, Settings, behaviour
from pytest_sparrow.settings.kinds import (
    Age,
    Choice,
    Flag,
    Lines,
    MaxAge,
    Number,
    Objects,
    PlainText,
    Rate,
    Table,
)

README = Path(__file__).parents[2] / "README.md"


def readme_table():
    """The README's table of settings, as the rows say it."""
    yield "| name | meaning | values | default | where |"
    yield "|---|---|---|---|---|"
    for row in TABLE:
        default = f"`{row.default_shown}`" if row.default_shown.startswith("_") else row.default_shown
        values = row.kind.valid.removeprefix("one of: ")
        yield f"| `{row.name}` | {row.help} | {values} | {default} | {row.places.shown} |"


def test_the_readme_has_the_table():
    """The README's table is the one that the rows make; on a difference, paste the lines of this failure."""
    lines = list(readme_table())
    written = README.read_text(encoding="utf-8").splitlines()
    at = written.index(lines[0]) if lines[0] in written else 0
    assert written[at : at + len(lines)] == lines, "\n".join(lines)
    assert not written[at + len(lines)].startswith("|")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_row_is_whole(row):
    """A row's name is that of its field, its default is valid, and its help is one line."""
    field = next(field for field in dataclasses.fields(Settings) if field.name == row.name)
    assert getattr(Settings(), row.name) == row.default == field.default
    assert row.places
    assert row.help
    assert "\n" not in row.help
    if row.default not in ((), None):
        row.kind.read(row.default, "here")


@pytest.mark.parametrize(
    ("kind", "text", "value", "read"),
    [
        (Choice(Mode), "new", "new", Mode.NEW),
        (Choice(Mode), " new\n", Mode.NEW, Mode.NEW),
        (Flag(), "Yes", True, True),
        (Flag(), "off", False, False),
        (Number(), "12", 12, 12),
        (Number(flag=True), "false", False, False),
        (Number(flag=True), "1", 1, 1),
        (Rate(), " 0.70 ", 0.7, 0.7),
        (Rate(), "1", 1, 1.0),
        (PlainText(), "a b", "a b", "a b"),
        (Age(), "90d", "90d", MaxAge(90)),
        (Age(), " 2w fail ", "2w fail", MaxAge(14, fails=True)),
        (PlainText(folder=True), "goldens", "goldens", "goldens"),
        (Lines(), "a = 1\n\n  b  ", ["a = 1", "b"], ("a = 1", "b")),
        (Lines(), "a", "a", ("a",)),
        (Lines(flag=True), "true", True, True),
        (Lines(flag=True), "a", ("a",), ("a",)),
        (
            Table(Mode, ""),
            "x = y = new\n* = off",
            {"x = y": "new", "*": "off"},
            (("x = y", Mode.NEW), ("*", Mode.OFF)),
        ),
        (Table(Mode, ""), "a=new", ["a = new"], (("a", Mode.NEW),)),
    ],
)
def test_a_kind_reads_text_and_values(kind, text, value, read):
    """A text of an ini file and a value of Python or TOML give the same setting, of the same type."""
    for found in (kind.parse(text, "here"), kind.read(value, "here")):
        assert found == read
        assert type(found) is type(read)


def test_a_value_is_shown_shortened():
    """A message shows the beginning of a long wrong value."""
    with pytest.raises(Exception, match=r"^here: '(a{100,250})… is not true or false$"):
        Flag().read("a" * 1000, "here")


def test_objects_are_read_where_they_are_used():
    """Python objects go through the reader that the row names, and its error names the origin."""
    kind = Objects("pytest_sparrow.scenario:checked", "a list of turns")
    assert len(kind.read(["a", "b"], "here")) == 2
    with pytest.raises(Exception, match=r"^here: 3 is not a list of turns$"):
        kind.read(3, "here")


@pytest.mark.parametrize(
    ("mode", "with_golden", "without"),
    [
        ("replay", "shut replays compares", "shut missing"),
        ("record", "records", "records"),
        ("new", "shut replays compares", "records"),
        ("verify", "compares", "shut missing"),
        ("off", "", ""),
    ],
)
def test_what_a_mode_does(mode, with_golden, without):
    """The table of the README: whether the world is shut, and what becomes of the golden."""
    for golden, expected in ((True, with_golden), (False, without)):
        found = behaviour(Mode(mode), golden=golden)
        done = {field.name for field in dataclasses.fields(found) if getattr(found, field.name) is True}
        assert done == set(expected.split())


def test_what_a_mode_may_do():
    """Which modes may write a golden, read one, and shut the world for every test."""
    assert {mode.value for mode in Mode if mode.writes} == {"record", "new", "update", "extend"}
    assert {mode.value for mode in Mode if not mode.reads} == {"off"}
    assert {mode.value for mode in Mode if mode.shut} == {"replay", "update", "extend"}
    assert {mode.value for mode in Mode if mode.live} == {"verify"}
    assert not any(mode.read_only.writes or mode.read_only.live for mode in Mode)
    assert Mode.OFF.read_only is Mode.OFF


def test_places_are_named():
    """Every place has a name, and names come in the order in which they win."""
    assert (SettingPlace.INI | SettingPlace.MARKER).shown == "marker, ini"
    assert all(place.shown for place in SettingPlace)


def test_the_readme_has_every_mode():
    """The README's table of modes has a row for each mode, and no other."""
    text = README.read_text(encoding="utf-8")
    rows = text.partition("## Modes")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\w+) \| (?!how)", rows, flags=re.MULTILINE) == [mode.value for mode in Mode]
