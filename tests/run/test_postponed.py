"""Events of a replay are made when somebody asks; a replay in step with its golden is equal without them."""

from __future__ import annotations

import pytest

from pytest_sparrow.events import SkillLearned, dump_event
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.providers.openai_chat.codec import OpenAIChat
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.settings import Settings
from run.making import run_of

URL = "https://api.example.com/v1/chat/completions"


def exchange(number, *, said="Good day", began=None, **message):
    """The recorded exchange of one question."""
    answer = {"choices": [{"message": {"role": "assistant", "content": said, **message}}], "usage": {}}
    return Exchange(
        kind="http",
        asked={"method": "POST", "url": URL, "headers": {}, "body": {"json": question(number)}},
        answered={"status": 200, "headers": {}, "body": {"json": answer}},
        began=float(number) if began is None else began,
        ended=number + 0.5,
    )


def question(number):
    """What the agent asks."""
    return {"model": "m", "messages": [{"role": "user", "content": f"Question {number}"}]}


def ask(run, number, *, complete=True):
    """One call of the agent, answered as recorded."""
    asked = {"method": "POST", "url": URL, "headers": [], "body": {"json": question(number)}}
    crossing = run.ask("http", asked)
    crossing.settle(crossing.replayed, complete=complete)


def play(run, count, *, failed=False, between=lambda _: None, **said):
    """A whole run."""
    token = open_window(run)
    for number in range(count):
        ask(run, number, **said)
        between(run)
    run.close(failed=failed)
    close_window(run, token)
    return run


def lines_of(golden, **settings):
    """The lines of a recording."""
    return [
        dump_event(event)
        for event in play(run_of(golden=golden, settings=Settings(**settings)), len(golden)).events
    ]


GOLDEN = [exchange(0), exchange(1)]


@pytest.fixture
def read(monkeypatch):
    """The answers that are read."""
    found, answer = [], OpenAIChat.answer
    monkeypatch.setattr(OpenAIChat, "answer", lambda *said: found.append(said) or answer(*said))
    return found


def test_a_replay_in_step_with_its_golden_reads_no_answer(read):
    """And whoever asks gets the events all the same, to the byte."""
    lines = lines_of(GOLDEN)
    read.clear()
    run = play(run_of(golden=GOLDEN, recorded_events=lines), 2)
    assert run.equal_by_construction
    assert not read
    assert [dump_event(event) for event in run.events] == lines
    assert len(read) == 2


def test_events_are_there_as_soon_as_they_are_asked_for(read):
    """An agent's test reads them in the middle."""
    counts = []
    run = play(
        run_of(golden=GOLDEN, recorded_events=lines_of(GOLDEN)),
        2,
        between=lambda run: counts.append(len(run.events)),
    )
    assert counts == [4, 6]
    assert run.equal_by_construction


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        (GOLDEN, {"count": 1}),
        (GOLDEN, {"failed": True}),
        (GOLDEN, {"complete": False}),
        (GOLDEN, {"between": lambda run: run.record(SkillLearned(run="a", name="s"))}),
        ([exchange(0), exchange(1, began=0.2)], {}),
        ([exchange(0), exchange(1, said="")], {}),
        (
            [
                exchange(0),
                exchange(1, tool_calls=[{"id": "c", "function": {"name": "f", "arguments": "{}"}}]),
            ],
            {},
        ),
    ],
    ids=["fewer", "failed", "unread", "own-event", "at-once", "silent", "tool"],
)
def test_a_run_that_may_differ_from_its_golden_is_compared(golden, said):
    """Also where an event would say what no answer says: of tools, and of answers that say nothing."""
    lines = lines_of(golden)
    run = play(run_of(golden=golden, recorded_events=lines), **{"count": 2, **said})
    assert not run.equal_by_construction


def test_events_that_other_settings_make_are_compared():
    """The agent's name stands in an event; a golden without known lines has none to be equal to."""
    lines = lines_of(GOLDEN)
    assert not play(
        run_of(settings=Settings(agent="other"), golden=GOLDEN, recorded_events=lines), 2
    ).equal_by_construction
    assert not play(run_of(golden=GOLDEN), 2).equal_by_construction
    assert not play(run_of(golden=GOLDEN, recorded_events=lines[:-1]), 2).equal_by_construction


def test_a_changed_request_is_compared():
    """The answer is the recorded one, the request is not."""
    lines = lines_of(GOLDEN)
    changed = [GOLDEN[0], exchange(7)]
    run = play(run_of(golden=changed, recorded_events=lines), 2)
    assert run.violations.findings
    assert not run.equal_by_construction


def test_work_goes_on_with_the_model_of_its_maker():
    """Though the maker's question made no events yet, its work has no route of its own to the same model."""
    run = run_of(golden=GOLDEN)
    token = open_window(run)
    ask(run, 0)
    with run.within(run.begin_lane(None)):
        ask(run, 1)
    run.close(failed=False)
    close_window(run, token)
    assert [event.type for event in run.events].count("RouteSelected") == 1
