"""Recording again an unchanged run changes nothing, though providers' answers never come twice alike."""

import json
from dataclasses import replace

import pytest

from pytest_sparrow.events import RunStarted
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.judging.replay import same_recording
from pytest_sparrow.transcript import RunInputs, RunMeta, Transcript


def run(answer, *, kind="http", **request):
    """A run of one exchange with a model."""
    asked = {
        "method": "POST",
        "url": "http://h/v1beta/models/m:generateContent",
        "headers": {},
        "body": {"json": request},
    }
    if kind == "tool":
        asked, answer = {"name": "a", "args": request, "id": "unproposed_1"}, {"returned": answer}
    return Transcript(
        inputs=RunInputs(task="t", config_snapshot={}, model_id="m", repo_head=None, timestamp="", agent="a"),
        meta=RunMeta(run_id="r"),
        events=[RunStarted(run="r", task="t", agent="a")],
        exchanges=[Exchange(kind=kind, asked=asked, answered=answer)],
    )


def lines(*values):
    """An answer of these lines; a str goes as it is."""
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return {"status": 200, "headers": {}, "body": {"lines": texts}}


def gemini(signature):
    """A content with a signature."""
    return {"contents": [{"parts": [{"text": "a", "thoughtSignature": signature}]}]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lines({"created_at": "1", "n": 1}), lines({"created_at": "2", "n": 1})),
        (lines({"eval_duration": 5, "load_duration": 7}), lines({"eval_duration": 6, "load_duration": 8})),
        (
            {"status": 200, "headers": {}, "body": {"json": gemini("AAAA")}},
            {"status": 200, "headers": {}, "body": {"json": gemini("BBBB")}},
        ),
        (
            {"status": 200, "headers": {}, "body": {"sse": ["data: " + json.dumps(gemini("AAAA"))]}},
            {"status": 200, "headers": {}, "body": {"sse": ["data: " + json.dumps(gemini("BBBB"))]}},
        ),
        (
            {"status": 200, "headers": {}, "body": {"json": {"metrics": {"latencyMs": 1}}}},
            {"status": 200, "headers": {}, "body": {"json": {"metrics": {"latencyMs": 2}}}},
        ),
    ],
    ids=["created", "durations", "signature", "streamed-signature", "latency"],
)
def test_times_and_signatures_of_answers_do_not_count(one, other):
    """In JSON, in events and in lines."""
    assert same_recording(run(one), run(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lines({"n": 1}), lines({"n": 2})),
        (lines({"n": 1}, {"n": 2}), lines({"n": 2}, {"n": 1})),
        (lines("torn {"), lines("torn [")),
        (lines({"n": 1}), lines({"n": 1}, "")),
    ],
    ids=["value", "order", "no-json", "more"],
)
def test_anything_else_in_a_line_counts(one, other):
    """Another value, another order, a line that is no JSON, one line more."""
    assert not same_recording(run(one), run(other))


def body(**kind):
    return {"status": 200, "headers": {}, "body": kind}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (body(json={"n": 1}), body(json={"n": 2})),
        (body(json={"n": 1}), {**body(json={"n": 1}), "status": 201}),
        (body(text="a"), body(text="b")),
        (body(sse=["event: a\ndata: {}"]), body(sse=["event: b\ndata: {}"])),
        (body(sse=['data: {"n": 1}']), body(sse=['data: {"n": 2}'])),
        (body(sse=["data: [DONE]"]), body(sse=["data: [OVER]"])),
        (body(sse=["data: {}"]), body(sse=["data: {}", "data: {}"])),
        (body(json={"n": 1}), None),
    ],
    ids=["json", "status", "text", "event", "data", "word", "more", "none"],
)
def test_another_answer_is_another_recording(one, other):
    """Whatever else of it is equal: the golden must not keep the older one."""
    assert same_recording(run(one), run(one))
    assert not same_recording(run(one), run(other))


def test_another_number_of_exchanges_is_another_recording():
    """An added exchange of the same kind counts; the order in which parallel exchanges ended does not."""
    once = run(body(json={"n": 1}))
    more = [*once.exchanges, *run(body(json={"n": 2})).exchanges]
    assert not same_recording(once, replace(once, exchanges=[*once.exchanges] * 2))
    assert same_recording(replace(once, exchanges=more), replace(once, exchanges=more[::-1]))


def test_other_events_are_another_recording():
    """Though all that was asked and answered is the same; but for the task, which parallel agents may each begin."""
    before = run(body(json={}))
    after = replace(before, events=[*before.events, RunStarted(run="r", task="t", agent="a")])
    assert not same_recording(before, after)
    assert same_recording(before, replace(before, events=[RunStarted(run="r", task="u", agent="a")]))


def test_other_further_runs_are_another_recording():
    """A golden names the runs that its test opens besides."""
    before = run(body(json={}))
    after = replace(before, inputs=replace(before.inputs, config_snapshot={"further_runs": ["r.one"]}))
    assert not same_recording(before, after)


def test_what_a_tool_gave_counts_letter_by_letter():
    """What is volatile in an answer of the wire is a tool's own business."""
    for one, other in [({"id": 1}, {"id": 2}), ('data: {"a": 1}', 'data: {"a":1}')]:
        assert not same_recording(run(one, kind="tool"), run(other, kind="tool"))


def test_a_signature_that_the_next_request_repeats_does_not_count():
    """The words around it do; and a tool's argument of that name does."""
    answer = lines({"n": 1})
    assert same_recording(run(answer, **gemini("AAAA")), run(answer, **gemini("BBBB")))
    assert not same_recording(run(answer, **gemini("AAAA"), n=1), run(answer, **gemini("AAAA"), n=2))
    one, other = (run(1, kind="tool", thoughtSignature=text) for text in ("AAAA", "BBBB"))
    assert not same_recording(one, other)
