"""Keeps the tool calls that models have proposed, and what has become of each."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.matching.similarity import shared_arguments

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Output
    from pytest_sparrow.run.lanes import Lane

_FINAL = ("final_result", "final_answer")
"""Names of what frameworks offer beside the tools, for the model to call with its answer (pydantic-ai, smolagents)."""

_HAND_OFF = "transfer_to_"
"""How the names begin by which frameworks offer other agents to the model."""

_HANDED_OFF = re.compile(r"(?:successfully )?(?:transferr|hand)ed (?:off |over )?to\b", re.IGNORECASE)


@dataclass(slots=True)
class _ProposedCall:
    id: str
    name: str
    args: Json
    lane: Lane
    started: bool = False
    answered: bool = False
    failed: bool = False


@dataclass(slots=True)
class Proposals:
    """Proposed calls by id and by name. Not thread safe: the run's lock guards it.

    Attributes:
        unwrapped: how often a tool of each name ran without a wrapper: its output came in the next request.
        forced: names of tools that the model was made to call: its answer in a shape, and nothing runs.
    """

    unwrapped: Counter[str] = field(default_factory=Counter)
    forced: set[str] = field(default_factory=set)
    _calls: dict[str, dict[Lane, _ProposedCall]] = field(default_factory=dict)
    _waiting: dict[str, dict[Lane, dict[str, _ProposedCall]]] = field(default_factory=dict)
    _foreign: set[str] = field(default_factory=set)
    _handled: set[str] = field(default_factory=set)
    """Ids of calls that a framework handles, though their stream is still open."""

    def add(self, call_id: str, name: str, args: Json, lane: Lane) -> None:
        """Add a call that a model proposed.

        An id that comes again is a new call: some hosts count from 0 each turn, in every conversation.
        """
        call = _ProposedCall(call_id, name, args, lane)
        calls = self._calls.setdefault(call_id, {})
        calls.pop(lane, None)  # to stand last
        calls[lane] = call
        if call_id in self._handled:
            self._handled.remove(call_id)
            call.started = True
            return
        self._waiting.setdefault(name, {}).setdefault(lane, {})[call_id] = call

    def waiting_as(self, name: str) -> str:
        """The name under which calls of a server's tool wait: its own, or one with the server's before it.

        Clients of MCP put the server's name before the tool's, so that two servers may have a tool of one name:
        ``shop_refund``, ``mcp__shop__refund``, ``shop.refund``.
        """
        if self._waiting.get(name):
            return name
        return next(
            (known for known, lanes in self._waiting.items() if lanes and _ends_as(known, name)), name
        )

    def lane_of(self, call_id: str, lane: Lane) -> Lane:
        """The lane in which a call was proposed; ``lane`` for a call that was not."""
        call = self._known(call_id, lane)
        return lane if call is None else call.lane

    def start(self, name: str, args: Json, lane: Lane, call_id: str = "") -> str | None:
        """The id of the pending proposal that a call of this name with these arguments answers, or None.

        A framework may know the ``call_id``; a call that it makes once more (after an interrupt) keeps its id.

        A proposal made in the caller's own lane, or in one of its parents, comes before any other: agents that run side
        by side ask for the same things. Then exact arguments win; else the proposal that shares most arguments, the
        oldest of equals: an agent that changes an argument on the way still answers that proposal.
        """
        known = self._known(call_id, lane) if call_id else None
        if known is not None:
            self._no_longer_waits(known)
            known.started = True
            return known.id
        lanes = self._waiting.get(name, {})
        own = next((lanes[each] for each in lane.line() if each in lanes), None)
        near = (
            own.values() if own is not None else [call for calls in lanes.values() for call in calls.values()]
        )
        if not near:
            return None
        call = max(near, key=lambda call: shared_arguments(call.args, args))
        self._no_longer_waits(call)
        call.started = True
        return call.id

    def _no_longer_waits(self, call: _ProposedCall) -> None:
        lanes = self._waiting.get(call.name, {})
        calls = lanes.get(call.lane, {})
        if calls.get(call.id) is call:
            del calls[call.id]
            if not calls:
                del lanes[call.lane]

    def handled(self, call_id: str, name: str, lane: Lane) -> None:
        """A framework handles a call by itself, or runs its tool later: see `ToolSeen.kind`."""
        call = self._known(call_id, lane)
        if call is not None:
            self._no_longer_waits(call)
            call.started = True
        elif call_id:
            self._handled.add(call_id)
        else:
            self.forced.add(name)
            for waiting in [
                each for calls in self._waiting.get(name, {}).values() for each in calls.values()
            ]:
                self._no_longer_waits(waiting)
                waiting.started = True

    def is_alone(self, call_id: str, lane: Lane) -> bool:
        """Whether a model proposed a call, and no other that has no output yet: none runs beside it."""
        call = self._known(call_id, lane)
        return call is not None and not any(
            each is not call and each.lane is call.lane and not each.answered
            for lanes in self._calls.values()
            for each in lanes.values()
        )

    def failed(self, call_id: str, lane: Lane) -> None:
        """A framework gives the model an error as the call's output."""
        call = self._known(call_id, lane)
        if call is not None:
            call.failed = True

    def has_failed(self, call_id: str, lane: Lane) -> bool:
        """Whether a framework gives the model an error as the call's output."""
        call = self._known(call_id, lane)
        return call is not None and call.failed

    def finished(self, call_id: str, lane: Lane) -> None:
        """A wrapped call has its output."""
        call = self._known(call_id, lane)
        if call is not None:
            call.answered = True

    def unanswered(self) -> Counter[str]:
        """How many calls of each name were proposed, had no crossing, and no request holds their output.

        Not those by which a model answers in a shape: nothing runs.
        """
        left: Counter[str] = Counter()
        for name, lanes in self._waiting.items():
            if name not in self.forced and not name.startswith(_FINAL) and name != f"{_HAND_OFF}agent":
                left[name] = sum(map(len, lanes.values()))
        return +left

    def answered_on_wire(self, output: Output, lane: Lane) -> bool:
        """A request carries a call's output; returns whether the output is new: no event holds it yet."""
        call_id = output.id
        call = self._known(call_id, lane)
        if call is None:
            # Proposed before this run began (in a restored conversation): new once.
            if call_id in self._foreign:
                return False
            self._foreign.add(call_id)
            return True
        if call.answered:
            return False
        call.answered = True
        if not call.started:
            self._no_longer_waits(call)
            if not _hands_off(call.name, output):
                self.unwrapped[call.name] += 1
        return True

    def _known(self, call_id: str, lane: Lane) -> _ProposedCall | None:
        """The call of this id that was proposed in this lane, or in one of its parents; else the newest."""
        calls = self._calls.get(call_id)
        if not calls:
            return None
        own = (calls[each] for each in lane.line() if each in calls)
        return next(own, None) or next(reversed(calls.values()))


def _ends_as(known: str, name: str) -> bool:
    return known.endswith(name) and known[: -len(name)].endswith(("_", ".", "-", "/", ":")) if name else False


def _hands_off(name: str, output: Output) -> bool:
    """Whether a call made another agent go on: nothing ran (openai-agents, LangGraph, AutoGen, ADK).

    The output must say so as well: ``transfer_to_savings`` may be a tool.
    """
    if not name.startswith(_HAND_OFF) or output.is_error:
        return False
    if name == f"{_HAND_OFF}agent":
        return True
    match output.blocks:
        case [{"Json": {"assistant": str(), **more}}]:
            return not more
        case [{"Text": str(text)}]:
            return _HANDED_OFF.match(text) is not None
    return False
