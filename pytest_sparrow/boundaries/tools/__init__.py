"""Hand-written tools: wrapped functions whose calls are recorded, and replayed without running the function."""

from __future__ import annotations

from pytest_sparrow.boundaries.tools.options import RISKS, ToolOptions
from pytest_sparrow.boundaries.tools.tools import Tools
from pytest_sparrow.boundaries.tools.wrap import options_of, wrap

__all__ = ["RISKS", "ToolOptions", "Tools", "options_of", "wrap"]
