"""Reads a folder into a transcript, without writing, and never takes damage for absence."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from pytest_sparrow.errors import DamagedTranscript, TooLarge, UnsafeName, UsageError
from pytest_sparrow.events import parse_event
from pytest_sparrow.events.jsontext import BrokenJson, decode
from pytest_sparrow.store import damage
from pytest_sparrow.store.damage import DEFAULT_LIMITS, Beyond, too_large
from pytest_sparrow.store.delta_decoding import DeltaDecoder
from pytest_sparrow.store.disk import open_regular, read_regular, refused
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, FILES, INPUTS, META, is_of_a_writer, leads_out
from pytest_sparrow.transcript import FORMAT, LineSource, RunInputs, RunMeta, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.store.damage import Limits

_Value = TypeVar("_Value")


def load_transcript(folder: Path, *, root: Path | None = None, limits: Limits = DEFAULT_LIMITS) -> Transcript:
    """Read a transcript from its folder, whole and checked.

    A run that was never finished (``complete`` is False) loads as far as its last whole line.

    Args:
        folder: the transcript's folder.
        root: what links may lead to; the folder itself by default.
        limits: the most that is read.

    Raises:
        UsageError: there is no such folder.
        UnsafeName: a file is a link that leads out of ``root``.
        DamagedTranscript: it is not what was written, or passes a limit; names file and line.
        StoreError: the system refuses to read it.
    """
    files = _read(folder, root or folder, limits)
    inputs, meta = _header(folder, files, by_hand=_by_hand(folder, files))
    events = _events(_path(folder, EVENTS), files.get(EVENTS), meta)
    exchanges: tuple[tuple[Exchange, ...], tuple[bytes, ...]]
    if EXCHANGES in files:
        read = partial(_decoded, DeltaDecoder(limits), limits)
        exchanges = _lines(_path(folder, EXCHANGES), files[EXCHANGES], read, complete=meta.complete)
    else:
        exchanges = (), ()
    if meta.format is not None and meta.format < _WITH_HEADERS:
        exchanges = tuple(map(_of_some_headers, exchanges[0])), exchanges[1]
    if meta.complete:
        _check_counts(folder, meta, len(events[0]), len(exchanges[0]) if EXCHANGES in files else None)
        _check_digests(folder, meta, files)
    return Transcript(
        inputs=inputs,
        events=events[0],
        exchanges=exchanges[0],
        holds_exchanges=EXCHANGES in files,
        meta=meta,
        source=LineSource(
            inputs=(inputs, files[INPUTS]),
            events=events,
            exchanges=exchanges,
            meta=(meta, files.get(META, b"")),
        ),
    )


def load_header(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Transcript:
    """Read a run without its events and exchanges; their count and digests are not judged.

    Raises:
        UsageError, UnsafeName, DamagedTranscript, StoreError: see `load_transcript`.
    """
    _check_place(folder)
    names = [name for name in FILES if _is_readable(_path(folder, name), folder)]
    files = {name: _read_file(_path(folder, name), folder, limits) for name in (INPUTS, META)}
    inputs, meta = _header(folder, files, by_hand=_by_hand(folder, names))
    return Transcript(inputs=inputs, events=(), holds_exchanges=EXCHANGES in names, meta=meta)


def _header(folder: Path, files: Mapping[str, bytes | None], *, by_hand: bool) -> tuple[RunInputs, RunMeta]:
    if by_hand:
        inputs = _object(_path(folder, INPUTS), files[INPUTS], RunInputs.from_json)
        return inputs, _meta_by_hand(folder, inputs)
    meta = _object(_path(folder, META), files.get(META), RunMeta.from_json)
    _check_format(_path(folder, META), meta)
    return _object(_path(folder, INPUTS), files.get(INPUTS), RunInputs.from_json), meta


def _path(folder: Path, name: str) -> str:
    # A path is made in the time of a third of a file's reading.
    return f"{folder}{os.sep}{name}"


def iter_events(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Event]:
    """The events of a transcript one by one, in bounded memory; count and digest are judged at the end.

    Raises:
        UsageError, UnsafeName, DamagedTranscript: see `load_transcript`; an event that was yielded before
            the damage was met is as it was written.
    """
    _check_place(folder)
    if _by_hand(folder, [name for name in FILES if _is_readable(_path(folder, name), folder)]):
        meta = RunMeta(run_id=folder.name, format=None)
    else:
        path = _path(folder, META)
        meta = _object(path, _read_file(path, folder, limits), RunMeta.from_json)
        _check_format(path, meta)
    path = _path(folder, EVENTS)
    if not _is_readable(path, folder):
        raise damage.missing_file(path)
    number, digest = 0, hashlib.sha256()
    with opened(path) as file:
        # A binary file gives lines that end with \n and nothing else.
        while line := file.readline(limits.line + 2):
            number += 1
            digest.update(line)
            if number > limits.events:
                raise too_large(path, number, number, limits, "events", "lines")
            if len(line.removesuffix(b"\n")) > limits.line:
                raise too_large(path, number, len(line), limits, "line", "bytes in one line")
            _check_values(path, number, line, limits)  # of one line, since no more is held at a time
            if line.endswith(b"\n"):
                yield _parsed(path, number, line[:-1], parse_event)
            elif meta.complete:
                raise _last_line(path, number, line)
    if meta.complete and meta.event_count not in (None, number):
        raise damage.wrong_count(path, number, meta.event_count or 0, "events")
    recorded = (meta.sha256 or {}).get(EVENTS)
    if meta.complete and recorded not in (None, digest.hexdigest()):
        _check_digests(folder, meta, _read(folder, folder, limits))


_WITH_HEADERS = 3
"""The first format whose requests hold all headers that count."""


def _of_some_headers(exchange: Exchange) -> Exchange:
    if exchange.kind != "http":
        return exchange
    return replace(exchange, asked={**exchange.asked, "some_headers": True})


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
    if not os.path.isdir(folder):  # noqa: PTH112 - for each test
        if not folder.exists():
            raise UsageError(f"there is no transcript at {folder}")
        raise DamagedTranscript(str(folder), None, "is no folder; a transcript is a folder with meta.json")


def _read(folder: Path, root: Path, limits: Limits) -> dict[str, bytes]:
    _check_place(folder)
    found = {name: _read_file(_path(folder, name), root, limits) for name in FILES}
    return {name: data for name, data in found.items() if data is not None}


def _read_file(path: str, root: Path, limits: Limits) -> bytes | None:
    if not _is_readable(path, root):
        return None
    try:
        data = read_regular(path, limits.file)
    except OSError as error:
        raise refused(error, path, "read") from error
    if data is None:
        raise _no_file(path)
    if len(data) > limits.file:
        found = max(Path(path).stat().st_size, len(data))
        raise too_large(path, None, found, limits, "file", "bytes")
    _check_size(path, data, limits)
    return data


def _no_file(path: Path | str) -> DamagedTranscript:
    return DamagedTranscript(str(path), None, "is no regular file")


def opened(path: Path | str) -> BinaryIO:
    """Open a regular file to read.

    Raises:
        DamagedTranscript: it is none.
    """
    fd = open_regular(path)
    if fd is None:
        raise _no_file(path)
    return os.fdopen(fd, "rb")


def _check_size(path: str, data: bytes, limits: Limits) -> None:
    """Whether a file may be parsed.

    Raises:
        TooLarge: it passes a limit.
    """
    most = _LINE_LIMITS.get(path.rpartition(os.sep)[2])
    # No file holds more lines or values than bytes.
    if most is not None and len(data) > (allowed := getattr(limits, most)):
        lines = data.count(b"\n")
        if lines > allowed:
            raise too_large(path, allowed + 1, lines, limits, most, "lines")
    if len(data) > limits.line:
        _check_lines(path, data if most is not None else data.replace(b"\n", b" "), limits)
    _check_values(path, None, data, limits)


def _check_values(path: str, line: int | None, data: bytes, limits: Limits) -> None:
    # The counts of all bytes first: texts hold commas, too, and looking closer takes a hundred times as long.
    if len(data) > limits.values and sum(map(data.count, _SIGNS)) > limits.values:
        values = sum(len(_SIGN.findall(part)) for part in _outside_texts(data))
        if values > limits.values:
            raise too_large(path, line, values, limits, "values", "JSON values")


_LINE_LIMITS = {EVENTS: "events", EXCHANGES: "exchanges"}
_SIGNS = (b",", b"[", b"{")
_SIGN = re.compile(rb"[,\[{]")
_TEXT = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"?')


def _outside_texts(data: bytes) -> Iterator[bytes]:
    at = 0
    for text in _TEXT.finditer(data):
        yield data[at : text.start()]
        at = text.end()
    yield data[at:]


def _check_lines(path: str, data: bytes, limits: Limits) -> None:
    start, number = 0, 1
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start > limits.line:
            raise too_large(path, number, end - start, limits, "line", "bytes in one line")
        start, number = end + 1, number + 1


def _is_readable(path: str, root: Path) -> bool:
    """Whether a file is there; a link out of the root, a pipe or a folder is refused."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            if outside := leads_out(Path(path), root):
                raise UnsafeName(f"{path} is a link that leads out of {root}, to {outside}")
            if not Path(path).exists():  # a link to itself, too
                return False
            mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(mode):
        raise _no_file(path)
    return True


