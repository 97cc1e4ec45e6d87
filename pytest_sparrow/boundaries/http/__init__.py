"""The HTTP boundary: one core, a thin skin a library, no library imported."""

from __future__ import annotations

from pytest_sparrow.boundaries.http.adapters import install, uninstall
from pytest_sparrow.boundaries.http.flow import OutsidePolicy, set_outside_policy

__all__ = ["OutsidePolicy", "install", "set_outside_policy", "uninstall"]
