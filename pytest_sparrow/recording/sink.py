"""A recorded run on its way to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.store import FsRecorder

__all__ = ["RecorderSink"]


class RecorderSink:
    """Hands the events and exchanges of one run to the store's journal."""

    def __init__(self, store: FsRecorder, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def event(self, event: Event) -> None:
        """Keep an event."""
        self._store.record(event, run_id=self._run_id)

    def exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._store.record_exchange(self._run_id, exchange)
