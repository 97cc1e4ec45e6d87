"""Each mode, by what it writes, what it runs and what it says."""

import itertools

import pytest
from inner_runs import TOOL_TEST

from plugin.chatting import model
from plugin.failures import sections


def test_record_writes_and_replay_answers(inner):
    """Record runs the tool and writes the golden; replay, and plain pytest, give the golden's answer instead."""
    inner.write("test_it.py", TOOL_TEST)
    result = inner.record()
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sparrow: record", "sparrow: 1 recorded"])
    assert inner.goldens() == ["__sparrow__/test_it/test_add"]
    before = inner.files()
    result = inner.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: replay", "sparrow: 1 replayed equal*"])
    inner.env(SHUT="1")
    result = inner.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: replay", "sparrow: 1 replayed equal*"])
    assert inner.files() == before


def test_new_records_what_is_missing_and_replays_the_rest(inner):
    """In mode new a test without a golden is recorded, one with a golden is replayed, and its files stay."""
    inner.write("test_old.py", TOOL_TEST)
    inner.record()
    before = inner.files()
    inner.write("test_old.py", TOOL_TEST.replace("return a + b", "raise RuntimeError"))
    inner.write("test_new.py", TOOL_TEST)
    result = inner.run("--sparrow-mode=new")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["sparrow: new", "sparrow: 1 replayed equal, 1 recorded"])
    assert inner.goldens() == ["__sparrow__/test_new/test_add", "__sparrow__/test_old/test_add"]
    assert before.items() <= inner.files().items()


def test_off_is_inert(inner):
    """Off reads nothing (not even a damaged golden), writes nothing, runs tools, and keeps events in memory."""
    inner.write("test_it.py", TOOL_TEST)
    inner.record()
    meta = inner.path / "__sparrow__/test_it/test_add/meta.json"
    meta.write_bytes(b"{")
    before = inner.files()
    inner.write(
        "test_it.py",
        TOOL_TEST
        + """
        assert sparrow.mode == "off"
        assert sparrow.golden is None
        assert sparrow.tool_calls == [("add", {"a": 1, "b": 2})]

    def test_without_golden(sparrow):
        assert sparrow.call("add", add, 1, 2) == 3
    """,
    )
    result = inner.run("--sparrow-mode=off")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["sparrow: off", "sparrow: 2 ran with sparrow off"])
    assert inner.files() == before


def test_record_does_not_swallow_the_path(inner):
    """The options take no value: what follows is the path to run."""
    inner.write("test_it.py", TOOL_TEST)
    inner.write("test_other.py", TOOL_TEST)
    inner.record("test_it.py").assert_outcomes(passed=1)
    assert inner.goldens() == ["__sparrow__/test_it/test_add"]
    inner.replay("test_it.py").assert_outcomes(passed=1)


def test_a_tool_that_would_run_in_replay_raises(inner):
    """The tool of these tests does raise when it runs: the replays above prove something."""
    inner.write("test_it.py", TOOL_TEST)
    inner.env(SHUT="1")
    inner.run("--sparrow-mode=off").assert_outcomes(failed=1)


VERIFY = "--sparrow-mode=verify"

LIVE_TEST = """
    import os

    import pytest

    def add(a: int, b: int) -> int:
        return a + b + (CHANGE == "more")

    def locate(place):
        return f"{place} is found"

    @pytest.mark.parametrize("change", ["none", "more", "place", "twice", "odd"])
    def test_add(sparrow, change):
        global CHANGE
        CHANGE = change if "CHANGED" in os.environ else ""
        sparrow.tool(add)
        assert sparrow.golden or sparrow.mode == "record"
        add(1, 2)
        sparrow.call("geo", locate, "Ulm" if CHANGE == "place" else "Bonn")
        if CHANGE == "twice":
            sparrow.call("geo", locate, "Ulm")
        if CHANGE == "odd":
            try:
                sparrow.call("geo", locate, "\\ud800")
            except Exception:
                pass
"""

