"""claude-agent-sdk: the conversation with Claude's CLI is recorded, and replayed without its process.

The user's callbacks (permissions, hooks) are called in a replay, and their answers compared. Tools of the SDK's own
servers cross as those of MCP servers in memory do; the CLI's own tools are a part of its answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.exchange import TransportFailure
from pytest_sparrow.frameworks import noting
from pytest_sparrow.frameworks.adapter import Seam, built_in
from pytest_sparrow.frameworks.recorded_session import RecordedSession
from pytest_sparrow.frameworks.replayed_session import ReplayedSession
from pytest_sparrow.frameworks.sessions import Dialect, Key, Pipe
from pytest_sparrow.providers.claude_agent import HOST, OWN_SERVERS
from pytest_sparrow.run.answering import answering, is_answering
from pytest_sparrow.run.context import current_run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Across
    from pytest_sparrow.run.crossing import OpenRun

NAME = "claude-agent-sdk"

_SUB_AGENTS = ("Agent", "Task")
"""The CLI's tools that start a sub-agent."""

_TURN = "turn"
_EXIT = "sparrow_exit"
"""The type of a message that stands for the end of the process."""

_RANDOM = re.compile(r"(req_\d+)_[0-9a-f]+")
"""The ids of the SDK's own requests: a number, and a random part."""


class ClaudeMessages(Dialect):
    """The messages between the SDK and the CLI; ids of the SDK's requests stand in a golden without what is random.

    Args:
        own: names of the SDK's own servers.
    """

    def __init__(self, own: list[str]) -> None:
        self._query = f"?{urlencode([(OWN_SERVERS, name) for name in own])}" if own else ""
        self._ids: dict[Any, str] = {}
        self._subtypes: dict[Any, str] = {}

    def question(self, message: Json) -> Key | None:
        """What the user says is answered by a turn, a request by a response."""
        if message.get("type") == "user":
            return _TURN
        return message.get("request_id") if message.get("type") == "control_request" else None

    def answer(self, message: Json) -> Key | None:
        """A turn ends with its result."""
        if message.get("type") == "result":
            return _TURN
        return self.reply(message)

    def asks(self, message: Json) -> Key | None:
        """A request of the CLI: for a permission, to a hook, to a server of the SDK's."""
        if message.get("type") != "control_request":
            return None
        key: Key = message["request_id"]
        self._subtypes[key] = str(message["request"].get("subtype"))
        return key

    def reply(self, message: Json) -> Key | None:
        """A response."""
        if message.get("type") != "control_response":
            return None
        key: Key | None = message["response"].get("request_id")
        return key

    def address(self, message: Json) -> str:
        """What a message is about: a turn, or the subtype of a request."""
        if message.get("type") == "user":
            return f"/{_TURN}{self._query}"
        replied: Any = self.reply(message)
        about = message.get("request", {}).get("subtype") or self._subtypes.get(replied)
        return f"/{about or message.get('type')}"

    def stable(self, message: Json) -> Json:
        """A message as a golden has it."""
        if message.get("type") == "control_request":
            real = message["request_id"]
            found = _RANDOM.fullmatch(real)
            if found is not None:
                self._ids[found[1]] = real
                return {**message, "request_id": found[1]}
        response = message.get("response")
        if message.get("type") == "control_response" and isinstance(response, dict):
            found = _RANDOM.fullmatch(str(response.get("request_id")))
            if found is not None:
                return {**message, "response": {**response, "request_id": found[1]}}
        return message

    def here(self, message: Json) -> Json:
        """A message of a golden with the ids of this run."""
        response = message.get("response")
        if message.get("type") != "control_response" or not isinstance(response, dict):
            return message
        known = response.get("request_id")
        return {**message, "response": {**response, "request_id": self._ids.get(known, known)}}


