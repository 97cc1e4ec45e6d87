"""Secrets within base64: ``user:password``, a key in a Kubernetes secret, a file that a tool gives back.

What decodes to a text is cleaned as a text and encoded again, so that an agent that decodes it in a replay meets the
placeholder. What decodes to anything else (an image, an archive) is left alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from pytest_sparrow.redact.runs import long_runs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["may_hide", "replace_encoded"]

_SHORTEST = 20
_LONGEST_KEPT = 512
_MOST_KEPT = 4096
_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST},}}={{0,2}}")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def may_hide(data: bytes, suspicious: Callable[[bytes], bool], harmless: set[bytes], depth: int = 2) -> bool:
    """Whether JSON in UTF-8, or a text, may hold base64 of something suspicious, or base64 of that.

    Args:
        data: what may hold it.
        suspicious: tells of what was decoded.
        harmless: runs that were looked at before, this deep; grows. Ids stand in many lines: to look once is enough.
        depth: how often to decode.
    """
    for run in long_runs(data, _SHORTEST):
        if run in harmless:
            continue
        # JSON spells the end of a line before it as \n: that letter is no part of it.
        for spelled in (run, run[1:]):
            plain = _decoded(spelled)
            if plain is None:
                continue
            if suspicious(plain) or (depth > 1 and may_hide(plain, suspicious, set(), depth - 1)):
                return True
        if len(run) <= _LONGEST_KEPT and len(harmless) < _MOST_KEPT:
            harmless.add(run)
    return False


def replace_encoded(text: str, clean: Callable[[str], str]) -> str:
    """The text with every base64 run of it decoded, cleaned, and encoded again where that changed something."""

    def replace(match: re.Match[str]) -> str:
        plain = _decoded(match[0].rstrip("=").encode())
        if plain is None:
            return match[0]
        inner = plain.decode()
        cleaned = clean(inner)
        return match[0] if cleaned == inner else _encoded_like(match[0], cleaned)

    return _RUN.sub(replace, text)


def _decoded(run: bytes) -> bytes | None:
    """What it encodes, if that is a text without control characters."""
    try:
        plain = base64.b64decode(run.translate(_STANDARD) + b"=" * (-len(run) % 4), validate=True)
        text = plain.decode()
    except (binascii.Error, ValueError):
        return None
    return plain if text.replace("\n", " ").replace("\t", " ").replace("\r", " ").isprintable() else None


def _encoded_like(run: str, text: str) -> str:
    encode = base64.urlsafe_b64encode if "-" in run or "_" in run else base64.b64encode
    spelled = encode(text.encode()).decode()
    return spelled if len(run) % 4 == 0 else spelled.rstrip("=")
