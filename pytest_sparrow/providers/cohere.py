"""The codec of Cohere's chat, versions 1 and 2, whole and streamed; Bedrock's ``invoke`` carries version 1.

Format: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream and
https://docs.cohere.com/v1/reference/chat. Calls of version 1 have no ids: the n-th of a conversation is ``call-n``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import CallIds, LazyBlocks, OpenCalls, content_blocks
from pytest_sparrow.providers.codec import (
    Failure,
    ModelAnswer,
    ModelRequest,
    Output,
    Part,
    Proposal,
    Reasoning,
    Text,
)
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    request_digest,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.facts import ProviderFacts, StreamEnd
from pytest_sparrow.providers.invoke import as_binary, events_of, invoked_model, wants_binary
from pytest_sparrow.providers.openai_chat.answer import message_parts, tool_results
from pytest_sparrow.providers.reading import (
    StreamReader,
    as_dict,
    as_list,
    as_text,
    first_user_text,
    holdable,
    http_failure,
    json_answer,
    json_request,
    path_of,
    raw_text,
    synthetic_failure,
    usage_from,
)
from pytest_sparrow.wire.sse import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Usage
    from pytest_sparrow.providers.composing import FailureStatus

_FACTS = ProviderFacts(
    model_paths=frozenset({r"/v2/chat"}),
    answer_keys=frozenset({"finish_reason", "message", "generation_id", "type", "event_type"}),
    key_variables=(("CO_API_KEY",), ("COHERE_API_KEY",)),
    services=frozenset({"cohere"}),
    packages={"cohere": "cohere"},
    volatile_answer_keys=frozenset({"id", "generation_id", "response_id"}),
    call_id_keys=frozenset({"tool_call_id"}),
    stream_ends=(
        StreamEnd(field="type", value="message-end"),
        StreamEnd(field="event_type", value="stream-end"),
    ),
)


class Cohere:
    """Cohere's chat, recognised by path and shape; see `Codec`."""

    name: str = "cohere"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None for a request of another format."""
        body = json_request(asked)
        if body is None:
            return None
        model = as_text(body.get("model")) or invoked_model(asked)
        if _is_second(asked, body):
            messages = as_list(body["messages"])
            return ModelRequest(
                model=model,
                conversation=[each for each in messages if as_dict(each).get("role") != "system"],
                task=first_user_text(messages),
                results=tool_results(messages),
            )
        if not _is_first(asked, body):
            return None
        turns = _turns(body)
        users = (as_text(turn.get("message")) for turn in turns if _role(turn) == "user")
        return ModelRequest(
            model=model,
            conversation=[turn for turn in turns if _role(turn) != "system"],
            task=next((text for text in users if text), ""),
            results=list(_results(turns)),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole answer or a stream; of a broken answer, the part that came."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        body = json_request(asked) or {}
        events = _events(answered)
        if _is_second(asked, body):
            whole, failure = (as_dict(json_answer(answered)), None) if events is None else _joined(events)
            parts = list(message_parts(_as_chat(as_dict(whole.get("message"))), CallIds()))
        else:
            whole, failure = (as_dict(json_answer(answered)), None) if events is None else _gathered(events)
            parts = list(_first_parts(whole, CallIds(sum(map(_proposes, _turns(body))))))
        counts = as_dict(whole.get("usage")) or as_dict(whole.get("meta"))
        stopped = as_text(whole.get("finish_reason"))
        if failure is None and stopped.upper().startswith(_FAILED):
            failure = Failure(as_text(whole.get("error")) or stopped)
        return ModelAnswer(parts=parts, usage=_usage(counts), failure=http_failure(answered, failure))

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the answer, whole or streamed as the request wants; see `compose_cohere`."""
        return compose_cohere(asked, answer)


_FAILED = ("ERROR", "TIMEOUT")


