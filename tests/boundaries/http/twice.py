"""Runs one piece of client code twice: recorded against the real server, then replayed without the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boundaries.fakes import FakeRun, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.testing.loopback import Loopback

__all__ = ["Twice", "twice"]


@dataclass(frozen=True, kw_only=True)
class Twice:
    """What came of it, both times."""

    live: Any
    replayed: Any
    recorded: FakeRun
    replay_run: FakeRun


def twice(server: Loopback, ask: Callable[[], Any]) -> Twice:
    """Run it twice; everything that was recorded must be asked for again, and the server must not be."""
    with window(FakeRun()) as recorded:
        live = ask()
    count = len(server.calls)
    with window(recorded.replay()) as replay_run:
        replayed = ask()
    assert len(server.calls) == count
    assert (replay_run.misses, replay_run.refused, replay_run.unplayed) == ([], [], 0)
    assert all(crossing.settled == 1 for crossing in [*recorded.crossings, *replay_run.crossings])
    return Twice(live=live, replayed=replayed, recorded=recorded, replay_run=replay_run)
