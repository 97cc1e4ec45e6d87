"""What if: sparrow.fork replays up to one call, gives it another answer, and goes on scripted or live."""

import pytest

from plugin.chatting import model

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

    def record():
        inner.write("test_it.py", HEAD)
        with model(inner):
            assert inner.record().ret == 0

    inner.once(record)
    return inner


def fork(inner, *lines):
    inner.write("test_it.py", HEAD + FORKED.format(body="\n        ".join(lines)))


def replay(inner, *options):
    before = inner.files()
    result = inner.replay("-k", "fork", *options)
    assert inner.files() == before
    return result


def test_a_tools_output_is_another_one(recorded):
    """The agent gets it, sends it to the model (which is no failure), and gets the model's recorded answer."""
    fork(
        recorded,
        'answer = run(sparrow, "add", {"returned": 77})',
        'assert answer == "It is 3."',
        "outputs = [event for event in sparrow.events if event.type == 'ToolOutput']",
        "assert outputs[0].blocks == [{'Json': 77}]",
    )
    result = replay(recorded)
    result.assert_outcomes(passed=1, deselected=1)
    assert recorded.goldens() == ["__sparrow__/test_it/test_it"]


def test_a_tool_raises(recorded):
    """The very exception that was given, also of a type that no golden could lead to."""
    fork(
        recorded,
        "class Broke(Exception): pass",
        "error = Broke('no')",
        "with pytest.raises(Broke) as caught:",
        '    run(sparrow, "add", raises=error)',
        "assert caught.value is error",
    )
    replay(recorded).assert_outcomes(passed=1, deselected=1)


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


def test_a_models_turn_is_another_one(recorded):
    """An HTTP request gets the answer that was given, by its number in the run."""
    fork(
        recorded,
        'message = {"role": "assistant", "content": "No."}',
        'body = {"json": {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}}',
        'assert run(sparrow, 1, {"body": body}) == "No."',
        "assert sparrow.text == 'No.'",
        "assert sparrow.tool_calls == []",
    )
    replay(recorded).assert_outcomes(passed=1, deselected=1)


def test_what_has_no_answer_after_a_fork_is_a_miss(recorded):
    """In a scripted fork the golden answers what fits; a call that it doesn't hold fails the test."""
    fork(recorded, 'run(sparrow, "add", {"returned": 77})', "tools.add(5, 5)")
    result = replay(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["add(a=5, b=5): the golden holds no answer to this"])


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


@pytest.mark.parametrize("live", ["True", "False"])
def test_before_the_fork_the_golden_judges(recorded, live):
    """Another argument of the very call at which it forks is a divergence; so is another prompt before it."""
    fork(
        recorded,
        "sparrow.tool(tools.add)",
        f'sparrow.fork("add", raises=ValueError("no"), live={live})',
        "with pytest.raises(ValueError):",
        "    agent()",
    )
    replay(recorded).assert_outcomes(passed=1, deselected=1)
    recorded.env(MORE="5")
    result = replay(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["add was called with other arguments", "  ToolUseStarted*add*args*b*"])
    result.stdout.fnmatch_lines(
        ["  accept  pytest --sparrow-record test_it.py::test_it  # the test that this golden belongs to"]
    )
    recorded.env(MORE="0", PROMPT="be rude")
    result = replay(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  request.messages*system*content"])


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


def test_a_fork_that_is_never_reached_fails(recorded):
    """A test that forks at a call that doesn't come proves nothing."""
    fork(recorded, 'run(sparrow, ("add", 2), {"returned": 77})')
    result = replay(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["sparrow.fork(at=('add', 2)) was never reached: the run made 1 call of add"])


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


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ('"add"', "*takes either replace= or raises=*"),
        ('"add", {"returned": 1}, raises=ValueError', "*takes either replace= or raises=*"),
        ('0, {"status": 200}', "*at= takes a tool's name, (name, which call of it) or the number*"),
        ('"add", {"return": 1}', "*replace= takes a dict of returned, yielded, awaited, not*"),
        ('1, {"returned": 1}', "*replace= takes a dict of status, headers, body, error, not*"),
        ('1, {"body": {"jsn": 1}}', '*a body is one of: {"json": …}*'),
        ("1, raises=ValueError", "*raises= is for tools*"),
    ],
)
def test_a_fork_that_makes_no_sense_is_reported(recorded, call, says):
    """A usage error says what is wrong, and what there is."""
    fork(recorded, f"run(sparrow, {call})")
    result = replay(recorded)
    assert result.ret == 1
    result.stdout.fnmatch_lines([says])


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
