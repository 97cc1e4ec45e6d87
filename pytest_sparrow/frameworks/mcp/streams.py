"""What sessions of MCP have in common: JSON-RPC, and the client's ends of the streams; versions 1 and 2 of the SDK."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Self

from pytest_sparrow.frameworks.replayed_session import ReplayedSession
from pytest_sparrow.frameworks.sessions import Dialect, Key
from pytest_sparrow.run.answering import as_here
from pytest_sparrow.run.context import current_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Across
    from pytest_sparrow.frameworks.recorded_session import RecordedSession
    from pytest_sparrow.frameworks.sessions import Pipe
    from pytest_sparrow.run.crossing import OpenRun

NAME = "mcp"


def recorded_run() -> OpenRun | None:
    """The run that records or replays sessions which begin here, or None."""
    run = current_run()
    return run if run is not None and NAME in run.frameworks else None


class JsonRpc(Dialect):
    """JSON-RPC 2.0, as MCP speaks it."""

    def question(self, message: Json) -> Key | None:
        """The id of a request."""
        return message.get("id") if "method" in message else None

    def answer(self, message: Json) -> Key | None:
        """The id of a result or an error."""
        return None if "method" in message else message.get("id")

    def asks(self, message: Json) -> Key | None:
        """The id of a server's request."""
        return self.question(message)

    def reply(self, message: Json) -> Key | None:
        """The id of the server's request that a client answers."""
        return self.answer(message)

    def withdraws(self, message: Json) -> Key | None:
        """The id of the request that a client cancels."""
        if message.get("method") != "notifications/cancelled":
            return None
        key: Key | None = (message.get("params") or {}).get("requestId")
        return key

    def failing(self, key: Key, message: str) -> Json:
        """An error."""
        return {"jsonrpc": "2.0", "id": key, "error": {"code": -32000, "message": message}}


class ReadStream:
    """The client's end for reading, of which the session hears; None: nobody does."""

    def __init__(self, stream: Any, session: RecordedSession | None) -> None:
        self._stream = stream
        self._session = session

    async def receive(self) -> Any:
        """The next message, or an exception in place of what is none."""
        import anyio

        try:
            item = await self._stream.receive()
        except anyio.EndOfStream:
            if self._session is not None:
                self._session.ended()
            raise
        if self._session is not None and not isinstance(item, Exception):
            answer = self._session.received(json_of(item))
            return item if answer is None else item_of(answer)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        import anyio

        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class WriteStream:
    """The client's end for writing, of which the session hears."""

    def __init__(self, stream: Any, send: Callable[[Any], Any]) -> None:
        self._stream = stream
        self.send = send

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def session_message(original: Callable[..., None], _: Across) -> Callable[..., None]:
    """Version 1's ``SessionMessage.__init__``: whose doing the message is."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.sparrow_sender = as_here()

    return init


def handle_post_request(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """Version 1's ``StreamableHTTPTransport._handle_post_request``, which runs in a task of the session's.

    What a tool's code sends is the tool's own affair there, too.
    """

    async def _handle_post_request(self: Any, ctx: Any) -> None:
        sender = getattr(ctx.session_message, "sparrow_sender", None)
        with contextlib.nullcontext() if sender is None else sender:
            await original(self, ctx)

    return _handle_post_request


def json_of(item: Any) -> Json:
    """The message of a `SessionMessage`, as the transport writes it."""
    unset = hasattr(_types(), "jsonrpc_message_adapter")
    return item.message.model_dump(mode="json", by_alias=True, exclude_unset=unset, exclude_none=not unset)


def replayed_session(pipe: Pipe, tasks: Any, to_client: Any) -> ReplayedSession:
    """The session of a replay, within a task group, whose messages a stream takes to the client."""
    import anyio

    async def deliver(message: Json) -> None:
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await to_client.send(item_of(message))

    return ReplayedSession(pipe, tasks.start_soon, deliver, to_client.aclose)


def item_of(message: Json) -> Any:
    """A `SessionMessage`, as the transport reads it."""
    types = _types()
    adapter = getattr(types, "jsonrpc_message_adapter", None)
    read = (
        types.JSONRPCMessage.model_validate(message)
        if adapter is None
        else adapter.validate_python(message, by_name=False)
    )
    return sys.modules["mcp.shared.message"].SessionMessage(read)


def _types() -> Any:
    return sys.modules["mcp.client.stdio"].types