class _Noting:
    """Notes permissions and sub-agents by the messages that pass, in the strands of the SDK's that pass them."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._roles: dict[str, str] = {}

    def received(self, message: Json) -> None:
        """A message of the CLI's."""
        request = message.get("request")
        if message.get("type") == "control_request" and request.get("subtype") == "can_use_tool":
            asked = message["request_id"]
            call_id = self._asked[asked] = str(request.get("tool_use_id") or asked)
            noting.approval_requested(NAME, call_id, str(request.get("tool_name")), request.get("input"))
        elif message.get("type") in ("assistant", "user"):
            content = (message.get("message") or {}).get("content")
            for block in content if isinstance(content, list) else ():
                self._read(block)

    def _read(self, block: Json) -> None:
        if block.get("type") == "tool_use" and block.get("name") in _SUB_AGENTS:
            role = self._roles[block["id"]] = str(block["input"].get("subagent_type", ""))
            noting.agent_began(NAME, role, str(block["input"].get("model") or ""))
        called = str(block.get("tool_use_id"))
        if called in self._roles:
            noting.agent_ended(NAME, self._roles.pop(called), "Error" if block.get("is_error") else "Done")

    def sent(self, message: Json) -> None:
        """A message of the user's."""
        response = message.get("response")
        if message.get("type") == "control_response" and response.get("request_id") in self._asked:
            decision = response.get("response") or {}
            allowed = decision.get("behavior") == "allow"
            noting.approval_resolved(NAME, self._asked.pop(response["request_id"]), allowed=allowed)


class _Recorded:
    """A transport that is recorded."""

    def __init__(self, pipe: Pipe, messages: ClaudeMessages) -> None:
        self.session = RecordedSession(pipe)
        self.messages = messages
        self.noting = _Noting()

    async def write(self, data: str, original: Callable[[], Awaitable[None]]) -> None:
        with self.session.sending(self.messages.stable(json.loads(data))):
            await original()

    async def read(self, original: AsyncIterator[Json]) -> AsyncGenerator[Json]:
        try:
            async for message in original:
                self.session.received(self.messages.stable(message))
                yield message
        except Exception as error:
            said = {"type": type(error).__name__, "message": str(error)}
            if self.session.waits:
                self.session.ended(TransportFailure(**said))
            else:
                self.session.broke(
                    {"type": _EXIT, "error": said, "exit_code": getattr(error, "exit_code", None)}
                )
            raise
        self.session.ended()

    async def end_input(self, original: Callable[[], Awaitable[None]]) -> None:
        await original()

    async def close(self, original: Callable[[], Awaitable[None]]) -> None:
        self.session.left()
        await original()


class _Replayed:
    """A transport with nobody behind it."""

    def __init__(self, pipe: Pipe, messages: ClaudeMessages) -> None:
        import anyio

        self._into, self._out = anyio.create_memory_object_stream[Any](float("inf"))
        self._tasks: list[Any] = []
        self.messages = messages
        self.noting = _Noting()
        self.session = ReplayedSession(pipe, self._start, self._deliver, self._end)

    def _start(self, work: Callable[..., Any], *args: Any) -> None:
        spawn = sys.modules["claude_agent_sdk._internal._task_compat"].spawn_detached
        self._tasks.append(spawn(work(*args)))

    async def _deliver(self, message: Json) -> None:
        import anyio

        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._into.send_nowait(self.messages.here(message))

    async def _end(self) -> None:
        self._into.close()

    async def write(self, data: str, _: Callable[[], Awaitable[None]]) -> None:
        import anyio

        try:
            self.session.send(self.messages.stable(json.loads(data)))
        except ReplayDivergence as error:
            # The SDK may send from a task of its own, where the error is lost: whoever reads must not wait.
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._into.send_nowait(error)
            raise
        await anyio.lowlevel.checkpoint()

    async def read(self) -> AsyncGenerator[Json]:
        import anyio

        with self._out, contextlib.suppress(anyio.ClosedResourceError):
            async for message in self._out:
                if isinstance(message, Exception):
                    raise message
                if message.get("type") == _EXIT:
                    raise _error(message["error"], message.get("exit_code"))
                yield message

    async def end_input(self, _: object) -> None:
        await self.session.input_ended()

    async def close(self, _: object) -> None:
        self.session.left()
        for task in self._tasks:
            task.cancel()
        self._into.close()
        self._out.close()


_open: weakref.WeakKeyDictionary[Any, _Recorded | _Replayed] = weakref.WeakKeyDictionary()
"""The transports that are connected within a run."""


def _connect(original: Callable[..., Awaitable[None]], _: Across) -> Callable[..., Awaitable[None]]:
    async def connect(self: Any) -> None:
        run = None if is_answering() or self in _open else _run()
        if run is None:
            await original(self)
            return
        messages = ClaudeMessages(_own_servers(self))
        pipe = Pipe(run=run, url=f"stdio://{HOST}", dialect=messages)
        opening = pipe.ask(_started(self), method="CONNECT")
        if run.replaying:
            opening.settle(opening.replayed)
            if opening.replayed is None:
                raise pipe.refused("the recorded answers end here, and no program was started")
            error = opening.replayed.get("error")
            if isinstance(error, dict):
                raise _error(error)
            replayed = _open[self] = _Replayed(pipe, messages)
            self._ready = True
            await replayed.session.begin()
            return
        try:
            with answering():
                await original(self)
        except Exception as failed:
            opening.settle({"error": {"type": type(failed).__name__, "message": str(failed)}})
            raise
        opening.settle({"status": 200, "headers": {}})
        _open[self] = _Recorded(pipe, messages)

    return connect


