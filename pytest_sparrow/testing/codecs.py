"""The contract of a codec: what it knows and leaves to others, that it never raises, that what it builds reads back."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Proposal, Text, Usage
from pytest_sparrow.providers.reading import tells_nothing
from pytest_sparrow.providers.registry import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Codec

    Exchange = tuple[dict[str, Json], dict[str, Json]]

_JUNK: tuple[Any, ...] = (None, True, -1, 1.5, "x", "\ud83d", [], {}, [None], {"x": [1]})

_OF_OTHERS: tuple[dict[str, Any], ...] = (
    {"method": "GET", "url": "http://host/"},
    {"method": "POST", "url": "http://host/orders", "headers": {}, "body": {"json": {"amount": 3}}},
    {"method": "POST", "url": "http://host/orders", "headers": {}, "body": {"text": "amount=3"}},
    {"method": "POST", "url": "http://host/orders", "headers": {}, "body": {"base64": "AAAA"}},
)

_SAID = ModelAnswer(
    parts=[Text("Yes."), Proposal("call-1", "refund", {"amount": 39.5})], usage=Usage(input=3, output=4)
)


class CodecContract:
    """The tests that a codec must pass: inherit them in a class whose name begins with ``Test``.

    Attributes:
        codec: the codec.
        exchanges: real calls of one conversation in their order: of each, what was asked and what was answered, as
            ``exchanges.jsonl`` has them. Each request continues the one before.
        says: an answer that the format can express, ids and all.
    """

    codec: ClassVar[Codec]
    exchanges: ClassVar[Sequence[Exchange]]
    says: ClassVar[ModelAnswer] = _SAID

    def test_its_requests_are_known(self) -> None:
        """Each is a model's, and its conversation begins with that of the request before."""
        conversation: list[Json] = []
        for asked, _ in self.exchanges:
            request = self.codec.request(asked)
            assert isinstance(request, ModelRequest)
            assert list(request.conversation)[: len(conversation)] == conversation
            conversation = list(request.conversation)

    def test_others_requests_are_left_alone(self) -> None:
        """What is no call of a model, or not in this format."""
        assert [self.codec.request(copy.deepcopy(asked)) for asked in _OF_OTHERS] == [None] * len(_OF_OTHERS)

    def test_its_answers_are_read(self) -> None:
        """Each says something, which events can hold, and reading changes nothing."""
        for asked, answered in self.exchanges:
            before = copy.deepcopy((asked, answered))
            read(self.codec, asked, answered)
            answer = self.codec.answer(asked, answered)
            assert answer.parts or answer.failure
            assert (asked, answered) == before

    def test_junk_never_raises(self) -> None:
        """Anything in the place of any value of a request or an answer is read as far as it goes."""
        for asked, answered in self.exchanges:
            for half in _corrupted(answered):
                read(self.codec, asked, half)
            for half in _corrupted(asked):
                read(self.codec, half, answered)

    def test_what_is_built_reads_back(self) -> None:
        """An answer, and an error; the same request gives the same bytes."""
        for asked, _ in self.exchanges:
            built = self.codec.compose(asked, self.says)
            assert self.codec.answer(asked, built) == self.says
            assert self.codec.compose(asked, self.says) == built

    def test_an_empty_answer_is_known(self) -> None:
        """It is no answer in another format: the facts name a key of each answer (``answer_keys``)."""
        for asked, _ in self.exchanges:
            built = self.codec.compose(asked, ModelAnswer())
            answer, keys = self.codec.answer(asked, built), facts_of(self.codec).answer_keys
            assert not tells_nothing(answer, built, keys)
            assert tells_nothing(
                ModelAnswer(), {"status": 200, "body": {"json": {"id": 1, "foo": "bar"}}}, keys
            )


def read(codec: Codec, asked: dict[str, Json], answered: dict[str, Json]) -> None:
    """Read both halves, which must not raise; what the codec reads must be writable as JSON."""
    answer = codec.answer(asked, answered)
    parts: list[Any] = [*answer.parts, *filter(None, [answer.usage, answer.failure])]
    for part in parts:
        jsontext.encode(asdict(part))
    request = codec.request(asked)
    for result in request.results if isinstance(request, ModelRequest) else ():
        jsontext.encode({"id": result.id, "blocks": list(result.blocks)})


def _corrupted(half: dict[str, Json]) -> Iterator[dict[str, Any]]:
    """The half with junk in the place of each value in its turn, and without it; the body alone may be of any shape."""
    for place in _places(half.get("body"), ("body",)):
        for junk in _JUNK:
            corrupted: Any = copy.deepcopy(half)
            owner = corrupted
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = junk
            yield corrupted


def _places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _places(each, (*place, key))
