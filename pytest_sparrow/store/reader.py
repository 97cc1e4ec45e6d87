"""Folder → transcript. Reading never writes, and never takes damage for absence."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pytest_sparrow.errors import DamagedTranscript, UnsafeName, UsageError
from pytest_sparrow.events import parse_event
from pytest_sparrow.events.jsontext import BrokenJson, decode
from pytest_sparrow.store import damage
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, FILES, INPUTS, META, is_of_a_writer
from pytest_sparrow.store.rebuilding import Rebuilder
from pytest_sparrow.transcript import FORMAT, RunInputs, RunMeta, Source, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json

__all__ = ["iter_events", "load_transcript"]

_Value = TypeVar("_Value")


def load_transcript(folder: Path, *, root: Path | None = None) -> Transcript:
    """Read a transcript from its folder, whole and checked.

    A run that was never finished (``complete`` is False) loads as far as its last whole line.

    Args:
        folder: the transcript's folder.
        root: what links may lead to; the folder itself by default.

    Raises:
        UsageError: there is no such folder.
        UnsafeName: a file is a link that leads out of ``root``.
        DamagedTranscript: it is not what was written; names file and line.
    """
    files = _read(folder, root or folder)
    if _by_hand(folder, files):
        inputs = _object(folder / INPUTS, files[INPUTS], RunInputs.from_json)
        meta = _meta_by_hand(folder, inputs)
    else:
        meta = _object(folder / META, files.get(META), RunMeta.from_json)
        _check_format(folder / META, meta)
        inputs = _object(folder / INPUTS, files.get(INPUTS), RunInputs.from_json)
    events = _lines(folder / EVENTS, files.get(EVENTS), parse_event, complete=meta.complete)
    exchanges: tuple[tuple[Exchange, ...], tuple[bytes, ...]]
    if EXCHANGES in files:
        exchanges = _lines(folder / EXCHANGES, files[EXCHANGES], Rebuilder().read, complete=meta.complete)
    else:
        exchanges = (), ()
    if meta.complete:
        _check_counts(folder, meta, len(events[0]), len(exchanges[0]) if EXCHANGES in files else None)
        _check_digests(folder, meta, files)
    return Transcript(
        inputs=inputs,
        events=events[0],
        exchanges=exchanges[0],
        holds_exchanges=EXCHANGES in files,
        meta=meta,
        source=Source(
            inputs=(inputs, files[INPUTS]),
            events=events,
            exchanges=exchanges,
            meta=(meta, files.get(META, b"")),
        ),
    )


def iter_events(folder: Path) -> Iterator[Event]:
    """The events of a transcript one by one, in bounded memory; count and digest are judged at the end.

    Raises:
        UsageError, UnsafeName, DamagedTranscript: see `load_transcript`; an event that was yielded before
            the damage was met is as it was written.
    """
    _check_place(folder)
    if _by_hand(folder, [name for name in FILES if _is_readable(folder / name, folder)]):
        meta = RunMeta(run_id=folder.name, format=None)
    else:
        meta = _object(folder / META, _read_file(folder / META, folder), RunMeta.from_json)
        _check_format(folder / META, meta)
    path = folder / EVENTS
    if not _is_readable(path, folder):
        raise damage.missing_file(path)
    number, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        # A binary file yields lines that end with \n and nothing else.
        for number, line in enumerate(file, 1):
            digest.update(line)
            if line.endswith(b"\n"):
                yield _parsed(path, number, line[:-1], parse_event)
            elif meta.complete:
                raise _last_line(path, number, line)
    if meta.complete and meta.event_count not in (None, number):
        raise damage.wrong_count(path, number, meta.event_count or 0, "events")
    told = (meta.sha256 or {}).get(EVENTS)
    if meta.complete and told not in (None, digest.hexdigest()):
        _check_digests(folder, meta, _read(folder, folder))


def _by_hand(folder: Path, files: Collection[str]) -> bool:
    """Whether somebody wrote this: no program leaves out ``meta.json``, and nobody writes exchanges by hand.

    A writer writes ``meta.json`` last, so what it was killed at has none either: that lies in places of its own.
    """
    if META in files or EXCHANGES in files or is_of_a_writer(folder):
        return False
    return INPUTS in files and EVENTS in files


def _meta_by_hand(folder: Path, inputs: RunInputs) -> RunMeta:
    try:
        return RunMeta(run_id=folder.name, created_at=datetime.fromisoformat(inputs.timestamp), format=None)
    except ValueError:
        return RunMeta(run_id=folder.name, format=None)


def _check_place(folder: Path) -> None:
    if not folder.exists():
        raise UsageError(f"there is no transcript at {folder}")
    if not folder.is_dir():
        raise DamagedTranscript(str(folder), None, "is no folder; a transcript is a folder with meta.json")


def _read(folder: Path, root: Path) -> dict[str, bytes]:
    _check_place(folder)
    found = {name: _read_file(folder / name, root) for name in FILES}
    return {name: data for name, data in found.items() if data is not None}


def _read_file(path: Path, root: Path) -> bytes | None:
    return path.read_bytes() if _is_readable(path, root) else None


def _is_readable(path: Path, root: Path) -> bool:
    """Whether a file is there; a link out of the root, a pipe or a folder is refused."""
    if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
        raise UnsafeName(f"{path} is a link that leads out of {root}, to {path.resolve()}")
    if not path.exists():
        return False
    if not path.is_file():
        raise DamagedTranscript(str(path), None, "is no regular file")
    return True


def _object(path: Path, data: bytes | None, read: Callable[[Json], _Value]) -> _Value:
    if data is None:
        raise damage.missing_file(path)
    try:
        return read(decode(data))
    except BrokenJson as error:
        raise damage.object_damage(path, data, f"is no JSON: {error.reason}", error.column) from None
    except ValueError as error:
        raise damage.object_damage(path, data, str(error)) from None


def _check_format(path: Path, meta: RunMeta) -> None:
    if meta.format is not None and meta.format > FORMAT:
        raise DamagedTranscript(
            str(path),
            None,
            f"has format {meta.format}; this version of pytest-sparrow reads formats up to {FORMAT}",
            "upgrade pytest-sparrow",
        )


def _lines(
    path: Path, data: bytes | None, parse: Callable[[bytes], _Value], *, complete: bool
) -> tuple[tuple[_Value, ...], tuple[bytes, ...]]:
    if data is None:
        raise damage.missing_file(path)
    *lines, last = data.split(b"\n")
    values = tuple([_parsed(path, number, line, parse) for number, line in enumerate(lines, 1)])
    if last and complete:
        raise _last_line(path, len(lines) + 1, last)
    return values, tuple(lines)


def _parsed(path: Path, number: int, line: bytes, parse: Callable[[bytes], _Value]) -> _Value:
    try:
        return parse(line)
    except BrokenJson as error:
        raise damage.line_damage(path, number, line, error) from None
    except ValueError as error:
        raise DamagedTranscript(str(path), number, str(error)) from None


def _last_line(path: Path, number: int, line: bytes) -> DamagedTranscript:
    """A last line without a newline: torn, unless something worse is at its place."""
    return damage.conflict(path, b"\n" * (number - 1) + line) or damage.torn_line(path, number)


def _check_counts(folder: Path, meta: RunMeta, events: int, exchanges: int | None) -> None:
    if meta.event_count not in (None, events):
        raise damage.wrong_count(folder / EVENTS, events, meta.event_count or 0, "events")
    if meta.exchange_count is None:
        return
    if exchanges is None:
        raise damage.missing_file(folder / EXCHANGES)
    if meta.exchange_count != exchanges:
        raise damage.wrong_count(folder / EXCHANGES, exchanges, meta.exchange_count, "exchanges")


def _check_digests(folder: Path, meta: RunMeta, files: dict[str, bytes]) -> None:
    if meta.sha256 is None:
        return
    for name in (EVENTS, EXCHANGES, INPUTS):
        told = meta.sha256.get(name)
        if told is None and name not in files:
            continue
        if told is None:
            raise DamagedTranscript(
                str(folder / name), None, "is not part of this run: meta.json has no digest"
            )
        if name not in files:
            raise damage.missing_file(folder / name)
        if changed := damage.changed_file(folder / name, files[name], told):
            raise changed
