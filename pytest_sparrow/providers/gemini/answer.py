"""Reads the parts of a Gemini answer, whole or from the chunks of a stream.

Format: https://ai.google.dev/api/generate-content (GenerateContentResponse, Candidate). On Vertex the arguments of a
call may come in pieces (``streamFunctionCallArguments``,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/PartialArg): each piece names its place by a
JSON path such as ``$.items[0].name``, and pieces of one text follow each other.
"""

from __future__ import annotations

import copy
import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import json_block
from pytest_sparrow.providers.codec import Failure, Output, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.gemini.content import call_id_of, field_of, inline_block, parts_of, searched
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    holdable,
    raw_text,
    text_block,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.blocks import CallIds
    from pytest_sparrow.providers.codec import Usage

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_MOST_ITEMS = 10_000
"""Items that the pieces of one call may add to its lists: a list is filled up to an index, at each of many levels."""

_DEEPEST = 50


class CallPieces:
    """One call under way.

    Args:
        call_id: its id.
        name: the function's name.
    """

    def __init__(self, call_id: str, name: str) -> None:
        self._id = call_id
        self._name = name
        self._args: Json = None
        self._whole = False
        self._texts: dict[str, list[str]] = {}
        self._values: dict[str, Json] = {}
        self._room = _MOST_ITEMS

    def add(self, call: dict[str, Json]) -> None:
        """Take in the call, or its next piece."""
        more = call.get("willContinue", call.get("will_continue"))
        self._whole = more is not True
        if call.get("args") is not None:
            self._args = call["args"]
        pieces = call.get("partialArgs")
        for piece in map(as_dict, as_list(call.get("partial_args") if pieces is None else pieces)):
            path = raw_text(piece.get("jsonPath")) or raw_text(piece.get("json_path"))
            text = piece.get("stringValue", piece.get("string_value"))
            if isinstance(text, str):
                self._texts.setdefault(path, []).append(text)
                self._values.setdefault(path, "")
            else:
                self._values[path] = _scalar(piece)

    def proposal(self) -> Proposal:
        """The call; as long as more of it is announced, its arguments are text, since they are not whole."""
        args = {} if self._args is None else self._args
        if self._values:
            args = copy.deepcopy(args)
        self._room = _MOST_ITEMS
        for path, value in self._values.items():
            args = self._placed(
                args, _steps(path), "".join(self._texts[path]) if path in self._texts else value
            )
        args = holdable(args)
        return Proposal(self._id, self._name, args if self._whole else json.dumps(args, ensure_ascii=False))

    @property
    def open(self) -> bool:
        """Whether more of it is announced."""
        return not self._whole

    def _placed(self, value: Json, steps: list[str | int], leaf: Json) -> Json:
        """The value with the leaf at the end of the steps; changes it in place where it can."""
        if not steps:
            return leaf
        step, *rest = steps
        if isinstance(step, str):
            value = value if isinstance(value, dict) else {}
            value[step] = self._placed(value.get(step), rest, leaf)
            return value
        items = value if isinstance(value, list) else []
        missing = max(step + 1 - len(items), 0)
        if missing <= self._room:
            self._room -= missing
            items += [None] * missing
            items[step] = self._placed(items[step], rest, leaf)
        return items


def _steps(path: str) -> list[str | int]:
    steps = (
        (_index(index) if index else name or one or two) for name, index, one, two in _STEP.findall(path)
    )
    return list(steps)[:_DEEPEST]


def _index(digits: str) -> int:
    # Python refuses to read 4301 digits.
    return int(digits) if len(digits) < 10 else 10**9


def _scalar(piece: dict[str, Json]) -> Json:
    for key in ("numberValue", "number_value", "boolValue", "bool_value"):
        if key in piece:
            return piece[key]
    return None


CODE = "code_execution"
"""The name of the hosted call for code that Gemini ran."""

INLINE = "inline_data"
"""The name of the hosted call for an image or another file within an answer."""

