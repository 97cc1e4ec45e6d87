"""Parts, as the items of a responses answer: the other way round of `openai_responses_items`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.replies import json_text
from pytest_sparrow.providers.values import arguments_text
from pytest_sparrow.providers.wire import as_dict, as_list
from pytest_sparrow.recording.blocks import as_text
from pytest_sparrow.recording.codec import Output, Part, Proposal, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Json

__all__ = ["output_items"]

_CLIENTS = frozenset({"apply_patch", "computer", "local_shell", "shell", "tool_search"})
_SERVERS = frozenset({"code_interpreter", "file_search", "image_generation", "web_search"})
_ALIASES = {"computer_use_preview": "computer", "computer-preview": "computer"}


def output_items(request: dict[str, Json], parts: Sequence[Part], digest: str) -> list[dict[str, Json]]:
    """The items that say ``parts`` to this request; ids that nobody gave are made of ``digest``.

    Reasoning side by side is one item of several parts, and so is text. A hosted call and its output become what
    the provider has for them, side by side: an item of the tool's type, else of MCP. An output without its call
    is left out.
    """
    declared = _Declared(request)
    outputs = {part.id: part for part in parts if isinstance(part, Output)}
    items: list[dict[str, Json]] = []
    spoken = (part for part in parts if not isinstance(part, Text | Reasoning) or part.text)
    for kind, group in groupby(spoken, type):
        made_up = f"{digest}{len(items):04x}"
        if kind is Reasoning:
            summary = [{"type": "summary_text", "text": text} for text in _texts(group)]
            items.append({"id": f"rs_{made_up}", "type": "reasoning", "summary": summary})
        elif kind is Text:
            items.append(_message(f"msg_{made_up}", _texts(group)))
        else:
            for part in group:
                if isinstance(part, Proposal):
                    items.extend(declared.call(part, f"{digest}{len(items):04x}", outputs.get(part.id)))
    return items


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    return (part.text for part in parts if isinstance(part, Text | Reasoning))


def _message(item_id: str, texts: Iterable[str]) -> dict[str, Json]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


class _Declared:
    """The tools that a request declares, which say how a call of each is written."""

    def __init__(self, request: dict[str, Json]) -> None:
        tools = [as_dict(tool) for tool in as_list(request.get("tools"))]
        named = [(tool.get("type"), as_text(tool.get("name"))) for tool in tools]
        self._custom = {name for kind, name in named if kind == "custom"}
        functions = {name for kind, name in named if kind == "function"}
        kinds = {as_text(kind) for kind, _ in named}
        self._clients = ({_ALIASES.get(kind, kind) for kind in kinds} & _CLIENTS) - functions

    def call(self, call: Proposal, made_up: str, output: Output | None) -> list[dict[str, Json]]:
        """The item of a call; of a hosted one with what it gave, which may be an item of its own."""
        if call.hosted:
            return _hosted(call, made_up, output)
        if call.name in self._custom:
            text = call.args if isinstance(call.args, str) else arguments_text(call.args)
            item = {"type": "custom_tool_call", "id": f"ctc_{made_up}", "name": call.name, "input": text}
        elif call.name in self._clients and isinstance(call.args, dict):
            item = _client_item(call, made_up)
        else:
            item = {"type": "function_call", "id": f"fc_{made_up}", "name": call.name}
            item["arguments"] = arguments_text(call.args)
        return [{**item, "call_id": call.id, "status": "completed"}]


def _client_item(call: Proposal, made_up: str) -> dict[str, Json]:
    item = {"type": f"{call.name}_call", "id": f"item_{made_up}"}
    if call.name == "tool_search":
        return {**item, "arguments": call.args, "execution": "client"}
    checks: dict[str, Json] = {"pending_safety_checks": []} if call.name == "computer" else {}
    return {**checks, **call.args, **item}


def _hosted(call: Proposal, made_up: str, output: Output | None) -> list[dict[str, Json]]:
    if call.name in ("shell", "tool_search") and isinstance(call.args, dict):
        return _with_own_output(call, made_up, output)
    status = "failed" if output is not None and output.is_error else "completed"
    if call.name == "mcp_approval_request" and isinstance(call.args, dict):
        arguments = arguments_text(call.args.get("arguments", {}))
        return [{**call.args, "id": call.id, "type": call.name, "arguments": arguments}]
    item: dict[str, Json] = {"id": call.id, "status": "in_progress" if output is None else status}
    if call.name in _SERVERS and isinstance(call.args, dict):
        held = {} if output is None else _held(call.name, output.blocks)
        return [{**call.args, **held, "type": f"{call.name}_call", **item}]
    if call.name == "mcp_list_tools" and isinstance(call.args, dict):
        tools = [] if output is None else [_entry(block) for block in output.blocks]
        return [{**call.args, "tools": tools, "type": call.name, **item}]
    text = None if output is None else "\n".join(map(_text, output.blocks))
    said = (
        {"output": None, "error": _mcp_error(text)} if status == "failed" else {"output": text, "error": None}
    )
    named = {"name": call.name, "server_label": "", "arguments": arguments_text(call.args), **said}
    return [{**named, "type": "mcp_call", **item}]


def _mcp_error(text: str | None) -> dict[str, Json]:
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text or ""}]}


def _with_own_output(call: Proposal, made_up: str, output: Output | None) -> list[dict[str, Json]]:
    server: dict[str, Json] = {"call_id": call.id, "status": "completed", "execution": "server"}
    item: dict[str, Json] = {"id": f"item_{made_up}", "type": f"{call.name}_call", **server}
    item |= {"arguments": call.args} if call.name == "tool_search" else call.args
    if output is None:
        return [item]
    kind, key = (
        ("tool_search_output", "tools") if call.name == "tool_search" else ("shell_call_output", "output")
    )
    values = [_entry(block) for block in output.blocks]
    return [item, {"id": f"item_{made_up}o", "type": kind, **server, key: values}]


def _held(name: str, blocks: Iterable[Json]) -> dict[str, Json]:
    if name == "image_generation":
        return {"result": next((image[1] for block in blocks if (image := image_data(block))), None)}
    if name == "code_interpreter":
        return {"container_id": "", "outputs": [_interpreted(block) for block in blocks]}
    return {"results": [_entry(block) for block in blocks]}


def _interpreted(block: Json) -> Json:
    image = image_data(block)
    if image is None:
        return {"type": "logs", "logs": _text(block)}
    return {"type": "image", "url": f"data:{image[0]};base64,{image[1]}"}


def _entry(block: Json) -> Json:
    """A block as an object, which is what every list of results is made of."""
    value = _held_in(block)
    return value if isinstance(value, dict) else {"type": "text", "text": _text(block)}


def _held_in(block: Json) -> Json:
    return next(iter(as_dict(block).values()), None)


def _text(block: Json) -> str:
    value = _held_in(block)
    return value if isinstance(value, str) else json_text(value)
