"""Reads other tools' cassettes, each interaction as the two halves of an exchange.

They are those of vcrpy (YAML or JSON), go-vcr, Ruby's VCR and betamax, which differ in a few names; and HTTP archives.

Formats: https://vcrpy.readthedocs.io and its serializers, https://github.com/dnaeon/go-vcr (``pkg/cassette``),
https://relishapp.com/vcr/vcr/docs/cassettes/cassette-format, https://betamax.readthedocs.io; ``parsed_body`` (a body
as JSON beside, or instead of, ``body``) is what the custom serializers of several agent frameworks write. LangChain's
keeps two lists, ``requests`` and ``responses``, in a ``.yaml.gz``.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pytest_sparrow.boundaries.http.exchange import answered_of, asked_of, header, may_have_body
from pytest_sparrow.importing.files import PythonObject, load
from pytest_sparrow.importing.har import entries_of
from pytest_sparrow.wire.bodies import uncompressed

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.exchange import Json


class Unreadable(Exception):
    """An interaction that can't be imported; the text says why."""


def halves_of(raw: Any) -> tuple[dict[str, Json], dict[str, Json]]:
    """The *asked* and the *answered* half of one interaction.

    Of the request some headers may be missing: cassettes leave out what the user or the tool wants to hide.

    Raises:
        Unreadable: something of it is missing or has another shape than the format's.
    """
    whole = _dict(raw, "the interaction")
    request, response = _half(whole, "request"), _half(whole, "response")
    method, url = request.get("method"), request.get("uri") or request.get("url")
    if not isinstance(method, str) or not isinstance(url, str):
        raise Unreadable("its request has no method or no uri")
    try:
        urlsplit(url).port  # noqa: B018 - it is worked out, and checked, only when it is asked for
    except ValueError as error:
        raise Unreadable(f"its request's uri can't be read: {error}") from error
    asked = asked_of(method, url, _headers(request), _bytes(request, "request") or _form(request))
    asked["some_headers"] = True
    headers, body = _headers(response), _bytes(response, "response")
    return asked, answered_of(
        _status(response),
        headers,
        body,
        decoded=_is_decoded(body, header(headers, "content-encoding")),
        reason=_reason(response),
    )


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is {'missing' if value is None else f'a {type(value).__name__}'}")
    return value


def _half(whole: dict[str, Any], what: str) -> dict[str, Any]:
    half = _dict(whole.get(what), what)
    level = [half.get(key) for key in ("method", "uri", "url", "headers", "form", *_BODIES)]
    while level:
        for value in level:
            if isinstance(value, PythonObject):
                raise Unreadable(f"its {what} holds a Python object of the type {value.tag}")
        level = [
            part
            for value in level
            if isinstance(value, dict | list)
            for part in ([*value, *value.values()] if isinstance(value, dict) else value)
        ]
    return half


def _status(response: dict[str, Any]) -> int:
    status = response.get("code", response.get("status", response.get("status_code")))
    code = status.get("code") if isinstance(status, dict) else status
    if type(code) is not int or not 100 <= code <= 999:
        raise Unreadable(f"its response has the status {code!r}")
    return code


def _reason(response: dict[str, Any]) -> str | None:
    """The phrase behind the status, as vcrpy writes it; None where it holds none."""
    status = response.get("status")
    message = status.get("message") if isinstance(status, dict) else None
    return message if isinstance(message, str) and message else None