_WELL = frozenset({"", "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "CONTINUATION"})
"""Reasons to end that are no failure, even of an answer that holds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiAnswer:
    """What was read.

    Attributes:
        parts: the parts, candidate by candidate.
        usage: the last usage that came.
        failure: an error inside, a blocked prompt, or a candidate that ended with nothing for a bad reason.
    """

    parts: list[Part]
    usage: Usage | None
    failure: Failure | None


def read_chunks(chunks: Iterable[Json], ids: tuple[CallIds, CallIds], *, streamed: bool) -> GeminiAnswer:
    """Read an answer: a single chunk if it is whole; of a stream, adjacent texts of one kind become one text."""
    candidates: dict[int, _Candidate] = {}
    usage: Usage | None = None
    failure: Failure | None = None
    for chunk in map(as_dict, chunks):
        usage = _usage(as_dict(field_of(chunk, "usageMetadata"))) or usage
        failure = failure or _failure(chunk)
        for position, each in enumerate(as_list(chunk.get("candidates"))):
            candidate = as_dict(each)
            index = candidate.get("index")
            key = index if type(index) is int else position
            candidates.setdefault(key, _Candidate(ids, streamed=streamed)).add(candidate)
    whole = [candidates[index] for index in sorted(candidates)]
    parts = [part for candidate in whole for part in candidate.parts()]
    ended = next((candidate.ended_badly() for candidate in whole if candidate.ended_badly()), None)
    return GeminiAnswer(parts=parts, usage=usage, failure=failure or ended)


def _usage(counts: dict[str, Json]) -> Usage | None:
    return usage_from(
        (field_of(counts, "promptTokenCount"), field_of(counts, "toolUsePromptTokenCount")),
        (field_of(counts, "candidatesTokenCount"), field_of(counts, "thoughtsTokenCount")),
    )


def _failure(chunk: dict[str, Json]) -> Failure | None:
    if chunk.get("error"):
        return failure_of(chunk["error"])
    feedback = as_dict(field_of(chunk, "promptFeedback"))
    reason = as_text(field_of(feedback, "blockReason"))
    said = as_text(field_of(feedback, "blockReasonMessage"))
    return _refusal(reason, said) if reason else None


def _refusal(reason: str, said: str) -> Failure:
    return Failure(f"{reason}: {said}" if said else reason)


@dataclass(slots=True)
class _Written:
    """A text under way. Pieces are kept in a list and joined once."""

    kind: type[Text | Reasoning]
    pieces: list[str] = field(default_factory=list)


class _Candidate:
    """One candidate under way."""

    def __init__(self, ids: tuple[CallIds, CallIds], *, streamed: bool) -> None:
        self._calls, self._hosted = ids
        self._streamed = streamed
        self._parts: list[Part | _Written | CallPieces] = []
        self._open_code: deque[str] = deque()  # hosted calls without an output so far
        self._open_tools: deque[str] = deque()
        self._empty: list[str] = []  # answered, but with nothing
        self._grounding: list[dict[str, Json]] = []
        self._urls: list[Json] = []
        self._reason = ""
        self._message = ""
        self._pieces: CallPieces | None = None
        self._hosted_parts: tuple[tuple[str, Callable[[dict[str, Json]], None]], ...] = (
            ("executableCode", self._code),
            ("codeExecutionResult", self._code_result),
            ("toolCall", self._tool_call),
            ("toolResponse", self._tool_response),
            ("inlineData", self._inline),
        )

    def add(self, candidate: dict[str, Json]) -> None:
        """Take in a candidate, or its next piece."""
        for part in parts_of(as_dict(candidate.get("content"))):
            self._add(part)
        self._grounding.append(as_dict(field_of(candidate, "groundingMetadata")))
        self._urls += as_list(field_of(as_dict(field_of(candidate, "urlContextMetadata")), "urlMetadata"))
        self._reason = as_text(field_of(candidate, "finishReason")) or self._reason
        self._message = as_text(field_of(candidate, "finishMessage")) or self._message

    def ended_badly(self) -> Failure | None:
        """Why there is nothing, where that is a failure."""
        return None if self._parts or self._reason in _WELL else _refusal(self._reason, self._message)

    def parts(self) -> list[Part]:
        """The parts; with the searches once the answer has ended, since parts may come before them."""
        found: list[Part] = []
        for part in self._parts:
            if isinstance(part, _Written):
                text = as_text("".join(part.pieces))
                found.append(part.kind(text))
            else:
                found.append(part.proposal() if isinstance(part, CallPieces) else part)
        if self._streamed and not self._reason:
            return found
        return [*found, *self._searched()]

    def _searched(self) -> Iterator[Part]:
        return searched(
            self._grounding,
            self._urls,
            empty=self._empty,
            waiting=self._open_tools,
            called=self._called_searches(),
            ids=self._hosted,
        )

    def _add(self, part: dict[str, Json]) -> None:
        if text := raw_text(part.get("text")):
            self._write(Reasoning if part.get("thought") is True else Text, text)
        call = field_of(part, "functionCall")
        if isinstance(call, dict):
            self._call(call)
        for kind, add in self._hosted_parts:
            fields = field_of(part, kind)
            if isinstance(fields, dict):
                add(fields)

    def _write(self, kind: type[Text | Reasoning], text: str) -> None:
        last = self._parts[-1] if self._parts else None
        if not (self._streamed and isinstance(last, _Written) and last.kind is kind):
            last = _Written(kind)
            self._parts.append(last)
        last.pieces.append(text)

    def _call(self, call: dict[str, Json]) -> None:
        """Read a call, whole or in pieces: the first piece has the name, the others arguments, the last says so."""
        if self._pieces is None or call.get("name"):
            self._pieces = CallPieces(self._calls.fill(call_id_of(call)), as_text(call.get("name")))
            self._parts.append(self._pieces)
        self._pieces.add(call)
        if not self._pieces.open:
            self._pieces = None

    def _propose(self, call_id: str, name: str, args: Json) -> str:
        call_id = self._hosted.fill(call_id)
        self._parts.append(Proposal(call_id, name, args, hosted=True))
        return call_id

    def _code(self, code: dict[str, Json]) -> None:
        args = {key: value for key, value in code.items() if key != "id"}
        self._open_code.append(self._propose(call_id_of(code), CODE, holdable(args)))

    def _code_result(self, result: dict[str, Json]) -> None:
        text = raw_text(result.get("output"))
        failed = result.get("outcome") not in ("OUTCOME_OK", None)
        blocks = [text_block(text)] if text else []
        self._output(self._open_code, call_id_of(result), blocks, failed=failed)

    def _tool_call(self, call: dict[str, Json]) -> None:
        name = as_text(field_of(call, "toolType")).lower()
        args = call.get("args")
        args = {} if args is None else holdable(args)
        self._open_tools.append(self._propose(call_id_of(call), name, args))

    def _tool_response(self, result: dict[str, Json]) -> None:
        response, call_id = result.get("response"), call_id_of(result)
        if response is not None:
            blocks, failed = _response_blocks(response)
            self._output(self._open_tools, call_id, blocks, failed=failed)
        else:  # the grounding at the end says what was found
            self._empty.append(self._answered(self._open_tools, call_id))

    def _inline(self, blob: dict[str, Json]) -> None:
        """An image or audio that the model made: as large as it may be, the event holds little of it."""
        args = {"mimeType": as_text(field_of(blob, "mimeType"))}
        call_id = self._propose("", INLINE, args)
        self._parts.append(Output(call_id, [inline_block({"inlineData": blob})]))

    def _output(self, waiting: deque[str], call_id: str, blocks: list[Json], *, failed: bool) -> None:
        self._parts.append(Output(self._answered(waiting, call_id), blocks, failed))

    def _answered(self, waiting: deque[str], call_id: str) -> str:
        """The id of the hosted call that a result answers: the named call, else the oldest open call."""
        if call_id in waiting:
            waiting.remove(call_id)
        elif not call_id:
            call_id = waiting.popleft() if waiting else self._hosted.fill("")
        return call_id

    def _called_searches(self) -> set[str]:
        """Names of the provider's tools whose calls the answer held."""
        return {
            part.name
            for part in self._parts
            if isinstance(part, Proposal) and part.name not in (CODE, INLINE)
        }


def _response_blocks(response: Json) -> tuple[list[Json], bool]:
    """A hosted tool's response as blocks, and whether it is an error."""
    fields = as_dict(response)
    if len(fields) == 1:
        key, value = next(iter(fields.items()))
        if key in ("output", "error") and isinstance(value, str):
            return [text_block(value)], key == "error"
    return [json_block(response)], False
