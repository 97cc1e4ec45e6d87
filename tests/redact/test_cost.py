"""What redaction costs: calls that grow with the text and no faster, and few of them for each secret."""

from __future__ import annotations

import base64
import json
import random
import string
import sys
from urllib.parse import quote

import pytest

from pytest_sparrow.redact import Redactor
from tests.redact.many import random_text

_CALLS = 110
"""Calls of functions for each secret; there were up to 300 of them, and 400 kB of settings cost seconds."""

TEXTS = {
    "settings": lambda n, secret: f"API_KEY_{n}={secret}\n",
    "settings, quoted": lambda n, secret: f"client_secret_{n}: '{secret}'\n",
    "json": lambda n, secret: f'{{"user": {n}, "password": "{secret}"}}\n',
    "urls with a user": lambda n, secret: f"postgres://app:{secret}@db.example.com/{n}\n",
    "queries": lambda n, secret: f"https://a.example.com/{n}?token={secret}&q=1\n",
    "markup": lambda n, secret: f"<apikey>{secret}</apikey><n>{n}</n>\n",
    "keys": lambda n, secret: f"{n} sk-proj-{secret * 2}\n",
    "prose": lambda n, _: f"The key to {n} is on the table: whoever has the token may pass.\n",
}


_BASE62 = string.ascii_letters + string.digits


def _lines(kind: str) -> list[str]:
    """The same ones whatever ran before: a secret that begins like a vendor's key by chance costs a search of all."""
    chance = random.Random(7)
    return [TEXTS[kind](number, "".join(chance.choices(_BASE62, k=24))) for number in range(600)]


def _calls(text: str) -> int:
    """How many functions one redaction calls; the secrets learned before are looked for, too."""
    redactor, count = Redactor({}), 0

    def called(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        redactor.value(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("kind", TEXTS)
def test_a_secret_costs_a_bounded_number_of_calls_in_a_text_of_any_size(kind):
    """Behind the first ones, which are learned, each further line costs the same, and little."""
    lines = _lines(kind)
    # The first look fills what is kept for the whole session.
    _, few, some, many = (_calls("".join(lines[:count])) for count in (600, 200, 400, 600))
    assert many - some <= 1.2 * (some - few) + 200
    assert (many - some) / 200 <= _CALLS


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param(lambda secret: f"seen {secret} there", id="as it is"),
        pytest.param(lambda secret: base64.b64encode(f"the word {secret}".encode()).decode(), id="base64"),
        pytest.param(
            lambda secret: base64.b64encode(base64.b64encode(f"a word {secret}".encode())).decode(),
            id="base64, twice",
        ),
        pytest.param(lambda secret: quote(json.dumps({"x": secret}), safe=""), id="percent"),
        pytest.param(lambda secret: "".join(f"%{ord(c):02X}" for c in secret), id="percent, every letter"),
    ],
)
def test_a_secret_that_is_learned_is_hidden_further_up(earlier):
    """However it is encoded there: cleaned again is what holds it."""
    secret = "q7" + random_text(24) + "4d"
    clean = json.dumps(Redactor({}).value([earlier(secret), {"api_key": secret}]))
    assert earlier(secret) not in clean
    assert secret not in clean


@pytest.mark.parametrize("text", ["{}", "x {}", "{} x", "{}\n{}"], ids=["alone", "behind", "before", "twice"])
def test_one_of_many_known_secrets_is_found_in_a_short_text(text):
    """A short text is looked up by its letters where many secrets are known."""
    secrets = {f"SERVICE_{number}_TOKEN": random_text(20) for number in range(60)}
    redactor = Redactor(secrets)
    for secret in secrets.values():
        assert secret not in redactor.value(text.format(secret, secret))
