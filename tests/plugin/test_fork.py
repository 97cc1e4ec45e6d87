"""What if: sparrow.fork replays up to one call, gives it another answer, and goes on scripted or live."""

import pytest

from plugin.chatting import model
from plugin.failures import sections

HEAD = """
    import pytest

    import agent as agent_module
    from agent import agent
    import tools

    def test_it(sparrow):
        sparrow.tool(tools.add)
        agent()

    def run(sparrow, *args, **kwargs):
        sparrow.tool(tools.add)
        sparrow.fork(*args, **kwargs)
        return agent()
"""

FORKED = """
    @pytest.mark.sparrow(golden="test_it")
    def test_fork(sparrow):
        {body}
"""


@pytest.fixture
def recorded(inner):
    """One test, recorded; a second one forks its golden."""
    return inner.recorded(HEAD, model)


def fork(inner, *lines):
    inner.write("test_it.py", HEAD + FORKED.format(body="\n        ".join(lines)))


def replay(inner, *options):
    before = inner.files()
    result = inner.replay("-k", "fork", *options)
    assert inner.files() == before
    return result


TESTS = """
    forked = pytest.mark.sparrow(golden="test_it")

    @forked
    def test_fork_output(sparrow):
        assert run(sparrow, "add", {"returned": 77}) == "It is 3."
        outputs = [event for event in sparrow.events if event.type == 'ToolOutput']
        assert outputs[0].blocks == [{"Json": 77}]

    @forked
    def test_fork_raises(sparrow):
        class Broke(Exception): pass
        error = Broke("no")
        with pytest.raises(Broke) as caught:
            run(sparrow, "add", raises=error)
        assert caught.value is error

    @forked
    def test_fork_turn(sparrow):
        message = {"role": "assistant", "content": "No."}
        body = {"json": {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}}
        assert run(sparrow, 1, {"body": body}) == "No."
        assert sparrow.text == "No."
        assert sparrow.tool_calls == []

    @forked
    def test_fork_miss(sparrow):
        run(sparrow, "add", {"returned": 77})
        tools.add(5, 5)

    @forked
    def test_fork_never(sparrow):
        run(sparrow, ("add", 2), {"returned": 77})

    @forked
    @pytest.mark.parametrize("live", [True, False])
    @pytest.mark.parametrize("changed", [{}, {"MORE": "5"}, {"PROMPT": "be rude"}], ids=["equal", "more", "prompt"])
    def test_fork_before(sparrow, monkeypatch, changed, live):
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        sparrow.tool(tools.add)
        sparrow.fork("add", raises=ValueError("no"), live=live)
        with pytest.raises(ValueError):
            agent()
"""

ARGUMENTS = (
    "add was called with other arguments",
    "  ToolUseStarted*add*args*b*",
    "  accept  pytest --sparrow-record test_it.py::test_it  # the test that this golden belongs to",
)


def test_what_a_fork_answers(recorded):
    """A tool's output, an exception or a model's turn is another one; after it the golden answers what fits.

    The agent gets the output, sends it to the model (which is no failure), and gets the model's recorded answer.
    A tool raises the very exception that was given, also of a type that no golden could lead to.
    An HTTP request gets the answer that was given, by its number in the run.
    In a scripted fork a call that the golden doesn't hold fails the test; so does a fork at a call that doesn't come,
    as such a test proves nothing.
    Before the fork the golden judges: another argument of the very call at which it forks is a divergence; so is
    another prompt before it.
    """
    recorded.write("test_it.py", HEAD + TESTS)
    result = replay(recorded, "-rp")
    assert result.ret == 1
    result.assert_outcomes(passed=5, failed=6, deselected=1)
    assert recorded.goldens() == ["__sparrow__/test_it/test_it"]
    reported = sections(result)
    expected = {
        "miss": ["add(a=5, b=5): the golden holds no answer to this"],
        "never": ["sparrow.fork(at=('add', 2)) was never reached: the run made 1 call of add"],
    }
    for live in (True, False):
        expected[f"before[more-{live}]"] = list(ARGUMENTS)
        expected[f"before[prompt-{live}]"] = ["  request.messages*system*content"]
    assert set(reported) == {f"test_fork_{name}" for name in expected}
    for name, says in expected.items():
        pytest.LineMatcher(reported[f"test_fork_{name}"].splitlines()).fnmatch_lines(says)


