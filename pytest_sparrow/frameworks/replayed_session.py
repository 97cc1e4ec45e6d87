"""A session with nobody, which is replayed; see `pytest_sparrow.frameworks.sessions`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.frameworks.sessions import REPLIED, events_of, stream_of
from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.run.answering import answering, is_answering
from pytest_sparrow.run.cancelling import wait_for_cancel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.sessions import Key, Pipe
    from pytest_sparrow.run.crossing import Crossing


class ReplayedSession:
    """A session with nobody: answers the agent's messages as the golden has it.

    Args:
        pipe: the pipe.
        start: starts a task for a coroutine function and its arguments, which ends with the session.
        deliver: hands a message to the agent.
        end: closes the pipe, as the other side would.
    """

    def __init__(
        self,
        pipe: Pipe,
        start: Callable[..., object],
        deliver: Callable[[Json], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._pipe = pipe
        self._start = start
        self._deliver = deliver
        self._end = end
        self._is_over = False
        self._replied: dict[Key, Any] = {}  # questions of the other side: an event for each
        self._served: dict[Key, _Served] = {}
        self._answers = 0
        self._unasked: list[tuple[int, Json]] = []

    @property
    def questions(self) -> Collection[Key]:
        """The other side's questions that have no answer yet."""
        return self._replied

    def withdraw(self, key: Key | None) -> bool:
        """The agent no longer waits for the answer to its question; returns whether it waited for one."""
        served = self._served.pop(key, None) if key is not None else None
        if served is not None:
            served.withdraw()
        return served is not None

    def send(self, message: Json, *, runs: bool = False) -> Crossing | None:
        """Answer a message of the agent's; the answer comes later.

        Args:
            message: the message.
            runs: whether the other side is here, and may answer.

        Returns:
            The message's crossing where the other side must answer; else None.

        Raises:
            ReplayDivergence: the golden holds no answer to this question.
        """
        dialect = self._pipe.dialect
        self.withdraw(dialect.withdraws(message))
        replied, key = dialect.reply(message), dialect.question(message)
        try:
            if is_answering():
                raise self._pipe.refused("a tool that runs asks it, and no program was started")
            crossing = self._pipe.ask(message)
        except ReplayDivergence:
            if key is not None:
                raise
            return None  # nobody waits for an answer; it is a violation already
        finally:
            if replied in self._replied:
                self._replied.pop(replied).set()
        if key is None or key in self._served:
            crossing.settle(crossing.replayed)
            return None
        if runs and (crossing.replayed is None or crossing.checked):
            return crossing
        served = self._served[key] = _Served(crossing)
        crossing.flush, crossing.peek = served.withdraw, served.peek
        try:
            events = self._events(crossing)
        except ValueError as error:
            served.withdraw()
            request = f"POST {self._pipe.url}"
            raise self._pipe.run.refuse("unservable", request=request, why=str(error)) from error
        with answering():  # its task is none of the agent's
            self._start(self._serve, key, served, events)
        return None

    async def begin(self) -> None:
        """Hand over what came before the agent asked for anything, and know what came unasked later."""
        hearing = self._pipe.hear()
        if hearing is None:
            return
        hearing.settle(hearing.replayed or None, complete=False)
        with contextlib.suppress(ValueError):
            self._unasked = [(int(name), message) for name, message in events_of(hearing.replayed or {})]
        await self._hand_over_unasked()

    async def _hand_over_unasked(self) -> None:
        while self._unasked and self._unasked[0][0] <= self._answers:
            await self._deliver(self._unasked.pop(0)[1])

    def _events(self, crossing: Crossing) -> list[tuple[str, Json]]:
        if crossing.replayed is None:
            # A run that extends its golden: the program that would answer was never started.
            raise self._pipe.refused("the recorded answers end here, and no program was started")
        return events_of(crossing.replayed)

    async def _serve(self, key: Key, served: _Served, events: list[tuple[str, Json]]) -> None:
        """Hand the recorded messages to the agent, the answer last."""
        crossing, dialect = served.crossing, self._pipe.dialect
        answer = events.pop()[1] if events and dialect.answer(events[-1][1]) == key else None
        for name, message in events:
            await self._hand_over(name, message, served)
        if crossing.cancellation_wait is not None:
            await wait_for_cancel(crossing.cancellation_wait)
            if not served.withdrawn:
                error = self._pipe.run.refuse("read-on", request=f"POST {self._pipe.url}")
                served.withdraw()
                failing = dialect.failing(key, str(error))
                await (self._end() if failing is None else self._deliver(failing))
            return
        if crossing.arrival is not None:
            await crossing.arrival.wait()
        if served.withdrawn:
            return
        self._served.pop(key, None)
        crossing.settle(crossing.replayed)
        if answer is None:
            await self._end()
            return
        self._answers += 1
        await self._deliver(answer)
        await self._hand_over_unasked()
        if self._is_over and not self._served:
            await self._end()

    async def input_ended(self) -> None:
        """The agent sends nothing more: the other side ends the session once all is answered."""
        self._is_over = True
        if not self._served:
            await self._end()

    async def _hand_over(self, name: str, message: Json, served: _Served) -> None:
        """Hand over a message, or wait until the agent has sent what it sent there."""
        if name == REPLIED:
            if message["to"] in self._replied:
                await self._replied[message["to"]].wait()
            return
        served.handed_over.append((name, message))
        question = self._pipe.dialect.asks(message)
        if question is not None:
            import anyio

            self._replied[question] = anyio.Event()
            served.crossing.catch_up()
        await self._deliver(message)

    def left(self) -> None:
        """The agent has closed the pipe."""
        for served in self._served.values():
            served.withdraw()
        self._served.clear()


@dataclass(slots=True)
class _Served:
    """A question that is being answered.

    Attributes:
        crossing: the question's.
        withdrawn: whether the agent no longer waits.
        handed_over: what the agent has got so far.
    """

    crossing: Crossing
    withdrawn: bool = False
    handed_over: list[tuple[str, Json]] = field(default_factory=list)

    def peek(self) -> dict[str, Json] | None:
        """What the agent has got so far."""
        return stream_of(event_text(message, name) for name, message in self.handed_over)

    def withdraw(self) -> None:
        """The agent no longer waits."""
        self.withdrawn = True
        self.crossing.settle(self.crossing.replayed or None, complete=False)