def _run() -> OpenRun | None:
    run = current_run()
    if run is None or NAME not in run.frameworks or run.passes_host(HOST, None) != "cross":
        return None
    return run


def _own_servers(transport: Any) -> list[str]:
    servers = transport._options.mcp_servers  # noqa: SLF001
    if not isinstance(servers, dict):
        return []
    return sorted(name for name, server in servers.items() if server.get("type") == "sdk")


def _started(transport: Any) -> dict[str, Json]:
    """How the CLI is started: what the agent said of it, without where it is."""
    options = transport._options  # noqa: SLF001
    found = transport._cli_path  # noqa: SLF001
    transport._cli_path = found or HOST  # noqa: SLF001
    try:
        words = transport._build_command()[1:]  # noqa: SLF001
    finally:
        transport._cli_path = found  # noqa: SLF001
    started: dict[str, Json] = {"options": _options(words)}
    env = {name: value for name, value in options.env.items() if os.environ.get(name) != value}
    if env:
        started["env"] = env
    if options.cwd is not None:
        started["cwd"] = str(options.cwd)
    return started


def _options(words: list[str]) -> dict[str, Json]:
    """A command's options by name: a path in a report then names the option."""
    options: dict[str, Json] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = _value(value) if equals else True
        elif options.get(name, True) is True:
            options[name] = _value(word)
        else:
            options[name] = [options[name], word]
    return options


def _value(word: str) -> Json:
    with contextlib.suppress(ValueError):
        return json.loads(word) if word.startswith(("{", "[")) else word
    return word


def _error(said: Json, exit_code: Json = None) -> Exception:
    """The SDK's error of a recorded name."""
    errors = sys.modules["claude_agent_sdk"]
    kind = getattr(errors, str(said.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = errors.CLIConnectionError
    error: Exception = kind(str(said.get("message")))
    if exit_code is not None:
        error.exit_code = exit_code  # type: ignore[attr-defined]
    return error


def _write(original: Callable[..., Awaitable[None]], _: Across) -> Callable[..., Awaitable[None]]:
    async def write(self: Any, data: str) -> None:
        known = _open.get(self)
        if known is None:
            await original(self, data)
            return
        known.noting.sent(json.loads(data))
        await known.write(data, lambda: original(self, data))

    return write


def _read_messages(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def read_messages(self: Any) -> AsyncIterator[Json]:
        known = _open.get(self)
        if isinstance(known, _Replayed):
            return _noted(known, known.read())
        messages: AsyncIterator[Json] = original(self)
        return messages if known is None else _noted(known, known.read(messages))

    return read_messages


async def _noted(known: _Recorded | _Replayed, messages: AsyncGenerator[Json]) -> AsyncIterator[Json]:
    async with contextlib.aclosing(messages) as passing:
        async for message in passing:
            known.noting.received(message)
            yield message


def _end_input(original: Callable[..., Awaitable[None]], _: Across) -> Callable[..., Awaitable[None]]:
    async def end_input(self: Any) -> None:
        known = _open.get(self)
        await (original(self) if known is None else known.end_input(lambda: original(self)))

    return end_input


def _close(original: Callable[..., Awaitable[None]], _: Across) -> Callable[..., Awaitable[None]]:
    async def close(self: Any) -> None:
        known = _open.pop(self, None)
        await (original(self) if known is None else known.close(lambda: original(self)))
        self._ready = False

    return close


_MODULE = "claude_agent_sdk._internal.transport.subprocess_cli"

ADAPTER = built_in(
    NAME,
    (
        Seam(module=_MODULE, path="SubprocessCLITransport.connect", replace=_connect),
        Seam(module=_MODULE, path="SubprocessCLITransport.write", parameters=("data",), replace=_write),
        Seam(module=_MODULE, path="SubprocessCLITransport.read_messages", replace=_read_messages),
        Seam(module=_MODULE, path="SubprocessCLITransport.end_input", replace=_end_input),
        Seam(module=_MODULE, path="SubprocessCLITransport.close", replace=_close),
    ),
)
