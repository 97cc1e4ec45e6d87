"""Allow-listed environment variables in tests that record and replay."""

TESTS = """
    import os

    import pytest

    def act(region: str) -> str:
        return region

    @pytest.mark.sparrow(env=["REGION", "FEATURE_*", "GONE"])
    def test_agent(sparrow):
        sparrow.tool(act)
        act(os.environ["REGION"])
        act(",".join(f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith("FEATURE_")))
        act(os.environ.get("GONE", "absent"))

    @pytest.fixture
    def outer():
        yield
        assert os.environ["REGION"] == os.environ["EXPECTED"], "the test is over, and its environment too"

    @pytest.mark.sparrow(env="REGION")
    def test_teardown(outer, sparrow):
        sparrow.tool(act)
        act(os.environ["REGION"])

    @pytest.mark.sparrow(env="REGION")
    def test_patched(monkeypatch, sparrow):
        sparrow.tool(act)
        act(os.environ["REGION"])
        monkeypatch.setenv("REGION", "patched")
        act(os.environ["REGION"])
        with sparrow.run("second") as second:
            second.tool(act)
            act(os.environ["REGION"])

    def test_after():
        assert os.environ["REGION"] == os.environ["EXPECTED"]
        assert os.environ.get("GONE") == os.environ.get("EXPECTED_GONE")
"""


def test_what_was_recorded_is_set_again(inner):
    """With another environment the agent sees the recorded variables, absent ones absent; later tests don't."""
    inner.write("test_it.py", TESTS)
    inner.env(REGION="eu", FEATURE_A="on", EXPECTED="eu")
    inner.record().assert_outcomes(passed=4)
    inner.unset("FEATURE_A")
    inner.env(REGION="us", FEATURE_B="off", GONE="here", EXPECTED="us", EXPECTED_GONE="here")
    inner.replay().assert_outcomes(passed=4)


def test_it_is_noted_in_the_inputs(inner):
    """config_snapshot holds values, and null for what was absent."""
    inner.write("test_it.py", TESTS)
    inner.env(REGION="eu", FEATURE_A="on", EXPECTED="eu")
    inner.record("-k", "agent").assert_outcomes(passed=1, deselected=3)
    noted = inner.inputs("test_it/test_agent")["config_snapshot"]["env"]
    assert noted == {"REGION": "eu", "FEATURE_*": None, "GONE": None, "FEATURE_A": "on"}


def test_a_golden_sets_no_variable_of_its_own(inner):
    """A golden that names more than the settings is refused by file and line, and sets nothing; the others go on."""
    inner.write("test_it.py", TESTS)
    inner.env(REGION="eu", FEATURE_A="on", EXPECTED="eu")
    inner.record().assert_outcomes(passed=4)
    golden = inner.golden("test_it/test_teardown")
    for name, there, instead in (
        ("inputs.json", '"REGION": "eu"', '"GIT_CONFIG_COUNT": "1"'),
        ("meta.json", '"sha256"', '"other"'),
    ):
        text = (golden / name).read_text(encoding="utf-8")
        assert there in text
        (golden / name).write_text(text.replace(there, instead), encoding="utf-8")
    result = inner.replay()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "the golden names an environment variable that it may not set",
            "*inputs.json:*: env: GIT_CONFIG_COUNT is not named by the setting env of this test, and it steers*",
        ]
    )


def test_a_secret_is_refused(inner):
    """A test that wants to record one fails, naming it and not its value; nothing is written."""
    inner.write(
        "test_it.py",
        """
        def test_agent(sparrow):
            pass
        """,
    )
    inner.write("pytest.ini", "[pytest]\nsparrow_env =\n    SHOP_*\n")
    inner.env(SHOP_TOKEN="t0p-s3cr3t-value")
    result = inner.record()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*SHOP_TOKEN looks like a secret*"])
    result.stdout.no_fnmatch_line("*t0p-s3cr3t-value*")
    assert inner.goldens() == []


def test_wrong_values_are_usage_errors(inner):
    """A number is no name."""
    inner.write("test_it.py", "import pytest\n\n@pytest.mark.sparrow(env=3)\ndef test_it(sparrow): pass\n")
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*env: 3 is not a string or a list of strings*"])
