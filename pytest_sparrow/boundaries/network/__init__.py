"""The network guard: while a run replays, nothing leaves this process but what a setting allows.

It covers what Python code does through the ``socket`` module, asyncio included. C code that opens its own
sockets (libpq, gRPC, uvloop) and child processes escape it.
"""

from __future__ import annotations

from pytest_sparrow.boundaries.network.guard import shut

__all__ = ["shut"]
