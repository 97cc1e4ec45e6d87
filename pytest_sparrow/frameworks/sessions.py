"""Records and replays sessions in which messages of JSON go both ways over a pipe, such as MCP's over stdio.

Each message of the agent stands in the golden as a request by POST to a URL of the pipe, and what came back as the
request's answer, as they would stand there over MCP's streamable HTTP: one message as JSON, several as a stream of
events. So the codecs, the comparison and the reports read a session over a pipe as they read one over HTTP.
"""

from __future__ import annotations

import contextlib
import functools
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable, ReplayDivergence
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.providers.reading import stream_events
from pytest_sparrow.run.cancelling import wait_for_cancel
from pytest_sparrow.run.context import answering, is_answering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
    from types import TracebackType

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun

Key = str | int
"""What connects a question with its answer, within one session and one direction."""

_CLOSED = TransportFailure(type=TransportErrorName.REMOTE_PROTOCOL_ERROR, message="the pipe was closed")


class Dialect(ABC):
    """How the messages of a protocol belong together."""

    @abstractmethod
    def question(self, message: Json) -> Key | None:
        """The key of a message of the agent's that the other side answers; None: the message is no question."""

    @abstractmethod
    def answer(self, message: Json) -> Key | None:
        """The key of the agent's question that a message answers; None: the message is no answer."""

    @abstractmethod
    def asks(self, message: Json) -> Key | None:
        """The key of a message of the other side's that the agent answers; None: the message is no question."""

    @abstractmethod
    def reply(self, message: Json) -> Key | None:
        """The key of the other side's question that the agent's message answers; None: the message is no answer."""

    def address(self, message: Json) -> str:  # noqa: ARG002 - not every protocol can
        """What the agent's message is about, as the end of a URL."""
        return ""

    def withdraws(self, message: Json) -> Key | None:  # noqa: ARG002 - not every protocol can
        """The key of the agent's own question whose answer a message no longer wants; None: the message wants it."""
        return None

    def failing(self, key: Key, message: str) -> Json:  # noqa: ARG002 - not every protocol can
        """An answer which says that there is no answer; None: the protocol has none."""
        return None


@dataclass(slots=True)
class _Waiting:
    """A question of the agent's that is recorded.

    Attributes:
        crossing: to be settled.
        events: what has come and gone since, without the answer: name and JSON of each.
    """

    crossing: Crossing
    events: list[tuple[str, Json]] = field(default_factory=list)

    def answered(self, *answer: Json) -> dict[str, Json]:
        """All that has come."""
        if not self.events:
            return answered_by(answer)
        events = [*self.events, *((_MESSAGE, message) for message in answer)]
        return _stream(event_text(data, name) for name, data in events)

    def peek(self) -> dict[str, Json] | None:
        """What has come so far."""
        return self.answered() if self.events else None

    def broken_off(self) -> None:
        """The agent no longer waits."""
        self.crossing.settle(self.peek(), complete=False)


_MESSAGE, _REPLIED = "message", "replied"
"""Names of a stream's events: a message of the other side, and that the agent has sent a message meanwhile."""


def answered_by(messages: Sequence[Json]) -> dict[str, Json]:
    """The answered half that holds messages, the answer last."""
    if len(messages) == 1:
        return {"status": 200, "headers": {}, "body": {"json": messages[0]}}
    return _stream(event_text(message, _MESSAGE) for message in messages)


def _stream(events: Iterable[str]) -> dict[str, Json]:
    return {"status": 200, "headers": {}, "body": {"sse": [*events]}}


def messages_of(answered: dict[str, Json]) -> list[Json]:
    """The messages of an answered half.

    Raises:
        ValueError: it holds something else than messages.
    """
    return [message for name, message in _events_of(answered) if name != _REPLIED]


