"""The flow of one request, for every library, sync and async; an adapter adds what is the library's own.

What becomes of a request outside every window: the plugin knows, this is where it says so.

Where a request goes: through, into a crossing, or back with a refusal. Neutral of libraries.

The way of one request, for every library, sync and async: the skins do what is the library's own.

A skin drives a flow: it does each step that the flow yields, in its own world, and sends back what came of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pytest_sparrow.boundaries.cancellation import CancellationWait
from pytest_sparrow.boundaries.http.bodies import Late, ReplayedBodyRecorder, Served
from pytest_sparrow.boundaries.http.exchange import (
    EMPTY,
    Headers,
    Reply,
    TransportFailure,
    asked_of,
    refusal,
    reply_of,
)
from pytest_sparrow.boundaries.http.waits import tried
from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.run.context import answering, current_run, is_answering, open_runs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, MutableMapping
    from types import TracebackType

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder
    from pytest_sparrow.boundaries.http.exchange import Headers
    from pytest_sparrow.run.crossing import Crossing, OpenRun

__all__ = [
    "Adapter",
    "Contact",
    "Flow",
    "Live",
    "OutsidePolicy",
    "Step",
    "begin",
    "drive",
    "drive_async",
    "refusal_outside",
    "route",
    "router",
    "set_outside_policy",
    "whole",
]


OutsidePolicy: TypeAlias = Callable[[str, "int | None", str], Exception | None]
"""Called with host, port and "METHOD url" of a request that belongs to no run. Returns what refuses it, whose
text the client is shown (in replay: naming the fixture), or None to let it pass. Called from any thread."""

# Process-wide, as the patches are: a request outside every window has no run to carry a policy.
_policy: OutsidePolicy | None = None


def set_outside_policy(policy: OutsidePolicy | None) -> OutsidePolicy | None:
    """Set the policy, None for "everything passes"; returns the one before, to be set again afterwards."""
    global _policy
    before, _policy = _policy, policy
    return before


def refusal_outside(host: str, port: int | None, what: str) -> Exception | None:
    """What the policy says of one request."""
    return None if _policy is None else _policy(host, port, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A request before its body is read.

    Attributes:
        method: in upper case.
        url: whole, as sent.
        host: without brackets.
        port: the scheme's own where the URL names none.
        in_process: the transport leads to code of this process.
        websocket: the request asks to become a WebSocket.
    """

    method: str
    url: str
    host: str
    port: int | None
    in_process: bool = False
    websocket: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.url.partition('?')[0]}"


def router(contact: Contact) -> OpenRun | Reply | None:
    """Where a request goes: to a run, which must be asked; back with a reply; or, for None, through."""
    if is_answering():
        # A transport that sends through a client of its own crosses once; and a tool is recorded as a whole.
        return None
    try:
        run = current_run()
    except UsageError as error:
        return None if contact.in_process else _ownerless(contact, error)
    if run is None:
        if contact.in_process:
            return None
        refused = refusal_outside(contact.host, contact.port, str(contact))
        return None if refused is None else refusal(refused)
    if contact.in_process and not run.in_process:
        return None
    return _by_host(run, contact)


def begin(run: OpenRun, contact: Contact, headers: Headers, raw: bytes) -> Crossing | Reply:
    """Ask a run: a reply to serve (fed, or refused), or a crossing to take to the world and settle.

    Raises:
        NotRecordable: the request holds something that JSON cannot.
    """
    try:
        crossing = run.ask("http", asked_of(contact.method, contact.url, headers, raw))
    except (ReplayDivergence, UsageError) as error:
        return refusal(error)
    if crossing.replayed is None:
        return crossing
    try:
        reply = reply_of(crossing.replayed, method=contact.method, crossing=crossing)
    except ValueError as error:
        what = f"the golden's answer to {contact} can't be served: {error}"
        return refusal(run.refuse(what, "Record the test again: pytest --sparrow-record"))
    if crossing.cancellation_wait is None:
        return reply
    what = f"{contact}: the agent wants more of the answer than the recorded run waited for"
    return replace(
        reply, cancellation_wait=CancellationWait(run=run, seconds=crossing.cancellation_wait, what=what)
    )


