"""Scans bytes that are about to be written for secrets, by rules that the redactor does not share.

A secret that the redactor overlooks (a missing rule, a bug) must not end up in a repository. The scanner replaces
nothing: the recording fails, names the place and the kind, and the user decides.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pytest_sparrow.errors import SecretFound
from pytest_sparrow.redact.scanner_rules import FILE, long_runs, needles_of, scan_rules, without_files
from pytest_sparrow.redact.user_rules import NOTHING_ALLOWED, Allowed, value_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_sparrow.redact.scanner_rules import Needle

_RUN = 20
_REMEMBERED = 4096
_LONGEST_KEY = 512
_FILE_HEAD = 1024
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
        self._rules = scan_rules()
        self._outside_runs = tuple(rule for rule in self._rules if not rule.in_run)
        self._environ = dict(os.environ if environ is None else environ)
        self._needles: tuple[Needle, ...] | None = None
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
        suspicious = False
        short = [run for run in runs if len(run) < FILE]
        keys, shown = b" ".join(short), data if len(short) == len(runs) else without_files(data)
        # Most lines hold no long run: then a handful of formats is left to look for.
        for rule in self._rules if runs else self._outside_runs:
            if rule.needle in (keys if rule.in_run and shown is data else shown):
                suspicious = suspicious or rule.in_run  # the others are looked for in every line
                for match in rule.pattern.finditer(shown):
                    if rule.holds(match):
                        yield from self._unless_allowed(rule.kind, match[1], data.find(match[1]))
        yield from self._of_environment(data)
        if depth < _MAX_DEPTH:
            if b"%" in shown:
                yield from self._in_percent(shown, depth)
            for run in filter(_may_encode, runs):
                yield from self._encoded(data, run, depth)
        if depth == 0 and not suspicious and len(self._harmless) < _REMEMBERED:
            # Ids stand in many lines: to look once is enough. Whoever gets here has found nothing.
            self._harmless.update(run for run in runs if len(run) <= _LONGEST_KEY)

    def _of_environment(self, data: bytes) -> Iterator[Hit]:
        if self._needles is None:  # a replay writes nothing
            self._needles = needles_of(self._environ)
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
        # JSON spells the end of a line before it as \n: that letter is no part of it.
        for spelled in (run, run[1:]) if len(run) <= _LONGEST_KEY else (run,):
            if len(run) <= _LONGEST_KEY and not _begins_text(spelled[:8]):
                continue
            try:
                plain = base64.b64decode(
                    spelled.translate(_STANDARD) + b"=" * (-len(spelled) % 4), validate=True
                )
                if len(run) <= _LONGEST_KEY:
                    plain.decode()  # an id decodes to noise: not worth a search. A file may be of any bytes.
            except ValueError:
                continue
            if len(run) >= FILE and b"\0" in plain[:_FILE_HEAD]:
                # A picture or an archive: a format stands there by chance alone, a key's file does not.
                hits = (
                    self._of_environment(plain)
                    if b"PRIVATE KEY" not in plain
                    else self._hits(plain, depth + 1)
                )
            else:
                hits = self._hits(plain, depth + 1)
            for hit in hits:
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
        """Where in the JSON it stands, like ``asked.body.json.messages[2].content``; "" where that is unknown."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        for path, leaf in _leaves(value, ""):
            found = self.find(leaf.encode("utf-8", "surrogatepass"))
            if found is not None and found.kind == hit.kind:
                return path
        return ""


def _may_encode(run: bytes) -> bool:
    """Whether a run may be base64 of a text, as far as its beginning says; behind the letter of an escape, too."""
    return len(run) > _LONGEST_KEY or _begins_text(run[:8]) or _begins_text(run[1:9])


# Ids and paths begin alike.
@functools.lru_cache(maxsize=4096)
def _begins_text(head: bytes) -> bool:
    """Whether eight letters of base64 encode the beginning of a text in UTF-8, which may be cut within a character."""
    try:
        base64.b64decode(head.translate(_STANDARD), validate=True).decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    except ValueError:
        return False
    return True


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
