"""A test that is fed from events alone: a scenario of its own, or a transcript without exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Kind, Way, WayKind
from pytest_sparrow.run.whatif.replayer import EventReplayer
from pytest_sparrow.run.whatif.script import UnreadableEvent, read_script
from pytest_sparrow.scenario import transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.providers.dispatch import Wire
    from pytest_sparrow.run.replay.replayer import GoldenReplayer
    from pytest_sparrow.run.replay.violations import Violations
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.transcript import Transcript

__all__ = ["accept_by", "event_replayer", "scripted_golden", "shown_as", "unreadable_event"]


def scripted_golden(settings: Settings, place: GoldenPlace) -> Transcript | None:
    """The scenario that stands in the test, as the golden; None where there is none.

    Raises:
        NotRecordable: it holds a value that JSON cannot.
    """
    return transcript(place.run_id, *settings.script, agent=settings.agent) if settings.script else None


def event_replayer(
    golden: Transcript | None, wire: Wire, *, by_hand: bool
) -> Callable[[Violations], GoldenReplayer] | None:
    """What feeds a run from its golden's events; None where the golden's exchanges do.

    Raises:
        UnreadableEvent: an event lacks what its type needs.
    """
    if golden is None or golden.holds_exchanges:
        return None
    script = read_script(golden.events)
    return lambda violations: EventReplayer(script, wire.read, violations, by_hand=by_hand)


def unreadable_event(error: UnreadableEvent, place: GoldenPlace) -> Finding:
    """Why a body is not run whose golden can't be replayed."""
    where = f"{place.shown}/events.jsonl:{error.line}"
    return Finding(kind=Kind.UNREADABLE, case="events", detail={"text": f"{where}: {error.reason}"})


def shown_as(settings: Settings, place: GoldenPlace) -> str:
    """What a report names as the golden."""
    return "the test's own script" if settings.script else place.shown


def accept_by(settings: Settings, place: GoldenPlace) -> Way | None:
    """How to accept a difference where recording the test would not do, or None."""
    if settings.script:
        return Way(WayKind.EDIT_SCRIPT)
    return Way(WayKind.EDIT_GOLDEN, (place.shown,)) if place.corpus else None
