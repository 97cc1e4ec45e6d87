"""Records and replays sessions in which messages of JSON go both ways over a pipe, such as MCP's over stdio.

Each message of the agent stands in the golden as a request by POST to a URL of the pipe, and what came back as the
request's answer, as they would stand there over MCP's streamable HTTP: one message as JSON, several as a stream of
events. So the codecs, the comparison and the reports read a session over a pipe as they read one over HTTP.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable, ReplayDivergence
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.providers.reading import stream_events
from pytest_sparrow.run.context import answering, is_answering
from pytest_sparrow.run.crossing import wait_for_cancel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
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
        """The key of a message that the other side answers; None: the message is no question."""

    @abstractmethod
    def answer(self, message: Json) -> Key | None:
        """The key of the question that a message answers; None: the message is no answer."""

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
        messages: what has come since, without the answer.
    """

    crossing: Crossing
    messages: list[Json] = field(default_factory=list)

    def broken_off(self) -> None:
        """The agent no longer waits."""
        self.crossing.settle(answered_by(self.messages) if self.messages else None, complete=False)


def answered_by(messages: Sequence[Json]) -> dict[str, Json]:
    """The answered half that holds messages, the answer last."""
    if len(messages) == 1:
        return {"status": 200, "headers": {}, "body": {"json": messages[0]}}
    texts = [event_text(message, "message") for message in messages]
    return {"status": 200, "headers": {}, "body": {"sse": texts}}


def messages_of(answered: dict[str, Json]) -> list[Json]:
    """The messages of an answered half.

    Raises:
        ValueError: it holds something else than messages.
    """
    events = stream_events(answered)
    if events is not None:
        return [json.loads(event.data) for event in events]
    body = answered.get("body")
    if body is None:
        return []
    if not isinstance(body, dict) or "json" not in body:
        raise ValueError("the body holds no JSON")
    return [body["json"]]


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
        asked: dict[str, Json] = {"method": method, "url": self.url, "headers": {}, "body": {"json": message}}
        try:
            return self.run.ask("http", asked)
        except NotRecordable as error:
            self.run.unrecordable(error)
            raise

    def refused(self, why: str) -> Exception:
        """Add to the violations that a message gets no answer; returns what to raise."""
        text = f"{self.url}: {why}"
        return self.run.refuse("pipe", text=text, hint="record the test again: pytest --sparrow-record")


class RecordedSession:
    """A session with the world: notes what goes either way.

    The agent's messages are noted in the strands that send them, the others in whichever strand reads.

    Attributes:
        questions: the other side's, that belong to a question of the agent's and have no answer yet.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._waiting: dict[Key, _Waiting] = {}
        self.questions: set[Key] = set()

    def sending(self, message: Json) -> Sending:
        """Note a message of the agent's: ``with session.sending(message):`` around the sending."""
        if is_answering():  # a tool that runs asks the server: the tool is recorded as a whole
            return Sending(None)
        dialect = self._pipe.dialect
        self.withdraw(dialect.withdraws(message))
        crossing = self._pipe.ask(message)
        key = dialect.question(message)
        if key is None:
            self.questions.discard(dialect.answer(message) or 0)
            return Sending(crossing, at_once=True)
        waiting = self._waiting[key] = _Waiting(crossing)
        crossing.flush = waiting.broken_off
        return Sending(crossing)

    def received(self, message: Json) -> None:
        """Note a message that has come."""
        key = self._pipe.dialect.answer(message)
        if key is not None:
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                waiting.crossing.settle(answered_by([*waiting.messages, message]))
        elif self._waiting:
            # Which question of several it belongs to is not known: to the newest.
            next(reversed(self._waiting.values())).messages.append(message)
            question = self._pipe.dialect.question(message)
            if question is not None:
                self.questions.add(question)

    def withdraw(self, key: Key | None) -> None:
        """The agent no longer waits for the answer to its question."""
        waiting = self._waiting.pop(key, None) if key is not None else None
        if waiting is not None:
            waiting.broken_off()

    def ended(self) -> None:
        """The other side has closed the pipe: what waits gets no answer."""
        for waiting in self._waiting.values():
            answered = {**(answered_by(waiting.messages) if waiting.messages else {}), "error": _CLOSED.to_json()}
            waiting.crossing.settle(answered)
        self._waiting.clear()

    def left(self) -> None:
        """The agent has closed the pipe."""
        for waiting in self._waiting.values():
            waiting.broken_off()
        self._waiting.clear()


