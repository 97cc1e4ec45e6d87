"""The events of a run: the cockpit's types, and `UnknownEvent` for any other line."""

from __future__ import annotations

from pytest_sparrow.events import types
from pytest_sparrow.events.base import Block
from pytest_sparrow.events.types import *  # noqa: F403
from pytest_sparrow.events.union import Event, UnknownEvent, dump_event, parse_event

__all__ = ["Block", "Event", "UnknownEvent", "dump_event", "parse_event"]
__all__ += types.__all__
