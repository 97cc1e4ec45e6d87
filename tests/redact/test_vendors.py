"""Keys that have no shape of their own, of vendors by name; and objects whose kind makes their members secret."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from pytest_sparrow.redact import Redactor
from tests.redact.many import random_text

_HEX = "0123456789abcdef"
_SMALL = "abcdefghijklmnopqrstuvwxyz0123456789"


def _mixed(length: int) -> str:
    return "q7A" + random_text(length - 3)


def _hex(length: int) -> str:
    return "7af" + random_text(length - 3, _HEX)


_UUID = f"{_hex(8)}-{_hex(4)}-4{_hex(3)}-{_hex(4)}-{_hex(12)}"

NAMED = {
    **dict.fromkeys(("MISTRAL_API_KEY", "CODESTRAL_API_KEY", "AI21_API_KEY"), _mixed(32)),
    **dict.fromkeys(
        ("COHERE_API_KEY", "CO_API_KEY", "CLOUDFLARE_API_TOKEN", "ZENDESK_API_TOKEN"), _mixed(40)
    ),
    **dict.fromkeys(("WANDB_API_KEY", "DEEPGRAM_API_KEY", "DD_APP_KEY", "SEGMENT_WRITE_KEY"), _hex(40)),
    **dict.fromkeys(("DD_API_KEY", "ASSEMBLYAI_API_KEY", "TWILIO_AUTH_TOKEN", "SERPER_API_KEY"), _hex(32)),
    **dict.fromkeys(("HEROKU_API_KEY", "EXA_API_KEY", "SAMBANOVA_API_KEY", "POSTMARK_SERVER_TOKEN"), _UUID),
    "TOGETHER_API_KEY": _hex(64),
    "OKTA_API_TOKEN": f"00{_mixed(40)}",
    "PAGERDUTY_API_TOKEN": f"u+{_mixed(18)}",
    "VERCEL_TOKEN": _mixed(24),
    "NETLIFY_AUTH_TOKEN": _mixed(43),
    "ATLASSIAN_API_TOKEN": _mixed(24),
    "MAILGUN_API_KEY": f"{_hex(32)}-{_hex(8)}-{_hex(8)}",
    "MAILCHIMP_API_KEY": f"{_hex(32)}-us12",
    "DISCORD_CLIENT_SECRET": _mixed(32),
    "AWS_SECRET_ACCESS_KEY": _mixed(40),
    "AWS_SESSION_TOKEN": f"IQoJb3JpZ2lu{_mixed(300)}==",
    "AZURE_CLIENT_SECRET": f"q7A8Q~{_mixed(34)}",
    "AZURE_STORAGE_KEY": f"{_mixed(86)}==",
    "ALGOLIA_API_KEY": _hex(32),
    "ELASTIC_PASSWORD": _mixed(24),
    "PINECONE_API_KEY": _UUID,
    "QDRANT_API_KEY": f"{_mixed(40)}-{_mixed(12)}",
    "WEAVIATE_API_KEY": _mixed(36),
    "INTERCOM_ACCESS_TOKEN": f"dG9r{_mixed(60)}=",
    "ZOOM_CLIENT_SECRET": _mixed(32),
    "SNYK_TOKEN": _UUID,
    "FASTLY_API_TOKEN": _mixed(32),
    "TWITTER_BEARER_TOKEN": f"A7{_mixed(100)}",
    "GITHUB_WEBHOOK_SECRET": _hex(40),
    "SPOTIFY_REFRESH_TOKEN": f"AQ{_mixed(120)}",
    "ASANA_ACCESS_TOKEN": f"1/1200000000000000:{_hex(32)}",
    "SNOWFLAKE_PASSWORD": "Tr0ub4dor&3x",
    "CONFLUENT_API_SECRET": _mixed(64),
    "ACME_KEY": _hex(32),
    "DJANGO_SECRET_KEY": f"django-insecure-{_mixed(50)}",
}
"""A synthetic secret by the vendor's own name of it."""

