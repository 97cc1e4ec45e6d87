"""The codec of text completions: a prompt, and a text that goes on with it.

These are OpenAI's legacy ``/completions`` (vLLM and others have it, too), Anthropic's legacy ``/complete`` (Aleph Alpha
has one, too), Cohere's ``/generate``, and what Bedrock's ``invoke`` carries for Titan, Llama, Mistral, Cohere's
Command, Jurassic and DeepSeek. They differ in the names of the prompt, the text and the counts.

Formats: https://platform.openai.com/docs/api-reference/completions,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import Failure, ModelAnswer, ModelRequest, Text, Usage
from pytest_sparrow.providers.composing import (
    broken_reply,
    counted_tokens,
    error_object,
    event_text,
    fault_of,
    json_reply,
    request_digest,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.facts import ProviderFacts
from pytest_sparrow.providers.invoke import (
    METRICS,
    as_binary,
    counts_in_headers,
    counts_in_metrics,
    events_of,
    invoked_model,
    wants_binary,
)
from pytest_sparrow.providers.reading import (
    StreamReader,
    as_dict,
    as_list,
    as_text,
    failure_of,
    http_failure,
    json_answer,
    json_request,
    path_of,
    raw_text,
    synthetic_failure,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.composing import FailureStatus

_LISTS = (
    ("choices", "text"),
    ("results", "outputText"),
    ("outputs", "text"),
    ("generations", "text"),
    ("completions", "text"),
    ("completions", "completion"),
)
"""Arrays of answers and chunks, and the key of the text in their objects (Jurassic's stands in ``data``)."""

_ALONE = ("outputText", "generation", "completion", "text")
"""Keys of a text that stands alone in an answer or a chunk."""

_PATHS = ("/completions", "/complete", "/v1/generate")
"""Ends of the paths; the last is Cohere's, from before it had a chat."""

_NO_COMPLETIONS = ("embed", "stability.", "image", "canvas", "rerank")
"""What names of invoked models hold that take a prompt and give no text."""


class Completions:
    """Text completions, recognised by path and prompt; see `Codec`."""

    name: str = "completions"
    facts = ProviderFacts(
        model_paths=frozenset({r"/v\d+/completions"}),
        answer_keys=frozenset({*_ALONE, *(key for key, _ in _LISTS)}),
    )

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None for a request of another format."""
        body = json_request(asked)
        if body is None or not _is_completion(asked, body):
            return None
        prompt = body.get("prompt", body.get("inputText"))
        texts = (
            [prompt]
            if isinstance(prompt, str)
            else [each for each in as_list(prompt) if isinstance(each, str)]
        )
        return ModelRequest(
            model=as_text(body.get("model")) or invoked_model(asked),
            conversation=[{"role": "user", "content": prompt}],
            task=as_text(texts[0]) if texts else "",
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:  # noqa: ARG002
        """Read a whole answer or a stream; of a broken answer, the part that came."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        events = events_of(answered)
        reader = StreamReader(events or ())
        chunks = (
            [as_dict(json_answer(answered))] if events is None else [as_dict(value) for _, value in reader]
        )
        found = _Found(chunks)
        return ModelAnswer(
            parts=[Text(text) for text in found.texts if text],
            usage=counts_in_headers(answered) or found.usage,
            failure=http_failure(answered, reader.failure or found.failure),
        )

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the answer, whole or streamed as the request wants; see `compose_completion`."""
        return compose_completion(asked, answer)


def _is_completion(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    model = invoked_model(asked)
    if model:
        known = isinstance(body.get("prompt"), str) or isinstance(body.get("inputText"), str)
        return known and not any(each in model for each in _NO_COMPLETIONS)
    path = path_of(asked)
    known = path.endswith(_PATHS) and not path.endswith("/chat/completions")
    return known and "prompt" in body


class _Found:
    """What the objects of an answer say: the texts by choice, the newest counts, the first failure."""

    def __init__(self, chunks: Iterable[dict[str, Json]]) -> None:
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self._pieces: dict[int, list[str]] = {}
        self._counts: dict[str, Json] = {}
        for chunk in chunks:
            for place, text in _texts(chunk):
                self._pieces.setdefault(place, []).append(text)
            if chunk.get("error"):
                self.failure = self.failure or failure_of(chunk["error"])
            self._counts |= {key: value for key, value in _counts(chunk).items() if value is not None}
            self.usage = counts_in_metrics(chunk) or self.usage
        inputs, outputs = (self._counts.get("input"),), (self._counts.get("output"),)
        self.usage = self.usage or usage_from(inputs, outputs)

    @property
    def texts(self) -> list[str]:
        """The text of each choice, in their order."""
        return [as_text("".join(self._pieces[place])) for place in sorted(self._pieces)]


def _texts(chunk: dict[str, Json]) -> Iterator[tuple[int, str]]:
    for holder, key in _LISTS:
        for number, each in enumerate(map(as_dict, as_list(chunk.get(holder)))):
            index = each.get("index")
            text = raw_text(each.get(key)) or raw_text(as_dict(each.get("data")).get(key))
            yield index if type(index) is int else number, text
    yield from ((0, chunk[key]) for key in _ALONE if isinstance(chunk.get(key), str))


def _counts(chunk: dict[str, Json]) -> dict[str, Json]:
    usage = as_dict(chunk.get("usage"))
    results = map(as_dict, as_list(chunk.get("results")))
    counted = [each["tokenCount"] for each in results if type(each.get("tokenCount")) is int]
    billed = as_dict(as_dict(chunk.get("meta")).get("billed_units"))
    inputs = (
        usage.get("prompt_tokens"),
        billed.get("input_tokens"),
        chunk.get("prompt_token_count"),
        chunk.get("inputTextTokenCount"),
        chunk.get("num_tokens_prompt_total"),
    )
    outputs = (
        usage.get("completion_tokens"),
        billed.get("output_tokens"),
        chunk.get("num_tokens_generated"),
        chunk.get("generation_token_count"),
        chunk.get("totalOutputTextTokenCount"),
        sum(counted) if counted else None,
    )
    first = (next((each for each in side if each is not None), None) for side in (inputs, outputs))
    return dict(zip(("input", "output"), first, strict=True))


def compose_completion(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, in the names that the request's model has.

    What the format can't say: anything but text, and texts apart. An error of HTTP, or of a whole answer, stands alone.
    A connection that breaks leaves what a stream had said, of a whole answer nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": error_object(fault)} if fault.message else {}, status=fault.status)
    body = json_request(asked) or {}
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    if body.get("stream") is True or wants_binary(asked):
        return _stream(asked, text, answer.usage, fault)
    if fault is not None:
        return broken_reply(fault) if fault.kind else synthetic_reply({"error": error_object(fault)})
    reply = json_reply(_whole(asked, text))
    if answer.usage is None:
        return reply
    if invoked_model(asked):
        return {**reply, "headers": {**reply["headers"], **_headers(answer.usage)}}
    reply["body"]["json"]["usage"] = counted_tokens(answer.usage)
    return reply


def _whole(asked: dict[str, Json], text: str) -> dict[str, Json]:
    """An answer, or a chunk: they have one shape but for Titan, whose chunks `_texts` reads as well."""
    model = invoked_model(asked)
    if path_of(asked).endswith("/complete") or "anthropic." in model:
        return {"completion": text, "stop_reason": "stop_sequence"}
    if "titan" in model:
        return {"results": [{"outputText": text, "completionReason": "FINISH"}]}
    if "mistral." in model:
        return {"outputs": [{"text": text, "stop_reason": "stop"}]}
    if "cohere." in model or path_of(asked).endswith("/generate"):
        return {"generations": [{"text": text, "finish_reason": "COMPLETE"}]}
    if "ai21." in model:
        return {"completions": [{"data": {"text": text}, "finishReason": {"reason": "endoftext"}}]}
    if model and "deepseek." not in model:
        return {"generation": text, "stop_reason": "stop"}
    choice: dict[str, Json] = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    if model:
        return {"choices": [choice]}
    known = {"id": f"cmpl-{request_digest(asked)}", "object": "text_completion", "created": 0}
    return {**known, "model": as_text((json_request(asked) or {}).get("model")), "choices": [choice]}


def _stream(
    asked: dict[str, Json], text: str, usage: Usage | None, fault: FailureStatus | None
) -> dict[str, Json]:
    invoked = bool(invoked_model(asked))
    broken = fault is not None and fault.kind
    events = [_whole(asked, text)] if text else []
    if usage is not None and not broken:
        counts = {METRICS: {"inputTokenCount": usage.input, "outputTokenCount": usage.output}}
        last = _whole(asked, "")
        events.append(
            {**last, **counts} if invoked else {**last, "choices": [], "usage": counted_tokens(usage)}
        )
    said = [event_text(event) for event in events]
    if fault is not None and not broken:
        said.append(event_text({"error": error_object(fault)}, "error" if invoked else ""))
    elif not invoked and not broken:
        said.append(event_text("[DONE]"))
    reply = stream_reply(said)
    reply = as_binary(reply) if invoked else reply
    return broken_reply(fault, reply if said else None) if fault is not None and broken else reply


def _headers(usage: Usage) -> dict[str, Json]:
    return {
        "x-amzn-bedrock-input-token-count": str(usage.input),
        "x-amzn-bedrock-output-token-count": str(usage.output),
    }
