"""Defines the object that a test gets from the fixture ``sparrow``, and compares tool calls for ``sparrow.expect``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_sparrow.boundaries.tools.wrappers import call
from pytest_sparrow.errors import UsageError
from pytest_sparrow.events import Event, Message, ThinkingDelta, ToolUseProposed, ToolUseStarted
from pytest_sparrow.run.context import current_run
from pytest_sparrow.run.whatif.faults import fault_of
from pytest_sparrow.run.whatif.fork import At, fork_of

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.plugin.window import Window
    from pytest_sparrow.run.whatif.faults import ReplayerOf
    from pytest_sparrow.scenario import Turn
    from pytest_sparrow.settings import Mode
    from pytest_sparrow.transcript import Transcript

__all__ = ["MODES", "Expected", "Sparrow", "ToolCall", "check_calls"]

Further = Callable[[str, str], AbstractContextManager["Sparrow"]]


class Sparrow:
    """This test's run; the fixture ``sparrow`` makes the object."""

    def __init__(
        self,
        window: Window,
        mode: Mode,
        golden: Transcript | None,
        further: Further,
        *,
        what_if: bool,
    ) -> None:
        self._window = window
        self._run = window.run
        self._mode = mode
        self._golden = golden
        self._further = further
        self._what_if = what_if

    @property
    def run_id(self) -> str:
        """The run's id: the name of the golden's folder."""
        return self._run.run_id

    @property
    def mode(self) -> str:
        """The mode in force for this test, like "replay"."""
        return self._mode.value

    @property
    def golden(self) -> Transcript | None:
        """The golden that is replayed; None in a recording, and where sparrow is off."""
        return self._golden

    @property
    def events(self) -> Sequence[Event]:
        """The events so far, oldest first, as the agent saw them."""
        return tuple(self._run.events)

    @property
    def text(self) -> str:
        """The assistant's last answer; "" before the first."""
        for event in reversed(self._run.events):
            if isinstance(event, (Message, ThinkingDelta)):
                return event.text
        return ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The agent's calls of wrapped tools, oldest first, without the calls that the provider ran itself."""
        hosted = self._run.hosted
        return [
            ToolCall(event.name, event.args)
            for event in self._run.events
            if isinstance(event, ToolUseStarted)
            and event.name is not None
            and (event.id, event.name) not in hosted
        ]

    @property
    def proposals(self) -> list[ToolCall]:
        """The calls that the model asked for, oldest first, with the calls that the provider ran itself."""
        return [
            ToolCall(event.name, event.args)
            for event in self._run.events
            if isinstance(event, ToolUseProposed)
        ]

    def record(self, event: Event) -> None:
        """Add an event of your own to the run; the event is compared like any other.

        Raises:
            UsageError: the value is no event, or belongs to another run.
            NotRecordable: the event holds a value that JSON cannot.
        """
        if not hasattr(event, "to_json"):
            raise UsageError(
                f"sparrow.record takes an event, like pytest_sparrow.Message(run=sparrow.run_id, …), not {event!r}"
            )
        run = getattr(event, "run", None)
        if run is not None and run != self.run_id:
            raise UsageError(
                f"the event belongs to run {run!r}, this is {self.run_id!r}: make it with run=sparrow.run_id"
            )
        self._run.record(event)

    def tool(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        risk: str | None = None,
        returns: Any = None,
        raises: type[Exception] | Iterable[type[Exception]] = (),
        ignore: str | Iterable[str] = (),
        policy: str | None = None,
    ) -> Any:
        """Wrap a hand-written tool, so that a replay answers it instead of running it.

        Args:
            fn: a function, method, partial or callable, or its dotted name; left out for use as a decorator.
            name: the name by which the model knows the tool; default: the function's.
            risk: ReadOnly, Mutating (the default), Exec, Destructive or Network.
            returns: the type to restore answers to, where the return annotation does not give the type.
            raises: exception types that may be raised again in a replay, besides builtins and the tool's module's.
            ignore: parameters to leave out of the recorded arguments.
            policy: what becomes of a call in a replay: a `pytest_sparrow.settings.Policy`, or its value as text; by
                default the recorded answer is given.

        Returns:
            The wrapper. Until the run ends, calls by any other reference to the function cross, too.

        Raises:
            UsageError: a dotted name leads nowhere, a risk or policy is unknown, or a name is taken.
        """
        return self._window.tools.tool(
            fn, name=name, risk=risk, returns=returns, raises=raises, ignore=ignore, policy=policy
        )

    def tools(self, collection: Any) -> Any:
        """Wrap a mapping of names to functions, or a list of functions, in place until the run ends.

        Returns:
            The collection, or a wrapped copy where the collection cannot be changed.
        """
        return self._window.tools.tools(collection)

    def call(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call anything else whose answer must come from the recording: ``sparrow.call("geo", locate, "Berlin")``.

        The call makes an exchange and no event, and returns a coroutine where ``fn`` is async.

        Raises:
            ReplayDivergence: the golden has no answer to this call.
            NotRecordable: JSON cannot hold an argument or the result.
        """
        return call(current_run() or self._run, name, fn, *args, **kwargs)

    def fork(
        self,
        at: At,
        replace: Mapping[str, Any] | None = None,
        *,
        raises: Exception | type[Exception] | None = None,
        live: bool = False,
    ) -> None:
        """Replay up to one call, give the call another answer, and go on from there; say so before the agent runs.

        Up to the fork the run is compared with the golden; after the fork only the test's own asserts judge. No golden
        is written: an update runs without the fork. A fork that is never reached fails the test.

        Args:
            at: a tool's name (the first call), ``("refund", 2)`` for the second call, the number of an HTTP request of
                the run, from 1 (a model's turn), or a pattern of host and path: ``"*/v1/messages"``.
            replace: the answer as ``exchanges.jsonl`` holds it: ``{"returned": …}`` or ``{"yielded": […]}`` for a
                tool; for HTTP ``{"body": {"json": …}}``, ``{"body": {"sse": […]}}``, ``{"status": 500}``.
            raises: what the tool raises instead.
            live: open the world from there; else the golden's answers go on as far as they fit, and a call without an
                answer is a divergence.

        Raises:
            UsageError: this run does not replay, has begun or is forked already, or the fork makes no sense.
        """
        said = f"sparrow.fork(at={at!r})"
        if not self._run.replaying:
            raise UsageError(
                f"{said}: only a replay can fork, and this run is in mode {self.mode!r}\n"
                '  Fork the golden of another test: @pytest.mark.sparrow(golden="test_refund").'
            )
        if self._run.crossings or self._run.answers.fork is not None:
            raise UsageError(f"{said}: a run is forked once, before the agent runs")
        fork = fork_of(at, replace, raises, live=live)
        if self._what_if:
            self._run.answers.fork = fork
        else:
            self._run.answers.fault_plan.left_out.append(said.removeprefix("sparrow."))

    def inject(
        self,
        fault: str | int | None = None,
        at: At | None = None,
        *,
        raises: Exception | type[Exception] | None = None,
        times: int = 1,
        after: int | None = None,
        delay: float | None = None,
        retry_after: float | None = None,
        message: str | None = None,
        recovers: bool = False,
        then: Sequence[Turn] | None = None,
    ) -> None:
        """Make a recorded answer fail, so that the test can assert the agent's recovery; say so before the agent runs.

        The agent gets the recorded answer when it asks again. Up to the fault the run is compared with the golden;
        after the fault only the test's own asserts judge, and calls without a recorded answer. A fault that hits
        nothing fails the test. More faults are more calls; a recording, and mode "off", run without faults.

        Args:
            fault: of HTTP "timeout", "connect-timeout", "unreachable", "reset", "disconnected", a status ("429",
                "500", …), "malformed" (its JSON cut in half), "broken" (the connection breaks in the middle) or "slow";
                of a tool "timeout", "unreachable" or "reset".
            at: as for `fork`; by default the first HTTP request.
            raises: the exception of a tool.
            times: how many answers in a row fail.
            after: how many chunks of a stream come before the connection breaks; default 1.
            delay: seconds that each chunk of a slow answer is late, at most 5, and really waited; default 0.2.
            retry_after: seconds, for the header of that name beside a status.
            message: the error's text.
            recovers: the run must get back to its golden: all but the fault itself is compared to the end.
            then: the model's turns from there on in place of the golden, as in `pytest_sparrow.scenario`.

        Raises:
            UsageError: the run has begun, or the fault makes no sense.
        """
        injected = fault_of(
            fault,
            at,
            raises=raises,
            times=times,
            after=after,
            delay=delay,
            retry_after=retry_after,
            message=message,
            recovers=recovers,
            then=None if then is None else _continuation(then),
        )
        if self._run.crossings:
            raise UsageError(f"sparrow.{injected.said}: faults are injected before the agent runs")
        if self._what_if:
            self._run.answers.fault_plan.faults.append(injected)
        else:
            self._run.answers.fault_plan.left_out.append(injected.said)

    def run(self, name: str, task: str = "") -> AbstractContextManager[Sparrow]:
        """Open a further run of this test, with a golden of its own: ``with sparrow.run("second") as second: …``."""
        return self._further(name, task)

    def expect(self, *, calls: Sequence[Expected], mode: str = "strict") -> None:
        """Assert which tools the agent has called so far, in any mode of pytest-sparrow.

        Args:
            calls: ``(name, args)`` pairs, or names alone; values are matched with ``==``, so dirty-equals works.
            mode: "strict" (these, in this order), "unordered" (these), "subset" (no others than these) or
                "superset" (at least these).

        Raises:
            AssertionError: the calls differ; the text shows both sides.
            UsageError: the mode is unknown.
        """
        __tracebackhide__ = True
        check_calls(self.tool_calls, calls, mode)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)


def _continuation(turns: Sequence[Turn]) -> ReplayerOf:
    """A function that makes the replayer of turns written by hand."""
    from pytest_sparrow.run.whatif.replayer import EventReplayer
    from pytest_sparrow.run.whatif.script import read_script
    from pytest_sparrow.scenario import checked, transcript

    script = read_script(transcript("then", *checked(turns, "sparrow.inject(then=…)")).events)
    return lambda read, violations: EventReplayer(script, read, violations)


class ToolCall(NamedTuple):
    """A tool call to assert on; equal to a plain ``(name, args)`` pair."""

    name: str
    args: Json


Expected = str | tuple[str, Any]
"""A tool's name, or its name and arguments."""

MODES = ("strict", "unordered", "subset", "superset")


def check_calls(made: Sequence[ToolCall], expected: Sequence[Expected], mode: str = "strict") -> None:
    """Assert that the calls made are the expected ones; see `pytest_sparrow.Sparrow.expect`.

    Raises:
        AssertionError: the calls differ.
        UsageError: the mode is unknown.
    """
    __tracebackhide__ = True
    if mode not in MODES:
        raise UsageError(f"expect(mode={mode!r}): there are {', '.join(MODES)}")
    if mode == "strict":
        fits = len(made) == len(expected) and all(
            _is(call, wish) for call, wish in zip(made, expected, strict=True)
        )
        if not fits:
            raise AssertionError(_text(made, expected, "exactly these calls, in this order"))
        return
    missing, surplus = _pair(made, expected)
    if mode != "subset" and missing:
        raise AssertionError(
            _text(made, expected, f"these calls ({len(missing)} missing: {_calls(missing)})")
        )
    if mode != "superset" and surplus:
        raise AssertionError(
            _text(made, expected, f"no other calls ({len(surplus)} more: {_calls(surplus)})")
        )


def _is(call: ToolCall, wish: Expected) -> bool:
    if isinstance(wish, str):
        return call.name == wish
    name, args = wish
    # The wish stands on the left, so that a dirty-equals object decides and not the plain value.
    return bool(call.name == name and args == call.args)


def _pair(made: Sequence[ToolCall], expected: Sequence[Expected]) -> tuple[list[Expected], list[ToolCall]]:
    """The wishes and the calls that are left after the largest pairing of both (by augmenting paths).

    Pairing each wish with the first call that fits would go wrong where one wish is broader than another.
    """
    fits = [[index for index, call in enumerate(made) if _is(call, wish)] for wish in expected]
    owner: dict[int, int] = {}

    def place(wish: int, tried: set[int]) -> bool:
        free = next((index for index in fits[wish] if index not in owner), None)
        if free is not None:
            owner[free] = wish
            return True
        for index in fits[wish]:
            if index not in tried:
                tried.add(index)
                if place(owner[index], tried):
                    owner[index] = wish
                    return True
        return False

    missing = [expected[wish] for wish in range(len(expected)) if not place(wish, set())]
    return missing, [call for index, call in enumerate(made) if index not in owner]


def _text(made: Sequence[ToolCall], expected: Sequence[Expected], rule: str) -> str:
    return f"expected {rule}\n  expected  {_calls(expected)}\n  made      {_calls(made)}"


def _calls(calls: Sequence[Expected | ToolCall]) -> str:
    if not calls:
        return "none"
    return ", ".join(call if isinstance(call, str) else f"{call[0]}({call[1]!r})" for call in calls)
