"""MCP in memory: a server of the test's own process, reached over streams or directly.

What the server offers (tools, prompts, texts) is the agent's own code, and is asked for in a replay, too. Only what
reaches for the world is replayed: calls of tools, and reading resources. Their bodies do not run.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.code import digest_of
from pytest_sparrow.frameworks.mcp.served import function_of
from pytest_sparrow.frameworks.mcp.streams import (
    JsonRpc,
    ReadStream,
    WriteStream,
    json_of,
    recorded_run,
    replayed_session,
)
from pytest_sparrow.frameworks.recorded_session import RecordedSession
from pytest_sparrow.frameworks.sessions import Pipe, answered_by, messages_of
from pytest_sparrow.run.answering import answering, calling_back, is_answering, without_answering
from pytest_sparrow.run.cancelling import wait_for_cancel
from pytest_sparrow.wire.asking import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Across
    from pytest_sparrow.frameworks.replayed_session import ReplayedSession
    from pytest_sparrow.run.crossing import Crossing, OpenRun

REPLAYED = frozenset({"tools/call", "resources/read"})
"""The methods whose handlers reach for the world."""

_HOST = "mcp"
_URL = f"{IN_MEMORY}{_HOST}"

_ends: dict[int, Any] = {}
"""By the id of a server's end for reading of streams that are recorded, the server, once it runs."""


def run_for(method: str, params: Any) -> OpenRun | None:
    """The run that records or replays a request; None: the server answers it."""
    if method not in REPLAYED or is_answering():
        return None
    run = recorded_run()
    if run is None or run.passes_host(_HOST, None) != "cross":
        return None
    name = (params or {}).get("name")
    return None if isinstance(name, str) and run.is_wrapped(name, None) else run


# Over streams.


def streams(original: Callable[..., AsyncGenerator[Any, None]], _: Across) -> Callable[..., Any]:
    """The function behind ``create_client_server_memory_streams``, recorded and replayed."""

    async def create_client_server_memory_streams() -> AsyncGenerator[Any, None]:
        run = None if is_answering() else recorded_run()
        async with contextlib.asynccontextmanager(original)() as (client, server):
            if run is None:
                yield client, server
                return
            pipe = Pipe(run=run, url=_URL, dialect=JsonRpc())
            end = id(server[0])
            _ends[end] = None
            served = functools.partial(_ends.get, end)
            led = (
                _replayed(pipe, client, server[1], served)
                if run.replaying
                else _recorded(pipe, client, served)
            )
            try:
                async with led as client_end:
                    yield client_end, server
            finally:
                del _ends[end]

    return create_client_server_memory_streams


def _crosses(message: Json, session: RecordedSession | ReplayedSession) -> bool:
    if "method" in message:
        return run_for(message["method"], message.get("params")) is not None
    return message.get("id") in session.questions


