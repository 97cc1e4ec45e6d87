"""Scenarios: a script in the test stands in for a golden, for what is hard to record."""

from __future__ import annotations

import pytest

from plugin.support import AGENT
from pytest_sparrow import FsRecorder, NotRecordable, UsageError
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.run.whatif.script import read_script
from pytest_sparrow.scenario import breaks_off, calls, disconnects, fails, says, thinks, transcript, uses

HEAD = """
    import openai
    import pytest

    import support
    from pytest_sparrow.scenario import breaks_off, calls, disconnects, fails, says

    @pytest.fixture(autouse=True)
    def tools(sparrow, monkeypatch):
        monkeypatch.setattr(support, "DENIED", ())
        monkeypatch.setattr(support, "TOOLS", sparrow.tools(dict(support.TOOLS)))

    REFUND = calls("refund", order_id="1", amount_eur=39.0)
"""


def test_what_is_hard_to_record(inner):
    """A tool that fails, a model that refuses, an error and a broken line before success, a stream that breaks off."""
    inner.write("support.py", AGENT)
    inner.write(
        "test_it.py",
        HEAD
        + """
    @pytest.mark.sparrow(script=[["Let me see.", REFUND.raises(TimeoutError("no answer"))], "I could not."])
    @pytest.mark.parametrize("stream", [False, True])
    def test_the_tool_fails(sparrow, stream):
        assert support.on_openai("Refund 1", stream) == "I could not."
        assert sparrow.events[5].blocks == [{"Text": "TimeoutError: no answer"}]

    @pytest.mark.sparrow(script=["I can't help with that."])
    def test_the_model_refuses():
        assert support.on_anthropic("Refund 1") == "I can't help with that."

    @pytest.mark.sparrow(script=[fails(429, "slow down"), disconnects(), "Here."])
    def test_it_is_tried_again():
        client = openai.OpenAI(max_retries=2)
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert answer.choices[0].message.content == "Here."

    @pytest.mark.sparrow(script=[breaks_off("I will now refund it", after=3)])
    def test_the_stream_breaks_off():
        heard = ""
        client = openai.OpenAI(max_retries=0)
        with pytest.raises(Exception, match="Connection error"):
            messages = [{"role": "user", "content": "x"}]
            for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
                heard += chunk.choices[0].delta.content or ""
        assert heard == "I will now"

    LOOKUP = calls("lookup_customer", order_id="1").gives({"name": "Zoë"})

    @pytest.mark.sparrow(script=[[LOOKUP, REFUND.denied()], "Done."])
    def test_two_calls_at_once(sparrow, monkeypatch):
        monkeypatch.setattr(support, "DENIED", {"refund"})
        assert support.on_anthropic("Refund 1") == "Done."

    class Refused(Exception): pass

    def ask(): raise RuntimeError("the tool ran")

    @pytest.mark.sparrow(script=[calls("ask").raises(Refused("no")), "Done."])
    def test_an_exception_of_the_tools_own_module(sparrow):
        with pytest.raises(Refused, match="no"):
            support.TOOLS["ask"] = sparrow.tool(ask)
            sparrow_client = openai.OpenAI()
            support.whole(sparrow_client, [{"role": "user", "content": "x"}])
            try:
                support.TOOLS["ask"]()
            finally:
                support.whole(sparrow_client, [{"role": "user", "content": "x"}])

    KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"

    @pytest.mark.sparrow(script=[calls("refund", order_id=KEY, amount_eur=1).gives({"k": KEY}), f"The key is {KEY}."])
    def test_what_looks_like_a_secret_is_no_difference():
        assert support.on_openai("Refund 1") == f"The key is {KEY}."

    @pytest.mark.sparrow(script=["one", "two"])
    def test_side_by_side():
        import asyncio

        async def one(client):
            answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
            return answer.choices[0].message.content

        async def both():
            async with openai.AsyncOpenAI() as client:
                return await asyncio.gather(one(client), one(client))

        assert sorted(asyncio.run(both())) == ["one", "two"]

    class TestOwnToolRuns:
        @pytest.fixture
        def sparrow_settings(self, tmp_path):
            return {"script": [calls("lookup_customer", order_id=tmp_path.name), "Done."]}

        def test_it(self, sparrow):
            assert support.on_openai("Refund 1") == "Done."
            assert "RuntimeError: the tool ran" in str(sparrow.events)
    """,
    )
    result = inner.replay()
    result.assert_outcomes(passed=10)
    assert inner.goldens() == []


