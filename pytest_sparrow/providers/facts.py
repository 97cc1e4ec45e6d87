"""Facts of a provider that other rooms ask for, as plain data on its codec, and the facts of all codecs together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json

__all__ = ["NO_FACTS", "STAINLESS", "KeyShape", "ProviderFacts", "RetryClock", "StreamEnd", "merged"]

_MARKS = "-_.BIJ"
"""Rare characters: texts without any of them are cleared at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyShape:
    """How a provider's keys look: a literal prefix, then characters by a pattern.

    Attributes:
        kind: the kind in the placeholder, like ``acme-key``.
        prefixes: the literals with which such a key begins: all with the same character, and each with one of
            ``-_.BIJ`` in it.
        rest: a regular expression of what follows the prefix.
        run: the least number of letters, digits and ``%+/~-`` that follow the prefix.
        needle: a literal in every such key, where the prefix says too little; only the scanner looks for it.
    """

    kind: str
    prefixes: tuple[str, ...]
    rest: str
    run: int = 16
    needle: str = ""

    def __post_init__(self) -> None:
        """Check what the quick search for keys relies on.

        Raises:
            ValueError: a prefix can't be searched for; the text says why.
        """
        for prefix in self.prefixes:
            if prefix[:1] != self.prefixes[0][0] or not set(_MARKS) & set(prefix):
                raise ValueError(
                    f"{self.kind}: the prefix {prefix!r} must begin as the first one does, and hold one of {_MARKS}"
                )
        re.compile(self.rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryClock:
    """A kind of SDK module that sleeps before a retry, and for nothing else.

    Attributes:
        module: the last parts of the module's dotted name.
        has: a global of the module, or an attribute of one (``Class.method``), which modules of other SDKs lack.
        clocks: the module's globals whose ``sleep`` it calls.
    """

    module: str
    has: str
    clocks: tuple[str, ...]


STAINLESS = RetryClock(
    module="_base_client", has="BaseClient._calculate_retry_timeout", clocks=("time", "anyio")
)
"""The SDKs that Stainless generates: openai, anthropic, groq, together, cerebras and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """What the last event or line of a stream says; a client that closes after it has read the whole stream.

    Attributes:
        data: the text of the last event's data.
        field: a field of the JSON object that the last event or line holds, with ``value``.
        value: the field's value.
    """

    data: str = ""
    field: str = ""
    value: Json = None

    def is_at_end_of(self, raw: bytes) -> bool:
        """Whether bytes of a stream, cut anywhere before them, end so."""
        line = raw.rstrip().rpartition(b"\n")[2].decode("utf-8", "replace")
        data = sse.data_of_line(line)
        if self.data:
            return data is not None and data.strip() == self.data
        last = line if data is None else data
        if f'"{self.field}"' not in last:
            return False
        try:
            value = json.loads(last)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict) and self.field in value and _same(value[self.field], self.value)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProviderFacts:
    """What other rooms need to know of a provider; a codec's attribute ``facts``. Every fact may be left out.

    Attributes:
        key_variables: environment variables from which SDKs read keys. Of the alternatives in one row a replay fills
            the first with a dummy key, and only where none of them is set.
        key_kinds: the kind of placeholder of a variable's value, where the variable's name does not say it.
        services: names of the services, in small letters: a field like ``acme_key`` holds the key of ``acme``.
        key_shapes: keys that are redacted wherever they stand.
        sure_keys: keys that the scanner refuses to write: formats of exact length and alphabet. A group of ``rest``,
            where there is one, is the random part.
        packages: the modules of SDKs, each with the distribution that it comes from: noted in a recording when
            loaded, and listed by ``pytest-sparrow doctor``.
        service_variables: environment variables that say which service an SDK asks (base URLs, regions, API versions),
            each with the distribution of the SDK: recordings note them, by host.
        retry_clocks: modules whose sleep before a retry is skipped in a replay.
        volatile_headers: names of request headers that do not count, lower case: new in each request, or in each
            version of the SDK; `pytest_sparrow.wire.headers` knows what every SDK sends.
        account_headers: names of request headers that say for whom the request is made, and that SDKs fill from the
            environment, lower case.
        answer_headers: names of answer headers that clients act on, lower case; recordings keep them.
        header_values: recorded values of headers of which only the presence matters, by lower-case name.
        answer_keys: keys one of which stands at the top of every answer, or of an event or line of every stream. An
            answer without any of them, in which the codec finds nothing, is named as not understood.
        volatile_answer_keys: keys of answers whose values are new in every answer.
        volatile_request_keys: those of them that later requests repeat.
        session_headers: names of request headers that name a session which the server keeps, lower case.
        server_state_keys: keys of requests under which the id of something stands that the provider keeps.
        call_id_keys: keys under which requests refer to a tool call by its id.
        call_keys: keys of objects in requests whose ``id`` is the id of a call.
        stream_ends: what says that a stream is over.
        stream_indices: keys of events that number the parts of an answer under way.
        model_paths: how the paths of URLs end at which a model answers: regular expressions.
    """

    key_variables: tuple[tuple[str, ...], ...] = ()
    key_kinds: Mapping[str, str] = field(default_factory=dict)
    services: AbstractSet[str] = frozenset()
    key_shapes: tuple[KeyShape, ...] = ()
    sure_keys: tuple[KeyShape, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    service_variables: Mapping[str, str] = field(default_factory=dict)
    retry_clocks: tuple[RetryClock, ...] = ()
    volatile_headers: AbstractSet[str] = frozenset()
    account_headers: AbstractSet[str] = frozenset()
    answer_headers: AbstractSet[str] = frozenset()
    header_values: Mapping[str, str] = field(default_factory=dict)
    answer_keys: AbstractSet[str] = frozenset()
    volatile_answer_keys: AbstractSet[str] = frozenset()
    volatile_request_keys: AbstractSet[str] = frozenset()
    session_headers: AbstractSet[str] = frozenset()
    server_state_keys: AbstractSet[str] = frozenset()
    call_id_keys: AbstractSet[str] = frozenset()
    call_keys: AbstractSet[str] = frozenset()
    stream_ends: tuple[StreamEnd, ...] = ()
    stream_indices: tuple[str, ...] = ()
    model_paths: AbstractSet[str] = frozenset()

    def __post_init__(self) -> None:
        """Check the kinds of the values: a text where several are wanted would be read letter by letter.

        Raises:
            TypeError: a value is of another kind than its field; the text names the field.
        """
        for each in fields(self):
            value: Any = getattr(self, each.name)
            fits = isinstance(value, _kind_of(each))
            if not fits or (each.name == "key_variables" and not _are_rows(value)):
                raise TypeError(f"ProviderFacts.{each.name} is {value!r}, not {each.type}")


def _same(one: Json, other: Json) -> bool:
    return type(one) is type(other) and bool(one == other)


def _kind_of(each: Any) -> type:
    if "Mapping" in each.type:
        return Mapping
    return AbstractSet if "Set" in each.type else tuple


def _are_rows(value: Any) -> bool:
    return all(isinstance(row, tuple) for row in value)


NO_FACTS = ProviderFacts()
"""Of a codec that declares none."""


def merged(all_facts: Iterable[ProviderFacts]) -> ProviderFacts:
    """The facts of several providers as one: sets and mappings united, the rest in order without repetitions."""
    known = list(all_facts)
    whole: dict[str, Any] = {}
    for each in fields(ProviderFacts):
        values = [getattr(facts, each.name) for facts in known]
        kind = _kind_of(each)
        if kind is Mapping:
            whole[each.name] = {key: value for one in reversed(values) for key, value in one.items()}
        elif kind is AbstractSet:
            whole[each.name] = frozenset[str]().union(*values)
        else:
            whole[each.name] = tuple(_distinct(item for one in values for item in one))
    return ProviderFacts(**whole)


def _distinct(items: Iterable[Any]) -> list[Any]:
    # Not by hash: a StreamEnd may hold any JSON.
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