def _object(path: str, data: bytes | None, read: Callable[[Json], _Value]) -> _Value:
    if data is None:
        raise damage.missing_file(path)
    try:
        return read(decode(data))
    except BrokenJson as error:
        raise damage.object_damage(path, data, f"is no JSON: {error.reason}", error.column) from None
    except ValueError as error:
        raise damage.object_damage(path, data, str(error)) from None


def _check_format(path: str, meta: RunMeta) -> None:
    if meta.format is not None and meta.format > FORMAT:
        raise DamagedTranscript(
            str(path),
            None,
            f"has format {meta.format}; this version of pytest-sparrow reads formats up to {FORMAT}",
            "upgrade pytest-sparrow",
        )


def _events(path: str, data: bytes | None, meta: RunMeta) -> tuple[Sequence[Event], Sequence[bytes]]:
    """The events of a file: parsed now, unless the file is what a writer wrote to the byte."""
    recorded = (meta.sha256 or {}).get(EVENTS)
    if data is None or not meta.complete or recorded is None or not data.endswith(b"\n"):
        return _lines(path, data, parse_event, complete=meta.complete)
    if hashlib.sha256(data).hexdigest() != recorded:
        return _lines(path, data, parse_event, complete=meta.complete)
    lines = tuple(data.split(b"\n")[:-1])
    return _UnparsedEvents(path, lines), lines


