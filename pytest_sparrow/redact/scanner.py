"""Scans bytes that are about to be written for secrets, by rules of its own.

A quick look at bytes: may anything secret be inside? Most lines are cleared here, in about a microsecond.

Python's ``re`` tries an alternation at every byte (1.1 ms for 20 kB with 20 literals), but it looks for one
literal byte at memory speed. So one ``translate`` makes the rare bytes that every shape holds (``-``, ``_``,
``.``, ``B``, ``I``, ``J``) the same byte, and lowers the rest. Two searches then look around such a byte for
shapes, and around a colon for names. They run over the reversed bytes: what tells is what stands in front,
and ``re`` rejects a branch faster ahead than behind.

The second look: at bytes that are about to be written, by rules that are not the redactor's.

Whatever the redactor overlooks (a rule that is missing, a bug) must not end up in a repository. What is found here is
never replaced: the recording fails, names the place and the kind, and the user decides.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pytest_sparrow.errors import SecretFound
from pytest_sparrow.redact.names import FRAGMENTS
from pytest_sparrow.redact.scanner_rules import RULES, long_runs, needles_of
from pytest_sparrow.redact.shapes import SHAPES
from pytest_sparrow.redact.user_rules import NOTHING_ALLOWED, Allowed, value_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["MARKS", "Hit", "Scanner", "suspicious"]


MARKS = re.compile(r"[-_.BIJ:=]")
"""One of these stands in every text that `suspicious` suspects for its shape or a name in it."""


def _fold(byte: int) -> int:
    if byte in b"-_.BIJ":
        return ord("-")
    # So that ?api_key=… is found by the same search as {"api_key":…
    return ord(":") if byte == ord("=") else bytes([byte]).lower()[0]


_SUSPECT_TABLE = bytes(map(_fold, range(256)))
_LONG_RUN = rb"[a-z0-9%+/~-]"
_RUN_LENGTH = 12
_DIGITS = [b"%d" % digit for digit in range(10)]


def _folded(literal: str) -> bytes:
    return literal.encode().translate(_SUSPECT_TABLE)


def _shape_search() -> re.Pattern[bytes]:
    """``-``, then (backwards) what a prefix has in front of it, then a look at what follows the prefix."""
    branches: dict[bytes, set[bytes]] = {}
    short: set[bytes] = set()
    for shape in SHAPES:
        for prefix in shape.prefixes:
            folded = _folded(prefix)
            anchor = folded.rindex(b"-")
            behind, ahead = folded[:anchor][::-1], folded[anchor + 1 :][::-1]
            run = _LONG_RUN * (min(shape.run, _RUN_LENGTH) - len(ahead)) if shape.run else b""
            look = rb"(?<=%s%s-%s)" % (run, re.escape(ahead), re.escape(behind))
            if len(behind) < 2:
                short.add(re.escape(behind) + look)
            else:
                branches.setdefault(behind[:1], set()).add(re.escape(behind[1:]) + look)
    # Two bytes that no prefix ends with turn most candidates away.
    filters = (
        _one_of(branches),
        _one_of({rest.lstrip(b"\\")[:1] for rests in branches.values() for rest in rests}),
    )
    return re.compile(b"-(?:(?=%s%s)%s|%s)" % (*filters, _grouped(branches), b"|".join(sorted(short))))


def _one_of(first_bytes: Iterable[bytes]) -> bytes:
    return b"[%s]" % b"".join(re.escape(byte) for byte in sorted(first_bytes))


def _name_search() -> re.Pattern[bytes]:
    """A colon between (backwards) a text or a list, and the quote and the end of a name."""
    branches: dict[bytes, set[bytes]] = {}
    for name in (*FRAGMENTS, "code", "value"):
        first, *rest = reversed(name)
        branches.setdefault(first.encode(), set()).add("".join(map(_maybe_capital, rest)).encode())
    # {"key":"…  or  {"key": …  or  {"keys":[…  or  ?key=…  or  KEY='…, but no number's name and no schema's {"key":{…
    value = rb"(?:(?<=[\\\"\[ ]:) ?\"\\*|(?<=[^\s&#;<>{\[]:))"
    # Names are numbered, and those of forms nested: api_key2, API_KEY_2, "password 2", user[password].
    ends = rb"(?=%s)[][s0-9 -]*%s" % (_one_of({*branches, *_DIGITS, b" ", b"-", b"]"}), _grouped(branches))
    return re.compile(rb":(?:%s%s|(?<=\{:)\"\\*s?e[i-]kooc)" % (value, ends))


def _maybe_capital(letter: str) -> str:
    # Capital B, I and J are folded to "-".
    return f"[{letter}-]" if letter in "bij" else re.escape(letter)


def _grouped(branches: dict[bytes, set[bytes]]) -> bytes:
    """An alternation by first byte: to reject a branch that begins with another byte costs 3 ns."""
    groups = (
        re.escape(first) + b"(?:%s)" % b"|".join(sorted(rest)) for first, rest in sorted(branches.items())
    )
    return b"(?:%s)" % b"|".join(groups)


_SHAPES = _shape_search()
_NAMES = _name_search()


def suspicious(data: bytes, needles: tuple[bytes, ...] = ()) -> bool:
    """Whether a JSON line, or a text, may hold a secret; never False where the slow way would find one.

    Args:
        data: UTF-8.
        needles: known secrets, in every spelling that they may have in the data.
    """
    for needle in needles:
        if needle in data:
            return True
    folded = data.translate(_SUSPECT_TABLE)[::-1]
    if _SHAPES.search(folded) or _NAMES.search(folded):
        return True
    # A URL with a user and a password.
    return b"@" in data and b"://" in data


_ELSEWHERE = tuple(rule for rule in RULES if not rule.in_run)
_RUN = 20
_REMEMBERED = 4096
_LONGEST_KEY = 512
_SHORTEST_ENCODED = 20
_MAX_DEPTH = 2
_PERCENT = re.compile(rb"(?<![^\s\"\\])\\?[^\s\"\\%]*%[0-9A-Fa-f]{2}[^\s\"\\]*")
_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A secret in bytes.

    Attributes:
        kind: its kind.
        value: the secret; for no eyes.
        start: where it stands, or what encodes it.
    """

    kind: str
    value: bytes
    start: int


