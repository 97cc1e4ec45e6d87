"""MCP over stdio: recorded, and replayed without the server's process."""

from __future__ import annotations

import builtins
import contextlib
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks.mcp.streams import (
    JsonRpc,
    ReadStream,
    WriteStream,
    json_of,
    recorded_run,
    replayed_session,
)
from pytest_sparrow.frameworks.recorded_session import RecordedSession
from pytest_sparrow.frameworks.sessions import Pipe
from pytest_sparrow.run.answering import answering

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Across
    from pytest_sparrow.run.crossing import OpenRun

_LAUNCHER = re.compile(
    r"(python[\d.]*|pypy[\d.]*|node|npx|npm|pnpm|bunx?|deno|uvx?|pipx|docker|podman)(\.exe)?", re.IGNORECASE
)
"""Programs that start others: the one that they start says more."""

_VERBS = frozenset({"run", "exec", "tool", "x"})


def server_name(command: str, args: list[str]) -> str:
    """A short name of a server: the program that a launcher starts, else the program itself."""
    program = PurePath(command).name
    words = [arg for arg in args if not arg.startswith("-") and arg not in _VERBS]
    if _LAUNCHER.fullmatch(program) and words:
        program = PurePath(words[0]).name
    return re.sub(r"[^\w.-]", "-", program).lower() or "server"


def _started(server: Any) -> dict[str, Json]:
    """How a server is started: what the agent said of it, without what this machine said."""
    command = server.command
    started: dict[str, Json] = {
        "command": "python" if _is_python(command) else command,
        "args": ["python" if arg == sys.executable else arg for arg in server.args],
    }
    env = {name: value for name, value in (server.env or {}).items() if os.environ.get(name) != value}
    if env:
        started["env"] = env
    if server.cwd is not None:
        started["cwd"] = str(server.cwd)
    return started


def _is_python(command: str) -> bool:
    return command == sys.executable or re.fullmatch(r"python[\d.]*(\.exe)?", command) is not None


Streams = tuple[Any, Any]
Connect = Callable[..., AsyncGenerator[Streams, None]]


def stdio_client(original: Connect, _: Across) -> Connect:
    """The function behind ``stdio_client``, recorded and replayed."""

    async def connect(server: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Streams, None]:
        run = _run_for(server)
        if run is None:
            inner = contextlib.asynccontextmanager(original)(server, *args, **kwargs)
        elif run.replaying:
            inner = _replayed(run, server)
        else:
            inner = _recorded(run, server, contextlib.asynccontextmanager(original), args, kwargs)
        async with inner as streams:
            yield streams

    return connect


def _run_for(server: Any) -> OpenRun | None:
    run = recorded_run()
    if run is None:
        return None
    return run if run.passes_host(server_name(server.command, server.args), None) == "cross" else None


def _pipe(run: OpenRun, server: Any) -> Pipe:
    return Pipe(run=run, url=f"stdio://{server_name(server.command, server.args)}", dialect=JsonRpc())


@contextlib.asynccontextmanager
async def _recorded(
    run: OpenRun, server: Any, connect: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncGenerator[Streams, None]:
    pipe = _pipe(run, server)
    opening = pipe.ask(_started(server), method="CONNECT")
    connecting = connect(server, *args, **kwargs)
    try:
        with answering():
            read, write = await connecting.__aenter__()
    except OSError as error:
        opening.settle({"error": {"type": type(error).__name__, "message": str(error)}})
        raise
    except BaseException:
        opening.settle(None, complete=False)
        raise
    opening.settle({"status": 200, "headers": {}})
    session = RecordedSession(pipe)

    async def send(item: Any) -> None:
        with session.sending(json_of(item)):
            await write.send(item)

    try:
        yield ReadStream(read, session), WriteStream(write, send)
    except BaseException:
        session.left()
        if not await connecting.__aexit__(*sys.exc_info()):
            raise
    else:
        session.left()
        await connecting.__aexit__(None, None, None)


@contextlib.asynccontextmanager
async def _replayed(run: OpenRun, server: Any) -> AsyncGenerator[Streams, None]:
    import anyio

    pipe = _pipe(run, server)
    opening = pipe.ask(_started(server), method="CONNECT")
    opening.settle(opening.replayed)
    if opening.replayed is None:
        raise pipe.refused("the recorded answers end here, and no program was started")
    error = opening.replayed.get("error")
    if isinstance(error, dict):
        kind = getattr(builtins, str(error.get("type")), OSError)
        is_os = isinstance(kind, type) and issubclass(kind, OSError)
        raise (kind if is_os else OSError)(error.get("message"))
    into, read = anyio.create_memory_object_stream[Any](float("inf"))
    write, unread = anyio.create_memory_object_stream[Any](0)
    async with anyio.create_task_group() as tasks:
        session = replayed_session(pipe, tasks, into)

        async def send(item: Any) -> None:
            session.send(json_of(item))
            await anyio.lowlevel.checkpoint()

        with into, read, write, unread:
            try:
                await session.begin()
                yield read, WriteStream(write, send)
            finally:
                session.left()
                tasks.cancel_scope.cancel()
