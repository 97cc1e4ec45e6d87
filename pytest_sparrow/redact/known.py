"""Finds secrets whose text is known: from environment variables, or from a field whose name marked it as secret."""

from __future__ import annotations

import base64
import functools
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.placeholders import OR, outside_placeholders
from pytest_sparrow.redact.plausible import is_specific, is_word
from pytest_sparrow.redact.shapes import MARKS, suspicious

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_sparrow.providers.facts import ProviderFacts

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
    short, numbers, single words, paths and URLs without a password. One key for several providers, as a gateway gives
    it, has all their kinds (``anthropic-key-or-openai-key``): where the key is absent, each has a dummy of its own.
    """
    # All tests of a session have the same environment, but for what pytest says of each.
    lasting = dict(environ)
    own = lasting.pop(_OF_EACH_TEST, "")
    secrets = dict(_secrets_among(facts(), tuple(lasting.items())))
    password, _ = _secrets_of(_OF_EACH_TEST, own)
    if password is not None:
        secrets.setdefault(password, "password")
    return secrets


_OF_EACH_TEST = "PYTEST_CURRENT_TEST"


@functools.lru_cache(maxsize=8)
def _secrets_among(known: ProviderFacts, environ: tuple[tuple[str, str], ...]) -> dict[str, str]:
    secrets: dict[str, str] = {}
    keys = {name for row in known.key_variables for name in row}
    kinds: dict[str, dict[str, None]] = {}
    for name, value in sorted(environ):
        password, secret = _secrets_of(name, value.strip())
        if password is not None:
            secrets.setdefault(password, "password")
        if secret is not None:
            secrets.setdefault(secret, _kind(name))
            if name in keys:
                kinds.setdefault(secret, {})[_kind(name)] = None
    return secrets | {secret: OR.join(sorted(of)) for secret, of in kinds.items() if len(of) > 1}


# All tests of a session have nearly the same environment.
@functools.lru_cache(maxsize=1024)
def _secrets_of(name: str, value: str) -> tuple[str | None, str | None]:
    """The password in a variable's URL, and the value of a variable whose name says that it is secret."""
    password = userinfo_password(value)
    if password is not None and (len(password) < MIN_LENGTH or _is_common(password)):
        password = None
    return (
        None if password is None else unquote(password),
        value if is_secret_name(name) and not _is_common(value) else None,
    )


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
    if name in facts().key_kinds:
        return facts().key_kinds[name]
    kind = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    for long, short in (("-api-key", "-key"), ("-api-token", "-token"), ("-access-token", "-token")):
        if kind.endswith(long):
            kind = kind.removesuffix(long) + short
    return _KINDS.get(kind, kind)[:60].strip("-")


# A line is searched for each of them: the bound keeps the cost of a line independent of the run's length.
_MAX_LEARNED = 64
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]+")
_PLAIN_LENGTH = 6
_DECODED = 15


@dataclass(frozen=True, kw_only=True)
class _Search:
    """What it takes to find some secrets.

    Attributes:
        known: the secrets.
        secrets: the secret of each spelling.
        unmarked: the spellings that hold none of the `MARKS`.
        ordered: the spellings, the longest first: one secret may begin with another.
        head: how many characters the shortest one has.
        heads: as many of each one's first characters.
        clean: texts that were searched for these secrets and all shapes, and hold none; those that are sent, where
            plain words may be a password, and the others.
    """

    known: tuple[str, ...]
    secrets: Mapping[str, str]
    unmarked: tuple[str, ...]
    ordered: tuple[str, ...]
    head: int
    heads: frozenset[str]
    clean: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))

    @functools.cached_property
    def needles(self) -> tuple[bytes, ...]:
        """What to look for in UTF-8, where the shape alone does not decide.

        Only when bytes are searched: most replays search none, and the search for shapes takes 0.1 s to compile.
        """
        return tuple(sorted({needle for secret in self.known for needle in _hidden_needles(secret)}))

    def present(self, text: str) -> list[str]:
        """The spellings that stand in a text, in their order."""
        # Of a text that is short beside them each beginning is looked up: to search for one costs a quarter of that.
        if 4 * len(text) < len(self.ordered):
            head = self.head
            if self.heads.isdisjoint([text[start : start + head] for start in range(len(text) - head + 1)]):
                return []
        return list(filter(text.__contains__, self.ordered))


# All tests of a session know the same secrets.
@functools.lru_cache(maxsize=16)
def _search_for(known: tuple[str, ...]) -> _Search:
    secrets = {spelling: secret for secret in known for spelling in spellings(secret)}
    ordered = sorted(secrets, key=lambda spelling: (-len(spelling), spelling))
    head = len(ordered[-1]) if ordered else 0
    return _Search(
        known=known,
        secrets=secrets,
        unmarked=tuple(spelling for spelling in secrets if MARKS.search(spelling) is None),
        ordered=tuple(ordered),
        head=head,
        heads=frozenset(spelling[:head] for spelling in ordered),
    )


@functools.lru_cache(maxsize=1024)
def _hidden_needles(secret: str) -> tuple[bytes, ...]:
    # What its shape gives away is found without a search of its own.
    return tuple(needle for needle in needles_of(secret) if not suspicious(needle))


