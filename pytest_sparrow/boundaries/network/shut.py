"""Shutting the world: sockets, and the protocols that are refused by their own name."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.network import grpc, uvloop, websocket
from pytest_sparrow.boundaries.network.guard import shut_sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.recording.crossing import OpenRun

__all__ = ["shut"]


@contextlib.contextmanager
def shut(run: OpenRun) -> Iterator[None]:
    """While open, connections that belong to a feeding run are refused, naming host, port and the setting.

    Refused are TCP and UDP addresses, unix sockets, the resolving of names, WebSockets and gRPC calls; each refusal
    is in the run's ledger, and raised. Spared: what ``passes_host`` allows, and addresses at which this process
    itself listens, so that an app under test may run on a loopback server. An ignored host (telemetry) gets an
    ordinary "connection refused", and no entry in the ledger. May nest; the last one out restores exactly.

    Args:
        run: the run that feeds.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(shut_sockets(run))
        for patches in (websocket.PATCHES, grpc.PATCHES, uvloop.PATCHES):
            patches.install()
            stack.callback(patches.uninstall)
        yield