def _events_of(answered: dict[str, Json]) -> list[tuple[str, Json]]:
    events = stream_events(answered)
    if events is not None:
        return [(event.event, json.loads(event.data)) for event in events]
    body = answered.get("body")
    if body is None:
        return []
    if not isinstance(body, dict) or "json" not in body:
        raise ValueError("the body holds no JSON")
    return [(_MESSAGE, body["json"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """The pipe of a session.

    Attributes:
        run: the run that records or replays the session.
        url: names the other side.
        dialect: the protocol.
    """

    run: OpenRun
    url: str
    dialect: Dialect

    def ask(self, message: Json, *, method: str = "POST") -> Crossing:
        """Begin the crossing of a message, in the strand that sends it.

        Raises:
            ReplayDivergence: in a replay, the golden holds no answer.
            NotRecordable: the message holds a value that JSON cannot hold.
        """
        asked: dict[str, Json] = {"method": method, "url": self.url, "headers": {}}
        if method == "POST":
            asked["url"] += self.dialect.address(message)
        if message is not None:
            asked["body"] = {"json": message}
        try:
            return self.run.ask("http", asked)
        except NotRecordable as error:
            self.run.unrecordable(error)
            raise

    def hear(self) -> Crossing | None:
        """Begin the crossing of what comes unasked; None: in a replay, the golden holds no such."""
        try:
            return self.ask(None, method="GET")
        except ReplayDivergence:
            return None

    def refused(self, why: str) -> Exception:
        """Add to the violations that a message gets no answer; returns what to raise."""
        text = f"{self.url}: {why}"
        return self.run.refuse("pipe", text=text, hint="record the test again: pytest --sparrow-record")


class RecordedSession:
    """A session with the world: notes what goes either way.

    The agent's messages are noted in the strands that send them, the others in whichever strand reads. What comes while
    no question of the agent's is open stands in one exchange of its own, with the number of answers before it.
    """

    def __init__(self, pipe: Pipe, *, hears: bool = True) -> None:
        self._pipe = pipe
        self._waiting: dict[Key, _Waiting] = {}
        self._questions: dict[Key, _Waiting] = {}
        self._answers = 0
        self._unasked: list[tuple[int, Json]] = []
        self._hearing = pipe.hear() if hears else None
        if self._hearing is not None:
            self._hearing.flush = self._heard

    @property
    def questions(self) -> Collection[Key]:
        """The other side's questions that belong to one of the agent's, and have no answer yet."""
        return self._questions

    def sending(self, message: Json) -> Sending:
        """Note a message of the agent's: ``with session.sending(message):`` around the sending."""
        if is_answering():  # a tool that runs asks the server: the tool is recorded as a whole
            return Sending(None)
        dialect = self._pipe.dialect
        self.withdraw(dialect.withdraws(message))
        crossing = self._pipe.ask(message)
        key = dialect.question(message)
        if key is None or key in self._waiting:
            return Sending(crossing, then=functools.partial(self._replied, dialect.reply(message)))
        waiting = self._waiting[key] = _Waiting(crossing)
        crossing.flush, crossing.peek = waiting.broken_off, waiting.peek
        return Sending(crossing)

    def _replied(self, question: Key | None) -> None:
        waiting = self._questions.pop(question, None) if question is not None else None
        if waiting is not None:
            waiting.events.append((_REPLIED, {"to": question}))

    def received(self, message: Json) -> None:
        """Note a message that has come."""
        key = self._pipe.dialect.answer(message)
        if key is not None and key in self._waiting:
            waiting = self._waiting.pop(key)
            self._answers += 1
            waiting.crossing.settle(waiting.answered(message))
        elif self._waiting:
            # Which question of several it belongs to is not known: to the newest.
            waiting = next(reversed(self._waiting.values()))
            waiting.events.append((_MESSAGE, message))
            question = self._pipe.dialect.asks(message)
            if question is not None:
                self._questions[question] = waiting
                waiting.crossing.catch_up()
        else:
            self._unasked.append((self._answers, message))

    def withdraw(self, key: Key | None) -> None:
        """The agent no longer waits for the answer to its question."""
        waiting = self._waiting.pop(key, None) if key is not None else None
        if waiting is not None:
            waiting.broken_off()

    def ended(self, error: TransportFailure = _CLOSED) -> None:
        """The other side has closed the pipe: what waits gets no answer."""
        for waiting in self._waiting.values():
            waiting.crossing.settle({**(waiting.peek() or {}), "error": error.to_json()})
        self._waiting.clear()

    def broke(self, message: Json) -> None:
        """The other side has ended the session with an error, and no question was open.

        Args:
            message: what stands for the error in a golden, and is handed over in a replay.
        """
        self._unasked.append((self._answers, message))

    @property
    def waits(self) -> bool:
        """Whether a question of the agent's has no answer yet."""
        return bool(self._waiting)

    def left(self) -> None:
        """The agent has closed the pipe."""
        for waiting in self._waiting.values():
            waiting.broken_off()
        self._waiting.clear()
        self._heard()

    def _heard(self) -> None:
        if self._hearing is not None:
            heard = _stream(event_text(message, str(after)) for after, message in self._unasked)
            self._hearing.settle(heard if self._unasked else None, complete=False)


class Sending:
    """One message on its way; an error that leaves the ``with`` block settles its crossing.

    Args:
        crossing: the message's; None: the message is not recorded.
        then: called once a message is sent that nobody answers; None: somebody will answer the message.
    """

    __slots__ = ("_crossing", "_then")

    def __init__(self, crossing: Crossing | None, then: Callable[[], None] | None = None) -> None:
        self._crossing = crossing
        self._then = then

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crossing is None:
            return
        if error is not None:
            self._crossing.settle(None, complete=False)
        elif self._then is not None:
            self._crossing.settle({"status": 202, "headers": {}})
            self._then()


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

    def send(self, message: Json) -> None:
        """Answer a message of the agent's; the answer comes later.

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
            return  # nobody waits for an answer; it is a violation already
        finally:
            if replied in self._replied:
                self._replied.pop(replied).set()
        if key is None or key in self._served:
            crossing.settle(crossing.replayed)
            return
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

    async def begin(self) -> None:
        """Hand over what came before the agent asked for anything, and know what came unasked later."""
        hearing = self._pipe.hear()
        if hearing is None:
            return
        hearing.settle(hearing.replayed or None, complete=False)
        with contextlib.suppress(ValueError):
            self._unasked = [(int(name), message) for name, message in _events_of(hearing.replayed or {})]
        await self._hand_over_unasked()

    async def _hand_over_unasked(self) -> None:
        while self._unasked and self._unasked[0][0] <= self._answers:
            await self._deliver(self._unasked.pop(0)[1])

    def _events(self, crossing: Crossing) -> list[tuple[str, Json]]:
        if crossing.replayed is None:
            # A run that extends its golden: the program that would answer was never started.
            raise self._pipe.refused("the recorded answers end here, and no program was started")
        return _events_of(crossing.replayed)

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
        if name == _REPLIED:
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
        return _stream(event_text(message, name) for name, message in self.handed_over)

    def withdraw(self) -> None:
        """The agent no longer waits."""
        self.withdrawn = True
        self.crossing.settle(self.crossing.replayed or None, complete=False)
