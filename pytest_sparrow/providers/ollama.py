"""Ollama's own format: ``/api/chat`` and ``/api/generate``, whole or as lines of JSON.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. A request that doesn't say ``"stream": false`` gets a
stream. (``/v1/chat/completions`` of the same server is OpenAI's format.)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, json_block
from pytest_sparrow.providers.call_ids import CallIds, OpenCalls
from pytest_sparrow.providers.made_up import made_up_failure
from pytest_sparrow.providers.ollama_compose import compose_ollama
from pytest_sparrow.providers.values import holdable, usage_from
from pytest_sparrow.providers.wire import (
    as_dict,
    as_list,
    failure_of,
    first_user_text,
    http_failure,
    json_answer,
    json_request,
    lenient_json,
    path_of,
    raw_text,
)
from pytest_sparrow.recording.blocks import as_text, text_block
from pytest_sparrow.recording.codec import (
    Failure,
    ModelAnswer,
    ModelRequest,
    Part,
    Proposal,
    Reasoning,
    Text,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["Ollama"]


class Ollama:
    """Ollama's chat and generate, recognised by the path and the request's shape; see `Codec`.

    Calls have no ids that clients repeat: the n-th call of a conversation is ``call-n``, whatever id the server gave.
    A tool's output finds its call by ``tool_call_id`` where the request has it, else by ``tool_name``, else it answers
    the oldest call.
    """

    name: str = "ollama"

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None where it is another one."""
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
        """Read a whole answer, or the lines of a stream; of a broken one, what came."""
        if failure := made_up_failure(answered):
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


def _results(messages: list[Json]) -> Iterator[ToolResult]:
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
            yield ToolResult(id=call_id, blocks=LazyBlocks(partial(_blocks, message.get("content"))))


def _blocks(content: Json) -> list[Json]:
    if content is None:
        return []
    return [text_block(content) if isinstance(content, str) else json_block(content)]


class _Joined:
    """The parts of an answer under way: texts of one kind that touch are one. Pieces are joined once."""

    def __init__(self, ids: CallIds) -> None:
        self._ids = ids
        self._parts: list[Proposal | tuple[type[Text | Reasoning], list[str]]] = []

    def add(self, chunk: dict[str, Json]) -> None:
        """Take in a whole answer, or a line of one; of ``generate`` the texts stand beside ``response``."""
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
    """The objects of an answer, and what can't be read among them; a last line may be torn."""
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
    """The lines of a stream that hold anything, or the one object of a whole answer."""
    body = as_dict(answered.get("body"))
    lines = body.get("lines")
    if isinstance(lines, list):
        return [line for line in (*lines, body.get("torn")) if raw_text(line).strip()]
    whole = json_answer(answered)
    if whole is not None:
        return [whole]
    return [line for line in raw_text(body.get("text")).split("\n") if line.strip()]
