"""Allow-listed environment variables: noted, replayed, and nothing left behind."""

import os

import pytest

from pytest_sparrow.boundaries.world.environment import (
    ReplayedEnvironment,
    Zone,
    environment_to_record,
    refused_variable,
)
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


STEERING = [
    *(
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "GIT_CONFIG_COUNT",
        "GIT_SSH_COMMAND",
    ),
    *(
        "PATH",
        "HOME",
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "PERL5LIB",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
    ),
    *(
        "PYTEST_PLUGINS",
        "SPARROW_MODE",
        "PAGER",
        "https_proxy",
        "SSL_CERT_FILE",
        "AWS_CONFIG_FILE",
        "KUBECONFIG",
    ),
    *("DOTNET_STARTUP_HOOKS", "npm_config_script_shell"),
]


@pytest.mark.parametrize("name", STEERING)
def test_what_steers_programs_must_be_named_as_it_is(name):
    """Neither a golden nor a pattern may set it, and no pattern records or removes it; its own name may."""
    assert refused_variable({name: "x"}, ()) is not None
    assert refused_variable({name: "x"}, ("*", f"{name[:3]}*")) is not None
    assert refused_variable({name: "x"}, None) == (name, "steers interpreters, loaders or other programs")
    assert refused_variable({name: "x"}, (name,)) is None
    assert environment_to_record(["*"], Redactor({}), {name: "x"}) == {"*": None}
    assert environment_to_record([name], Redactor({}), {name: "x"}) == {name: "x"}
    environ = {name: "x", "OTHER": "y"}
    ReplayedEnvironment({"*": None}, environ).set()
    assert environ == {name: "x"}


def test_a_golden_names_no_variable_of_its_own():
    """The settings must name it, by name or pattern; where nobody knows them, only what steers programs is refused."""
    assert (
        refused_variable({"REGION": "eu", "FEATURE_A": "on", "FEATURE_*": None}, ("REGION", "FEATURE_*"))
        is None
    )
    name, reason = refused_variable({"REGION": "eu", "OTHER": "x"}, ("REGION",)) or ("", "")
    assert (name, reason) == ("OTHER", "is not named by the setting env of this test")
    assert refused_variable({"*": None}, ("REGION",)) is not None
    assert refused_variable({"REGION": "eu"}, None) is None
    for shape in (None, [], "PATH", ["PATH"], 7):
        assert refused_variable(shape, ()) is None


@pytest.mark.parametrize(
    ("name", "value"), [("A\0", "x"), ("A", "x\0"), ("A=B", "x"), ("", "x"), ("A", "\ud800")]
)
def test_what_no_system_can_set_is_refused(name, value):
    """Whatever the settings say: an error of the system would name neither the golden nor the line."""
    assert refused_variable({name: value}, ("*",)) == (
        name,
        "is no environment variable that a system can set",
    )


@pytest.mark.parametrize(
    "noted", [{"zone": "../../etc/passwd"}, {"tz": ":/etc/passwd"}, {"zone": "/x", "tz": "../x"}]
)
def test_no_golden_decides_which_file_is_a_time_zone(noted, monkeypatch):
    """A path is no zone: the variable stays as it is."""
    monkeypatch.setenv("TZ", "UTC")
    Zone(noted, 0).set()
    assert os.environ["TZ"] == "UTC"