class _UnparsedEvents(Sequence["Event"]):
    """The events of lines that are parsed when somebody asks for one: nobody does where a replay is equal by bytes.

    Raises:
        DamagedTranscript: a line is damaged (whoever asks for an event gets this).
    """

    def __init__(self, path: str, lines: tuple[bytes, ...]) -> None:
        self._path = path
        self._lines = lines
        self._parsed: tuple[Event, ...] | None = None

    def _all(self) -> tuple[Event, ...]:
        if self._parsed is None:
            self._parsed = tuple(
                [_parsed(self._path, number, line, parse_event) for number, line in enumerate(self._lines, 1)]
            )
        return self._parsed

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, at: Any) -> Any:
        return self._all()[at]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Sequence) and self._all() == tuple(other))

    def __hash__(self) -> int:
        return hash(self._all())


def _lines(
    path: str, data: bytes | None, parse: Callable[[bytes], _Value], *, complete: bool
) -> tuple[tuple[_Value, ...], tuple[bytes, ...]]:
    if data is None:
        raise damage.missing_file(path)
    *lines, last = data.split(b"\n")
    values = tuple([_parsed(path, number, line, parse) for number, line in enumerate(lines, 1)])
    if last and complete:
        raise _last_line(path, len(lines) + 1, last)
    return values, tuple(lines)


def _decoded(decoder: DeltaDecoder, limits: Limits, line: bytes) -> Exchange:
    try:
        return decoder.read(line)
    except Beyond as error:
        raise too_large("", None, error.found, limits, error.name, error.what) from None


def _parsed(path: str, number: int, line: bytes, parse: Callable[[bytes], _Value]) -> _Value:
    try:
        return parse(line)
    except BrokenJson as error:
        raise damage.line_damage(path, number, line, error) from None
    except TooLarge as error:
        raise TooLarge(str(path), number, error.reason, error.hint) from None
    except ValueError as error:
        raise DamagedTranscript(str(path), number, str(error)) from None


def _last_line(path: str, number: int, line: bytes) -> DamagedTranscript:
    """A last line without a newline: torn, unless something worse is at its place."""
    return damage.conflict(path, b"\n" * (number - 1) + line) or damage.torn_line(path, number)


def _check_counts(folder: Path, meta: RunMeta, events: int, exchanges: int | None) -> None:
    if meta.event_count not in (None, events):
        raise damage.wrong_count(_path(folder, EVENTS), events, meta.event_count or 0, "events")
    if meta.exchange_count is None:
        return
    if exchanges is None:
        raise damage.missing_file(_path(folder, EXCHANGES))
    if meta.exchange_count != exchanges:
        raise damage.wrong_count(_path(folder, EXCHANGES), exchanges, meta.exchange_count, "exchanges")


def _check_digests(folder: Path, meta: RunMeta, files: dict[str, bytes]) -> None:
    if meta.sha256 is None:
        return
    for name in (EVENTS, EXCHANGES, INPUTS):
        recorded, path = meta.sha256.get(name), _path(folder, name)
        if recorded is None and name not in files:
            continue
        if recorded is None:
            raise DamagedTranscript(path, None, "is not part of this run: meta.json has no digest")
        if name not in files:
            raise damage.missing_file(path)
        if changed := damage.changed_file(path, files[name], recorded):
            raise changed
