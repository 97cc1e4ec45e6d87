"""MCP: sessions over stdio and in memory are recorded, and replayed without the server; see `sessions` for their form.

What an MCP client sends over HTTP crosses on the wire, and needs nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.adapter import Seam, built_in
from pytest_sparrow.frameworks.mcp import memory, stdio, streams
from pytest_sparrow.frameworks.mcp.streams import NAME, recorded_run
from pytest_sparrow.run.answering import is_in_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.frameworks.adapter import Across


def _call_tool(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """Names a tool of a session that nothing records: it was opened before the run, or the user lets it pass."""

    async def call_tool(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        run = None if is_in_world() else recorded_run()
        before = 0 if run is None else run.crossings
        result = await original(self, name, *args, **kwargs)
        if run is not None and run.crossings == before:
            run.not_compared("session", name, "")
        return result

    return call_tool


ADAPTER = built_in(
    NAME,
    (
        Seam(
            module="mcp.client.stdio",
            path="stdio_client.__wrapped__",
            parameters=("server",),
            replace=stdio.stdio_client,
            everywhere=True,
        ),
        Seam(
            module="mcp.client.session",
            path="ClientSession.call_tool",
            parameters=("name",),
            replace=_call_tool,
        ),
        Seam(
            module="mcp.shared.memory",
            path="create_client_server_memory_streams.__wrapped__",
            replace=memory.streams,
            everywhere=True,
        ),
        Seam(
            module="mcp.shared.direct_dispatcher",
            path="DirectDispatcher.send_raw_request",
            parameters=("method", "params", "opts"),
            replace=memory.send_raw_request,
            where="mcp.shared.direct_dispatcher",
        ),
        Seam(
            module="mcp.shared.direct_dispatcher",
            path="DirectDispatcher._dispatch_notify",
            parameters=("method", "params"),
            replace=memory.dispatch_notify,
            where="mcp.shared.direct_dispatcher",
        ),
        Seam(
            module="mcp.server.lowlevel.server",
            path="Server.run",
            parameters=("read_stream",),
            replace=memory.run_server,
            about="changes in the code of tools in memory",
        ),
        Seam(
            module="mcp.shared.message",
            path="SessionMessage.__init__",
            replace=streams.session_message,
            where="mcp.shared.session",
        ),
        Seam(
            module="mcp.client.streamable_http",
            path="StreamableHTTPTransport._handle_post_request",
            parameters=("ctx",),
            replace=streams.handle_post_request,
            where="mcp.shared.session",
        ),
        Seam(
            module="mcp.server.lowlevel.server",
            path="Server._handle_request",
            parameters=("message", "req", "session"),
            replace=memory.handle_request,
            where="mcp.shared.session",
        ),
    ),
)
