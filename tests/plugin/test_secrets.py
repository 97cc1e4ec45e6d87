"""No secret reaches a file, a report or a captured output, whatever field it came through."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from full import FULL

from plugin.leaking import leaking
from tests.redact.many import ENVIRONMENT, LOOK_ALIKES, WITH_CHECKSUMS
from tests.redact.synthetic import SECRETS

ALL = [*SECRETS, *WITH_CHECKSUMS, *((name.lower(), value) for name, value in ENVIRONMENT.items())]
ONE_OF_EACH_KIND = list(dict(reversed(ALL)).items())
TEST = """
    import json
    import os
    from pathlib import Path

    import httpx
    import pytest

    from leak import leak

    TEXTS = json.loads(Path("texts.json").read_text(encoding="utf-8"))

    def test_leak(sparrow):
        with httpx.Client() as client:
            for text in TEXTS:
                leak(sparrow, client, text, "LOOK_ALIKES" not in os.environ)

    def test_task(sparrow):
        for number, text in enumerate(TEXTS):
            with sparrow.run(f"r{number}", task=text) as run:
                run.call("one", int, 1)
"""


def spellings(secret):
    """A secret as a file or a terminal may spell it, and each half of it."""
    escaped = json.dumps(secret)[1:-1]
    shown = repr(secret)[1:-1]
    plain = {secret, escaped, json.dumps(escaped)[1:-1], shown, json.dumps(shown)[1:-1]}
    plain |= {quote(secret, safe=""), quote_plus(secret)}
    half = len(secret) // 2
    if half >= 14 and not secret.startswith("-----BEGIN"):
        plain |= {secret[:half][-14:], secret[half:][:14]}
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {*plain, encoded[:-1] if len(encoded) > 12 else encoded}


def leaked(where, secrets):
    """Which of the secrets stand in which of the texts."""
    spelled = [(kind, spelling) for kind, secret in secrets for spelling in spellings(secret)]
    # Most files are in the folders of the many short runs: what stands in none of the texts is looked for once.
    whole = "\n".join(where.values())
    found = [(kind, spelling) for kind, spelling in spelled if spelling in whole]
    return [(kind, name) for name, text in where.items() for kind, spelling in found if spelling in text]


def everything(inner, result):
    """Every file that the plugin wrote, and every output."""
    files = {name: data.decode() for name, (data, _) in inner.files().items()}
    files |= {path.name: path.read_text(encoding="utf-8") for path in inner.path.glob("*.xml")}
    return {**files, "stdout": result.stdout.str(), "stderr": result.stderr.str()}


@pytest.fixture
def world(inner):
    """The world that says everything back, and keys in the environment."""
    inner.env(**ENVIRONMENT)
    with leaking(inner):
        yield


@pytest.mark.usefixtures("world")
def test_no_secret_is_written(inner):
    """A secret of each fourth kind, each through every kind of field: none in any file or output; replays.

    All of over eighty go through the redactor in ``tests/redact``, and with ``SPARROW_TEST_FULL`` through every field.
    """
    assert len(ALL) >= 80
    secrets = ALL if FULL else ONE_OF_EACH_KIND[::4]
    assert len(secrets) >= 25
    inner.write("test_it.py", TEST)
    inner.write("texts.json", json.dumps([secret for _, secret in secrets]))
    result = inner.record("--junitxml=out.xml")
    result.assert_outcomes(passed=2)
    assert leaked(everything(inner, result), secrets) == []
    result = inner.replay("--junitxml=out.xml")
    result.assert_outcomes(passed=2)
    assert leaked(everything(inner, result), secrets) == []


@pytest.mark.usefixtures("world")
def test_look_alikes_stay(inner):
    """Two hundred timestamps, ids, hashes, order numbers and images are no secrets: nothing of them is changed.

    Each goes through the redactor in ``tests/redact``; here every twelfth of them goes through every field.
    """
    assert len(LOOK_ALIKES) >= 200
    some = LOOK_ALIKES[:: 1 if FULL else 12]
    inner.write("test_it.py", TEST)
    inner.write("texts.json", json.dumps(some))
    inner.env(LOOK_ALIKES="1")
    inner.record().assert_outcomes(passed=2)
    for name, (data, _) in inner.files().items():
        assert b"<secret:" not in data, (name, data[data.index(b"<secret:") - 200 :][:300])
    inner.replay().assert_outcomes(passed=2)
