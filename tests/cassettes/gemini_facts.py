"""What Gemini's traffic says, read by itself, and what the events say of it: nothing here knows our codec."""

from __future__ import annotations

from typing import Any

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed

from .gemini_driving import chunks_of

__all__ = ["gemini_compared"]


def gemini_compared(cassette: Any, _: Any, events: Any) -> Any:
    """What the events tell and what the traffic holds, by kind."""
    answers = [_facts(interaction) for interaction in cassette.interactions]
    calls = [(event.name, event.args) for event in events if isinstance(event, ToolUseProposed)]
    wanted = [call for answer in answers for call in answer["calls"]]
    names = {name for name, _ in wanted}
    hosted = {name for answer in answers for name in answer["hosted"]} - names
    reported_hosted = {name for name, _ in calls} - names
    usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
    blocks = [block for event in events if isinstance(event, ToolOutput) for block in event.blocks]
    given = [output for answer in answers for output in answer["outputs"]] + _sent(cassette)
    return {
        "texts": _words(events, "ThinkingDelta", [answer["text"] for answer in answers]),
        "thoughts": _words(events, "ReasoningDelta", [answer["thought"] for answer in answers]),
        "calls": ([call for call in calls if call[0] in names], wanted),
        # The results of grounding have no call in the answer.
        "hosted": (sorted(reported_hosted - (_SEARCHES - hosted)), sorted(hosted)),
        "outputs": ([each for each in given if each in blocks], given),
        "usage": (usage, [answer["usage"] for answer in answers if answer["usage"]]),
        "errors": (
            [sum(isinstance(event, Error) for event in events)],
            [sum(answer["failed"] for answer in answers)],
        ),
    }


def _words(events: Any, kind: str, wanted: list[str]) -> tuple[list[str], list[str]]:
    """What answers said, each joined, since events are cut otherwise than parts."""
    wanted = [text for text in wanted if text]
    reported = "".join(event.text for event in events if event.type == kind)
    return (wanted if reported == "".join(wanted) else [reported]), wanted


def _facts(interaction: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "text": "",
        "thought": "",
        "calls": [],
        "hosted": [],
        "outputs": [],
        "usage": None,
    }
    reason, spoke = "", False
    facts["failed"] = interaction.status >= 400
    for chunk in chunks_of(interaction):
        facts["failed"] = (
            facts["failed"] or "error" in chunk or "blockReason" in chunk.get("promptFeedback", {})
        )
        usage = chunk.get("usageMetadata", {})
        keys = ("promptTokenCount", "toolUsePromptTokenCount"), ("candidatesTokenCount", "thoughtsTokenCount")
        if any(key in usage for pair in keys for key in pair):
            facts["usage"] = tuple(sum(usage.get(key, 0) for key in pair) for pair in keys)
        for candidate in chunk.get("candidates", ()):
            parts = candidate.get("content", {}).get("parts", [])
            spoke = spoke or any(part for part in parts if part.get("text") != "")
            reason = candidate.get("finishReason", reason)
            _add_parts(parts, facts)
            for found in candidate.get("groundingMetadata", {}).get("groundingChunks", ()):
                facts["outputs"].append({"Json": found})
            for found in candidate.get("urlContextMetadata", {}).get("urlMetadata", ()):
                facts["outputs"].append({"Json": found})
    if not spoke and reason not in ("", "STOP", "MAX_TOKENS"):
        facts["failed"] = True
    return facts


_SEARCHES = {"google_search", "file_search", "google_maps", "url_context"}


def _add_parts(parts: Any, facts: dict[str, Any]) -> None:
    for part in parts:
        facts["thought" if part.get("thought") else "text"] += part.get("text", "")
        if "functionCall" in part:
            call = part["functionCall"]
            facts["calls"].append((call["name"], call.get("args", {})))
        if "executableCode" in part:
            facts["hosted"].append("code_execution")
        if part.get("codeExecutionResult", {}).get("output"):
            facts["outputs"].append({"Text": part["codeExecutionResult"]["output"]})
        if "toolCall" in part:
            facts["hosted"].append(part["toolCall"]["toolType"].lower())
        if "inlineData" in part:
            facts["hosted"].append("inline_data")


def _sent(cassette: Any) -> list[Any]:
    """The functions' outputs in the requests."""
    return [
        {"Json": part["functionResponse"]["response"]}
        for interaction in cassette.interactions
        for content in interaction.request["contents"]
        for part in content.get("parts", ())
        if "functionResponse" in part
    ]
