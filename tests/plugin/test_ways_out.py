"""The last lines of a failure: ways out that settle it, and none that doesn't."""

import pytest

from plugin.chatting import model
from plugin.failures import told, ways

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
    inner.write("test_it.py", TESTS)
    with model(inner) as server:
        server.routes["/items"] = lambda call: call.answer(b"some")
        assert inner.record().ret == 0
    return inner


def test_an_edited_prompt_names_the_scripted_replay(recorded):
    """Where nothing but requests to the model differs, judging behaviour only is a way out; taken, it is green."""
    recorded.env(PROMPT="be rude")
    text = told(recorded.replay("-k", "chat"))["test_chat"]
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
    text = told(recorded.replay("-k", "chat"))["test_chat"]
    assert [word for word, _ in ways(text)] == ["accept", "ignore"]


def test_a_request_that_asks_no_model_does_not_name_it(recorded):
    """What plain HTTP asks for is behaviour: nothing else would hold it."""
    recorded.env(PAGE="2")
    text = told(recorded.replay("-k", "plain"))["test_plain"]
    assert [word for word, _ in ways(text)] == ["accept", "ignore"]
