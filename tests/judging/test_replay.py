"""What of a run is a failure, what a remark and what neither: violations and comparison, weighed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_sparrow.comparing import compare
from pytest_sparrow.events import parse_event
from pytest_sparrow.findings import Finding, Kind, Location, Subject
from pytest_sparrow.judging.replay import judge_comparison, judge_recording
from pytest_sparrow.judging.verdict import Drift, Found, verdict_of
from pytest_sparrow.redact import Redactor
from pytest_sparrow.report.words import title
from pytest_sparrow.run.whatif.fork import DivergencePoint
from pytest_sparrow.run.whatif.replayer import EventReplayer
from pytest_sparrow.run.whatif.script import read_script
from pytest_sparrow.settings import Requests, Settings, Unwrapped
from pytest_sparrow.transcript import RunInputs, RunMeta, Transcript


def event(kind, **fields):
    return parse_event({"type": kind, "run": "r", **fields})


def says(text):
    return event("ThinkingDelta", text=text)


def ended(status):
    outcome = {"status": status, "diffs": [], "cost_usd": 0.0, "tokens": {"input": 1, "output": 1}}
    return event("RunFinished", outcome=outcome)


def finding(kind, **more):
    """A finding of a kind, found after one event."""
    return Finding(kind=kind, new_at=Location(event=1), **more)


def drift(golden, new):
    """A drift of a request for something."""
    asked = [{"method": "POST", "url": "http://h/", "body": {"json": body}} for body in (golden, new)]
    return finding(Kind.DRIFT, boundary="http", golden=asked[0], new=asked[1], detail={"of_model": True})


def golden_of(events=(), further=()):
    config = {"further_runs": list(further)} if further else {}
    return Transcript(
        inputs=RunInputs(
            task="", config_snapshot=config, model_id="", repo_head=None, timestamp="", agent=""
        ),
        meta=RunMeta(run_id="r"),
        events=list(events),
        exchanges=[],
    )


def run_of(*events, findings=(), hidden=(), divergence_point=None, served_nothing=False, crossings=1, **said):
    """A run that is over, as far as a verdict looks at it."""
    return SimpleNamespace(
        events=list(events),
        equal_by_construction=False,
        violations=SimpleNamespace(
            findings=list(findings), of=lambda kind: [each for each in findings if each.kind is kind]
        ),
        answers=SimpleNamespace(
            verified=set(),
            fault_plan=SimpleNamespace(hidden=set(hidden), left_out=[], faults=[], then=None),
            divergence_point=divergence_point,
            served_nothing=served_nothing,
            replayer=None,
            fork=None,
        ),
        crossings=crossings,
        settings=Settings(**said),
    )


def judged(golden, run, **more):
    return judge_comparison(golden, run, Redactor({}), Subject(), **{"failed": False, **more})


def recorded(run, *, failed=False, alone=True):
    return judge_recording(run, Subject(recording=True), failed=failed, alone=alone)


def drifts(verdict):
    return [finding for finding in verdict.findings if finding.kind is Kind.DRIFT]


def changes(verdict):
    return [finding for finding in verdict.findings if finding.kind is Kind.CHANGE]


def verdict(**found):
    return verdict_of(Found(**found), Subject())


VIOLATIONS = [
    Kind.MISS,
    Kind.REFUSED,
    Kind.UNRECORDABLE,
    Kind.DRIFT,
    Kind.ORDER,
    Kind.UNPLAYED,
    Kind.UNREACHED,
    Kind.UNWRAPPED,
    Kind.CHILD,
    Kind.UNREAD,
    Kind.UNCAPTURED,
    Kind.LATE,
]
"""What the boundaries of a run find."""

UNEQUAL = compare([says("a")], [says("b")])
EQUAL = compare([says("a")], [says("a")])


@pytest.mark.parametrize(
    ("found", "diverged"),
    [
        ({}, False),
        ({"comparison": EQUAL}, False),
        ({"comparison": UNEQUAL}, True),
        ({"violations": (finding(Kind.UNPLAYED),)}, True),
        ({"drifts": (Drift(finding=finding(Kind.DRIFT), changes=()),)}, True),
        ({"nothing": finding(Kind.NOTHING_REPLAYED)}, True),
    ],
)
def test_any_one_thing_makes_a_divergence(found, diverged):
    """And a remark does not."""
    assert verdict(**found).diverged is diverged
    remark = finding(Kind.LATE)
    assert verdict_of(Found(**found), Subject(), [remark]).diverged is diverged
    assert verdict_of(Found(**found), Subject(), [remark]).remarks == (remark,)


@pytest.mark.parametrize("kind", list(Kind))
def test_only_a_miss_and_a_refusal_are_missed(kind):
    """What the agent asked for, and the replay could not give."""
    assert verdict(violations=(finding(kind),)).missed is (kind in (Kind.MISS, Kind.REFUSED))


def contradicted(golden, new):
    return verdict(comparison=compare(golden, new)).contradicted


def test_to_stop_before_the_end_contradicts_nothing():
    """What the golden holds more, another end and answers that nobody asked for; all else contradicts it."""
    whole = [says("a"), event("SkillLearned", name="s"), ended("completed")]
    assert not contradicted(whole, whole[:1])
    assert not contradicted(whole, [*whole[:2], ended("failed")])
    assert contradicted(whole, [says("b"), *whole[1:]])
    assert contradicted(whole[:1], whole[:2])
    assert contradicted([event("Teleported", to=1, by="car")], [event("Teleported", to=1)])
    for kind in VIOLATIONS:
        not_done = kind in (Kind.UNPLAYED, Kind.UNREACHED, Kind.UNWRAPPED, Kind.CHILD)
        assert verdict(violations=(finding(kind),)).contradicted is not not_done
    assert verdict(drifts=(Drift(finding=finding(Kind.DRIFT), changes=()),)).contradicted
    assert not verdict(nothing=finding(Kind.NOTHING_REPLAYED)).contradicted
    assert not verdict().contradicted


@pytest.mark.parametrize("judge", ["replay", "recording"])
@pytest.mark.parametrize("kind", VIOLATIONS)
def test_each_kind_of_finding_is_a_failure_a_remark_or_neither(kind, judge):
    """Drift has a place of its own; what a tool without a wrapper and a child are is for the user to say."""
    found = [] if kind is Kind.DRIFT else [finding(kind, detail={"name": "add"})]
    runs = {unwrapped: run_of(findings=found, unwrapped=unwrapped) for unwrapped in Unwrapped}
    for run in runs.values():
        run.wraps = lambda _: True
    verdicts = {
        unwrapped: judged(golden_of(), run) if judge == "replay" else recorded(run)
        for unwrapped, run in runs.items()
    }
    said = {unwrapped: (len(v.findings), len(v.remarks)) for unwrapped, v in verdicts.items()}
    failure, remark, nothing = (1, 0), (0, 1), (0, 0)
    if kind is Kind.DRIFT:
        assert set(said.values()) == {nothing}
    elif kind in (Kind.UNWRAPPED, Kind.CHILD):
        assert said == {Unwrapped.WARN: remark, Unwrapped.FAIL: failure}
    elif kind in (Kind.LATE, Kind.UNREAD, Kind.UNCAPTURED):
        assert set(said.values()) == {remark}
    else:
        assert set(said.values()) == {failure}


def test_the_end_of_a_test_that_failed_by_itself_is_no_divergence():
    """The run's status repeats the test's failure; everything else is still compared."""
    golden = golden_of([says("a"), ended("completed")])
    assert judged(golden, run_of(says("a"), ended("failed"))).diverged
    assert not judged(golden, run_of(says("a"), ended("failed")), failed=True).diverged
    assert judged(golden, run_of(says("b"), ended("failed")), failed=True).diverged


def test_the_task_is_no_event_to_compare():
    """The task is text of a request, and requests are judged as such; the agent's name still counts."""
    golden = golden_of([event("RunStarted", task="a", agent="x")])
    assert not judged(golden, run_of(event("RunStarted", task="b", agent="x"))).diverged
    assert judged(golden, run_of(event("RunStarted", task="a", agent="y"))).diverged


