"""Says whether tests try all of their samples, or a part; docs/testing.md lists what that changes."""

from __future__ import annotations

import os

__all__ = ["FULL"]

FULL = bool(os.environ.get("SPARROW_TEST_FULL"))
