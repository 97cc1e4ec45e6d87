"""Turns a transcript into the bytes of its files; what has not changed since it was read keeps its own bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_sparrow.events import dump_event
from pytest_sparrow.events.jsontext import decode, encode, pretty
from pytest_sparrow.store.delta_decoding import lines_used
from pytest_sparrow.store.delta_encoding import DeltaEncoder, draft_of
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS, META
from pytest_sparrow.transcript import FORMAT, LineSource, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.transcript import RunInputs, RunMeta

_Item = TypeVar("_Item")


class LineRedactor(Protocol):
    """What the store needs of a redactor."""

    def line(self, data: bytes) -> bytes:
        """One JSON line without what must not reach the disk; the same bytes where there is nothing."""
        ...


def files_of(transcript: Transcript, redactor: LineRedactor) -> tuple[dict[str, bytes], Transcript]:
    """The files of a transcript in the order of writing, and the transcript as they will be read again.

    Lines that were read from a disk are not redacted again: they stay to the byte.

    Raises:
        NotRecordable: an event, an exchange or the inputs hold something that JSON can't.
    """
    source = transcript.source
    if source is not None and _unchanged(transcript, source):
        return _files(transcript, source), transcript
    events = _lines(
        transcript.events,
        None if source is None else source.events,
        lambda event: redactor.line(dump_event(event)),
    )
    exchanges = _exchange_lines(transcript.exchanges, source, redactor)
    if source is not None and transcript.inputs is source.inputs[0]:
        inputs = source.inputs[1]
    else:
        inputs = dump_inputs(transcript.inputs, redactor)
    made = LineSource(
        inputs=(transcript.inputs, inputs),
        events=(transcript.events, events),
        exchanges=(transcript.exchanges, exchanges),
        meta=(transcript.meta, b""),
    )
    meta = _meta_of(transcript, digests_of(_files(transcript, made)))
    made = replace(made, meta=(meta, pretty(meta.to_json(), where="meta")))
    written = replace(transcript, meta=meta, source=made)
    return _files(written, made), written


def dump_inputs(inputs: RunInputs, redactor: LineRedactor) -> bytes:
    """The bytes of ``inputs.json``.

    Raises:
        NotRecordable: they hold something that JSON can't.
    """
    line = redactor.line(encode(inputs.to_json(), where="inputs"))
    return pretty(decode(line), where="inputs")


def digests_of(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file but ``meta.json``, which holds them."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != META}


def _unchanged(transcript: Transcript, source: LineSource) -> bool:
    return (
        transcript.inputs is source.inputs[0]
        and transcript.events is source.events[0]
        and transcript.exchanges is source.exchanges[0]
        and transcript.meta is source.meta[0]
    )


def _lines(
    items: Sequence[_Item],
    source: tuple[Sequence[_Item], Sequence[bytes]] | None,
    dump: Callable[[_Item], bytes],
) -> Sequence[bytes]:
    if source is None:
        return tuple(map(dump, items))
    if items is source[0]:
        return source[1]
    known = {id(item): line for item, line in zip(*source, strict=True)}
    return tuple(known[id(item)] if id(item) in known else dump(item) for item in items)


def _exchange_lines(
    exchanges: Sequence[Exchange], source: LineSource | None, redactor: LineRedactor
) -> Sequence[bytes]:
    """A line that was read stays as long as the exchanges that it refers to stand where they stood."""
    before, lines = ((), ()) if source is None else source.exchanges
    if source is not None and exchanges is before:
        return lines
    known = {id(exchange): line for exchange, line in zip(before, lines, strict=True)}
    encoder, written = DeltaEncoder(), list[bytes]()
    for exchange in exchanges:
        line = known.get(id(exchange))
        draft = draft_of(exchange, redactor if line is None else None)
        if line is None or not all(
            used <= len(written) and exchanges[used - 1] is before[used - 1] for used in lines_used(line)
        ):
            line = encoder.line(draft)
        encoder.add(draft)
        written.append(line)
    return tuple(written)


def _meta_of(transcript: Transcript, digests: dict[str, str]) -> RunMeta:
    return replace(
        transcript.meta,
        event_count=len(transcript.events),
        exchange_count=len(transcript.exchanges) if transcript.holds_exchanges else None,
        format=FORMAT,
        sha256=digests,
    )


def _files(transcript: Transcript, source: LineSource) -> dict[str, bytes]:
    files = {INPUTS: source.inputs[1], EVENTS: _joined(source.events[1])}
    if transcript.holds_exchanges:
        files[EXCHANGES] = _joined(source.exchanges[1])
    if source.meta[1]:
        files[META] = source.meta[1]
    return files


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
