"""What makes no events is named as what it is; a model's JSON is read under any content type."""

from __future__ import annotations

import json

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.findings import Kind
from pytest_sparrow.report.run import render_run
from pytest_sparrow.report.words import title
from pytest_sparrow.transcript import RunInputs, Transcript
from run.making import run_of


def run_with(url, body, answer, method="POST"):
    """The closed run of one exchange; bodies are those of an exchange."""
    run = run_of()
    asked = {"method": method, "url": url, "headers": {}, "body": body}
    run.ask("http", asked).settle({"status": 200, "headers": {}, "body": answer})
    run.close(failed=False)
    return run


def remarks(run):
    """What the run says of it."""
    return [title(finding) for finding in run.violations.of(Kind.UNREAD)]


@pytest.mark.parametrize(
    ("url", "work"),
    [
        ("https://api.openai.com/v1/embeddings", "embeddings"),
        ("http://127.0.0.1:11434/api/embed", "embeddings"),
        ("https://g.test/v1beta/models/g-1:batchEmbedContents", "embeddings"),
        ("https://api.openai.com/v1/images/generations", "images"),
        ("https://api.openai.com/v1/audio/transcriptions", "audio"),
        ("https://api.anthropic.com/v1/messages/batches", "batches"),
        ("https://api.openai.com/v1/files", "files"),
        ("https://api.anthropic.com/v1/messages/count_tokens", "token counts"),
        ("https://g.test/v1beta/models/g-1:countTokens", "token counts"),
        ("https://api.openai.com/v1/moderations", "moderation"),
        ("https://api.cohere.com/v2/rerank", "reranking"),
        ("https://aip.test/v1/publishers/google/models/gemini-embedding-001:predict", "embeddings"),
        ("https://api.openai.com/v1/threads/thread_1/runs", "assistants"),
        ("https://api.openai.com/v1/vector_stores", "search stores"),
        ("https://g.test/v1beta/fileSearchStores/s-1:uploadToFileSearchStore", "search stores"),
        ("https://g.test/v1beta/cachedContents", "caches"),
        ("https://api.openai.com/v1/realtime/client_secrets", "realtime sessions"),
        ("https://b.test/agents/A/agentAliases/B/sessions/C/text", "agents that run there"),
        ("https://b.test/guardrail/g/version/1/apply", "moderation"),
        ("https://b.test/model/amazon.titan-image-generator-v2%3A0/invoke", "images"),
        ("https://b.test/model/cohere.rerank-v3-5%3A0/invoke", "reranking"),
        # As the SDKs of Google and Cohere ask, seen at a server: each method that creates something.
        ("https://g.test/v1beta/models/g-1:asyncBatchEmbedContent", "batches"),
        ("https://g.test/v1beta/batches/1:cancel", "batches"),
        ("https://aip.test/v1beta1/projects/p/locations/l/batchPredictionJobs", "batches"),
        ("https://aip.test/v1beta1/projects/p/locations/l/batchPredictionJobs/1:cancel", "batches"),
        (
            "https://aip.test/v1/projects/p/locations/l/publishers/google/models/g:computeTokens",
            "token counts",
        ),
        (
            "https://aip.test/v1/projects/p/locations/l/publishers/google/models/veo:predictLongRunning",
            "videos",
        ),
        ("https://aip.test/v1/projects/p/locations/l/publishers/google/models/imagen:predict", "images"),
        ("https://g.test/v1beta/tunedModels", "fine-tuning"),
        ("https://g.test/v1beta/tunedModels/1:cancel", "fine-tuning"),
        ("https://aip.test/v1beta1/projects/p/locations/l/tuningJobs", "fine-tuning"),
        ("https://g.test/v1/cachedContents", "caches"),
        ("https://g.test/upload/v1beta/files?upload_id=AB12", "files"),
        ("https://api.cohere.com/v1/classify", "classification"),
        ("https://api.cohere.com/v1/embed-jobs", "batches"),
        ("https://api.cohere.com/v1/embed-jobs/1/cancel", "batches"),
        ("https://api.cohere.com/v1/finetuning/finetuned-models", "fine-tuning"),
        ("https://api.cohere.com/v1/detokenize", "token counts"),
        ("https://api.cohere.com/v2/batches/1:cancel", "batches"),
        # Of others.
        ("https://api.openai.com/v1/videos", "videos"),
        ("https://api.openai.com/v1/fine_tuning/jobs", "fine-tuning"),
        ("https://api.openai.com/v1/evals/eval_1/runs", "evaluations"),
        ("https://api.mistral.ai/v1/ocr", "text recognition"),
        ("https://api.mistral.ai/v1/classifications", "classification"),
        ("https://api.voyageai.com/v1/multimodalembeddings", "embeddings"),
    ],
)
def test_other_work_of_providers_is_named_as_what_it_is(url, work):
    """Embeddings, images and the like are no calls in an unknown format."""
    run = run_with(url, {"json": {"model": "m", "input": "Hello"}}, {"json": {"object": "list", "data": []}})
    (remark,) = remarks(run)
    assert f": {work}, replayed and compared as HTTP, no events" in remark
    assert {event.type for event in run.events} == {"RunStarted", "RunFinished"}


