"""Claude's agent CLI, as claude-agent-sdk speaks with it: a turn over a pipe is a call of a model.

Format: https://docs.claude.com/en/docs/agent-sdk (streaming input): one JSON message a line. The CLI runs its own
tools, and those of servers that it starts: they are hosted. Tools of the SDK's servers run in the test's process.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image
from pytest_sparrow.providers.codec import (
    Failure,
    ModelAnswer,
    ModelRequest,
    Output,
    Part,
    Proposal,
    Reasoning,
    Text,
    Usage,
)
from pytest_sparrow.providers.composing import event_text, stream_reply
from pytest_sparrow.providers.facts import ProviderFacts
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    http_failure,
    json_answer,
    json_request,
    lenient_json,
    raw_text,
    stream_events,
    text_block,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

HOST = "claude"
"""The host of the URLs that stand for the CLI."""

OWN_SERVERS = "servers"
"""The name in a URL's query that tells the SDK's own servers."""

_FACTS = ProviderFacts(
    packages={"claude_agent_sdk": "claude-agent-sdk"},
    answer_keys=frozenset({"type"}),
    volatile_answer_keys=frozenset({"uuid", "duration_ms", "duration_api_ms", "ttft_ms"}),
)


class ClaudeAgent:
    """Turns of Claude's agent CLI, recognised by the URL of the pipe; see `Codec`."""

    name: str = "claude-agent"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read what a user says; None for any other message."""
        if not as_text(asked.get("url")).startswith(f"stdio://{HOST}/"):
            return None
        body = json_request(asked)
        if body is None or body.get("type") != "user":
            return None
        message = as_dict(body.get("message"))
        return ModelRequest(model="", conversation=[message], task=_text_of(message.get("content")))

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the messages of a turn: texts, calls with their outputs, usage."""
        own = parse_qs(urlsplit(asked["url"]).query).get(OWN_SERVERS, [])
        reading = _Turn(tuple(f"mcp__{name}__" for name in own))
        for message in _messages(answered):
            reading.add(message)
        return ModelAnswer(
            parts=reading.parts, usage=reading.usage, failure=http_failure(answered, reading.failure)
        )

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:  # noqa: ARG002 - the protocol's
        """Build a turn: what the assistant says, the outputs of the CLI's tools, and the result."""
        texts = [event_text(message, "message") for message in _spoken(answer)]
        return stream_reply(texts)


def _messages(answered: dict[str, Json]) -> Iterator[dict[str, Json]]:
    events = stream_events(answered)
    found = [json_answer(answered)] if events is None else [lenient_json(event.data) for event in events]
    return map(as_dict, found)


class _Turn:
    """Reads the messages of one turn."""

    def __init__(self, own: tuple[str, ...]) -> None:
        self.parts: list[Part] = []
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self._own = own
        self._hosted: set[str] = set()

    def add(self, message: dict[str, Json]) -> None:
        """Read the next message."""
        content = as_list(as_dict(message.get("message")).get("content"))
        match message.get("type"):
            case "assistant":
                for block in map(as_dict, content):
                    self._said(block, by_main=message.get("parent_tool_use_id") is None)
            case "user":
                for block in map(as_dict, content):
                    self._gave(block)
            case "result":
                self._ended(message)

    def _said(self, block: dict[str, Json], *, by_main: bool) -> None:
        kind = block.get("type")
        if kind == "tool_use":
            call_id, name = as_text(block.get("id")), as_text(block.get("name"))
            hosted = not name.startswith(self._own or ("\0",))
            if hosted:
                self._hosted.add(call_id)
            self.parts.append(Proposal(call_id, name, block.get("input"), hosted))
        elif kind == "text" and by_main and raw_text(block.get("text")):
            self.parts.append(Text(as_text(block["text"])))
        elif kind == "thinking" and by_main and raw_text(block.get("thinking")):
            self.parts.append(Reasoning(as_text(block["thinking"])))

    def _gave(self, block: dict[str, Json]) -> None:
        call_id = as_text(block.get("tool_use_id"))
        if block.get("type") == "tool_result" and call_id in self._hosted:
            blocks = LazyBlocks(partial(_blocks, block.get("content")))
            self.parts.append(Output(call_id, blocks, is_error=block.get("is_error") is True))

    def _ended(self, message: dict[str, Json]) -> None:
        counts = as_dict(message.get("usage"))
        self.usage = usage_from((counts.get("input_tokens"),), (counts.get("output_tokens"),)) or self.usage
        if message.get("is_error") is True:
            self.failure = Failure(raw_text(message.get("result")) or as_text(message.get("subtype")))


def _blocks(content: Json) -> list[Json]:
    return [text_block(content)] if isinstance(content, str) else content_blocks(as_list(content), _known)


def _known(part: dict[str, Json]) -> Json | None:
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    source = as_dict(part.get("source"))
    if part.get("type") == "image" and isinstance(source.get("data"), str):
        return encoded_image(source["data"], as_text(source.get("media_type")) or "image/png")
    return None


def _text_of(content: Json) -> str:
    if isinstance(content, str):
        return as_text(content)
    return next(
        (as_text(part["text"]) for part in map(as_dict, as_list(content)) if raw_text(part.get("text"))), ""
    )


def _spoken(answer: ModelAnswer) -> Iterator[dict[str, Json]]:
    for part in answer.parts:
        match part:
            case Text(text):
                yield _by("assistant", {"type": "text", "text": text})
            case Reasoning(text):
                yield _by("assistant", {"type": "thinking", "thinking": text, "signature": ""})
            case Proposal(call_id, name, args):
                yield _by("assistant", {"type": "tool_use", "id": call_id, "name": name, "input": args})
            case Output(call_id, blocks, is_error):
                given = {"type": "tool_result", "tool_use_id": call_id, "content": [*map(_content, blocks)]}
                yield _by("user", {**given, "is_error": True} if is_error else given)
    usage = answer.usage or Usage(0, 0)
    failed = answer.failure is not None
    yield {
        "type": "result",
        "subtype": "error_during_execution" if failed else "success",
        "is_error": failed,
        "result": answer.failure.message if answer.failure else "",
        "usage": {"input_tokens": usage.input, "output_tokens": usage.output},
        "duration_ms": 0,
        "duration_api_ms": 0,
        "num_turns": 1,
        "session_id": "synthetic",
        "total_cost_usd": 0.0,
    }


def _by(role: str, block: dict[str, Json]) -> dict[str, Json]:
    message: dict[str, Json] = {"role": role, "content": [block]}
    if role == "assistant":
        message["model"] = "synthetic"
    return {"type": role, "message": message, "parent_tool_use_id": None, "session_id": "synthetic"}


def _content(block: Json) -> Json:
    text = block["Text"] if "Text" in block else event_text(block.get("Json", block)).removeprefix("data: ")
    return {"type": "text", "text": text}