def test_secrets_are_compared_by_kind():
    """Their numbers hang on what was met before, in this run as in the golden."""
    golden = golden_of([says("key <secret:openai-key:1>")])
    assert not judged(golden, run_of(says("key <secret:openai-key:2>"))).diverged
    assert judged(golden, run_of(says("key <secret:aws-key:1>"))).diverged


def test_a_secret_of_the_new_run_is_hidden_before_it_is_compared():
    """The golden holds placeholders only."""
    key = "sk-proj-" + "a1B2" * 12
    hidden = Redactor({}).text(f"key {key}")
    assert key not in hidden
    assert not judged(golden_of([says(hidden)]), run_of(says(f"key {key}"))).diverged


@pytest.mark.parametrize(
    ("requests", "drifted", "remarks"),
    [(Requests.COMPARE, 2, 0), (Requests.REPORT, 0, 1), (Requests.IGNORE, 0, 0)],
)
def test_what_drift_is_is_for_the_user_to_say(requests, drifted, remarks):
    """A failure each, one remark that names the paths once, or nothing; without drift nothing in any case."""
    found = [drift({"n": 1, "m": 1}, {"n": 2, "m": 2}), drift({"n": 5}, {"n": 6})]
    said = judged(golden_of(), run_of(findings=found, requests=requests))
    assert (len(drifts(said)), len(said.remarks)) == (drifted, remarks)
    assert said.diverged is (requests is Requests.COMPARE)
    if remarks:
        assert tuple(map(title, said.remarks)) == (
            "2 requests differ from the recorded ones at request.n, request.m",
        )
    assert judged(golden_of(), run_of(requests=requests)).remarks == ()


