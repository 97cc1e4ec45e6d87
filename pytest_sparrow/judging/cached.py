"""Says whether a live run was answered from a cache: then it says nothing new about the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json

_OWN_ID = re.compile(
    rb'\\?"(?:id|responseId|response_id|generation_id|created_at)\\?"\s*:\s*\\?"[^"\\]{6}', re.IGNORECASE
)
"""What is new in each answer of a provider: without it two answers of few words may be equal by chance."""

_HIT = re.compile(r"\bhit\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """What models answered in one run, or in several.

    Attributes:
        asked: how often a model was asked, also in vain.
        from_cache: a header that says that an answer came from a cache, or "".
        known: digests of the answers that no two calls of a model give.
    """

    asked: int = 0
    from_cache: str = ""
    known: AbstractSet[str] = frozenset()

    @classmethod
    def of(
        cls, exchanges: Iterable[Exchange], conversation_of: Callable[[dict[str, Json]], object]
    ) -> ModelAnswers:
        """The answers within the exchanges of a run; an error is none.

        Args:
            exchanges: the exchanges.
            conversation_of: the conversation in an ``http`` asked half; None where no model is asked.
        """
        asked, from_cache, known = 0, "", set()
        for exchange in exchanges:
            if exchange.kind != "http" or conversation_of(exchange.asked) is None:
                continue
            asked += 1
            answered = exchange.answered
            if not answered or answered.get("status", 0) // 100 != 2:
                continue
            from_cache = from_cache or _hit(answered.get("headers", {}))
            body = answered.get("body")
            if _OWN_ID.search(canonical(body)):
                known.add(digest(body))
        return cls(asked, from_cache, known)

    def cached(self, before: ModelAnswers) -> str:
        """Why this run does not count beside those before, or "" where it does.

        Args:
            before: the answers of the golden and of earlier runs.
        """
        if self.from_cache:
            return f"an answer came from a cache ({self.from_cache})."
        if self.known & before.known:
            return "a model's answer is one of an earlier run, to the byte: did a cache answer?"
        if before.asked and not self.asked:
            return "no model was asked: did a cache answer?"
        return ""

    def __or__(self, other: ModelAnswers) -> ModelAnswers:
        """The answers of both."""
        return ModelAnswers(self.asked + other.asked, "", self.known | other.known)


def _hit(headers: dict[str, Json]) -> str:
    """The header that says that a cache answered, or ""."""
    for name, value in headers.items():
        if "cache" in name.lower() and isinstance(value, str) and _HIT.search(value):
            return f"{name}: {value}"
    return ""
