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

    @pytest.mark.parametrize("number", range(3))
    def test_unwrapped(sparrow, number):
        agent.agent()
        assert agent.change("GOOD", "yes") == "yes"
"""

DRIFT = "2 requests differ from the recorded ones at request.messages[[]system[]].content"
UNWRAPPED = "add: proposed once, not wrapped: it ran, and its arguments were not checked"


@pytest.fixture
def recorded(inner):
    """Seven tests, recorded."""

    def record():
        inner.write("test_it.py", TESTS)
        with model(inner):
            assert inner.record().ret == 0

    inner.once(record)
    return inner


def remarks(result):
    """The lines between the summary's heading and its last line."""
    return result.stdout.str().partition("= pytest-sparrow =")[2].partition("\nsparrow: ")[0].splitlines()[1:]


def test_equal_remarks_of_many_tests_are_one_line(recorded):
    """With the first test's name and the number of the others."""
    recorded.env(PROMPT="be rude")
    result = recorded.replay("--sparrow-requests=report")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"test_it.py::test_drifts[[]0[]] and 6 more tests: {DRIFT}",
            f"test_it.py::test_unwrapped[[]0[]] and 2 more tests: {UNWRAPPED}",
            "sparrow: 7 replayed equal (7 with requests=report)",
        ],
        consecutive=True,
    )
    assert len(remarks(result)) == 2


def test_workers_say_it_once_together(recorded):
    """Under xdist the remarks of all workers are grouped; which of the tests comes first is chance."""
    recorded.env(PROMPT="be rude")
    result = recorded.replay("--sparrow-requests=report", "-p", "xdist", "-n", "2")
    assert result.ret == 0
    result.stdout.fnmatch_lines_random(
        [
            f"test_it.py::test_*[[]?[]] and 6 more tests: {DRIFT}",
            f"test_it.py::test_unwrapped[[]?[]] and 2 more tests: {UNWRAPPED}",
        ]
    )
    assert len(remarks(result)) == 2


def test_recordings_that_were_not_kept_are_one_line(recorded):
    """However many tests did not pass; it says below which folder they are."""
    recorded.env(GOOD="no")
    with model(recorded):
        result = recorded.record("-k", "unwrapped", "-p", "no:randomly")
    pending = recorded.path / "__sparrow__" / "test_it" / ".pending"
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_unwrapped[[]0[]] and 2 more tests: not recorded, since they did not pass; "
            f"left unfinished below {pending}"
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


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "1")])
def test_a_verdict_crosses_as_data(recorded, options):
    """Whoever reports a session has each verdict, and words it like the failure: values are not lost on the way."""
    recorded.write("conftest.py", KEEP_VERDICTS)
    recorded.env(PROMPT="be rude")
    recorded.replay("-k", "drifts", *options).assert_outcomes(failed=4)
    judged = sorted((recorded.path / "judged.txt").read_text().splitlines())
    assert len(judged) == 4
    assert judged[0].startswith("test_it.py::test_drifts[0] POST ")
    assert judged[0].endswith("differs from the recorded request")
