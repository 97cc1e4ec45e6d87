"""sparrow.inject: a recorded answer fails, and the agent's recovery is what the test asserts."""

import textwrap

import pytest
from full import FULL

from plugin.failures import sections
from plugin.faulty import model
from plugin.wrong_markers import said_of_markers

HEAD = """
    import json
    import pytest
    import agent
    import tools

    @pytest.fixture(autouse=True)
    def wrapped(sparrow):
        sparrow.tool("tools.refund")

    def test_whole(sparrow):
        assert agent.openai_whole() == "It is done."

    def test_async(sparrow):
        assert agent.openai_async() == "It is done."

    def test_stream(sparrow):
        assert agent.openai_stream() == "It is done."

    def test_stream_async(sparrow):
        assert agent.openai_stream_async() == "It is done."

    def test_aiohttp(sparrow):
        assert agent.with_aiohttp() == "hello"

    def test_messages(sparrow):
        assert agent.anthropic_whole() == "It is done."

    def test_google(sparrow):
        assert agent.google() == "It is done."

    def test_plain(sparrow):
        assert agent.with_requests() == "hello"
"""
"""The tests whose goldens the faults change."""


@pytest.fixture
def recorded(inner):
    """A folder with the goldens of `HEAD`."""
    return inner.recorded(HEAD, model)


def faults(inner, text):
    """Write tests with faults behind those that were recorded."""
    inner.write("test_it.py", textwrap.dedent(HEAD) + textwrap.dedent(text))


def replay(inner, *options):
    """Run the tests whose name holds "fault"; no golden may change by that."""
    before = inner.files()
    result = inner.replay("-k", "fault", *options)
    assert inner.files() == before
    return result


RAISED = """
    import openai, anthropic, httpx2, requests, aiohttp
    from google.genai import errors as google_errors

    OPENAI = {
        "timeout": openai.APITimeoutError,
        "connect-timeout": openai.APITimeoutError,
        "unreachable": openai.APIConnectionError,
        "reset": openai.APIConnectionError,
        "disconnected": openai.APIConnectionError,
        "429": openai.RateLimitError,
        "500": openai.InternalServerError,
        "503": openai.InternalServerError,
        "malformed": json.JSONDecodeError,
        "broken": openai.APIConnectionError,
    }

    def over(golden, *values):
        return pytest.param(*values, marks=pytest.mark.sparrow(golden=golden))

    @pytest.mark.parametrize(
        ("name", "fault"),
        [over("test_whole", "openai_whole", fault) for fault in OPENAI]
        + [over("test_async", "openai_async", fault) for fault in ("timeout", "429", "broken")],
    )
    def test_fault_openai(sparrow, name, fault):
        sparrow.inject(fault)
        with pytest.raises(OPENAI[fault]) as caught:
            getattr(agent, name)(max_retries=0)
        assert type(caught.value) is OPENAI[fault]
        assert sparrow.tool_calls == []

    @pytest.mark.parametrize(
        ("name", "fault"),
        [over("test_stream", "openai_stream", fault) for fault in ("timeout", "500", "malformed", "broken")]
        + [over("test_stream_async", "openai_stream_async", fault) for fault in ("reset", "broken")],
    )
    def test_fault_stream(sparrow, name, fault):
        sparrow.inject(fault)
        with pytest.raises(OPENAI[fault]) as caught:
            getattr(agent, name)(max_retries=0)
        assert type(caught.value) is OPENAI[fault]
        assert agent.heard == (["It "] if fault == "broken" else [])

    OTHERS = [
        ("test_messages", "anthropic_whole", "timeout", anthropic.APITimeoutError),
        ("test_messages", "anthropic_whole", "429", anthropic.RateLimitError),
        ("test_messages", "anthropic_whole", "529", anthropic.OverloadedError),
        ("test_messages", "anthropic_whole", "broken", anthropic.APIConnectionError),
        ("test_google", "google", "timeout", httpx2.ReadTimeout),
        ("test_google", "google", "500", google_errors.ServerError),
        ("test_plain", "with_requests", "timeout", requests.ReadTimeout),
        ("test_plain", "with_requests", "connect-timeout", requests.ConnectTimeout),
        ("test_plain", "with_requests", "reset", requests.ConnectionError),
        ("test_plain", "with_requests", "broken", requests.exceptions.ChunkedEncodingError),
        ("test_plain", "with_requests", "500", requests.HTTPError),
        ("test_plain", "with_requests", "malformed", requests.JSONDecodeError),
        ("test_aiohttp", "with_aiohttp", "timeout", aiohttp.SocketTimeoutError),
        ("test_aiohttp", "with_aiohttp", "unreachable", aiohttp.ClientConnectorError),
        ("test_aiohttp", "with_aiohttp", "broken", aiohttp.ClientPayloadError),
        ("test_aiohttp", "with_aiohttp", "503", aiohttp.ClientResponseError),
    ]

    @pytest.mark.parametrize(
        ("name", "fault", "error"),
        [over(*other) for other in OTHERS],
    )
    def test_fault_other(sparrow, name, fault, error):
        sparrow.inject(fault)
        with pytest.raises(error) as caught:
            getattr(agent, name)(**({"max_retries": 0} if "anthropic" in name else {}))
        assert type(caught.value) is error

    @pytest.mark.sparrow(golden="test_aiohttp")
    @pytest.mark.parametrize(
        ("fault", "error"), [("reset", aiohttp.ClientOSError), ("disconnected", aiohttp.ServerDisconnectedError)]
    )
    def test_fault_that_aiohttp_tries_again_by_itself(sparrow, fault, error):
        sparrow.inject(fault, times=2)
        with pytest.raises(error):
            agent.with_aiohttp()
"""


