"""What the fixtures give a test."""

from plugin.chatting import model

SURFACE = """
    import queue

    import pytest
    import pytest_sparrow
    from agent import agent
    import tools

    def test_everything(sparrow, request):
        assert isinstance(sparrow, pytest_sparrow.Sparrow)
        sparrow.tool("tools.add", risk="ReadOnly")
        assert sparrow.text == ""
        assert agent() == "It is 3."
        assert sparrow.run_id == "test_everything"
        assert sparrow.mode == ("replay" if sparrow.golden else "record")
        assert sparrow.text == "It is 3."
        assert sparrow.tool_calls == [("add", {"a": 1, "b": 2})]
        assert sparrow.tool_calls[0].name == "add"
        assert sparrow.proposals == [("add", {"a": 1, "b": 2})]
        kinds = [type(event).__name__ for event in sparrow.events]
        assert kinds == [type(event).__name__ for event in sparrow]
        assert kinds[0] == "RunStarted" and "ToolOutput" in kinds
        proposed = next(event for event in sparrow.events if isinstance(event, pytest_sparrow.ToolUseProposed))
        assert proposed.risk == "ReadOnly"
        sparrow.record(pytest_sparrow.CheckpointCreated(run=sparrow.run_id, id="1", label="mine"))
        assert sparrow.events[-1].label == "mine"
        with pytest.raises(pytest_sparrow.UsageError, match="belongs to run 'other'"):
            sparrow.record(pytest_sparrow.CheckpointCreated(run="other", id="1", label="mine"))
        if sparrow.golden is not None:
            assert isinstance(sparrow.golden, pytest_sparrow.Transcript)
            assert sparrow.golden.run_id == "test_everything"
            assert sparrow.golden.complete
            assert sparrow.golden.inputs.task == "add one and two"
            assert sparrow.golden.inputs.model_id == "m"

    def test_tools_and_call(sparrow):
        ran = queue.SimpleQueue()

        @sparrow.tool
        def one(x: int) -> int:
            ran.put("one")
            return x

        @sparrow.tool(name="second", ignore="y")
        def two(x: int, y: object = None) -> list[int]:
            ran.put("two")
            return [x]

        table = sparrow.tools({"three": lambda x: ran.put("three")})
        assert (one(1), two(2, object()), table["three"](3)) == (1, [2], None)
        assert sparrow.call("four", lambda: ran.put("four")) is None
        assert ran.qsize() == (0 if sparrow.golden else 4)
        assert sparrow.tool_calls == [("one", {"x": 1}), ("second", {"x": 2}), ("three", {"x": 3})]

    def test_expect(sparrow):
        sparrow.tool(tools.add)
        tools.add(1, 2)
        sparrow.expect(calls=["add"])
        sparrow.expect(calls=[("add", {"a": 1, "b": 2})], mode="unordered")
        sparrow.expect(calls=[], mode="superset")
        sparrow.expect(calls=["add", "other"], mode="subset")
        with pytest.raises(AssertionError, match="exactly these calls"):
            sparrow.expect(calls=[("add", {"a": 1, "b": 3})])
        with pytest.raises(pytest_sparrow.UsageError, match="strict, unordered, subset, superset"):
            sparrow.expect(calls=[], mode="loose")

    def test_further_runs(sparrow):
        sparrow.call("f", int)
        for number in (1, 2):
            with sparrow.run(f"run {number}", task="more") as more:
                assert more.call("g", int, number) == number
                assert more is not sparrow
                assert more.golden is None or more.golden.inputs.task == "more"
        sparrow.call("f", int)
        assert len(sparrow.events) == 1

    def test_store(sparrow_recorder, sparrow_replayer):
        assert isinstance(sparrow_recorder, pytest_sparrow.Recorder)
        assert isinstance(sparrow_replayer, pytest_sparrow.Replayer)
        sparrow_recorder.start_run("mine", pytest_sparrow.RunInputs(task="t"))
        sparrow_recorder.record(pytest_sparrow.CheckpointCreated(run="mine", id="1", label="l"))
        sparrow_recorder.finalize("mine")
        assert sparrow_replayer.list_transcripts() == ["mine"]
        assert sparrow_replayer.load("mine").complete
"""


def test_the_surface(inner):
    """Everything that sparrow offers works alike in record and in replay; the store fixtures share one folder."""
    inner.write("test_it.py", SURFACE)
    with model(inner):
        inner.record().assert_outcomes(passed=5)
    goldens = [name.rpartition("/")[2] for name in inner.goldens()]
    assert [name.partition("--")[0] for name in goldens] == [
        "test_everything",
        "test_expect",
        "test_further_runs",
        "test_further_runs+run-1",
        "test_further_runs+run-2",
        "test_tools_and_call",
    ]
    result = inner.replay()
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["sparrow: 4 replayed equal*"])


def test_a_further_run_is_judged(inner):
    """A further run that diverges, or has no golden, fails the test, and is named."""
    inner.write(
        "test_it.py",
        """
        import os

        def test_it(sparrow):
            sparrow.call("f", int)
            with sparrow.run(os.environ.get("NAME", "second")) as second:
                second.call("g", int, int(os.environ.get("STEP", "1")))
        """,
    )
    inner.record().assert_outcomes(passed=1)
    inner.env(STEP="2")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["call g(2): the golden holds no answer to this", "  golden  *__sparrow__/test_it/test_it+second"]
    )
    inner.env(NAME="third")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["no golden for this test: nothing to replay", "  golden  *__sparrow__/test_it/test_it+third"]
    )
    commands = [f"pytest --sparrow-{mode} test_it.py::test_it" for mode in ("mode=extend", "record")]
    result.stdout.fnmatch_lines([f"  extend  {commands[0]}", f"  record  {commands[1]}"])
    inner.run(*commands[0].split()[1:]).assert_outcomes(passed=1)
    inner.replay().assert_outcomes(passed=1)
    inner.run(*commands[1].split()[1:]).assert_outcomes(passed=1)
    inner.replay().assert_outcomes(passed=1)
