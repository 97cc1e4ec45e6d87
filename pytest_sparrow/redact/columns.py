"""Finds secrets in columns that a header names: CSV, tab-separated text, tables of Markdown and of databases, SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.redact.names import Rule, Sure
from pytest_sparrow.redact.plausible import is_generated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.redact.texts import Names

_NAME = r"[\"'`*\[]{0,3}[A-Za-z_][\w .-]{0,40}[\"'`*\]]{0,3}"
# A line of names, at least two.
_HEADER = re.compile(
    rf"^[|\" ]{{0,4}}{_NAME}(?:([,;\t|]) *{_NAME}(?:\1 *{_NAME}){{0,60}})[| ]{{0,4}}\r?\n", re.MULTILINE
)
_RULER = frozenset("-+|:= \r")
_BOXES = {number: "|" if chr(number) in "│┃║" else "-" for number in range(0x2500, 0x2580)}
"""The lines around the cells of a table in a terminal, as the signs that stand for them elsewhere."""
_CELLS = {
    by: re.compile(rf" *(?:\"(?P<quoted>(?:[^\"]|\"\")*)\"|(?P<bare>[^{by}]*?)) *\r?(?:{re.escape(by)}|\Z)")
    for by in ",;\t|"
}
_INSERT = re.compile(r"\((?P<names>[\w\s,\"`\[\].]{3,4000})\)\s*VALUES\s*(?=\()", re.IGNORECASE)
_CELL_OF_SQL = re.compile(
    r"\s*(?:[NnEe]?\\{0,3}'(?P<quoted>(?:[^'\\]|'')*)\\{0,3}'|(?P<bare>[^,()'\"]*)(?:\([^()]*\)|\"[^\"]*\")?)\s*(?P<end>[,)])"
)
_NEXT_ROW = re.compile(r"\s*,\s*\(")


def in_columns(text: str, low: str, names: Names) -> Iterator[tuple[int, int, Rule]]:
    """Each value below a name that says secret, and its rule.

    What stands in a table may be anything: only a value that a generator made, or below the name of a password.

    Args:
        text: the text.
        low: the same in small letters.
        names: gives the rule of a name.
    """
    for start, stop, rule in (
        *_in_tables(text, names),
        *(_in_inserts(text, names) if "values" in low else ()),
    ):
        # A table of Markdown may be about passwords.
        if is_generated(text[start:stop]) or (rule.sure is Sure.PASSWORD and text[stop : stop + 2] != " |"):
            yield start, stop, rule


def _rules(cells: list[str], names: Names) -> dict[int, Rule]:
    found = ((number, names(cell.strip("\"'`*[] \r\n"))) for number, cell in enumerate(cells))
    return {number: rule for number, rule in found if rule is not None}


def _in_tables(text: str, names: Names) -> Iterator[tuple[int, int, Rule]]:
    if "│" in text:
        text = text.translate(_BOXES)
    if not any(map(text.__contains__, _CELLS)):
        return
    for header in _HEADER.finditer(text):
        by, line = header[1], header[0]
        rules = _rules(line.split(by), names)
        if rules:
            yield from _in_rows(text, header.end(), by, rules)


def _in_rows(text: str, at: int, by: str, rules: dict[int, Rule]) -> Iterator[tuple[int, int, Rule]]:
    """The values of the lines from a place on that are rows of a table."""
    last = max(rules)
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        is_ruler = _RULER.issuperset(text[at:end])
        if not is_ruler and text.count(by, at, end) < last:
            return
        cells = () if is_ruler else zip(range(last + 1), _CELLS[by].finditer(text, at, end), strict=False)
        for number, cell in cells:
            if number in rules:
                yield *cell.span("bare" if cell["quoted"] is None else "quoted"), rules[number]
        at = end + 1


def _in_inserts(text: str, names: Names) -> Iterator[tuple[int, int, Rule]]:
    for insert in _INSERT.finditer(text):
        rules = _rules(insert["names"].split(","), names)
        at = insert.end() + 1
        while rules:
            number, cell = 0, _CELL_OF_SQL.match(text, at)
            while cell is not None:
                if number in rules and cell["quoted"]:
                    yield *cell.span("quoted"), rules[number]
                if cell["end"] == ")":
                    break
                number, cell = number + 1, _CELL_OF_SQL.match(text, cell.end())
            following = _NEXT_ROW.match(text, cell.end()) if cell else None
            if following is None:
                break
            at = following.end()