RECOVERED = """
    import os

    RETRIED = ["timeout", "connect-timeout", "unreachable", "reset", "disconnected", "429", "500", "broken"]

    @pytest.mark.sparrow(golden="test_whole")
    @pytest.mark.parametrize(
        ("fault", "at", "recovers"),
        [
            (fault, at, True)
            for number, fault in enumerate(RETRIED)
            for at in ((1, 2) if "ALL" in os.environ else (1 + number % 2,))
        ]
        + [("timeout", 1, False), ("429", 2, False)],
    )
    def test_fault_is_tried_again(sparrow, fault, at, recovers):
        sparrow.inject(fault, at=at, recovers=recovers)
        assert agent.openai_whole() == "It is done."
        assert sparrow.tool_calls == [("refund", {"order": "1"})]
        assert tools.calls.empty()

    @pytest.mark.sparrow(golden="test_async")
    @pytest.mark.parametrize("fault", ["timeout", "429"])
    def test_fault_async(sparrow, fault):
        sparrow.inject(fault, recovers=True)
        assert agent.openai_async() == "It is done."

    @pytest.mark.sparrow(golden="test_messages")
    @pytest.mark.parametrize("fault", ["reset", 529])
    def test_fault_anthropic(sparrow, fault):
        sparrow.inject(fault, recovers=True)
        assert agent.anthropic_whole() == "It is done."

    @pytest.mark.sparrow(golden="test_stream")
    @pytest.mark.parametrize("recovers", [True, False])
    @pytest.mark.parametrize("options", [{"after": 2}, {"after": 0}, {}])
    def test_fault_in_a_stream(sparrow, options, recovers):
        sparrow.inject("broken", **options, recovers=recovers)
        assert agent.openai_stream(tries=2) == "It is done."
        assert agent.heard == ["It ", "is "][:options.get("after", 1)] + ["It ", "is ", "done."]

    @pytest.mark.sparrow(golden="test_whole")
    def test_two_faults(sparrow):
        sparrow.inject("timeout", at=1, recovers=True)
        sparrow.inject("500", at=2, recovers=True)
        assert agent.openai_whole() == "It is done."
        assert [event.message for event in sparrow.events if event.type == "Error"] == [
            "ReadTimeout: The read operation timed out", "HTTP 500: Internal Server Error",
        ]

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_for_good(sparrow):
        import openai
        sparrow.inject("503", at="*/chat/completions", times=99)
        with pytest.raises(openai.InternalServerError):
            agent.openai_whole()

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_that_says_how_long_to_wait(sparrow):
        import openai
        sparrow.inject("429", retry_after=30, message="slow down")
        with pytest.raises(openai.RateLimitError) as caught:
            agent.openai_whole(max_retries=0)
        assert caught.value.response.headers["retry-after"] == "30"
        assert "slow down" in str(caught.value)

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_that_is_waited_for_in_the_sdk_is_not_waited_for_here(sparrow):
        sparrow.inject("429", retry_after=30, times=2, recovers=True)
        assert agent.openai_whole() == "It is done."

    @pytest.mark.sparrow(golden="test_whole")
    @pytest.mark.sparrow_inject("timeout", at=1, recovers=True)
    @pytest.mark.sparrow_inject("reset", at=2, recovers=True)
    def test_fault_by_marker(sparrow):
        assert agent.openai_whole() == "It is done."
        assert len([event for event in sparrow.events if event.type == "Error"]) == 2
"""


