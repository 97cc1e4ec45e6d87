"""What can happen in a run: the 26 event types of the cockpit, and `UnknownEvent` for any other."""

from __future__ import annotations

from pytest_sparrow.events import types
from pytest_sparrow.events.base import Block
from pytest_sparrow.events.types import *  # noqa: F403
from pytest_sparrow.events.union import Event, UnknownEvent, dump_event, parse_event

__all__ = ["Block", "Event", "UnknownEvent", "dump_event", "parse_event"]
__all__ += types.__all__
