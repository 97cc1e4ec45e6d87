"""Finds how the JSON of an answer was spelled, in a few words, and spells it so again.

An agent may read an answer's length, its digest or its lines. Most JSON is what a known library writes: the words name
its blanks and escapes, ``numbers`` the numbers that Python would write otherwise. Where that is not enough, the text
itself stands beside the value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pytest_sparrow.events import jsontext

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json

EXACT = "exact"
"""The key of the text itself."""

_FIRST_BLANKS = re.compile(r"[{\[](?:\r?\n( +|\t)?)?")
_COLON = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:\s*)')
_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(-?[0-9][0-9.eE+-]*)')
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|.)")

_NEWLINE = "newline"
_ESCAPES: dict[str, Callable[[str], str]] = {
    # These characters stand within strings only, so the text can be searched for them as a whole.
    "slashes": lambda text: text.replace("/", "\\/"),
    "html": lambda text: (
        text.replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    ),
    "upper": lambda text: _ESCAPE.sub(lambda match: f"\\u{match[1].upper()}" if match[1] else match[0], text),
}
"""Escapes that libraries write, by name: PHP's, Go's, .NET's."""

_BLANKS = {"spaced": (", ", ": "), "spaced-colons": (",", ": "), "": (",", ":")}
"""Item and key separators, by name."""


def spelling_of(raw: bytes, value: Json) -> dict[str, Json]:
    """What a body says beside ``json`` of how its text is spelled; nothing where it is compact, as a golden is."""
    if jsontext.spell(value) == raw:
        return {}
    text = raw.decode("utf-8")
    words = " ".join(_words_of(text))
    ours = _spelled(value, words)
    if ours == text:
        return {"spelled": words}
    numbers = _other_numbers(text, ours)
    if numbers and sum(map(len, numbers.values())) < len(text) // 2 and _with_numbers(ours, numbers) == text:
        return {"spelled": words, "numbers": numbers}
    return {EXACT: text}


# The answer that is on its way: it is searched for placeholders, and served.
_last: tuple[Json, bytes] = None, b"null"


def spelled_once(value: Json) -> bytes:
    """What `jsontext.spell` gives; of the value that was spelled last without doing so again. Never change the value.

    Raises:
        ValueError: it has no spelling.
    """
    global _last  # noqa: PLW0603 - one answer is as good as another
    last, data = _last
    if last is not value:
        data = jsontext.spell(value)
        _last = value, data
    return data


def spell_body(body: dict[str, Json]) -> bytes:
    """The bytes of a body that holds ``json``.

    Raises:
        ValueError: what it says of its spelling can't be read.
    """
    if EXACT in body:
        if not isinstance(body[EXACT], str):
            raise ValueError("its exact text is no text")
        return str(body[EXACT]).encode()
    if "spelled" not in body:
        return spelled_once(body["json"])
    text = _spelled(body["json"], body["spelled"])
    numbers = body.get("numbers")
    return (_with_numbers(text, numbers) if isinstance(numbers, dict) else text).encode()


def without_text(body: dict[str, Json]) -> dict[str, Json]:
    """A body whose value was changed: without what is said of its former text, but for its blanks and escapes."""
    return {key: item for key, item in body.items() if key not in (EXACT, "numbers")}


def without_spelling(answered: dict[str, Json]) -> dict[str, Json]:
    """A model's answer without what is said of its text: SDKs parse it, and a golden holds hundreds of them."""
    body = answered.get("body")
    if not isinstance(body, dict) or "json" not in body or len(body) == 1:
        return answered
    return {**answered, "body": {"json": body["json"]}}


def _words_of(text: str) -> list[str]:
    """Blanks and escapes of a text, by its first ones: no text mixes them that a library has written."""
    words = [name for name in (_indent_of(text) or _separators_of(text),) if name]
    if text.isascii() and "\\u" in text:
        words.append("ascii")
    if "\\/" in text:
        words.append("slashes")
    if "\\u003" in text or "\\u0026" in text:
        words.append("html")
    if any(match[1] and match[1] != match[1].lower() for match in _ANY_ESCAPE.finditer(text)):
        words.append("upper")
    if text.endswith("\n"):
        words.append(_NEWLINE)
    return words


_ANY_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")


def _indent_of(text: str) -> str:
    first = _FIRST_BLANKS.match(text)
    blanks = first[1] if first else None
    if blanks is None:
        return ""
    return "indent-tab" if blanks == "\t" else f"indent-{len(blanks)}"


def _separators_of(text: str) -> str:
    colon = _COLON.search(text)
    if colon is None:
        return "spaced" if ", " in text else ""
    return "" if colon[1] == ":" else "spaced" if ", " in text or "," not in text else "spaced-colons"


def _spelled(value: Json, words: Json) -> str:
    if not isinstance(words, str):
        raise ValueError("its spelling is no text")
    said = set(words.split())
    indent = next((word.removeprefix("indent-") for word in said if word.startswith("indent-")), None)
    blanks = next((word for word in said if word in _BLANKS), "" if indent is None else "spaced-colons")
    text = json.dumps(
        value,
        ensure_ascii="ascii" in said,
        indent=None if indent is None else "\t" if indent == "tab" else min(int(indent), _WIDEST),
        separators=_BLANKS[blanks],
    )
    for name, escape in _ESCAPES.items():
        if name in said:
            text = escape(text)
    return text + "\n" if _NEWLINE in said else text


_WIDEST = 16


def _other_numbers(text: str, spelled: str) -> dict[str, str]:
    """The numbers that are spelled otherwise, by their place among all; nothing where there are not as many."""
    written, ours = (_NUMBER.findall(each) for each in (text, spelled))
    written, ours = ([number for number in each if number] for each in (written, ours))
    if len(written) != len(ours):
        return {}
    return {
        str(place): number
        for place, (number, our) in enumerate(zip(written, ours, strict=True))
        if number != our
    }


def _with_numbers(text: str, numbers: dict[str, Json]) -> str:
    place = -1

    def number(match: re.Match[str]) -> str:
        nonlocal place
        if match[1] is None:
            return match[0]
        place += 1
        return str(numbers.get(str(place), match[0]))

    return _NUMBER.sub(number, text)
