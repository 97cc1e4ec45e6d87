"""Makes the placeholders of secrets: the secret's kind and a number, never a hash of the secret."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PLACEHOLDER = re.compile(r"<secret:([a-z0-9-]+):([0-9]+)>")
"""``<secret:kind:number>``; group 1 is the kind, group 2 the number, counted from 1 within its kind."""

IN_BYTES = re.compile(rb"<secret:([a-z0-9-]+):[0-9]+>")
"""The same in UTF-8; group 1 is the kind."""

OR = "-or-"
"""Stands between the kinds of one secret that has several."""

FIRST_OF_A_REPLAY = 1_000_000
"""The secrets that a replayed agent brings itself are numbered above this number: what the replay gives it has the
golden's numbers, and the two must not be mistaken for each other."""

# A text may have been through strip_numbers before it comes here.
_ANY = re.compile(r"<secret:[a-z0-9-]+(?::[0-9]+)?>")
_ANY_OR_PLACE = re.compile(rf"{_ANY.pattern}|<dir:[a-z_]+>")


_PERCENT = re.compile(r"%3Csecret(?:%3A|:)([a-z0-9-]+)(?:%3A|:)([0-9]+)%3E", re.IGNORECASE)


def unescaped(text: str) -> str:
    """A form or URL in which an agent has percent-encoded a placeholder that it was given: as a recording has it."""
    return _PERCENT.sub(r"<secret:\1:\2>", text) if "secret" in text and "%3" in text else text


def strip_numbers(data: bytes) -> bytes:
    """``<secret:kind:3>`` as ``<secret:kind>``, so that a comparison doesn't hang on the order of secrets."""
    if b"<secret:" not in data:
        return data
    return IN_BYTES.sub(rb"<secret:\1>", data)


def without_placeholders(text: str) -> str:
    """The text with its placeholders, numbered or not, left out."""
    return _ANY.sub("", text) if "<secret:" in text else text


def blanked(text: str) -> str:
    """The text with spaces for its placeholders: every other character stays where it is."""
    return _ANY.sub(lambda match: " " * len(match[0]), text) if "<secret:" in text else text


_PLACED = re.compile(
    rb'"[A-Za-z-]{1,40}":"(?:bearer |basic |token )?<secret:[a-z0-9-]+(?::[0-9]+)?>"', re.IGNORECASE
)
_BEFORE = 60
"""Bytes that a field's name and a scheme may have before a placeholder."""


def without_placed(data: bytes) -> bytes:
    """A JSON line without the fields that hold nothing but a placeholder: those of a request's credentials.

    Looked for where a placeholder stands: a look at every field of a line would cost more than the line itself.
    """
    at = data.find(b"<secret:")
    if at < 0:
        return data
    parts, done = [], 0
    while at >= 0:
        begin = data.rfind(b'"', done, max(done, data.rfind(b'":"', max(done, at - _BEFORE), at)))
        field = _PLACED.match(data, begin) if begin >= 0 else None
        if field is not None:
            parts.append(data[done:begin])
            done = field.end()
        at = data.find(b"<secret:", max(at + 1, done))
    return b'""'.join([*parts, data[done:]])


def outside_placeholders(text: str) -> Callable[[int, int], bool]:
    """Returns a check whether a place in a text touches none of the text's placeholders, those of directories included.

    What stands in a placeholder is no secret, whatever it looks like: the dummy key ``openai-key`` stands in its own.
    """
    holds = "<secret:" in text or "<dir:" in text
    if not holds:
        return _anywhere
    spans = [match.span() for match in _ANY_OR_PLACE.finditer(text)]

    def is_outside(start: int, stop: int) -> bool:
        before = bisect_left(spans, (stop, 0))  # the last one of these is the one that may reach so far
        return not before or spans[before - 1][1] <= start

    return is_outside


def _anywhere(_start: int, _stop: int) -> bool:
    return True


_CLOSE = re.compile(
    r"<secret:(?:(?<=[\w+/~.-]<secret:)|[a-z0-9-]+(?::[0-9]+)?>"
    r"(?!\Z|(?![\"'`]?\r?\n[ \t]*[A-Za-z0-9+/_-]{20})[\s\"'`,;&|<@\\)}\]]))"
)


def is_close_to_one(text: str) -> bool:
    """Whether anything stands close to a placeholder of a secret: a rule may find now what stood too close to it."""
    return _CLOSE.search(text) is not None


class Numbering:
    """The placeholders of one transcript: the same secret always gets the same one. Thread safe.

    A secret keeps the kind that it was first found as, wherever it turns up later.

    Args:
        before: the number before the first one of each kind.

    Attributes:
        before: the same.
        given: gives the placeholder that a secret has already; None where it is met for the first time.
    """

    def __init__(self, before: int = 0) -> None:
        self.before = before
        # An RLock: a collected stream settles its crossing wherever this thread happens to be.
        self._lock = threading.RLock()
        self._given: dict[str, str] = {}
        self.given = self._given.get
        self._secrets: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def placeholder(self, kind: str, secret: str, lasting: str | None = None) -> str:
        """The placeholder of a secret, a new one where it is met for the first time.

        Args:
            kind: the kind in the placeholder.
            secret: the secret.
            lasting: what of the secret stays where it is made anew for each request; all of it if None.
        """
        key = secret if lasting is None else lasting
        with self._lock:
            given = self.given(key)
            if given is None:
                self._counts[kind] = number = self._counts.get(kind, self.before) + 1
                given = self._given[key] = f"<secret:{kind}:{number}>"
                self._secrets[given] = secret
            elif lasting is not None:
                self._secrets[given] = secret  # the one of this request
            return given

    @property
    def count(self) -> int:
        """How many placeholders were given."""
        return len(self._secrets)

    @property
    def has_given(self) -> bool:
        """Whether there is any placeholder so far."""
        return bool(self._given)

    def give(self, text: str, placeholder: str, lasting: str) -> None:
        """From now on this text, which the agent gets in place of a placeholder, has that placeholder."""
        with self._lock:
            self._secrets[placeholder] = text
            self._given[text] = self._given[lasting] = placeholder

    def secret_of(self, placeholder: str) -> str | None:
        """What a placeholder of this transcript stands for; None for one that it never gave."""
        return self._secrets.get(placeholder)