SLOW = """
    import asyncio, openai, requests, aiohttp

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("openai_stream", marks=pytest.mark.sparrow(golden="test_stream")),
            pytest.param("openai_stream_async", marks=pytest.mark.sparrow(golden="test_stream_async")),
        ],
    )
    def test_fault_that_is_waited_for(sparrow, name):
        sparrow.inject("slow", delay=0.001, recovers=True)
        assert getattr(agent, name)() == "It is done."

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("openai_stream", marks=pytest.mark.sparrow(golden="test_stream")),
            pytest.param("openai_stream_async", marks=pytest.mark.sparrow(golden="test_stream_async")),
        ],
    )
    def test_fault_that_a_client_does_not_wait_for(sparrow, name):
        sparrow.inject("slow", delay=5)
        with pytest.raises(openai.APITimeoutError):
            getattr(agent, name)(max_retries=0, timeout=0.01)

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_after_which_a_client_asks_again(sparrow):
        sparrow.inject("slow", delay=5, recovers=True)
        assert agent.openai_whole(timeout=0.01) == "It is done."

    @pytest.mark.sparrow(golden="test_plain")
    def test_fault_for_requests(sparrow):
        sparrow.inject("slow", delay=5)
        with pytest.raises(requests.ConnectionError, match="timed out"):
            agent.with_requests(timeout=0.01)

    @pytest.mark.sparrow(golden="test_aiohttp")
    @pytest.mark.parametrize("timeout", [{"sock_read": 0.01}, {"total": 0.01}])
    def test_fault_for_aiohttp(sparrow, timeout):
        sparrow.inject("slow", delay=5)
        with pytest.raises(asyncio.TimeoutError):
            agent.with_aiohttp(timeout=aiohttp.ClientTimeout(**timeout))
"""