class Scanner:
    """Refuses bytes that hold a secret. Thread safe.

    Args:
        environ: whose secrets to look for; ``os.environ`` if None, as it is now.
        allowed: what the user says is no secret.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, allowed: Allowed = NOTHING_ALLOWED
    ) -> None:
        self._needles = needles_of(os.environ if environ is None else environ)
        self._allowed = allowed
        self._harmless: set[bytes] = set()

    def check(self, data: bytes, *, file: str, line: int | None = None) -> None:
        """Refuse bytes that are about to be written.

        Args:
            data: JSON in UTF-8: one line, several, or a whole file.
            file: where they are to be written.
            line: the number of the first line, where it is not 1.

        Raises:
            SecretFound: they hold a secret.
        """
        hit = self.find(data)
        if hit is None:
            return
        first, text = (line or 1), data
        if b"\n" in data.rstrip(b"\n") and not data.startswith(b"{\n"):
            first += data.count(b"\n", 0, hit.start)
            end = data.find(b"\n", hit.start)
            text = data[data.rfind(b"\n", 0, hit.start) + 1 : len(data) if end < 0 else end]
        elif data.startswith(b"{\n"):
            first += data.count(b"\n", 0, hit.start)
        value = hit.value.decode("utf-8", "replace")
        raise SecretFound(file, first, self._path_in(text, hit), hit.kind, value_digest(value))

    def find(self, data: bytes) -> Hit | None:
        """The first secret that is not allowed, or None."""
        return next(self._hits(data, 0), None)

    def _hits(self, data: bytes, depth: int) -> Iterator[Hit]:
        runs = long_runs(data, _RUN) - self._harmless
        telling = False
        keys = b" ".join(runs)
        # Most lines hold no long run: then a handful of formats is left to look for.
        for rule in RULES if runs else _ELSEWHERE:
            if rule.needle in (keys if rule.in_run else data):
                telling = True
                for match in rule.pattern.finditer(data):
                    if rule.holds(match):
                        yield from self._unless_allowed(rule.kind, match[1], match.start(1))
        for hit in self._of_environment(data):
            telling = True
            yield hit
        if depth < _MAX_DEPTH:
            if b"%" in data:
                yield from self._in_percent(data, depth)
            for run in runs:
                yield from self._encoded(data, run, depth)
        if depth == 0 and not telling and len(self._harmless) < _REMEMBERED:
            # Ids stand in many lines: to look once is enough. Whoever gets here has found nothing.
            self._harmless.update(run for run in runs if len(run) <= _LONGEST_KEY)

    def _of_environment(self, data: bytes) -> Iterator[Hit]:
        for needle in self._needles:
            if needle.spelled not in data:
                continue
            start = data.index(needle.spelled)
            if needle.pattern is not None:
                match = needle.pattern.search(data)
                if match is None:
                    continue
                start = match.start()
            yield from self._unless_allowed(
                _kind_of(needle.name), needle.value.encode("utf-8", "replace"), start
            )

    def _encoded(self, data: bytes, run: bytes, depth: int) -> Iterator[Hit]:
        if len(run) < _SHORTEST_ENCODED:
            return
        # JSON spells the end of a line before it as \n: that letter is no part of it.
        for spelled in (run, run[1:]) if len(run) <= _LONGEST_KEY else (run,):
            try:
                plain = base64.b64decode(
                    spelled.translate(_STANDARD) + b"=" * (-len(spelled) % 4), validate=True
                )
                if len(run) <= _LONGEST_KEY:
                    plain.decode()  # an id decodes to noise: not worth a search. A file may be of any bytes.
            except ValueError:
                continue
            for hit in self._hits(plain, depth + 1):
                yield Hit(kind=hit.kind, value=hit.value, start=data.index(spelled))

    def _in_percent(self, data: bytes, depth: int) -> Iterator[Hit]:
        for match in _PERCENT.finditer(data):
            for plain in {unquote_to_bytes(match[0]), unquote_to_bytes(match[0].replace(b"+", b" "))}:
                for hit in self._hits(plain, depth + 1):
                    yield Hit(kind=hit.kind, value=hit.value, start=match.start())

    def _unless_allowed(self, kind: str, value: bytes, start: int) -> Iterator[Hit]:
        if not self._allowed(kind, value.decode("utf-8", "replace")):
            yield Hit(kind=kind, value=value, start=start)

    def _path_in(self, text: bytes, hit: Hit) -> str:
        """Where in the JSON it stands, like ``asked.body.json.messages[2].content``; "" where that can't be told."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        for path, leaf in _leaves(value, ""):
            found = self.find(leaf.encode("utf-8", "surrogatepass"))
            if found is not None and found.kind == hit.kind:
                return path
        return ""


def _kind_of(name: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in name.lower()).strip("-")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield f"{path}.<key {number + 1}>".lstrip("."), key
            yield from _leaves(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
