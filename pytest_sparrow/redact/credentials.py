"""Writes the credentials of a request so that nothing secret is left, and two of them stay two.

What is fresh in each request is left out: a signature, its time, the times in a signed token. What stays is whose
credential it is, a user's name, the id of a key, or the placeholder of the secret; and for what it was signed: the
region and the service of a signature, which no other part of a request to a fixed address need show.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING = frozenset({"", "none", "null", "undefined"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)[ ]+(.*)", re.DOTALL)
_OWNER = re.compile(
    r"(?:credential|username|keyid|oauth_token|oauth_consumer_key|client_id|id)=\"?([^\",/;\s]+)",
    re.IGNORECASE,
)
_SCOPED = re.compile(r"credential=\"?([^\",/;\s]+)((?:/[A-Za-z0-9_.*-]+)+)", re.IGNORECASE)
"""The id of a key and the scope of a signature (of AWS and all who sign as AWS does): day, region, service."""

_DAY = re.compile(r"/\d{4}-?\d\d-?\d\d(?=/|\Z)")
FRESH_CLAIMS = frozenset({"exp", "iat", "nbf", "jti", "auth_time", "nonce"})
"""Claims of a JSON Web Token that are new in each token."""

_JWT = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")


def hidden_credential(value: str, hide: Callable[[str], str], user: Callable[[str], str]) -> str:
    """The value of a header that holds a credential, as it is written.

    Args:
        value: the header's value.
        hide: gives the placeholder of a secret.
        user: cleans the name of a user.
    """
    match = _SCHEME.fullmatch(value.strip())
    if match is None:
        return _hidden(value.strip(), hide)
    scheme, rest = match[1], match[2].strip()
    if scheme.lower() == "basic":
        return f"{scheme} {_basic(rest, hide, user)}".strip()
    if scheme.lower().startswith("sharedkey"):
        return f"{scheme} {hide(rest.partition(':')[0])}"
    scoped = _SCOPED.search(rest)
    if scoped is not None:
        return f"{scheme} {hide(scoped[1])}{user(_DAY.sub('', scoped[2]))}"
    owner = _OWNER.search(rest)
    if owner is not None:
        return f"{scheme} {hide(owner[1])}"
    if scheme.lower() in ("negotiate", "ntlm"):
        return scheme
    return f"{scheme} {_hidden(rest, hide)}".strip()


def _hidden(secret: str, hide: Callable[[str], str]) -> str:
    return "" if secret.lower() in _NOTHING else hide(secret)


def _basic(encoded: str, hide: Callable[[str], str], user: Callable[[str], str]) -> str:
    """User and password of Basic authentication (RFC 7617), readable: the password is a placeholder."""
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return _hidden(encoded, hide)
    return f"{user(name)}{colon}{_hidden(password, hide)}"


_COOKIES = re.compile(r"[\w!#$%&'*+.^`|~-]+=[^;\s]*(?:;\s*[\w!#$%&'*+.^`|~-]+=[^;\s]*)*;?")


def is_of_cookies(value: str) -> bool:
    """Whether a text is the cookies of a request: names with values, and nothing else."""
    return _COOKIES.fullmatch(value.strip()) is not None


_QUOTED = re.compile(r'"(<secret:[a-z0-9-]+:[0-9]+>)"')


def hidden_cookies(value: str, hide: Callable[[str, str], str]) -> str:
    """The cookies of a request, by name; ``hide(name, value)`` gives what stands for a value.

    Quotes around a placeholder are left out: a client puts them (aiohttp), since a placeholder has characters that the
    secret had not.
    """
    pairs = (pair.strip().partition("=") for pair in value.split(";"))
    cookies = sorted(f"{name}{sign}{hide(name, each)}" for name, sign, each in pairs if name)
    return _QUOTED.sub(r"\1", "; ".join(cookies))


def lasting_part(token: str) -> str:
    """What of a token stays where it is made anew for each request: of a JSON Web Token the claims without times."""
    match = _JWT.fullmatch(token)
    if match is None:
        return token
    try:
        claims = json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
    except ValueError:
        return token
    if not isinstance(claims, dict) or not FRESH_CLAIMS & claims.keys():
        return token
    kept = {name: claim for name, claim in claims.items() if name not in FRESH_CLAIMS}
    return json.dumps(kept, sort_keys=True) if kept else token
