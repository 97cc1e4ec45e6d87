"""One interaction of a VCR cassette, as the two halves of an ``http`` exchange."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.core import answered_of, asked_of, header
from pytest_sparrow.boundaries.http.encodings import uncompressed

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["Unreadable", "halves_of"]


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
