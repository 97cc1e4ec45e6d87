"""Ids for calls to which a provider gave none, the same in an answer and in the requests that repeat it."""

from __future__ import annotations

from collections import deque

__all__ = ["CallIds", "OpenCalls"]


class CallIds:
    """Numbers calls without an id: the n-th of a conversation is ``call-n``.

    Args:
        count: how many of them came before.
        prefix: what stands before the number.
    """

    def __init__(self, count: int = 0, prefix: str = "call") -> None:
        self._count = count
        self._prefix = prefix

    def fill(self, own: str) -> str:
        """The call's own id, or the next one of ours."""
        if own:
            return own
        self._count += 1
        return f"{self._prefix}-{self._count}"


class OpenCalls:
    """The calls of one request's conversation, to find which of them an output answers."""

    def __init__(self) -> None:
        self._by_wire: dict[str, str] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._answered: set[str] = set()

    def proposed(self, call_id: str, *, wire: str, name: str) -> None:
        """A call stands in the conversation.

        Args:
            call_id: the id that events have.
            wire: the id that this request has for it, or "".
            name: the function's name, or "".
        """
        if wire:
            self._by_wire[wire] = call_id
        for known in {name, ""}:
            self._waiting.setdefault(known, deque()).append(call_id)
        self._answered.discard(call_id)  # some hosts count from 0 each turn

    def answered(self, *, wire: str, name: str) -> str:
        """The id of the call that an output answers: by this request's id, else the oldest of its name; or "".

        An output that names none answers the oldest of all.
        """
        call_id = self._by_wire.get(wire, "") if wire else ""
        waiting = self._waiting.get(name, deque())
        while not call_id and waiting:
            oldest = waiting.popleft()
            call_id = "" if oldest in self._answered else oldest
        self._answered.add(call_id)
        return call_id
