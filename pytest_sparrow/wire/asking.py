"""Reads what a request asks: the JSON-RPC 2.0 in it, as MCP speaks it, and a few words for messages.

Clients count ids as they send, so parallel calls may swap ids; an answer reaches its caller by the id. So does MCP's
progress, by a token for which clients use the id.
Format: https://www.jsonrpc.org/specification, sections 4 and 5, and "Progress" of
https://modelcontextprotocol.io/specification.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.text import cut
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.spelling import without_text

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""The port of a URL that names none, by its scheme."""

IN_MEMORY = "memory://"
"""How the URL of a server begins that lives in the test's own process."""

_LOOK_UPS = frozenset(
    {"tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"}
)

_PROGRESS = "notifications/progress"
_TOKEN = "progressToken"  # noqa: S105 - no secret

_IN_INITIALIZE = ("protocolVersion", "clientInfo")
_IN_META = ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientInfo")
"""Where a client says the protocol's version, and its own: in MCP of today once, in later versions in each message."""


def without_id(body: Json) -> Json:
    """A body with the id of its request masked, and the versions that a client of MCP says; any other body as it is.

    That there is an id still counts: a notification has none. The id of an answer to a server's request counts, too:
    the server chose the id, and "yes" to another question is another answer.
    """
    message = _message(body)
    if message is None or "method" not in message:
        return body
    params = message.get("params")
    if isinstance(params, dict) and isinstance(params.get("_meta"), dict):
        meta = _without_versions(params["_meta"], _IN_META)
        if _same(meta.get(_TOKEN), message.get("id")):
            meta = {**meta, _TOKEN: None}
        params = {**params, "_meta": meta}
    if isinstance(params, dict) and message["method"] == "initialize":
        params = _without_versions(params, _IN_INITIALIZE)
    masked = {**message, "params": params} if "params" in message else message
    return {**body, "json": {**masked, "id": None} if "id" in message else masked}


def _without_versions(said: dict[str, Json], names: tuple[str, str]) -> dict[str, Json]:
    """An object without the versions of the protocol and of the client's SDK, which are no doing of the agent."""
    protocol, client = names
    found = {**said, protocol: None} if protocol in said else said
    info = said.get(client)
    return {**found, client: {**info, "version": None}} if isinstance(info, dict) else found


def is_look_up(asked: dict[str, Json]) -> bool:
    """Whether an ``http`` asked half only asks an MCP server what it offers.

    Clients send such requests by themselves, once or once for each call under way: their number is chance. The
    answer is the same.
    """
    message = _message(asked.get("body"))
    method = message.get("method") if message is not None else None
    return isinstance(method, str) and method in _LOOK_UPS


def what_is_asked(asked: dict[str, Json]) -> str:
    """The method of a JSON-RPC request and the name that it names, as `` (tools/call refund)``; "" for any other."""
    message = _message(asked.get("body"))
    if message is None:
        return ""
    params = message.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    words = [each for each in (message.get("method"), name) if isinstance(each, str)]
    return f" ({' '.join(words)})" if words else ""


def tool_in_memory(asked: dict[str, Json]) -> str:
    """The name of the tool that a message to an MCP server in memory calls; "" for any other request."""
    message = _message(asked.get("body")) if str(asked.get("url")).startswith(IN_MEMORY) else None
    if message is None or message.get("method") != "tools/call":
        return ""
    params = message.get("params")
    return str(params["name"]) if isinstance(params, dict) and "name" in params else ""


def addressed(
    asked: dict[str, Json], recorded: dict[str, Json], answered: dict[str, Json]
) -> dict[str, Json]:
    """A recorded answer, with the id of the message that it answers now.

    Args:
        asked: what is asked now.
        recorded: what was asked in the recording.
        answered: what was answered then, whole or as a stream.
    """
    now, then = _message(asked.get("body")), _message(recorded.get("body"))
    if now is None or then is None or "id" not in now or "id" not in then or _same(now["id"], then["id"]):
        return answered
    body = answered.get("body")
    if isinstance(body, dict) and "json" in body:
        message = _readdressed(body["json"], then["id"], now["id"])
        return {**answered, "body": {**without_text(body), "json": message}}
    if isinstance(body, dict) and isinstance(body.get("sse"), list):
        events = [_event(event, then["id"], now["id"]) for event in body["sse"]]
        return {**answered, "body": {**body, "sse": events}}
    return answered


def _message(body: Json) -> dict[str, Json] | None:
    message = body.get("json") if isinstance(body, dict) else None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None


def _same(one: Json, other: Json) -> bool:
    return type(one) is type(other) and bool(one == other)


def _readdressed(message: Json, then: Json, now: Json) -> Json:
    """An answer to ``then`` as an answer to ``now``; requests and notifications of the server keep their ids."""
    if not isinstance(message, dict):
        return message
    params = message.get("params")
    if isinstance(params, dict) and message.get("method") == _PROGRESS and _same(params.get(_TOKEN), then):
        return {**message, "params": {**params, _TOKEN: now}}
    answers = "result" in message or "error" in message
    return {**message, "id": now} if answers and _same(message.get("id"), then) else message


def _event(text: Json, then: Json, now: Json) -> Json:
    def readdressed(data: str) -> str:
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return data
        changed = _readdressed(message, then, now)
        return data if changed is message else json.dumps(changed, ensure_ascii=False, separators=(",", ":"))

    # In a golden it may be anything: what serves it refuses it.
    return sse.with_data(text, readdressed) if isinstance(text, str) else text


_MOST = 120


def describe(kind: str, asked: dict[str, Json], *, query: bool = False) -> str:
    """``POST api.openai.com/v1/chat/completions``, ``refund(amount=39.99)`` or ``call geo("Berlin")``.

    Args:
        kind: "http", "tool", "call", or a kind that only a newer version knows.
        asked: what is asked.
        query: whether the URL's query is shown; True only for a redacted asked half.
    """
    if kind == "http":
        url = urlsplit(asked["url"])
        behind = f"?{cut(url.query, _MOST)}" if query and url.query else ""
        return f"{asked['method'].upper()} {url.netloc}{url.path}{behind}{what_is_asked(asked)}"
    if kind == "tool":
        return f"{asked['name']}({_named(asked['args'])})"
    if kind != "call":
        return f"an exchange of the kind {kind!r}"
    positional = [_short(value) for value in asked["args"]]
    keywords = [_named(asked["kwargs"])] if asked["kwargs"] else []
    return f"call {asked['name']}({', '.join(positional + keywords)})"


def _named(args: dict[str, Json]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in args.items())


def _short(value: Json) -> str:
    return cut(encode(value).decode(), _MOST)
