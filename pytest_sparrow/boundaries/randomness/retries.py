"""What an SDK draws between a failing answer and its next try doesn't count.

How long it waits depends on what the answer said: a recorded 429 without ``retry-after`` makes the openai SDK draw its
jitter from `random`, the same answer in a replay, which says ``retry-after-ms: 1``, doesn't. So the try after it finds
the shared generators as they were when the failing answer was given, in record and replay alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.randomness.generators import State
from pytest_sparrow.matching.keys import request_key

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.lanes import Lane
    from pytest_sparrow.recording.open_crossing import OpenCrossing

__all__ = ["Retries"]


@dataclass(frozen=True, slots=True)
class _Failed:
    lane: Lane
    key: str
    state: State


class Retries:
    """Watches a run (see `recording.ports.Watcher`), and rewinds the generators at a repeated request.

    Only the next crossing of the run can be the repetition: if another lane crosses in between, it may have drawn, too,
    and to rewind would give it the same numbers twice.
    """

    def __init__(self) -> None:
        self._failed: _Failed | None = None

    def asked(self, crossing: OpenCrossing) -> None:
        """Rewind, if this is the failed request again."""
        failed, self._failed = self._failed, None
        if failed is None or crossing.kind != "http" or crossing.lane is not failed.lane:
            return
        if request_key("http", crossing.asked) == failed.key:
            failed.state.restore()

    def answered(self, crossing: OpenCrossing, answered: dict[str, Json] | None) -> None:
        """Note where the generators stand, if this answer is one that is tried again."""
        unanswered = crossing.recorded is not None and crossing.recorded.answered is None
        if crossing.kind == "http" and answered is not None and not unanswered and _fails(answered):
            self._failed = _Failed(crossing.lane, request_key("http", crossing.asked), State())


def _fails(answered: dict[str, Json]) -> bool:
    """Whether SDKs try again after this (openai 3.54 and anthropic do after these statuses)."""
    status = answered.get("status")
    return "error" in answered or (isinstance(status, int) and (status in (408, 409, 429) or status >= 500))