def test_a_run_that_is_shown_names_other_work():
    """`pytest-sparrow show` names and counts it, since no event does."""
    urls = ["https://api.openai.com/v1/embeddings"] * 2 + [
        "https://api.openai.com/v1/files",
        "https://x.test/",
    ]
    asked = [{"method": "POST", "url": url, "headers": {}} for url in urls]
    exchanges = [Exchange(kind="http", asked=each, answered=None) for each in asked]
    run = Transcript.new("r", RunInputs(task=""), [], exchanges=exchanges)
    assert "  besides   embeddings (2), files (1): asked of a provider, and no events" in list(
        render_run(run)
    )


def test_a_run_that_is_shown_holds_an_answer_that_tells_nothing():
    """A codec claims the request and finds nothing in the answer: it is shown as what makes no events."""
    body = {"json": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}}
    asked = {"method": "POST", "url": "https://h.test/talk", "headers": {}, "body": body}
    answered = {"status": 200, "headers": {}, "body": {"json": {"hello": "world"}}}
    exchange = Exchange(kind="http", asked=asked, answered=answered)
    shown = "\n".join(render_run(Transcript.new("r", RunInputs(task=""), [], exchanges=[exchange])))
    assert '"hello": "world"' in shown.partition("asked besides, without events")[2]


def test_a_users_own_addresses_are_no_work_of_a_provider():
    """A path of an application may end so, too."""
    assert remarks(run_with("https://app.test/files", {"json": {"name": "a"}}, {"json": {}})) == []
    assert remarks(run_with("https://app.test/v1/files", {"json": {}}, {"json": {}}, method="GET")) == []
    assert remarks(run_with("https://app.test/api/v1/tracing/batches", {"json": {}}, {"json": {}})) == []


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (
            "https://us-south.ml.cloud.ibm.com/ml/v1/text/generation",
            {"json": {"model_id": "m", "input": "Hello"}},
        ),
        ("https://hub.test/", {"json": {"inputs": "Hello", "parameters": {"top_p": 1}}}),
        (
            "https://api.replicate.com/v1/predictions",
            {"json": {"version": "ab", "input": {"prompt": "Hello"}}},
        ),
        ("https://h.test/v1/chat/completions", {"text": "(left out)"}),
    ],
    ids=["watsonx", "hugging-face", "replicate", "no-request"],
)
def test_a_models_call_in_a_format_that_no_codec_reads_is_named(url, body):
    """Providers name the model otherwise, or in the address alone; a cassette may lack what was sent."""
    (remark,) = remarks(run_with(url, body, {"json": {"generated_text": "Good day"}}))
    assert "in a format that no codec reads" in remark


@pytest.mark.parametrize(
    "answer",
    [
        {"json": {"reply": {"content": "Good day"}}},
        {"sse": ['data: {"reply": {"content": "Good"}}']},
        {"text": '{"reply": {"content": "Good"}}'},
        {"json": {"hello": "world"}},
        {"sse": ['data: {"hello": "world"}', "data: [DONE]"]},
        {"json": {"id": 1, "foo": "bar"}},
        {"json": {"type": "message", "content": []}},
        {"json": {"choices": [{"reply": {"content": "Good day"}}]}},
        {"json": ["Good day"]},
        {"lines": ['{"id": 1}']},
        {"text": "Good day"},
        {"base64": "AAAA"},
    ],
    ids=lambda answer: next(iter(answer)),
)
def test_an_answer_of_which_a_codec_tells_nothing_is_named(answer):
    """A codec claimed the request by its shape, and reads nothing in an answer that may hold words."""
    body = {"json": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}}
    (remark,) = remarks(run_with("https://h.test/talk", body, answer))
    assert "the answer is in a format not read yet" in remark
    known = {"json": {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}}]}}
    assert remarks(run_with("https://h.test/talk", body, known)) == []


def test_a_models_json_under_another_content_type_is_read():
    """Aiohttp says text/plain of ``data=json.dumps(…)``; the golden holds the text as it was."""
    url = "https://g.test/v1beta/models/g-1:generateContent"
    asked = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]})
    answer = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Good day"}]}}]}
    run = run_with(url, {"text": asked}, {"text": json.dumps(answer)})
    assert [event.text for event in run.events if event.type == "Message"] == ["Good day"]
    assert (run.task, run.model) == ("Hello", "g-1")
    assert remarks(run) == []
