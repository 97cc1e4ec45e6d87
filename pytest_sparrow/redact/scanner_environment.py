"""The secrets of this process as a scanner looks for them: in every spelling that a file may give them."""

from __future__ import annotations

import base64
import functools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

from pytest_sparrow.redact.scanner_rules import is_random, is_weak

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Needle", "needles_of"]

_SHORTEST = 10
_LONGEST = 4096
_SECRET = re.compile(
    r"secret|token(?!i[sz])|passw|passphrase|credential|api_?key|private_?key|access_?key|(?:^|_)(?:auth|pat|pwd|key)_?[0-9]*$",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"(?:^|_)(?:url|uri|file|path|dir|name|id|sock|host|port|type|mode)$|public|^(?:old)?pwd$|^gpg_key$",
    re.IGNORECASE,
)
_PLACE = re.compile(r"[./~]|[A-Za-z]:\\|[a-z]+://")
_PASSWORD_IN_URL = re.compile(r"^[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s@/]+)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """One spelling of a secret.

    Attributes:
        name: the variable that holds it, for the kind.
        value: the secret itself.
        spelled: the bytes to look for.
        pattern: what tells it from a part of a longer word; None where its length does.
    """

    name: str
    value: str
    spelled: bytes
    pattern: re.Pattern[bytes] | None


def needles_of(environ: Mapping[str, str]) -> tuple[Needle, ...]:
    """What to look for: values of variables whose names say that they are secret, and passwords in URLs."""
    found: dict[str, str] = {}
    for name, value in environ.items():
        secret = _secret_of(name, value.strip())
        if secret is not None:
            found.setdefault(secret, name)
    return _spelled(tuple(sorted(found.items())))


def _secret_of(name: str, value: str) -> str | None:
    in_url = _PASSWORD_IN_URL.match(value)
    if in_url is not None:
        value = unquote(in_url[1])
    elif not _SECRET.search(name) or _OTHER.search(name) or _PLACE.match(value):
        return None
    raw = value.encode("utf-8", "surrogatepass")
    fits = _SHORTEST <= len(value) <= _LONGEST and not value.startswith("sparrow-dummy-")
    mixed = any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)
    return value if fits and mixed and " " not in value and not is_weak(raw) and is_random(raw, 2.6) else None


@functools.lru_cache(maxsize=16)
def _spelled(secrets: tuple[tuple[str, str], ...]) -> tuple[Needle, ...]:
    return tuple(
        _needle(name, value, spelled) for value, name in secrets for spelled in sorted(_spellings(value))
    )


def _needle(name: str, value: str, spelled: bytes) -> Needle:
    bounded = re.compile(rb"(?<![A-Za-z0-9])" + re.escape(spelled) + rb"(?![A-Za-z0-9])")
    return Needle(
        name=name,
        value=value,
        spelled=spelled,
        pattern=None if len(spelled) >= 20 else bounded,
    )


def _spellings(value: str) -> set[bytes]:
    raw = value.encode("utf-8", "surrogatepass")
    shown = {value, repr(value)[1:-1]}
    once = {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in shown for ascii_ in (True, False)}
    twice = {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in once for ascii_ in (True, False)}
    texts = {*shown, *once, *twice, quote(raw), quote(raw, safe=""), quote_plus(raw)}
    encoded = {base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    return {text.encode("utf-8", "surrogatepass") for text in texts} | encoded
