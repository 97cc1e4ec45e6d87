"""The redactor of one transcript: replaces secrets and directories, and checks its result with the scanner."""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
from collections.abc import Mapping
from operator import is_
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.events import jsontext
from pytest_sparrow.events.pieces import cut
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.cleaner import Cleaner
from pytest_sparrow.redact.credentials import hidden_cookies, hidden_credential
from pytest_sparrow.redact.directories import Places, is_quoted, mapped
from pytest_sparrow.redact.known import Known, environment_secrets, is_secret_name
from pytest_sparrow.redact.names import ACCOUNT, credential_kind
from pytest_sparrow.redact.placeholders import FIRST_OF_A_REPLAY, Numbering, unescaped
from pytest_sparrow.redact.remembered import Remembered
from pytest_sparrow.redact.streams import hide_across, in_their_words, joined_texts
from pytest_sparrow.redact.substitutes import (
    SHAPES,
    escaped_in_markup,
    is_markup,
    substitute_of,
    unescaped_markup,
)
from pytest_sparrow.redact.texts import LONGEST_KEPT, MOST_KEPT, without_userinfo
from pytest_sparrow.redact.user_rules import NO_RULES, NOTHING_ALLOWED, Allowed, OwnRules
from pytest_sparrow.settings import DUMMY
from pytest_sparrow.wire.bodies import body_of, stream_form, uncompressed
from pytest_sparrow.wire.headers import PART_HEADERS, is_of_answer, is_of_content
from pytest_sparrow.wire.spelling import EXACT, without_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Json

_Kept: TypeAlias = "Callable[[Iterable[tuple[str, str]]], dict[str, str]]"
"""Makes of the headers of a half those that a transcript keeps."""

_FORM_FIELD = re.compile(r";\s*name=\"?([^\";]+)")
_JOINTS = {"cookie": "; ", "set-cookie": "\n"}  # a cookie's date holds a comma


