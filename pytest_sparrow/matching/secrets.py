"""Says which secret of one run is which of another: placeholders pair one to one, as ids do.

A placeholder's number says when its secret came first, which may be chance; that two secrets are two is not. What a
replay answers an agent with has the golden's own numbers, and means the same there.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_sparrow.matching.counts import COOKIE, credentials_of
from pytest_sparrow.redact.placeholders import FIRST_OF_A_REPLAY, OR, PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json

    _Credentials = Mapping[tuple[str, ...], str]


def placeholders(text: str | bytes) -> list[str]:
    """The numbered placeholders in a text or a JSON value's line, in order."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass") if b"<secret:" in text else ""
    return [match[0] for match in PLACEHOLDER.finditer(text)] if "<secret:" in text else []


def of_any_kind(text: str) -> str:
    """The text without what tells its placeholders apart."""
    return PLACEHOLDER.sub("<secret>", text)


_WHOLE = re.compile(r"(?:[\w-]+ )?<secret>")


def _hidden_otherwise(golden: str, new: str) -> bool:
    """Whether of two credentials one was hidden as a whole and one in part: nobody knows whether these are two.

    What is known as a secret by then decides, which a replay that never gets an answer's secrets may not know.
    """
    one, other = of_any_kind(golden), of_any_kind(new)
    return one != other and (_WHOLE.fullmatch(one) is None) != (_WHOLE.fullmatch(other) is None)


def _is_one_of(golden: str, new: str) -> bool:
    """Whether one key served several providers in one of the runs, and the other run had a key for each."""
    one, other = golden.split(":")[1], new.split(":")[1]
    return (OR in golden or OR in new) and (one in other.split(OR) or other in one.split(OR)) and one != other


class SecretPairs:
    """The placeholders of a golden, one to one with those of another run.

    Args:
        replayed: whether the other run is a replay of the golden, so that what it did not bring itself means the same.
        variables: gives the kinds of the secrets in environment variables that the other run has.

    Attributes:
        exchanges: the golden's, where all its requests say which headers they had.
    """

    def __init__(
        self, *, replayed: bool = False, variables: Callable[[], AbstractSet[str]] = frozenset
    ) -> None:
        self.exchanges: Sequence[Exchange] = ()
        self._replayed = replayed
        self._variables = variables
        self._new_of: dict[str, str] = {}
        self._golden_of: dict[str, str] = {}

    def copy(self) -> SecretPairs:
        """The same pairs, to try what would become a pair."""
        pairs = SecretPairs(replayed=self._replayed, variables=self._variables)
        pairs.exchanges = self.exchanges
        pairs.declare(list(self._new_of), list(self._new_of.values()))
        return pairs

    def same(self, golden: str, new: str) -> bool:
        """Whether two placeholders are a pair; two of which neither has a partner become a pair."""
        if not self._may_be(golden, new):
            return False
        if self._is_own(new) and not _is_one_of(golden, new):
            self._new_of[golden], self._golden_of[new] = new, golden
        return True

    def fit(self, golden: Sequence[str], new: Sequence[str]) -> bool:
        """Whether all of two sequences could be pairs; none becomes one."""
        return (
            len(golden) == len(new)
            and all(map(self._may_be, golden, new))
            and len(set(golden)) == len(set(new)) == len(set(zip(golden, new, strict=True)))
        )

    def same_credential(self, golden: str, new: str) -> bool:
        """Whether two headers prove the same; the kind of their secrets does not count."""
        if _hidden_otherwise(golden, new):
            return True
        one, other = placeholders(golden), placeholders(new)
        return of_any_kind(golden) == of_any_kind(new) and all(map(self.same, one, other))

    def may_be_credential(self, golden: str, new: str) -> bool:
        """As `same_credential`, but nothing becomes a pair."""
        if _hidden_otherwise(golden, new):
            return True
        return of_any_kind(golden) == of_any_kind(new) and self.fit(placeholders(golden), placeholders(new))

    def alone(self, ours: _Credentials, theirs: _Credentials, *, in_golden: bool) -> list[tuple[str, ...]]:
        """The names of what counts though only one of two requests has it.

        A secret that an answer gave: others a machine need not have. An account that no variable gave: the agent names
        it. A cookie without a secret, unless all cookies of the other request are hidden at once.
        """
        hidden = (COOKIE,) in theirs
        return [
            name
            for name, value in ours.items()
            if name not in theirs
            and (
                self._was_given(value, in_golden)
                if "<secret:" in value
                else not (name[0] == COOKIE and hidden)
            )
        ]

    def _was_given(self, credential: str, in_golden: bool) -> bool:  # noqa: FBT001 - a side, as of `alone`
        found = placeholders(credential) if self.exchanges else []
        return any(each in self._given if in_golden else not self._is_own(each) for each in found)

    @functools.cached_property
    def _given(self) -> frozenset[str]:
        """The golden's placeholders that an answer gave, before the agent sent them. Needed nearly never."""
        brought, given = set[str](), set[str]()
        for exchange in self.exchanges:
            brought.update(placeholders(json.dumps(exchange.asked)))
            given.update(set(placeholders(json.dumps(exchange.answered))) - brought)
        return frozenset(given)

    def declare(self, golden: Sequence[str], new: Sequence[str]) -> None:
        """Pair two sequences that fit."""
        for one, other in zip(golden, new, strict=True):
            self.same(one, other)

    def renamed(self, golden: str) -> str:
        """The new run's placeholder for one of the golden's."""
        return self._new_of.get(golden, golden)

    def shown(self, value: Json) -> Json:
        """A value of the new run as a reader of the golden reads it: with the golden's numbers, where there are any."""
        if isinstance(value, str):
            return PLACEHOLDER.sub(self._shown, value) if "<secret:" in value else value
        if isinstance(value, list):
            return [self.shown(item) for item in value]
        if isinstance(value, dict):
            return {self.shown(key): self.shown(item) for key, item in value.items()}
        return value

    def _shown(self, match: re.Match[str]) -> str:
        if int(match[2]) <= FIRST_OF_A_REPLAY:
            return match[0]
        return self._golden_of.get(match[0], f"<another {match[1]}>")

    def _is_of_another_variable(self, golden: str, new: str) -> bool:
        """Whether the new one is a variable's, and the golden's another variable's that this run has, or an answer's.

        Nothing but the agent chose between the two then.
        """
        one, other = golden.split(":")[1], new.split(":")[1]
        if one == other:
            return False
        variables = self._variables()
        return other in variables and (one in variables or golden in self._given)

    def _is_own(self, new: str) -> bool:
        return not self._replayed or int(new.rpartition(":")[2][:-1]) > FIRST_OF_A_REPLAY

    def _may_be(self, golden: str, new: str) -> bool:
        if not self._is_own(new):
            return golden == new
        if _is_one_of(golden, new):
            return True
        if self._is_of_another_variable(golden, new):
            return False
        known = self._new_of.get(golden)
        return known == new if known is not None else new not in self._golden_of


