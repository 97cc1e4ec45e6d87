"""The rules of the scanner: key formats that are secrets beyond doubt, and this process's own secrets.

The scanner stands behind the redactor, shares none of its patterns, and a hit stops a recording. So each rule asks for
all that its format promises (prefix, exact length, alphabet, checksum, a header that decodes), and for a random part:
``sk-ant-api03-xxxxxxxx`` in a manual is no key. Sources: the vendors' documentation of their keys; GitHub's note on
its token format (CRC-32 in base 62: "Behind GitHub's new authentication token formats", 2021); RFC 7468 and 7519.

Keys, ids and hashes are long unbroken runs of characters. ``re`` takes 12 ns a byte for ``[A-Za-z0-9_-]{24,}``. One
``translate`` that makes all of these one byte, and a search for 24 of them in a row, take 0.7 ns a byte.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
import string
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.settings import DUMMY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_sparrow.providers.facts import ProviderFacts

RUN_CHARACTERS = (string.ascii_letters + string.digits + "+/-_").encode()
"""Letters, digits, and both alphabets of base64."""

_TABLE = bytes(ord("x") if byte in RUN_CHARACTERS else ord(" ") for byte in range(256))


def long_runs(data: bytes, length: int) -> set[bytes]:
    """Every distinct run of `RUN_CHARACTERS` that is at least so long."""
    folded = data.translate(_TABLE)
    needle = b"x" * length
    found = set()
    at = folded.find(needle)
    while at >= 0:
        stop = folded.find(b" ", at)
        stop = len(folded) if stop < 0 else stop
        found.add(data[folded.rfind(b" ", 0, at) + 1 : stop])
        at = folded.find(needle, stop)
    return found


FILE = 8192
"""Characters from which on an unbroken run is a file's content."""
EDGE = 1024
"""Characters at both ends of such a run that are searched all the same."""


def without_files(data: bytes) -> bytes:
    """Data without the middle of its very long runs: base64 of a file, where a format stands by chance alone."""
    if len(data) < FILE:
        return data
    folded, needle = data.translate(_TABLE), b"x" * FILE
    parts, done, at = [], 0, folded.find(needle)
    while at >= 0:
        stop = folded.find(b" ", at)
        stop = len(folded) if stop < 0 else stop
        parts += [data[done : at + EDGE], b" "]
        done = stop - EDGE
        at = folded.find(needle, stop)
    return b"".join([*parts, data[done:]]) if parts else data


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRule:
    """A format of secrets.

    Attributes:
        kind: what it is called, as in a placeholder.
        needle: stands in every one of them.
        pattern: finds it; its group 1 is the secret itself.
        holds: the last word on a match.
        in_run: the needle lies in a long run of characters of keys, so that nothing else need be searched.
    """

    kind: str
    needle: bytes
    pattern: re.Pattern[bytes]
    holds: Callable[[re.Match[bytes]], bool]
    in_run: bool


def is_random(part: bytes, bits: float = 3.0) -> bool:
    """Whether a text is as uneven as a generator's: its entropy by character, and no run of one character."""
    if b"EXAMPLE" in part or re.search(rb"(.)\1{5}", part):
        return False
    return entropy(part) >= bits


