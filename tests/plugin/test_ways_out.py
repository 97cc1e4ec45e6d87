"""The last lines of a failure: ways out that settle it, and none that doesn't."""

import re

import pytest

from plugin.chatting import model
from plugin.failures import reported, ways

SCRIPT = '  script  @pytest.mark.sparrow(requests="report")  # judge behaviour only'

TESTS = """
    import os

    import httpx
    import pytest

    import agent
    import tools

    REPLAYED = "SHUT" in os.environ

    @pytest.fixture
    def changed(monkeypatch):
        def change(**values):
            for name, value in values.items() if REPLAYED else ():
                monkeypatch.setenv(name, value)
        return change

    def run(sparrow, *more):
        sparrow.tool(tools.add)
        agent.agent()
        for number in more:
            tools.add(number, number)

    def test_prompt(sparrow, changed):
        changed(PROMPT="be rude")
        run(sparrow)

    def test_argument(sparrow, changed):
        changed(MORE="5")
        run(sparrow)

    def test_prompt_and_argument(sparrow, changed):
        changed(PROMPT="be rude", MORE="5")
        run(sparrow)

    def test_plain(sparrow, changed):
        changed(PAGE="2")
        httpx.get(os.environ["WORLD"] + "/items?page=" + agent.change("PAGE", "1"))

    def test_past_its_wrapper(sparrow):
        if not REPLAYED:
            sparrow.tool(tools.add)
        agent.agent()

    def test_own(sparrow):
        run(sparrow)
"""
"""Each is recorded as it stands, and replayed with what it changes."""

OTHER = """
    @pytest.mark.sparrow(golden="test_own")
    def test_{name}(sparrow):
        {body}
"""
"""A test that replays the golden of another one."""

NOT_REACHED = {
    "second_call": ('sparrow.fork(at=("add", 2), raises=ValueError("no"))', 'at="add" (once)'),
    "no_such_tool": ('sparrow.fork(at="refund", raises=ValueError("no"))', 'at="add" (once)'),
    "number": (
        'sparrow.fork(at=7, replace={"status": 500})',
        'at=1 to 2, at="127.0.0.1/chat" (2 times)',
    ),
    "host": ('sparrow.inject("429", at="*/v1/messages")', 'at=1 to 2, at="127.0.0.1/chat" (2 times)'),
    "fault": ('sparrow.inject("timeout", at="refund")', 'at="add" (once)'),
}
"""What injects something where the run never comes, and the places that would be reached."""

REACHED = {
    "first": 'sparrow.inject("500", at=1)',
    "second": 'sparrow.inject("500", at=2)',
    "by_host": 'sparrow.inject("500", at="127.0.0.1/chat")',
    "by_tool": 'sparrow.inject(raises=ValueError, at="add")',
}

_FAULT = 'sparrow.inject("500", at=2{then})'
_SWALLOWS = ("sparrow.tool(tools.add)", "try: agent.agent()", "except Exception: pass")

OTHERS = {
    **{name: (injects, "run(sparrow)") for name, (injects, _) in NOT_REACHED.items()},
    "none_wrapped": ('sparrow.fork(at="add", raises=ValueError("no"))', "agent.agent()"),
    "does_more": ("run(sparrow, 3)",),
    "after_a_fork": ('sparrow.fork(at="add", replace={"returned": 77})', "run(sparrow, 5)"),
    "after_a_fault": (_FAULT.format(then=""), *_SWALLOWS, "agent.agent('something else')"),
    "after_a_script": (_FAULT.format(then=", then=['never']"), *_SWALLOWS),
    "recovers": (
        'sparrow.inject("500", at=2, recovers=True)',
        "try: run(sparrow)",
        "except Exception: pass",
    ),
}

SCRIPTED = """
    @pytest.mark.sparrow(script=["Hello."])
    def test_script(sparrow):
        sparrow.inject("429", at=3)
        agent.agent()
"""


def others(**bodies):
    """Tests that replay the golden of test_own."""
    return "".join(OTHER.format(name=name, body="\n        ".join(lines)) for name, lines in bodies.items())


@pytest.fixture
def recorded(inner):
    """Tests of an agent, and one that asks only HTTP, recorded."""

    def record():
        inner.write("test_it.py", TESTS)
        with model(inner) as server:
            server.routes["/items"] = lambda call: call.answer(b"some")
            assert inner.record().ret == 0

    inner.once(record)
    return inner


_TEXTS = {}


