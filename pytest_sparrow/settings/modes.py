"""The modes, and what each of them makes of a test: the only place that asks which mode it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Behaviour:
    """What is done about the world and about the golden in one test.

    Attributes:
        outcome: what the session's summary says of a test that passed; "" where nothing is said.
        diverged: what the summary says of a test that differs from its golden; "" where nothing is said.
        shut: nothing reaches the world, to begin with; absent API keys are filled with dummies.
        replays: the golden answers what the agent asks; else the world does, unless it is shut.
        compares: the run is compared with the golden, whoever answered.
        records: what happens is recorded, and becomes the golden if the test passes.
        extends: the world opens at the first call that the golden does not answer as recorded.
        revises: the golden becomes what it would be had the run been recorded, if it could answer all of it and the
            test passes.
        samples: what happens is recorded beside the golden, as one of several live runs.
        missing: there is no golden to replay: the test fails before its body runs.
    """

    outcome: str = ""
    diverged: str = ""
    shut: bool = False
    replays: bool = False
    compares: bool = False
    records: bool = False
    extends: bool = False
    revises: bool = False
    samples: bool = False
    missing: bool = False

    @property
    def journals(self) -> bool:
        """Whether what happens is recorded while it happens; what a golden answered is in the golden already."""
        return self.records or self.samples or self.extends

    @property
    def live(self) -> bool:
        """Whether the run is compared with the golden while the world answers."""
        return self.compares and not self.replays

    @property
    def outside(self) -> Mode:
        """The mode of what a test's fixtures ask outside its run."""
        if not self.shut:
            return Mode.RECORD
        return Mode.UPDATE if self.revises and not self.extends else Mode.REPLAY

    @property
    def reads(self) -> bool:
        """Whether the golden is read; a recording reads the earlier golden."""
        return self.replays or self.compares or self.records

    @property
    def follows(self) -> bool:
        """Whether the run is held to the golden: the golden answers, or the run is compared with the golden."""
        return self.replays or self.compares


_REPLAYED = Behaviour(outcome="replayed equal", diverged="diverged", shut=True, replays=True, compares=True)
_RECORDED = Behaviour(records=True)
_UPDATED = Behaviour(diverged="not updated", shut=True, replays=True, compares=True, revises=True)
_EXTENDED = Behaviour(diverged="not extended", shut=True, replays=True, extends=True, revises=True)
_VERIFIED = Behaviour(outcome="verified", diverged="drifted", compares=True)
_MISSING = Behaviour(shut=True, missing=True)
_INERT = Behaviour(outcome="ran with sparrow off")


class Mode(enum.Enum):
    """What the user said about a session or a test."""

    REPLAY = "replay"
    RECORD = "record"
    NEW = "new"
    UPDATE = "update"
    EXTEND = "extend"
    VERIFY = "verify"
    OFF = "off"

    @property
    def writes(self) -> bool:
        """Whether a golden may be written."""
        return any(each.records or each.revises for each in _BEHAVIOURS[self])

    @property
    def reads(self) -> bool:
        """Whether a golden is read at all."""
        return any(each.reads for each in _BEHAVIOURS[self])

    @property
    def shut(self) -> bool:
        """Whether no test reaches the world, with a golden or without."""
        return all(each.shut for each in _BEHAVIOURS[self])

    @property
    def live(self) -> bool:
        """Whether a run is compared with its golden while the world answers."""
        return self in _LIVE

    @property
    def read_only(self) -> Mode:
        """The mode for a test whose golden is another test's, or nobody's: such a test only replays."""
        return Mode.REPLAY if self.writes or self.live else self


DEFAULT_MODE = Mode.REPLAY
SHORT_OPTIONS = {
    Mode.RECORD: "run against the real world and write the golden of every test that uses sparrow and passes",
    Mode.REPLAY: "replay the goldens, offline, and fail where behaviour changed (the default)",
    Mode.UPDATE: "replay the goldens, offline, and write into them what the agent asks and does otherwise now",
}
"""The modes with an option of their own, like ``--sparrow-record``, and the option's help."""

_BEHAVIOURS = {
    # With a golden, and without one.
    Mode.REPLAY: (_REPLAYED, _MISSING),
    Mode.RECORD: (_RECORDED, _RECORDED),
    Mode.NEW: (_REPLAYED, _RECORDED),
    Mode.UPDATE: (_UPDATED, _MISSING),
    Mode.EXTEND: (_EXTENDED, _MISSING),
    Mode.VERIFY: (_VERIFIED, _MISSING),
    Mode.OFF: (_INERT, _INERT),
}


_LIVE = frozenset(mode for mode, both in _BEHAVIOURS.items() if any(each.live for each in both))
"""The modes of which a test may be live; asked for several times a test."""


def behaviour(mode: Mode, *, golden: bool) -> Behaviour:
    """What a mode means for a test that has a golden, or has none."""
    with_golden, without_golden = _BEHAVIOURS[mode]
    return with_golden if golden else without_golden


def outcomes(*, compared: bool) -> list[str]:
    """What the session's summary may say of a test, in the order of the modes.

    Args:
        compared: of the behaviours that compare the run with its golden, or of the others.
    """
    said = (each for both in _BEHAVIOURS.values() for each in both if each.compares is compared)
    return list(dict.fromkeys(text for each in said for text in (each.outcome, each.diverged) if text))