TOOLS = """
    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_of_a_tool(sparrow):
        error = LookupError("no such order")
        sparrow.inject(raises=error, at="refund")
        assert agent.openai_whole() == "It is done."
        output, = [event for event in sparrow.events if event.type == "ToolOutput"]
        assert output.is_error

    @pytest.mark.sparrow(golden="test_whole")
    @pytest.mark.parametrize("then", [["I could not."], [["I", " could not."]]])
    def test_fault_and_what_the_model_says_to_it(sparrow, then):
        sparrow.inject(raises=LookupError("no such order"), at="refund", then=then)
        assert agent.openai_whole() == "I could not."

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_and_another_call(sparrow):
        from pytest_sparrow.scenario import calls
        then = [calls("refund", order="2").gives("refunded 2"), "It was order 2."]
        sparrow.inject(raises=LookupError("no such order"), at="refund", then=then)
        assert agent.openai_whole() == "It was order 2."
        assert sparrow.tool_calls == [("refund", {"order": "1"}), ("refund", {"order": "2"})]
        assert tools.calls.empty()

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_and_the_same_call_proposed_again_has_the_recorded_output(sparrow):
        from pytest_sparrow.scenario import calls
        then = [calls("refund", order="1"), "Now it is done."]
        sparrow.inject("reset", at="refund", then=then)
        assert agent.openai_whole() == "Now it is done."
        outputs = [event.blocks for event in sparrow.events if event.type == "ToolOutput"]
        assert outputs[-1] == [{"Text": "refunded 1"}]
        assert tools.calls.empty()

    @pytest.mark.sparrow(golden="test_whole")
    @pytest.mark.parametrize("recovers", [True, False])
    @pytest.mark.parametrize("times", [1, 2])
    def test_fault_of_a_tool_that_is_tried_again(sparrow, monkeypatch, recovers, times):
        inner, tried = tools.refund, []
        def stubborn(order):
            for _ in range(3):
                tried.append(order)
                try:
                    return inner(order)
                except TimeoutError:
                    pass
            raise TimeoutError
        monkeypatch.setattr(tools, "refund", stubborn)
        sparrow.inject("timeout", at="refund", times=times, recovers=recovers)
        assert agent.openai_whole() == "It is done."
        assert len(tried) == len(sparrow.tool_calls) == times + 1
        assert len(sparrow.proposals) == 1

    @pytest.mark.sparrow(golden="test_whole")
    def test_fault_of_a_tool_that_would_run(sparrow):
        sparrow.tool(tools.arefund, name="other", policy="run")
        sparrow.inject(raises=KeyError, at="refund")
        assert agent.openai_whole() == "It is done."
        assert tools.calls.empty()

    @pytest.mark.sparrow(script=["a", "b"])
    def test_fault_over_a_script(sparrow):
        sparrow.inject("429", at=1)
        assert agent.openai_stream() == "a"
"""


def test_what_an_agent_meets(recorded):
    """A client raises what it would raise in the world, the agent recovers, an answer is slow, and a tool raises.

    Each library raises its own exception, each SDK its own, sync and async, whole and streamed.
    A request that is made again gets the recorded answer, and the run goes on as recorded, without waiting.
    A slow answer meets the client's own timeout: the recorded answer comes late; a client with a shorter timeout
    raises, and gets the answer when it retries.
    A tool raises the very exception, sync; made again it is the same call; the model's answer to it can be written by
    hand.
    """
    faults(recorded, RAISED + RECOVERED + SLOW + TOOLS)
    if FULL:
        recorded.env(ALL="1")
    replay(recorded).assert_outcomes(passed=37 + (33 if FULL else 25) + 8 + 11, deselected=8)


def test_an_async_tool_raises(inner):
    """A coroutine function raises where it is awaited, and gets the recorded answer when it is called again."""
    inner.write(
        "test_it.py",
        """
        import asyncio
        import pytest

        async def fetch(key: str) -> str:
            return key.upper()

        async def stubborn(fetch):
            try:
                return await fetch("a")
            except TimeoutError:
                return await fetch("a")

        @pytest.mark.sparrow_inject("timeout", at="fetch", recovers=True)
        def test_it(sparrow):
            assert asyncio.run(stubborn(sparrow.tool(fetch))) == "A"
        """,
    )
    result = inner.record()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*sparrow.inject('timeout', at='fetch'): not in a recording or an update, which run without *"]
    )
    inner.replay().assert_outcomes(passed=1)


HIT_NOTHING = {
    "third": (
        '"timeout", at=3',
        "agent.openai_whole()",
        "sparrow.inject('timeout', at=3) hit nothing: the run made 2 HTTP requests",
    ),
    "path": (
        '"429", at="*/v1/messages"',
        "agent.openai_whole()",
        "sparrow.inject('429', at='*/v1/messages') hit nothing: the run made no HTTP request to */v1/messages",
    ),
    "tool": (
        'raises=ValueError, at="pay"',
        "agent.openai_whole()",
        "sparrow.inject(raises=<class 'ValueError'>, at='pay') hit nothing: the run made no call of pay",
    ),
    "chunks": (
        '"broken", after=9',
        "agent.openai_stream()",
        "*hit nothing: it needs an answer of more than 9 chunks, and the golden holds no such answer there",
    ),
}
"""Faults that never came, what the agent does, and how they are reported."""


