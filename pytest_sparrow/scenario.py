"""Scenarios are runs written by hand, for what is hard to record: a tool fails, the model refuses, a stream breaks off.

A scenario is a sequence of turns, the model's answers. A turn is a text, one of the steps below, or a list of texts
and steps where an answer holds more than one::

    from pytest_sparrow.scenario import breaks_off, calls, fails, says

    REFUND_FAILS = [
        ["Let me see.", calls("refund", order_id="1234", amount=39.0).raises(TimeoutError("the bank is silent"))],
        fails(429, "slow down"),
        "I could not refund it.",
    ]

    @pytest.mark.sparrow(script=REFUND_FAILS)
    def test_the_bank_is_silent(sparrow): ...

Importing this module imports the standard library only: markers are read while tests are collected.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_sparrow.errors import UsageError
from pytest_sparrow.exchange import TransportErrorName
from pytest_sparrow.providers.codec import Failure, Reasoning, Text, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.transcript import Transcript

__all__ = [
    "Called",
    "Step",
    "Turn",
    "breaks_off",
    "calls",
    "checked",
    "disconnects",
    "fails",
    "says",
    "thinks",
    "transcript",
    "uses",
]


_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Called:
    """A call that the model proposes, and what comes of it. Made by `calls`.

    Without `gives`, `raises` or `denied` the agent's own tool runs.
    """

    name: str
    args: Json
    value: Any = field(default=_NOTHING, repr=False)
    error: Exception | None = None
    refusal: str | None = None

    def gives(self, value: Any) -> Called:
        """The wrapped tool does not run, and returns this: a JSON value, restored through the return annotation."""
        return replace(self, value=value, error=None, refusal=None)

    def raises(self, error: Exception | type[Exception]) -> Called:
        """The wrapped tool does not run, and raises this.

        The exception keeps its type if the type is a builtin, or found in the tool's module or its ``raises=``.
        """
        raised = error() if isinstance(error, type) else error
        return replace(self, value=_NOTHING, error=raised, refusal=None)

    def denied(self, text: str = "") -> Called:
        """The agent must not make the call, and sends the model this text instead, or ("") any text."""
        return replace(self, value=_NOTHING, error=None, refusal=text)


Step: TypeAlias = str | Text | Reasoning | Usage | Failure | Called
"""A part of an answer; a str is what the assistant says."""

Turn: TypeAlias = "Step | Sequence[Step | Sequence[Step]]"
"""One answer of the model; `breaks_off` gives two steps, which may stand among others."""


def says(text: str) -> Text:
    """The assistant says this; a plain str means the same."""
    return Text(text)


def thinks(text: str) -> Reasoning:
    """The model reasons; left out where a provider's format doesn't show reasoning."""
    return Reasoning(text)


def calls(tool: str, args: Any = None, /, **named: Any) -> Called:
    """The model proposes a call: ``calls("refund", amount=39.0)``, or ``calls("refund", {"amount": 39.0})``."""
    return Called(tool, named if args is None else args)


def uses(tokens_in: int, tokens_out: int) -> Usage:
    """The answer's usage in tokens; by default an answer has none."""
    return Usage(tokens_in, tokens_out)


def fails(status: int, message: str = "") -> Failure:
    """The provider answers with an HTTP error: ``fails(429, "slow down")``. The SDK's next try takes the next turn.

    Raises:
        UsageError: the status is not from 400 to 599.
    """
    if not 400 <= status <= 599:
        raise UsageError(f"fails() takes an HTTP status from 400 to 599, not {status!r}")
    return Failure(f"HTTP {status}: {message}" if message else f"HTTP {status}")


def disconnects(message: str = "connection refused") -> Failure:
    """Nobody answers: the transport raises a ConnectError."""
    return Failure(f"{TransportErrorName.CONNECT_ERROR}: {message}")


def breaks_off(text: str = "", *, after: int | None = None) -> list[Step]:
    """The connection breaks in the middle of the answer, ``after`` so many words of ``text`` (default: all).

    An agent that doesn't stream gets no word of the answer.
    """
    words = text if after is None else " ".join(text.split()[:after])
    said: list[Step] = [Text(words)] if words else []
    return [
        *said,
        Failure(
            f"{TransportErrorName.REMOTE_PROTOCOL_ERROR}: peer closed connection without sending complete message body"
        ),
    ]


def transcript(run_id: str, *turns: Turn, task: str = "", agent: str = "pytest") -> Transcript:
    """The scenario as a transcript, to be written: ``FsRecorder("runs").save(transcript("bank-silent", …))``.

    Raises:
        UsageError: something in it is no turn.
        NotRecordable: an argument or a value that JSON cannot hold.
    """
    from pytest_sparrow.transcript import RunInputs, Transcript

    events = list(_events(run_id, checked(list(turns), "transcript()"), task, agent))
    return Transcript.new(run_id, RunInputs(task=task, agent=agent), events)


