"""Keeps runs on disk: a run is whole or absent, and damage is never taken for absence.

Names are resolved lazily: the plugin asks `pytest_sparrow.store.layout` before anything heavy may be imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sparrow.store.layout import safe_name
    from pytest_sparrow.store.reader import iter_events, load_transcript
    from pytest_sparrow.store.recorder import FsRecorder, Recorder, Replayer

__all__ = ["FsRecorder", "Recorder", "Replayer", "iter_events", "load_transcript", "safe_name"]

_HOMES = {
    "FsRecorder": "recorder",
    "Recorder": "recorder",
    "Replayer": "recorder",
    "iter_events": "reader",
    "load_transcript": "reader",
    "safe_name": "layout",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