def test_a_fault_that_hit_nothing_fails(recorded):
    """A test whose fault never came proves nothing."""
    text = """
    @pytest.mark.sparrow(golden="{golden}")
    def test_fault_{name}(sparrow):
        sparrow.inject({fault})
        {does}
    """
    tests = [
        text.format(
            golden="test_stream" if "stream" in does else "test_whole", name=name, fault=fault, does=does
        )
        for name, (fault, does, _) in HIT_NOTHING.items()
    ]
    faults(recorded, "".join(tests))
    result = replay(recorded)
    assert result.ret == 1
    result.assert_outcomes(failed=len(HIT_NOTHING), deselected=8)
    reported = sections(result)
    for name, (_, _, says) in HIT_NOTHING.items():
        pytest.LineMatcher(reported[f"test_fault_{name}"].splitlines()).fnmatch_lines([says])


JUDGED = """
    import openai

    whole = pytest.mark.sparrow(golden="test_whole")

    @whole
    @pytest.mark.parametrize("at", [1, 2])
    def test_fault_after_another_prompt(sparrow, monkeypatch, at):
        monkeypatch.setattr(agent, "TASK", "refund all")
        sparrow.inject("timeout", at=at)
        agent.openai_whole()

    @whole
    def test_fault_and_stopping(sparrow):
        sparrow.inject("500", at=2)
        with pytest.raises(openai.InternalServerError):
            agent.openai_whole(max_retries=0)

    @whole
    def test_fault_and_stopping_too_early(sparrow):
        sparrow.inject("500", at=2, recovers=True)
        with pytest.raises(openai.InternalServerError):
            agent.openai_whole(max_retries=0)

    @whole
    def test_fault_and_another_refund(sparrow):
        sparrow.inject("timeout", at=2)
        assert agent.openai_whole() == "It is done."
        tools.refund("1")

    @whole
    def test_fault_and_unasked_turns(sparrow):
        sparrow.inject(raises=KeyError, at="refund", then=["a", "b"])
        assert agent.openai_whole() == "a"

    @whole
    def test_fault_and_another_path(sparrow):
        sparrow.inject("500", at=2)
        ask = dict(messages=[{"role": "user", "content": "refund order 1"}], tools=agent.SPEC)
        with openai.OpenAI(base_url=agent.URL, api_key="k", max_retries=0) as client:
            message = client.chat.completions.create(model="m", **ask).choices[0].message
            call = message.tool_calls[0]
            output = {"role": "tool", "tool_call_id": call.id, "content": tools.refund("1")}
            ask["messages"] += [message.to_dict(), output]
            with pytest.raises(openai.InternalServerError):
                client.chat.completions.create(model="m", **ask)
            answer = client.chat.completions.create(model="spare", **ask)
        assert answer.choices[0].message.content == "It is done."

    @whole
    def test_fault_that_comes_too_late(sparrow):
        agent.openai_whole()
        sparrow.inject("timeout")
"""


