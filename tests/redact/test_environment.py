from __future__ import annotations

import json

import pytest

from pytest_sparrow.events import jsontext
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.known import environment_secrets


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("OPENAI_API_KEY", "openai-key"),
        ("GEMINI_API_KEY", "google-key"),
        ("HF_TOKEN", "huggingface-token"),
        ("REPLICATE_API_TOKEN", "replicate-token"),
        ("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key"),
        ("AWS_ACCESS_KEY_ID", "aws-access-key-id"),
        ("DB_PASSWORD", "db-password"),
        ("PGPASSWORD", "pgpassword"),
        ("MY_SECRET_SAUCE", "my-secret-sauce"),
        ("GITHUB_PAT", "github-pat"),
        ("AUTHORIZATION", "authorization"),
        ("GOOGLE_CREDENTIALS", "google-credentials"),
        ("SENTRY_DSN", "sentry-dsn"),
        ("session_token", "session-token"),
        ("GITHUB_TOKEN_2", "github-token-2"),
        ("SIGNING_KEY2", "signing-key2"),
        ("GITHUB_TOKEN_OLD", "github-token-old"),
        ("ADMIN_TOKENS", "admin-tokens"),
        ("DB_PASSWD_RO", "db-passwd-ro"),
    ],
)
def test_a_secret_variable_is_known(name: str, kind: str) -> None:
    """The value of a variable whose name looks secret is replaced, under the kind of the variable."""
    redactor = Redactor({name: "no-shape-at-all-91"})
    value = {"text": "it is no-shape-at-all-91!", "args": json.dumps({"x": "no-shape-at-all-91"})}
    text = redactor.line(jsontext.encode(value)).decode()
    assert "no-shape" not in text
    assert text.count(f"<secret:{kind}:1>") == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "short12"),
        ("FEATURE_KEY", "development"),
        ("DEBUG_TOKEN", "undefined"),
        ("BUILD_KEY", "1234567890"),
        ("SSL_KEY", "/etc/ssl/private/key.pem"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/.config/gcloud/creds.json"),
        ("AUTH_TOKEN", "https://auth.example.com/token"),
        ("PWD", "/work/space-91x"),
        ("SSH_PUBLIC_KEY", "ssh-ed25519 AAAAC3Nz91"),
        ("MONKEYS", "no-shape-at-all-91"),
        ("PATH", "no-shape-at-all-91"),
        ("KEYBOARD", "no-shape-at-all-91"),
        ("SIGNING_KEY_ID", "no-shape-at-all-91"),
        ("TOKENIZER", "all-MiniLM-L6-v2"),
        ("TOKEN_MODEL", "all-MiniLM-L6-v2"),
        ("ADMIN_PASSWORD", "Password1"),
        ("ADMIN_PASSWORD", "nevertellanyone"),
        ("DATABASE_URL", "postgres://app:short-1@db:5432/x"),
        ("DATABASE_URL", "postgres://postgres:postgres@db:5432/x"),
        ("DATABASE_URL", "postgres://db:5432/x"),
    ],
)
def test_a_harmless_variable_is_not(name: str, value: str) -> None:
    """Short values, words, numbers, paths and URLs are no secrets, and neither is any other variable's."""
    assert environment_secrets({name: value}) == {}


@pytest.mark.parametrize("value", ["a1-b2-c3", "AbCdEfGhIj", "nevertellanyone" + "x", "no such thing"])
def test_what_is_just_long_or_odd_enough_is_known(value: str) -> None:
    """Eight characters, letters that make no word, or a word of sixteen: no text is so by chance."""
    assert Redactor({"ADMIN_PASSWORD": value}).value(value) == "<secret:admin-password:1>"
    url = value.replace(" ", "%20")
    if value.isalnum():
        assert environment_secrets({"A_URL": f"redis://u:{url}@h"}) == {value: "password"}


def test_a_secret_is_found_in_every_spelling() -> None:
    """Quotes, backslashes, slashes and non-ASCII characters don't hide a secret in JSON or a URL."""
    secret = 'p"ä\\s/w+d 1&2'
    redactor = Redactor({"DB_PASSWORD": secret})
    for text in (
        secret,
        json.dumps({"x": secret}),
        json.dumps({"x": json.dumps({"y": secret})}),
        f"ValueError({secret!r})",
        json.dumps({"error": f"ValueError({secret!r})"}),
        json.dumps({"x": secret}, ensure_ascii=False)[:-1],
        json.dumps(json.dumps({"x": secret}))[2:-2],
        "https://x.example/p%22%C3%A4%5Cs%2Fw%2Bd%201%262/y",
        "https://x.example/?a=p%22%C3%A4%5Cs%2Fw%2Bd+1%262",
    ):
        clean = redactor.line(jsontext.encode([text])).decode()
        assert "<secret:db-password:1>" in clean, text
        assert redactor._cleaner.value([text]) == jsontext.decode(clean)


def test_a_password_in_a_url_of_any_variable() -> None:
    """A URL with userinfo gives its password away, percent-encoded or not; the URL itself stays."""
    redactor = Redactor({"DATABASE_URL": "postgres://app:s3cr%2Ft-pw@db:5432/x"})
    assert redactor.value(["is s3cr/t-pw"]) == ["is <secret:password:1>"]
    assert redactor.value(["is s3cr%2Ft-pw"]) == ["is <secret:password:1>"]
    assert redactor.value(["postgres://app:s3cr%2Ft-pw@db:5432/x"]) == [
        "postgres://app:<secret:password:1>@db:5432/x"
    ]


def test_the_variable_names_the_kind() -> None:
    """A dummy key gets the kind that the real one has by its shape, so that replay equals recording."""
    real = Redactor({"OPENAI_API_KEY": "sk-proj-" + "a1B2" * 12}).value({"k": "sk-proj-" + "a1B2" * 12})
    dummy = Redactor({"OPENAI_API_KEY": "sparrow-dummy-openai"}).value({"k": "sparrow-dummy-openai"})
    by_shape = Redactor({}).value({"k": "sk-proj-" + "a1B2" * 12})
    assert real == dummy == by_shape == {"k": "<secret:openai-key:1>"}


def test_a_word_like_secret_must_stand_alone() -> None:
    """A value that reads like a word isn't cut out of longer words."""
    redactor = Redactor({"OPENAI_API_KEY": "test-key"})
    value = ["the latest-keys and test-keyboards"]
    assert redactor.value(value) is value
    assert redactor.value(["Bearer test-key."]) == ["Bearer <secret:openai-key:1>."]
    long = ["correcthorsebatterystaples"]
    assert Redactor({"OPENAI_API_KEY": long[0][:-1]}).value(long) is long


def test_os_environ_is_read_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the process's environment counts, as it is when the redactor is made."""
    monkeypatch.setenv("SPARROW_TEST_TOKEN", "no-shape-at-all-91")
    redactor = Redactor()
    monkeypatch.delenv("SPARROW_TEST_TOKEN")
    assert redactor.value("x no-shape-at-all-91") == "x <secret:sparrow-test-token:1>"
    assert redactor.fresh().value("no-shape-at-all-91") == "<secret:sparrow-test-token:1>"
