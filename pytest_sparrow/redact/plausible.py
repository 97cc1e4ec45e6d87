"""Decides whether a value may be a secret: behind a name that says so, and by what a generator of secrets prints."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import string
from urllib.parse import unquote_plus

from pytest_sparrow.redact.names import KUBE_VALUE, SASL, Rule, Sure
from pytest_sparrow.redact.placeholders import without_placeholders

_NUMBERED_NAME = re.compile(r"(?=[^0-9]*[0-9])(?:[A-Za-z]+|[0-9]{1,6})(?:[-_.:/](?:[A-Za-z]+|[0-9]{1,6}))+")
"""What stands under ``key`` or ``token`` in a query where that is no secret: ``PROJ-1234``, ``user:42/orders``."""
_OF_SCHEMAS = (
    "string str text password secret hidden null none nil undefined true false required optional any"
)
_NO_PASSWORD = frozenset(_OF_SCHEMAS.split())
_TEMPLATE = re.compile(
    r"\$\{.*\}|\$[A-Z_][A-Z0-9_]*|\{+[^{}]*\}+|<[^<>]*>|[*•xX.…-]+|\[[A-Za-z _-]*\]|%\(?\w+\)?[s%]?"
    r"|(?i:your|insert|replace|enter)(?:[-_ ][A-Za-z]+)+(?:[-_ ]?\d{1,2})?"
)
_WORD = re.compile(r"(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)(?:[ _-](?:[a-z]+|[A-Z]+|[A-Z][a-z]+))*[.:!?]?")
_PATH = re.compile(r"(?:~|\.{0,2}|[A-Za-z]:)[/\\]")
_OPAQUE = re.compile(r"[A-Za-z0-9_.~+/=-]{16,}")
_TIME = re.compile(r"\d{4}-?\d\d-?\d\d[T_-]\d\d")
_SCHEME = re.compile(
    r"^\s*(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate|AWS4-HMAC-SHA256|sso-key)\b", re.IGNORECASE
)
_IN_CONNECTION = re.compile(
    r"(?:key|password|pwd|secret|signature|token)\s*=\s*[^;\s]|://[^/\s:]*:[^/\s]+@", re.IGNORECASE
)


def bare_value(value: str) -> str:
    """What is left of a field's value without its placeholders and the scheme in front ("Bearer")."""
    rest = without_placeholders(value)
    scheme = _SCHEME.match(rest)
    return (rest if scheme is None else rest[scheme.end() :]).strip()


_SURE_OF_KEYS = (Sure.ANY, Sure.PASSWORD, Sure.KEY, Sure.NAMED)


def _is_plain_key(value: str) -> bool:
    """Whether a value is of letters and digits, as most keys are: no word, path, template or number."""
    return (
        len(value) >= 16
        and value.isalnum()
        and value.isascii()
        and not value.isalpha()
        and not value.isdigit()
    )


def plausible(value: str, rule: Rule, *, words: bool = False) -> bool:
    """Whether the value of a field with this rule is a secret; what is a placeholder already is none.

    Args:
        value: the value.
        rule: the rule of the field's name.
        words: plain words may be a password: in what an agent sends, and never gets back.
    """
    if rule.sure in _SURE_OF_KEYS and _is_plain_key(value):
        return True
    rest = bare_value(value)
    return bool(rest) and not is_template(rest) and _is_sure(rest, value, rule, words=words)


def _is_sure(rest: str, value: str, rule: Rule, *, words: bool) -> bool:
    """Whether what is left of a value looks as the rule wants."""
    match rule.sure:
        case Sure.ANY | Sure.PASSWORD:
            wordless = rule.sure is Sure.PASSWORD and not words
            return rest.lower() not in _NO_PASSWORD and not (wordless and is_word(rest))
        case Sure.KEY:
            return _is_key(rest, schemed=rest != value.strip())
        case Sure.NAMED:
            # With a slash it is the place of a file.
            named = _NUMBERED_NAME.fullmatch(rest) is not None or ("/" in rest and not is_mixed(rest))
            return not named and _is_key(rest, schemed=rest != value.strip())
        case Sure.TOKEN:
            return _is_opaque(rest) or is_pair(rest)
        case Sure.BARE:
            return len(rest) >= 20 and _is_opaque(rest) and is_jumbled(rest) and not set(rest) & set("/.")
        case Sure.CODE:
            return _is_opaque(rest) and not _NUMBERED_NAME.fullmatch(rest) and not rest.isupper()
        case Sure.COOKIE:
            return "=" in rest
        case Sure.CONNECTION:
            return _IN_CONNECTION.search(rest) is not None