def test_what_is_judged_of_a_run_with_a_fault(recorded):
    """Up to the fault the golden judges: another prompt, before the fault and at it, is red.

    After it only asserts judge, unless the run must recover: an agent that gives up is green; with ``recovers=True``
    it has left out what the golden holds. An agent that falls back to another model gets the answer that the first one
    failed to give. What has no answer after a fault is a miss: an agent that refunds twice because the second request
    timed out is red. What a model was to say after a fault must be asked for. Faults are injected before the agent
    runs: later, nobody could say which request is the first.
    """
    faults(recorded, JUDGED)
    result = replay(recorded, "-rp")
    assert result.ret == 1
    result.assert_outcomes(failed=6, passed=2, deselected=8)
    result.stdout.fnmatch_lines_random(
        ["PASSED test_it.py::test_fault_and_stopping", "PASSED test_it.py::test_fault_and_another_path"]
    )
    reported = sections(result)
    for name, says in {
        "after_another_prompt[1]": ["  request.messages*"],
        "after_another_prompt[2]": ["  request.messages*"],
        "and_stopping_too_early": [
            "  test    test_it.py::test_fault_and_stopping_too_early",
            "*was recorded, and not asked for",
        ],
        "and_another_refund": ['refund(order="1"): the golden holds no answer to this'],
        "and_unasked_turns": ["*scripted, and not asked for*"],
        "that_comes_too_late": ["*sparrow.inject('timeout'): faults are injected before the agent runs"],
    }.items():
        pytest.LineMatcher(reported[f"test_fault_{name}"].splitlines()).fnmatch_lines(says)


def test_a_test_that_records_itself(recorded):
    """One test, one golden: recorded without the fault, replayed with it; off leaves it alone."""
    recorded.write(
        "test_own.py",
        """
        import agent
        import pytest

        @pytest.mark.sparrow_inject("timeout", at=1)
        def test_own(sparrow):
            assert agent.openai_stream(tries=2) == "It is done."
            errors = [event for event in sparrow.events if event.type == "Error"]
            assert len(errors) == (sparrow.golden is not None)
        """,
    )
    with model(recorded):
        recorded.record("test_own.py").assert_outcomes(passed=1)
        recorded.run("--sparrow-mode=off", "test_own.py").assert_outcomes(passed=1)
    recorded.replay("test_own.py").assert_outcomes(passed=1)


NONSENSE = [
    (
        '"timeot"',
        "*there is no such fault; there are: timeout, *, 429, 500, malformed, broken, slow or another*",
    ),
    ('"200"', "*there is no such fault*"),
    ("", "*takes either a fault or raises=*"),
    ('"timeout", raises=ValueError, at="refund"', "*takes either a fault or raises=*"),
    ("raises=ValueError", '*raises= needs a tool, like at="refund"*'),
    ("raises=ValueError, at=1", "*raises= is for tools; for HTTP there are: timeout*"),
    ('raises="no", at="refund"', "*raises= takes an exception, not 'no'*"),
    ('"429", at="refund"', "*a tool fails by raises=, or timeout, unreachable, reset; *"),
    ('"429", at=0', "*at= takes a tool's name*or a pattern*"),
    ('"timeout", times=0', "*times= takes a number from 1, not 0*"),
    ('"timeout", after=2', "*after= says nothing of this fault; besides * it takes message*"),
    ('"malformed", message="x"', "*message= says nothing of this fault; it takes none*"),
    ('"broken", after=-1', "*after= takes a number of chunks, not -1*"),
    ('"slow", delay=60', "*delay= takes seconds, at most 5*; not 60*"),
    ('"429", retry_after="soon"', "*retry_after= takes seconds; not 'soon'*"),
    ('"429", then=[7]', "*then*turn 1 holds 7*"),
]
"""Faults that make no sense, and how they are reported."""


def test_a_fault_that_makes_no_sense_is_reported(inner):
    """By the marker before anything runs: the text names the test, and what there is.

    A marker on a test that doesn't use sparrow would do nothing, and is reported as well.
    """
    said = said_of_markers(inner, [f"sparrow_inject({call})" for call, _ in NONSENSE])
    for (_, says), text in zip(NONSENSE, said, strict=True):
        lines = pytest.LineMatcher([text])
        lines.fnmatch_lines([f"test_it.py::test_*: @pytest.mark.sparrow_inject: {says}"])
    inner.write("test_it.py", 'import pytest\n@pytest.mark.sparrow_inject("timeout")\ndef test_it(): pass\n')
    result = inner.refused("--sparrow-replay")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*test_it.py::test_it: @pytest.mark.sparrow_inject: the test does not use*"])