@contextlib.asynccontextmanager
async def _recorded(pipe: Pipe, client: Any, served: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    read, write = client
    session = RecordedSession(pipe, hears=False)

    async def send(item: Any) -> None:
        message = json_of(item)
        session.withdraw(pipe.dialect.withdraws(message))
        if not _crosses(message, session):
            await write.send(item)
            return
        _note_code(pipe.run, served(), message, answered=False)
        with session.sending(message), answering():  # its handler's context is this one
            await write.send(item)

    yield _MemoryReadStream(read, session), WriteStream(write, send)
    session.left()


class _MemoryReadStream(ReadStream):
    """The client's end for reading. What the client does with a message is the agent's doing, not the server's."""

    @property
    def last_context(self) -> contextvars.Context | None:
        """The sender's context, without that it answers."""
        context: contextvars.Context | None = getattr(self._stream, "last_context", None)
        return None if context is None else without_answering(context)


@contextlib.asynccontextmanager
async def _replayed(
    pipe: Pipe, client: Any, to_client: Any, served: Callable[[], Any]
) -> AsyncGenerator[Any, None]:
    import anyio

    read, write = client
    async with anyio.create_task_group() as tasks:
        session = replayed_session(pipe, tasks, to_client)
        live = RecordedSession(pipe, hears=False)  # calls of tools that run

        async def send(item: Any) -> None:
            message = json_of(item)
            withdrawn = pipe.dialect.withdraws(message)
            if session.withdraw(withdrawn):
                return
            live.withdraw(withdrawn)
            if _crosses(message, live) and "method" not in message:
                session.send(message)
                live.replied(message["id"])
            elif _crosses(message, session):
                crossing = session.send(message, runs=True)
                _note_code(pipe.run, served(), message, answered=crossing is None)
                if crossing is None:
                    await anyio.lowlevel.checkpoint()
                    return
                with live.sending(message, crossing), answering():
                    await write.send(item)
                return
            await write.send(item)

        yield _MemoryReadStream(read, live), WriteStream(write, send)
        live.left()
        session.left()
        tasks.cancel_scope.cancel()


def run_server(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """``Server.run``: which server the streams lead to."""

    async def run(self: Any, read_stream: Any, *args: Any, **kwargs: Any) -> None:
        if id(read_stream) in _ends:
            _ends[id(read_stream)] = self
        await original(self, read_stream, *args, **kwargs)

    return run


def _note_code(run: OpenRun, server: Any, message: Json, *, answered: bool) -> None:
    """Note the code of the tool that a message calls."""
    name = (message.get("params") or {}).get("name")
    if message.get("method") == "tools/call" and isinstance(name, str):
        run.note_code(name, lambda: digest_of(function_of(server, name)), answered=answered)


def handle_request(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """Version 1's ``Server._handle_request``: what a recorded handler asks for belongs to no run."""

    async def _handle_request(self: Any, message: Any, req: Any, session: Any, *args: Any) -> Any:
        method = getattr(req, "method", "")
        params = getattr(req, "params", None)
        name = {"name": getattr(params, "name", None)}
        if id(getattr(session, "_read_stream", None)) not in _ends or run_for(method, name) is None:
            return await original(self, message, req, session, *args)
        with answering():
            return await original(self, message, req, session, *args)

    return _handle_request


# Directly: version 2 without streams.


def send_raw_request(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """``DirectDispatcher.send_raw_request``, recorded and replayed."""

    async def send_raw_request(self: Any, method: str, params: Any, opts: Any = None) -> dict[str, Any]:
        run = run_for(method, params)
        if run is None:
            result: dict[str, Any] = await original(self, method, params, opts)
            return result
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}
        crossing = Pipe(run=run, url=_URL, dialect=JsonRpc()).ask(message)
        answered = crossing.replayed is not None and not crossing.checked
        serves = getattr(self._peer, "_on_request", None)
        _note_code(run, serves, message, answered=answered)
        if not answered:
            call = _call(crossing, lambda more: original(self, method, params, more), opts)
            if crossing.replayed is None:
                return await call
            with contextlib.suppress(Exception):
                await call
        return await _answer(run, crossing, self, opts or {})

    return send_raw_request


async def _call(crossing: Crossing, call: Callable[..., Any], opts: Any) -> dict[str, Any]:
    """Let the server answer, and record what it says."""
    heard: list[Json] = []
    wanted: Any = (opts or {}).get("on_progress")

    async def on_progress(now: float, total: float | None, text: str | None) -> None:
        said = {"progressToken": 1, "progress": now, "total": total, "message": text}
        heard.append({"jsonrpc": "2.0", "method": "notifications/progress", "params": said})
        with calling_back():
            await wanted(now, total, text)

    more = opts if wanted is None else {**opts, "on_progress": on_progress}
    token = _heard.set(heard)
    try:
        with answering():
            result: dict[str, Any] = await call(more)
    except _error_class() as error:
        said = error.error.model_dump(mode="json", by_alias=True, exclude_none=True)
        crossing.settle(answered_by([*heard, {"jsonrpc": "2.0", "id": 1, "error": said}]))
        raise
    except BaseException:
        crossing.settle(answered_by(heard) if heard else None, complete=False)
        raise
    finally:
        _heard.reset(token)
    crossing.settle(answered_by([*heard, {"jsonrpc": "2.0", "id": 1, "result": result}]))
    return result


_heard: contextvars.ContextVar[list[Json] | None] = contextvars.ContextVar(
    "pytest_sparrow_mcp_heard", default=None
)
"""What the server that answers here has said to the client."""


async def _answer(run: OpenRun, crossing: Crossing, client: Any, opts: Any) -> dict[str, Any]:
    """Give the recorded answer, and all that the server said before."""
    try:
        messages = messages_of(crossing.replayed or {})
        for message in () if crossing.checked else messages:  # the tool that ran has said it
            if "method" in message:
                await _say(message, client, opts)
        if crossing.cancellation_wait is not None:
            await wait_for_cancel(crossing.cancellation_wait)
            raise run.refuse("read-on", request=f"POST {_URL}")
        if crossing.arrival is not None:
            await crossing.arrival.wait()
    except BaseException:
        crossing.settle(crossing.replayed or None, complete=False)
        raise
    crossing.settle(crossing.replayed)
    last = messages[-1] if messages else {}
    if "result" in last:
        result: dict[str, Any] = last["result"]
        return result
    error = last.get("error") or {}
    raise _error_class()(error.get("code", -32000), error.get("message", ""), error.get("data"))


async def _say(message: Json, client: Any, opts: Any) -> None:
    params = message.get("params") or {}
    if message["method"] != "notifications/progress":
        await client._dispatch_notify(message["method"], params)  # noqa: SLF001
    elif opts.get("on_progress") is not None:
        await opts["on_progress"](params["progress"], params.get("total"), params.get("message"))


def dispatch_notify(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """``DirectDispatcher._dispatch_notify``: what the server says while it answers."""

    async def _dispatch_notify(self: Any, method: str, params: Any) -> None:
        heard = _heard.get()
        if heard is None:
            await original(self, method, params)
            return
        heard.append({"jsonrpc": "2.0", "method": method, "params": dict(params or {})})
        with calling_back():
            await original(self, method, params)

    return _dispatch_notify


def _error_class() -> Any:
    return sys.modules["mcp.shared.exceptions"].MCPError
