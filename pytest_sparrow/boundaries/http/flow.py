"""Sends one request through the HTTP boundary, for every library, sync and async.

The flow is a generator. It yields the steps that depend on the library and on threads or tasks; `drive` and
`drive_async` do each step and send its result back.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pytest_sparrow.boundaries.guard.addresses import listens_on_port
from pytest_sparrow.boundaries.http.bodies import ChunkDelay, ReplayedBodyRecorder, ServedBody, checkpoint
from pytest_sparrow.boundaries.http.exchange import EMPTY, Reply, asked_of, refusal, reply_of
from pytest_sparrow.boundaries.world import isolated, stepped
from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.providers.registry import leads_to_model
from pytest_sparrow.run.answering import answering, is_answering, model_asked
from pytest_sparrow.run.cancelling import CancellationWait
from pytest_sparrow.run.context import current_run, is_collecting, left_over, open_runs, runs_a_task
from pytest_sparrow.run.passages import CLIENT
from pytest_sparrow.wire.asking import DEFAULT_PORTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, MutableMapping
    from types import TracebackType

    from pytest_sparrow.boundaries.http.adapter import Adapter
    from pytest_sparrow.boundaries.http.exchange import Headers
    from pytest_sparrow.run.arrivals import Arrival
    from pytest_sparrow.run.crossing import Crossing, OpenRun

OutsidePolicy: TypeAlias = Callable[[str, "int | None", str], "Exception | OpenRun | None"]
"""Called with host, port and "METHOD url" of a request that belongs to no run, from any thread. Returns the error that
refuses the request, whose text the client is shown, whom to ask instead, or None to let the request pass."""

# Process-wide, as the patches are: a request outside every window has no run that could hold a policy.
_policy: OutsidePolicy | None = None


def set_outside_policy(policy: OutsidePolicy | None) -> OutsidePolicy | None:
    """Set the policy; None lets every request pass. Returns the previous policy, to be set again afterwards."""
    global _policy
    before, _policy = _policy, policy
    return before


last_request_was_allowed: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "pytest_sparrow_last_request_was_allowed", default=False
)
"""Whether the last request of this context went to a host that a setting keeps reachable."""


# Not frozen: that would take twice as long to make, and there is one for each request.
@dataclass(slots=True, kw_only=True)
class OutgoingRequest:
    """A request before its body is read.

    Attributes:
        method: in upper case.
        url: the whole URL.
        host: without brackets; the path of a Unix socket.
        port: the scheme's own where the URL names none; None: there is no port.
        in_process: whether the transport leads to code of this process.
        websocket: whether the request asks to become a WebSocket.
        user_agent: the header of that name.
    """

    method: str
    url: str
    host: str
    port: int | None
    in_process: bool = False
    websocket: bool = False
    user_agent: str = ""

    @classmethod
    def to(
        cls,
        scheme: str,
        host: str,
        port: int | None,
        *,
        method: str,
        url: str,
        upgrade: str = "",
        user_agent: str | None = "",
        in_process: bool = False,
    ) -> OutgoingRequest:
        """A request to a host and port, which is the scheme's own where None; ``upgrade`` is the header's value."""
        return cls(
            method=method,
            url=url,
            host=host,
            port=port or DEFAULT_PORTS.get(scheme),
            in_process=in_process,
            websocket=scheme in ("ws", "wss") or upgrade.lower() == "websocket",
            user_agent=user_agent or "",
        )

    def __str__(self) -> str:
        return f"{self.method} {self.url.partition('?')[0]}"


def router(outgoing: OutgoingRequest) -> OpenRun | Reply | None:
    """Where a request goes: the run that must be asked, the reply that the client gets, or None for the world."""
    try:
        run = current_run(in_tools=True)
    except UsageError as error:
        return None if outgoing.in_process else _ownerless(outgoing, error)
    if run is None and is_answering():
        # A transport that sends through a client of its own crosses once; a tool may run as a whole.
        if leads_to_model(outgoing.url):
            model_asked()
        return None
    if run is None:
        return None if outgoing.in_process else _outside(outgoing)
    if outgoing.in_process and not run.in_process:
        return None
    return _by_host(run, outgoing)


def begin(run: OpenRun, outgoing: OutgoingRequest, headers: Headers, raw: bytes) -> Crossing | Reply:
    """Ask a run: a reply to serve (replayed or refused), or a crossing that the world must answer.

    Raises:
        NotRecordable: the request holds a value that JSON cannot hold.
    """
    try:
        crossing = run.ask("http", asked_of(outgoing.method, outgoing.url, headers, raw))
    except (ReplayDivergence, UsageError) as error:
        return EMPTY if _verdict(run, outgoing) == "telemetry" else refusal(error)
    if crossing.replayed is None:
        return crossing
    try:
        reply = reply_of(
            crossing.replayed,
            method=outgoing.method,
            crossing=crossing,
            user_agent=outgoing.user_agent,
        )
    except ValueError as error:
        return refusal(run.refuse("unservable", request=str(outgoing), why=str(error)))
    if crossing.cancellation_wait is None:
        return reply
    wait = CancellationWait(run=run, seconds=crossing.cancellation_wait, request=str(outgoing))
    return replace(reply, cancellation_wait=wait)


def _outside(outgoing: OutgoingRequest) -> OpenRun | Reply | None:
    """Where a request goes that belongs to no open run; see `router`."""
    late = left_over()
    if late is None or _tears_down(late):
        said = None if _policy is None else _policy(outgoing.host, outgoing.port, str(outgoing))
        return refusal(said) if isinstance(said, Exception) else said and _by_host(said, outgoing)
    verdict = _verdict(late, outgoing)
    if verdict != "cross":
        return EMPTY if verdict != "allow" and late.replaying else None
    refused = late.asked_late(str(outgoing))
    return None if refused is None else refusal(refused)


def _tears_down(run: OpenRun) -> bool:
    """Whether an async fixture's task, made after the end of a run in whose context it still is, asks for something."""
    is_made_since = run.lane_here() is None and runs_a_task() and not is_collecting()
    return is_made_since and threading.current_thread() is threading.main_thread()


