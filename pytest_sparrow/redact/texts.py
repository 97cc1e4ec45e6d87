"""Finds named secrets inside texts: URLs, forms, quoted JSON, percent-encoding, base64.

Base64 that decodes to a text is cleaned as a text and encoded again, so that an agent that decodes it in a replay
reads the placeholder. Base64 of anything else (an image, an archive) is left alone.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import quote, quote_plus, unquote, unquote_plus, unquote_to_bytes

from pytest_sparrow.redact.names import Rule, Sure
from pytest_sparrow.redact.notations import may_name_apart
from pytest_sparrow.redact.plausible import is_generated, is_run_generated
from pytest_sparrow.redact.scanner_rules import FILE, long_runs
from pytest_sparrow.redact.shapes import begins_key, may_begin_key

Found = Callable[[str, Rule], str | None]
"""Says what stands for the value of a field with this rule; None where it is no secret."""

Names = Callable[[str], Rule | None]
"""Gives the rule of a field's name."""

_PASSWORD = Rule("password", Sure.ANY)
_ONLY_TOKEN = Rule("token", Sure.ANY)

# Each begins with a literal or a small class, and no part can run over the start of the next match: linear.
_USERINFO = re.compile(r"://([^\s/:@\"'<>]*):((?!<secret:)[^\s/\"'<>]+)@")
# Without a password the user is a token; the key of Sentry's address is public.
_ONLY_USER = re.compile(r"://([A-Za-z0-9_.~-]{20,1024})@(?![^\s/]{0,253}sentry)")
_HEAD_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@:]*)(?::([^/?#]*))?@")
_QUERY = re.compile(
    r"((?:[?&;]|\\u0026)([A-Za-z][A-Za-z0-9_.%\[\]-]{0,60})=)((?!<secret:)[^\x00-\x20&#;\s\"'<>\\]+)"
)
_FORM = re.compile(r"((?:^|&)([^=&\s]{1,80})=)((?!<secret:)[^&\s]+)")
# The backslashes in front of the quotes show how deep the JSON text is quoted: up to 7 levels. The value may be cut.
_QUOTED = re.compile(
    r"\"([A-Za-z][A-Za-z0-9_. \[\]-]{1,60})(\\{0,127})\" ?: ?\2\"(?!<secret:[a-z0-9-]+:[0-9]+>\\*\")"
    r"((?:[^\"\\]|\\+[^\"\\])+)"
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
    """Replace the password alone in every ``://user:password@`` of a text, and a token that is the only user."""
    if "://" not in text or "@" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        placeholder = found(unquote(match[2]) if "%" in match[2] else match[2], _PASSWORD)
        return match[0] if placeholder is None else f"://{match[1]}:{placeholder}@"

    def replace_user(match: re.Match[str]) -> str:
        placeholder = found(match[1], _ONLY_TOKEN) if is_generated(match[1]) else None
        return match[0] if placeholder is None else f"://{placeholder}@"

    return _USERINFO.sub(replace, _ONLY_USER.sub(replace_user, text))


def replace_query(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in the queries of a text's URLs."""
    is_one = "=" in text and ("?" in text or "&" in text or ";" in text or "u0026" in text)
    return _replaced(_QUERY, text, found, names) if is_one else text


def replace_form(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in a form's body."""
    return _replaced(_FORM, text, found, names) if "=" in text else text


def _replaced(pattern: re.Pattern[str], text: str, found: Found, names: Names) -> str:
    def replace(match: re.Match[str]) -> str:
        rule = names(unquote(match[2]) if "%" in match[2] else match[2])
        placeholder = found(unquote_plus(match[3]) if "%" in match[3] else match[3], rule) if rule else None
        return match[0] if placeholder is None else match[1] + placeholder

    return pattern.sub(replace, text)


def replace_quoted(text: str, found: Found, names: Names) -> str:
    """Replace the values of secret fields in JSON that a text quotes, or that is cut off."""
    if '"' not in text or ":" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        rule = names(match[1])
        if rule is None or not text.endswith(match[2], 0, match.start()):
            return match[0]
        placeholder = found(match[3], rule)
        return match[0] if placeholder is None else match[0][: match.start(3) - match.start()] + placeholder

    return _QUOTED.sub(replace, text)


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


_SHORTEST = 20
LONGEST_KEPT = 512
MOST_KEPT = 4096
_BASE64_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{_SHORTEST},}}={{0,2}}")
_STANDARD = bytes.maketrans(b"-_", b"+/")


_FILE_RUN = re.compile(rf"[A-Za-z0-9+/_-]{{{FILE},}}={{0,2}}")


def long_texts(text: str) -> Iterator[re.Match[str]]:
    """The runs of a text that are long enough to be a file in base64."""
    return _FILE_RUN.finditer(text)


def holds_text(run: str) -> bool:
    """Whether such a run may be base64 of a text, as far as its beginning says."""
    head = run[:FILE].encode()
    return any(_begins_text(each[:8]) and _decoded(each) is not None for each in (head, head[1:]))


def may_hide(
    data: bytes, suspicious: Callable[[bytes], bool], harmless: set[bytes | str], depth: int = 2
) -> bool:
    """Whether JSON in UTF-8, or a text, may hold a key without a mark, or base64 of something suspicious or of that.

    Args:
        data: what may hold it.
        suspicious: decides whether decoded bytes may hold a secret.
        harmless: runs that were looked at before, this deep; grows. Ids stand in many lines: to look once is enough.
        depth: how often to decode.
    """
    runs = long_runs(data, _SHORTEST)
    short = [run for run in runs if len(run) < FILE]
    if any(may_name_apart(data, run) for run in filter(is_run_generated, short)):
        return True
    new = [
        run for run in runs if run not in harmless and (len(run) < FILE or holds_text(run[:FILE].decode()))
    ]
    if new and (len(short) < len(runs) or may_begin_key(b" ".join(short))) and any(map(begins_key, new)):
        return True
    # JSON spells the end of a line before it as \n: that letter is no part of it. In a URL a path is in front.
    spelled = [each for run in new for each in (run, run[1:]) if _begins_text(each[:8])]
    spelled += [part for run in new if _begins_text((part := run[run.rfind(b"/") + 1 :])[:8])]
    for plain in filter(None, map(_decoded, dict.fromkeys(spelled))):
        if (
            _is_id(plain)
            or suspicious(plain)
            or (depth > 1 and may_hide(plain, suspicious, set(), depth - 1))
        ):
            return True
    kept = (run for run in new if len(run) <= LONGEST_KEPT)
    harmless.update(islice(kept, max(0, MOST_KEPT - len(harmless))))
    return False


def _is_id(plain: bytes) -> bool:
    """Whether it is the id of a bot, with which the bot's token begins."""
    return plain.isdigit() and len(plain) >= 17


def replace_encoded(text: str, clean: Callable[[str], str]) -> str:
    """The text with every base64 run of it decoded, cleaned, and encoded again where that changed something."""

    def replace(match: re.Match[str]) -> str:
        run = match[0].rstrip("=").encode()
        plain = _decoded(run) if _begins_text(run[:8]) else None
        if plain is None:
            return match[0]
        inner = plain.decode()
        cleaned = clean(inner)
        return match[0] if cleaned == inner else _encoded_like(match[0], cleaned)

    runs = long_runs(text.encode("utf-8", "surrogatepass"), _SHORTEST)
    return _BASE64_RUN.sub(replace, text) if any(_begins_text(run[:8]) for run in runs) else text


_TEXT = re.compile(
    rb"(?:[\t\n\r\x1b -~]+|[\xc2-\xdf](?:[\x80-\xbf]|\Z)|[\xe0-\xef](?:[\x80-\xbf]{2}|[\x80-\xbf]?\Z)"
    rb"|[\xf0-\xf4](?:[\x80-\xbf]{3}|[\x80-\xbf]{0,2}\Z))*"
)
"""UTF-8 without control characters of ASCII but those of a terminal; the last character may be cut off."""
_BLANKS = dict.fromkeys(map(ord, "\t\n\r\x1b"), " ")


def _decoded(run: bytes) -> bytes | None:
    """What it encodes, if that is a text, as far as its characters say."""
    try:
        plain = base64.b64decode(run.translate(_STANDARD) + b"=" * (-len(run) % 4), validate=True)
        text = plain.decode()
    except (binascii.Error, ValueError):
        return None
    return plain if text.translate(_BLANKS).isprintable() else None


# Most runs are names and paths, which begin alike: what their first letters encode is no text.
@functools.lru_cache(maxsize=4096)
def _begins_text(head: bytes) -> bool:
    """Whether eight letters of base64 may encode a text's beginning."""
    try:
        return _TEXT.fullmatch(binascii.a2b_base64(head.translate(_STANDARD))) is not None
    except binascii.Error:
        return False


def _encoded_like(run: str, text: str) -> str:
    encode = base64.urlsafe_b64encode if "-" in run or "_" in run else base64.b64encode
    spelled = encode(text.encode()).decode()
    return spelled if len(run) % 4 == 0 else spelled.rstrip("=")
