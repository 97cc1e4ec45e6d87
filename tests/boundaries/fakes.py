"""A run as boundaries see it, without what lies behind the port: it keeps what crosses, or replays it."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries import guard, http
from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.run.own_servers import OwnServers
from pytest_sparrow.run.violations import divergence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass
class FakeCrossing:
    """One crossing, with everything that was said about it."""

    kind: str
    asked: dict[str, Any]
    replayed: dict[str, Any] | None = None
    answered: dict[str, Any] | None = None
    complete: bool | None = None
    settled: int = 0
    checked: bool = False
    error: Exception | None = None
    cancellation_wait: float | None = None
    delay: float = 0.0
    as_is: bool = False
    flush: Any = None
    peek: Any = None
    arrival: Any = None
    read_whole: bool = False

    def settle(self, answered: dict[str, Any] | None, *, complete: bool = True) -> None:
        self.settled += 1
        if self.settled == 1:
            self.answered, self.complete = answered, complete


class FakeRun:
    """Records, or replays first come first served among equal requests.

    Args:
        golden: crossings to replay; None records.
        hosts: what `passes_host` says of a host, "cross" where it isn't named.
        in_process: capture in-process transports.
        run_id: the run's id.
    """

    def __init__(
        self,
        golden: list[FakeCrossing] | None = None,
        *,
        hosts: Mapping[str, str] | None = None,
        in_process: bool = False,
        run_id: str = "fake",
    ) -> None:
        self.run_id = run_id
        self.parent = None
        self.in_process = in_process
        self.crossings: list[FakeCrossing] = []
        self.own_servers = OwnServers()
        self.refused: list[str] = []
        self.misses: list[str] = []
        self._golden = golden
        self._hosts = hosts or {}
        self._played: set[int] = set()
        self._lock = threading.Lock()

    @property
    def replaying(self) -> bool:
        return self._golden is not None

    def ask(self, kind: str, asked: dict[str, Any]) -> FakeCrossing:
        asked = json.loads(json.dumps(asked))
        with self._lock:
            crossing = FakeCrossing(kind, asked)
            if self._golden is not None:
                crossing.replayed = self._choose(self._golden, asked)
            self.crossings.append(crossing)
            return crossing

    def passes_host(self, host: str, port: int | None) -> str:
        return self._hosts.get(host, self._hosts.get(f"{host}:{port}", "cross"))

    def refuse(self, case: str, **detail: Any) -> Exception:
        error = divergence(Finding(kind=Kind.REFUSED, case=case, detail=detail))
        self.refused.append(f"{error.summary} | {' '.join(error.details)}")
        return error

    def asked_late(self, what: str) -> Exception | None:
        error = divergence(
            Finding(kind=Kind.LEFT_OVER, case="refused", detail={"strand": "thread", "what": what})
        )
        self.refused.append(error.summary)
        return error if self.replaying else None

    def replay(self, **settings: Any) -> FakeRun:
        """A run that replays what this one recorded, headers as the redactor leaves them: an object."""
        return FakeRun([_stored(crossing) for crossing in self.crossings], **settings)

    @property
    def unplayed(self) -> int:
        return len(self._golden or ()) - len(self._played)

    def _choose(self, golden: list[FakeCrossing], asked: dict[str, Any]) -> dict[str, Any]:
        for number, candidate in enumerate(golden):
            if number not in self._played and _key(candidate.asked) == _key(asked):
                self._played.add(number)
                assert candidate.answered is not None, "a recorded crossing was never settled"
                return candidate.answered
        self.misses.append(f"{asked.get('method')} {asked.get('url')}")
        raise ReplayDivergence(
            f"the golden holds no answer to {asked.get('method')} {asked.get('url')}", ("closest: none",)
        )


def _key(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "headers"}


def _stored(crossing: FakeCrossing) -> FakeCrossing:
    answered = json.loads(json.dumps(crossing.answered))
    if answered and isinstance(answered.get("headers"), list):
        answered["headers"] = {name.lower(): value for name, value in answered["headers"]}
    return FakeCrossing(crossing.kind, crossing.asked, answered=answered, complete=crossing.complete)


@contextlib.contextmanager
def window(run: FakeRun) -> Iterator[FakeRun]:
    """A run open in this context, the HTTP boundary on, the world shut if it replays."""
    with contextlib.ExitStack() as stack:
        if run.replaying:
            stack.enter_context(guard.shut(run))
        http.install()
        stack.callback(http.uninstall)
        token = open_window(run)
        stack.callback(close_window, run, token)
        yield run