def passage_of(run: OpenRun, outgoing: OutgoingRequest) -> str:
    """What to do with a request, by its host and its client: "cross", "ignore" or "allow".

    A telemetry host may also serve content (prompts, flags): what a client only reads there crosses.
    """
    verdict = _verdict(run, outgoing)
    if verdict == "telemetry":
        return "cross" if outgoing.method in ("GET", "HEAD") else "ignore"
    return verdict


def _verdict(run: OpenRun, outgoing: OutgoingRequest) -> str:
    verdict = run.passes_host(outgoing.host, outgoing.port)
    if verdict == "cross" and outgoing.user_agent:
        by_client = run.passes_host(f"{CLIENT}{outgoing.user_agent}", None)
        return "cross" if by_client == "allow" else by_client
    return verdict


def _by_host(run: OpenRun, outgoing: OutgoingRequest) -> OpenRun | Reply | None:
    verdict = passage_of(run, outgoing)
    last_request_was_allowed.set(verdict == "allow")
    if verdict == "allow":
        return None
    if verdict == "ignore":
        return EMPTY if run.replaying else None
    if not outgoing.websocket:
        own = run.own_servers
        is_app = own.are_known and own.is_app(outgoing.method, outgoing.url, listens_on_port)
        return None if is_app else run
    if not run.replaying:
        return None
    place = f"{outgoing.host}:{outgoing.port}"
    return refusal(run.refuse("websocket", request=str(outgoing), place=place))


def _ownerless(outgoing: OutgoingRequest, error: UsageError) -> Reply:
    """Refuse a request that may belong to either of two open runs; the refusal is a violation in each."""
    for run in open_runs():
        run.refuse("ownerless", request=str(outgoing), why=str(error))
    return refusal(error)


FlowStep: TypeAlias = Literal["read", "pause", "pass", "send"]
"""What the flow needs from the surrounding thread or task: the bytes of the request's body; a pause for other tasks;
the response to a request that does not cross; the response of the world. (No enum: hashing its members is slow.)"""

Flow: TypeAlias = Generator["FlowStep | CancellationWait | Arrival", Any, Any]
"""The way of one request; a yielded `CancellationWait` or `Arrival` must be waited for. Returns the response."""


_Headers: TypeAlias = "MutableMapping[str, str]"


class LiveRequest:
    """A request on its way to the world: ``with live:`` around the library's sending, once or in parts.

    What runs within belongs to no run. An error that leaves the block settles the crossing.

    Args:
        adapter: the library's adapter.
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
        """Settle the crossing with an error, since no answer will come."""
        failure = self._adapter.failure_of(error)
        if failure is None:
            self.crossing.settle(None, complete=False)
        else:
            self.crossing.settle({"error": failure.to_json()})


def sent(
    adapter: Adapter,
    request: Any,
    outgoing: OutgoingRequest,
    *,
    read: Callable[[], bytes],
    send: Callable[[], Any],
) -> Any:
    """Send a request of a thread through the boundary; returns the library's response, of the world or a recording.

    Args:
        adapter: the library's adapter.
        request: the adapter's own object for the request.
        outgoing: the request as the router sees it.
        read: reads the body, which ``send`` must be able to send afterwards; called only for a request that crosses.
        send: the library's own sending; called only for a request that goes to the world.
    """

    def isolated_send() -> Any:
        with isolated():
            return send()

    steps: dict[FlowStep, Callable[[], Any]] = {"read": read, "pass": send, "send": isolated_send}
    return drive(cross(adapter, request, outgoing), steps)


async def sent_async(
    adapter: Adapter,
    request: Any,
    outgoing: OutgoingRequest,
    *,
    read: Callable[[], Awaitable[bytes]],
    send: Callable[[], Awaitable[Any]],
    alone: Callable[[], _Headers | None] | None = None,
) -> Any:
    """Send a request of a task through the boundary; see `sent`, and `route` for ``alone``."""
    steps: dict[FlowStep, Callable[[], Awaitable[Any]]] = {
        "read": read,
        "pause": checkpoint,
        "pass": send,
        "send": lambda: stepped(send()),
    }
    return await drive_async(cross(adapter, request, outgoing, alone=alone), steps)


def cross(
    adapter: Adapter,
    request: Any,
    outgoing: OutgoingRequest,
    *,
    alone: Callable[[], _Headers | None] | None = None,
) -> Flow:
    """A request's way up to its response; see `route` for the arguments."""
    routed = yield from route(adapter, request, outgoing, alone=alone)
    if not isinstance(routed, LiveRequest):
        return routed
    with routed:
        response = yield "send"
    return adapter.watch(request, response, routed.crossing)