def entropy(text: str | bytes) -> float:
    """Shannon's entropy of a text that is not empty, in bits a character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


_WEAK = frozenset(
    b"password passwd changeme secret postgres example username pass1234 password1 letmein".split()
)


def is_weak(password: bytes) -> bool:
    """Whether a password is what every manual writes there, or a template."""
    low = password.lower()
    return (
        len(set(low)) < 5
        or low in _WEAK
        or bool(re.search(rb"[<>{}$*\[\]]|%7b|%3c|\.\.\.|your|example", low))
    )


def _random_part(match: re.Match[bytes]) -> bool:
    return is_random(match[match.re.groups])


# In JSON an escape (\n) or in a URL an encoded character (%3D) may stand in front, and its letters are no word's.
_FRONT = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9a-fA-F]{4}))"


def _format(
    kind: str,
    needle: bytes,
    pattern: bytes,
    holds: Callable[[re.Match[bytes]], bool] = _random_part,
    flags: int = 0,
) -> ScanRule:
    return ScanRule(
        kind=kind,
        needle=needle,
        pattern=re.compile(pattern, flags),
        holds=holds,
        in_run=not needle.translate(None, RUN_CHARACTERS),
    )


def _keys(
    kind: str,
    prefixes: bytes,
    body: bytes,
    holds: Callable[[re.Match[bytes]], bool] = _random_part,
    needle: bytes = b"",
) -> tuple[ScanRule, ...]:
    """Keys of a literal prefix (one of several) and a body, whose own group, if it has one, is the random part."""
    grouped = body if re.compile(body).groups else rb"(" + body + rb")"
    return tuple(
        _format(
            kind, needle or prefix, rb"(" + _FRONT + re.escape(prefix) + grouped + rb")(?![A-Za-z0-9])", holds
        )
        for prefix in prefixes.split()
    )


_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _github_checksum(match: re.Match[bytes]) -> bool:
    body, check = match[2][:-6], match[2][-6:]
    number, digits = zlib.crc32(body), []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return bytes(reversed(digits)) == check


def _decoded(part: bytes) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None


def _is_jwt(match: re.Match[bytes]) -> bool:
    header, claims = _decoded(match[2]), _decoded(match[3])
    return (
        isinstance(header, dict)
        and isinstance(claims, dict)
        and str(header.get("alg", "none")).lower() != "none"
        and is_random(match[4])
    )


def _is_aws_secret(match: re.Match[bytes]) -> bool:
    secret = match[1]
    mixed = re.search(rb"[a-z]", secret) and re.search(rb"[A-Z]", secret) and re.search(rb"[0-9]", secret)
    return mixed is not None and is_random(secret, 4.0)


def _is_pem(match: re.Match[bytes]) -> bool:
    body = re.sub(rb"\\+[nr]|[\s\"+,']", b"", match[2])
    return len(body) >= 64 and is_random(body, 4.0)


_SCHEME_BEFORE = re.compile(
    _FRONT
    + rb"(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|oracle|clickhouse|nats|ldaps?|s?ftp|https?)"
    rb"(?:\+[a-z0-9]+)?\Z"
)
_LONGEST_SCHEME = 40


def _is_password(match: re.Match[bytes]) -> bool:
    password, user = match[1], match[2]
    if not _SCHEME_BEFORE.search(match.string, max(0, match.start() - _LONGEST_SCHEME), match.start()):
        return False
    return not is_weak(password) and password.lower() != user.lower() and is_random(password, 2.2)


_W, _A, _X = rb"[A-Za-z0-9_-]", rb"[A-Za-z0-9]", rb"[0-9a-f]"

_PEM = _format(
    "private-key",
    b"PRIVATE KEY",
    rb"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----(((?:\\+[nr]|[A-Za-z0-9+/=\s\"',]){64,}))",
    _is_pem,
)
_URL = _format(
    "password",
    b"://",
    rb"://(?=[^\s:/@\"'\\<]{0,64}:([^\s@/\"'\\<>]{6,128})@)([^\s:/@\"'\\<]{0,64}):",
    _is_password,
)
# The key's id, and not far behind it 40 characters of its own.
_AWS = tuple(
    _format(
        "aws-secret-key",
        prefix,
        rb"(?<![A-Za-z0-9])%s(?![A-Za-z0-9])(?:.{0,200}?[^A-Za-z0-9/+])??"
        rb"(?=([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=]))" % key_id,
        _is_aws_secret,
        re.DOTALL,
    )
    # The redactor has replaced the id by then: what is left of it must still lead to the secret.
    for prefix, key_id in (
        (b"AKIA", b"AKIA[A-Z2-7]{16}"),
        (b"ASIA", b"ASIA[A-Z2-7]{16}"),
        (b"<secret:aws-access-key-id", rb"<secret:aws-access-key-id(?::[0-9]+)?>"),
    )
)
_TWILIO = _format(
    "twilio-token",
    b"AC",
    rb"(?<![A-Za-z0-9])AC[0-9a-f]{32}(?::|.{0,60}?(?i:auth|token).{0,20}?[^0-9a-f])([0-9a-f]{32})(?![A-Za-z0-9])",
    flags=re.DOTALL,
)
_JWT = _format(
    "jwt",
    b"eyJ",
    # Within a word nothing is looked ahead: a run of many beginnings is run over once.
    rb"(?=eyJ)"
    + _FRONT
    + rb"(?=(eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20,}))(eyJ[\w-]{8,})\.(eyJ[\w-]{8,})\.([\w-]{20,})",
    _is_jwt,
)
_SERVICES: tuple[ScanRule, ...] = (
    _PEM,
    _URL,
    *_AWS,
    _TWILIO,
    _format(
        "azure-key", b"JQQJ99", rb"(?<![A-Za-z0-9])([A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26})(?![A-Za-z0-9])"
    ),
    _format("azure-key", b"AccountKey=", rb"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _JWT,
    _format("sendgrid-key", b"SG.", rb"(" + _FRONT + rb"SG\.([\w-]{22}\.[\w-]{43}))(?![\w-])"),
    *_keys("github-token", b"ghp_ gho_ ghu_ ghs_ ghr_", _A + rb"{36}", _github_checksum),
    *_keys("github-token", b"github_pat_", rb"([A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    *_keys("huggingface-token", b"hf_", _A + rb"{34}"),
    *_keys("replicate-token", b"r8_", _A + rb"{37}"),
    *_keys("langsmith-key", b"lsv2_pt_ lsv2_sk_", rb"([0-9a-f]{32}_[0-9a-f]{10})"),
    *_keys("pinecone-key", b"pcsk_", rb"[A-Za-z0-9_]{60,80}"),
    *_keys("npm-token", b"npm_", _A + rb"{36}"),
    *_keys("pypi-token", b"pypi-AgEIcHlwaS5vcmc", _W + rb"{50,}"),
    *_keys("stripe-key", b"sk_live_ rk_live_", _A + rb"{24,99}"),
    *_keys("gitlab-token", b"glpat-", _W + rb"{20,}(?:\.[0-9a-z.]+)?"),
    *_keys("slack-token", b"xoxb-", rb"[0-9]{9,}-[0-9]{9,}-([A-Za-z0-9]{24})"),
    *_keys("slack-token", b"xoxp-", rb"[0-9]{9,}-[0-9]{9,}-[0-9]{9,}-([0-9a-f]{32})"),
    *_keys("slack-token", b"xapp-1-", rb"A[A-Z0-9]+-[0-9]+-([0-9a-f]{64})"),
    *_keys("shopify-token", b"shpat_", _X + rb"{32}"),
    *_keys("digitalocean-token", b"dop_v1_", _X + rb"{64}"),
    *_keys("vault-token", b"hvs.", _W + rb"{90,}"),
    *_keys("doppler-token", b"dp.pt.", _A + rb"{40,44}"),
    *_keys("linear-key", b"lin_api_", _A + rb"{40}"),
    *_keys("notion-token", b"ntn_", _A + rb"{46}"),
    _format("telegram-token", b":AA", rb"(?<![0-9])([0-9]{8,10}:(AA[\w-]{33}))(?![\w-])"),
    _format(
        "slack-webhook",
        b"hooks.slack.com/services/",
        rb"hooks\.slack\.com/services/(T[A-Za-z0-9]+/B[A-Za-z0-9]+/([A-Za-z0-9]{24}))",
    ),
    _format(
        "discord-webhook",
        b".com/api/webhooks/",
        rb"discord(?:app)?\.com/api/webhooks/([0-9]{17,20}/([\w-]{60,72}))",
    ),
)
"""Formats of services that are no providers of models; several rules may be of one kind."""


def scan_rules() -> tuple[ScanRule, ...]:
    """All formats: of services, and of the keys that the registered codecs declare."""
    return _rules_with(facts())


@functools.lru_cache(maxsize=4)
def _rules_with(known: ProviderFacts) -> tuple[ScanRule, ...]:
    keys = (
        rule
        for each in known.sure_keys
        for rule in _keys(
            each.kind,
            " ".join(each.prefixes).encode(),
            each.rest.encode(),
            needle=each.needle.encode(),
        )
    )
    return (*_SERVICES, *keys)


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
        pattern: finds the value only where it is no part of a longer word; None where its length is enough.
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


# All tests of a session have nearly the same environment.
@functools.lru_cache(maxsize=1024)
def _secret_of(name: str, value: str) -> str | None:
    in_url = _PASSWORD_IN_URL.match(value)
    if in_url is not None:
        value = unquote(in_url[1])
    elif not _SECRET.search(name) or _OTHER.search(name) or _PLACE.match(value):
        return None
    raw = value.encode("utf-8", "surrogatepass")
    fits = _SHORTEST <= len(value) <= _LONGEST and not value.startswith(DUMMY)
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
