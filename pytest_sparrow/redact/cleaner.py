"""Walks parsed values and headers, and replaces each secret by its placeholder."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.redact.credentials import hidden_cookies, is_of_cookies, lasting_part
from pytest_sparrow.redact.known import needles_of, spellings
from pytest_sparrow.redact.names import (
    COOKIE_VALUE,
    KUBE_VALUE,
    Rule,
    Sure,
    cookie_rule,
    field_rule,
    query_rule,
    secret_members,
)
from pytest_sparrow.redact.notations import replace_named
from pytest_sparrow.redact.placeholders import IN_BYTES, PLACEHOLDER, is_close_to_one, strip_numbers
from pytest_sparrow.redact.plausible import bare_value, is_generated, plausible
from pytest_sparrow.redact.scanner_rules import EDGE, without_files
from pytest_sparrow.redact.shapes import replace_shapes, whole_shape
from pytest_sparrow.redact.streams import cuts_between
from pytest_sparrow.redact.substitutes import shape_of
from pytest_sparrow.redact.suspicion import Suspicion
from pytest_sparrow.redact.texts import (
    LONGEST_KEPT,
    MOST_KEPT,
    holds_text,
    long_texts,
    may_hide,
    plainly,
    replace_encoded,
    replace_form,
    replace_in_form,
    replace_percent,
    replace_query,
    replace_quoted,
    replace_userinfo,
)
from pytest_sparrow.redact.user_rules import NO_RULES, NOTHING_ALLOWED
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact.known import Known
    from pytest_sparrow.redact.placeholders import Numbering
    from pytest_sparrow.redact.streams import Cut
    from pytest_sparrow.redact.user_rules import Allowed, OwnRules

_T = TypeVar("_T")

# Deeper than any JSON that jsontext reads or writes: only a value that refers to itself comes here.
_MAX_DEPTH = 200
_NAMES_OF_VALUES = ("name", "key", "Name", "Key")
_TYPED = Rule("password", Sure.PASSWORD)
"""The rule of the value of a form's field whose type is ``password``."""
_ESCAPED_LINE_ENDS = re.compile(r"(?<!\\)\\+(?:r\\+)?n|\r\n")


