"""What responses say, read from what the SDK returned: simply, and not by the codec."""

from __future__ import annotations

import base64
import json
from typing import Any

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed

__all__ = ["facts_of", "parsed", "responses_compared", "sent_outputs"]

_CALLS = {
    "apply_patch_call": "apply_patch",
    "code_interpreter_call": "code_interpreter",
    "computer_call": "computer",
    "file_search_call": "file_search",
    "image_generation_call": "image_generation",
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "web_search_call": "web_search",
    "mcp_list_tools": "mcp_list_tools",
}
_ARGUMENTS = {
    "apply_patch_call": ("operation",),
    "code_interpreter_call": ("code",),
    "computer_call": ("action",),
    "file_search_call": ("queries",),
    "image_generation_call": (),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "web_search_call": ("action",),
    "mcp_list_tools": ("server_label",),
}


def parsed(text: str) -> Any:
    """JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def facts_of(found: dict[str, Any]) -> dict[str, Any]:
    """Texts, thoughts, calls, hosted outputs by id, usage and whether it failed."""
    facts: dict[str, Any] = {
        "texts": [],
        "thoughts": [],
        "calls": [],
        "outputs": {},
        "usage": None,
        "failed": False,
    }
    if "sdk_error" in found:
        return {**facts, "failed": True}
    response = found["response"]
    events = found.get("events", ())
    items = response.get("output") or _from_events(events)
    if response["status"] in ("queued", "in_progress") and not events:
        items = []
    for position, item in enumerate(items):
        _add(facts, item, items[position + 1 :])
    usage = response.get("usage")
    facts["usage"] = usage and (usage["input_tokens"], usage["output_tokens"])
    facts["failed"] = response["status"] == "failed" or any(event["type"] == "error" for event in events)
    return facts


def _from_events(events: Any) -> list[Any]:
    """The items of a stream that broke off: finished ones, else the deltas joined."""
    items: dict[int, Any] = {}
    for event in events:
        at = event.get("output_index")
        if event["type"] in ("response.output_item.added", "response.output_item.done"):
            items[at] = dict(event["item"])
        elif event["type"] == "response.output_text.delta":
            said = "".join(part["text"] for part in items[at]["content"])
            items[at]["content"] = [{"type": "output_text", "text": said + event["delta"]}]
        elif event["type"] == "response.function_call_arguments.delta":
            items[at]["arguments"] += event["delta"]
    return [items[at] for at in sorted(items)]


def _add(facts: dict[str, Any], item: dict[str, Any], rest: list[Any]) -> None:
    kind = item["type"]
    if kind == "message":
        facts["texts"] += [part.get("text") or part.get("refusal") for part in item["content"]]
    elif kind == "reasoning":
        facts["thoughts"] += [part["text"] for part in (*item["summary"], *(item.get("content") or ()))]
    elif kind in _CALLS:
        _add_tool(facts, item)
    else:
        _add_named_call(facts, item, rest)


def _add_named_call(facts: dict[str, Any], item: dict[str, Any], rest: list[Any]) -> None:
    kind = item["type"]
    if kind == "function_call":
        facts["calls"].append((item["name"], parsed(item["arguments"]) if item["arguments"] else {}))
    elif kind == "custom_tool_call":
        facts["calls"].append((item["name"], item["input"]))
    elif kind == "mcp_call":
        facts["calls"].append((item["name"], parsed(item["arguments"])))
        facts["outputs"][item["id"]] = _mcp_output(item)
    elif kind == "mcp_approval_request":
        args = {"server_label": item["server_label"], "name": item["name"]}
        facts["calls"].append((kind, {**args, "arguments": parsed(item["arguments"])}))
    elif kind == "tool_search_call":
        facts["calls"].append(("tool_search", item["arguments"]))
        if item["execution"] == "server":
            found = next(each for each in rest if each["type"] == "tool_search_output")
            facts["outputs"][item["id"]] = [{"Json": tool} for tool in found["tools"]]


def _add_tool(facts: dict[str, Any], item: dict[str, Any]) -> None:
    kind = item["type"]
    args = {key: item[key] for key in _ARGUMENTS[kind]}
    if kind == "web_search_call":
        args["action"] = {key: value for key, value in item["action"].items() if key != "sources"}
    facts["calls"].append((_CALLS[kind], args))
    if kind not in ("apply_patch_call", "computer_call", "local_shell_call", "shell_call"):
        facts["outputs"][item["id"]] = _hosted_output(item)


def _mcp_output(item: dict[str, Any]) -> list[Any]:
    if item.get("error"):
        return [{"Json": item["error"]}]
    return [{"Json": parsed(item["output"])}]


def _hosted_output(item: dict[str, Any]) -> list[Any]:
    if item.get("result"):
        return [_image(f"data:image/png;base64,{item['result']}")]
    listed = item.get("results") or item.get("tools") or (item.get("action") or {}).get("sources")
    blocks = [{"Json": each} for each in listed or ()]
    for each in item.get("outputs") or ():
        blocks.append({"Text": each["logs"]} if each["type"] == "logs" else _image(each["url"]))
    return blocks


def _image(uri: str) -> Any:
    return {"Image": {"data": list(base64.b64decode(uri.partition(",")[2])), "mime": "image/png"}}


def sent_outputs(requests: list[Any]) -> dict[str, Any]:
    """What the requests send back, by the call's id: as the first request that holds it says."""
    outputs: dict[str, Any] = {}
    for request in requests:
        for item in (request or {}).get("input", ()):
            if isinstance(item, dict):
                for call_id, blocks in _sent(item):
                    outputs.setdefault(call_id, blocks)
    return outputs


