"""Builds a chat completion from the parts of an answer: whole, or as the chunks of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import ModelAnswer, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    error_object,
    event_text,
    fault_of,
    json_reply,
    request_digest,
    stream_reply,
)
from pytest_sparrow.providers.reading import as_dict, as_list, as_text, json_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Usage
    from pytest_sparrow.providers.composing import FailureStatus

__all__ = ["compose_chat"]


def compose_chat(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the request wants it: whole, or streamed.

    What the format can't say: the order of reasoning, text and calls (it is this one), and blocks of one kind
    apart when whole; hosted calls and their outputs, which are left out; a custom tool's input that is no text
    (it becomes JSON text); an id of a legacy ``function_call``. A stream holds the usage only where the request's
    ``stream_options.include_usage`` asks for it. An HTTP error holds nothing but the error; a connection that
    breaks leaves what a stream had said, of a whole answer nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": error_object(fault)} if fault.message else {}, status=fault.status)
    reply = _Reply.of(asked, answer)
    if as_dict(json_request(asked)).get("stream") is True:
        return reply.streamed(fault)
    return reply.whole(fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What is to be said, in the words of the format."""

    request: dict[str, Json]
    id: str
    reasoning: Sequence[str]
    texts: Sequence[str]
    calls: Sequence[dict[str, Json]]
    usage: Usage | None

    @classmethod
    def of(cls, asked: dict[str, Json], answer: ModelAnswer) -> _Reply:
        request = json_request(asked) or {}
        proposals = [part for part in answer.parts if isinstance(part, Proposal) and not part.hosted]
        custom = _custom_tools(request)
        return cls(
            request=request,
            id=f"chatcmpl-{request_digest(asked)}",
            reasoning=[part.text for part in answer.parts if isinstance(part, Reasoning)],
            texts=[part.text for part in answer.parts if isinstance(part, Text)],
            calls=[_call(proposal, custom=proposal.name in custom) for proposal in proposals],
            usage=answer.usage,
        )

    @property
    def _legacy(self) -> bool:
        """Whether the request knows only ``function_call``, which holds one call; several calls become tool calls."""
        return "functions" in self.request and "tools" not in self.request and len(self.calls) == 1

    @property
    def _finish_reason(self) -> str:
        if not self.calls:
            return "stop"
        return "function_call" if self._legacy else "tool_calls"

    def _object(self, kind: str, choices: list[Json]) -> dict[str, Json]:
        model = as_text(self.request.get("model"))
        return {"id": self.id, "object": kind, "created": 0, "model": model, "choices": choices}

    def whole(self, fault: FailureStatus | None) -> dict[str, Json]:
        """One JSON object; an error without a status stands within it."""
        if fault is not None and fault.kind:
            return broken_reply(fault)
        text = "".join(self.texts)
        message: dict[str, Json] = {
            "role": "assistant",
            "content": text if text or not self.calls else None,
            "refusal": None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self._legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = list(self.calls)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        body = self._object("chat.completion", [choice])
        if self.usage is not None:
            body["usage"] = _usage(self.usage)
        if fault is not None:
            body["error"] = error_object(fault)
        return json_reply(body)

    def streamed(self, fault: FailureStatus | None) -> dict[str, Json]:
        """A chunk a block; an error without a status is the last event, and a broken connection ends them."""
        deltas = self._deltas()
        if fault is not None and fault.kind:
            so_far = [self._chunk(delta) for delta in deltas]
            return broken_reply(fault, stream_reply(so_far) if deltas else None)
        events = [self._chunk(delta) for delta in ({"role": "assistant", "content": ""}, *deltas)]
        if fault is None:
            events.append(self._chunk({}, finish_reason=self._finish_reason))
        if self._counts and self.usage is not None:
            events.append(
                event_text({**self._object("chat.completion.chunk", []), "usage": _usage(self.usage)})
            )
        events.append(event_text("[DONE]") if fault is None else event_text({"error": error_object(fault)}))
        return stream_reply(events)

    @property
    def _counts(self) -> bool:
        return as_dict(self.request.get("stream_options")).get("include_usage") is True

    def _chunk(self, delta: dict[str, Json], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._object("chat.completion.chunk", [choice])
        if self._counts:
            chunk["usage"] = None
        return event_text(chunk)

    def _deltas(self) -> list[dict[str, Json]]:
        deltas: list[dict[str, Json]] = [{"reasoning_content": text} for text in self.reasoning]
        deltas.extend({"content": text} for text in self.texts)
        if self._legacy:
            return [*deltas, {"function_call": self.calls[0]["function"]}]
        for index, call in enumerate(self.calls):
            key, argument = ("custom", "input") if "custom" in call else ("function", "arguments")
            begun = {"index": index, **call, key: {**call[key], argument: ""}}
            piece = {"index": index, key: {argument: call[key][argument]}}
            deltas.extend(({"tool_calls": [begun]}, {"tool_calls": [piece]}))
        return deltas


def _custom_tools(request: dict[str, Json]) -> set[str]:
    """Names of the tools whose input the request declares to be free text."""
    tools = [as_dict(tool) for tool in as_list(request.get("tools"))]
    return {
        as_text(as_dict(tool.get("custom")).get("name")) for tool in tools if tool.get("type") == "custom"
    }


def _call(proposal: Proposal, *, custom: bool) -> dict[str, Json]:
    if custom:
        text = proposal.args if isinstance(proposal.args, str) else arguments_text(proposal.args)
        return {"id": proposal.id, "type": "custom", "custom": {"name": proposal.name, "input": text}}
    function = {"name": proposal.name, "arguments": arguments_text(proposal.args)}
    return {"id": proposal.id, "type": "function", "function": function}


def _usage(usage: Usage) -> dict[str, Json]:
    total = usage.input + usage.output
    return {"prompt_tokens": usage.input, "completion_tokens": usage.output, "total_tokens": total}