def _is_second(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    return path_of(asked).endswith("/v2/chat") and isinstance(body.get("messages"), list)


def _is_first(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    named = path_of(asked).endswith("/chat") or "cohere." in invoked_model(asked)
    return named and isinstance(body.get("message"), str) and "messages" not in body


def _usage(counts: dict[str, Json]) -> Usage | None:
    for tokens in (as_dict(counts.get("tokens")), as_dict(counts.get("billed_units"))):
        if found := usage_from((tokens.get("input_tokens"),), (tokens.get("output_tokens"),)):
            return found
    return None


# Version 2.


def _as_chat(message: dict[str, Json]) -> dict[str, Json]:
    """The message with its plan as reasoning: else it is what OpenAI's chat has."""
    return {**message, "reasoning_content": message.get("tool_plan")}


class _Pieces:
    """A message of version 2 under way. Pieces are kept in lists and joined once."""

    def __init__(self) -> None:
        self._plan: list[str] = []
        self._content: dict[str, tuple[str, list[str]]] = {}
        self._calls: dict[str, tuple[dict[str, Json], list[str]]] = {}

    def add(self, place: str, message: dict[str, Json]) -> None:
        """A piece of it; ``place`` is the index that its events share."""
        self._plan.append(raw_text(message.get("tool_plan")))
        piece = as_dict(message.get("content"))
        for key in ("thinking", "text"):
            if isinstance(piece.get(key), str):
                self._content.setdefault(place, (key, []))[1].append(piece[key])
        call = as_dict(message.get("tool_calls"))
        if call:
            _, arguments = self._calls.setdefault(place, (call, []))
            arguments.append(raw_text(as_dict(call.get("function")).get("arguments")))

    def whole(self) -> dict[str, Json]:
        """The message as an answer has it that was not streamed."""
        calls = [
            {**call, "function": {**as_dict(call.get("function")), "arguments": "".join(arguments)}}
            for call, arguments in self._calls.values()
        ]
        content = [{"type": kind, kind: "".join(texts)} for kind, texts in self._content.values()]
        return {"tool_plan": "".join(self._plan), "content": content, "tool_calls": calls}


def _joined(events: Iterable[ServerSentEvent]) -> tuple[dict[str, Json], Failure | None]:
    """The answer that a stream of version 2 says, and what went wrong in it."""
    reader, pieces, end = StreamReader(events), _Pieces(), dict[str, "Json"]()
    for _, value in reader:
        event = as_dict(value)
        delta = as_dict(event.get("delta"))
        pieces.add(str(event.get("index")), as_dict(delta.get("message")))
        if event.get("type") == "message-end":
            end = delta
            if delta.get("error"):
                reader.fail(Failure(as_text(delta["error"]) or json_text(holdable(delta["error"]))))
    return {**end, "message": pieces.whole()}, reader.failure


# Version 1.


def _turns(body: dict[str, Json]) -> list[dict[str, Json]]:
    """The conversation: the history, what the user says, and the outputs of tools that are sent with it."""
    turns = [turn for turn in as_list(body.get("chat_history")) if isinstance(turn, dict)]
    if body.get("message"):
        turns.append({"role": "USER", "message": body["message"]})
    if body.get("tool_results"):
        results = as_list(body["tool_results"])
        if not any(map(_proposes, turns)):
            calls = [as_dict(as_dict(result).get("call")) for result in results]
            turns.append({"role": "CHATBOT", "message": "", "tool_calls": calls})
        turns.append({"role": "TOOL", "tool_results": results})
    return turns


def _role(turn: dict[str, Json]) -> str:
    return as_text(turn.get("role")).lower()


def _proposes(turn: dict[str, Json]) -> int:
    return len(as_list(turn.get("tool_calls")))


def _results(turns: list[dict[str, Json]]) -> Iterator[Output]:
    ids, calls = CallIds(), OpenCalls()
    for turn in turns:
        for call in as_list(turn.get("tool_calls")):
            calls.proposed(ids.fill(""), wire="", name=as_text(as_dict(call).get("name")))
        for result in map(as_dict, as_list(turn.get("tool_results"))):
            call_id = calls.answered(wire="", name=as_text(as_dict(result.get("call")).get("name")))
            if call_id:
                blocks = partial(content_blocks, as_list(result.get("outputs")), lambda _: None)
                yield Output(id=call_id, blocks=LazyBlocks(blocks))


def _first_parts(whole: dict[str, Json], ids: CallIds) -> Iterator[Part]:
    if text := as_text(whole.get("text")):
        yield Text(text)
    for call in map(as_dict, as_list(whole.get("tool_calls"))):
        args = call.get("parameters")
        yield Proposal(ids.fill(""), as_text(call.get("name")), {} if args is None else holdable(args))


def _gathered(events: Iterable[ServerSentEvent]) -> tuple[dict[str, Json], Failure | None]:
    """The answer that a stream of version 1 says, and what went wrong in it."""
    reader, texts, found = StreamReader(events), list[str](), dict[str, "Json"]()
    for _, value in reader:
        event = as_dict(value)
        kind = event.get("event_type")
        if kind == "text-generation":
            texts.append(raw_text(event.get("text")))
        elif kind == "tool-calls-generation":
            found["tool_calls"] = event.get("tool_calls")
        elif kind == "stream-end":
            known: dict[str, Json] = {key: event[key] for key in ("finish_reason", "error") if key in event}
            found |= {**as_dict(event.get("response")), **known}
    return {"text": "".join(texts), **found}, reader.failure


def _events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The events of a stream: server-sent, lines of JSON, or Bedrock's frames; None for a whole answer."""
    found = events_of(answered)
    if found is not None:
        return found
    body = as_dict(answered.get("body"))
    lines = as_list(body.get("lines")) or raw_text(body.get("text")).split("\n")
    said = [raw_text(line) for line in (*lines, body.get("torn")) if raw_text(line).strip()]
    is_stream = "lines" in body or any('"event_type"' in line for line in said[:1])
    return (ServerSentEvent(event="", data=line) for line in said) if is_stream else None


# Building.


def compose_cohere(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, in the version and the form that the request wants.

    What the format can't say: calls between texts (calls come last), calls of hosted tools, an empty text; in version 1
    reasoning, ids of calls (they are numbered) and texts apart. An error of HTTP, or of a whole answer, stands alone. A
    connection that breaks leaves what a stream had said, of a whole answer nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"message": fault.message} if fault.message else {}, status=fault.status)
    body = json_request(asked) or {}
    second = _is_second(asked, body)
    if not (body.get("stream") is True or wants_binary(asked)):
        if fault is not None:
            return broken_reply(fault) if fault.kind else synthetic_reply({"message": fault.message})
        return json_reply(_second_whole(asked, answer) if second else _first_whole(asked, answer))
    events = list((_second_stream if second else _first_stream)(asked, answer, fault))
    if not second and not wants_binary(asked):
        lines = [json_text(event) for event in events]
        reply: dict[str, Json] = {
            "status": 200,
            "headers": {"content-type": "application/stream+json"},
            "body": {"lines": lines},
        }
    else:
        reply = stream_reply(event_text(event, as_text(event.get("type"))) for event in events)
    reply = as_binary(reply) if wants_binary(asked) else reply
    return broken_reply(fault, reply if events else None) if fault is not None and fault.kind else reply


def _said(answer: ModelAnswer) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    for part in answer.parts:
        if isinstance(part, Reasoning):
            found.append({"type": "thinking", "thinking": part.text})
        elif isinstance(part, Text):
            found.append({"type": "text", "text": part.text})
    return found


def _proposals(answer: ModelAnswer) -> list[Proposal]:
    return [part for part in answer.parts if isinstance(part, Proposal) and not part.hosted]


def _counts(answer: ModelAnswer) -> dict[str, Json]:
    if answer.usage is None:
        return {}
    counts = {"input_tokens": answer.usage.input, "output_tokens": answer.usage.output}
    return {"billed_units": counts, "tokens": counts}


def _function_call(part: Proposal, arguments: str) -> dict[str, Json]:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}