class Mentioned(NamedTuple):
    """The secrets that an asked half mentions.

    Attributes:
        placeholders: those of its address, headers and body, or of its arguments, in the order of canonical JSON.
        credentials: the headers and cookies that say who asks.
    """

    placeholders: tuple[str, ...] = ()
    credentials: tuple[tuple[tuple[str, ...], str], ...] = ()

    @classmethod
    def of(cls, content: bytes, asked: dict[str, Json]) -> Mentioned:
        """Find them in an asked half and its content (`matching.counts.request_content`)."""
        return cls(tuple(placeholders(content)), tuple(sorted(credentials_of(asked).items())))

    def __bool__(self) -> bool:
        return bool(self.placeholders or self.credentials)

    def may_be(self, new: Mentioned, pairs: SecretPairs) -> bool:
        """Whether these, of a golden, may be the secrets of the new run's request."""
        return (
            pairs.fit(self.placeholders, new.placeholders)
            and all(pairs.may_be_credential(*both) for both in self._credentials_of_both(new))
            and not pairs.alone(dict(self.credentials), dict(new.credentials), in_golden=True)
            and not pairs.alone(dict(new.credentials), dict(self.credentials), in_golden=False)
        )

    def declare(self, new: Mentioned, pairs: SecretPairs) -> None:
        """They are those of the new run's request."""
        pairs.declare(self.placeholders, new.placeholders)
        for golden, other in self._credentials_of_both(new):
            pairs.same_credential(golden, other)

    def _credentials_of_both(self, new: Mentioned) -> list[tuple[str, str]]:
        theirs = dict(new.credentials)
        return [(value, theirs[name]) for name, value in self.credentials if name in theirs]


NOTHING_MENTIONED = Mentioned()
