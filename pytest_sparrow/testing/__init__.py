"""Contracts: the behaviours that adapters and codecs are held to, our own and those of others.

Nothing else of the package loads this. `docs/testing-adapters.md` has the lines to copy.
"""

from __future__ import annotations

from pytest_sparrow.testing.codecs import CodecContract
from pytest_sparrow.testing.frameworks import BEHAVIOURS, CHANGES, FrameworkContract
from pytest_sparrow.testing.http import HttpContract

__all__ = ["BEHAVIOURS", "CHANGES", "CodecContract", "FrameworkContract", "HttpContract"]
