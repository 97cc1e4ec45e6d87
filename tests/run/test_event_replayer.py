"""The replayer of events alone, asked as a run asks it."""

from __future__ import annotations

import pytest

from pytest_sparrow.errors import ReplayDivergence, ReplayStopped
from pytest_sparrow.findings import Kind
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.report.words import title
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.run.replayer import MOST_MISSES
from pytest_sparrow.run.whatif.replayer import EventReplayer
from pytest_sparrow.run.whatif.script import read_script
from run.making import error, gave, propose, run_of, said, start, think

CHAT = ("https://api.openai.com/v1/chat/completions", {"model": "m", "messages": []})
OLLAMA = (
    "http://127.0.0.1:11434/api/chat",
    {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False},
)


@pytest.fixture
def replay():
    """Opens a run that replays these events."""
    opened = []

    def begin(*events, by_hand=False):
        wire = Wire(builtin_codecs())
        script = read_script(events)
        run = run_of(
            wire=wire,
            replayer=lambda violations: EventReplayer(script, wire.read, violations, by_hand=by_hand),
        )
        opened.append((run, open_window(run)))
        return run

    yield begin
    for run, token in reversed(opened):
        close_window(run, token)


def ask(run, to=CHAT):
    """One request to a model; returns what the agent gets."""
    url, body = to
    crossing = run.ask("http", {"method": "POST", "url": url, "headers": [], "body": {"json": body}})
    crossing.settle(crossing.replayed)
    return crossing.replayed


def call(run, name, **args):
    """One call of a wrapped tool; returns what the tool gets."""
    crossing = run.ask("tool", {"name": name, "args": args})
    crossing.settle(crossing.replayed)
    return crossing.replayed


@pytest.mark.parametrize(
    ("message", "status"),
    [("HTTP 503: no", 503), ("429 from provider, retrying", 429), ("order 14290 is odd", 500), ("no", 500)],
)
def test_an_error_alone_has_a_status(replay, message, status):
    """The status is the error's own, the one in its text, or 500: an agent must see that the request failed."""
    assert ask(replay(error(message)))["status"] == status


def test_a_broken_connection_has_no_status(replay):
    """The transport raises the error."""
    assert ask(replay(error("ReadTimeout: late")))["error"] == {"type": "ReadTimeout", "message": "late"}


def test_calls_are_known_where_a_format_has_no_ids(replay):
    """Ollama's calls are known by their order; each gets its own output, and what was called is compared."""
    run = replay(
        propose("a", "one"), propose("b", "two"), gave("b", {"Json": 2}), gave("a", {"Json": 1}), said("ok")
    )
    ask(run, OLLAMA)
    assert (call(run, "two")["returned"], call(run, "one")["returned"]) == (2, 1)
    ask(run, OLLAMA)
    run.close(failed=False)
    assert run.violations.findings == []


def test_a_call_that_no_model_proposed_is_answered_by_its_arguments(replay):
    """As our own recordings hold such calls."""
    run = replay(
        propose("unproposed_1", "add", {"a": 1}),
        gave("unproposed_1", {"Json": 1}),
        propose("unproposed_2", "add", {"a": 2}),
        gave("unproposed_2", {"Json": 2}),
    )
    assert [call(run, "add", a=number)["returned"] for number in (2, 1)] == [2, 1]
    with pytest.raises(ReplayDivergence, match="holds no turn of a model"):
        call(run, "add", a=2)


def test_an_output_that_the_script_does_not_say(replay):
    """A miss in a transcript; in a scenario the tool is meant to run."""
    events = (propose("a", "one"), start("a"), think("done"))
    run = replay(*events)
    ask(run)
    with pytest.raises(ReplayDivergence) as caught:
        call(run, "one")
    assert caught.value.details == ('next: turn 2, says "done"',)
    by_hand = replay(*events, by_hand=True)
    ask(by_hand)
    assert call(by_hand, "one") is None


def test_an_agent_that_asks_again_and_again_is_stopped(replay):
    """No `Exception` any more: after some misses of one call, or after many misses of any."""
    run = replay(think("a"))
    for _ in range(4):
        with pytest.raises(ReplayDivergence):
            run.ask("call", {"name": "geo", "args": [], "kwargs": {}})
    with pytest.raises(ReplayStopped):
        run.ask("call", {"name": "geo", "args": [], "kwargs": {}})
    for number in range(5, MOST_MISSES):
        with pytest.raises(ReplayDivergence):
            run.ask("call", {"name": "geo", "args": [number], "kwargs": {}})
    with pytest.raises(ReplayStopped):
        run.ask("call", {"name": "other", "args": [], "kwargs": {}})
    assert len(run.violations.of(Kind.MISS)) == MOST_MISSES


def test_what_is_left_is_a_finding_each(replay):
    """Named by number and gist."""
    run = replay(said("a"), said("b"), propose("1", "add"), gave("1"))
    ask(run)
    run.close(failed=False)
    assert [title(finding) for finding in run.violations.of(Kind.UNPLAYED)] == [
        'turn 2, says "b": scripted, and not asked for',
        "turn 3, proposes add(): scripted, and not asked for",
    ]
