"""The words of findings: each kind and each way out has some, and no value of a run breaks them."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sparrow.exchange import Asked
from pytest_sparrow.findings import Finding, Kind, Location, Subject, Way, WayKind, asking
from pytest_sparrow.judging.verdict import Found, verdict_of
from pytest_sparrow.report.plain import render_verdict
from pytest_sparrow.report.ways import way_out
from pytest_sparrow.report.words import _ACTS, _NOT_AS_RECORDED, hints, title

TOOL = {"name": "refund", "args": {"order": "1"}}
DETAIL = {
    "text": "what",
    "golden": "__sparrow__/t",
    "said": "fork(at=9)",
    "name": "refund",
    "met": 2,
    "count": 3,
    "made": [["add", 1]],
    "spared": 0,
    "needs": "",
    "what": "POST h/v1",
    "strand": "thread 'T-1'",
    "came": "not recorded",
    "folder": "/g/.pending/a",
    "nodeid": "test_it.py::test_a",
    "before": ["tool", {"name": "add", "args": {}}],
    "libraries": "httpx",
    "of_model": True,
    "place": "db:5432",
    "library": "psycopg",
    "line": "agent.py:3",
    "program": "git",
    "setting": "ignore",
    "more": 2,
    "pattern": "request.id",
    "verdict": "FAIL",
    "passed": 4,
    "counted": 5,
    "planned": 6,
    "pass_rate": 0.9,
    "cached": "",
}


def found(kind, case="", **more):
    """A finding about a tool's call, with all that the words of any kind need."""
    parts = (Finding(kind=Kind.LATE, boundary="http"),)
    if kind is Kind.CHANGE:
        more = {"steps": ("Message", ".text"), "how": "changed", **more}
    if kind is Kind.NOT_COMPARED:
        case = "receiver"
    return Finding(
        kind=kind, case=case, boundary="tool", golden=TOOL, new=TOOL, detail=DETAIL, parts=parts, **more
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_words(kind):
    """A title without a line end, and hints that are lines."""
    assert title(found(kind))
    assert "\n" not in title(found(kind))
    assert all(hints(found(kind)))


@pytest.mark.parametrize("kind", list(WayKind))
def test_each_way_out_has_words(kind):
    """A word of at most six letters, which the values stand beside, and what to do."""
    takes = {
        WayKind.RECORD,
        WayKind.RECORD_AGAIN,
        WayKind.MEND,
        WayKind.EXTEND,
        WayKind.REVIEW,
        WayKind.SAMPLE,
        WayKind.ACCEPT,
        WayKind.ACCEPT_OTHER,
        WayKind.EDIT_GOLDEN,
        WayKind.WRAP,
        WayKind.REVIEW,
    }
    values = ("x",) if kind in takes else ("a", "b") if kind is WayKind.IGNORE else ()
    word, what = way_out(Way(kind, values))
    assert 0 < len(word) <= 6
    assert what
    assert all(value in what for value in values)


def test_a_rule_that_cannot_be_applied_says_what_and_then_why():
    """The first line of the error is the title."""
    broken = Finding(kind=Kind.BROKEN_RULE, detail={"text": "what\n  why"})
    assert (title(broken), hints(broken)) == ("what", ["why"])


@pytest.mark.parametrize(
    ("case", "detail", "said", "hint"),
    [
        ("", {"text": "what", "hint": "way"}, "what", "way"),
        (
            "shut",
            {"act": "send", "to": "db:53", "place": "db:53", "unix": False},
            "sending to db:53 was refused: the world is shut while replaying",
            "sparrow_allow_hosts = db:53 keeps it reachable",
        ),
        (
            "shut",
            {"act": "grpc", "to": "/run/x", "place": "", "unix": True},
            "a gRPC call to the unix socket '/run/x' was refused: the world is shut while replaying",
            "",
        ),
        (
            "websocket",
            {"request": "GET http://h/", "place": "h:80"},
            "a WebSocket to h:80 (GET http://h/) can't be replayed",
            "allow_hosts = h:80 keeps it reachable; WebSockets aren't recorded",
        ),
        (
            "unservable",
            {"request": "GET http://h/", "why": "no status"},
            "the golden's answer to GET http://h/ can't be served: no status",
            "Record the test again: pytest --sparrow-record",
        ),
        (
            "ownerless",
            {"request": "GET http://h/", "why": "two runs\n  start it"},
            "GET http://h/: two runs",
            "start it",
        ),
        (
            "forked",
            {"what": "GET h"},
            "GET h: asked for in a forked process, for which a run can neither record nor replay",
            "use threads or tasks, or ask in the test's own process",
        ),
        (
            "server-state",
            {"request": "POST h/v1/responses", "name": "conversation"},
            "POST h/v1/responses: conversation names what its server keeps, and a replayed answer gave the id",
            "the server has forgotten it, or never knew: the golden cannot be extended here",
        ),
        (
            "sent",
            {"name": "rows", "golden": "5", "new": "6"},
            "rows: the agent sends 6 into it, the recorded run sent 5",
            "",
        ),
        (
            "read-beyond",
            {"name": "rows{}", "items": 3},
            "rows{}: is read beyond the 3 items that the recorded run read",
            "",
        ),
    ],
)
def test_a_refusal_says_what_was_refused_and_what_would_settle_it(case, detail, said, hint):
    """The boundaries say what happened as data; the words are the same for the agent and for the report."""
    refused = Finding.from_json(Finding(kind=Kind.REFUSED, case=case, detail=detail).to_json())
    assert (title(refused), hints(refused)) == (said, [hint] if hint else [])


REFUSALS = [
    *(("shut", {"act": act, "to": "db:53", "place": "db:53", "unix": False}, "db:53") for act in _ACTS),
    ("shut", {"act": "connect", "to": "/run/x", "place": "", "unix": True}, "/run/x"),
    ("websocket", {"request": "GET http://h/", "place": "h:80"}, "http://h/"),
    ("unservable", {"request": "GET http://h/", "why": "no status"}, "http://h/"),
    ("ownerless", {"request": "GET http://h/", "why": "two runs are open\n  start it"}, "http://h/"),
    ("forked", {"what": "GET h"}, "GET h"),
    *(
        (
            case,
            {
                "name": "rows",
                "request": "rows",
                "items": 3,
                "why": "no int",
                "golden": "5",
                "new": "6",
                "what": "shop.Row",
                "module": "shop",
            },
            "rows",
        )
        for case in _NOT_AS_RECORDED
    ),
]
"""Every case of a refusal, what its words need, and the address that was asked."""


@pytest.mark.parametrize(("case", "detail", "address"), REFUSALS)
def test_a_refusal_has_test_strand_address_and_way_out_in_six_lines(case, detail, address):
    """Whatever was refused."""
    at = Location(lane="work-1")
    refused = Finding(kind=Kind.REFUSED, case=case, caller="agent.py:3", new_at=at, detail=detail)
    subject = Subject(nodeid="test_it.py::test_it", golden="__sparrow__/test_it/test_it")
    lines = render_verdict(verdict_of(Found(violations=(refused,)), subject)).splitlines()
    assert len(lines) <= 6
    assert address in lines[0]
    assert "  test    test_it.py::test_it" in lines
    assert "  where   called from agent.py:3, in lane work-1" in lines
    assert ("  record  pytest --sparrow-record test_it.py::test_it" in lines) is (case != "not-loaded")


NEW_CALL = {"name": "refund", "args": {"order": "2"}}
OTHER_REFUSALS = [
    (
        Finding(
            kind=Kind.REFUSED, case="server-state", detail={"request": "POST h/v1", "name": "conversation"}
        ),
        "POST h",
    ),
    (
        Finding(kind=Kind.REFUSED, detail={"text": "stdio://shop: ended", "hint": "record it again"}),
        "stdio://shop",
    ),
    (
        Finding(
            kind=Kind.UNRECORDABLE,
            detail={"text": "too deep", "at": "refund(order)", "hint": "leave it"},
        ),
        "refund(order)",
    ),
    *(
        (asking(Kind.MISS, Asked(kind="tool", content=NEW_CALL, call_id="c1"), case, **detail), "refund(")
        for case, detail in (
            ("", {}),
            ("too-many", {"misses": 20}),
            ("denied", {}),
            ("ended", {"turns": 3, "next": None}),
            ("events-only", {"turns": 3, "next": None}),
            ("same", {"played": True}),
        )
    ),
]
"""Whatever else keeps a call from its answer, and the address that was asked."""


@pytest.mark.parametrize(("refused", "address"), OTHER_REFUSALS, ids=range(len(OTHER_REFUSALS)))
def test_a_call_without_an_answer_has_test_strand_address_and_way_out_in_six_lines(refused, address):
    """A miss of each kind, a value that cannot be written, and what a session of a framework refuses.

    A miss may say what would come next and offer two ways out: the first six lines hold all that is needed.
    """
    placed = dataclasses.replace(refused, caller="agent.py:3", new_at=Location(lane="work-1"))
    subject = Subject(nodeid="test_it.py::test_it", golden="__sparrow__/test_it/test_it")
    lines = render_verdict(verdict_of(Found(violations=(placed,)), subject)).splitlines()
    assert len(lines) <= 6 + (placed.kind is Kind.MISS), lines
    lines = lines[:6]
    assert address in lines[0]
    assert "  test    test_it.py::test_it" in lines
    assert any("called from agent.py:3, in lane work-1" in line for line in lines), lines
    assert any(line.startswith(("  record", "  extend", "  accept")) for line in lines), lines


def test_a_refusal_of_an_earlier_tests_strand_names_address_strand_and_way_out():
    """One line in the summary, behind the test that started the strand, and the words that the strand itself gets."""
    late = found(Kind.LEFT_OVER)
    assert DETAIL["what"] in title(late)
    assert DETAIL["strand"] in title(late)
    assert hints(late) == ["wait within the test: join the thread, await the task, close the client"]


@pytest.mark.parametrize(
    ("kind", "case", "said"),
    [
        (
            Kind.UNCAPTURED,
            "",
            "db:5432 (psycopg, agent.py:3): not recorded; a replay will refuse it "
            "(sparrow_allow_hosts = db:5432 keeps it reachable)",
        ),
        (Kind.UNCAPTURED, "more", "3 more places were connected to and not recorded"),
        (
            Kind.CHILD,
            "",
            "git (agent.py:3) was started outside of a tool: it ran for real, and what it did was not seen",
        ),
        (Kind.CHILD, "more", "3 more processes were started outside of tools"),
    ],
)
def test_what_no_boundary_saw_is_named(kind, case, said):
    """A connection or a program with the line that made it; what is too much is counted."""
    assert title(found(kind, case)) == said


MISS = Asked(kind="tool", content=TOOL, call_id="c1")
TURN = {"number": 2, "says": "b"}


@pytest.mark.parametrize(
    ("case", "detail", "said", "hint"),
    [
        ("", {}, "the golden holds no answer to this", ""),
        ("too-many", {"misses": 20}, "refused, after 20 calls that the golden holds no answer to", ""),
        ("denied", {}, "the agent makes a call that was denied", ""),
        (
            "ended",
            {"turns": 3, "next": None},
            "the transcript ends after turn 3",
            "",
        ),
        ("ended", {"turns": 0, "next": None}, "the transcript holds no turn of a model", ""),
        (
            "ended",
            {"turns": 3, "next": TURN},
            "the transcript holds no further turn of this lane",
            'next in another lane: turn 2, says "b"',
        ),
        (
            "events-only",
            {"turns": 3, "next": {"number": 2, "fails": "HTTP 500"}},
            "the transcript holds events only, and no answer to this",
            "next: turn 2, fails: HTTP 500",
        ),
        (
            "events-only",
            {"turns": 3, "next": {"number": 2, "proposes": TOOL, "more": 1}},
            "the transcript holds events only, and no answer to this",
            'next: turn 2, proposes refund(order="1") and 1 more',
        ),
    ],
)
def test_a_miss_says_why(case, detail, said, hint):
    """What was asked, and why nothing answers; then what would come next."""
    miss = asking(Kind.MISS, MISS, case, **detail)
    assert title(miss) == f'refund(order="1"): {said}'
    assert "".join(hints(miss)) == hint


@pytest.mark.parametrize(
    ("played", "proposed", "hint"),
    [
        (
            True,
            True,
            "the golden holds exactly this, but it was played already: this run asks for it once more",
        ),
        (False, True, "the golden has this call, but there no model proposed it and here one did"),
        (False, False, "the golden has this call, but there a model proposed it and here none did"),
    ],
)
def test_a_miss_of_a_recorded_call_says_what_differs(played, proposed, hint):
    """The recorded call was played already, or a model proposed the call on one side alone."""
    call = Asked(kind="tool", content=TOOL, call_id="c1" if proposed else None)
    assert hints(asking(Kind.MISS, call, "same", played=played)) == [hint]