NONSENSE = {
    '"add"': "*takes either replace= or raises=*",
    '"add", {"returned": 1}, raises=ValueError': "*takes either replace= or raises=*",
    '0, {"status": 200}': "*at= takes a tool's name, (name, which call of it) or the number*",
    '"add", {"return": 1}': "*replace= takes a dict of returned, yielded, awaited, types, not*",
    '1, {"returned": 1}': "*replace= takes a dict of status, headers, body, error, not*",
    '1, {"body": {"jsn": 1}}': '*a body is one of: {"json": …}*',
    "1, raises=ValueError": "*raises= is for tools*",
}
"""Forks that make no sense, and how they are reported."""


def test_a_fork_that_makes_no_sense_is_reported(recorded):
    """A usage error says what is wrong, and what there is."""
    tests = [
        FORKED.replace("test_fork", f"test_fork_{number}").format(body=f"run(sparrow, {call})")
        for number, call in enumerate(NONSENSE)
    ]
    recorded.write("test_it.py", HEAD + "".join(tests))
    result = replay(recorded)
    assert result.ret == 1
    result.assert_outcomes(failed=len(NONSENSE), deselected=1)
    reported = sections(result)
    for number, says in enumerate(NONSENSE.values()):
        pytest.LineMatcher(reported[f"test_fork_{number}"].splitlines()).fnmatch_lines([says])


def test_the_second_call_of_a_tool(inner):
    """The first call keeps its recorded answer."""
    inner.write(
        "test_it.py",
        """
        def add(a: int) -> int:
            return a

        def test_it(sparrow):
            tool = sparrow.tool(add)
            if sparrow.golden is not None:
                sparrow.fork(at=("add", 2), replace={"returned": 50})
                assert [tool(1), tool(1), tool(2)] == [1, 50, 2]
            else:
                tool(1), tool(1), tool(2)
        """,
    )
    assert inner.record().ret == 0
    inner.replay().assert_outcomes(passed=1)


def test_live_from_the_fork_on(recorded):
    """The world is open: tools run, the model is asked for real, any host is reachable; nothing is written."""
    fork(
        recorded,
        'answer = run(sparrow, "add", {"returned": 77}, live=True)',
        "assert answer == 'It is 3.'",
        "assert tools.add(5, 5) == 3",
        "assert agent('more') == 'It is 3.'",
        "assert sparrow.call('odd', type, object()) is object  # what JSON can't hold does no harm",
        "import os, socket",
        "host, port = os.environ['WORLD'].removeprefix('http://').split(':')",
        "socket.create_connection((host, int(port)), timeout=5).close()",
    )
    with model(recorded):
        replay(recorded).assert_outcomes(passed=1, deselected=1)


def test_a_call_left_out_before_the_fork_is_a_divergence(inner):
    """What the golden has before the fork must have happened."""
    inner.write(
        "test_it.py",
        """
        import os

        def add(a: int) -> int:
            return a

        def other(a: int) -> int:
            return a

        def test_it(sparrow):
            one, two = sparrow.tool(add), sparrow.tool(other)
            if sparrow.golden is not None:
                sparrow.fork("other", {"returned": 50})
            if not os.environ.get("LESS"):
                one(1)
            two(1)
            one(2)
        """,
    )
    assert inner.record().ret == 0
    inner.replay().assert_outcomes(passed=1)
    inner.env(LESS="1")
    result = inner.replay()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["add was not called*"])
    result.stdout.no_fnmatch_line("*other was*")


def test_a_recording_session_replays_forks(recorded):
    """A test with another's golden never writes: --sparrow-record of everything leaves it a replay."""
    fork(recorded, 'assert sparrow.mode == "replay"', 'run(sparrow, "add", {"returned": 77})')
    with model(recorded):
        result = recorded.record()
    result.assert_outcomes(passed=2)
    assert recorded.goldens() == ["__sparrow__/test_it/test_it"]


def test_a_missing_golden_names_the_test_that_records_it(inner):
    """The command of the failure records the other test."""
    inner.write("test_it.py", HEAD + FORKED.format(body="pass"))
    inner.env(WORLD="http://127.0.0.1:9")
    inner.write("agent.py", "def agent(): pass")
    inner.write("tools.py", "")
    result = inner.replay("-k", "fork")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*pytest --sparrow-record test_it.py::test_it*"])


def test_only_a_replay_forks(recorded):
    """In any other mode it is an error that names the way out; a recording of it would be a lie."""
    recorded.write(
        "test_it.py", HEAD + '\n    def test_fork(sparrow):\n        run(sparrow, "add", {"returned": 7})\n'
    )
    with model(recorded):
        result = recorded.record("-k", "fork")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*only a replay can fork, and this run is in mode 'record'*", '*golden="test_refund"*']
    )
    assert recorded.goldens() == ["__sparrow__/test_it/test_it"]