def _sent(item: dict[str, Any]) -> Any:
    kind = item.get("type", "")
    if kind == "mcp_approval_response":
        yield item["approval_request_id"], [{"Json": {"approve": item["approve"]}}]
    elif kind == "tool_search_output" and item["execution"] == "client":
        yield item["call_id"], [{"Json": tool} for tool in item["tools"]]
    elif kind.endswith("_call_output"):
        output = item["output"]
        parts = output if isinstance(output, list) else [output]
        yield item.get("call_id") or item["id"], [_sent_block(part) for part in parts]


def _sent_block(part: Any) -> Any:
    if isinstance(part, dict) and "image_url" in part:
        return _image(part["image_url"])
    text = part["text"] if isinstance(part, dict) and part.get("type") == "input_text" else part
    if not isinstance(text, str):
        return {"Json": text}
    value = parsed(text)
    return {"Json": value} if isinstance(value, (dict, list)) else {"Text": text}


def responses_compared(cassette: Any, results: Any, events: Any) -> Any:
    """What the events tell and what the traffic holds, by kind."""
    facts = [facts_of(result) for result in results]
    calls = [[event.name, event.args] for event in events if isinstance(event, ToolUseProposed)]
    usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
    outputs = [[event.id, list(event.blocks)] for event in events if isinstance(event, ToolOutput)]
    hosted = {key: value for fact in facts for key, value in fact["outputs"].items()}
    wanted = {**sent_outputs([each.request for each in cassette.interactions]), **hosted}
    return {
        "texts": (_texts(events, "ThinkingDelta"), _all(facts, "texts")),
        "thoughts": (_texts(events, "ReasoningDelta"), _all(facts, "thoughts")),
        "calls": (calls, [list(call) for call in _all(facts, "calls")]),
        "usage": (usage, [fact["usage"] for fact in facts if fact["usage"]]),
        "outputs": (_by_id(outputs), _by_id([[key, blocks] for key, blocks in wanted.items()])),
        "errors": (
            [sum(isinstance(event, Error) for event in events)],
            [sum(fact["failed"] for fact in facts)],
        ),
    }


def _by_id(outputs: list[Any]) -> list[Any]:
    return sorted(outputs, key=lambda output: output[0])


def _texts(events: Any, kind: str) -> list[str]:
    return [event.text for event in events if event.type == kind]


def _all(facts: Any, key: str) -> list[Any]:
    return [each for fact in facts for each in fact[key]]