def _second_whole(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    calls = [_function_call(part, arguments_text(part.args)) for part in _proposals(answer)]
    message: dict[str, Json] = {"role": "assistant", "content": _said(answer)}
    if calls:
        message["tool_calls"] = calls
    reason = "TOOL_CALL" if calls else "COMPLETE"
    whole: dict[str, Json] = {"id": request_digest(asked), "message": message, "finish_reason": reason}
    return {**whole, "usage": _counts(answer)} if answer.usage else whole


def _second_stream(
    asked: dict[str, Json], answer: ModelAnswer, fault: FailureStatus | None
) -> Iterator[dict[str, Json]]:
    broken = fault is not None and fault.kind
    if not broken:
        started = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        yield {"id": request_digest(asked), "type": "message-start", "delta": {"message": started}}
    index = 0
    for block in _said(answer):
        kind = block["type"]
        empty, piece = {"type": kind, kind: ""}, {kind: block[kind]}
        yield {"type": "content-start", "index": index, "delta": {"message": {"content": empty}}}
        yield {"type": "content-delta", "index": index, "delta": {"message": {"content": piece}}}
        yield {"type": "content-end", "index": index}
        index += 1
    calls = _proposals(answer)
    for place, part in enumerate(calls, start=index):
        arguments = {"function": {"arguments": arguments_text(part.args)}}
        begun = _function_call(part, "")
        yield {"type": "tool-call-start", "index": place, "delta": {"message": {"tool_calls": begun}}}
        yield {"type": "tool-call-delta", "index": place, "delta": {"message": {"tool_calls": arguments}}}
        yield {"type": "tool-call-end", "index": place}
    if broken:
        return
    end: dict[str, Json] = {"finish_reason": "TOOL_CALL" if calls else "COMPLETE"}
    if fault is not None:
        end = {"finish_reason": "ERROR", "error": fault.message}
    yield {"type": "message-end", "delta": {**end, "usage": _counts(answer)} if answer.usage else end}


def _first_whole(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    whole: dict[str, Json] = {
        "text": "".join(part.text for part in answer.parts if isinstance(part, Text)),
        "generation_id": request_digest(asked),
        "finish_reason": "COMPLETE",
    }
    if calls := [{"name": part.name, "parameters": part.args} for part in _proposals(answer)]:
        whole["tool_calls"] = calls
    return {**whole, "meta": _counts(answer)} if answer.usage else whole


def _first_stream(
    asked: dict[str, Json], answer: ModelAnswer, fault: FailureStatus | None
) -> Iterator[dict[str, Json]]:
    whole = _first_whole(asked, answer)
    broken = fault is not None and fault.kind
    for part in answer.parts:
        if isinstance(part, Text):
            yield {"is_finished": False, "event_type": "text-generation", "text": part.text}
    if "tool_calls" in whole:
        yield {"is_finished": False, "event_type": "tool-calls-generation", "tool_calls": whole["tool_calls"]}
    if broken:
        return
    end: dict[str, Json] = {"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE"}
    if fault is not None:
        end |= {"finish_reason": "ERROR", "error": fault.message}
    yield {**end, "response": whole}