def route(
    adapter: Adapter,
    request: Any,
    outgoing: OutgoingRequest,
    *,
    alone: Callable[[], _Headers | None] | None = None,
) -> Flow:
    """A request's way up to the world: returns the response, or a `LiveRequest` for a request that must be sent.

    Args:
        adapter: the library's adapter.
        request: the adapter's own object for the request.
        outgoing: the request as the router sees it.
        alone: gives the headers of a request whose connection must not be used again, or None where it may be. A client
            that is cached across event loops would find the connection of a closed loop in its pool, and fail with
            "Event loop is closed". Called only for a request that goes to the world.
    """
    owner = router(outgoing)
    if owner is None:
        return (yield "pass")
    if isinstance(owner, Reply):
        yield "pause"
        return _serve(adapter, request, owner)
    raw = yield "read"
    begun = begin(owner, outgoing, adapter.headers(request), raw)
    if not isinstance(begun, Reply):
        return LiveRequest(adapter, begun, None if alone is None else alone())
    try:
        yield begun.arrival or "pause"
    except BaseException:  # cancelled before the client got anything
        if begun.crossing is not None:
            begun.crossing.settle(None, complete=False)
        raise
    if begun.status is None and begun.cancellation_wait is not None:
        return (yield from _unanswered(adapter, request, begun, begun.cancellation_wait))
    return _serve(adapter, request, begun)


def drive(flow: Flow, steps: Mapping[FlowStep, Callable[[], Any]]) -> Any:
    """Do a flow's steps in a thread, which needs no step "pause": the system switches between threads."""
    result, error = None, None
    while True:
        try:
            step = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as stop:
            return stop.value
        result, error = None, None
        if step == "pause":
            continue
        try:
            result = steps[step]() if isinstance(step, str) else step.hold()
        except BaseException as raised:  # noqa: BLE001 - the flow raises it again
            error = raised


async def drive_async(flow: Flow, steps: Mapping[FlowStep, Callable[[], Awaitable[Any]]]) -> Any:
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
    """Wait for the agent to cancel the request, as the recorded agent did before an answer came."""
    try:
        run_is_over = yield cancellation_wait
    finally:
        if reply.crossing is not None:
            reply.crossing.settle(None, complete=False)
    if not run_is_over:
        return adapter.fail(request, _not_cancelled(adapter, request, cancellation_wait))
    return _serve(adapter, request, reply)


def _serve(adapter: Adapter, request: Any, reply: Reply) -> Any:
    error = None if reply.failure is None else adapter.error(request, reply.failure)
    crossing, cancellation_wait = reply.crossing, reply.cancellation_wait
    if reply.status is None:
        if crossing is not None:
            crossing.settle(crossing.replayed or None, complete=bool(crossing.replayed))
        nothing = TransportFailure(type=TransportErrorName.CONNECT_ERROR, message="")
        return adapter.fail(request, error or adapter.error(request, nothing))
    not_cancelled = (
        None
        if cancellation_wait is None
        else functools.partial(_not_cancelled, adapter, request, cancellation_wait)
    )
    delay = _delay(adapter, request, reply.delay) if reply.delay else None
    arrival = None if crossing is None or reply.arrival is not None else crossing.arrival
    body = ServedBody(reply.chunks, error, cancellation_wait, not_cancelled, delay, arrival)
    recorder = None if crossing is None else ReplayedBodyRecorder(crossing, pieces=len(reply.chunks))
    return adapter.response(request, reply, body, recorder)


def _delay(adapter: Adapter, request: Any, seconds: float) -> ChunkDelay:
    timed_out = TransportFailure(type=TransportErrorName.READ_TIMEOUT, message="The read operation timed out")
    return ChunkDelay(
        seconds=seconds,
        limit=adapter.read_timeout(request),
        error=functools.partial(adapter.error, request, timed_out),
    )


def _not_cancelled(adapter: Adapter, request: Any, cancellation_wait: CancellationWait) -> Exception:
    message = str(cancellation_wait.not_cancelled())
    return adapter.error(request, TransportFailure(type=TransportErrorName.READ_TIMEOUT, message=message))