class Cleaner:
    """Replaces secrets in values, fields and texts, with the numbers and known secrets of one transcript.

    Args:
        known: the secrets whose text is known.
        numbering: the placeholders given so far.
        own: the user's rules.
        allowed: what the user says is no secret.
        words: plain words may be a password: in what is sent, and never given to the agent.

    Attributes:
        suspects: whether a text may hold a secret; see `pytest_sparrow.redact.suspicion`.
        suspects_line: the same for a JSON line in UTF-8.
    """

    def __init__(
        self,
        known: Known,
        numbering: Numbering,
        own: OwnRules = NO_RULES,
        allowed: Allowed = NOTHING_ALLOWED,
        *,
        words: bool = False,
    ) -> None:
        self._known = known
        self._numbering = numbering
        self._own = own
        self._has_own = bool(own)
        self._allows = allowed != NOTHING_ALLOWED
        self._as_all = not own and not self._allows
        self._allowed = allowed
        self._words = words
        suspicion = Suspicion(known, has_own=self._has_own)
        self.suspects, self.suspects_line = suspicion.text, suspicion.line

    def settled(self, value: _T, clean: Callable[[_T], _T]) -> _T:
        """The value cleaned; cleaned again where a secret was learned on the way that also stands further up.

        Args:
            value: a text, or any JSON.
            clean: cleans it.
        """
        before = self._known.learned
        result = clean(value)
        learned = self._known.learned_since(before)
        return clean(value) if learned and self._stands_elsewhere(learned, value, result) else result

    def _stands_elsewhere(self, learned: Iterable[str], value: object, clean: object) -> bool:
        """Whether a secret stood more often in a value than its placeholder does now, or is still there encoded."""
        try:
            data, cleaned = jsontext.spell(cast("Json", value)), jsontext.spell(cast("Json", clean))
        except ValueError:
            return True
        needles = set[bytes]()
        placed = Counter(match[0] for match in IN_BYTES.finditer(cleaned))
        placed.subtract(match[0] for match in IN_BYTES.finditer(data))
        for secret in learned:
            spelled = needles_of(secret)
            needles |= spelled
            if sum(map(data.count, spelled)) != placed[(self._numbering.given(secret) or "").encode()]:
                return True

        def holds(plain: bytes) -> bool:
            return any(needle in plain for needle in needles)

        plain = plainly(cleaned)
        return may_hide(cleaned, holds, set()) or (
            plain is not None and (holds(plain) or may_hide(plain, holds, set()))
        )

    def value(self, value: Json) -> Json:
        """A JSON value without secrets; the same object where there were none.

        Raises:
            NotRecordable: it refers back to itself.
        """
        return self._walk(value, None, 0)

    def field(self, text: str, rule: Rule) -> str:
        """The value of a field with this rule: replaced whole where it is plausibly a secret."""
        clean = self.text(text)
        # Of a connection string only the password is replaced where it is recognisable.
        forms = (clean,) if rule.sure is Sure.CONNECTION else (clean, text)
        if bare_value(clean) and any(plausible(form, rule, words=self._words) for form in forms):
            return self._whole(text, rule)
        return clean

    def answer_header(self, name: str, value: str) -> str:
        """The value of an answer's header, names in lower case, without secrets; a cookie stays a cookie."""
        if name == "set-cookie":
            clean = "\n".join(map(self._set_cookie, value.split("\n")))
            return value if clean == value else clean
        rule = self.field_rule(name.removeprefix("x-"))
        return self.value(value) if rule is None else self.field(value, rule)

    def cookie(self, name: str, value: str) -> str:
        """The value of a cookie, without secrets."""
        return self.field(value, cookie_rule(name, self.field_rule(name)))

    def _set_cookie(self, line: str) -> str:
        pair, semicolon, attributes = line.partition(";")
        name, equals, value = pair.partition("=")
        if not equals:
            return self.text(line)
        # A quoted value keeps its quotes.
        bare = value.strip().strip('"')
        clean = self.cookie(name.strip(), bare) if bare else bare
        return f"{name}={value.replace(bare, clean) if bare else value}{semicolon}{self.text(attributes)}"

    def found(self, secret: str, rule: Rule) -> str | None:
        """The placeholder for the whole value of a field, or None where it is no secret."""
        if not plausible(secret, rule, words=self._words):
            return None
        whole = self._whole(secret, rule)
        return None if whole == secret else whole

    def field_rule(self, name: str) -> Rule | None:
        """The rule of a field: the user's, else that of its name."""
        return (self._own_rule(name) if self._has_own else None) or field_rule(name)

    def _query_rule(self, name: str) -> Rule | None:
        return (self._own_rule(name) if self._has_own else None) or query_rule(name)

    def _own_rule(self, name: str) -> Rule | None:
        kind = self._own.kind_of(name)
        return None if kind is None else Rule(kind, Sure.ANY)

    def _whole(self, secret: str, rule: Rule) -> str:
        """A placeholder for the whole value: of the value's own kind where the kind is known, else of the field's."""
        given = self._numbering.given(secret)
        if given is not None:
            return given
        known = self._known.known_as(secret)
        if known is not None:
            return self._placeholder(*known)
        shape = whole_shape(secret, self._placeholder)
        if shape is not None:
            return shape
        if self._allows and self._allowed(rule.kind, secret):
            return secret
        if not self._known.is_full:
            self._known.learn(secret, rule.kind)
        return self._numbering.placeholder(rule.kind, secret)

    @property
    def has_given(self) -> bool:
        """Whether there is any placeholder so far."""
        return self._numbering.has_given

    def shapes_in(self, value: Json) -> dict[str, Json]:
        """What the substitutes of the placeholders in a cleaned value must be like, by placeholder."""
        found: dict[str, Json] = {}
        data = jsontext.spell(value)
        for match in PLACEHOLDER.finditer(data.decode()) if b"<secret:" in data else ():
            secret = None if match[0] in found else self._numbering.secret_of(match[0])
            shape = None if secret is None else shape_of(secret, self.value)
            if shape is not None:
                found[match[0]] = shape
        return found

    def give(self, placeholder: str, text: str) -> None:
        """From now on hide a substitute that the agent gets as the placeholder for which it stands."""
        match = PLACEHOLDER.fullmatch(placeholder)
        if match is not None:
            self._numbering.give(text, placeholder, lasting_part(text))
            self._known.add(text, match[1])

    def credential(self, secret: str, kind: str) -> str:
        """The placeholder of what a header holds to prove who asks, whatever it looks like.

        It has a number of its own beside the same text in a body: which of the two comes first may be chance.
        """
        clean = replace_shapes(self._known.replace(secret, self._placeholder), self._placeholder)
        if "<secret:" in clean or self._allowed(kind, secret):
            return clean
        return self._numbering.placeholder(kind, secret, f"\0credential {lasting_part(secret)}")

    def text(self, text: str) -> str:
        """A text without secrets: JSON and server-sent events are read as such, the rest is searched."""
        if not self.suspects(text):
            return text
        # URLs and the like stand in each test: they are searched once a session.
        known = self._known.found_clean(words=self._words) if self._as_all else None
        if known is not None and text in known:
            return text
        clean = self._by_form(text)
        if clean != text:
            return clean
        if known is not None and len(text) <= LONGEST_KEPT and len(known) < MOST_KEPT:
            known.add(text)
        return text

    def plain(self, text: str) -> str:
        """A text without secrets, by search alone; the middle of a file in base64 stays unsearched."""
        if without_files(data := text.encode("utf-8", "surrogatepass")) is data:
            return self._searched(text)
        text = self._own.replace(text, self._placeholder)  # a user's pattern counts everywhere
        parts, done = [], 0
        for run in long_texts(text):
            if not holds_text(run[0]):
                head, done = self._searched(text[done : run.start() + EDGE]), run.end() - EDGE
                parts.append(head)
                if head.endswith(">"):  # the secret goes on: a value behind a name
                    done = run.end()
                else:
                    parts.append(text[run.start() + EDGE : done])
        return "".join([*parts, self._searched(text[done:])])

    def _searched(self, text: str) -> str:
        before = None
        while text != before:  # A placeholder may uncover what stood too close to a secret.
            is_again, before = before is not None, text
            # Known secrets first: their kind is the same in recording and replay, whatever they look like.
            text = self._known.replace(text, self._placeholder)
            if is_again and text == before and not is_close_to_one(text):
                break
            text = self._own.replace(text, self._placeholder)
            text = replace_shapes(text, self._placeholder)
            text = replace_userinfo(text, self.found)
            text = replace_query(text, self.found, self._query_rule)
            text = replace_named(text, self.found, self.field_rule)
            text = replace_quoted(text, self.found, self.field_rule)
        return replace_percent(replace_encoded(text, self._decoded), self.text)

    def form(self, text: str) -> str:
        """The body of an HTML form, without secrets."""
        return replace_in_form(replace_form(self.plain(text), self.found, self._query_rule), self.text)

    def cuts(self, whole: str) -> list[Cut]:
        """Where secrets stand in a text, and what is to stand there."""
        clean = self.settled(whole, self.text)
        if clean == whole:
            return []
        searched = self.plain(whole)
        if _is_same_json(self.text(searched), searched):
            clean = searched  # to read it as JSON finds no more, and would spell it anew
        return cuts_between(whole, clean, self._stands_for)

    def _decoded(self, text: str) -> str:
        """What base64 hid. Without the number: that would hide in the base64, too, where no comparison finds it."""
        return strip_numbers(self.text(text).encode()).decode()

    def _placeholder(self, kind: str, secret: str) -> str:
        if self._allows and self._allowed(kind, secret):
            return secret
        # Its lines may end as in a text, in JSON or in a repr: it is the same key.
        key = _ESCAPED_LINE_ENDS.sub("\n", secret) if kind == "private-key" else secret
        return self._numbering.placeholder(kind, key, lasting_part(key) if kind == "jwt" else None)

    def _stands_for(self, placeholder: str, text: str) -> bool:
        secret = self._numbering.secret_of(placeholder)
        return text == placeholder or (secret is not None and text in spellings(secret))

    def _walk(self, value: Json, rule: Rule | None, depth: int) -> Json:
        if isinstance(value, str):
            return self.text(value) if rule is None else self.field(value, rule)
        if depth > _MAX_DEPTH:
            raise NotRecordable("$", "is nested too deep, or refers back to itself")
        if isinstance(value, list):
            items = [
                self._walk(item, rule or self._rule_behind(value, number), depth + 1)
                for number, item in enumerate(value)
            ]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if isinstance(value, dict):
            return self._walk_object(value, rule, depth + 1)
        return value

    def _rule_behind(self, items: list[Json], number: int) -> Rule | None:
        """The rule of a value that a generator made behind its name: ``["tool", "--token", …]``."""
        name, item = items[number - 1] if number else None, items[number]
        if not (isinstance(item, str) and isinstance(name, str) and is_generated(item)):
            return None
        return self.field_rule(name)

    def _walk_object(self, value: dict[Any, Json], outer: Rule | None, depth: int) -> dict[Any, Json]:
        clean: dict[Any, Json] = {}
        changed = False
        named, inner = self._named_value(value), secret_members(value)
        for key, item in value.items():
            new_key = self.text(key) if isinstance(key, str) else key
            while new_key in clean:  # Two names that differ in nothing but a placeholder stay two.
                new_key += "'"
            if new_key == "set-cookie" and isinstance(item, str):
                clean[new_key] = self.answer_header(new_key, item)
            elif new_key == "cookie" and isinstance(item, str) and is_of_cookies(item):
                clean[new_key] = hidden_cookies(item, self.cookie)
            else:
                rule = inner.get(key) or self._rule_of(new_key, named, outer)
                clean[new_key] = self._walk(item, rule, depth)
            changed = changed or clean[new_key] is not item or new_key is not key
        return clean if changed else value

    def _named_value(self, value: dict[Any, Json]) -> Rule | None:
        """The rule for "value" in ``{"name": "api_key", "value": …}``, and in a browser's cookie."""
        name = next((value[key] for key in _NAMES_OF_VALUES if key in value), None)
        if "value" not in value and "Value" not in value:
            return None
        if value.get("type") == "password":
            return _TYPED
        if not isinstance(name, str):
            return None
        return (
            COOKIE_VALUE if "httpOnly" in value or "sameSite" in value else self.field_rule(self.text(name))
        )

    def _by_form(self, text: str) -> str:
        if text.lstrip()[:1] in ("{", "["):
            clean = self._json_text(text)
            if clean is not None:
                return clean
        if sse.holds_data(text.lstrip()):
            return self._event_text(text)
        return self.plain(text)

    def _json_text(self, text: str, *, is_event: bool = False) -> str | None:
        """JSON within a string: redacted as JSON, and spelled anew where it holds a placeholder; None if it is none.

        What an agent repeats in a replay of what it was given has to be spelled as recorded; events stay as they are.
        """
        try:
            value = jsontext.decode(text)
            clean = self._walk(value, None, 0)
            is_same = clean is value and (is_event or "<secret:" not in text)
            return text if is_same else jsontext.encode(clean).decode()
        except (ValueError, NotRecordable):
            return None

    def _event_text(self, text: str) -> str:
        """A server-sent event whose text behind ``data:`` is cleaned as a text of its own, line by line."""
        data = sse.only_data(text)
        is_json = data is not None and data[:1] in ("{", "[")
        clean = self._json_text(data, is_event=True) if data is not None and is_json else None
        if clean is None:  # As a whole too: a key file has many lines.
            return self.plain(sse.with_data(text, self.text))
        # A search of the JSON's own spelling would read on behind the end of a text in which a piece of JSON stands.
        lines = sse.with_data(text, lambda _: clean).split("\n")
        return "\n".join(line if line.startswith("data:") else self.plain(line) for line in lines)

    def _rule_of(self, key: object, named: Rule | None, outer: Rule | None) -> Rule | None:
        """The rule of a field: the rule of its name, or of the field around it (``{"client_secret": {"x": …}}``)."""
        if not isinstance(key, str):
            return None
        if key in ("value", "Value") or key.startswith("$") or outer is KUBE_VALUE:
            return named or (COOKIE_VALUE if outer is not None and outer.sure is Sure.COOKIE else outer)
        rule = self.field_rule(key)
        return COOKIE_VALUE if rule is None and outer is not None and outer.sure is Sure.COOKIE else rule


def _is_same_json(text: str, other: str) -> bool:
    if text == other:
        return True
    try:
        return bool(jsontext.decode(text) == jsontext.decode(other))
    except ValueError:
        return False
