"""Registers the codecs of a session, and unites the facts that registered codecs declare."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.facts import NO_FACTS, ProviderFacts, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.providers.codec import Codec

__all__ = ["facts", "facts_of", "register", "registered", "unregister", "using"]

# Process-wide: what asks for facts (redaction, the comparison, a thread that sleeps) stands far from any session.
_lock = threading.Lock()
_BUILTIN: tuple[Codec, ...] = builtin_codecs()
_added: list[Codec] = []
_codecs: tuple[Codec, ...] = _BUILTIN


def registered() -> tuple[Codec, ...]:
    """The codecs in the order in which they are asked: the added ones, then those of pytest-sparrow."""
    return _codecs


def facts_of(codec: Codec) -> ProviderFacts:
    """The facts that a codec declares; none where it has no ``facts``."""
    declared = getattr(codec, "facts", NO_FACTS)
    return declared if isinstance(declared, ProviderFacts) else NO_FACTS


_facts = merged(map(facts_of, _codecs))


def facts() -> ProviderFacts:
    """The facts of all registered codecs together; the same object until a codec is added or removed."""
    return _facts


def register(codecs: Sequence[Codec]) -> None:
    """Add codecs, in front of those that are there."""
    with _lock:
        _added[:0] = codecs
        _settle()


def unregister(codecs: Sequence[Codec]) -> None:
    """Remove codecs that were added."""
    with _lock:
        gone = {id(codec) for codec in codecs}
        _added[:] = [codec for codec in _added if id(codec) not in gone]
        _settle()


@contextmanager
def using(codecs: Sequence[Codec]) -> Iterator[None]:
    """Codecs that are registered while open."""
    register(codecs)
    try:
        yield
    finally:
        unregister(codecs)


def _settle() -> None:
    global _codecs, _facts  # noqa: PLW0603 - read without the lock, and replaced whole
    _codecs = (*_added, *_BUILTIN)
    _facts = merged(map(facts_of, _codecs))
