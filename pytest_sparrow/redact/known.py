"""Secrets whose text is known: from the environment, or met in a field whose name said so."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from pytest_sparrow.redact.names import is_specific
from pytest_sparrow.redact.suspicion import MARKS, suspicious

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Known"]

# A line is searched for each of them: the bound keeps the cost of a line independent of the run's length.
_MAX_LEARNED = 32
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]+")
_PLAIN_LENGTH = 6


class Known:
    """The known secrets of one transcript, and the search for them. Thread safe.

    Attributes:
        needles: what to look for in UTF-8, where the shape alone does not tell.
        learned: how many secrets were added since the start.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # An RLock: a collected stream settles its crossing wherever this thread happens to be.
        self._lock = threading.RLock()
        self._kinds = dict(secrets)
        self.learned = 0
        self._prepare()

    def learn(self, secret: str, kind: str) -> None:
        """From now on replace this secret wherever it stands; no word, and no more than a bounded number.

        An answer's ``{"session": {"access_token": "f3a9…"}}`` comes back as a tool's argument or a header of
        another name: in a replay, where the agent was fed the placeholder, it comes back as that.
        """
        if not is_specific(secret) or secret in self._kinds or "<secret:" in secret:
            return
        with self._lock:
            if self.learned < _MAX_LEARNED:
                self._kinds = {**self._kinds, secret: kind}
                self.learned += 1
                self._prepare()

    def replace(self, text: str, placeholder: Callable[[str, str], str]) -> str:
        """The text with every known secret replaced by ``placeholder(kind, secret)``."""
        # The pattern first: what was learned meanwhile is in the tables before it is in the pattern.
        pattern, secrets, kinds = self._pattern, self._secrets, self._kinds
        if pattern is None:
            return text

        def found(match: re.Match[str]) -> str:
            secret = secrets[match[0]]
            return placeholder(kinds[secret], secret)

        return pattern.sub(found, text)

    def occurs_unmarked(self, text: str) -> bool:
        """Whether any spelling of a known secret stands in a text that holds none of the `MARKS`."""
        return any(spelling in text for spelling in self._unmarked)

    def _prepare(self) -> None:
        self._secrets = {spelling: secret for secret in self._kinds for spelling in _spellings(secret)}
        self._unmarked = [spelling for spelling in self._secrets if MARKS.search(spelling) is None]
        # The longest first: one secret may begin with another.
        ordered = sorted(self._secrets, key=lambda spelling: (-len(spelling), spelling))
        self._pattern = re.compile("|".join(map(_bounded, ordered))) if ordered else None
        needles = {needle for secret in self._kinds for needle in _needles(secret)}
        # What its shape gives away is found without a search of its own.
        self.needles = tuple(sorted(needle for needle in needles if not suspicious(needle)))


def _needles(secret: str) -> set[bytes]:
    """What to look for in bytes: the longest part that no encoding ever spells differently."""
    plain = max(_UNRESERVED.findall(secret), key=len, default="")
    spellings = {plain} if len(plain) >= _PLAIN_LENGTH else _spellings(secret)
    return {spelling.encode("utf-8", "surrogatepass") for spelling in spellings}


def _spellings(secret: str) -> set[str]:
    """A secret as it stands in a text, in JSON, in JSON within JSON, and in a URL."""
    spellings = {secret}
    for _ in range(3):
        spellings |= {
            json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in spellings for ascii_ in (True, False)
        }
    return {*spellings, secret.replace("/", "\\/"), *_in_urls(secret)}


def _in_urls(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    return {quote(raw), quote(raw, safe=""), quote_plus(raw)}


def _bounded(spelling: str) -> str:
    # A short one, or one that reads like a word, must stand alone: "test-key" is no part of "latest-keys".
    text = re.escape(spelling)
    if len(spelling) >= 16 and is_specific(spelling):
        return text
    return rf"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{{2}})){text}(?![A-Za-z0-9])"
