"""Reads a responses request: the conversation, the first user text, and the outputs of tools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, image_block
from pytest_sparrow.providers.codec import Output
from pytest_sparrow.providers.reading import as_dict, as_list, as_text, text_block

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["blocks_of", "conversation_of", "input_items", "is_message", "tool_results"]

# What the provider fills in, and what agents keep or drop when they send an item back.
_VOLATILE = frozenset(
    {"created_by", "encrypted_content", "id", "namespace", "parsed", "parsed_arguments", "phase", "status"}
)

# What an agent may leave out of a later request: it says nothing of which conversation this is.
_PRIVATE = frozenset({"reasoning", "compaction", "compaction_summary", "additional_tools"})


def input_items(body: dict[str, Json]) -> list[Json]:
    """The request's items; a plain text becomes one message of the user."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return as_list(given)


def is_message(item: dict[str, Json]) -> bool:
    """Whether an item is a message, which may leave its type out."""
    return item.get("type", "message") == "message" and "role" in item


def conversation_of(body: dict[str, Json]) -> list[Json]:
    """The items in a spelling that is the same in every request that repeats them.

    A request that continues an answer kept by the provider (``previous_response_id``, ``conversation``) begins
    with that name: it holds no words of the turns before. Reasoning is left out, like what system and
    developer say.
    """
    begun = [{key: _named(body[key])} for key in ("conversation", "previous_response_id") if body.get(key)]
    items = map(as_dict, input_items(body))
    return [*begun, *(_normal(item) for item in items if not _is_left_out(item))]


def _is_left_out(item: dict[str, Json]) -> bool:
    return as_text(item.get("type")) in _PRIVATE or as_text(item.get("role")) in ("system", "developer")


def _named(value: Json) -> Json:
    return as_dict(value).get("id", value)


def _normal(item: dict[str, Json]) -> Json:
    if item.get("type") == "item_reference":  # the id is all it has
        return {"item_reference": item.get("id")}
    if is_message(item):
        return {"role": item.get("role"), "content": _normal_content(item.get("content"))}
    return {key: value for key, value in item.items() if key not in _VOLATILE and value is not None}


def _normal_content(content: Json) -> list[Json]:
    """Parts without the keys that a repetition may add; a plain text is one part, and so is each text."""
    parts: list[Json] = [content] if isinstance(content, str) else as_list(content)
    return [_normal_part(part) for part in parts]


def _normal_part(part: Json) -> Json:
    fields = as_dict(part)
    for key in ("text", "refusal"):
        if isinstance(fields.get(key), str):
            return fields[key]
    return {key: value for key, value in fields.items() if value is not None} if fields else part


def tool_results(body: dict[str, Json]) -> list[Output]:
    """Every output of a tool that the agent ran, and every word on an approval, in order."""
    results = []
    for item in map(as_dict, input_items(body)):
        kind = as_text(item.get("type"))
        if kind == "mcp_approval_response":
            call_id, read = as_text(item.get("approval_request_id")), _approval
        elif kind.endswith("_output") and item.get("execution") != "server":
            # A local shell's output names the call by `id`.
            call_id, read = as_text(item.get("call_id")) or _own_id(kind, item), _output
        else:
            continue
        if call_id:
            failed = item.get("status") == "failed"
            results.append(Output(id=call_id, blocks=LazyBlocks(partial(read, item)), is_error=failed))
    return results


def _own_id(kind: str, item: dict[str, Json]) -> str:
    return as_text(item.get("id")) if kind == "local_shell_call_output" else ""


def _approval(item: dict[str, Json]) -> list[Json]:
    return [{"Json": {key: item[key] for key in ("approve", "reason") if item.get(key) is not None}}]


def _output(item: dict[str, Json]) -> list[Json]:
    if item.get("type") == "tool_search_output":
        return blocks_of(item.get("tools"))
    if item.get("output") is None and isinstance(item.get("status"), str):
        return [{"Text": as_text(item["status"])}]  # apply_patch may have nothing else to say
    return blocks_of(item.get("output"))


def blocks_of(content: Json) -> list[Json]:
    """An item's output as blocks: one for a text or an object, one for each part of a list."""
    return content_blocks(content, _known)


def _known(part: dict[str, Json]) -> Json | None:
    """A text, logs or an image as a block; a URL, a file and an exit code have none."""
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text") and isinstance(part.get("text"), str):
        return text_block(part["text"])
    if kind == "logs" and isinstance(part.get("logs"), str):  # of a code interpreter
        return text_block(part["logs"])
    return image_block(
        as_text(part.get("image_url")) or (as_text(part.get("url")) if kind == "image" else "")
    )
