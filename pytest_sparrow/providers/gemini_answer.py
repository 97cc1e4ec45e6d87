"""What a Gemini answer says: the parts of its candidates, whole or from the chunks of a stream.

Format: https://ai.google.dev/api/generate-content (GenerateContentResponse, Candidate).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import json_block
from pytest_sparrow.providers.gemini_calls import CallPieces
from pytest_sparrow.providers.gemini_content import call_id_of, field_of, inline_block, parts_of
from pytest_sparrow.providers.gemini_grounding import searched
from pytest_sparrow.providers.values import holdable, usage_from
from pytest_sparrow.providers.wire import as_dict, as_list, failure_of, raw_text
from pytest_sparrow.recording.blocks import as_text, text_block
from pytest_sparrow.recording.codec import Failure, Output, Part, Proposal, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.call_ids import CallIds
    from pytest_sparrow.recording.codec import Usage

__all__ = ["CODE", "INLINE", "GeminiAnswer", "read_chunks"]

CODE = "code_execution"
"""The name under which code that Gemini ran is told."""

INLINE = "inline_data"
"""The name under which an image or another file within an answer is told."""

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
    """Read an answer: one chunk if it is whole; of a stream, texts of one kind that touch are one."""
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
    return _told(reason, said) if reason else None


def _told(reason: str, said: str) -> Failure:
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
        return None if self._parts or self._reason in _WELL else _told(self._reason, self._message)

    def parts(self) -> list[Part]:
        """The parts, and once it has ended, what was searched: before that more may come in between."""
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
            told=self._told_searches(),
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
        """A call, whole or in pieces: a first one with the name, then arguments, until no more is announced."""
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
        """The id of the hosted call that is answered: the one named, else the oldest that waits."""
        if call_id in waiting:
            waiting.remove(call_id)
        elif not call_id:
            call_id = waiting.popleft() if waiting else self._hosted.fill("")
        return call_id

    def _told_searches(self) -> set[str]:
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
