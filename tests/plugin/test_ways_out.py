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

    def test_chat(sparrow):
        sparrow.tool(tools.add)
        agent.agent()

    def test_plain(sparrow):
        httpx.get(os.environ["WORLD"] + "/items?page=" + agent.change("PAGE", "1"))
"""


@pytest.fixture
def recorded(inner):
    """Two tests, recorded: one asks a model, one only HTTP."""

    def record():
        inner.write("test_it.py", TESTS)
        with model(inner) as server:
            server.routes["/items"] = lambda call: call.answer(b"some")
            assert inner.record().ret == 0

    inner.once(record)
    return inner


def test_an_edited_prompt_names_the_scripted_replay(recorded):
    """Where nothing but requests to the model differs, judging behaviour only is a way out; taken, it is green."""
    recorded.env(PROMPT="be rude")
    text = reported(recorded.replay("-k", "chat"))["test_chat"]
    assert text.splitlines()[-1] == SCRIPT
    assert [word for word, _ in ways(text)] == ["accept", "ignore", "script"]
    assert len(text.splitlines()) <= 12
    marker = SCRIPT.split("  ")[2]
    recorded.write("test_it.py", TESTS.replace("    def test_chat", f"    {marker}\n    def test_chat"))
    assert recorded.replay("-k", "chat").ret == 0


@pytest.mark.parametrize("env", [{"MORE": "5"}, {"PROMPT": "be rude", "MORE": "5"}])
def test_other_behaviour_does_not_name_it(recorded, env):
    """A call with another argument stays red in a scripted replay: it is no way out."""
    recorded.env(**env)
    text = reported(recorded.replay("-k", "chat"))["test_chat"]
    assert [word for word, _ in ways(text)] == ["accept", "ignore"]


def test_a_request_that_asks_no_model_does_not_name_it(recorded):
    """What plain HTTP asks for is behaviour: nothing else would hold it."""
    recorded.env(PAGE="2")
    text = reported(recorded.replay("-k", "plain"))["test_plain"]
    assert [word for word, _ in ways(text)] == ["accept", "ignore"]


OTHERS = """
    import pytest

    import agent
    import tools

    def run(sparrow, *more):
        sparrow.tool(tools.add)
        agent.agent()
        for number in more:
            tools.add(number, number)

    def test_own(sparrow):
        run(sparrow)
{body}
"""

OTHER = """
    @pytest.mark.sparrow(golden="test_own")
    def test_other(sparrow):
        {body}
"""


@pytest.fixture
def other(inner):
    """What is said of a test that replays the golden of another one."""

    def replayed(*lines):
        inner.write("test_it.py", OTHERS.format(body=OTHER.format(body="\n        ".join(lines))))
        return reported(inner.replay("-k", "other"))["test_other"]

    inner.write("test_it.py", OTHERS.format(body=""))
    with model(inner):
        assert inner.record().ret == 0
    return replayed


@pytest.mark.parametrize(
    ("injected", "reach"),
    [
        ('sparrow.fork(at=("add", 2), raises=ValueError("no"))', 'at="add" (once)'),
        ('sparrow.fork(at="refund", raises=ValueError("no"))', 'at="add" (once)'),
        ('sparrow.fork(at=7, replace={"status": 500})', 'at=1 to 2, at="127.0.0.1/chat" (2 times)'),
        ('sparrow.inject("429", at="*/v1/messages")', 'at=1 to 2, at="127.0.0.1/chat" (2 times)'),
        ('sparrow.inject("timeout", at="refund")', 'at="add" (once)'),
    ],
)
def test_what_was_not_reached_says_what_would_be(other, injected, reach):
    """The run is as recorded: nothing to record again, ``at=`` is to be changed; the failure says to what."""
    text = other(injected, "run(sparrow)")
    assert ways(text) == [("reach", reach)]
    assert len(text.splitlines()) == 4


def test_what_it_names_is_reached(other, inner):
    """Each ``at=`` that it prints is met."""
    for at in ("1", "2", '"127.0.0.1/chat"', '"add"'):
        fault = "raises=ValueError" if at == '"add"' else '"500"'
        with_it = [f"sparrow.inject({fault}, at={at})", "with pytest.raises(Exception):", "    run(sparrow)"]
        inner.write("test_it.py", OTHERS.format(body=OTHER.format(body="\n        ".join(with_it))))
        assert inner.replay("-k", "other").ret == 0


def test_a_place_among_tools_of_which_none_is_wrapped(other):
    """The call that is meant was made, past its wrapper: to wrap it is the way."""
    text = other('sparrow.fork(at="add", raises=ValueError("no"))', "agent.agent()")
    found = ways(text)
    assert found[0] == ("reach", "no wrapped tool was called; sparrow.tool(…) wraps one")
    assert found[1] == (
        "wrap",
        "sparrow.tool(add): the recorded call went through the wrapper, this one did not",
    )


def test_a_call_past_its_wrapper_says_so(inner):
    """Where a recorded call is missing since its tool is not wrapped any more, that is said before to accept it."""
    inner.write("test_it.py", OTHERS.format(body=""))
    with model(inner):
        assert inner.record().ret == 0
        inner.write("test_it.py", OTHERS.format(body="").replace("sparrow.tool(tools.add)", ""))
        text = reported(inner.replay())["test_own"]
    assert [word for word, _ in ways(text)] == ["wrap", "accept"]


def test_another_tests_golden_is_recorded_by_that_test(other):
    """To accept is to record the other test; a test that does something else can have a golden of its own."""
    text = other("run(sparrow, 3)")
    assert ways(text) == [
        ("accept", "pytest --sparrow-record test_it.py::test_own  # the test that this golden belongs to"),
        ("own", "remove golden=, and this test can record a golden of its own"),
    ]


def test_after_a_fork_no_recording_holds_what_is_asked(other):
    """A miss after it is settled by the world, which answers if the fork is live."""
    text = other('sparrow.fork(at="add", replace={"returned": 77})', "run(sparrow, 5)")
    assert ways(text) == [("live", "sparrow.fork(…, live=True): from there on the world answers")]
    assert re.search(r"^  where   event \d+ of the new run, ", text, flags=re.MULTILINE)


def test_after_a_fault_no_recording_holds_what_is_asked(other):
    """What the model says after it is written by hand; where it is already, it doesn't fit."""
    fault = 'sparrow.inject("500", at=2{then})'
    lines = ["sparrow.tool(tools.add)", "try: agent.agent()", "except Exception: pass"]
    asks = other(fault.format(then=""), *lines, "agent.agent('something else')")
    assert [word for word, _ in ways(asks)] == ["then"]
    assert "sparrow.inject(…, then=[…])" in asks
    scripted = other(fault.format(then=", then=['never']"), *lines)
    assert ways(scripted) == [
        ("then", "change then=[…]: all that the model is asked after the fault, and no more")
    ]


def test_a_run_that_must_recover_need_not(other):
    """The fault may be why it differs: that is said before to accept it."""
    text = other('sparrow.inject("500", at=2, recovers=True)', "try: run(sparrow)", "except Exception: pass")
    assert [word for word, _ in ways(text)] == ["allow", "accept"]


def test_what_was_not_reached_in_a_script(inner):
    """No way out asks the user to change the script."""
    inner.write(
        "test_it.py",
        """
        import pytest
        import agent

        @pytest.mark.sparrow(script=["Hello."])
        def test_script(sparrow):
            sparrow.inject("429", at=3)
            agent.agent()
        """,
    )
    with model(inner):
        pass
    text = reported(inner.replay())["test_script"]
    assert ways(text) == [("reach", 'at=1, at="127.0.0.1/chat" (once)')]
