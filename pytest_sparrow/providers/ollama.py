"""The codec of Ollama's own format, ``/api/chat`` and ``/api/generate``, whole or as lines of JSON.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. A request that doesn't say ``"stream": false`` gets a
stream. (``/v1/chat/completions`` of the same server is OpenAI's format.)
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import CallIds, LazyBlocks, OpenCalls, json_block
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
from pytest_sparrow.providers.composing import broken_reply, fault_of, json_reply, synthetic_reply
from pytest_sparrow.providers.facts import ProviderFacts, StreamEnd
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    first_user_text,
    holdable,
    http_failure,
    json_answer,
    json_request,
    lenient_json,
    path_of,
    raw_text,
    synthetic_failure,
    text_block,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json

_CREATED = "1970-01-01T00:00:00Z"


def compose_ollama(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``: a stream of lines, unless the request says ``"stream": false``.

    What the format can't say: ids of calls (they are numbered), an empty text, texts of one kind that touch, calls of
    hosted tools, any call at all in ``/api/generate``, and in a whole answer the order of reasoning, text and calls
    (it is this one). An error of HTTP, or of a whole answer, stands alone; a whole answer gets a synthetic status
    where the failure has none, and marks it in its body. A connection that breaks leaves what a stream had said, and
    no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": fault.message} if fault.message else {}, status=fault.status)
    request = json_request(asked) or {}
    made = _Maker(model=as_text(request.get("model")), chat=not path_of(asked).endswith("/api/generate"))
    last = {**made.line([], done=True), **_counts(answer)}
    if request.get("stream") is False:
        if fault is not None:
            return broken_reply(fault) if fault.kind else synthetic_reply({"error": fault.message})
        return json_reply({**made.line(answer.parts, done=True), **_counts(answer)})
    lines = [made.line([part], done=False) for part in answer.parts if made.sayable(part)]
    if fault is None or not fault.kind:
        lines.append(last)
    if fault is not None and not fault.kind:
        lines.append({"error": fault.message})
    reply: dict[str, Json] = {
        "status": 200,
        "headers": {"content-type": "application/x-ndjson"},
        # ASCII: clients of some HTTP libraries also end a line at U+2028 or U+0085.
        "body": {"lines": [json.dumps(line, separators=(",", ":")) for line in lines]},
    }
    if fault is None or not fault.kind:
        return reply
    return broken_reply(fault, reply if lines else None)


def _counts(answer: ModelAnswer) -> dict[str, Json]:
    if answer.usage is None:
        return {}
    return {"prompt_eval_count": answer.usage.input, "eval_count": answer.usage.output}


class _Maker:
    """Makes the lines of a stream, or the only object of a whole answer.

    Args:
        model: the model's name.
        chat: whether it is a chat; else ``/api/generate``.
    """

    def __init__(self, *, model: str, chat: bool) -> None:
        self._model = model
        self._chat = chat

    def sayable(self, part: Part) -> bool:
        """Whether the format has words for a part."""
        call = isinstance(part, Proposal) and not part.hosted and self._chat
        return call or isinstance(part, Text | Reasoning)

    def line(self, parts: Iterable[Part], *, done: bool) -> dict[str, Json]:
        """An object that says these parts."""
        thinking = "".join(part.text for part in parts if isinstance(part, Reasoning))
        text = "".join(part.text for part in parts if isinstance(part, Text))
        calls = [_call(part) for part in parts if isinstance(part, Proposal) and not part.hosted]
        said: dict[str, Json] = {"thinking": thinking} if thinking else {}
        line: dict[str, Json] = {"model": self._model, "created_at": _CREATED, "done": done}
        if done:
            line["done_reason"] = "stop"
        if not self._chat:
            return {**line, "response": text, **said}
        if calls:
            said["tool_calls"] = calls
        return {**line, "message": {"role": "assistant", "content": text, **said}}


def _call(proposal: Proposal) -> dict[str, Json]:
    return {"function": {"name": proposal.name, "arguments": proposal.args}}


_FACTS = ProviderFacts(
    model_paths=frozenset({r"/api/(?:chat|generate)"}),
    answer_keys=frozenset({"done"}),
    packages={"ollama": "ollama"},
    service_variables={"OLLAMA_HOST": "ollama"},
    volatile_answer_keys=frozenset(
        {"created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
    ),
    stream_ends=(StreamEnd(field="done", value=True),),
)


class Ollama:
    """Ollama's chat and generate, recognised by the path and the request's shape; see `Codec`.

    Calls have no ids that clients repeat: the n-th call of a conversation is ``call-n``, whatever id the server sent.
    A tool's output finds its call by ``tool_call_id`` where the request has it, else by ``tool_name``, else it answers
    the oldest call.
    """

    name: str = "ollama"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None for a request of another format."""
        body = json_request(asked)
        if body is None or not isinstance(body.get("model"), str):
            return None
        path = path_of(asked)
        if path.endswith("/api/generate") and isinstance(body.get("prompt"), str):
            messages: list[Json] = [_prompt(body)]
        elif path.endswith("/api/chat") and isinstance(body.get("messages"), list):
            messages = body["messages"]
        else:
            return None
        return ModelRequest(
            model=as_text(body["model"]),
            conversation=[message for message in messages if as_dict(message).get("role") != "system"],
            task=first_user_text(messages),
            results=list(_results(messages)),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole answer, or the lines of a stream; of a broken answer, the part that came."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        calls = sum(1 for _ in _calls(as_list((json_request(asked) or {}).get("messages"))))
        chunks, failure = _chunks(answered)
        parts, usage = _Joined(CallIds(calls)), None
        for chunk in chunks:
            parts.add(chunk)
            counts = (chunk.get("prompt_eval_count"),), (chunk.get("eval_count"),)
            usage = usage_from(*counts) or usage
            if chunk.get("error"):
                failure = failure or failure_of(chunk["error"])
        return ModelAnswer(parts=parts.whole(), usage=usage, failure=http_failure(answered, failure))

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the answer: lines, unless the request says ``"stream": false``; see `compose_ollama`."""
        return compose_ollama(asked, answer)


def _prompt(body: dict[str, Json]) -> Json:
    kept = {key: body[key] for key in ("images", "suffix") if key in body}
    return {"role": "user", "content": body["prompt"], **kept}


def _calls(messages: list[Json]) -> Iterator[dict[str, Json]]:
    for message in map(as_dict, messages):
        yield from (call for call in as_list(message.get("tool_calls")) if isinstance(call, dict))


def _results(messages: list[Json]) -> Iterator[Output]:
    ids, calls = CallIds(), OpenCalls()
    for message in map(as_dict, messages):
        for call in _calls([message]):
            name = as_text(as_dict(call.get("function")).get("name"))
            calls.proposed(ids.fill(""), wire=as_text(call.get("id")), name=name)
        if message.get("role") != "tool":
            continue
        name = as_text(message.get("tool_name")) or as_text(message.get("name"))
        call_id = calls.answered(wire=as_text(message.get("tool_call_id")), name=name)
        if call_id:
            yield Output(id=call_id, blocks=LazyBlocks(partial(_blocks, message.get("content"))))


def _blocks(content: Json) -> list[Json]:
    if content is None:
        return []
    return [text_block(content) if isinstance(content, str) else json_block(content)]


class _Joined:
    """The parts of an answer under way: adjacent texts of one kind become one text, joined at the end."""

    def __init__(self, ids: CallIds) -> None:
        self._ids = ids
        self._parts: list[Proposal | tuple[type[Text | Reasoning], list[str]]] = []

    def add(self, chunk: dict[str, Json]) -> None:
        """Add a whole answer, or a line of a stream; of ``generate`` the texts stand beside ``response``."""
        message = as_dict(chunk.get("message"))
        self._write(Reasoning, raw_text(message.get("thinking")) or raw_text(chunk.get("thinking")))
        self._write(Text, raw_text(message.get("content")) or raw_text(chunk.get("response")))
        for call in _calls([message]):
            function = as_dict(call.get("function"))
            args = function.get("arguments")
            args = {} if args is None else holdable(args)
            self._parts.append(Proposal(self._ids.fill(""), as_text(function.get("name")), args))

    def _write(self, kind: type[Text | Reasoning], text: str) -> None:
        if not text:
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, tuple) and last[0] is kind:
            last[1].append(text)
        else:
            self._parts.append((kind, [text]))

    def whole(self) -> list[Part]:
        """The parts so far."""
        return [
            part if isinstance(part, Proposal) else part[0](as_text("".join(part[1]))) for part in self._parts
        ]


def _chunks(answered: dict[str, Json]) -> tuple[list[dict[str, Json]], Failure | None]:
    """The objects of an answer, and the failure of a line that is no object; a last line may be torn."""
    found: list[dict[str, Json]] = []
    failure: Failure | None = None
    unread: Failure | None = None
    for number, line in enumerate(_lines(answered), start=1):
        failure = failure or unread
        chunk = lenient_json(line) if isinstance(line, str) else line
        if isinstance(chunk, dict):
            found.append(chunk)
        else:
            unread = Failure(f"line {number} of the stream is not a JSON object")
    return found, failure


def _lines(answered: dict[str, Json]) -> Iterable[Json]:
    """The lines of a stream that are not blank, or the object of a whole answer."""
    body = as_dict(answered.get("body"))
    lines = body.get("lines")
    if isinstance(lines, list):
        return [line for line in (*lines, body.get("torn")) if raw_text(line).strip()]
    whole = json_answer(answered)
    if whole is not None:
        return [whole]
    return [line for line in raw_text(body.get("text")).split("\n") if line.strip()]
