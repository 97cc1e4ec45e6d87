"""What a user may say about one run, and where: ini, sparrow_settings of a folder, the marker of a test."""

import pytest

from plugin.chatting import model

TESTS = """
    import pytest
    from agent import agent

    pytestmark = pytest.mark.sparrow(tools="tools.add")

    {marker}
    def test_it(sparrow):
        assert agent() == "It is 3."
"""


@pytest.fixture
def recorded(inner):
    """One test of an agent, recorded, and the model gone."""

    def record():
        with model(inner):
            inner.write("test_it.py", TESTS.format(marker=""))
            inner.record().assert_outcomes(passed=1)
        inner.replay().assert_outcomes(passed=1)

    inner.once(record)
    return inner


def marked(inner, **said):
    words = ", ".join(f"{key}={value!r}" for key, value in said.items())
    inner.write("test_it.py", TESTS.format(marker=f"@pytest.mark.sparrow({words})"))


def test_requests(recorded):
    """A changed prompt: a failure with compare, a remark with report (the scripted replay), nothing with ignore."""
    recorded.env(PROMPT="be brief")
    result = recorded.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*be kind*", "*be brief*", "  accept  *"])
    marked(recorded, requests="report")
    result = recorded.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_it: 2 requests differ from the recorded ones at request.*",
            "sparrow: 1 replayed equal (1 with requests=report)",
        ]
    )
    marked(recorded, requests="ignore")
    result = recorded.replay()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*differ*")


@pytest.mark.parametrize("change", [{"PROMPT": "be brief"}, {"MORE": "100"}])
def test_the_rule_that_is_offered_settles_it(recorded, change):
    """The marker that a report offers, pasted onto the test, makes it green."""
    recorded.env(**change)
    result = recorded.replay()
    result.assert_outcomes(failed=1)
    offered = next(line for line in result.stdout.lines if line.startswith("  ignore  ")).partition(
        "  ignore  "
    )[2]
    recorded.write("test_it.py", TESTS.format(marker=offered))
    recorded.replay().assert_outcomes(passed=1)
    recorded.unset(*change)
    recorded.env(**{"MORE" if "PROMPT" in change else "PROMPT": "9"})
    recorded.replay().assert_outcomes(failed=1)


def test_level(recorded):
    """Level trajectory judges calls with their arguments, and not wording; exact judges both."""
    wording = """
    from pytest_sparrow import Message

    def test_it(sparrow):
        agent()
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text="and more"))
    """
    recorded.write("test_it.py", TESTS.partition("    {marker}")[0] + wording)
    recorded.replay().assert_outcomes(failed=1)
    recorded.run("--sparrow-replay", "-o", "sparrow_level=trajectory").assert_outcomes(passed=1)
    recorded.env(MORE="100")
    result = recorded.run("--sparrow-replay", "-o", "sparrow_level=trajectory")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'b'*", "    golden  2", "    new     102"])


def test_unwrapped(inner):
    """A proposed tool that nobody wrapped: a remark that names it and counts, or a failure, in record and in replay."""
    inner.write("test_it.py", TESTS.format(marker="").replace('(tools="tools.add")', "()"))
    says = "add: proposed once, not wrapped: it ran, and its arguments were not checked"
    with model(inner):
        result = inner.record()
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines([f"test_it.py::test_it: {says}"])
    result = inner.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"test_it.py::test_it: {says}"])
    result = inner.replay("-o", "sparrow_unwrapped=fail")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([says, "FAILED test_it.py::test_it*"])


def test_who_wins(inner):
    """The closest marker wins, key by key; a marker wins over sparrow_settings, that over ini; the rest stays."""
    inner.write("pytest.ini", "[pytest]\nsparrow_agent = ini\n")
    inner.write(
        "folder/conftest.py",
        """
        import pytest

        @pytest.fixture
        def sparrow_settings():
            return {"agent": "folder"}
        """,
    )
    inner.write(
        "folder/test_it.py",
        """
        import pytest

        def agent_of(sparrow):
            sparrow.call("f", int)
            return sparrow.events[0].agent

        def test_folder(sparrow):
            assert agent_of(sparrow) == "folder"

        @pytest.mark.sparrow(agent="class")
        class TestHere:
            def test_class(self, sparrow):
                assert agent_of(sparrow) == "class"

            @pytest.mark.sparrow(level="outcome")
            def test_other_key(self, sparrow):
                assert agent_of(sparrow) == "class"

            @pytest.mark.sparrow(agent="test")
            def test_test(self, sparrow):
                assert agent_of(sparrow) == "test"
        """,
    )
    inner.write(
        "test_top.py",
        "def test_ini(sparrow):\n    sparrow.call('f', int)\n    assert sparrow.events[0].agent == 'ini'\n",
    )
    inner.record().assert_outcomes(passed=5)
    inner.replay().assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("{'colour': 'red'}", "conftest.py: sparrow_settings: unknown setting 'colour'; there are: agent, *"),
        (
            "{'level': 'deep'}",
            "conftest.py: sparrow_settings: level: 'deep' is not one of: exact, trajectory, outcome",
        ),
        (
            "{'mode': 'record'}",
            "conftest.py: sparrow_settings: 'mode' cannot stand here, but in: command line, marker, *; *",
        ),
    ],
)
def test_wrong_folder_settings(inner, said, says):
    """A wrong sparrow_settings is a usage error that names the conftest.py, with one line and without our frames."""
    inner.write("conftest.py", f"import pytest\n@pytest.fixture\ndef sparrow_settings(): return {said}\n")
    inner.write("test_it.py", "def test_it(sparrow): pass\n")
    result = inner.replay()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}"])
    result.stdout.fnmatch_lines([says])
    result.stdout.no_fnmatch_line("*fixture.py*")


def test_wrong_settings_across_processes(inner):
    """Under pytest-xdist a worker meets a wrong sparrow_settings, and the session ends with exit code 4."""
    inner.write(
        "conftest.py", "import pytest\n@pytest.fixture\ndef sparrow_settings(): return {'level': 'deep'}\n"
    )
    inner.write("test_it.py", "def test_it(sparrow): pass\n")
    result = inner.run("-n", "1", "-p", "xdist.plugin", "-W", "ignore")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: conftest.py: sparrow_settings: level: 'deep' is not one of: exact, *"]
    )
