"""What is printed, what users say, and names: secrets in reports, rules of one's own, ids of tests."""

from __future__ import annotations

import json

from tests.full import FULL
from tests.redact.many import WITH_CHECKSUMS
from tests.redact.test_notations import NOTATIONS, ROWS

KEY, OTHER = WITH_CHECKSUMS[0][1], WITH_CHECKSUMS[1][1]

FAILING = f"""
    import logging
    import os

    KEY = {KEY[:12]!r} + {KEY[12:]!r}

    def send(text: str) -> str:
        return "ok"

    def test_send(sparrow):
        sparrow.tool(send)
        print("printed", KEY)
        logging.warning("logged %s", KEY)
        send(KEY if os.environ.get("LEAK") else "nothing")
        assert not os.environ.get("FAIL"), KEY
"""


def shown(inner, result):
    xml = (inner.path / "out.xml").read_text(encoding="utf-8")
    return result.stdout.str() + result.stderr.str() + xml


def test_failures_and_captured_output_are_clean(inner):
    """A failing assert, print and log hold no secret, on the terminal and in JUnit's XML; nor does a divergence."""
    inner.write("test_it.py", FAILING)
    inner.record().assert_outcomes(passed=1)
    inner.env(FAIL="1")
    result = inner.run("--sparrow-mode=off", "--junitxml=out.xml", "-o", "junit_logging=all", "--tb=short")
    result.assert_outcomes(failed=1)
    assert KEY not in shown(inner, result)
    assert "<secret:github-token:1>" in shown(inner, result)
    inner.unset("FAIL")
    inner.env(LEAK="1")
    result = inner.replay("--junitxml=out.xml", "-o", "junit_logging=all")
    result.assert_outcomes(failed=1)
    assert KEY not in shown(inner, result)
    assert "send(text)" in result.stdout.str() or "<secret:github-token" in result.stdout.str()


EVERYWHERE = f"""
    import logging
    import warnings

    import pytest

    KEY = {KEY[:12]!r} + {KEY[12:]!r}
    PASSWORD = {"q7Xk2mVb9Z"!r} + {"pL4wTn8RdQ3s"!r}
    TEXT = f"password={{PASSWORD}} {{KEY}}"

    @pytest.fixture(autouse=True)
    def run(sparrow):
        sparrow.call("f", int, 1)

    def test_warning():
        warnings.warn(TEXT)

    @pytest.mark.xfail
    def test_xfail():
        pytest.xfail(TEXT)

    def test_skip():
        pytest.skip(TEXT)

    def test_property(record_property):
        record_property("password", PASSWORD)
        record_property("said", TEXT)
        record_property("count", 3)

    def test_locals():
        password, secret_key = PASSWORD, KEY
        assert not password

    def test_note():
        error = ValueError(TEXT)
        error.add_note(TEXT)
        raise error

    def test_cause():
        try:
            raise KeyError(TEXT)
        except KeyError as error:
            raise RuntimeError(TEXT) from error

    def test_group():
        raise ExceptionGroup(TEXT, [ValueError(TEXT)])

    def test_log():
        logging.getLogger("x").error("said %s", TEXT)
        pytest.fail(TEXT)

    @pytest.fixture
    def ending():
        yield
        raise ValueError(TEXT)

    def test_teardown(ending):
        print(TEXT)
"""


_WARNINGS = ("-W", "always", "-o", "junit_family=legacy")


def test_whatever_a_test_says_is_clean(inner):
    """Warnings, reasons, properties, locals, notes, causes, groups, logs, ends of fixtures: shown, and in JUnit."""
    inner.write("test_it.py", EVERYWHERE)
    result = inner.record("--junitxml=out.xml", "-o", "junit_logging=all", "-l", "-rA", *_WARNINGS)
    result.assert_outcomes(passed=3, failed=5, skipped=1, xfailed=1, errors=1, warnings=1)
    said = shown(inner, result)
    assert 'name="count" value="3"' in said
    for part in (KEY, "q7Xk2mVb9Z" + "pL4wTn8RdQ3s"):
        assert part not in said
    assert not any(part in data.decode() for data, _ in inner.files().values())


NOTED = """
    import json
    import logging
    import sys
    import warnings
    from pathlib import Path

    import pytest

    TEXTS = json.loads(Path("texts.json").read_text(encoding="utf-8"))

    @pytest.fixture(autouse=True)
    def run(sparrow):
        sparrow.call("f", int, 1)

    def test_says(record_property):
        for number, text in enumerate(TEXTS):
            print(text)
            print(text, file=sys.stderr)
            record_property(f"note {number}", text)
            warnings.warn(text)
            logging.getLogger("x").error(text)
        pytest.fail("\\n\\n".join(TEXTS))
"""


