"""A run as text and as Markdown: in words, nothing twice, and what no event speaks of."""

from pytest_sparrow import events as ev
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.report.markdown import markdown_of
from pytest_sparrow.report.run import render_run
from pytest_sparrow.transcript import RunInputs, Transcript

EVENTS = [
    ev.RunStarted(run="a", task="hello", agent="pytest"),
    ev.RouteSelected(run="a", chain=["m"], context_window=0),
    ev.ThinkingDelta(run="a", text="one "),
    ev.ThinkingDelta(run="a", text="two"),
    ev.Message(run="a", role="assistant", text="one two"),
    ev.TokenUsage(run="a", input=3, output=2),
    ev.RouteSelected(run="a", chain=["n"], context_window=0),
    ev.Message(run="a", role="assistant", text="not said before"),
    ev.Error(run="a", message="refused"),
    ev.RunFinished(
        run="a",
        outcome={"status": "failed", "tokens": {"input": 3, "output": 2}, "cost_usd": 0.0, "diffs": []},
    ),
]
CALL = {"name": "geo", "args": ["Ulm"], "kwargs": {}}
PLAIN = {"method": "GET", "url": "http://h/x?n=1", "headers": {}, "body": None}


def run(events, exchanges=()):
    inputs = RunInputs(task="hello", config_snapshot={}, model_id="m", timestamp="2026-01-01T00:00:00+00:00")
    return Transcript.new("a", inputs, events, exchanges=list(exchanges), nodeid="t.py::a")


def test_events_in_words():
    """The task, the first model and a message that repeats what was said stand once; the end is a sentence."""
    lines = [line.strip() for line in render_run(run(EVENTS))]
    assert lines[lines.index("") :] == [
        "",
        "turn 1",
        "says          one two",
        "uses          3 tokens in, 2 out",
        "model         n",
        "",
        "turn 2",
        "Message       assistant: not said before",
        "error         refused",
        "ends          failed, 3 tokens in, 2 out",
    ]


def test_what_no_event_speaks_of():
    """Calls and plain requests are exchanges only, and shown behind the turns."""
    exchanges = [
        Exchange(kind="call", asked=CALL, answered={"returned": 7}, began=0.0, ended=0.1),
        Exchange(kind="http", asked=PLAIN, answered=None, began=0.2, ended=0.3),
    ]
    assert [line.strip() for line in render_run(run([], exchanges))][-5:] == [
        "asked besides, without events",
        'asks          call geo("Ulm")',
        'gives       {"returned": 7}',
        "asks          GET h/x?n=1",
        "gives       nothing",
    ]


def test_what_was_captured():
    """Of each tool who saw the calls and what a replay does; anything may stand there, since goldens are data."""
    capture = {
        "tools": [
            {"name": "refund", "by": "pydantic-ai", "calls": 2},
            {"name": "ask", "by": "pydantic-ai", "calls": 1, "runs": "it asks a model itself"},
            {"name": "mail", "by": "nobody", "calls": 1},
            {"by": [1], "calls": None},
            3,
        ],
        "uncaptured": ["a", "b"],
    }
    shown = run([])
    shown.inputs.config_snapshot["capture"] = capture
    lines = list(render_run(shown))
    assert lines[lines.index("  test      t.py::a") + 1 : -1] == [
        "  tools     refund: 2 calls, seen by pydantic-ai, answered in a replay",
        "            ask: 1 call, seen by pydantic-ai, runs in a replay: it asks a model itself",
        "            mail: 1 call, not wrapped: runs in a replay",
        "            None: None, seen by [1], answered in a replay",
        "  missing   a",
        "            b",
    ]
    for other in (7, {"tools": 1, "uncaptured": 2}):
        shown.inputs.config_snapshot["capture"] = other
        assert not any("tools" in line for line in list(render_run(shown)) if "config" not in line)


def test_markdown_in_words():
    """The same in a document: no JSON where a word will do."""
    lines = list(markdown_of(run(EVENTS)))
    assert lines.count("> one two") == 1
    assert ["*model n*" in lines, "> refused" in lines, "*failed, 3 tokens in, 2 out*" in lines] == [True] * 3
    assert not any(line.startswith("```") for line in lines)
