"""Where in a run something is to happen: a call of a tool, or an HTTP request; and where a run left its golden."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.replaying.ledger import Finding

__all__ = ["Departure", "Place"]

_MOST_NAMES = 50
"""Names of what a run asks for that are kept, for a message."""

_MOST_SHOWN = 4


@dataclass(slots=True, kw_only=True)
class Place:
    """A crossing, named before the run. The run's lock guards it.

    Attributes:
        said: as the user wrote it, like ``fork(at="refund")``.
        kind: "tool" or "http".
        name: the tool's name; for HTTP a pattern of host and path (``*`` matches anything), "" for any request.
        nth: which of them, from 1.
        met: how many there were so far.
        made: how often the run asked for what, of this kind: tools by name, HTTP by host and path.
    """

    said: str
    kind: str
    name: str = ""
    nth: int = 1
    met: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def counts(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing, if it is one of these."""
        if kind != self.kind:
            return False
        self._note(asked)
        if self.name and not self._is_named(asked):
            return False
        self.met += 1
        return True

    def _note(self, asked: dict[str, Json]) -> None:
        name = asked["name"] if self.kind == "tool" else "".join(_place(asked)[:2])
        self.made[name if name in self.made or len(self.made) < _MOST_NAMES else ""] += 1

    def _is_named(self, asked: dict[str, Json]) -> bool:
        if self.kind == "tool":
            return bool(asked["name"] == self.name)
        host, path, address = _place(asked)
        return any(fnmatchcase(f"{place}{path}", self.name) for place in (address, host) if place)

    @property
    def how_many(self) -> str:
        """How many of them the run made, in words."""
        what, to = ("call", f" of {self.name}") if self.kind == "tool" else ("HTTP request", "")
        if self.kind == "http" and self.name:
            to = f" to {self.name}"
        return f"{self.met or 'no'} {what}{'s' if self.met > 1 else ''}{to}"

    @property
    def reachable(self) -> str:
        """What ``at=`` would have met in this run, as a line of a report; "" where the run made nothing of the kind."""
        count = self.made.total()
        if not count:
            return (
                "" if self.kind == "http" else "reach   no wrapped tool was called; sparrow.tool(…) wraps one"
            )
        known = [(name, times) for name, times in self.made.items() if name]
        said = [f'at="{name}" ({_times(times)})' for name, times in known[:_MOST_SHOWN]]
        if len(known) > _MOST_SHOWN:
            said.append("…")
        if self.kind == "http":
            said.insert(0, "at=1" if count == 1 else f"at=1 to {count}")
        return f"reach   {', '.join(said)}"


def _place(asked: dict[str, Json]) -> tuple[str, str, str]:
    """Host and path of a request, and the host with its port."""
    try:
        url = urlsplit(asked["url"])
        return url.hostname or "", url.path, url.netloc
    except ValueError:
        return "", "", ""


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """The crossing at which a run left its golden: from there on only the test's own asserts judge.

    Attributes:
        by: whether a fork or a fault was met.
        kind: "tool" or "http".
        lane: the lane that asked.
        told: how many events had been told by then, the call's own beginning included.
        known: what the ledger held then.
        exchange: the recorded exchange that would have answered, or None: the golden has none.
        lanes: the golden's lane that each lane of the run followed by then. Tasks and threads are numbered by chance.
    """

    by: Literal["fork", "fault"] = "fork"
    kind: str
    lane: str
    told: int
    known: tuple[Finding, ...] = ()
    exchange: Exchange | None = None
    lanes: Mapping[str, str] = field(default_factory=dict)

    def knew(self, finding: Finding) -> bool:
        """Whether a finding is older."""
        return any(finding is known for known in self.known)