def test_drift_that_the_rules_settle_is_none():
    """A path to ignore counts for requests as for events."""
    found = [drift({"n": 1}, {"n": 2}), drift({"m": 1}, {"m": 2})]
    (left,) = judged(golden_of(), run_of(findings=found, ignore=("request.n",))).findings
    assert [part.path for part in left.parts] == ["request.m"]


def test_drift_that_an_earlier_request_had_repeats():
    """Every later request of a conversation repeats the drift of the first: only a new change makes a cause again."""
    first, again, more = {"n": 1}, {"n": 2}, {"n": 2, "m": 3}
    found = [drift(first, again), drift(first, again), drift({**first, "m": 1}, more), drift(first, {"n": 3})]
    causes = judged(golden_of(), run_of(findings=found)).findings
    assert [(each.new["body"]["json"], each.follows) for each in causes] == [
        ({"n": 2}, False),
        ({"n": 2, "m": 3}, False),
        ({"n": 3}, False),
        ({"n": 2}, True),
    ]


def test_a_further_run_that_was_not_opened_is_a_failure():
    """Each by its name."""
    golden = golden_of(further=["r.one", "r.two"])
    (missing,) = judged(golden, run_of(), further=["r.one"]).findings
    assert missing.kind is Kind.UNPLAYED
    assert title(missing) == "the further run r.two was recorded, and not opened"


def test_a_run_is_judged_up_to_where_it_left_its_golden():
    """What came later is for the test's own asserts, drift as well; what only a fault makes counts nowhere."""
    known, later = drift({"n": 1}, {"n": 2}), drift({"n": 5}, {"n": 6})
    golden = golden_of([says("a"), event("SkillLearned", name="s"), ended("completed")])
    left = DivergencePoint(kind="http", lane="", emitted=2, known=(known,))
    faulty = [event("Error", message="fault"), says("a"), event("Error", message="new")]
    run = run_of(*faulty, findings=[known, later], hidden=[0], divergence_point=left)
    said = judged(golden, run)
    assert not changes(said)
    assert [each.new for each in drifts(said)] == [known.new]
    assert changes(judged(golden, run_of(*faulty, hidden=[0])))
    assert changes(judged(golden, run_of(*faulty, divergence_point=left)))
    # Only faults before it shorten what is compared.
    assert changes(
        judged(golden, run_of(says("a"), says("new"), says("fault"), hidden=[2], divergence_point=left))
    )


def test_events_that_only_one_side_has_are_not_counted_up_to_a_fork():
    """A cockpit's run has usage that a replay from events has not: both runs are cut at the same place."""
    usage = [event("TokenUsage", input=n, output=n) for n in range(3)]
    golden = [
        event("RunStarted", task="t", agent="x"),
        *usage,
        says("a"),
        event("Message", role="assistant", text="a"),
    ]
    run = run_of(
        event("RunStarted", task="t", agent="x"), says("a"), event("Error", message="after the fork")
    )
    run.answers.replayer = EventReplayer(read_script(golden), lambda _: None, None)
    run.wraps = lambda _: True
    run.answers.divergence_point = DivergencePoint(kind="http", lane="", emitted=2)
    assert not changes(judged(golden_of(golden), run))
    run.events[1] = says("b")
    assert changes(judged(golden_of(golden), run))


@pytest.mark.parametrize(
    ("crossings", "events", "failed", "alone", "nothing"),
    [
        (0, [], False, True, True),
        (1, [], False, True, False),
        (0, [says("a")], False, True, False),
        (0, [], True, True, False),
        (0, [], False, False, False),
    ],
)
def test_a_recording_must_hold_something(crossings, events, failed, alone, nothing):
    """Unless the test failed before it could, or its further runs hold what there is."""
    run = run_of(*events, crossings=crossings)
    found = recorded(run, failed=failed, alone=alone).findings
    assert [each.kind for each in found] == ([Kind.NOTHING_RECORDED] if nothing else [])


@pytest.mark.parametrize("nothing", [True, False])
def test_a_golden_of_which_nothing_was_asked_is_a_failure(nothing):
    """The run says so."""
    found = judged(golden_of(), run_of(served_nothing=nothing)).findings
    assert [each.kind for each in found] == ([Kind.NOTHING_REPLAYED] if nothing else [])


def test_a_fault_that_a_recording_leaves_out_is_a_remark():
    """A golden records no faults."""
    run = run_of()
    run.answers.fault_plan.left_out.append("inject(...)")
    (remark,) = recorded(run).remarks
    assert "inject(...)" in title(remark)


@pytest.mark.parametrize("lane", ["", "task-1"])
def test_lanes_make_chance_a_likelier_cause(lane):
    """Whether strands ran side by side is noted with the verdict."""
    said = event("ThinkingDelta", text="a", lane=lane) if lane else says("a")
    assert judged(golden_of(), run_of(said)).circumstances.side_by_side is bool(lane)
