"""Finds what looks like a secret and can't be decided: random characters next to a word like key or token.

So are keys that are built as some vendors build theirs, the last segment of a link that resets, verifies or calls a
hook, and the answer to a server's Digest challenge.

Nothing is replaced for it. After a recording the summary says how many there are, and where: a person knows at a
glance what no rule can tell. A false alarm costs a look, so what providers and clients send all the time (ids, hashes,
signatures, encrypted reasoning, cursors) must be none.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_sparrow.redact.plausible import is_jumbled
from pytest_sparrow.redact.scanner_rules import entropy, long_runs
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = r"(?:key|token|secret|passw(?:or)?d|passphrase|pwd|credential|auth|bearer|licen[sc]e)s?"
_NAMED = re.compile(
    rf"(?i:(?:^|[-_. ]|api|access){_WORD}[0-9]*$)|(?<=[a-z])(?:Key|Token|Secret|Auth)s?[0-9]*$"
)
_HARMLESS = re.compile(
    r"encrypted|obfuscat|signature|thought|nonce|public|idempot|cache|etag|hash|digest|checksum|fingerprint"
    r"|page|cursor|next|prev|contin|sync|foreign|primary|sort|partition|dedup|max|stop|eos",
    re.IGNORECASE,
)
# Behind the word at most an apposition: "the token is", "key for staging:", "secret (prod) -> ".
_GAP = r"(?:[ \t:=\"'`*\\>()\[\]{}|]|->)"
_IN_TEXT = re.compile(
    rf"(?<![\w/-])(?i:{_WORD}){_GAP}{{1,12}}(?:[A-Za-z]{{1,10}}{_GAP}{{1,6}}){{0,3}}([A-Za-z0-9+/_=-]{{20,200}})"
)
# A link that opens something to whoever has it: the segment before the last one says so.
_IN_PATH = re.compile(
    r"://[^\s\"'<>?#]{1,300}/(?i:(?:[a-z]{1,12}[-_])?(?:token|secret|(?:web)?hook|reset|verify|confirm|activate|invite"
    r"|magic)s?(?:[-_][a-z]{1,12})?)/([A-Za-z0-9_~.-]{20,200})"
)
_DIGEST = re.compile(r"\bDigest [^\n]{0,400}?\bresponse=\\*\"?([0-9a-f]{32,64})\b")
# Keys of Mailgun, Mailchimp and RapidAPI: nothing stands in front, but of ids few are built so.
_BUILT = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{32}-(?:us[0-9]{1,2}|[0-9a-f]{8}-[0-9a-f]{8})"
    r"|[0-9A-Za-z]{10}msh[0-9A-Za-z]{15}p1[0-9A-Za-z]{5,6}jsn[0-9A-Za-z]{12})(?![\w-])"
)
_HEX = re.compile(r"[0-9a-f]{32,128}")
_OF_KEYS = re.compile(
    r"(?i)(?:api|access|auth|site|client|app|admin|master|service|private|user|bot)[-_. ]?(?:key|token)$"
)
# With a slash it may be a path, unless padding says base64.
_OPAQUE = re.compile(r"[A-Za-z0-9_~-]{20,200}|[A-Za-z0-9+/]{20,198}==?")
_ID = re.compile(r"[a-z]{2,12}[_-][A-Za-z0-9]{16,64}")
_LEAST, _MOST = 20, 200
_LEAST_BITS = 3.5
_LEAST_HEX_BITS = 3.0
_DEEPEST = 3


def doubtful(line: bytes) -> Iterator[tuple[str, str]]:
    """What looks like a secret in one JSON line: each value, and its path, like ``answered.body.json.site_key``.

    A line that is no JSON holds none.
    """
    if not any(len(run) <= _MOST and _may_be_one(run.decode()) for run in long_runs(line, _LEAST)):
        return
    try:
        yield from _in_value(json.loads(line), "", "", _DEEPEST)
    except (ValueError, RecursionError):
        return


def _in_value(value: Any, path: str, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _in_value(item, f"{path}.{key}".lstrip("."), key, depth)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _in_value(item, f"{path}[{number}]", name, depth)
    elif isinstance(value, str) and len(value) >= _LEAST and not _HARMLESS.search(name):
        inner = _json_of(value) if depth else None
        if inner is not None:
            yield from _in_value(inner, path, name, depth - 1)
        elif _NAMED.search(name) and _is_value(value, name):
            yield value, path
        else:
            yield from ((found, path) for found in _in_text(value))


def _is_value(value: str, name: str) -> bool:
    """Whether the value of a field with such a name may be a secret; most hexadecimal digits are a digest."""
    is_hex = _OF_KEYS.search(name) is not None and _HEX.fullmatch(value) is not None
    return (is_hex and entropy(value) >= _LEAST_HEX_BITS) or (
        _OPAQUE.fullmatch(value) is not None and _is_random(value)
    )


def _in_text(text: str) -> Iterator[str]:
    for pattern in (_IN_TEXT, _IN_PATH):
        yield from (found[1] for found in pattern.finditer(text) if _is_random(found[1]))
    yield from _BUILT.findall(text)
    if "Digest " in text:
        yield from (found[1] for found in _DIGEST.finditer(text))


def _json_of(text: str) -> Any:
    """The JSON of a text, or of a server-sent event; None for any other text."""
    data = sse.data_of_line(text) if text.startswith("data:") else text
    if data is None or data.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _may_be_one(run: str) -> bool:
    # A run of a path holds its slashes; of an escaped line's end its letter.
    return any(found.search(run) for found in (_HEX, _BUILT)) or any(
        map(_is_random, (run, run.rpartition("/")[2]))
    )


def _is_random(text: str) -> bool:
    """Whether a text is what a generator of secrets prints: no id, no hash, no word."""
    return not _ID.fullmatch(text) and is_jumbled(text) and entropy(text) >= _LEAST_BITS
