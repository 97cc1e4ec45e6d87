"""Writes paths to ignore into the file that configures a project's pytest, and leaves all else of it as it is."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import iniconfig

from pytest_sparrow.errors import UsageError
from pytest_sparrow.store.disk import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_KEY = "sparrow_ignore"


def config_file(start: Path) -> tuple[Path, str] | None:
    """The file that configures pytest for a folder, there or in the nearest folder above, and its section; None: none.

    Args:
        start: the folder of the tests.
    """
    for folder in (start.absolute(), *start.absolute().parents):
        for name, section in _SECTIONS:
            if _has(folder / name, section):
                return folder / name, section
    return None


_SECTIONS = (
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest"),
    ("pyproject.toml", "tool.pytest.ini_options"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
"""The files that pytest reads, in its order, and the section that is pytest's."""


def _has(path: Path, section: str) -> bool:
    """Whether a file configures pytest in this section; one of pytest's own does even where it is empty."""
    own = path.stem.endswith("pytest")
    return path.is_file() and (
        own or _head(path.read_text(encoding="utf-8", errors="replace"), section) is not None
    )


def _head(text: str, section: str) -> re.Match[str] | None:
    return re.search(rf"^\[{re.escape(section)}\].*$\n?", text, re.MULTILINE)


def ignore(path: Path, section: str, paths: Sequence[str]) -> None:
    """Add paths to ``sparrow_ignore`` of a file.

    Args:
        path: the file.
        section: its section that is pytest's.
        paths: the paths.

    Raises:
        UsageError: the setting stands there in a way that this can't extend, or the file is broken; nothing is written.
    """
    edit, read = (_in_toml, _read_toml) if path.suffix == ".toml" else (_in_ini, _read_ini)
    try:
        text, newline = _lines_of(path.read_bytes().decode())
        before = read(text, section)
        new = [each for each in paths if each not in before.get(_KEY, [])]
        if not new:
            return
        edited = edit(text, section, new)
        as_meant = read(edited, section) == before | {_KEY: [*new, *before.get(_KEY, [])]}
    except (ValueError, LookupError, TypeError, iniconfig.ParseError):
        as_meant = False
    if not as_meant:
        raise UsageError(
            f"{path}: {_KEY} stands there in another way than this can extend: paste the line yourself"
        )
    replace_file(path, edited.replace("\n", newline).encode())


def _lines_of(text: str) -> tuple[str, str]:
    """A text with newlines of one character, and the newline that it has; mixed ones are left as they are."""
    ours = text.replace("\r\n", "\n")
    return (ours, "\r\n") if ours != text and ours.count("\n") == text.count("\r\n") else (text, "\n")


def _edited(text: str, section: str, known: str, new: str, line: str) -> str:
    """The text with something new behind what the pattern finds in a section, or with a new line at its head."""
    head = _head(text, section)
    if head is None:  # an empty pytest.ini
        raise LookupError(section)
    following = re.compile(r"^\[", re.MULTILINE).search(text, head.end())
    end = len(text) if following is None else following.start()
    found = re.compile(known, re.MULTILINE).search(text, head.end(), end)
    if found is not None:
        return text[: found.end()] + new + text[found.end() :]
    before = text[: head.end()]
    return before + ("" if before.endswith("\n") else "\n") + line + text[head.end() :]


def _in_ini(text: str, section: str, new: Sequence[str]) -> str:
    lines = "".join(f"\n    {path}" for path in new)
    return _edited(text, section, rf"^{_KEY}[ \t]*=(?=[ \t]*$)", lines, f"{_KEY} ={lines}\n")


def _in_toml(text: str, section: str, new: Sequence[str]) -> str:
    values = ", ".join(map(json.dumps, new))
    return _edited(text, section, rf"^{_KEY}[ \t]*=[ \t]*\[", f"{values}, ", f"{_KEY} = [{values}]\n")


def _read_toml(text: str, section: str) -> dict[str, Any]:
    options: dict[str, Any] = tomllib.loads(text)
    for key in section.split("."):
        options = options[key]
    return options


def _read_ini(text: str, section: str) -> dict[str, Any]:
    """What pytest's section holds, as pytest reads it: the lines of a value."""
    found: dict[str, Any] = dict(iniconfig.IniConfig("", data=text)[section].items())
    if _KEY in found:
        found[_KEY] = [line.strip() for line in found[_KEY].splitlines() if line.strip()]
    return found
