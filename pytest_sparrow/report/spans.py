"""Renders a run as OpenTelemetry spans, by the semantic conventions for generative AI, in OTLP's JSON.

The run is one span (``invoke_agent``); below it stands one for each call of a model (``chat``), of a tool
(``execute_tool``), and of anything else. Ids follow from the run's id, so two exports are equal.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.providers.codec import Output, Proposal, Text, ToolRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.providers.registry import Wire
    from pytest_sparrow.transcript import Transcript

_INTERNAL, _CLIENT = 1, 3
_ERROR = 2
_NANOSECONDS = 1_000_000_000


def spans_of(run: Transcript, wire: Wire) -> dict[str, Json]:
    """The run as one ``ExportTraceServiceRequest`` of OTLP.

    Args:
        run: the run.
        wire: reads what was asked of models.
    """
    began = _began(run)
    exchanges = run.by_beginning()
    end = max((exchange.ended or exchange.began for exchange in exchanges), default=0.0)
    root = _Span(run.run_id, 0, began, 0.0, end)
    agent = run.inputs.agent
    spans = [
        root.to_json(
            f"invoke_agent {agent}",
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": agent,
                "gen_ai.conversation.id": run.run_id,
                "gen_ai.request.model": run.inputs.model_id or None,
            },
        )
    ]
    for number, exchange in enumerate(exchanges, 1):
        span = _Span(run.run_id, number, began, exchange.began, exchange.ended or exchange.began)
        name, kind, attributes, error = _described(exchange, wire)
        spans.append(span.to_json(name, attributes, kind=kind, error=error, parent=root.id))
    resource = {"service.name": agent, "test.case.name": run.meta.nodeid}
    scope = {"scope": {"name": "pytest-sparrow"}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _began(run: Transcript) -> int:
    try:
        moment = datetime.fromisoformat(run.inputs.timestamp)
    except ValueError:
        moment = run.created_at
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * _NANOSECONDS)


class _Span:
    def __init__(self, run_id: str, number: int, zero: int, began: float, ended: float) -> None:
        self._trace = hashlib.sha256(run_id.encode()).hexdigest()[:32]
        self.id = hashlib.sha256(f"{run_id} {number}".encode()).hexdigest()[:16]
        self._times = [str(zero + int(seconds * _NANOSECONDS)) for seconds in (began, ended)]

    def to_json(
        self,
        name: str,
        attributes: dict[str, Any],
        *,
        kind: int = _INTERNAL,
        error: str = "",
        parent: str = "",
    ) -> dict[str, Json]:
        return {
            "traceId": self._trace,
            "spanId": self.id,
            **({"parentSpanId": parent} if parent else {}),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": self._times[0],
            "endTimeUnixNano": self._times[1],
            "attributes": _attributes(attributes),
            "status": {"code": _ERROR, "message": error} if error else {},
        }


def _attributes(values: dict[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Json]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}


_Described = tuple[str, int, dict[str, Any], str]


def _described(exchange: Exchange, wire: Wire) -> _Described:
    """The name, kind, attributes and error of a call's span."""
    asked, answered = exchange.asked, exchange.answered or {}
    if exchange.kind == "http":
        return _http(asked, answered, wire)
    raised = answered.get("raised")
    error = f"{raised.get('type')}: {raised.get('message')}" if isinstance(raised, dict) else ""
    result = answered.get("returned", answered.get("yielded"))
    return _tool(asked["name"], asked["args"], result, error, call_id=asked.get("id"))


def _tool(name: str, args: Json, result: Json, error: str, *, call_id: str | None = None) -> _Described:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.call.arguments": args,
        "gen_ai.tool.call.result": result,
        "error.type": error.partition(":")[0] or None,
    }
    return f"execute_tool {name}", _INTERNAL, attributes, error


def _http(asked: dict[str, Json], answered: dict[str, Json], wire: Wire) -> _Described:
    url = urlsplit(asked["url"])
    http = {
        "server.address": url.hostname,
        "http.request.method": asked["method"],
        "url.full": asked["url"],
        "http.response.status_code": answered.get("status"),
    }
    failed = answered.get("error")
    error = f"{failed.get('type')}: {failed.get('message')}" if isinstance(failed, dict) else ""
    call = wire.read(asked)
    if call is None:
        return f"{asked['method']} {url.path}", _CLIENT, http, error
    answer = call.answer(asked, answered)
    error = error or (answer.failure.message if answer.failure else "")
    if isinstance(call.request, ToolRequest):
        outputs = [part for part in answer.parts if isinstance(part, Output)]
        result = [block for output in outputs for block in output.blocks]
        return _tool(call.request.name, call.request.args, result, error)
    provider = call.codec.name.partition("-")[0]
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": call.request.model,
        "gen_ai.usage.input_tokens": answer.usage and answer.usage.input,
        "gen_ai.usage.output_tokens": answer.usage and answer.usage.output,
        "gen_ai.input.messages": list(call.request.conversation),
        "gen_ai.output.messages": [{"role": "assistant", "parts": list(_parts(answer.parts))}],
    }
    return f"chat {call.request.model}", _CLIENT, chat | http, error


_PROVIDERS = {"gemini": "gcp.gemini", "bedrock": "aws.bedrock"}
"""The conventions' names of providers, where the name of our codec begins otherwise."""


def _parts(parts: Iterable[object]) -> Iterable[dict[str, Json]]:
    for part in parts:
        if isinstance(part, Text):
            yield {"type": "text", "content": part.text}
        elif isinstance(part, Proposal):
            yield {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.args}