def test_no_notation_is_shown(inner):
    """A secret in each notation: printed, warned of, logged, a property, a failure; shown, and in JUnit."""
    secret = "q7" + "Xk2mVb9ZpL4wTn8RdQ3sYc6J" + "4d"
    notations = dict(list({**NOTATIONS, **ROWS}.items())[:: 1 if FULL else 3])
    inner.write("texts.json", json.dumps([text.format(secret) for text in notations.values()]))
    inner.write("test_it.py", NOTED)
    result = inner.record("--junitxml=out.xml", "-o", "junit_logging=all", "-rA", *_WARNINGS)
    result.assert_outcomes(failed=1, warnings=len(notations))
    said = shown(inner, result)
    at = said.find(secret)
    assert at < 0, said[max(0, at - 200) : at]


def test_a_secret_in_a_tests_id_is_refused(inner):
    """A golden's folder would be named after it: refused with the way out, and nothing of ours repeats it."""
    inner.write(
        "test_it.py",
        f"""
        import pytest

        @pytest.mark.parametrize("key", [{KEY[:12]!r} + {KEY[12:]!r}])
        def test_it(sparrow, key):
            sparrow.call("f", int, 1)
        """,
    )
    result = inner.record()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the test's id holds a secret*pytest.param(key, id='admin-key')*"])
    assert not any("ghp" in path.name for path in inner.path.rglob("*") if "__sparrow__" in path.parts)


RULES = """
    SAY = "the token of the lamp: " + "q7A9zR2xK5mW8bT1" + "cV4nH3s"

    def greet(name: str, iban: str) -> dict:
        return {"name": name, "iban": iban, "by": "ACME-12345678", "who": "Jane Roe", "say": SAY}

    def test_greet(sparrow):
        sparrow.tool(greet)
        greet("cust_0123456789abcdef", "DE02 1203")
"""


def test_rules_of_ones_own(inner):
    """Rules of ini, marker and plugins hide what they name; what looks like a secret is said; a replay is equal."""
    inner.write("test_it.py", RULES)
    inner.write(
        "pytest.ini",
        """
        [pytest]
        sparrow_secrets =
            customer = cust_[0-9a-f]{16}
            ACME-[0-9]{8}
            iban = field:iban
        """,
    )
    inner.write(
        "conftest.py",
        """
        import re

        class People:
            kind = "person"

            def find(self, text):
                return [match.span() for match in re.finditer("Jane Roe", text)]

        def pytest_sparrow_redact(config):
            return [People()]
        """,
    )
    result = inner.record()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_greet: 1 value looks like a secret, and stayed * (exchanges.jsonl:1 *.say): *",
            "sparrow: 4 secrets replaced in what was recorded",
        ]
    )
    written = b"".join(data for data, _ in inner.files().values()).decode()
    for secret in ("cust_0123", "ACME-1234", "DE02", "Jane"):
        assert secret not in written
    for kind in ("customer", "secret", "iban", "person"):
        assert f"<secret:{kind}:1>" in written
    result = inner.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: 1 replayed equal*"])


def test_wrong_rules_are_usage_errors(inner):
    """A pattern that is none, or that finds everything, and a word that is no kind: named with where it was said."""
    inner.write("test_it.py", RULES)
    for line, text in (
        ("sparrow_secrets=a = (", "*-o sparrow_secrets: '(' is no regular expression*"),
        ("sparrow_secrets=x*", "*-o sparrow_secrets: 'x[*]' finds a secret in the empty text*"),
        ("sparrow_not_secret=A B", "*-o sparrow_not_secret: 'A B' is neither a kind*"),
    ):
        result = inner.refused("--sparrow-record", "-o", line)
        assert result.ret == 4
        result.stderr.fnmatch_lines([text])


def test_what_is_allowed_is_recorded(inner):
    """A kind that is said to be no secret is neither hidden nor refused."""
    inner.write("test_it.py", FAILING)
    inner.env(LEAK="1")
    inner.record("-o", "sparrow_not_secret=github-token").assert_outcomes(passed=1)
    written = b"".join(data for data, _ in inner.files().values()).decode()
    assert json.dumps(KEY) in written


def test_what_only_the_scanner_knows_fails_the_recording(inner):
    """A secret that the redactor doesn't know fails the test, though the agent swallows the error; no file holds it."""
    inner.write(
        "test_it.py",
        """
        import os

        def note(text: str) -> str:
            return "ok"

        def test_it(sparrow):
            sparrow.tool(note)
            try:
                note("AC" + "0a1b2c3d4e5f6789" * 2 + " auth goes on as " + "9f8e7d6c5b4a3210" * 2)
            except Exception:
                pass
        """,
    )
    result = inner.record()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*holds a secret (twilio-token)*"])
    assert "9f8e7d6c5b4a3210" not in b"".join(data for data, _ in inner.files().values()).decode()
