"""Reads what users and other plugins declare as secrets, and what they declare as harmless.

A line of the setting ``secrets`` is ``kind = pattern``, ``kind = field:name``, or either without its kind. A word of
``not_secret`` is a kind, or the digest of one value.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pytest_sparrow.errors import UsageError
from pytest_sparrow.redact.placeholders import outside_placeholders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DIGEST = re.compile(r"value:[0-9a-f]{16}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,59}")
_ROUNDS = 200_000


@functools.lru_cache(maxsize=256)
def value_digest(value: str) -> str:
    """The digest that names a value without showing it, like ``value:0f3a…``; 16 hex digits.

    It is printed and committed, so a weak password must not be found from it by trying words: hence PBKDF2
    (0.1 s a try), and only half of the digest.
    """
    raw = value.encode("utf-8", "surrogatepass")
    return "value:" + hashlib.pbkdf2_hmac("sha256", raw, b"pytest-sparrow", _ROUNDS, dklen=8).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be written.

    Attributes:
        kinds: kinds of placeholders.
        digests: values, as `value_digest` names them.
    """

    kinds: frozenset[str] = frozenset()
    digests: frozenset[str] = frozenset()

    def __call__(self, kind: str, value: str) -> bool:
        """Whether a value of this kind may be written."""
        return kind in self.kinds or (bool(self.digests) and value_digest(value) in self.digests)


NOTHING_ALLOWED = Allowed()


def read_allowed(said: Iterable[str], origin: str) -> Allowed:
    """From the words of a setting: kinds, and digests as a refusal prints them.

    Raises:
        UsageError: a word is neither; the text names the origin.
    """
    kinds, digests = set(), set()
    for word in said:
        if _DIGEST.fullmatch(word):
            digests.add(word)
        elif _KIND.fullmatch(word):
            kinds.add(word)
        else:
            raise UsageError(
                f"{origin}: {word!r} is neither a kind, like jwt, nor a value's digest, like value:0123456789abcdef"
            )
    return Allowed(kinds=frozenset(kinds), digests=frozenset(digests))


_LINE = re.compile(r"(?:([a-z][a-z0-9-]{0,39}) += +)?(.+)", re.DOTALL)
_NAME_OF_KIND = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FIELD = "field:"


@runtime_checkable
class SecretFinder(Protocol):
    """Finds what must not be recorded where a pattern can't."""

    @property
    def kind(self) -> str:
        """The kind in the placeholder, like ``customer-name``: small letters, digits and dashes."""
        ...

    def find(self, text: str) -> Iterable[tuple[int, int]]:
        """Start and end of each secret in a text, in order and apart. The same text must give the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """A user's regular expression; its group 1, where it has one, is the secret itself."""

    kind: str
    pattern: re.Pattern[str]

    def find(self, text: str) -> Iterable[tuple[int, int]]:
        group = 1 if self.pattern.groups else 0
        for match in self.pattern.finditer(text):
            if match[group]:
                yield match.span(group)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """The rules of a session.

    Attributes:
        finders: what is looked for in every text.
        fields: the kind of each field name, folded: whatever stands in such a field is a secret.
    """

    finders: tuple[SecretFinder, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.finders or self.fields)

    def kind_of(self, name: str) -> str | None:
        """The kind of secret in a field, or None where no rule names the field."""
        return dict(self.fields).get(_folded(name)) if self.fields else None

    def replace(self, text: str, placeholder: Callable[[str, str], str]) -> str:
        """The text with everything that a finder finds replaced by ``placeholder(kind, secret)``."""
        for finder in self.finders:
            parts, done = [], 0
            is_outside = outside_placeholders(text)
            for start, stop in finder.find(text):
                if start < done or stop <= start or not is_outside(start, stop):
                    continue
                parts += [text[done:start], placeholder(finder.kind, text[start:stop])]
                done = stop
            if done:
                text = "".join([*parts, text[done:]])
        return text


NO_RULES = OwnRules()


def read_rules(said: Iterable[object], origin: str) -> OwnRules:
    """Rules from lines of a setting, and from finders.

    Args:
        said: strings like ``customer = cust_[0-9a-f]{16}``, ``iban = field:iban`` or a bare pattern; and objects with
            ``kind`` and ``find`` (see `SecretFinder`).
        origin: where they were said, for messages.

    Raises:
        UsageError: one of them can't be read; the text names the origin and the way out.
    """
    finders: list[SecretFinder] = []
    fields: list[tuple[str, str]] = []
    for one in said:
        if not isinstance(one, str):
            finders.append(_checked(one, origin))
            continue
        match = _LINE.fullmatch(one.strip())
        if match is None:
            raise UsageError(f"{origin}: an empty line is no rule")
        kind, what = match[1] or "secret", match[2]
        if what.startswith(_FIELD):
            fields.append((_folded(what.removeprefix(_FIELD)), kind))
        else:
            finders.append(_Pattern(kind=kind, pattern=_compiled(what, origin)))
    return OwnRules(finders=tuple(finders), fields=tuple(fields))


def _compiled(pattern: str, origin: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{origin}: {pattern!r} is no regular expression: {error}") from None
    if compiled.search("") is not None:
        raise UsageError(f"{origin}: {pattern!r} finds a secret in the empty text: everything would be one")
    return compiled


def _checked(finder: object, origin: str) -> SecretFinder:
    if isinstance(finder, type) or not isinstance(finder, SecretFinder):
        raise UsageError(
            f"{origin}: {finder!r} is neither a line like 'customer = cust_[0-9]+' nor an object with kind and find"
        )
    if not _NAME_OF_KIND.fullmatch(str(finder.kind)):
        raise UsageError(f"{origin}: the kind {finder.kind!r} is not of small letters, digits and dashes")
    return finder


def _folded(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign not in "-_. ")
