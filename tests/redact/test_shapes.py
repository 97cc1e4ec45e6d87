from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow.events import jsontext
from pytest_sparrow.redact import Redactor, shapes
from tests.full import FULL
from tests.redact.synthetic import IN_CONTEXT, LOOK_ALIKES, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = shapes.known_shapes()

WITH_SLASHES = {
    *("private-key", "aws-bedrock-key", "aws-session-token", "webhook-secret", "sentry-token"),
    *("1password-token", "fly-token", "grafana-cloud-token"),
}
"""Kinds of keys that may hold a slash."""

PLACES: dict[str, Callable[[str], object]] = {
    "asked json": lambda s: {"messages": [{"role": "user", "content": f"my key: {s}, use it"}]},
    "key of an object": lambda s: {s: 1},
    "quoted": lambda s: [f"export X='{s}'"],
    "after a newline": lambda s: [f"line\n{s}\nline"],
    "tool args": lambda s: {"type": "ToolUseStarted", "run": "r", "args": {"n": 1, "text": s}},
    "nested JSON text": lambda s: {"arguments": json.dumps({"text": f"a\n{s}"})},
    "twice nested": lambda s: {"arguments": json.dumps({"inner": json.dumps({"text": f"a\n{s}"})})},
    "cut off JSON text": lambda s: {"partial_json": json.dumps({"text": f"a\n{s}"})[:-2]},
    "event text": lambda s: {"sse": ['event: x\ndata: {"delta":' + json.dumps(f"a\n{s}") + "}"]},
}


@pytest.mark.parametrize("place", PLACES)
def test_every_shape_is_found_in_every_place(place: str) -> None:
    """A secret of a known shape never leaves `line`, wherever it stands in the JSON."""
    for kind, secret in SECRETS:
        value = PLACES[place](secret)
        text = Redactor({}).line(jsontext.encode(value)).decode()
        assert f"<secret:{kind}:1>" in text, (kind, secret)
        assert not any(piece in text for piece in _pieces(secret)), (kind, secret, text)