class Sending:
    """One message on its way; an error that leaves the ``with`` block settles its crossing.

    Args:
        crossing: the message's; None: the message is not recorded.
        at_once: whether nobody answers the message.
    """

    __slots__ = ("_at_once", "_crossing")

    def __init__(self, crossing: Crossing | None, *, at_once: bool = False) -> None:
        self._crossing = crossing
        self._at_once = at_once

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._crossing is None:
            return
        if error is not None:
            self._crossing.settle(None, complete=False)
        elif self._at_once:
            self._crossing.settle({"status": 202, "headers": {}})


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
        end: Callable[[], None],
    ) -> None:
        self._pipe = pipe
        self._start = start
        self._deliver = deliver
        self._end = end
        self._unanswered: dict[Key, Any] = {}  # questions of the other side: an event for each
        self._served: dict[Key, _Served] = {}

    @property
    def questions(self) -> Collection[Key]:
        """The other side's questions that have no answer yet."""
        return self._unanswered

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
        answers, key = dialect.answer(message), dialect.question(message)
        try:
            if is_answering():
                raise self._pipe.refused("a tool that runs asks it, and no program was started")
            crossing = self._pipe.ask(message)
        except ReplayDivergence:
            if key is not None:
                raise
            return  # nobody waits for an answer; it is a violation already
        finally:
            if answers in self._unanswered:
                self._unanswered.pop(answers).set()
        if key is None:
            crossing.settle(crossing.replayed)
            return
        try:
            messages = self._messages_of(crossing)
        except ValueError as error:
            crossing.settle(None, complete=False)
            raise self._pipe.run.refuse("unservable", request=f"POST {self._pipe.url}", why=str(error)) from error
        served = self._served[key] = _Served(crossing)
        crossing.flush = served.withdraw
        with answering():  # its task is none of the agent's
            self._start(self._serve, key, served, messages)

    def _messages_of(self, crossing: Crossing) -> list[Json]:
        if crossing.replayed is None:
            # A run that extends its golden: the program that would answer was never started.
            raise self._pipe.refused("the recorded answers end here, and no program was started")
        return messages_of(crossing.replayed)

    async def _serve(self, key: Key, served: _Served, messages: list[Json]) -> None:
        """Hand the recorded messages to the agent, the answer last."""
        crossing, dialect = served.crossing, self._pipe.dialect
        *before, last = messages or [None]
        answer = last if last is not None and dialect.answer(last) is not None else None
        for message in before if answer is not None or last is None else messages:
            await self._hand_over(message)
        if crossing.cancellation_wait is not None:
            await wait_for_cancel(crossing.cancellation_wait)
            if not served.withdrawn:
                error = self._pipe.run.refuse("read-on", request=f"POST {self._pipe.url}")
                served.settle(whole=False)
                await self._deliver(dialect.failing(key, str(error)))
            return
        if crossing.arrival is not None:
            await crossing.arrival.wait()
        if served.withdrawn:
            return
        self._served.pop(key, None)
        served.settle(whole=True)
        if answer is None:
            self._end()
        else:
            await self._deliver(answer)

    async def _hand_over(self, message: Json) -> None:
        """Hand over a message; wait for the agent's answer, if it is a question."""
        question = self._pipe.dialect.question(message)
        if question is None:
            await self._deliver(message)
            return
        import anyio

        answered = self._unanswered[question] = anyio.Event()
        await self._deliver(message)
        await answered.wait()

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
    """

    crossing: Crossing
    withdrawn: bool = False

    def withdraw(self) -> None:
        """The agent no longer waits."""
        self.withdrawn = True
        self.settle(whole=False)

    def settle(self, *, whole: bool) -> None:
        """The agent has its answer, or no longer waits for one."""
        self.crossing.settle(self.crossing.replayed or None, complete=whole)
