"""Secrets that are known by their text: all of them, and each transcript's own."""

from __future__ import annotations

import base64
import itertools
import json

from pytest_sparrow.redact import Redactor

ENVIRON = {
    "BILLING_TOKEN": "wq83hfk2-one",
    "SHOP_SECRET": "vm20xk9s two/three",
    "DESK_PASSWORD": "zzqk4410plmn",
}


def test_every_known_secret_is_found_in_whatever_order_they_are_known():
    """Each of several secrets is hidden under its own kind, in a value, a text and a line."""
    for names in itertools.permutations(ENVIRON):
        redactor = Redactor({name: ENVIRON[name] for name in names})
        for name, secret in ENVIRON.items():
            placeholder = f"<secret:{name.lower().replace('_', '-')}:1>"
            assert redactor.value({"said": f"it is {secret}"}) == {"said": f"it is {placeholder}"}
            assert redactor.value(f"it is {secret}") == f"it is {placeholder}"
            assert redactor.line(f'{{"said":"{secret}"}}'.encode()) == f'{{"said":"{placeholder}"}}'.encode()


def test_a_redactor_knows_its_own_secrets_only():
    """What one redactor knows, from its environment or since, means nothing to the next."""
    knowing, other = Redactor(ENVIRON), Redactor({})
    knowing.value({"client_secret": "kx91mmq2-learned"})
    for text in (*ENVIRON.values(), "kx91mmq2-learned"):
        assert knowing.value(f"it is {text}") != f"it is {text}"
        assert other.value(f"it is {text}") == Redactor({}).value(f"it is {text}") == f"it is {text}"


def test_what_was_harmless_before_a_secret_was_learned_is_looked_at_again() -> None:
    """Base64 of a text that a field's name gives away only later: hidden from then on, whatever stood before."""
    redactor = Redactor({})
    secret = "kx91mmq2-seen-later"
    run = base64.b64encode(f"see: {secret}".encode()).decode()
    line = json.dumps({"output": run}).encode()
    assert redactor.line(line) == redactor.line(line) == line
    assert secret.encode() not in redactor.line(json.dumps({"client_secret": secret}).encode())
    assert run.encode() not in redactor.line(line)
