"""What a golden amounts to: counts, tokens, model, age, size; read from its files without loading the run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_sparrow import real_time
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, FILES, INPUTS, META, is_pending
from pytest_sparrow.transcript import FORMAT, RunInputs, RunMeta

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_sparrow.exchange import Json

_OWN_PACKAGE = "pytest-sparrow"

UNRECORDED = {
    1: "headers beyond a few, types of arguments, and what a tool is called on",
    2: "headers beyond a few, types of arguments, and what a tool is called on",
}
"""What the requests of an older format leave out, and a replay therefore does not compare."""


def not_compared(format_: int | None) -> str:
    """What a format did not record, and a replay does not compare; "" for the newest, and where there is none."""
    return UNRECORDED.get(format_ or FORMAT, "")


def said_of_older(left_out: Sequence[str]) -> list[str]:
    """The line that says what some goldens do not compare (of each `not_compared`); none where all compare all."""
    if not left_out:
        return []
    return [
        f"{len(left_out)} of an older format, which did not record, and so does not compare: {left_out[0]} "
        "(record again to compare all)"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a golden amounts to.

    Attributes:
        folder: where it lies.
        test: the node id of the test that recorded it, "" where nothing says.
        events: how many events it holds.
        calls: how many recorded calls over a boundary, None where none were recorded at all.
        tokens_in: input tokens that the models reported.
        tokens_out: output tokens.
        seconds: how long the recording took, up to its last answer.
        model: the model that was asked first, "" where unknown.
        recorded: when it was recorded, or None.
        size: bytes of its files.
        sdks: versions of the SDKs in use, by distribution.
        format: the format that it was recorded in, None for a run of the cockpit or one written by hand.
        damage: why it cannot be read, "" where it can.
    """

    folder: Path
    test: str = ""
    events: int = 0
    calls: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    model: str = ""
    recorded: datetime | None = None
    size: int = 0
    sdks: dict[str, str] = field(default_factory=dict)
    format: int | None = None
    damage: str = ""

    @property
    def days(self) -> int | None:
        """How many days ago it was recorded."""
        return None if self.recorded is None else (real_time.now() - self.recorded).days

    @property
    def not_compared(self) -> str:
        """What its format did not record; see the function `not_compared`."""
        return not_compared(self.format)

    @property
    def pending(self) -> bool:
        """Whether a replay of its test was otherwise, and waits for a review."""
        return is_pending(self.folder.parent, self.folder.name)

    def to_json(self) -> dict[str, Json]:
        """The figures as a JSON object."""
        return {
            "golden": self.folder.as_posix(),
            "test": self.test or None,
            "events": self.events,
            "calls": self.calls,
            "tokens": {"input": self.tokens_in, "output": self.tokens_out},
            "seconds": round(self.seconds, 3),
            "model": self.model or None,
            "recorded": None if self.recorded is None else self.recorded.astimezone(UTC).isoformat(),
            "days": self.days,
            "size": self.size,
            "sdks": self.sdks,
            "format": self.format,
            "not_compared": self.not_compared or None,
            "damage": self.damage or None,
            "pending": self.pending,
        }


def figures_of(folder: Path) -> Figures:
    """What a golden amounts to; whether its files are as they were written is for ``pytest-sparrow check`` to say."""
    try:
        return _read(folder)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return Figures(folder=folder, damage=str(error) or type(error).__name__)


def _read(folder: Path) -> Figures:
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    inputs = RunInputs.from_json(json.loads(files[INPUTS]))
    meta = RunMeta.from_json(json.loads(files[META])) if META in files else None
    events = _lines(files[EVENTS])
    if meta is not None and meta.event_count not in (None, len(events)):
        raise ValueError(f"{EVENTS} holds {len(events)} events, and {META} says {meta.event_count}")
    config = inputs.config_snapshot if isinstance(inputs.config_snapshot, dict) else {}
    spent = tokens(json.loads(line) for line in events if b'"TokenUsage"' in line)
    exchanges = _lines(files[EXCHANGES]) if EXCHANGES in files else None
    return Figures(
        folder=folder,
        test=(meta and meta.nodeid) or "",
        events=len(events),
        calls=None if exchanges is None else len(exchanges),
        tokens_in=spent[0],
        tokens_out=spent[1],
        # Exchanges stand in the order of their ends.
        seconds=float(json.loads(exchanges[-1]).get("ended") or 0) if exchanges else 0.0,
        model=inputs.model_id,
        recorded=None if meta is None else meta.created_at,
        size=sum(map(len, files.values())),
        sdks={name: str(said) for name, said in _packages(config) if name != _OWN_PACKAGE},
        format=None if meta is None else meta.recorded_format,
    )


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line]


def _packages(config: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    packages = config.get("packages")
    return packages.items() if isinstance(packages, dict) else ()


def tokens(events: Iterable[dict[str, Json]]) -> tuple[int, int]:
    """The input and output tokens of the events that report some."""
    usages = [event for event in events if event.get("type") == "TokenUsage"]
    return sum(int(usage["input"]) for usage in usages), sum(int(usage["output"]) for usage in usages)