class Redactor:
    """Removes secrets from the parts of one transcript. Thread safe.

    One redactor serves one transcript, since it numbers the placeholders; `fresh` gives the next one.

    Args:
        environ: where known secrets come from, by the names of the variables; ``os.environ`` if None, as it
            is now. Dummy keys must be in it already, or they are not known.
        extra_headers: further names of headers to keep, of requests and answers.
        places: directories to hide as well; none if None.
        rules: what the user calls a secret besides.
        allowed: what the user says is none.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        extra_headers: Iterable[str] = (),
        places: Places | None = None,
        rules: OwnRules = NO_RULES,
        allowed: Allowed = NOTHING_ALLOWED,
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._extra = frozenset(name.lower() for name in extra_headers)
        self._rules = rules
        self._allowed = allowed
        known = environment_secrets(self._environ)
        if allowed != NOTHING_ALLOWED:
            known = {secret: kind for secret, kind in known.items() if not allowed(kind, secret)}
        self._known = Known(known)
        self._numbering = Numbering()
        self._cleaner = Cleaner(self._known, self._numbering, rules, allowed)
        # What is sent over HTTP comes back to no agent: there, plain words may be a password.
        self._sent = Cleaner(self._known, self._numbering, rules, allowed, words=True)
        self._places = Places() if places is None else places
        self._gave_markup = False
        self._remembered = Remembered(self.knows)
        self._cut: Piece | None = None

    def fresh(self) -> Redactor:
        """A redactor with the same settings and secrets that numbers from 1: for the next transcript."""
        return Redactor(
            self._environ,
            extra_headers=self._extra,
            places=self._places,
            rules=self._rules,
            allowed=self._allowed,
        )

    @property
    def knows(self) -> tuple[object, object]:
        """What it knows now; as long as that is the same, to clean a value again gives the same."""
        return self._known.state, self._places.pattern

    def piece_of(self, asked: dict[str, Json]) -> Piece | None:
        """The JSON body of a half that `asked` has just returned, cut; None where that was not done."""
        body, piece = asked.get("body"), self._cut
        is_its = piece is not None and isinstance(body, dict) and body.get("json") is piece.value
        return piece if is_its else None

    @property
    def replaced(self) -> int:
        """How many secrets were replaced so far."""
        return self._numbering.count

    @functools.cached_property
    def variables(self) -> frozenset[str]:
        """The kinds of the secrets in environment variables, but for dummies and the passwords of URLs."""
        known = environment_secrets(self._environ)
        kinds = {kind for secret, kind in known.items() if not secret.startswith(DUMMY)}
        return frozenset(kinds - {"password"})

    def number_as_replay(self) -> None:
        """Number what the agent brings itself apart from what a golden gives it; before anything is redacted."""
        self._numbering.before = FIRST_OF_A_REPLAY

    def text(self, text: str) -> str:
        """A text to be shown, without secrets; directories stay, since it is read where they are."""
        return self._cleaner.settled(text, self._cleaner.plain) if self._cleaner.suspects(text) else text

    def value(self, value: Json) -> Json:
        """A parsed JSON value without secrets and places; the very same object where there were none.

        Args:
            value: any JSON; never modified.

        Raises:
            NotRecordable: it refers back to itself.
        """
        return self._clean(value, self._cleaner)

    def _clean(self, value: Json, cleaner: Cleaner, clean: Callable[[Json], Json] | None = None) -> Json:
        if isinstance(value, dict | list):
            # Writing it out and one look at the bytes is cheaper than a look at every text.
            with contextlib.suppress(
                ValueError
            ):  # Whoever writes it will say so; it is redacted all the same.
                data = jsontext.spell(value)
                if self._places.suspected(data):
                    value = self._places.hide(value)
                if not self._cleaner.suspects_line(data):
                    return value
        elif isinstance(value, str):
            value = self._places.text(value)
            if not self._cleaner.suspects(value):
                return value
        else:
            return value
        return cleaner.settled(value, clean or cleaner.value)

    def secret_variable(self, name: str, value: str) -> bool:
        """Whether an environment variable looks like a secret: by its name, or by its value."""
        return is_secret_name(name) or "<secret:" in str(self.fresh().value({name: value}))

    def put_back(self, value: Json) -> Json:
        """A recorded value with this run's directories where it has placeholders for them."""
        return self._places.put_back(value)

    def folder(self, name: str) -> str | None:
        """The path of a hidden directory; None where it is not known."""
        return self._places.path_of(name)

    def to_serve(self, answered: dict[str, Json]) -> dict[str, Json]:
        """A recorded answer as the agent gets it: with directories, and with substitutes that its reader can parse."""
        served: dict[str, Json] = self.put_back(answered)
        shapes = served.get(SHAPES)
        if isinstance(shapes, dict):
            served = self._with_substitutes(
                {key: half for key, half in served.items() if key != SHAPES}, shapes
            )
        body = served.get("body")
        text = body.get("text") if isinstance(body, dict) else None
        if isinstance(body, dict) and isinstance(text, str) and "<secret:" in text and is_markup(text):
            self._gave_markup = True
            served = {**served, "body": {**body, "text": escaped_in_markup(text)}}
        return served

    def _with_substitutes(self, answered: dict[str, Json], shapes: dict[str, Json]) -> dict[str, Json]:
        made = {placeholder: substitute_of(placeholder, shape) for placeholder, shape in shapes.items()}
        texts = {placeholder: text for placeholder, text in made.items() if text is not None}
        for placeholder, text in texts.items():
            self._cleaner.give(placeholder, text)

        def serve(text: str) -> str:
            if "<secret:" in text:
                for placeholder, given in texts.items():
                    # How lines end within JSON or a repr depends on how deep it is quoted.
                    if "\n" not in given or not (is_quoted(text) or "raised" in answered):
                        text = text.replace(placeholder, given)
            return text

        found: dict[str, Json] = mapped(answered, serve)
        return found

    def headers(self, headers: Iterable[tuple[str, str]], *, answered: bool) -> dict[str, str]:
        """The headers that a transcript keeps, names in lower case, repeated ones joined by ``", "``.

        Args:
            headers: (name, value) pairs as on the wire.
            answered: whether they came with an answer, not with a request.
        """
        return self._answer_headers(headers) if answered else self._asked_headers(headers)

    def url(self, url: str) -> str:
        """A URL without userinfo, and with placeholders for secrets in its query or anywhere else."""
        found, url = self._cleaner.found, unescaped(self._places.text(url))
        return self._cleaner.settled(url, lambda url: self._cleaner.text(without_userinfo(url, found)))

    def line(self, data: bytes) -> bytes:
        """One line of JSON without secrets; the same bytes where there were none.

        Raises:
            BrokenJson: the line may hold a secret, and can't be read as JSON.
        """
        ending = b"\n" if data.endswith(b"\n") else b""
        if self._places.suspected(data):
            value = jsontext.decode(data)
            hidden = self._places.hide(value)
            data = data if hidden is value else jsontext.encode(hidden) + ending
        if not self._cleaner.suspects_line(data):
            return data
        value = jsontext.decode(data)
        clean = self._cleaner.settled(value, self._cleaner.value)
        if clean is value:
            return data
        return jsontext.encode(clean) + ending

    @property
    def gave_markup(self) -> bool:
        """Whether the agent was given markup in which placeholders are spelled otherwise, and may send it."""
        return self._gave_markup

    def asked(self, kind: str, asked: dict[str, Json], *, clean: bool = False) -> dict[str, Json]:
        """The *asked* half of an exchange without secrets; see `Exchange` for its shape.

        For ``http`` the headers, given as a dict or as a list of [name, value] pairs, become a dict.

        Args:
            kind: "http", "tool" or "call".
            asked: the half.
            clean: whether nothing but its headers can hold a secret.
        """
        if clean:
            return (
                {**asked, "headers": self._asked_headers(_pairs(asked["headers"]))}
                if kind == "http"
                else asked
            )
        if self._gave_markup:
            asked = jsontext.decode(unescaped_markup(jsontext.spell(asked)))
        if kind != "http":
            return self._object(asked)
        return self._settled_half(asked, self._asked_headers, self._sent)

    def answered(self, kind: str, answered: dict[str, Json]) -> dict[str, Json]:
        """The *answered* half of an exchange without secrets, by the rules of `asked`.

        ``shapes`` says of what shape those were that the agent's reader may parse, by placeholder.
        """
        if self._gave_markup:
            answered = jsontext.decode(unescaped_markup(jsontext.spell(answered)))
        if kind == "http":
            clean = self._settled_half(answered, self._answer_headers, self._cleaner)
        else:
            clean = self._object(answered)
        if clean is answered or not self._cleaner.has_given:
            return clean
        shapes = self._cleaner.shapes_in(clean)
        return {**clean, SHAPES: shapes} if shapes else clean

    def _settled_half(self, half: dict[str, Json], kept: _Kept, cleaner: Cleaner) -> dict[str, Json]:
        # What its body calls a secret may stand in its URL.
        return cleaner.settled(half, lambda half: self._half(half, kept, cleaner))

    def _half(self, half: dict[str, Json], kept: _Kept, cleaner: Cleaner) -> dict[str, Json]:
        clean = dict(half)
        if half.get("headers") is not None:
            clean["headers"] = kept(_pairs(half["headers"]))
        for key, item in half.items():
            if key == "url" and isinstance(item, str):
                clean[key] = self.url(item)
            elif key == "body":
                clean[key] = self._body(item, clean.get("headers") or {}, cleaner)
            elif key != "headers":
                clean[key] = self.value(item)
        return clean

    def _body(self, body: Json, headers: Mapping[str, str], cleaner: Cleaner) -> Json:
        if not isinstance(body, dict):
            return self._clean(body, cleaner)
        text, parts = body.get("text"), body.get("multipart")
        if cleaner is self._sent and isinstance(body.get("base64"), str) and headers.get("content-encoding"):
            return self._compressed(body, headers, cleaner)
        form = stream_form(body)
        if form and isinstance(body[form], list):
            return self._streamed(body, form, cleaner)
        if isinstance(text, str) and "x-www-form-urlencoded" in headers.get("content-type", "").lower():
            return {**body, "text": self._form(text, cleaner)}
        if isinstance(parts, list):
            return {**body, "multipart": [self._part(part, cleaner) for part in parts]}
        clean = self._clean_request(body) if cleaner is self._sent else self._clean(body, cleaner)
        # What the value hides its text must not show.
        return clean if EXACT not in body or clean is body else without_text({**clean})

    def _clean_request(self, body: dict[str, Json]) -> Json:
        if not isinstance(body.get("json"), dict):
            return self._clean(body, self._sent)
        try:
            piece = cut(body["json"])
        except ValueError:  # No JSON: whoever writes it will say so.
            return self._clean(body, self._sent)
        remembered = self._remembered_now()
        clean = remembered.cleaned(piece, lambda new: self._clean({"json": new}, self._sent)["json"])
        if remembered.known != self.knows:
            clean = self._clean(
                body["json"], self._sent
            )  # What was learned from the new may stand in the old.
        self._cut = piece if clean is piece.value else None
        return body if clean is piece.value else {**body, "json": clean}

    def _remembered_now(self) -> Remembered:
        if self._remembered.known != self.knows:
            self._remembered = Remembered(self.knows)
        return self._remembered

    def _compressed(self, body: dict[str, Json], headers: Mapping[str, str], cleaner: Cleaner) -> Json:
        """A sent body that is compressed: as it is, or where it holds a secret, its content without the secret."""
        try:
            plain = uncompressed(base64.b64decode(str(body["base64"])), headers["content-encoding"])
            content = body_of(plain, headers.get("content-type", ""), answered=False) if plain else body
        except ValueError:
            return body
        clean = content if "base64" in content else self._body(content, headers, cleaner)
        return body if clean == content else clean

    def _streamed(self, body: dict[str, Json], form: str, cleaner: Cleaner) -> Json:
        others = {name: item for name, item in body.items() if name != form}
        events, clean = self._stream(body[form], cleaner), self._clean(others, cleaner)
        if events is body[form] and clean is others:
            return body
        whole = {name: events if name == form else clean[name] for name in body}
        return without_text(whole) if EXACT in body else whole

    def _stream(self, events: list[Json], cleaner: Cleaner) -> list[Json]:
        if not all(isinstance(event, str) for event in events):
            each: list[Json] = self._clean(events, cleaner)
            return each
        across = events
        if self._places.found:  # else no model has read one
            across = hide_across(across, self._places.across)
        if any(self._cleaner.suspects(text) for text in joined_texts(across)):
            across = hide_across(across, lambda whole, _: self._cleaner.cuts(whole))
        if all(map(is_, across, events)):
            across = events
        clean: list[Json] = self._clean(across, cleaner, lambda each: in_their_words(each, cleaner.value))
        return clean

    def _form(self, text: str, cleaner: Cleaner) -> str:
        text = unescaped(self._places.text(text))
        return cleaner.settled(text, cleaner.form)

    def _part(self, part: Json, cleaner: Cleaner) -> Json:
        if not isinstance(part, dict):
            return self.value(part)
        kept = self._joined(_pairs(part.get("headers") or {}), PART_HEADERS.__contains__)
        headers = {name: str(self.value(value)) for name, value in kept.items()}
        name = _FORM_FIELD.search(headers.get("content-disposition", ""))
        rule = cleaner.field_rule(name[1]) if name else None
        body = part.get("body")
        if rule is not None and isinstance(body, dict) and isinstance(body.get("text"), str):
            body = {**body, "text": cleaner.field(body["text"], rule)}
        else:
            body = self._body(body, headers, cleaner)
        return {**part, "headers": headers, "body": body}

    def _asked_headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers of a request that count, and its credentials, of which nothing secret is left."""
        left_out = facts().volatile_headers
        kept = self._joined(headers, lambda name: is_of_content(name) and name not in left_out)
        fixed, known = facts().header_values, self._remembered_now().headers
        return {
            name: fixed.get(name) or known.get((name, value)) or self._asked_header(name, value)
            for name, value in kept.items()
        }

    def _asked_header(self, name: str, value: str) -> str:
        found = self._clean_header(name, value)
        headers = self._remembered_now().headers
        # A web token that is made anew for each request stands for the last one.
        if len(headers) < MOST_KEPT and len(value) <= LONGEST_KEPT and "eyJ" not in value:
            headers[name, value] = found
        return found

    def _clean_header(self, name: str, value: str) -> str:
        kind = credential_kind(name)
        if kind is None or (kind == ACCOUNT and value not in self._environ.values()):
            return str(self.value(value))
        if kind == "cookie":
            return hidden_cookies(value, self._cleaner.cookie)
        return hidden_credential(
            value, lambda secret: self._cleaner.credential(secret, kind), lambda user: str(self.value(user))
        )

    def _answer_headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers of an answer but for those of the connection; credentials as placeholders."""
        kept, fixed = self._joined(headers, is_of_answer), facts().header_values
        return {name: fixed.get(name) or self._answer_header(name, value) for name, value in kept.items()}

    def _answer_header(self, name: str, value: str) -> str:
        value = self._places.text(value)
        return self._cleaner.settled(value, lambda value: self._cleaner.answer_header(name, value))

    def _joined(self, headers: Iterable[tuple[str, str]], counts: Callable[[str], bool]) -> dict[str, str]:
        """The headers that count or that the user named, by name in small letters; repeated ones joined."""
        kept: dict[str, str] = {}
        for cased, value in headers:
            name = cased.lower()
            if counts(name) or name in self._extra:
                kept[name] = f"{kept[name]}{_JOINTS.get(name, ', ')}{value}" if name in kept else value
        return kept

    def _object(self, value: dict[str, Json]) -> dict[str, Json]:
        clean: dict[str, Json] = self.value(value)
        return clean


def _pairs(headers: Json) -> Iterable[tuple[str, str]]:
    pairs = headers.items() if isinstance(headers, dict | Mapping) else headers
    return [(str(name), str(value)) for name, value in pairs]