_BEGINS = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2}))")
_ENDS = re.compile(r"(?![A-Za-z0-9])")


class Known:
    """The known secrets of one transcript, and the search for them. Thread safe.

    Attributes:
        state: what is known: the same object as long as no secret is learned.
        is_full: whether no more secrets are learned.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.is_full = False
        # An RLock: a collected stream settles its crossing wherever this thread happens to be.
        self._lock = threading.RLock()
        self._kinds = dict(secrets)
        self._learned: list[str] = []
        self.state = _search_for(tuple(self._kinds))

    def learn(self, secret: str, kind: str) -> None:
        """From now on replace this secret wherever it stands; no word, and no more than a bounded number.

        An answer's ``{"session": {"access_token": "f3a9…"}}`` comes back as a tool's argument or a header of
        another name: in a replay, where the agent was given the placeholder, it comes back as that.
        """
        if self.is_full or secret in self._kinds:
            return
        if not is_specific(secret) or "<secret:" in secret:
            return
        with self._lock:
            if not self.is_full:
                self._kinds = {**self._kinds, secret: kind}
                self._learned.append(secret)
                self.is_full = len(self._learned) >= _MAX_LEARNED
                self.state = _search_for(tuple(self._kinds))

    @property
    def learned(self) -> int:
        """How many secrets were learned since the start."""
        return len(self._learned)

    def learned_since(self, count: int) -> list[str]:
        """The secrets that were learned after so many."""
        return self._learned[count:]

    def add(self, text: str, kind: str) -> None:
        """From now on replace this text as well, which the agent gets in place of a placeholder."""
        with self._lock:
            if text not in self._kinds:
                self._kinds = {**self._kinds, text: kind}
                self.state = _search_for(tuple(self._kinds))

    def replace(self, text: str, placeholder: Callable[[str, str], str]) -> str:
        """The text with every known secret replaced by ``placeholder(kind, secret)``."""
        # The search first: what is learned meanwhile has its kind before it is searched for.
        search, kinds = self.state, self._kinds
        present = search.present(text)
        if not present:
            return text
        is_outside = outside_placeholders(text)
        parts, done = [], 0
        for start, _, spelling in sorted(_places(text, present)):
            stop = start + len(spelling)
            if start < done or not _is_apart(text, start, stop, spelling):
                continue
            if is_outside(start, stop):
                secret = search.secrets[spelling]
                parts += [text[done:start], placeholder(kinds[secret], secret)]
            else:
                parts.append(text[done:stop])
            done = stop
        return "".join([*parts, text[done:]])

    def known_as(self, text: str) -> tuple[str, str] | None:
        """The kind and the secret of a text that is a known secret, in one of its spellings, and nothing else."""
        search, kinds = self.state, self._kinds
        secret = search.secrets.get(text)
        return None if secret is None else (kinds[secret], secret)

    def found_clean(self, *, words: bool) -> set[str]:
        """Short texts that hold none of the secrets that are known now, and no shape: of all runs that know the same.

        Args:
            words: whether plain words may be a password.
        """
        return self.state.clean[words]

    def occurs_unmarked(self, text: str) -> bool:
        """Whether any spelling of a known secret stands in a text that holds none of the `MARKS`."""
        return any(spelling in text for spelling in self.state.unmarked)


def needles_of(secret: str) -> set[bytes]:
    """What to look for in bytes: the longest part that no encoding ever spells differently."""
    plain = max(_UNRESERVED.findall(secret), key=len, default="")
    needles = {plain, *_encoded(secret)} if len(plain) >= _PLAIN_LENGTH else spellings(secret)
    return {needle.encode("utf-8", "surrogatepass") for needle in needles}


# To spell twenty of them is a millisecond.
@functools.lru_cache(maxsize=1024)
def spellings(secret: str) -> frozenset[str]:
    """A secret as it stands in a text, in Python's repr, in JSON, in JSON within JSON, and in a URL.

    A short one also as it stands alone in base64.
    """
    found = {secret, repr(secret)[1:-1]}
    for _ in range(3):
        found |= {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in found for ascii_ in (True, False)}
    return frozenset({*found, secret.replace("/", "\\/"), *_in_urls(secret), *_encoded(secret)})


def _encoded(secret: str) -> set[str]:
    """Base64 of a secret that is too short to be looked for by decoding; see `pytest_sparrow.redact.texts`."""
    raw = secret.encode("utf-8", "surrogatepass")
    return {base64.b64encode(raw).decode().rstrip("=")} if len(raw) < _DECODED else set()


def _in_urls(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    return {quote(raw), quote(raw, safe=""), quote_plus(raw)}


def _places(text: str, present: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Where each spelling stands, with its rank: of two that begin at one place the first of them counts."""
    for rank, spelling in enumerate(present):
        at = text.find(spelling)
        while at >= 0:
            yield at, rank, spelling
            at = text.find(spelling, at + 1)


def _is_apart(text: str, start: int, stop: int, spelling: str) -> bool:
    # A short one, or one that reads like a word, must stand alone: "test-key" is no part of "latest-keys".
    if len(spelling) >= 16 and is_specific(spelling):
        return True
    return _BEGINS.match(text, start) is not None and _ENDS.match(text, stop) is not None
