"""Telling a client that closes its response from the garbage collector that does."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["Owners"]


class Owners:
    """The objects whose end closes a body.

    The collector may strike anywhere, in the middle of writing a run's journal, too: what it closes must settle
    nothing. The run's end does (`Crossing.flush`).
    """

    def __init__(self, *owners: Any) -> None:
        self._refs: list[weakref.ref[Any]] = []
        self.add(*owners)

    def add(self, *owners: Any) -> None:
        """More of them; none is kept alive."""
        self._refs += [weakref.ref(owner) for owner in owners]

    def are_collected(self) -> bool:
        """Whether one of them is on its way out: `io`'s finalizer marks it, the collector forgets references to it."""
        owners = [ref() for ref in self._refs]
        return any(owner is None or getattr(owner, "_finalizing", False) for owner in owners)
