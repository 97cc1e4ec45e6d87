"""What a user may say about one run, and where: ini, sparrow_settings of a folder, the marker of a test."""

import re

import pytest

from plugin.chatting import model
from plugin.failures import reported

TESTS = """
    import os

    import pytest
    from agent import agent
    from pytest_sparrow import Message

    REPLAYED = "SHUT" in os.environ
    wrapped = pytest.mark.sparrow(tools="tools.add")

    @pytest.fixture(autouse=True)
    def changed(request, monkeypatch):
        change = request.node.get_closest_marker("change")
        for name, value in change.kwargs.items() if change and REPLAYED else ():
            monkeypatch.setenv(name, value)

    @pytest.mark.change(PROMPT="be brief")
    @wrapped
    def test_compare(sparrow):
        assert agent() == "It is 3."

    @pytest.mark.change(PROMPT="be brief")
    @pytest.mark.sparrow(requests="report")
    @wrapped
    def test_report(sparrow):
        assert agent() == "It is 3."

    @pytest.mark.change(PROMPT="be brief")
    @pytest.mark.sparrow(requests="ignore")
    @wrapped
    def test_ignore(sparrow):
        assert agent() == "It is 3."

    @pytest.mark.change(MORE="100")
    @wrapped
    def test_argument(sparrow):
        assert agent() == "It is 3."

    @wrapped
    def test_wording(sparrow):
        agent()
        if REPLAYED:
            sparrow.record(Message(run=sparrow.run_id, role="assistant", text="and more"))

    @pytest.mark.change(MORE="100")
    @wrapped
    def test_wording_and_argument(sparrow):
        agent()
        if REPLAYED:
            sparrow.record(Message(run=sparrow.run_id, role="assistant", text="and more"))

    def test_unwrapped(sparrow):
        assert agent() == "It is 3."
"""
"""Each is recorded as it stands, and replayed with what it changes."""

UNWRAPPED = "add: proposed once, not wrapped: it ran, and its arguments were not checked"


@pytest.fixture
def recorded(inner):
    """Tests of an agent, recorded, and the model gone."""

    def record():
        with model(inner):
            inner.write("pytest.ini", "[pytest]\nmarkers = change: what a replay changes\n")
            inner.write("test_it.py", TESTS)
            result = inner.record()
            result.assert_outcomes(passed=7)
            result.stdout.fnmatch_lines([f"test_it.py::test_unwrapped: {UNWRAPPED}"])

    inner.once(record)
    return inner


_SAID = []


@pytest.fixture
def replayed(recorded):
    """What a replay says of all tests: run once for all tests here."""
    if not _SAID:
        _SAID.append(recorded.replay("-rA"))
        _SAID[0].assert_outcomes(passed=3, failed=4)
    return _SAID[0]


def outcomes(result):
    """How each test ended, by its name."""
    found = re.findall(r"^(PASSED|FAILED) test_it\.py::(\w+)", result.stdout.str(), flags=re.MULTILINE)
    return {name: outcome for outcome, name in found}


def test_requests(replayed):
    """A changed prompt: a failure with compare, a remark with report (the scripted replay), nothing with ignore."""
    found = outcomes(replayed)
    assert [found[f"test_{word}"] for word in ("compare", "report", "ignore")] == [
        "FAILED",
        "PASSED",
        "PASSED",
    ]
    text = reported(replayed)["test_compare"]
    assert re.search(r"be kind(.*\n)+.*be brief.*\n(.*\n)*  accept  ", text)
    differ = [line for line in replayed.stdout.lines if re.search("requests? differ", line)]
    assert len(differ) == 1
    assert differ[0].startswith(
        "test_it.py::test_report: 2 requests differ from the recorded ones at request."
    )
    replayed.stdout.fnmatch_lines(
        ["sparrow: 3 replayed equal, 4 diverged (1 with requests=ignore; 1 with requests=report)*"]
    )


OTHERWISE = """
    @pytest.mark.change({change}="9")
    {marker}
    @pytest.mark.sparrow(golden="test_{name}")
    @wrapped
    def test_{name}_otherwise(sparrow):
        assert agent() == "It is 3."
"""


def test_the_rule_that_is_offered_settles_it(replayed, recorded):
    """The marker that a report offers, pasted onto the test, makes it green; another change stays red."""
    texts = reported(replayed)
    pasted = TESTS
    for name, other in {"compare": "MORE", "argument": "PROMPT"}.items():
        marker = re.search("^  ignore  (.*)$", texts[f"test_{name}"], flags=re.MULTILINE)[1]
        before, test, after = pasted.partition(f"    def test_{name}(")
        pasted = f"{before}    {marker}\n{test}{after}"
        pasted += OTHERWISE.format(change=other, marker=marker, name=name)
    recorded.write("test_it.py", pasted)
    result = recorded.replay("-rA", "-k", "compare or (argument and not wording)")
    assert outcomes(result) == {
        "test_compare": "PASSED",
        "test_argument": "PASSED",
        "test_compare_otherwise": "FAILED",
        "test_argument_otherwise": "FAILED",
    }


def test_level(replayed, recorded):
    """Level trajectory judges calls with their arguments, and not wording; exact judges both."""
    assert outcomes(replayed)["test_wording"] == "FAILED"
    result = recorded.replay("-o", "sparrow_level=trajectory", "-rA", "-k", "wording")
    assert outcomes(result) == {"test_wording": "PASSED", "test_wording_and_argument": "FAILED"}
    result.stdout.fnmatch_lines(["*'b'*", "    golden  2", "    new     102"])


def test_unwrapped(replayed, recorded):
    """A proposed tool that nobody wrapped: a remark that names it and counts, or a failure.

    The recording says so, too.
    """
    assert outcomes(replayed)["test_unwrapped"] == "PASSED"
    replayed.stdout.fnmatch_lines([f"test_it.py::test_unwrapped: {UNWRAPPED}"])
    result = recorded.replay("-o", "sparrow_unwrapped=fail", "-k", "unwrapped")
    result.assert_outcomes(failed=1, deselected=6)
    result.stdout.fnmatch_lines([UNWRAPPED, "FAILED test_it.py::test_unwrapped*"])


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
