"""Secrets in percent-encoding: in a URL's path and query, in a form, in a URL within a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, unquote_plus, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["plainly", "replace_in_form", "replace_percent"]

_ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")
# What lies between the separators of a URL, where any of it is encoded. Begins at a border: linear.
_RUN = re.compile(r"(?<![A-Za-z0-9_.~!*()+%<>:-])[A-Za-z0-9_.~!*()+<>:-]*%[A-Za-z0-9_.~!*()+%<>:-]+")
_VALUE = re.compile(r"(?<==)[^=&]+")
_SAFE = "<>:"


def plainly(data: bytes) -> bytes | None:
    """The same text decoded, to be searched; None where nothing of it is encoded."""
    if b"%" not in data or _ENCODED.search(data) is None:
        return None
    return unquote_to_bytes(data.replace(b"+", b" "))


def replace_percent(text: str, clean: Callable[[str], str]) -> str:
    """The text with every percent-encoded part decoded, cleaned, and encoded again where that changed something."""
    if "%" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        spaced = "%20" not in match[0]
        plain = unquote_plus(match[0]) if spaced else unquote(match[0])
        # Where nothing was encoded ("100%-sure") it has been searched already.
        cleaned = plain if plain == match[0] else clean(plain)
        if cleaned == plain:
            return match[0]
        return (quote_plus if spaced else quote)(cleaned, safe=_SAFE)

    return _RUN.sub(replace, text)


def replace_in_form(text: str, clean: Callable[[str], str]) -> str:
    """A form's body with every value decoded, cleaned, and encoded again where that changed something."""

    def replace(match: re.Match[str]) -> str:
        plain = unquote_plus(match[0])
        cleaned = clean(plain)
        return match[0] if cleaned == plain else quote_plus(cleaned, safe=_SAFE)

    return _VALUE.sub(replace, text)
