"""Shuts the world: while a run replays, nothing leaves this process but what a setting allows.

Covered is what Python code does through the ``socket`` module, asyncio included, and by name WebSockets, uvloop and
gRPC, whose C code opens its own sockets. Other C code (libpq, curl) and child processes escape.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.guard import protocols
from pytest_sparrow.boundaries.guard.network import SENDS, shut_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.run.crossing import OpenRun

__all__ = ["shut"]


@contextlib.contextmanager
def shut(run: OpenRun) -> Iterator[None]:
    """While open, connections that belong to a replaying run are refused, naming host, port and the setting.

    Refused are TCP and UDP addresses, unix sockets, look-ups of names, WebSockets and gRPC calls; each refusal is added
    to the run's violations, and raised. Spared are hosts that ``passes_host`` allows, and addresses at which this
    process itself listens, so that an app under test may run on a loopback server. An ignored host (telemetry) gets an
    ordinary "connection refused", and is no violation. May nest; the last one out restores exactly.

    Args:
        run: the run that replays.
    """
    with shut_sockets(run), SENDS, protocols.PATCHES:
        yield
