"""Allow-listed environment variables: noted, replayed, and nothing left behind."""

import pytest

from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment, environment_to_record
from pytest_sparrow.errors import UsageError
from pytest_sparrow.redact import Redactor


def test_only_what_is_allowed_is_noted():
    """Names and patterns; what is absent is noted as absent."""
    environ = {"REGION": "eu", "FEATURE_A": "on", "FEATURE_B": "", "OTHER": "x"}
    noted = environment_to_record(["REGION", "FEATURE_*", "GONE"], Redactor({}), environ)
    assert noted == {"REGION": "eu", "FEATURE_*": None, "GONE": None, "FEATURE_A": "on", "FEATURE_B": ""}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MY_API_KEY", "abc"),
        ("DB_PASSWORD", "hunter2"),
        ("PLAIN", "sk-proj-" + "a1B2" * 12),
        ("DATABASE", "postgres://me:s3cr3tpass@db/x"),
    ],
)
def test_secrets_are_refused(name, value):
    """By name or by value, also where a pattern let them in; the text names the variable, not its value."""
    with pytest.raises(UsageError, match=f"{name} looks like a secret") as caught:
        environment_to_record(["*"], Redactor({}), {name: value})
    assert value not in str(caught.value)


def test_an_empty_secret_is_none():
    """A secret that isn't there can't leak."""
    assert environment_to_record(["MY_API_KEY"], Redactor({}), {"MY_API_KEY": ""}) == {"MY_API_KEY": ""}
    assert environment_to_record(["MY_API_KEY"], Redactor({}), {}) == {"MY_API_KEY": None}


def test_the_recorded_environment_is_set_and_put_back():
    """Values as recorded, absent as recorded (a pattern's too); others are left alone, and all come back."""
    environ = {"REGION": "us", "GONE": "here", "FEATURE_B": "new", "OTHER": "x"}
    before = dict(environ)
    replayed = ReplayedEnvironment(
        {"REGION": "eu", "FEATURE_A": "on", "FEATURE_*": None, "GONE": None}, environ
    )
    replayed.set()
    assert environ == {"REGION": "eu", "FEATURE_A": "on", "OTHER": "x"}
    replayed.restore()
    assert environ == before
    replayed.restore()
    assert environ == before


def test_what_the_test_changes_is_its_own_until_it_undoes_it():
    """A change made meanwhile stays; a change that monkeypatch undoes later goes back to what was."""
    environ = {"REGION": "us", "MODE": "a"}
    replayed = ReplayedEnvironment({"REGION": "eu", "MODE": "b"}, environ)
    replayed.set()
    environ["REGION"], environ["MODE"] = "test", "test"
    replayed.restore()
    assert environ == {"REGION": "test", "MODE": "test"}
    environ["REGION"] = "eu"
    replayed.restore()
    assert environ == {"REGION": "us", "MODE": "test"}


@pytest.mark.parametrize("recorded", [None, [], "x", {"A": 1}, {}])
def test_nothing_recorded_changes_nothing(recorded):
    """A golden without an environment sets none."""
    environ = {"A": "x"}
    ReplayedEnvironment(recorded, environ).set()
    assert environ == {"A": "x"}