WRITTEN = {
    "environment echo": lambda name, secret: {"result": f"HOME=/root\n{name}={secret}\nLANG=C\n"},
    "file": lambda name, secret: {"result": f'{name.lower()}: "{secret}"\n'},
    "field": lambda name, secret: {"result": {name.lower(): secret}},
    "camel case": lambda name, secret: {"result": {_camel(name): secret}},
    "argument": lambda name, secret: {"arguments": json.dumps({name.lower(): secret})},
    "list of variables": lambda name, secret: {"env": [{"name": name, "value": secret}]},
    "exception": lambda name, secret: {"error": {"type": "E", "args": [f"401: {name.lower()}={secret}"]}},
}


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(map(str.capitalize, rest))


@pytest.mark.parametrize("name", NAMED)
def test_a_key_by_its_vendors_name(name: str) -> None:
    """Where a key has no shape of its own, its name gives the key away: in fields, texts, forms, queries, headers."""
    secret = NAMED[name]
    # A name of nobody's says enough only where it is a variable's.
    places = {"environment echo": WRITTEN["environment echo"]} if name == "ACME_KEY" else WRITTEN
    for place, write in places.items():
        assert secret not in json.dumps(Redactor({}).answered("tool", write(name, secret))), place
    if name == "ACME_KEY":
        return
    form = {"content-type": "application/x-www-form-urlencoded"}
    asked = {
        "method": "POST",
        "url": f"https://x.test/v1?{urlencode({name.lower(): secret})}",
        "headers": [*form.items(), (f"x-{name.lower().replace('_', '-')}", secret)],
        "body": {"text": urlencode({name.lower(): secret})},
    }
    sent = json.dumps(Redactor({}).asked("http", asked))
    assert secret not in sent
    assert urlencode({"": secret})[1:] not in sent


_KUBE = {"kind": "Secret", "metadata": {"name": "web"}, "data": {"user": "YWRtaW4x", "tls.key": "cXdlcnR5"}}
_MANIFEST = (
    "kind: Secret\nmetadata:\n  name: web\ndata:\n  user: YWRtaW4x\n  tls.key: cXdlcnR5\ntype: Opaque\n"
)
_RSA = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9",
    "e": "AQAB",
    "kid": "1",
    "d": "YWRtaW4x",
    "p": "cXdlcnR5",
}


@pytest.mark.parametrize(
    "value",
    [
        _KUBE,
        json.dumps(_KUBE),
        _MANIFEST,
        {"stringData": {"a": "YWRtaW4x", "b": "cXdlcnR5"}, "kind": "Secret"},
        _RSA,
        {"keys": [_RSA]},
        f'{{"x": {json.dumps(json.dumps(_RSA))}}}',
        {"kty": "web", "cookies": [{"name": "sid", "value": "YWRtaW4x"}, {"name": "b", "value": "cXdlcnR5"}]},
    ],
    ids=["object", "text", "manifest", "plain data", "key", "set of keys", "quoted key", "cookies"],
)
def test_members_that_their_object_makes_secret(value: object) -> None:
    """A Secret of Kubernetes and a private JSON Web Key are secret whatever their members are called."""
    shown = json.dumps(Redactor({}).answered("tool", {"result": value}))
    assert "YWRtaW4x" not in shown
    assert "cXdlcnR5" not in shown
    assert "web" in shown or "AQAB" in shown or "stringData" in shown


@pytest.mark.parametrize("name", ["x-acme-auth", "X-Registry-Auth", "x-acme-key", "acme-key", "x-acme-token"])
def test_a_custom_header_whose_name_says_auth(name: str) -> None:
    """A header of one's own that holds a credential is hidden in requests; an opaque one in answers, too."""
    secret = _mixed(24)
    assert secret not in str(Redactor({}).headers([(name, secret)], answered=False))
    if "key" not in name:
        assert secret not in str(Redactor({}).headers([(name, secret)], answered=True))


@pytest.mark.parametrize(
    "name", ["idempotency-key", "x-cache-key", "x-sort-key", "x-routing-key", "x-auth-user"]
)
def test_a_header_of_a_key_that_opens_nothing(name: str) -> None:
    """A key by which something is found, sorted or sent once counts as it is."""
    for answered in (False, True):
        assert Redactor({}).headers([(name, "orders-2024")], answered=answered) == {name: "orders-2024"}
