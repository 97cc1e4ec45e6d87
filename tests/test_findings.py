"""Findings as data: they cross processes as JSON, without secrets and bounded."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.findings import Circumstances, Finding, Kind, Location, Subject, Verdict, Way, WayKind

TEXT = st.text("ab \0é\u2028", max_size=4)
NUMBER = st.integers(0, 9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PLACES = st.none() | st.builds(Location, event=NUMBER, events=NUMBER, turn=NUMBER, exchange=NUMBER, lane=TEXT)
WAYS = st.lists(st.builds(Way, st.sampled_from(WayKind), st.lists(TEXT, max_size=2).map(tuple)), max_size=2)


def findings(parts):
    """A strategy for findings with parts of a strategy."""
    return st.builds(
        Finding,
        kind=st.sampled_from(Kind),
        case=TEXT,
        boundary=TEXT,
        caller=TEXT,
        call_id=TEXT,
        golden=st.just(MISSING) | JSON,
        new=st.just(MISSING) | JSON,
        steps=st.lists(TEXT, max_size=3).map(tuple),
        how=TEXT,
        whole=st.booleans(),
        golden_at=PLACES,
        new_at=PLACES,
        follows=st.booleans(),
        chance=TEXT,
        parts=parts,
        detail=st.dictionaries(TEXT, JSON, max_size=2),
        ways=WAYS.map(tuple),
    )


FINDINGS = findings(st.lists(findings(st.just(())), max_size=2).map(tuple))
VERDICTS = st.builds(
    Verdict,
    subject=st.builds(
        Subject,
        nodeid=TEXT,
        golden=TEXT,
        recorder=TEXT,
        recording=st.booleans(),
        judged_by=TEXT,
        accept=st.none() | st.builds(Way, st.sampled_from(WayKind)),
    ),
    findings=st.lists(FINDINGS, max_size=2).map(tuple),
    remarks=st.lists(FINDINGS, max_size=2).map(tuple),
    ways=WAYS.map(tuple),
    since=TEXT,
    circumstances=st.builds(
        Circumstances,
        hash_seeds=st.none() | st.tuples(TEXT, TEXT),
        own_ids=st.lists(TEXT, max_size=2).map(tuple),
        side_by_side=st.booleans(),
    ),
    contradicted=st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(VERDICTS)
def test_a_verdict_is_the_same_after_json(verdict):
    """Nothing of a verdict or of its findings is lost: neither null, nor that there is no value at all."""
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


def test_fields_with_their_default_are_left_out():
    """A remark is a few bytes."""
    assert Finding(kind=Kind.LATE, boundary="http").to_json() == {"kind": "late", "boundary": "http"}
    assert Finding(kind=Kind.CHANGE, golden=None, new={}).to_json() == {
        "kind": "change",
        "golden": None,
        "new": {},
    }


def hidden(text):
    """A text without the word "secret"."""
    return text.replace("secret", "***")


def test_what_is_sent_holds_no_secret():
    """Values, paths and details come from a run, those of parts as well."""
    change = Finding(
        kind=Kind.CHANGE, steps=("request", ".secret"), golden="secret", new={"secret": ["secret"]}
    )
    drift = Finding(kind=Kind.DRIFT, parts=(change,), detail={"text": "a secret"}, caller="agent.py:1")
    sent = Verdict(findings=(drift,)).sent(hidden)
    assert "secret" not in json.dumps(sent)
    assert Verdict.from_json(sent).findings[0].caller == "agent.py:1"


def test_what_is_sent_is_bounded():
    """Few findings, and of long values the part that differs; short values keep their type."""
    long = [{"prompt": "x" * 5_000 + word, "n": 1} for word in ("one", "two")]
    change = Finding(kind=Kind.CHANGE, golden=long[0], new=long[1])
    sent = Verdict.from_json(Verdict(findings=(change,) * 1_000).sent(str)).findings
    assert len(sent) < 50
    assert max(len(sent[0].golden), len(sent[0].new)) <= 1_000
    assert "one" in sent[0].golden
    assert "two" in sent[0].new
    short = Finding(kind=Kind.CHANGE, golden=1, new=MISSING)
    assert Verdict.from_json(Verdict(findings=(short,)).sent(str)).findings == (short,)
