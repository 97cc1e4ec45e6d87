"""Exact or scripted: --sparrow-requests and --sparrow-level win over everything, and the output says which ran."""

import pytest

from plugin.chatting import model

TESTS = """
    import pytest

    from agent import agent
    import tools

    def test_plain(sparrow):
        sparrow.tool(tools.add)
        agent()

    @pytest.mark.sparrow(requests="compare", level="exact")
    def test_marked(sparrow):
        sparrow.tool(tools.add)
        agent()
"""


@pytest.fixture
def recorded(inner):
    """Two tests, recorded; their provider is gone."""
    return inner.recorded(TESTS, model)


def test_an_edited_prompt_is_red_unless_the_command_line_says_otherwise(recorded):
    """requests=report on the command line wins over the marker, and a change of wording is a remark."""
    recorded.env(PROMPT="be rude")
    strict = recorded.replay()
    assert strict.ret == 1
    strict.stdout.fnmatch_lines(["sparrow: replay", "*be rude*", "sparrow: 2 diverged*"])
    scripted = recorded.replay("--sparrow-requests=report")
    assert scripted.ret == 0
    scripted.stdout.fnmatch_lines(
        [
            "sparrow: replay, requests=report",
            "*test_plain and 1 more test: 2 requests differ from the recorded ones at *content*",
            "sparrow: 2 replayed equal (2 with requests=report)*",
        ]
    )


def test_ignored_drift_is_no_remark(recorded):
    """requests=ignore says nothing of an edited prompt."""
    recorded.env(PROMPT="be rude")
    result = recorded.replay("--sparrow-requests=ignore")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*requests differ*")


def test_changed_behaviour_is_red_in_a_scripted_replay_too(recorded):
    """An edited prompt is let pass, another argument is not; the failure says what it was judged by."""
    recorded.env(PROMPT="be rude", MORE="5")
    result = recorded.replay("--sparrow-requests=report")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "  judged  by requests=report",
            "  ToolUseStarted*args*b*",
            "    golden  2",
            "    new     7",
        ]
    )


def test_the_level_of_the_command_line_wins(recorded):
    """At level outcome another argument is no change, whatever the marker says."""
    recorded.env(MORE="5")
    result = recorded.replay("--sparrow-level=outcome", "--sparrow-requests=report")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sparrow: 2 replayed equal (2 with requests=report, level=outcome)*"])


@pytest.mark.parametrize(
    ("option", "valid"),
    [
        ("--sparrow-level=all", "exact, trajectory, outcome"),
        ("--sparrow-requests=all", "compare, report, ignore"),
    ],
)
def test_a_wrong_word_is_a_usage_error(inner, option, valid):
    """The error names the option and the valid words, before anything runs."""
    result = inner.refused(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option.partition('=')[0]}: 'all' is not one of: {valid}"])
