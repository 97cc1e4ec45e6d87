"""What looks like a secret and can't be decided is said, with its path; what is sent all the time is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.doubtful import doubtful
from tests.redact.many import LOOK_ALIKES

VALUE = "q7A9zR2xK5mW8bT1cV4n"
TEXT = "Qx7f3A9c01Z77aa4bG1199"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"siteKey": VALUE}, "siteKey"),
        ({"answered": {"json": [{"acme_credential": VALUE}]}}, "answered.json[0].acme_credential"),
        ({"body": {"text": f"use this key: {VALUE} for now"}}, "body.text"),
        ({"said": f"My token for staging is {VALUE}."}, "said"),
        ({"arguments": json.dumps({"x-widget-secret": VALUE})}, "arguments.x-widget-secret"),
        ({"sse": ["data: " + json.dumps({"delta": f"the secret {VALUE}"})]}, "sse[0].delta"),
        ({"said": f"staging secret (prod) -> [{VALUE}]"}, "said"),
        ({"mail": f"Open https://shop.example.test/password-reset/{VALUE} today"}, "mail"),
        ({"hook": f"https://x.example.test/hooks/{VALUE}"}, "hook"),
    ],
    ids=["field", "deep", "text", "sentence", "argument", "event", "signs", "link", "hook"],
)
def test_what_looks_like_a_secret_is_found_with_its_path(value: object, path: str) -> None:
    """In a field whose name says so, behind such a word in a text, in JSON within a text and in an event."""
    assert list(doubtful(json.dumps(value).encode())) == [(VALUE, path)]


def test_hexadecimal_digits() -> None:
    """A digest is none, but as the key of a site or a client, and as the answer to a challenge."""
    digest = "9f14e45fceea167a5a36dedd4bea2543"
    challenge = f'Authorization: Digest username="bob", nonce="x", uri="/", response="{digest}"'
    for value in ({"site_key": digest}, {"text": challenge}):
        assert [found for found, _ in doubtful(json.dumps(value).encode())] == [digest]
    for value in ({"key": digest}, {"etag": digest}, {"text": f"response={digest}, cache key {digest}"}):
        assert not list(doubtful(json.dumps(value).encode()))


@pytest.mark.parametrize(
    "key",
    [
        "9f14e45fceea167a5a36dedd4bea2543-1a2b3c4d-5e6f7a8b",
        "9f14e45fceea167a5a36dedd4bea2543-us12",
        "1a2b3c4d5emsh9f14e45fceea167p1a5a36djsn4bea2543fc1e",
    ],
    ids=["mailgun", "mailchimp", "rapidapi"],
)
def test_keys_that_only_their_build_gives_away(key: str) -> None:
    """Without a name or a prefix: said, wherever they stand, but not as a part of something longer."""
    for value in ({"said": key}, {"said": f"use {key}."}):
        assert list(doubtful(json.dumps(value).encode())) == [(key, "said")]
    assert not list(doubtful(json.dumps({"id": f"{key}-1", "etag": f"a{key}"}).encode()))


@pytest.mark.parametrize(
    "value",
    [
        {"encrypted_content": VALUE * 8, "obfuscation": VALUE, "thoughtSignature": VALUE, "signature": VALUE},
        {"next_page_token": VALUE, "continuation_token": VALUE, "cache_key": VALUE, "public_key": VALUE},
        {"key": "call_" + VALUE, "token": "f" * 40, "id": VALUE, "etag": VALUE, "prompt_cache_key": VALUE},
        {
            "key": "550e8400-e29b-41d4-a716-446655440000",
            "hash_key": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
        },
        {"token": "<secret:token:1>", "key": "uploads/2026/11/Report-Final-V2.pdf"},
        {"b64_json": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"},
        {"text": "The key idea is that tokenization of getUserProfileByIdAndName works."},
        {
            "uri": f"https://search.example.test/grounding-api-redirect/{VALUE}==",
            "html": f"auth-redirect/{VALUE}",
        },
        *LOOK_ALIKES,
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_sent_all_the_time_is_not(value: object) -> None:
    """Ids, hashes, pictures, signatures, encrypted reasoning, cursors, placeholders, names in code."""
    assert not list(doubtful(json.dumps({"note": value}).encode()))
    assert not list(doubtful(b"no JSON, token " + VALUE.encode()))


def test_real_traffic_is_silent() -> None:
    """The goldens of the tests, and real traffic where there is some, hold nothing that is said."""
    data = Path(__file__).parents[1] / "data"
    for path in (*data.glob("goldens/**/*.jsonl"), *data.glob("transcripts/**/*.jsonl")):
        for line in path.read_bytes().splitlines():
            assert not list(doubtful(line)), path
    folder = os.environ.get("SPARROW_TEST_CASSETTES")
    for cassette in sorted(Path(folder).glob("*.yaml"))[::6] if folder else ():
        for exchange in yaml.load(cassette.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))[
            "interactions"
        ]:
            shown = json.dumps(Redactor({}).value(exchange["response"]), default=str)
            assert not list(doubtful(shown.encode())), cassette.name
