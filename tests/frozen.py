"""Frozen time for tests of what stands beside freezegun."""

from __future__ import annotations

import sys
from typing import Any

import freezegun

__all__ = ["frozen"]


def frozen(when: str) -> Any:
    """What ``freezegun.freeze_time`` returns, for modules of our own only.

    Freezegun looks through every attribute of every loaded module: ten seconds where all SDKs are loaded.
    """
    others = {name.partition(".")[0] for name in sys.modules} - {"pytest_sparrow", "pydantic"}
    return freezegun.freeze_time(when, ignore=sorted(others))
