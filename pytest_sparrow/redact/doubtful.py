"""Finds what looks like a secret and can't be decided: random characters next to a word like key or token.

Nothing is replaced for it. After a recording the summary says how many there are, and where: a person knows at a
glance what no rule can tell. A false alarm costs a look, so what providers and clients send all the time (ids, hashes,
signatures, encrypted reasoning, cursors) must be none.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_sparrow.redact.names import is_jumbled
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
# Behind the word at most an apposition: "the token is", "key for staging:".
_IN_TEXT = re.compile(
    rf"(?<![\w/-])(?i:{_WORD})[ :=\"'`*\\>]{{1,5}}(?:[A-Za-z]{{1,10}}[ :=\"'`*]{{1,3}}){{0,3}}"
    r"([A-Za-z0-9+/_=-]{20,200})"
)
# With a slash it may be a path, unless padding says base64.
_OPAQUE = re.compile(r"[A-Za-z0-9_~-]{20,200}|[A-Za-z0-9+/]{20,198}==?")
_ID = re.compile(r"[a-z]{2,12}[_-][A-Za-z0-9]{16,64}")
_LEAST, _MOST = 20, 200
_LEAST_BITS = 3.5
_DEEPEST = 3


def doubtful(line: bytes) -> Iterator[tuple[str, str]]:
    """What looks like a secret in one JSON line: each value, and its path, like ``answered.body.json.site_key``.

    A line that is no JSON holds none.
    """
    if not any(len(run) <= _MOST and _is_random(run.decode()) for run in long_runs(line, _LEAST)):
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
        elif _NAMED.search(name) and _OPAQUE.fullmatch(value) and _is_random(value):
            yield value, path
        else:
            yield from ((found[1], path) for found in _IN_TEXT.finditer(value) if _is_random(found[1]))


def _json_of(text: str) -> Any:
    """The JSON of a text, or of a server-sent event; None for any other text."""
    data = sse.data_of_line(text) if text.startswith("data:") else text
    if data is None or data.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _is_random(text: str) -> bool:
    """Whether a text is what a generator of secrets prints: no id, no hash, no word."""
    return not _ID.fullmatch(text) and is_jumbled(text) and entropy(text) >= _LEAST_BITS