@pytest.mark.parametrize(
    ("number", "prefix"),
    [(number, prefix) for number, shape in enumerate(SHAPES) for prefix in shape.prefixes],
    ids=lambda part: part if isinstance(part, str) else SHAPES[part].kind,
)
def test_every_shape_finds_what_no_other_does(
    number: int, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synthetic key of every prefix is hidden as what it is, and no longer is where its shape is taken away."""
    shape = SHAPES[number]
    samples = [(secret, secret) for kind, secret in SECRETS if kind == shape.kind and prefix in secret]
    samples += [
        (before + secret, secret)
        for kind, before, secret in IN_CONTEXT
        if kind == shape.kind and prefix in before
    ]
    assert all(_hidden(text) == [(shape.kind, secret)] for text, secret in samples)
    monkeypatch.setattr(shapes, "known_shapes", lambda: (*SHAPES[:number], *SHAPES[number + 1 :]))
    assert any((shape.kind, secret) not in _hidden(text) for text, secret in samples)


@pytest.mark.parametrize(("kind", "before", "secret"), IN_CONTEXT, ids=range(len(IN_CONTEXT)))
def test_a_secret_that_is_known_by_what_stands_in_front(kind: str, before: str, secret: str) -> None:
    """Only the secret goes; what stands in front of it stays."""
    for value in ([f"see {before}{secret} there"], [f'{{"a":"{before}{secret}"}}']):
        clean = Redactor({}).value(value)[0]
        assert clean == value[0].replace(secret, f"<secret:{kind}:1>")


def test_the_quick_look_knows_the_shortest_of_every_shape() -> None:
    """However short a key may be cut and still be one: the quick look suspects it, and not only long ones."""
    for secret in [
        *(secret for _, secret in SECRETS),
        *(before + secret for _, before, secret in IN_CONTEXT),
    ]:
        cut = [secret[:length] for length in range(len(secret) + 1)]
        suspects = Redactor({})._cleaner.suspects
        assert not any(_hidden(text) for text in cut if not suspects(text)), secret


def test_every_shape_is_found_in_a_long_text() -> None:
    """In a text of which only the places around rare characters are looked at, and in one that is full of them."""
    for filler in ("word " * 2000, "a-b_c.d " * 1500):
        for kind, secret in SECRETS if FULL else SECRETS[::5]:
            clean = Redactor({}).value([f"{filler}\n{secret}\n{filler}"])[0]
            assert clean == f"{filler}\n<secret:{kind}:1>\n{filler}", secret


def test_value_and_line_agree() -> None:
    """`value` on the parsed line gives what `line` gives on its bytes; by default each key in some of the places."""
    for number, (_, secret) in enumerate(SECRETS):
        for place in list(PLACES.values())[None if FULL else number % 4 :: None if FULL else 4]:
            data = jsontext.encode(place(secret))
            assert jsontext.encode(Redactor({}).value(jsontext.decode(data))) == Redactor({}).line(data)


def test_every_shape_is_found_in_a_url() -> None:
    """A key in a path or a query doesn't survive `url`, the rest of the URL does."""
    for kind, secret in SECRETS:
        if kind in WITH_SLASHES:
            continue
        url = f"https://api.example.com/v1/{secret}/x?a=1&b={secret}&c=%20"
        placeholder = f"<secret:{kind}:1>"
        assert (
            Redactor({}).url(url) == f"https://api.example.com/v1/{placeholder}/x?a=1&b={placeholder}&c=%20"
        )


def test_every_shape_is_found_in_a_kept_header() -> None:
    """A header that is kept is no way out for a key."""
    for kind, secret in SECRETS:
        kept = Redactor({}).headers([("Link", f"<https://x.example/?q={secret}>")], answered=True)
        assert f"<secret:{kind}:1>" in kept["link"]
        assert not any(piece in kept["link"] for piece in _pieces(secret))


@pytest.mark.parametrize("harmless", LOOK_ALIKES, ids=lambda text: text[:24])
def test_look_alikes_are_untouched(harmless: str) -> None:
    """What only resembles a secret stays, as the very same object."""
    redactor = Redactor({})
    for value in (
        [harmless],
        {"text": f"see {harmless} there"},
        {"arguments": json.dumps({"id": harmless})},
        {"sse": [f"data: {json.dumps({'id': harmless})}"]},
    ):
        assert redactor.value(value) is value
        assert redactor._cleaner.value(value) is value
        data = jsontext.encode(value)
        assert redactor.line(data) is data


def test_bearer_and_basic_credentials() -> None:
    """Behind Bearer stands an opaque token, behind Basic user and password: only the credential goes."""
    clean = Redactor({}).value(
        ["curl -H 'Authorization: Bearer f3a99c01-77aa-4b'", "Basic dXNlcjpodW50ZXIy and Basic knowledge1"]
    )
    assert clean == [
        "curl -H 'Authorization: Bearer <secret:bearer-token:1>'",
        "Basic <secret:basic-credentials:1> and Basic knowledge1",
    ]


def test_a_private_key_that_is_cut_off() -> None:
    """A PEM private key without its end goes as far as it reaches; many beginnings cost one pass."""
    clean = Redactor({}).value(["-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B\n" * 4])
    assert clean == ["<secret:private-key:1>"]
    beginnings = ["-----BEGIN PRIVATE KEY-----\nMII" * 5_000]
    assert Redactor({}).value(beginnings) is beginnings


def test_numbers_are_never_touched() -> None:
    """A number is no secret, whatever its field is called and whatever it is equal to."""
    value = {"password": 12345678, "api_key": 1.5, "token": 20261122114503, "secret": None, "auth": True}
    assert Redactor({"MY_SECRET": "20261122114503x"}).value(value) is value


def _hidden(text: str) -> list[tuple[str, str]]:
    """What the shapes find in a text: kinds and secrets."""
    found: list[tuple[str, str]] = []
    shapes.replace_shapes(text, lambda kind, secret: found.append((kind, secret)) or "")  # type: ignore[func-returns-value]
    return found


def _pieces(secret: str) -> list[str]:
    """Parts of a secret: its middle, and the lines of a key file."""
    lines = [line for line in secret.split("\n") if "-----" not in line]
    return [line[len(line) // 3 : -2] for line in lines]


@pytest.mark.parametrize(
    "run",
    [
        '"a' + "\\" * 25_000 + '"',
        "-----BEGIN PRIVATE KEY-----" + "\\" * 25_000 + "-----END PRIVATE KEY-----",
        '"secret-key": "the key' + " " * 25_000 + '"',
        '"connection_string": "a://' + ":" * 25_000 + '"',
    ],
    ids=["quoted", "private-key", "field", "connection"],
)
def test_a_run_of_one_character_is_no_work(run: str) -> None:
    """No clock is read: were the search quadratic in such a run, this would take minutes."""
    assert "hunter2x9" not in Redactor({}).text(f'{run} "password": "hunter2x9"')


@pytest.mark.parametrize("kind", sorted({kind for kind, secret in SECRETS if "://" not in secret}))
def test_a_key_is_found_in_the_path_of_a_url(kind):
    """What stands in front of the key, a port and slashes, could be letters of a longer one."""
    secret = next(secret for each, secret in SECRETS if each == kind)
    for url in (
        f"http://127.0.0.1:44049/{secret}/x",
        f"http://h/{secret}?q=1",
        f"https://example.com/a/b/{secret}",
    ):
        assert secret not in Redactor({}).value(url)
