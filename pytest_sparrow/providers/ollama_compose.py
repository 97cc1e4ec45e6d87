"""An answer of Ollama's, built from what it is to say: lines of JSON, or one object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_sparrow.providers.made_up import made_up_reply
from pytest_sparrow.providers.replies import broken_reply, fault_of, json_reply
from pytest_sparrow.providers.wire import json_request, path_of
from pytest_sparrow.recording.blocks import as_text
from pytest_sparrow.recording.codec import Proposal, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.codec import ModelAnswer, Part

__all__ = ["compose_ollama"]

_CREATED = "1970-01-01T00:00:00Z"


def compose_ollama(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``: a stream of lines, unless the request says ``"stream": false``.

    What the format can't say: ids of calls (they are numbered), an empty text, texts of one kind that touch, calls of
    hosted tools, any call at all in ``/api/generate``, and in a whole answer the order of reasoning, text and calls
    (it is this one). An error of HTTP, or of a whole answer, stands alone; a whole answer makes a status up for one
    without, and says so in its body. A connection that breaks leaves what a stream had said, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": fault.message} if fault.message else {}, status=fault.status)
    request = json_request(asked) or {}
    made = _Maker(model=as_text(request.get("model")), chat=not path_of(asked).endswith("/api/generate"))
    last = {**made.line([], done=True), **_counts(answer)}
    if request.get("stream") is False:
        if fault is not None:
            return broken_reply(fault) if fault.kind else made_up_reply({"error": fault.message})
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
    """Makes lines, or the one object.

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