@pytest.fixture
def texts(recorded):
    """What a replay says of each test that fails, by the test's name: run once for all tests here."""
    if not _TEXTS:
        recorded.write("test_it.py", TESTS + others(**OTHERS) + SCRIPTED)
        result = recorded.replay()
        _TEXTS.update(reported(result))
        # All but test_own fail.
        result.assert_outcomes(passed=1, failed=len(_TEXTS))
        assert len(_TEXTS) == len(OTHERS) + 6
    return _TEXTS


def test_an_edited_prompt_names_the_scripted_replay(texts):
    """Where nothing but requests to the model differs, judging behaviour only is a way out."""
    text = texts["test_prompt"]
    assert text.splitlines()[-1] == SCRIPT
    assert [word for word, _ in ways(text)] == ["accept", "ignore", "script"]
    assert len(text.splitlines()) <= 12


def test_ways_out_that_are_taken_lead_out(recorded):
    """With the marker of the scripted replay the test is green; each ``at=`` that a failure prints is met."""
    marker = SCRIPT.split("  ")[2]
    bodies = {
        name: (injects, "with pytest.raises(Exception):", "    run(sparrow)")
        for name, injects in REACHED.items()
    }
    marked = TESTS.replace("    def test_prompt(", f"    {marker}\n    def test_prompt(")
    recorded.write("test_it.py", marked + others(**bodies))
    result = recorded.replay("-k", " or ".join(["(prompt and not argument)", *bodies]))
    result.assert_outcomes(passed=1 + len(bodies), deselected=5)


@pytest.mark.parametrize("name", ["test_argument", "test_prompt_and_argument"])
def test_other_behaviour_does_not_name_it(texts, name):
    """A call with another argument stays red in a scripted replay: it is no way out."""
    assert [word for word, _ in ways(texts[name])] == ["accept", "ignore"]


def test_a_request_that_asks_no_model_does_not_name_it(texts):
    """What plain HTTP asks for is behaviour: nothing else would hold it."""
    assert [word for word, _ in ways(texts["test_plain"])] == ["accept", "ignore"]


@pytest.mark.parametrize("name", NOT_REACHED)
def test_what_was_not_reached_says_what_would_be(texts, name):
    """The run is as recorded: nothing to record again, ``at=`` is to be changed; the failure says to what."""
    text = texts[f"test_{name}"]
    assert ways(text) == [("reach", NOT_REACHED[name][1])]
    assert len(text.splitlines()) == 4


def test_a_place_among_tools_of_which_none_is_wrapped(texts):
    """The call that is meant was made, past its wrapper: to wrap it is the way."""
    found = ways(texts["test_none_wrapped"])
    assert found[0] == ("reach", "no wrapped tool was called; sparrow.tool(…) wraps one")
    assert found[1] == (
        "wrap",
        "sparrow.tool(add): the recorded call went through the wrapper, this one did not",
    )


def test_a_call_past_its_wrapper_says_so(texts):
    """Where a recorded call is missing since its tool is not wrapped any more, that is said before to accept it."""
    assert [word for word, _ in ways(texts["test_past_its_wrapper"])] == ["wrap", "accept"]


def test_another_tests_golden_is_recorded_by_that_test(texts):
    """To accept is to record the other test; a test that does something else can have a golden of its own."""
    assert ways(texts["test_does_more"]) == [
        ("accept", "pytest --sparrow-record test_it.py::test_own  # the test that this golden belongs to"),
        ("own", "remove golden=, and this test can record a golden of its own"),
    ]


def test_after_a_fork_no_recording_holds_what_is_asked(texts):
    """A miss after it is settled by the world, which answers if the fork is live."""
    text = texts["test_after_a_fork"]
    assert ways(text) == [("live", "sparrow.fork(…, live=True): from there on the world answers")]
    assert re.search(r"^  where   event \d+ of the new run, ", text, flags=re.MULTILINE)


def test_after_a_fault_no_recording_holds_what_is_asked(texts):
    """What the model says after it is written by hand; where it is already, it doesn't fit."""
    asks = texts["test_after_a_fault"]
    assert [word for word, _ in ways(asks)] == ["then"]
    assert "sparrow.inject(…, then=[…])" in asks
    assert ways(texts["test_after_a_script"]) == [
        ("then", "change then=[…]: all that the model is asked after the fault, and no more")
    ]


def test_a_run_that_must_recover_need_not(texts):
    """The fault may be why it differs: that is said before to accept it."""
    assert [word for word, _ in ways(texts["test_recovers"])] == ["allow", "accept"]


def test_what_was_not_reached_in_a_script(texts):
    """No way out asks the user to change the script."""
    assert ways(texts["test_script"]) == [("reach", 'at=1, at="127.0.0.1/chat" (once)')]
