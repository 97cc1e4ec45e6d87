"""Leaves the new run of a replay that differs from its golden for a review, and drops what a later run settles."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.findings import Finding, Kind, Way, WayKind
from pytest_sparrow.judging.replay import redacted
from pytest_sparrow.store import FsRecorder, pending
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.store.layout import is_pending, review_file, review_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.findings import Verdict
    from pytest_sparrow.plugin.attempt import Attempt
    from pytest_sparrow.plugin.session import AttemptState
    from pytest_sparrow.transcript import Transcript

_MOST_VALUE = 20_000
"""Characters of a value that a review shows: a prompt whole."""


def name_review(attempt: Attempt, diverged: Sequence[Verdict]) -> tuple[list[Verdict], str]:
    """The verdicts of a test that diverged, with the review among their ways out, and the ID of the change.

    The review is no way out where nothing can be accepted.
    """
    from pytest_sparrow.judging.alike import SHOWN, change_id  # only what differs needs it

    cleaned = [replace(each, findings=_cleaned(each, attempt)) for each in diverged]
    change = change_id(cleaned, _own_words(attempt))
    own = any(way.kind is WayKind.MEND for each in diverged for way in each.ways)
    if _refused(attempt, diverged, own=own):
        return list(diverged), change
    review = Way(WayKind.REVIEW, (change[:SHOWN],))
    return [replace(each, ways=_with(each.ways, review)) for each in diverged], change


def _cleaned(verdict: Verdict, attempt: Attempt) -> tuple[Finding, ...]:
    return tuple(finding.cleaned(attempt.shown) for finding in verdict.findings)


def _with(ways: Sequence[Way], review: Way) -> tuple[Way, ...]:
    """The ways, with the review behind what accepts the difference."""
    at = next((number for number, way in enumerate(ways, 1) if way.kind is WayKind.ACCEPT), 0)
    return (*ways[:at], review, *ways[at:])


def leave(state: AttemptState) -> Finding | None:
    """Leave what a test that diverged did otherwise, or drop what is pending of one that did not.

    Called once the test was reported, and its goldens are written.

    Returns:
        Why the new run could not be left, for the summary; None where all is well.
    """
    attempt = state.attempt
    place = attempt.place
    try:
        if state.diverged and attempt.may_be_pending:
            if state.reported:
                _leave(state)
        elif _settled(state) and is_pending(place.directory, place.run_id):
            pending.drop(place.directory, place.run_id)
    except (SparrowError, OSError) as error:
        state.change = ""
        return Finding(kind=Kind.NOT_PENDING, detail={"text": str(error).replace("\n ", ";")})
    return None


_WRITTEN = frozenset({"recorded", "updated", "unchanged", "revised", "extended", "current"})
"""What becomes of a golden that is now what its test does (see `Kept`)."""


def _settled(state: AttemptState) -> bool:
    """Whether the test replayed as its golden says, or its golden was written."""
    written = any(kept.what in _WRITTEN for kept in state.kept)
    return written or (state.reported and state.attempt.may_be_pending and not state.divergence)


def _leave(state: AttemptState) -> None:
    attempt = state.attempt
    place = attempt.place
    refused = _refused(attempt, state.diverged, own=state.failed_itself)
    path, _, name = place.test.partition("::")
    said = pending.Pending(
        store=place.directory,
        run_id=place.run_id,
        test=attempt.shown(place.test),
        name=attempt.shown(name),
        file=path.rpartition("/")[2],
        change=state.change,
        refused=refused,
        verdicts=[verdict.sent(attempt.shown, _MOST_VALUE) for verdict in state.diverged],
    )
    whole = refused in ("", "own")
    file = str(review_file(place.directory, place.run_id))
    check = functools.partial(attempt.secrets.scanner.check, file=file)
    pending.leave(said, list(_new_runs(attempt, whole=whole)), _recorder(attempt), check)


def _new_runs(attempt: Attempt, *, whole: bool) -> Iterator[tuple[Transcript, Transcript]]:
    """Each golden of the test, and what it would become; the very same object where nothing of it changes.

    Args:
        attempt: the attempt.
        whole: whether the goldens hold all answers that the test needs; else the new runs are their events alone.
    """
    for each in attempt.attempts:
        golden = each.sparrow.golden
        if golden is not None and whole:
            yield golden, each.revised(golden)
        elif golden is not None:
            events = redacted(each.run.events, each.secrets.redactor)
            yield golden, replace(golden, source=None, exchanges=(), holds_exchanges=False, events=events)


def _recorder(attempt: Attempt) -> FsRecorder:
    """What writes into the store of new runs that wait for a review."""
    return FsRecorder(
        review_store(attempt.place.directory),
        redactor=attempt.secrets.redactor,
        replace=True,
        limits=Limits.of(attempt.settings.limits, "limits"),
        scanner=attempt.secrets.scanner,
    )


def _own_words(attempt: Attempt) -> list[str]:
    """Texts that are the test's own: its task, in the golden and now."""
    goldens = (each.sparrow.golden for each in attempt.attempts)
    tasks = [golden.inputs.task for golden in goldens if golden is not None]
    return [attempt.shown(task) for task in dict.fromkeys([*tasks, attempt.run.task]) if task]


def _left_golden(attempt: Attempt) -> bool:
    """Whether a fork or a fault of the test decides what a run of it asks: an update leaves both out."""
    answers = [each.run.answers for each in attempt.attempts]
    return any(each.fork is not None or bool(each.fault_plan.faults) for each in answers)


def _refused(attempt: Attempt, diverged: Sequence[Verdict], *, own: bool) -> str:
    """Why the change cannot be accepted (see `pytest_sparrow.store.pending.Pending`), "" where it can.

    Args:
        attempt: the attempt.
        diverged: its verdicts.
        own: whether the test failed by itself.
    """
    if _left_golden(attempt):
        return "what-if"
    if not all(verdict.answerable for verdict in diverged):
        return "answers"
    return "own" if own else ""
