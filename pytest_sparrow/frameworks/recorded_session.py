"""A session with the world that is recorded; see `pytest_sparrow.frameworks.sessions`."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.frameworks.sessions import MESSAGE, REPLIED, answered_by, messages_of, stream_of
from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.run.answering import is_answering

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.sessions import Key, Pipe
    from pytest_sparrow.run.crossing import Crossing

_CLOSED = TransportFailure(type=TransportErrorName.REMOTE_PROTOCOL_ERROR, message="the pipe was closed")


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
        events = [*self.events, *((MESSAGE, message) for message in answer)]
        return stream_of(event_text(data, name) for name, data in events)

    def peek(self) -> dict[str, Json] | None:
        """What has come so far."""
        return self.answered() if self.events else None

    def broken_off(self) -> None:
        """The agent no longer waits."""
        self.crossing.settle(self.peek(), complete=False)


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

    def sending(self, message: Json, crossing: Crossing | None = None) -> Sending:
        """Note a message of the agent's: ``with session.sending(message):`` around the sending.

        Args:
            message: the message.
            crossing: the message's, where it has begun.
        """
        if is_answering():  # a tool that runs asks the server: the tool is recorded as a whole
            return Sending(None)
        dialect = self._pipe.dialect
        self.withdraw(dialect.withdraws(message))
        crossing = crossing or self._pipe.ask(message)
        key = dialect.question(message)
        if key is None or key in self._waiting:
            return Sending(crossing, then=functools.partial(self.replied, dialect.reply(message)))
        waiting = self._waiting[key] = _Waiting(crossing)
        crossing.flush, crossing.peek = waiting.broken_off, waiting.peek
        return Sending(crossing)

    def replied(self, question: Key | None) -> None:
        """The agent has answered a question of the other side's."""
        waiting = self._questions.pop(question, None) if question is not None else None
        if waiting is not None:
            waiting.events.append((REPLIED, {"to": question}))

    def received(self, message: Json) -> Json | None:
        """Note a message that has come; returns the answer that the agent gets in its place, or None."""
        key = self._pipe.dialect.answer(message)
        if key is not None and key in self._waiting:
            waiting = self._waiting.pop(key)
            self._answers += 1
            crossing = waiting.crossing
            crossing.settle(waiting.answered(message))
            if crossing.checked:
                return messages_of(crossing.replayed or {})[-1]
        elif self._waiting:
            # Which question of several it belongs to is not known: to the newest.
            waiting = next(reversed(self._waiting.values()))
            waiting.events.append((MESSAGE, message))
            question = self._pipe.dialect.asks(message)
            if question is not None:
                self._questions[question] = waiting
                waiting.crossing.catch_up()
        else:
            self._unasked.append((self._answers, message))
        return None

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
            heard = stream_of(event_text(message, str(after)) for after, message in self._unasked)
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
