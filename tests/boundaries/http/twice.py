"""One piece of client code run twice: recorded against the real server, then fed without asking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boundaries.fakes import FakeRun, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from boundaries.http.loopback import Loopback

__all__ = ["Twice", "twice"]


@dataclass(frozen=True, kw_only=True)
class Twice:
    """What came of it, both times."""

    live: Any
    fed: Any
    recorded: FakeRun
    replayed: FakeRun


def twice(server: Loopback, ask: Callable[[], Any]) -> Twice:
    """Run it twice; everything that was recorded must be asked for again, and the server must not be."""
    with window(FakeRun()) as recorded:
        live = ask()
    count = len(server.calls)
    with window(recorded.replay()) as replayed:
        fed = ask()
    assert len(server.calls) == count
    assert (replayed.misses, replayed.refused, replayed.unplayed) == ([], [], 0)
    assert all(crossing.settled == 1 for crossing in [*recorded.crossings, *replayed.crossings])
    return Twice(live=live, fed=fed, recorded=recorded, replayed=replayed)
