"""Reads VCR cassettes (YAML or JSON, format version 1), each interaction as the two halves of an exchange.

Format: https://vcrpy.readthedocs.io and its serializers; ``parsed_body`` (a body as JSON beside, or instead of,
``body``) is what the custom serializers of several agent frameworks write.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.exchange import answered_of, asked_of, header
from pytest_sparrow.errors import UsageError
from pytest_sparrow.wire.bodies import uncompressed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json


class Unreadable(Exception):
    """An interaction that can't be taken over; the text says why."""


def halves_of(raw: Any) -> tuple[dict[str, Json], dict[str, Json]]:
    """The *asked* and the *answered* half of one interaction.

    Raises:
        Unreadable: something of it is missing or has another shape than the format's.
    """
    whole = _dict(raw, "the interaction")
    request, response = _dict(whole.get("request"), "request"), _dict(whole.get("response"), "response")
    method, url = request.get("method"), request.get("uri") or request.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        raise Unreadable("its request has no method or no uri")
    asked = asked_of(method, url, _headers(request), _bytes(request, "request"))
    headers, body = _headers(response), _bytes(response, "response")
    return asked, answered_of(
        _status(response), headers, body, decoded=_is_decoded(body, header(headers, "content-encoding"))
    )


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is {'missing' if value is None else f'a {type(value).__name__}'}")
    return value


def _status(response: dict[str, Any]) -> int:
    status = response.get("status", response.get("status_code"))
    code = status.get("code") if isinstance(status, dict) else status
    if type(code) is not int or not 100 <= code <= 999:
        raise Unreadable(f"its response has the status {code!r}")
    return code


def _headers(half: dict[str, Any]) -> list[tuple[str, str]]:
    """Header pairs: a value is a text, or a list of texts."""
    headers = half.get("headers") or {}
    if not isinstance(headers, dict):
        raise Unreadable(f"its headers are a {type(headers).__name__}")
    return [
        (str(name), _text(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _bytes(half: dict[str, Any], what: str) -> bytes:
    """The body's bytes: ``parsed_body``, a text, bytes, or an object that holds one of them."""
    body = half.get("body")
    if half.get("parsed_body") is not None:
        return _spelled(half["parsed_body"], what)
    if isinstance(body, dict) and isinstance(encoded := body.get("base64_string"), str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise Unreadable(f"the base64 of its {what}'s body can't be read ({error})") from error
    # Of aiohttp's requests vcrpy keeps what ``json=`` or ``data=`` was given, as it is.
    if isinstance(body, dict) and (not body or not _WRAPPERS.isdisjoint(body)):
        content = body.get("string", body.get("parsed_body"))
    else:
        content = body
    if content is None:
        return b""
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        # Some serializers keep bytes that are no UTF-8 as lone surrogates.
        return content.encode("utf-8", "surrogateescape" if _escaped(content) else "replace")
    return _spelled(content, what)


_WRAPPERS = frozenset({"string", "base64_string", "parsed_body", "encoding"})
"""Keys of an object that holds a body; one with none of them is the body."""


def _escaped(text: str) -> bool:
    return all("\udc80" <= sign <= "\udcff" for sign in text if "\ud800" <= sign <= "\udfff")


def _spelled(value: Any, what: str) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise Unreadable(f"its {what}'s body holds what JSON can't: {error}") from error


def _is_decoded(body: bytes, coding: str) -> bool:
    """Whether a body is uncompressed though its header says otherwise, as cassettes often have it."""
    return bool(coding) and uncompressed(body, coding) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteEntry:
    """One interaction of a cassette as the two halves of an ``http`` exchange.

    Attributes:
        number: its place in the file, from 1.
        asked: what was asked.
        answered: what was answered.
    """

    number: int
    asked: dict[str, Json]
    answered: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What could not be taken over.

    Attributes:
        path: the file.
        number: the entry, from 1; None for the whole file.
        reason: why, in one line.
    """

    path: Path
    number: int | None
    reason: str

    def __str__(self) -> str:
        where = "" if self.number is None else f", entry {self.number}"
        return f"{self.path}{where}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassette:
    """A cassette that was read.

    Attributes:
        path: the file.
        entries: what was taken, in its order.
        left_out: what was not.
        recorded: when it was recorded, as far as it says so: by its own note, else by the first answer's ``date``
            header, else by the time of the file.
    """

    path: Path
    entries: tuple[CassetteEntry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    recorded: datetime = field(default_factory=lambda: datetime.now(UTC))


def read_cassette(path: Path) -> Cassette:
    """Read a cassette; what can't be taken over is named in ``left_out``, and the rest is taken.

    Raises:
        UsageError: it is YAML, and PyYAML is not installed.
        OSError: the file can't be read.
    """
    try:
        content = _load(path)
    except (ValueError, RecursionError) as error:
        return _nothing_of(path, f"can't be read: {_first_line(error)}")
    interactions = content.get("interactions") if isinstance(content, dict) else None
    if not isinstance(interactions, list):
        return _nothing_of(path, "is no VCR cassette: it has no list of interactions")
    if content.get("version", 1) != 1:
        return _nothing_of(path, f"has the format version {content['version']!r}; version 1 can be read")
    entries: list[CassetteEntry] = []
    left_out: list[LeftOut] = []
    for number, raw in enumerate(interactions, start=1):
        try:
            asked, answered = halves_of(raw)
        except Unreadable as error:
            left_out.append(LeftOut(path=path, number=number, reason=str(error)))
        else:
            entries.append(CassetteEntry(number=number, asked=asked, answered=answered))
    recorded = _recorded(interactions, entries) or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Cassette(path=path, entries=tuple(entries), left_out=tuple(left_out), recorded=recorded)


def _nothing_of(path: Path, reason: str) -> Cassette:
    return Cassette(path=path, left_out=(LeftOut(path=path, number=None, reason=reason),))


def _load(path: Path) -> Any:
    raw = path.read_bytes()
    if path.suffix == ".json" or raw.lstrip()[:1] == b"{":
        return json.loads(raw)
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            f"{path} is YAML, which needs PyYAML\n  pip install 'pytest-sparrow[import]'"
        ) from error
    try:
        return yaml.load(raw, _loader(yaml))  # noqa: S506 - see there
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _loader(yaml: Any) -> Any:
    """Safe: it makes plain values only; a file or an iterator that was sent becomes the bytes that vcrpy kept of it."""

    # The C loader is ten times faster; PyYAML may come without it.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    def sent(loader: Any, kind: str, node: Any) -> Any:
        values = loader.construct_mapping(node, deep=True) if kind in _SENT else {}
        match values:
            case {"state": [bytes() as content, *_]}:
                return content
            case {"args": [list() as pieces]} if all(isinstance(piece, bytes) for piece in pieces):
                return b"".join(pieces)
        return loader.construct_undefined(node)

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/object/", sent)
    return Loader


_SENT = ("new:_io.BytesIO", "apply:builtins.iter")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3]) or type(error).__name__


def _recorded(interactions: list[Any], entries: list[CassetteEntry]) -> datetime | None:
    for raw in interactions[:1]:
        noted = raw.get("recorded_at") if isinstance(raw, dict) else None
        if isinstance(noted, datetime):
            return noted if noted.tzinfo else noted.replace(tzinfo=UTC)
        if isinstance(noted, str) and (moment := _iso(noted)):
            return moment
    for entry in entries:
        for name, value in entry.answered["headers"]:
            if name.lower() == "date" and (moment := _http_date(value)):
                return moment
    return None


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError):
        return None