def test_a_script_replays_in_every_mode_and_is_compared(inner):
    """Recording or not, nothing is written; another argument is red, with both values and the way out."""
    inner.write("support.py", AGENT)
    inner.write(
        "test_it.py",
        HEAD
        + """
    SCRIPT = [REFUND.gives({"ok": True}), "Done."]

    @pytest.mark.sparrow(script=SCRIPT)
    def test_green():
        assert support.on_openai("Refund 1") == "Done."

    @pytest.mark.sparrow(script=[REFUND.denied(), "Done."])
    def test_denied():
        support.on_openai("Refund 1")

    @pytest.mark.sparrow(script=SCRIPT)
    def test_red(monkeypatch):
        monkeypatch.setattr(support, "CHANGE", {"refund": {"amount_eur": 139.99}})
        assert support.on_openai("Refund 1") == "Done."
    """,
    )
    result = inner.record("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            'refund(order_id="1", amount_eur=39.0): the agent makes a call that was denied',
            "refund was called with other arguments",
            "  golden  the test's own script",
            "    golden  39.0",
            "    new     139.99",
            "  accept  change the script",
        ]
    )
    assert inner.goldens() == []


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ('script="Hello"', "*script: 'Hello' is not a list of turns*"),
        ("script=[]", "*script is empty: a script without a turn answers nothing*"),
        ("script=[1]", "*script: turn 1 holds 1; a turn is a text, or a list*"),
        ("script=['a'], golden='test_b'", "*golden and script exclude each other*"),
    ],
)
def test_a_wrong_script_is_a_usage_error(inner, marker, text):
    """Reported when the marker is read, with the number of the turn."""
    inner.write("test_it.py", f"import pytest\n@pytest.mark.sparrow({marker})\ndef test_a(sparrow): pass\n")
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines([text])


def test_the_words_of_a_scenario():
    """Each turn is one answer of the model, read back from the events as it was written."""
    error = calls("b", {"in": 1}).raises(ValueError("no"))
    written = transcript(
        "r",
        ["Let me see.", calls("a", x=1).gives([1]), error],
        [thinks("hm"), says("no"), uses(3, 4)],
        fails(429, "slow down"),
        fails(500),
        disconnects("nobody"),
        breaks_off("one two three", after=2),
        breaks_off(),
        calls("c").denied("not you"),
        thinks("only"),
        "end",
        task="t",
    )
    script = read_script(written.events)
    broken = Failure("RemoteProtocolError: peer closed connection without sending complete message body")
    assert [turn.answer for turn in script.turns] == [
        ModelAnswer(
            parts=(Text("Let me see."), Proposal("call_1", "a", {"x": 1}), Proposal("call_2", "b", {"in": 1}))
        ),
        ModelAnswer(parts=(Reasoning("hm"), Text("no")), usage=Usage(3, 4)),
        ModelAnswer(failure=Failure("HTTP 429: slow down")),
        ModelAnswer(failure=Failure("HTTP 500")),
        ModelAnswer(failure=Failure("ConnectError: nobody")),
        ModelAnswer(parts=(Text("one two"),), failure=broken),
        ModelAnswer(failure=broken),
        ModelAnswer(parts=(Proposal("call_3", "c", {}),)),
        ModelAnswer(parts=(Reasoning("only"),)),
        ModelAnswer(parts=(Text("end"),)),
    ]
    (a, b), (c,) = script.turns[0].calls, script.turns[7].calls
    assert (a.output.blocks, b.output.blocks, b.output.is_error) == (
        [{"Json": [1]}],
        [{"Text": "ValueError: no"}],
        True,
    )
    assert (c.denied, c.called, c.output.blocks) == (True, False, [{"Text": "not you"}])
    assert written.inputs.task == "t"
    assert not written.holds_exchanges


def test_a_scenario_may_be_committed(tmp_path):
    """Saved like any transcript, and loaded with the same events."""
    store = FsRecorder(tmp_path)
    saved = store.save(transcript("silent", calls("a").gives(1), "Done."))
    assert store.load("silent").events == saved.events


def test_mistakes_are_reported():
    """A failure in the middle, a status that is none, a value that JSON can't hold."""
    with pytest.raises(UsageError, match="turn 1: an answer that fails says nothing after it"):
        transcript("r", [fails(500), "more"])
    with pytest.raises(UsageError, match="from 400 to 599, not 200"):
        fails(200)
    with pytest.raises(NotRecordable, match="gives"):
        transcript("r", calls("a").gives(object()))


def test_a_denied_call_of_a_tool_that_is_not_wrapped_is_reported(inner):
    """Whether it ran all the same nobody can know: the summary says so, and with unwrapped=fail it is a failure."""
    inner.write("support.py", AGENT)
    inner.write(
        "test_it.py",
        """
        import pytest

        import support
        from pytest_sparrow.scenario import calls

        @pytest.mark.sparrow(script=[calls("refund", order_id="1", amount_eur=39.0).denied(), "Done."])
        def test_denied(sparrow, monkeypatch):
            monkeypatch.setattr(support, "DENIED", ())
            support.on_openai("Refund 1", False)
        """,
    )
    result = inner.replay()
    result.assert_outcomes(passed=1)
    reported = "refund: proposed once, denied, and not wrapped: whether it ran all the same was not checked"
    result.stdout.fnmatch_lines([f"*{reported}*"])
    inner.replay("-o", "sparrow_unwrapped=fail").assert_outcomes(failed=1)