def _by_host(run: OpenRun, contact: Contact) -> OpenRun | Reply | None:
    verdict = run.passes_host(contact.host, contact.port)
    tried(passes=verdict == "allow")
    if verdict == "allow":
        return None
    if verdict == "ignore":
        return EMPTY if run.replaying else None
    if not contact.websocket:
        return run
    if not run.replaying:
        return None
    return refusal(
        run.refuse(
            f"a WebSocket to {contact.host}:{contact.port} ({contact}) can't be replayed",
            f"allow_hosts = {contact.host}:{contact.port} keeps it reachable; WebSockets aren't recorded",
        )
    )


def _ownerless(contact: Contact, error: UsageError) -> Reply:
    """Two runs are open and nothing says whose request it is: refused, and in the ledger of each."""
    for run in open_runs():
        run.refuse(f"{contact}: {error}")
    return refusal(error)


Step: TypeAlias = Literal["read", "pause", "pass", "send"]
"""What a crossing needs done by the sync or the async world around it: read the request's body, and give its
bytes; let other tasks run; pass the request on, since it doesn't cross; send it into the world. (No enum: hashing
its members is slow.)"""

Flow: TypeAlias = Generator["Step | CancellationWait", Any, Any]
"""A step may also be patience: wait as long. Gives the response in the end."""


_Headers: TypeAlias = "MutableMapping[str, str]"


class Adapter(Protocol):
    """What a library gives. A request and a response are whatever the skin takes for one."""

    def headers(self, request: Any) -> Headers:
        """The request's headers; asked once its body is read."""
        ...

    def response(self, request: Any, reply: Reply, body: Served, recorder: BodyRecorder | None) -> Any:
        """The library's own response, with the reply's status and headers; reading it reads ``body``.

        What the client gets of it is told to ``recorder``, if there is one.
        """
        ...

    def fail(self, request: Any, error: Exception) -> Any:
        """Raise the error, as if no answer had come; or a response that will."""
        ...

    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:
        """A response of the world whose body tells a `LiveBodyRecorder` of the crossing what the client reads."""
        ...

    def error(self, request: Any, failure: TransportFailure) -> Exception:
        """A recorded error as an exception of this library; nothing else is ever looked up by its name."""
        ...

    def read_timeout(self, request: Any) -> float | None:
        """How many seconds the client waits for a piece of the answer; None: as long as it takes."""
        ...

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        """An error by the nearest name that the library exports, for a replay to find; None: cancelled."""
        ...


class Live:
    """A request on its way to the world: ``with live:`` around the library's sending, once or in parts.

    What runs within belongs to no run. An error that leaves it settles the crossing.

    Args:
        adapter: the library.
        crossing: what to settle.
        headers: where to say ``Connection: close`` meanwhile; None: nowhere.
    """

    __slots__ = ("_adapter", "_answering", "_before", "_headers", "crossing")

    def __init__(self, adapter: Adapter, crossing: Crossing, headers: _Headers | None = None) -> None:
        self.crossing = crossing
        self._adapter = adapter
        self._headers = headers

    def __enter__(self) -> None:
        if self._headers is not None:
            self._before = self._headers.get("connection")
            self._headers["connection"] = "close"
        self._answering = answering()
        self._answering.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answering.__exit__(kind, error, trace)
        if self._headers is not None:
            if self._before is None:
                del self._headers["connection"]
            else:
                self._headers["connection"] = self._before
        if error is not None:
            self.broke(error)

    def broke(self, error: BaseException) -> None:
        """Settle, since there will be no answer."""
        failure = self._adapter.failure_of(error)
        if failure is None:
            self.crossing.settle(None, complete=False)
        else:
            self.crossing.settle({"error": {"type": failure.type, "message": failure.message}})


def whole(
    adapter: Adapter, request: Any, contact: Contact, *, alone: Callable[[], _Headers | None] | None = None
) -> Flow:
    """A request from its door to its response; for ``alone`` see `route`."""
    admitted = yield from route(adapter, request, contact, alone=alone)
    if not isinstance(admitted, Live):
        return admitted
    with admitted:
        response = yield "send"
    return adapter.watch(request, response, admitted.crossing)


