"""Defines a verdict: what the findings about one run add up to, and by what the run was judged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.findings.finding import Finding, Kind, Way, json_of, ways_of
from pytest_sparrow.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.comparing.result import Missing
    from pytest_sparrow.exchange import Json

__all__ = ["NO_CIRCUMSTANCES", "Circumstances", "Subject", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What makes one source of chance a likelier cause than another.

    Attributes:
        hash_seeds: ``PYTHONHASHSEED`` of the recording and of this process, "random" where the variable is not set;
            None: the recording noted nothing.
        own_ids: loaded modules that make uuids which no seed reaches.
        side_by_side: whether the run had strands side by side.
    """

    hash_seeds: tuple[str, str] | None = None
    own_ids: tuple[str, ...] = ()
    side_by_side: bool = False


NO_CIRCUMSTANCES = Circumstances()
"""Nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a verdict is about, and by what it was judged.

    Attributes:
        nodeid: the test.
        golden: the folder of its golden, as a report names it.
        recorder: the test that records the golden; "" for the same test.
        recording: whether this was a recording; else a replay.
        judged_by: the settings that are not the defaults, in their own spelling.
        accept: how to accept a difference where recording the test would not do, or None.
    """

    nodeid: str = ""
    golden: str = ""
    recorder: str = ""
    recording: bool = False
    judged_by: str = ""
    accept: Way | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one run.

    Attributes:
        subject: what was judged, and by what.
        findings: what makes the test fail, the telling ones first, then what merely follows from them.
        remarks: what is worth a line in the summary, and no failure.
        ways: the ways out of all the findings together.
        since: what has changed besides the agent since the golden was recorded, in words.
        circumstances: what makes one source of chance a likelier cause than another.
        contradicted: whether the agent did something else than the golden says; to stop early is nothing else.
    """

    subject: Subject = Subject()
    findings: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    ways: tuple[Way, ...] = ()
    since: str = ""
    circumstances: Circumstances = NO_CIRCUMSTANCES
    contradicted: bool = False

    @property
    def diverged(self) -> bool:
        """Whether the test must fail."""
        return bool(self.findings)

    @property
    def missed(self) -> bool:
        """Whether the agent asked for something that the replay could not give."""
        return any(finding.kind in (Kind.MISS, Kind.REFUSED) for finding in self.findings)

    def to_json(self) -> dict[str, Json]:
        """The verdict as JSON; fields that have their default are left out."""
        return json_of(self)

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Verdict:
        """The verdict that `to_json` wrote."""
        given = dict(value)
        for key in ("findings", "remarks"):
            if key in given:
                given[key] = tuple(map(Finding.from_json, given[key]))
        if "ways" in given:
            given["ways"] = ways_of(given["ways"])
        if "subject" in given:
            subject = dict(given["subject"])
            if "accept" in subject:
                subject["accept"] = ways_of([subject["accept"]])[0]
            given["subject"] = Subject(**subject)
        if "circumstances" in given:
            circumstances = given["circumstances"]
            seeds = circumstances.get("hash_seeds")
            given["circumstances"] = Circumstances(
                hash_seeds=None if seeds is None else (seeds[0], seeds[1]),
                own_ids=tuple(circumstances.get("own_ids", ())),
                side_by_side=circumstances.get("side_by_side", False),
            )
        return cls(**given)

    def sent(self, clean: Callable[[str], str]) -> dict[str, Json]:
        """The verdict as JSON for another process: without secrets, with few findings and short values.

        Args:
            clean: a text without its secrets.
        """
        findings = tuple(_short(finding.cleaned(clean)) for finding in self.findings[:_MOST_SENT])
        return replace(self, findings=findings, remarks=()).to_json()


_MOST_SENT = 25
"""Findings of one verdict that are sent to another process."""

_MOST_VALUE = 1_000
"""Characters of a value that are sent."""


def _short(finding: Finding) -> Finding:
    """The finding with values that are texts of at most `_MOST_VALUE` characters, where they are longer."""
    parts = tuple(map(_short, finding.parts[:_MOST_SENT]))
    golden, new = (_spelled(value) for value in (finding.golden, finding.new))
    if max(len(golden), len(new)) <= _MOST_VALUE:
        return replace(finding, parts=parts)
    golden, new = excerpt(golden, new, _MOST_VALUE)
    return replace(
        finding,
        parts=parts,
        golden=MISSING if finding.golden is MISSING else golden,
        new=MISSING if finding.new is MISSING else new,
    )


def _spelled(value: Json | Missing) -> str:
    return (
        value if isinstance(value, str) else "" if value is MISSING else json.dumps(value, ensure_ascii=False)
    )
