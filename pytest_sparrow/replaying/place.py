"""Where in a run something is to happen: a call of a tool, or an HTTP request; and where a run left its golden."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.replaying.ledger import Finding

__all__ = ["Departure", "Place"]


@dataclass(slots=True, kw_only=True)
class Place:
    """A crossing, named before the run. The run's lock guards it.

    Attributes:
        said: as the user wrote it, like ``fork(at="refund")``.
        kind: "tool" or "http".
        name: the tool's name; for HTTP a pattern of host and path (``*`` matches anything), "" for any request.
        nth: which of them, from 1.
        met: how many there were so far.
    """

    said: str
    kind: str
    name: str = ""
    nth: int = 1
    met: int = 0

    def counts(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing, if it is one of these."""
        if kind != self.kind or (self.name and not self._is_named(asked)):
            return False
        self.met += 1
        return True

    def _is_named(self, asked: dict[str, Json]) -> bool:
        if self.kind == "tool":
            return bool(asked["name"] == self.name)
        try:
            url = urlsplit(asked["url"])
            places = [f"{host}{url.path}" for host in (url.netloc, url.hostname or "")]
        except ValueError:
            return False
        return any(fnmatchcase(place, self.name) for place in places)

    @property
    def made(self) -> str:
        """How many of them the run made, in words."""
        if self.met:
            return f"{self.met} of them"
        if self.kind == "tool":
            return f"no call of {self.name}"
        return f"no HTTP request to {self.name}" if self.name else "no HTTP request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """The crossing at which a run left its golden: from there on only the test's own asserts judge.

    Attributes:
        kind: "tool" or "http".
        lane: the lane that asked.
        told: how many events had been told by then, the call's own beginning included.
        known: what the ledger held then.
        exchange: the recorded exchange that would have answered, or None: the golden has none.
        lanes: the golden's lane that each lane of the run followed by then. Tasks and threads are numbered by chance.
    """

    kind: str
    lane: str
    told: int
    known: tuple[Finding, ...] = ()
    exchange: Exchange | None = None
    lanes: Mapping[str, str] = field(default_factory=dict)

    def knew(self, finding: Finding) -> bool:
        """Whether a finding is older."""
        return any(finding is known for known in self.known)
