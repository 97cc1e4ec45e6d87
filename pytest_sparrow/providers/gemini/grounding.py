"""Grounding of a Gemini answer as what it is: a search that the provider ran, and what it found.

Format: https://ai.google.dev/api/generate-content (GroundingMetadata, UrlContextMetadata).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.providers.blocks import json_block
from pytest_sparrow.providers.codec import Output, Part, Proposal
from pytest_sparrow.providers.gemini.content import field_of
from pytest_sparrow.providers.reading import as_dict, as_list, holdable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.blocks import CallIds

__all__ = ["searched"]

_Fields = dict[str, "Json"]

_QUERIES = ("webSearchQueries", "imageSearchQueries", "retrievalQueries")
_SEARCHES = {
    "web": "google_search",
    "image": "google_search",
    "retrievedContext": "file_search",
    "maps": "google_maps",
}


def searched(
    grounding: list[_Fields],
    urls: list[Json],
    *,
    empty: Iterable[str],
    waiting: Iterable[str],
    told: Collection[str],
    ids: CallIds,
) -> Iterator[Part]:
    """The calls and outputs that the grounding of one candidate tells.

    Args:
        grounding: the ``groundingMetadata`` of its pieces, as they came.
        urls: the entries of its ``urlContextMetadata``.
        empty: ids of hosted calls that were answered with nothing: the first gets what was found.
        waiting: ids of those that were not answered: the first gets what was found, if nobody else did.
        told: names of the hosted tools whose calls the answer held: queries alone are then nothing new.
        ids: numbers the calls that are only told here.
    """
    chunks = _distinct(grounding, ("groundingChunks",))
    for call_id in empty:
        yield Output(call_id, _blocks(chunks))
        chunks = []
    for call_id in waiting:
        if chunks:
            yield Output(call_id, _blocks(chunks))
            chunks = []
    queries = _distinct(grounding, _QUERIES)
    if chunks or (queries and not told):
        yield from _search(ids, _name(chunks, grounding), {"queries": queries}, chunks)
    if urls and "url_context" not in told:
        asked = [field_of(as_dict(url), "retrievedUrl") for url in urls]
        yield from _search(ids, "url_context", {"urls": asked}, urls)


def _search(ids: CallIds, name: str, args: Json, found: list[Json]) -> Iterator[Part]:
    call_id = ids.fill("")
    yield Proposal(call_id, name, holdable(args), hosted=True)
    yield Output(call_id, _blocks(found))


def _blocks(found: list[Json]) -> list[Json]:
    return [json_block(each) for each in found]


def _distinct(grounding: list[_Fields], names: tuple[str, ...]) -> list[Json]:
    """The items of these lists, each once: a stream may repeat in a later chunk what an earlier one said."""
    found: dict[bytes, Json] = {}
    for each in grounding:
        for name in names:
            for item in as_list(field_of(each, name)):
                found.setdefault(canonical(holdable(item)), item)
    return list(found.values())


def _name(chunks: list[Json], grounding: list[_Fields]) -> str:
    for chunk in map(as_dict, chunks):
        for kind, name in _SEARCHES.items():
            if field_of(chunk, kind) is not None:
                return name
    retrieved = any(field_of(each, "retrievalQueries") for each in grounding)
    return "file_search" if retrieved else "google_search"
