"""Deterministic replay testing of AI agents: record one real run, replay it offline, see what changed.

Names are imported when they are first asked for (PEP 562), so that loading the plugin costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.comparing import Comparison as Comparison
    from pytest_sparrow.comparing import Rules as Rules
    from pytest_sparrow.comparing import compare as compare
    from pytest_sparrow.errors import *  # noqa: F403
    from pytest_sparrow.events import *  # noqa: F403
    from pytest_sparrow.events.types import *  # noqa: F403
    from pytest_sparrow.exchange import Exchange as Exchange
    from pytest_sparrow.plugin.api import Sparrow as Sparrow
    from pytest_sparrow.store import FsRecorder as FsRecorder
    from pytest_sparrow.store import Recorder as Recorder
    from pytest_sparrow.store import Replayer as Replayer
    from pytest_sparrow.transcript import RunInputs as RunInputs
    from pytest_sparrow.transcript import RunMeta as RunMeta
    from pytest_sparrow.transcript import Transcript as Transcript

__version__ = "0.1.0"

_HOMES = {
    "Sparrow": "pytest_sparrow.plugin.api",
    "FsRecorder": "pytest_sparrow.store",
    "Recorder": "pytest_sparrow.store",
    "Replayer": "pytest_sparrow.store",
    "RunInputs": "pytest_sparrow.transcript",
    "RunMeta": "pytest_sparrow.transcript",
    "Transcript": "pytest_sparrow.transcript",
    "Exchange": "pytest_sparrow.exchange",
    "Comparison": "pytest_sparrow.comparing",
    "Rules": "pytest_sparrow.comparing",
    "compare": "pytest_sparrow.comparing",
    "parse_event": "pytest_sparrow.events",
}
"""The modules of single public names."""

_ALL_CLASSES = ("pytest_sparrow.errors", "pytest_sparrow.events")
"""Modules that list public classes and types themselves, those that import least first."""


def __getattr__(name: str) -> object:
    if name == "__all__":
        return __dir__()
    home = _home_of(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    classes = (name for home in _ALL_CLASSES for name in _classes(home))
    return sorted({"__version__", *_HOMES, *classes})


def _home_of(name: str) -> str | None:
    """The module that a public name is imported from, or None.

    A name that is no class's may be a submodule's: none is imported to look for it.
    """
    if name in _HOMES or not name[:1].isupper():
        return _HOMES.get(name)
    return next((home for home in _ALL_CLASSES if name in _classes(home)), None)


def _classes(home: str) -> list[str]:
    return [name for name in importlib.import_module(home).__all__ if name[:1].isupper()]
