"""The network guard: while a run replays, nothing leaves this process but what a setting allows.

It covers what Python code does through the ``socket`` module, asyncio included, and gRPC, whose C code opens its own
sockets. Other C code (libpq, uvloop) and child processes escape it.
"""

from __future__ import annotations

from pytest_sparrow.boundaries.guard.protocols import shut

__all__ = ["shut"]
