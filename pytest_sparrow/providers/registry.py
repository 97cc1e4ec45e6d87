"""Registers the codecs of a session, unites the facts that they declare, and asks them what an HTTP exchange says.

A codec that raises costs the events of its exchange, never the run.
"""

from __future__ import annotations

import functools
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, ToolRequest
from pytest_sparrow.providers.facts import NO_FACTS, ProviderFacts, merged
from pytest_sparrow.providers.failing import parts_before_failure
from pytest_sparrow.providers.reading import tells_nothing, with_json
from pytest_sparrow.wire.asking import describe, what_is_asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Codec, Part

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
    global _codecs, _facts  # read without the lock, and replaced whole
    codecs = (*_added, *_BUILTIN)
    if codecs != _codecs:  # much is made of the facts
        _codecs, _facts = codecs, merged(map(facts_of, codecs))


def is_ours(codec: Codec) -> bool:
    """Whether a codec is one of pytest-sparrow's, not a plugin's."""
    return type(codec).__module__.startswith("pytest_sparrow.")


class CodecFault(Exception):
    """A codec raised or returned a wrong type; the text names the codec, the fault and the request."""


class Faults:
    """The faults of codecs, one for each codec and method: a broken method breaks on every request alike."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._first.values()))

    def add(self, fault: CodecFault, codec: Codec, method: str, *, instead: str) -> None:
        """Remember a fault, unless one of this codec's method is known.

        Args:
            fault: what went wrong.
            codec: the codec that failed.
            method: the name of the codec's method.
            instead: what became of the exchange.
        """
        # One step, since threads share a run's codecs.
        self._first.setdefault((codec.name, method), f"{fault}: {instead}")


_PLAIN = "read as plain HTTP"
_REQUESTS = (ModelRequest, ToolRequest, type(None))


def _asked_of(
    codec: Codec, method: Callable[..., Any], asked: dict[str, Json], *more: Any, kinds: Any
) -> Any:
    """The result of a codec's method, an instance of one of ``kinds``.

    Raises:
        CodecFault: the method raised, or returned something else.
    """
    try:
        result = method(asked, *more)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the codec's
        said = f"raised {error!r}"
    else:
        if isinstance(result, kinds):
            return result
        said = f"returned {type(result).__name__} from {method.__name__}()"
    raise CodecFault(f"the codec {codec.name!r} {said} on {describe('http', asked)}")


@dataclass(frozen=True, slots=True)
class ModelCall:
    """An ``http`` exchange that is a call to a model, or of a tool, in the format of one codec."""

    codec: Codec
    request: ModelRequest | ToolRequest
    faults: Faults

    @property
    def conversation(self) -> Sequence[Json] | None:
        """The conversation that the request carries; None for the call of a tool."""
        return self.request.conversation if isinstance(self.request, ModelRequest) else None

    @property
    def is_ours(self) -> bool:
        """Whether the codec is one of pytest-sparrow's."""
        return is_ours(self.codec)

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the answer to this call; an answer on which the codec breaks says nothing."""
        try:
            read: ModelAnswer = _asked_of(
                self.codec, self.codec.answer, with_json(asked), answered, kinds=ModelAnswer
            )
        except CodecFault as fault:
            self.faults.add(fault, self.codec, "answer", instead=_PLAIN)
            return ModelAnswer()
        return read

    def is_silent(self, answered: dict[str, Json], answer: ModelAnswer) -> bool:
        """Whether the codec found nothing in an answer that holds something."""
        return tells_nothing(answer, answered, facts_of(self.codec).answer_keys)

    def before_failure(
        self, asked: dict[str, Json], answered: dict[str, Json], answer: ModelAnswer
    ) -> Sequence[Part]:
        """The parts that the answer had when it failed; all of them where nothing came after, or all went well."""
        return parts_before_failure(partial(self.answer, asked), answered, answer)

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the *answered* half that says ``answer``.

        Raises:
            CodecFault: the codec can't build it.
        """
        built: dict[str, Json] = _asked_of(
            self.codec, self.codec.compose, with_json(asked), answer, kinds=dict
        )
        return built


class Wire:
    """The codecs of a run, asked in order.

    Attributes:
        faults: the faults of codecs so far.
    """

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self.faults = Faults()
        self._codecs = tuple(codecs)
        self._are_ours = all(map(is_ours, self._codecs))

    def read(self, asked: dict[str, Json]) -> ModelCall | None:
        """Read an ``http`` asked half as a call to a model; None for other traffic, which yields no model events.

        Where a codec breaks on a request, the next codecs are asked.
        """
        asked = with_json(asked)
        broken: list[tuple[CodecFault, Codec]] = []
        found: ModelCall | None = None
        for codec in self._codecs:
            try:
                request = _asked_of(codec, codec.request, asked, kinds=_REQUESTS)
            except CodecFault as fault:
                broken.append((fault, codec))
                continue
            if request is not None:
                found = ModelCall(codec, request, self.faults)
                break
        instead = _PLAIN if found is None else f"left to the codec {found.codec.name!r}"
        for what, codec in broken:
            self.faults.add(what, codec, "request", instead=instead)
        return found

    def may_wait(self, asked: dict[str, Json]) -> bool:
        """Whether a request may be read later: not where others' codecs may break on it, nor a tool's call."""
        return self._are_ours and not what_is_asked(asked)

    def conversation(self, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation that an ``http`` asked half carries, or None."""
        call = self.read(asked)
        return None if call is None else call.conversation


def leads_to_model(url: str) -> bool:
    """Whether the path of a URL is one at which a known provider's model answers."""
    return _ends_as(facts().model_paths).search(url.partition("?")[0]) is not None


@functools.lru_cache(maxsize=4)
def _ends_as(paths: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(sorted(paths))})\Z")


def reads(asked: dict[str, Json]) -> bool:
    """Whether a registered codec reads an ``http`` asked half as a call to a model or to a model's tool."""
    return Wire(registered()).read(asked) is not None
