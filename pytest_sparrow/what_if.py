"""What of a replay is the test's own, and no golden's: its fork, its faults, and what came of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.recording.run import Run
    from pytest_sparrow.replaying.ledger import Finding
    from pytest_sparrow.replaying.place import Departure

__all__ = ["NOTHING_LAID", "WhatIf", "what_if_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A fork and faults, as far as they came.

    Attributes:
        laid: whether the test has any.
        scripted: whether the model says what the test wrote for after a fault.
        recovers: whether a fault came after which the run must get back to its golden.
        departure: where the run left its golden, or None.
    """

    laid: bool = False
    scripted: bool = False
    recovers: bool = False
    departure: Departure | None = None

    def came_after(self, finding: Finding) -> bool:
        """Whether it was found when the run had left its golden: no recording holds it."""
        return self.departure is not None and not self.departure.knew(finding)


NOTHING_LAID = WhatIf()
"""Neither a fork nor a fault."""


def what_if_of(run: Run) -> WhatIf:
    """What came of a run's fork and faults, once it is over."""
    branch, overlay = run.answers.branch, run.answers.overlay
    return WhatIf(
        laid=branch is not None or bool(overlay.faults),
        scripted=overlay.then is not None,
        recovers=any(fault.recovers and fault.hits for fault in overlay.faults),
        departure=run.answers.departure,
    )
