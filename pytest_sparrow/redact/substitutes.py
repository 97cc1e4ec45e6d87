"""Gives an agent, in place of a placeholder, a text that its reader still parses: a token with claims, a UUID, base64.

A golden holds the placeholder and, beside the answer, what of the secret's shape is no secret. A substitute follows
from these alone, so each replay makes the same one; what the agent sends back becomes the placeholder again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from pytest_sparrow.redact.credentials import FRESH_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json

SHAPES = "shapes"
"""The key of an answer that says of what shape its secrets were."""

_JWT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PEM = re.compile(r"-----BEGIN ([A-Z ]{1,60})-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END \1-----\s*")
# What is no more than letters and digits may be anything: only padding or a sign shows base64.
_BASE64 = re.compile(r"(?=[^+/=_-]*[+/=_-])(?:[A-Za-z0-9+/]{16,}|[A-Za-z0-9_-]{16,}(?==))={0,2}")
_LONGEST = 1 << 14
_COLUMNS = 64


def shape_of(secret: str, clean: Callable[[Json], Json]) -> dict[str, Json] | None:
    """What a substitute of a secret must be like, without anything secret; None where nobody parses such a secret.

    Args:
        secret: the secret.
        clean: takes the secrets out of a JSON value.
    """
    if len(secret) > _LONGEST:
        return None
    token = _JWT.fullmatch(secret)
    if token is not None:
        parts = [_decoded_json(token[group]) for group in (1, 2)]
        return {"jwt": clean(parts)} if all(isinstance(part, dict) for part in parts) else None
    if _UUID.fullmatch(secret):
        return {"uuid": "upper" if secret != secret.lower() else "lower"}
    pem = _PEM.fullmatch(secret)
    if pem is not None:
        return {"pem": pem[1], "length": len("".join(pem[2].split()))}
    if _BASE64.fullmatch(secret) and (raw := _decoded(secret)) is not None:
        url = "-" in secret or "_" in secret
        return {"base64": "url" if url else "standard", "bytes": len(raw), "padded": secret.endswith("=")}
    return None


def substitute_of(placeholder: str, shape: Json) -> str | None:
    """The text to give in place of a placeholder; None for a shape that this version does not know."""
    match shape:
        case {"jwt": [dict() as header, dict() as claims]}:
            signature = _encoded(_bytes(placeholder, 32))
            return f"{_encoded(_spelled(header))}.{_encoded(_spelled(claims))}.{signature}"
        case {"uuid": case}:
            text = str(uuid.UUID(bytes=_bytes(placeholder, 16), version=4))
            return text.upper() if case == "upper" else text
        case {"pem": str(label), "length": int(length)} if 0 < length <= _LONGEST:
            text = base64.b64encode(_bytes(placeholder, length * 3 // 4)).decode()
            lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
            return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])
        case {"base64": alphabet, "bytes": int(size)} if 0 < size <= _LONGEST:
            encode = base64.urlsafe_b64encode if alphabet == "url" else base64.b64encode
            text = encode(_bytes(placeholder, size)).decode()
            return text if shape.get("padded") else text.rstrip("=")
    return None


def lasting_shapes(shapes: Json) -> Json:
    """Shapes without the claims that are new in each recording."""
    if not isinstance(shapes, dict):
        return shapes
    return {placeholder: _lasting(shape) for placeholder, shape in shapes.items()}


def _lasting(shape: Json) -> Json:
    match shape:
        case {"jwt": [header, dict() as claims]}:
            return {"jwt": [header, {name: claims[name] for name in claims if name not in FRESH_CLAIMS}]}
    return shape


def _bytes(placeholder: str, size: int) -> bytes:
    return hashlib.shake_128(placeholder.encode()).digest(size)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _spelled(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _decoded(text: str) -> bytes | None:
    bare = text.rstrip("=").translate(_STANDARD)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


_STANDARD = str.maketrans("-_", "+/")


def _decoded_json(text: str) -> Any:
    raw = _decoded(text)
    try:
        return None if raw is None else json.loads(raw)
    except ValueError:
        return None


_MARKUP = re.compile(r"\s*(?:\ufeff)?<(?:[?!]|[A-Za-z])")
_RAW = r"<!\[CDATA\[.*?\]\]>|<script\b.*?</script\s*>|<style\b.*?</style\s*>|<!--.*?-->"
_IN_MARKUP = re.compile(rf"{_RAW}|<secret:([a-z0-9-]+:[0-9]+)>", re.DOTALL | re.IGNORECASE)
_ESCAPED = re.compile(rb"&lt;secret:([a-z0-9-]+:[0-9]+)&gt;")


def is_markup(text: str) -> bool:
    """Whether a text is XML or HTML, where a placeholder would be an element."""
    return _MARKUP.match(text) is not None and not text.lstrip().startswith("<secret:")


def escaped_in_markup(text: str) -> str:
    """XML or HTML whose placeholders are text, not elements; CDATA, scripts and comments stay."""
    return _IN_MARKUP.sub(lambda match: f"&lt;secret:{match[1]}&gt;" if match[1] else match[0], text)


def unescaped_markup(data: bytes) -> bytes:
    """JSON in which an agent repeats such markup: as a recording has it."""
    return _ESCAPED.sub(rb"<secret:\1>", data)
