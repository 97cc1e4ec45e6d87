"""The secrets of this process: values of environment variables whose names look secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.redact.names import is_word

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MIN_LENGTH", "environment_secrets", "is_secret_name", "userinfo_password"]

MIN_LENGTH = 8
"""Characters below which a value is too common to be searched for."""

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|PASS|PASSWD|PWD|PASSPHRASE|CREDENTIALS?|DSN|PAT|AUTH|AUTHORIZATION|COOKIE|JWT|BEARER)_?[0-9]*$"
    r"|(?:^|_)TOKENS?(?:_(?:OLD|NEW|DEV|PROD|STAGING|TEST|LIVE|V?[0-9]+))?$"
    r"|SECRET|PASSW|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ACCESS_?TOKEN",
    re.IGNORECASE,
)
# Names that match by their ending and hold no secret; PWD is the working directory.
_HARMLESS_NAME = re.compile(r"^(?:OLD)?PWD$|PUBLIC_?KEY|KEY_?(?:ID|NAME|FILE|PATH)$|SSH_AUTH", re.IGNORECASE)
_KEPT_NAME = re.compile(r"ACCESS_?KEY_?ID$", re.IGNORECASE)
_PLAIN = re.compile(
    r"[\d.,:+-]+|(?:~|\.{0,2}|[A-Za-z]:)[/\\][\w./\\ ~-]*|[a-z][a-z0-9+.-]*://[^@]*", re.IGNORECASE
)
_COMMON = frozenset({"changeme", "password", "password1", "postgres", "undefined", "disabled", "anonymous"})
_USERINFO = re.compile(r"://[^\s/:@]*:([^\s/]+)@")
_KINDS = {
    "gemini-key": "google-key",
    "google-generative-ai-key": "google-key",
    "hf-token": "huggingface-token",
    "hugging-face-hub-token": "huggingface-token",
    "huggingfacehub-token": "huggingface-token",
    "gh-token": "github-token",
    "langchain-key": "langsmith-key",
}


def environment_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets of an environment: each value with the kind of its placeholder.

    The kind comes from the variable (``OPENAI_API_KEY`` → ``openai-key``), not from the value, so that a
    dummy key which stands in for a real one in replay gets the same placeholder. Left out are values that are
    short, numbers, single words, paths and URLs without a password.
    """
    secrets: dict[str, str] = {}
    for name in sorted(environ):
        value = environ[name].strip()
        password = userinfo_password(value)
        if password is not None and len(password) >= MIN_LENGTH and not _is_common(password):
            secrets.setdefault(unquote(password), "password")
        if is_secret_name(name) and not _is_common(value):
            secrets.setdefault(value, _kind(name))
    return secrets


def userinfo_password(url: str) -> str | None:
    """The password in ``scheme://user:password@host``, still percent-encoded, or None."""
    match = _USERINFO.search(url)
    return match[1] if match else None


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret, as a rule."""
    if _SECRET_NAME.search(name) is None:
        return False
    return _HARMLESS_NAME.search(name) is None or _KEPT_NAME.search(name) is not None


def _is_common(value: str) -> bool:
    if len(value) < MIN_LENGTH or value.lower() in _COMMON or _PLAIN.fullmatch(value):
        return True
    return value.isalpha() and len(value) < 16 and is_word(value)


def _kind(name: str) -> str:
    kind = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    for long, short in (("-api-key", "-key"), ("-api-token", "-token"), ("-access-token", "-token")):
        if kind.endswith(long):
            kind = kind.removesuffix(long) + short
    return _KINDS.get(kind, kind)[:60].strip("-")
