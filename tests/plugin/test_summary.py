"""The summary: what many tests have to say is said once."""

import pytest

from plugin.chatting import model

TESTS = """
    import pytest

    import agent
    import tools

    @pytest.mark.parametrize("number", range(4))
    def test_drifts(sparrow, number):
        sparrow.tool(tools.add)
        agent.agent()

    @pytest.mark.parametrize("number", range(4))
    @pytest.mark.sparrow(requests="compare")
    def test_red(sparrow, number):
        sparrow.tool(tools.add)
        agent.agent()

    @pytest.mark.parametrize("number", range(3))
    def test_unwrapped(sparrow, number):
        agent.agent()
        assert agent.change("GOOD", "yes") == "yes"
"""

DRIFT = "2 requests differ from the recorded ones at request.messages[[]system[]].content"
UNWRAPPED = "add: proposed once, not wrapped: it ran, and its arguments were not checked"


@pytest.fixture
def recorded(inner):
    """Eleven tests, recorded."""
    return inner.recorded(TESTS, model)


def remarks(result):
    """The lines between the summary's heading and its last line."""
    return result.stdout.str().partition("= pytest-sparrow =")[2].partition("\nsparrow: ")[0].splitlines()[1:]


def test_recordings_that_were_not_kept_are_one_line(recorded):
    """However many tests did not pass; it says below which folder they are."""
    recorded.env(GOOD="no")
    with model(recorded):
        result = recorded.record("-k", "unwrapped", "-p", "no:randomly")
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_unwrapped[[]0[]] and 2 more tests: not recorded, since they did not pass; "
            "left unfinished below __sparrow__/test_it/.pending"
        ]
    )
    assert len(remarks(result)) == 2


KEEP_VERDICTS = """
    import json
    import os
    from pathlib import Path

    from pytest_sparrow.findings import Verdict
    from pytest_sparrow.report.plain import render_verdict

    def pytest_runtest_logreport(report):
        if "PYTEST_XDIST_WORKER" in os.environ:
            return  # the worker's own log of the report, before it is sent
        for verdict in json.loads(getattr(report, "sparrow", {}).get("verdicts", "[]")):
            said = render_verdict(Verdict.from_json(verdict))
            assert report.longreprtext.endswith(said)
            with Path("judged.txt").open("a") as file:
                print(report.nodeid, said.splitlines()[0], file=file)
"""


REPORT = ("-o", "sparrow_requests=report")


def assert_judged(recorded):
    """A plugin of the session's own process has read the verdict of each test that is red."""
    lines = sorted((recorded.path / "judged.txt").read_text().splitlines())
    assert len(lines) == 4
    assert lines[0].startswith("test_it.py::test_red[0] POST ")
    assert all(line.endswith("differs from the recorded request") for line in lines)


def test_what_many_tests_say_is_said_once(recorded):
    """Equal remarks are one line, with the first test's name and the number of the others.

    Whoever reports a session has each verdict as data, and words it like the failure: values are not lost on the way.
    """
    recorded.write("conftest.py", KEEP_VERDICTS)
    recorded.env(PROMPT="be rude")
    result = recorded.replay(*REPORT)
    result.assert_outcomes(passed=7, failed=4)
    result.stdout.fnmatch_lines(
        [
            f"test_it.py::test_drifts[[]0[]] and 6 more tests: {DRIFT}",
            f"test_it.py::test_unwrapped[[]0[]] and 2 more tests: {UNWRAPPED}",
            "sparrow: 7 replayed equal, 4 diverged (7 with requests=report); saved 18 calls, 168 tokens, *.* s; "
            "4 pending, all alike: pytest-sparrow review",
        ],
        consecutive=True,
    )
    assert len(remarks(result)) == 2
    assert_judged(recorded)
    result = recorded.replay("--sparrow-requests=report", "-k", "not red")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sparrow: 7 replayed equal (7 with requests=report)*"])


def test_workers_say_it_once_together(recorded):
    """Under xdist the remarks of all workers are grouped; which of the tests comes first is chance.

    The verdicts cross as data.
    """
    recorded.write("conftest.py", KEEP_VERDICTS)
    recorded.env(PROMPT="be rude")
    result = recorded.replay(*REPORT, "-p", "xdist", "-n", "2")
    result.assert_outcomes(passed=7, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_*[[]?[]] and 6 more tests: {DRIFT}",
            f"test_it.py::test_unwrapped[[]?[]] and 2 more tests: {UNWRAPPED}",
            "sparrow: *; saved 18 calls, 168 tokens, *.* s; 4 pending, all alike: pytest-sparrow review",
        ]
    )
    assert len(remarks(result)) == 2
    assert_judged(recorded)