LIVE_CHANGES = {
    "more": ["*add gave another output*", "*3*", "*4*"],
    "place": ['call geo("Ulm"): the golden holds no answer to this'],
    "twice": ['call geo("Ulm"): the golden holds no answer to this'],
    "odd": ["*geo(args[[]0[]])*"],
}
"""What the agent or the world does otherwise, and how that is reported."""


def test_a_live_run_is_compared(inner):
    """A behaviour that compares without replaying: the world answers, and what differs from the golden fails.

    A call that makes no event is compared as well, and one that JSON can't hold is named.
    """
    inner.write("test_it.py", LIVE_TEST)
    inner.record().assert_outcomes(passed=5)
    before = inner.files()
    result = inner.run(VERIFY)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["sparrow: 5 verified*"])
    inner.env(CHANGED="1")
    result = inner.run(VERIFY, "--sparrow-level=exact")
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(["sparrow: 1 verified, 4 drifted*"])
    said = sections(result)
    for change, lines in LIVE_CHANGES.items():
        pytest.LineMatcher(said[f"test_add[{change}]"].splitlines()).fnmatch_lines(lines)
    assert inner.files() == before


def test_a_live_run_without_a_golden(inner):
    """What is to be compared and has no golden fails before its body, as in a replay."""
    inner.write("test_it.py", LIVE_TEST)
    result = inner.run(VERIFY)
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["sparrow: 5 without a usable golden"])


def test_a_live_run_of_a_model_is_compared(inner):
    """Trajectories are compared, and requests only remarked: a model answers anew in other words each time.

    Here a further request even begins with the answer before. Other arguments, or no call, are a drift.
    """
    inner.write(
        "test_it.py",
        """
        from agent import agent
        import tools

        def test_agent(sparrow):
            sparrow.tool("tools.add")
            agent("is it " + agent("add one and two"))
    """,
    )
    words = itertools.cycle(["It is 3.", "Yes.", "3", "That is so.", "Three!", "Surely."])
    args = [{"a": 1, "b": 2}]
    with model(inner, says=lambda: next(words), proposes=lambda task: args[0]) as server:
        inner.record().assert_outcomes(passed=1)
        before = inner.files()
        asked = len(server.calls)
        result = inner.run(VERIFY)
        result.assert_outcomes(passed=1)
        assert len(server.calls) == 2 * asked
        result.stdout.fnmatch_lines(
            [
                "sparrow: verify, requests=report, level=trajectory",
                "test_it.py::test_agent: * at request.messages[[]user[]].content",
                "sparrow: 1 verified (1 with requests=report, level=trajectory)",
            ]
        )
        result = inner.run(VERIFY, "--sparrow-requests=compare")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["sparrow: 1 drifted (1 with level=trajectory)"])
        for args[0], differs in (({"a": 1, "b": 3}, "  ToolUseProposed[[]add[]].args*"), (None, "*add*")):
            result = inner.run(VERIFY)
            result.assert_outcomes(failed=1)
            result.stdout.fnmatch_lines(
                [
                    "  judged  by requests=report, level=trajectory",
                    "  live    the world answered, and this run differs*has the model or the API drifted?",
                    differs,
                    "  record  pytest --sparrow-record test_it.py::test_agent",
                    "sparrow: 1 drifted *",
                ]
            )
        # The recorded call and request that nobody makes now are no more than events, which this level leaves out.
        inner.run(VERIFY, "--sparrow-level=outcome").assert_outcomes(passed=1)
        assert inner.files() == before


def test_only_the_command_line_verifies_on_ci(inner):
    """A forgotten setting must not ask models on every commit."""
    inner.env(CI="true", SPARROW_MODE="verify")
    inner.write("test_it.py", LIVE_TEST)
    result = inner.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*SPARROW_MODE: mode 'verify' asks the world, and CI is set: say it on the command line*"]
    )
    result = inner.run("--sparrow-runs=3", "--sparrow-replay")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*--sparrow-runs: only live runs are counted, and the mode is replay: say --sparrow-mode=verify*"]
    )
