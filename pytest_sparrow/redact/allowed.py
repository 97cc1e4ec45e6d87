"""What a user says is no secret: a kind, or one value by its digest."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOTHING_ALLOWED", "Allowed", "read_allowed", "value_digest"]

_DIGEST = re.compile(r"value:[0-9a-f]{16}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,59}")
_ROUNDS = 200_000


@functools.lru_cache(maxsize=256)
def value_digest(value: str) -> str:
    """What names a value without telling it, like ``value:0f3a…``; 16 hex digits.

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
