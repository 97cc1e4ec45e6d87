"""Reads what answers a test: the test's own golden, another test's, a corpus's, or the script in the test."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.world.environment import refused_variable
from pytest_sparrow.errors import DamagedTranscript, SparrowError
from pytest_sparrow.findings import Finding, Kind, Way, WayKind
from pytest_sparrow.store.damage import Limits, refused_name
from pytest_sparrow.store.finding import unfinished
from pytest_sparrow.store.layout import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.run.replayer import GoldenReplayer
    from pytest_sparrow.run.violations import Violations
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.store import FsRecorder
    from pytest_sparrow.transcript import Transcript


class Source:
    """The golden of one test, as far as there is one.

    Args:
        settings: the test's settings.
        place: where the golden lies.
        store: reads the golden.

    Attributes:
        golden: what answers the test: the golden; None where there is none, or none is usable.
        recorded: the golden as it lies on the disk.
        resumed: the folder of the unfinished extension with which `golden` goes on, or None.
        unusable: why the golden cannot be used, or None.
        name: the golden as a report names it.
        accept: how to accept a difference where recording the test would not do, or None.
    """

    def __init__(self, settings: Settings, place: GoldenPlace, store: FsRecorder) -> None:
        self.unusable: Finding | None = None
        self._place = place
        self._named = settings.env
        self._by_hand = bool(settings.script)
        self.name = "the test's own script" if self._by_hand else place.shown
        self.accept: Way | None = None
        if self._by_hand:
            self.accept = Way(WayKind.EDIT_SCRIPT)
        elif settings.sample is not None:
            self.accept = Way(WayKind.SAMPLE, (place.test,))
        elif place.corpus:
            self.accept = Way(WayKind.EDIT_GOLDEN, (place.shown,))
        self.golden = self._read(settings, store) if settings.mode.reads else None
        self.recorded = self.golden
        self.resumed: Path | None = None

    def resume(self, settings: Settings) -> None:
        """Let the answers of an earlier extension of this golden, which was left unfinished, answer again."""
        golden, place = self.golden, self._place
        if golden is None or not golden.holds_exchanges:
            return
        limits = Limits.of(settings.limits, "limits")
        found = unfinished(place.directory, place.run_id, limits=limits)
        if found is not None:
            from pytest_sparrow.plugin.revising import extended_by

            self.golden = extended_by(golden, found[1], settings)
            self.resumed = None if self.golden is golden else found[0]

    def _read(self, settings: Settings, store: FsRecorder) -> Transcript | None:
        """The golden.

        Raises:
            NotRecordable: the script holds a value that JSON cannot.
        """
        if self._by_hand:
            from pytest_sparrow.scenario import transcript

            return transcript(self._place.run_id, *settings.script, agent=settings.agent)
        try:
            return store.load(self._place.run_id)
        except DamagedTranscript as error:
            # In every mode: damaged is never missing, and nothing is recorded over a damaged golden.
            self.unusable = self._unusable(Kind.DAMAGED, error)
        except (SparrowError, OSError) as error:
            self.unusable = self._unusable(Kind.UNREADABLE, error)
        return None

    def _unusable(self, kind: Kind, error: Exception) -> Finding:
        return Finding(kind=kind, detail={"text": str(error), "golden": self._place.shown})

    def noted(self, key: str) -> Json:
        """A note of the golden's ``config_snapshot``; None where the golden has none."""
        snapshot = None if self.golden is None else self.golden.inputs.config_snapshot
        return snapshot.get(key) if isinstance(snapshot, dict) else None

    def environment(self) -> Json:
        """The environment of the golden, for a replay; None, and the golden unusable, where no setting allows it.

        A run of the cockpit has a ``config_snapshot`` of its own, which sets nothing.
        """
        recorded = self.noted("env")
        if self.golden is None or self.golden.meta.format is None:
            return None
        refused = refused_variable(recorded, self._named)
        if refused is None:
            return recorded
        error = refused_name(self._place.folder, "env", *refused)
        self.unusable = replace(self._unusable(Kind.UNREADABLE, error), case="env")
        return None

    @property
    def answers(self) -> list[Exchange]:
        """The golden's exchanges in the order of their requests."""
        return [] if self.golden is None else self.golden.by_beginning()

    @property
    def event_lines(self) -> Sequence[bytes]:
        """The lines of the golden's events, if they are what a recording wrote: by their digest, and ours."""
        golden = self.golden
        if golden is None or golden.source is None or golden.meta.format is None or not golden.knows_strands:
            return ()
        return golden.source.events[1] if EVENTS in (golden.meta.sha256 or {}) else ()

    def event_replayer(self, wire: Wire) -> Callable[[Violations], GoldenReplayer] | None:
        """What makes the replayer of a golden that holds events alone; None where the exchanges answer."""
        if self.golden is None or self.golden.holds_exchanges:
            return None
        from pytest_sparrow.run.whatif.replayer import EventReplayer
        from pytest_sparrow.run.whatif.script import UnreadableEvent, read_script

        try:
            script = read_script(self.golden.events)
        except UnreadableEvent as error:
            where = f"{self._place.shown}/events.jsonl:{error.line}"
            detail = {"text": f"{where}: {error.reason}"}
            self.unusable = Finding(kind=Kind.UNREADABLE, case="events", detail=detail)
            return None
        by_hand = self._by_hand
        return lambda violations: EventReplayer(script, wire.read, violations, by_hand=by_hand)
