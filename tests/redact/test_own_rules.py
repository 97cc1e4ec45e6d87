"""What a user, or a plugin, calls a secret, and what is allowed."""

from __future__ import annotations

import pytest

from pytest_sparrow.errors import UsageError
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.user_rules import Allowed, read_allowed, read_rules, value_digest
from tests.redact.synthetic import SECRETS

KEY = SECRETS[0][1]


class Finder:
    """Finds at the places that it was given."""

    kind = "person"

    def __init__(self, *spans: tuple[int, int]) -> None:
        self._spans = spans

    def find(self, text: str) -> list[tuple[int, int]]:
        return [span for span in self._spans if span[1] <= len(text)]


def ruled(*said: object) -> Redactor:
    return Redactor({}, rules=read_rules(said, "here"))


@pytest.mark.parametrize(
    ("said", "text", "hidden"),
    [
        ("customer = cust_[0-9]+", "is cust_12, not cust_", "is <secret:customer:1>, not cust_"),
        ("cust_[0-9]+", "is cust_12", "is <secret:secret:1>"),
        (
            "customer = no ([0-9]+)[.]",
            "no 12. no 13. no 14",
            "no <secret:customer:1>. no <secret:customer:2>. no 14",
        ),
        ("pair = (a|b)?c=[0-9]", "c=1 ac=1", "c=1 <secret:pair:1>c=1"),
        ("a=[0-9] = b", "a=1 = b", "<secret:secret:1>"),
        ("customer = Zoë", "Zoë", "<secret:customer:1>"),
        ("digit = [0-9]", "12", "<secret:digit:1><secret:digit:2>"),
    ],
)
def test_a_pattern(said: str, text: str, hidden: str) -> None:
    """A pattern hides its group, else all that it finds, in texts of any length, under its kind or "secret"."""
    for value, expected in ((text, hidden), ([text], [hidden]), ({"a": text}, {"a": hidden})):
        assert ruled(said).value(value) == expected
    assert ruled(said).line(f'["{text}"]'.encode()) == f'["{hidden}"]'.encode()
    assert ruled(said).text(text) == hidden
    harmless = ["nothing here"]
    assert ruled(said).value(harmless) is harmless


def test_a_field() -> None:
    """Whatever stands in the field is a secret, a word too; its name is read without case and separators."""
    redactor = ruled("iban = field:Bank-Account", "field:nick_name", "max = field:max_tokens")
    clean = redactor.value(
        {
            "bankAccount": "none of it",
            "bank_accounts": "stays",
            "nickname": "Zo",
            "max_tokens": "12",
            "arguments": '{"BANK ACCOUNT":"DE02"}',
        }
    )
    assert clean == {
        "bankAccount": "<secret:iban:1>",
        "bank_accounts": "stays",
        "nickname": "<secret:secret:1>",
        "max_tokens": "<secret:max:1>",
        "arguments": '{"BANK ACCOUNT":"<secret:iban:2>"}',
    }
    assert redactor.url("https://x.example/?nick-name=Al&max_tokens=7&q=1") == (
        "https://x.example/?nick-name=<secret:secret:2>&max_tokens=<secret:max:2>&q=1"
    )
    assert ruled("mine = field:password").value({"password": "hunter2"}) == {"password": "<secret:mine:1>"}


def test_a_finder() -> None:
    """A finder's places are hidden in order; places that overlap, are empty or hold a placeholder are left out."""
    assert ruled(Finder((1, 3), (2, 4), (3, 3), (4, 6))).value("abcdefg") == (
        "a<secret:person:1>d<secret:person:2>g"
    )
    for span in ((0, 19), (10, 11), (8, 14), (0, 1), (11, 12)):
        assert ruled(Finder(span)).value("<secret:x:1> and so") == "<secret:x:1> and so"
    assert ruled(Finder((0, 2)), "b+").value("aab") == "<secret:person:1><secret:secret:1>"


def test_a_pattern_finds_nothing_in_a_placeholder() -> None:
    """A pattern finds neither the kind nor the number of a placeholder, nor the name of a directory."""
    redactor = ruled("digit = [0-9]", "word = secret", "key", "home")
    text = "7<dir:home>8 9 <secret:api-key:3>0"
    assert redactor.value(text) == (
        "<secret:digit:1><dir:home><secret:digit:2> <secret:digit:3> <secret:api-key:3><secret:digit:4>"
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("  ", "an empty line is no rule"),
        ("a = (", "no regular expression"),
        ("a = b*", "finds a secret in the empty text"),
        (12, "neither a line like"),
        (Finder, "neither a line like"),
        (type("Odd", (Finder,), {"kind": "Odd Kind"})(), "not of small letters"),
    ],
)
def test_what_is_no_rule_is_refused(said: object, why: str) -> None:
    """With where it was said."""
    with pytest.raises(UsageError, match=rf"^here: .*{why}"):
        ruled(said)


def test_what_is_allowed_stays() -> None:
    """A kind, or one value: by shape, in a field, in a variable or by a rule of one's own."""
    value = [KEY, {"password": "hunter2"}, "is env-secret-91", "cust_12"]
    rules, environ = read_rules(["customer = cust_[0-9]+"], "here"), {"DESK_TOKEN": "env-secret-91"}
    kinds = frozenset({"openai-key", "password", "desk-token", "customer"})
    digests = frozenset({value_digest(text) for text in (KEY, "hunter2", "env-secret-91", "cust_12")})
    for allowed in (Allowed(kinds=kinds), Allowed(digests=digests)):
        assert Redactor(environ, rules=rules, allowed=allowed).value(value) == value
        assert Redactor(environ, rules=rules, allowed=allowed).fresh().value(value) == value
    other = Redactor(
        environ, rules=rules, allowed=Allowed(kinds=frozenset({"jwt"}), digests=frozenset({"value:00"}))
    )
    assert other.value(value) == [
        "<secret:openai-key:1>",
        {"password": "<secret:password:1>"},
        "is <secret:desk-token:1>",
        "<secret:customer:1>",
    ]
    assert other.fresh().value(["cust_12"]) == ["<secret:customer:1>"]


def test_words_of_the_setting() -> None:
    """Kinds and digests may be mixed; a digest is known by its form."""
    digest = value_digest("hunter2")
    assert read_allowed(["jwt", digest, "api-key"], "here") == Allowed(
        kinds=frozenset({"jwt", "api-key"}), digests=frozenset({digest})
    )
    assert read_allowed([], "here") == Allowed()
    for word in ("value:0f3a", "JWT", "-jwt", ""):
        with pytest.raises(UsageError, match=r"^here: "):
            read_allowed([word], "here")


_FILE = "q7A9zR2xK5mW8bT1cV4n" * 600
"""An unbroken run: what base64 of a picture looks like."""


def test_a_pattern_finds_in_the_middle_of_a_file() -> None:
    """A search for keys leaves out the middle of a file; what the user calls a secret is one everywhere."""
    text = f"{_FILE}cust/0123456789{_FILE}"
    clean = ruled("customer = cust/[0-9]{10}").text(text)
    assert clean == f"{_FILE}<secret:customer:1>{_FILE}"
    assert ruled("customer = cust/[0-9]{10}").text(clean) == clean


def test_a_named_secret_as_long_as_a_file_is_hidden_whole() -> None:
    """Behind its name it goes on beyond what is searched of a file."""
    clean = Redactor({}).text(f"api_key={_FILE}&page=2")
    assert clean == "api_key=<secret:api-key:1>&page=2"
    assert Redactor({}).text(f"see {_FILE} there") == f"see {_FILE} there"
