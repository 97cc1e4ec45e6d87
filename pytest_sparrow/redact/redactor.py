"""The redactor of one transcript: secrets in, placeholders out; everything else untouched."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_sparrow.events import jsontext
from pytest_sparrow.redact.cleaner import Cleaner
from pytest_sparrow.redact.environment import environment_secrets
from pytest_sparrow.redact.headers import ANSWER_HEADERS, PART_HEADERS, REQUEST_HEADERS
from pytest_sparrow.redact.known import Known
from pytest_sparrow.redact.names import field_rule
from pytest_sparrow.redact.placeholders import Numbering
from pytest_sparrow.redact.suspicion import suspicious
from pytest_sparrow.redact.texts import replace_query, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json

__all__ = ["Redactor"]

_FORM_FIELD = re.compile(r";\s*name=\"?([^\";]+)")


class Redactor:
    """Takes secrets out of what one transcript holds. Thread safe.

    One redactor serves one transcript, since it numbers the placeholders; `fresh` gives the next one.

    Args:
        environ: where known secrets come from, by the names of the variables; ``os.environ`` if None, as it
            is now. Dummy keys must be in it already, or they are not known.
        extra_headers: further names of headers to keep, of requests and answers.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, extra_headers: Iterable[str] = ()
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._extra = frozenset(name.lower() for name in extra_headers)
        self._known = Known(environment_secrets(self._environ))
        self._cleaner = Cleaner(self._known, Numbering())

    def fresh(self) -> Redactor:
        """A redactor with the same settings and secrets that numbers from 1: for the next transcript."""
        return Redactor(self._environ, extra_headers=self._extra)

    def value(self, value: Json) -> Json:
        """A parsed JSON value without secrets; the very same object where there were none.

        Args:
            value: any JSON; never modified.

        Raises:
            NotRecordable: it refers back to itself.
        """
        if self._clears(value):
            return value
        return self._cleaner.settled(lambda: self._cleaner.value(value))

    def _clears(self, value: Json) -> bool:
        """Whether a quick look shows that there is no secret in a value."""
        if isinstance(value, str):
            return not self._cleaner.suspects(value)
        if not isinstance(value, dict | list):
            return True
        # Writing it out and one look at the bytes is cheaper than a look at every text.
        try:
            return not suspicious(jsontext.spell(value), self._known.needles)
        except ValueError:
            return False  # Whoever writes it will say so; until then it is redacted all the same.

    def headers(self, headers: Iterable[tuple[str, str]], *, answered: bool) -> dict[str, str]:
        """The headers that a transcript keeps, names in lower case, repeated ones joined by ``", "``.

        Args:
            headers: (name, value) pairs as on the wire.
            answered: whether they came with an answer, not with a request.
        """
        return self._kept(headers, ANSWER_HEADERS if answered else REQUEST_HEADERS)

    def url(self, url: str) -> str:
        """A URL without userinfo, and with placeholders for secrets in its query or anywhere else."""
        found = self._cleaner.found
        return self._cleaner.settled(lambda: self._cleaner.text(without_userinfo(url, found)))

    def line(self, data: bytes) -> bytes:
        """One line of JSON without secrets; the same bytes where there were none.

        Raises:
            BrokenJson: the line may hold a secret, and can't be read as JSON.
        """
        if not suspicious(data, self._known.needles):
            return data
        value = jsontext.decode(data)
        clean = self._cleaner.settled(lambda: self._cleaner.value(value))
        if clean is value:
            return data
        return jsontext.encode(clean) + (b"\n" if data.endswith(b"\n") else b"")

    def asked(self, kind: str, asked: dict[str, Json]) -> dict[str, Json]:
        """The *asked* half of an exchange without secrets; see `Exchange` for its shape.

        For ``http`` the headers, given as a dict or as a list of [name, value] pairs, become a dict.
        """
        return self._half(asked, REQUEST_HEADERS) if kind == "http" else self._object(asked)

    def answered(self, kind: str, answered: dict[str, Json]) -> dict[str, Json]:
        """The *answered* half of an exchange without secrets, by the rules of `asked`.

        A secret that a stream cuts into two events is not seen.
        """
        return self._half(answered, ANSWER_HEADERS) if kind == "http" else self._object(answered)

    def _half(self, half: dict[str, Json], allowed: frozenset[str]) -> dict[str, Json]:
        clean = dict(half)
        if half.get("headers") is not None:
            clean["headers"] = self._kept(_pairs(half["headers"]), allowed)
        for key, item in half.items():
            if key == "url" and isinstance(item, str):
                clean[key] = self.url(item)
            elif key == "body":
                clean[key] = self._body(item, clean.get("headers") or {})
            elif key != "headers":
                clean[key] = self.value(item)
        return clean

    def _body(self, body: Json, headers: Mapping[str, str]) -> Json:
        if not isinstance(body, dict):
            return self.value(body)
        text, parts = body.get("text"), body.get("multipart")
        if isinstance(text, str) and "x-www-form-urlencoded" in headers.get("content-type", ""):
            return {**body, "text": self._form(text)}
        if isinstance(parts, list):
            return {**body, "multipart": [self._part(part) for part in parts]}
        return self.value(body)

    def _form(self, text: str) -> str:
        found = self._cleaner.found
        return self._cleaner.settled(lambda: replace_query(self._cleaner.plain(text), found, form=True))

    def _part(self, part: Json) -> Json:
        if not isinstance(part, dict):
            return self.value(part)
        headers = self._kept(_pairs(part.get("headers") or {}), PART_HEADERS)
        name = _FORM_FIELD.search(headers.get("content-disposition", ""))
        rule = field_rule(name[1]) if name else None
        body = part.get("body")
        if rule is not None and isinstance(body, dict) and isinstance(body.get("text"), str):
            body = {**body, "text": self._cleaner.field(body["text"], rule)}
        else:
            body = self._body(body, headers)
        return {**part, "headers": headers, "body": body}

    def _kept(self, headers: Iterable[tuple[str, str]], allowed: frozenset[str]) -> dict[str, str]:
        kept: dict[str, str] = {}
        for cased, value in headers:
            name = cased.lower()
            if name in allowed or name in self._extra:
                kept[name] = f"{kept[name]}, {value}" if name in kept else value
        return {name: self.value(value) for name, value in kept.items()}

    def _object(self, value: dict[str, Json]) -> dict[str, Json]:
        clean: dict[str, Json] = self.value(value)
        return clean


def _pairs(headers: Json) -> Iterable[tuple[str, str]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return ((str(name), str(value)) for name, value in pairs)
