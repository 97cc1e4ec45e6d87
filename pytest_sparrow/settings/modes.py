"""The modes, and what each of them makes of a test: the only place that asks which mode it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Behaviour", "Mode", "behaviour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What is done about the world and about the golden in one test.

    Attributes:
        outcome: the word under which the session's summary counts a test that passed; "" where nothing is counted.
        shut: nothing reaches the world; absent API keys are filled with dummies.
        replays: the golden answers what the agent asks.
        compares: the run is compared with the golden.
        records: what happens is recorded, and becomes the golden if the test passes.
        missing: there is no golden to replay: the test fails before its body runs.
    """

    outcome: str = ""
    shut: bool = False
    replays: bool = False
    compares: bool = False
    records: bool = False
    missing: bool = False


_REPLAYED = Behaviour(outcome="replayed", shut=True, replays=True, compares=True)
_RECORDED = Behaviour(records=True)
_MISSING = Behaviour(shut=True, missing=True)
_INERT = Behaviour(outcome="inert")


class Mode(enum.Enum):
    """What the user said about a session or a test."""

    REPLAY = "replay"
    RECORD = "record"
    NEW = "new"
    OFF = "off"

    @property
    def writes(self) -> bool:
        """Whether a golden may be written; refused under CI unless the command line says so."""
        return any(each.records for each in _BEHAVIOURS[self])

    @property
    def reads(self) -> bool:
        """Whether a golden is read at all."""
        return any(each.replays or each.records for each in _BEHAVIOURS[self])

    @property
    def shut(self) -> bool:
        """Whether no test reaches the world, with a golden or without."""
        return all(each.shut for each in _BEHAVIOURS[self])

    @property
    def read_only(self) -> Mode:
        """The mode for a test whose golden is another test's, or nobody's: such a test only replays."""
        return Mode.REPLAY if self.writes else self


DEFAULT_MODE = Mode.REPLAY
SHORT_OPTIONS = {
    Mode.RECORD: "run against the real world and write the golden of every test that uses sparrow and passes",
    Mode.REPLAY: "replay the goldens, offline, and fail where behaviour changed (the default)",
}
"""The modes with an option of their own, like ``--sparrow-record``, and the option's help."""

_BEHAVIOURS = {
    # With a golden, and without one.
    Mode.REPLAY: (_REPLAYED, _MISSING),
    Mode.RECORD: (_RECORDED, _RECORDED),
    Mode.NEW: (_REPLAYED, _RECORDED),
    Mode.OFF: (_INERT, _INERT),
}


def behaviour(mode: Mode, *, golden: bool) -> Behaviour:
    """What a mode means for a test that has a golden, or has none."""
    with_golden, without_golden = _BEHAVIOURS[mode]
    return with_golden if golden else without_golden