_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")
_SPACE = re.compile(r"\s")
_ADDRESS = re.compile(r"[a-z]{2,12}://[^@]*")
_NAME_IN_CODE = re.compile(r"[A-Za-z_$@][A-Za-z_]*(?:(?:\.|->|::)[A-Za-z_]\w*)*")


def is_in_text(value: str, rule: Rule, behind: str) -> bool:
    """Whether a value behind a name in a text may be a secret: in code and prose a name alone says less than in JSON.

    Args:
        value: the value, without quotes.
        rule: the rule of the name.
        behind: the character behind the value.
    """
    if rule is KUBE_VALUE or rule is SASL:
        return True
    if rule.sure in (Sure.COOKIE, Sure.CONNECTION):
        return rule.sure is Sure.CONNECTION
    if _is_plain_key(value):
        return not behind or behind not in "([{"
    rest = bare_value(unquote_plus(value) if "%" in value else value)
    if _ADDRESS.fullmatch(rest):
        return False
    if (behind in "([{" and behind) or _SPACE.search(rest) or _NAME_IN_CODE.fullmatch(rest):
        return False
    if rule.sure is Sure.PASSWORD:
        return len(rest) >= 6 and any(not c.isalpha() for c in rest) and not _PATH.match(rest)
    return _has_both(rest)


def is_template(value: str) -> bool:
    """Whether a text stands where a secret is to be filled in: ``${KEY}``, ``<key>``, ``your-api-key-here``."""
    return _TEMPLATE.fullmatch(value) is not None


def is_word(value: str) -> bool:
    """Whether a text is a plain word or a few: nothing that a generator of secrets would print."""
    return len(value) < 40 and _WORD.fullmatch(value) is not None


def is_specific(value: str) -> bool:
    """Whether a secret is unlike any word, so that it may be replaced wherever it occurs."""
    return (
        len(value) >= 8
        and _SPACE.search(value) is None
        and not value.isalpha()
        and any(c.isalpha() for c in value)
    )


def _is_key(text: str, *, schemed: bool) -> bool:
    if len(text) < (4 if schemed else 8) or is_word(text) or text.isdigit():
        return False
    if _PATH.match(text) and not is_mixed(text):
        return False
    # A header's value may hold spaces behind its scheme, a key never does.
    return schemed or _SPACE.search(text) is None


def _has_both(text: str) -> bool:
    """Whether a text holds letters and digits."""
    return _DIGIT.search(text) is not None and _LETTER.search(text) is not None


def is_pair(text: str) -> bool:
    """Whether a text is ``user:password`` in base64."""
    if len(text) < 8:
        return False
    try:
        pair = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    # What was hidden within the base64 is hidden: to clean twice is to clean once.
    return ":" in pair and pair.isprintable() and "<secret:" not in pair


def is_mixed(text: str) -> bool:
    """Whether a text holds digits, capitals and small letters."""
    return (
        any(c.isdigit() for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
    )


def is_jumbled(text: str) -> bool:
    """Whether digits, capitals and small letters change as often as a generator changes them."""
    classes = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "-" for c in text]
    changes = sum(one != other for one, other in itertools.pairwise(classes))
    return is_mixed(text) and changes >= 0.3 * len(text)


_CLASSES = bytes(
    ord("d" if chr(byte) in string.digits else "l" if chr(byte) in string.ascii_letters else "-")
    for byte in range(256)
)


def is_generated(text: str) -> bool:
    """Whether digits and letters change in a text as often as a generator of keys changes them."""
    return len(text) >= 20 and is_run_generated(text.encode("ascii", "replace"))


def is_run_generated(run: bytes) -> bool:
    """The same of 20 bytes or more."""
    classes = run.translate(_CLASSES)
    return classes.count(b"dl") + classes.count(b"ld") >= (len(run) >> 3 if len(run) > 32 else 4)


def _is_opaque(text: str) -> bool:
    return _OPAQUE.fullmatch(text) is not None and _TIME.match(text) is None and _has_both(text)