def _headers(half: dict[str, Any]) -> list[tuple[str, str]]:
    """Header pairs: a value is a text, or a list of texts."""
    headers = half.get("headers") or {}
    if not isinstance(headers, dict):
        raise Unreadable(f"its headers are a {type(headers).__name__}")
    return [
        (_text(name), _text(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


_BODIES = ("parsed_body", "body", "content")
"""Keys of a half that hold its body; ``content`` is what vcrpy wrote of httpx before version 6."""


def _bytes(half: dict[str, Any], what: str) -> bytes:
    """The body's bytes: ``parsed_body``, a text, bytes, or an object that holds one of them."""
    if half.get("parsed_body") is not None:
        return _spelled(half["parsed_body"], what)
    body = half.get("body")
    if body is None:
        body = half.get("content")
    if isinstance(body, dict) and isinstance(encoded := body.get("base64_string"), str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise Unreadable(f"the base64 of its {what}'s body can't be read ({error})") from error
    # Of aiohttp's requests vcrpy keeps what ``json=`` or ``data=`` was given, as it is.
    if isinstance(body, dict) and (not body or not _WRAPPERS.isdisjoint(body)):
        if body.keys() == {"encoding"}:
            raise Unreadable(f"its {what}'s body holds no content")
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


def _form(request: dict[str, Any]) -> bytes:
    """A form as go-vcr keeps it where it read the body before: each name with its values."""
    form = request.get("form")
    return urlencode(form, doseq=True).encode() if isinstance(form, dict) and form else b""


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
    """What could not be imported, or what must be said of it.

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
        entries: what can be imported, in its order.
        left_out: what can't.
        remarks: what is imported, and may not be what the user expects.
        recorded: when it was recorded, as far as it says so: by its own note, else by the first answer's ``date``
            header, else by the time of the file.
    """

    path: Path
    entries: tuple[CassetteEntry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[LeftOut, ...] = ()
    recorded: datetime = field(default_factory=lambda: datetime.now(UTC))


def read_cassette(path: Path) -> Cassette:
    """Read a cassette; what can't be imported is named in ``left_out``, and the rest is read.

    Raises:
        UsageError: it is YAML, and PyYAML is not installed.
        OSError: the file can't be read.
    """
    try:
        content = load(path)
    except ValueError as error:
        return _nothing_of(path, f"can't be read: {_first_line(error)}")
    found = content if isinstance(content, dict) else {}
    interactions = _interactions(found)
    if interactions is None:
        return _nothing_of(path, "is no cassette: it has no list of interactions")
    if found.get("version", 1) not in _VERSIONS:
        return _nothing_of(path, f"has the format version {found['version']!r}; 1 and 2 can be read")
    if not interactions:
        return _nothing_of(path, "holds no interaction")
    entries: list[CassetteEntry] = []
    left_out: list[LeftOut] = []
    remarks: list[LeftOut] = []
    for number, raw in enumerate(interactions, start=1):
        try:
            asked, answered = halves_of(raw)
        except Unreadable as error:
            left_out.append(LeftOut(path=path, number=number, reason=str(error)))
            continue
        entries.append(CassetteEntry(number=number, asked=asked, answered=answered))
        if promised := _missing_body(asked, answered):
            reason = f"its answer is empty in the cassette, and said that it had {promised}"
            remarks.append(LeftOut(path=path, number=number, reason=reason))
    recorded = _recorded(interactions, entries) or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Cassette(
        path=path,
        entries=tuple(entries),
        left_out=tuple(left_out),
        remarks=tuple(remarks),
        recorded=recorded,
    )


def _interactions(found: dict[str, Any]) -> list[Any] | None:
    """The interactions, also of two lists side by side; None where there are none. One that lacks a half says so."""
    requests, responses = found.get("requests"), found.get("responses")
    if isinstance(requests, list) and isinstance(responses, list):
        return [
            {"request": request, "response": response}
            for request, response in zip_longest(requests, responses)
        ]
    interactions = found.get("interactions", found.get("http_interactions"))
    return interactions if isinstance(interactions, list) else entries_of(found)


_VERSIONS = (1, 2)
"""vcrpy and the first go-vcr write 1, go-vcr from its version 3 on writes 2."""


def _missing_body(asked: dict[str, Json], answered: dict[str, Json]) -> str:
    """What an answer promises and the cassette lacks: the length or the type of a body; "" where all is well."""
    if "body" in answered or asked["method"] == "HEAD" or not may_have_body(answered["status"]):
        return ""
    length = header(answered["headers"], "content-length").strip()
    if length.isdigit():
        return f"{length} bytes" if int(length) else ""
    kind = header(answered["headers"], "content-type")
    return f"a body of {kind}" if "json" in kind or "event-stream" in kind else ""


def _nothing_of(path: Path, reason: str) -> Cassette:
    return Cassette(path=path, left_out=(LeftOut(path=path, number=None, reason=reason),))


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