def checked(turns: Any, where: str) -> tuple[tuple[Step, ...], ...]:
    """What a user gave as turns, each as its steps.

    Args:
        turns: a list or tuple of turns.
        where: who says so, for the message.

    Raises:
        UsageError: something in it is no turn; the text names it by its number.
    """
    if not isinstance(turns, list | tuple):
        raise UsageError(f"{where} takes a list of turns, not {turns!r}")
    if not turns:
        raise UsageError(
            f"{where} is empty: a script without a turn answers nothing; leave it out for a golden"
        )
    return tuple([_steps(turn, f"{where}: turn {number}") for number, turn in enumerate(turns, start=1)])


def _steps(turn: Any, where: str) -> tuple[Step, ...]:
    steps = list(_flat(turn))
    for step in steps:
        if not isinstance(step, str | Text | Reasoning | Usage | Failure | Called):
            raise UsageError(
                f"{where} holds {step!r}; a turn is a text, or a list of texts and of what "
                "says, thinks, calls, uses, fails, disconnects and breaks_off give"
            )
    broken = [number for number, step in enumerate(steps) if isinstance(step, Failure)]
    if broken and broken[0] != len(steps) - 1:
        raise UsageError(f"{where}: an answer that fails says nothing after it")
    return tuple([Text(step) if isinstance(step, str) else step for step in steps])


def _flat(turn: Any) -> Iterator[Any]:
    """A list within a turn is spelled out: `breaks_off` gives one."""
    if isinstance(turn, list | tuple):
        for step in turn:
            yield from _flat(step)
    else:
        yield turn


def _events(run_id: str, turns: Sequence[Sequence[Step]], task: str, agent: str) -> Iterator[Event]:
    from pytest_sparrow import events as ev

    yield ev.RunStarted(run=run_id, task=task, agent=agent)
    number = 0
    for turn in turns:
        made: list[tuple[str, Called]] = []
        for step in turn:
            if isinstance(step, Called):
                number += 1
                made.append((f"call_{number}", step))
        yield from _answer(run_id, turn, made)
        for call_id, call in made:
            yield from _outcome(run_id, call_id, call)
    outcome = ev.Outcome(status="completed", diffs=[], cost_usd=0.0, tokens=ev.Tokens(input=0, output=0))
    yield ev.RunFinished(run=run_id, outcome=outcome)


def _answer(run: str, turn: Sequence[Step], made: Sequence[tuple[str, Called]]) -> Iterator[Event]:
    """What the model says; a Message ends it where no call and no failure does."""
    from pytest_sparrow import events as ev

    ids = iter(made)
    for step in turn:
        match step:
            case Text(text):
                yield ev.ThinkingDelta(run=run, text=text)
            case Reasoning(text):
                yield ev.ReasoningDelta(run=run, text=text)
            case Called(name, args):
                call_id, _ = next(ids)
                plain = _plain(args, f"calls({name!r})")
                yield ev.ToolUseProposed(run=run, id=call_id, name=name, args=plain, risk="Mutating")
    texts = [step.text for step in turn if isinstance(step, Text)]
    for step in turn:
        if isinstance(step, Usage):
            yield ev.TokenUsage(run=run, input=step.input, output=step.output)
        elif isinstance(step, Failure):
            yield ev.Error(run=run, message=step.message)
            return
    if not made:
        yield ev.Message(run=run, role="assistant", text="".join(texts))


def _outcome(run: str, call_id: str, call: Called) -> Iterator[Event]:
    from pytest_sparrow import events as ev
    from pytest_sparrow.providers.reading import blocks_of_answer

    if call.refusal is not None:
        yield ev.ApprovalResolved(run=run, id=call_id, decision="Deny")
        if call.refusal:
            yield ev.ToolOutput(run=run, id=call_id, blocks=[{"Text": call.refusal}], is_error=True)
        return
    where = f"calls({call.name!r})"
    yield ev.ToolUseStarted(run=run, id=call_id, name=call.name, args=_plain(call.args, where))
    if call.error is not None:
        text = f"{type(call.error).__qualname__}: {call.error}"
        yield ev.ToolOutput(run=run, id=call_id, blocks=[{"Text": text}], is_error=True)
    elif call.value is not _NOTHING:
        blocks, _ = blocks_of_answer({"returned": _plain(call.value, f"{where}.gives()")})
        yield ev.ToolOutput(run=run, id=call_id, blocks=blocks)


def _plain(value: Any, where: str) -> Json:
    from pytest_sparrow.values.to_json import jsonable

    return jsonable(value, where=where, hint="a scenario holds what JSON can hold")