def route(
    adapter: Adapter, request: Any, contact: Contact, *, alone: Callable[[], _Headers | None] | None = None
) -> Flow:
    """A request up to where the world begins: gives the response, or `Live` for one that must be sent.

    Args:
        adapter: the library.
        request: what the skin's functions are given.
        contact: the request, for the gate.
        alone: gives the headers of a request that must have a connection which nobody uses again, or None where
            it must not: a client that is cached across event loops would find this connection in its pool, in
            the next loop, and die with "Event loop is closed". Not asked unless the request goes to the world.
    """
    met = router(contact)
    if met is None:
        return (yield "pass")
    if isinstance(met, Reply):
        yield "pause"
        return _serve(adapter, request, met)
    raw = yield "read"
    begun = begin(met, contact, adapter.headers(request), raw)
    if not isinstance(begun, Reply):
        return Live(adapter, begun, None if alone is None else alone())
    try:
        yield "pause"
    except BaseException:  # cancelled before it got anything
        if begun.crossing is not None:
            begun.crossing.settle(None, complete=False)
        raise
    if begun.status is None and begun.cancellation_wait is not None:
        return (yield from _unanswered(adapter, request, begun, begun.cancellation_wait))
    return _serve(adapter, request, begun)


def drive(flow: Flow, steps: Mapping[Step, Callable[[], Any]]) -> Any:
    """Do a flow's steps in a thread."""
    result, error = None, None
    while True:
        try:
            step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        try:
            result, error = steps[step]() if isinstance(step, str) else step.hold(), None
        except BaseException as raised:  # noqa: BLE001 - the flow raises it again
            error = raised


async def drive_async(flow: Flow, steps: Mapping[Step, Callable[[], Awaitable[Any]]]) -> Any:
    """Do a flow's steps in a task."""
    result, error = None, None
    while True:
        try:
            step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        try:
            result, error = await (steps[step]() if isinstance(step, str) else step.wait()), None
        except BaseException as raised:  # noqa: BLE001 - the flow raises it again
            error = raised


def _unanswered(adapter: Adapter, request: Any, reply: Reply, cancellation_wait: CancellationWait) -> Flow:
    """No answer came before the recorded agent turned away: let this one do so, too."""
    try:
        is_over = yield cancellation_wait
    finally:
        if reply.crossing is not None:
            reply.crossing.settle(None, complete=False)
    if not is_over:
        return adapter.fail(request, _lost(adapter, request, cancellation_wait))
    return _serve(adapter, request, reply)


def _serve(adapter: Adapter, request: Any, reply: Reply) -> Any:
    error = None if reply.failure is None else adapter.error(request, reply.failure)
    crossing, cancellation_wait = reply.crossing, reply.cancellation_wait
    if reply.status is None:
        if crossing is not None:
            crossing.settle(crossing.replayed or None, complete=bool(crossing.replayed))
        return adapter.fail(
            request, error or adapter.error(request, TransportFailure(type="ConnectError", message=""))
        )
    lost = (
        None if cancellation_wait is None else functools.partial(_lost, adapter, request, cancellation_wait)
    )
    body = Served(reply.chunks, error, cancellation_wait, lost, _late(adapter, request, reply.delay))
    recorder = None if crossing is None else ReplayedBodyRecorder(crossing, pieces=len(reply.chunks))
    return adapter.response(request, reply, body, recorder)


def _late(adapter: Adapter, request: Any, seconds: float) -> Late | None:
    if not seconds:
        return None
    timed_out = TransportFailure(type="ReadTimeout", message="The read operation timed out")
    return Late(
        seconds=seconds,
        limit=adapter.read_timeout(request),
        error=functools.partial(adapter.error, request, timed_out),
    )


def _lost(adapter: Adapter, request: Any, cancellation_wait: CancellationWait) -> Exception:
    return adapter.error(request, TransportFailure(type="ReadTimeout", message=str(cancellation_wait.lost())))
