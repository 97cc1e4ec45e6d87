"""Patterns that find named secrets inside text: in URLs, in forms, in quotations of JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_plus

from pytest_sparrow.redact.names import Rule, Sure

__all__ = [
    "replace_assigned",
    "replace_form",
    "replace_query",
    "replace_quoted",
    "replace_userinfo",
    "without_userinfo",
]

Found = Callable[[str, Rule], str | None]
"""Says what stands for the value of a field with this rule; None where it is no secret."""

Names = Callable[[str], Rule | None]
"""Gives the rule of a field's name."""

_PASSWORD = Rule("password", Sure.PASSWORD)

# Each begins with a literal or a small class, and no part can run over the start of the next match: linear.
_USERINFO = re.compile(r"://([^\s/:@\"'<>]*):((?!<secret:)[^\s/\"'<>]+)@")
_HEAD_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@:]*)(?::([^/?#]*))?@")
_QUERY = re.compile(
    r"((?:[?&;]|\\u0026)([A-Za-z][A-Za-z0-9_.%\[\]-]{0,60})=)((?!<secret:)[^\x00-\x20&#;\s\"'<>\\]+)"
)
_FORM = re.compile(r"((?:^|&)([^=&\s]{1,80})=)((?!<secret:)[^&\s]+)")
_ASSIGNED = re.compile(
    r"((?:^|[\s;'\"]|\\[nrt])([A-Z][A-Z0-9_]{2,60})=(?:\\*['\"])?)((?!<secret:)[^\x00-\x20\s;,'\"\\]{8,})",
    re.MULTILINE,
)
# The backslashes in front of the quotes tell how deep the JSON text is quoted: up to 7 levels, since a run of any
# length would be run over from each of its characters. The value may be cut off.
_QUOTED = re.compile(
    r"(\\{0,127})\"([A-Za-z][A-Za-z0-9_. \[\]-]{1,60})\1\" ?: ?\1\"((?:[^\"\\]|\\+[^\"\\])+)"
)


def without_userinfo(url: str, found: Found) -> str:
    """The URL without ``user:password@``; ``found`` gets to know the password."""
    match = _HEAD_USERINFO.match(url)
    if match is None:
        return url
    if match[3]:
        found(unquote(match[3]), _PASSWORD)
    return match[1] + url[match.end() :]


def replace_userinfo(text: str, found: Found) -> str:
    """Replace the password, and nothing else, in every ``://user:password@`` of a text."""
    if "://" not in text or "@" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        placeholder = found(unquote(match[2]), _PASSWORD)
        return match[0] if placeholder is None else f"://{match[1]}:{placeholder}@"

    return _USERINFO.sub(replace, text)


def replace_query(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in the queries of a text's URLs."""
    return _replaced(_QUERY, text, found, names) if "=" in text else text


def replace_form(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in a form's body."""
    return _replaced(_FORM, text, found, names) if "=" in text else text


def replace_assigned(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret variables in what ``env`` prints, and in ``.env`` files."""
    return _replaced(_ASSIGNED, text, found, names) if "=" in text else text


def _replaced(pattern: re.Pattern[str], text: str, found: Found, names: Names) -> str:
    def replace(match: re.Match[str]) -> str:
        rule = names(unquote(match[2]))
        placeholder = found(unquote_plus(match[3]) if "%" in match[3] else match[3], rule) if rule else None
        return match[0] if placeholder is None else match[1] + placeholder

    return pattern.sub(replace, text)


def replace_quoted(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in JSON that a text quotes, or that is cut off."""
    if '"' not in text or ":" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        rule = names(match[2])
        placeholder = found(match[3], rule) if rule else None
        return match[0] if placeholder is None else match[0][: match.start(3) - match.start()] + placeholder

    return _QUOTED.sub(replace, text)
