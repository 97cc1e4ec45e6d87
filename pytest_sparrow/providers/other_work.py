"""Names what a provider does beside answering as a model: embeddings, images, files, token counts and the like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.providers.reading import path_of

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

_OTHER_WORK = (
    (
        r"/(multimodal)?embed(dings|ding|s)?$|:(batch)?embedcontents?$|/model/[^/]*embed[^/]*/invoke$|/[^/]*embedding[^/]*:predict$",
        "embeddings",
    ),
    (
        r"/images/(generations|edits|variations)$|:predict$"
        r"|/model/[^/]*(image|canvas|stability\.|stable-)[^/]*/invoke$",
        "images",
    ),
    (r"/videos(/|$)|:predictlongrunning$", "videos"),
    (r"/audio/(speech|transcriptions|translations)$|/text-to-speech/|/speech-to-text$", "audio"),
    (
        r"/v\d\w*/(messages/|openai/)?batches(/[^/]+(/cancel)?)?$|:batchgeneratecontent$|:asyncbatchembedcontents?$"
        r"|/batchpredictionjobs(/|$)|/embed-jobs(/|$)",
        "batches",
    ),
    (r"/files(/|$)|/uploads(/|$)|/upload/v1[^/]*/files$", "files"),
    (r"/count[_-]tokens$|:(count|compute)tokens$|/input_tokens$|/(de)?tokenize$", "token counts"),
    (r"/moderations$|/guardrail/[^/]+/version/[^/]+/apply$", "moderation"),
    (r"/rerank$|/model/[^/]*rerank[^/]*/invoke$", "reranking"),
    (r"/fine[_-]?tun(ing|es)(/|$)|/tunedmodels(/[^/]+:cancel)?$|/tuningjobs(/|$)", "fine-tuning"),
    (r"/classif(y|ications)$", "classification"),
    (r"/ocr$", "text recognition"),
    (r"/evals(/|$)", "evaluations"),
    (r"/vector_stores(/|$)|/filesearchstores(/|$)|:uploadtofilesearchstore$", "search stores"),
    (r"/cachedcontents(/|$)", "caches"),
    (r"/assistants(/|$)|/threads(/[^/]+)?(/runs|/messages|$)|/v1/conversations(/|$)", "assistants"),
    (r"/realtime/(calls|client_secrets|sessions)$", "realtime sessions"),
    (r"/agents/[^/]+/agentaliases/|/retrieveandgenerate(stream)?$", "agents that run there"),
)
"""What providers do beside answering: the end of the path in lower case, and its name."""

_PROVIDERS_PATH = re.compile(
    r"/v\d[a-z0-9]*(/|$)|/openai/|/api/embed|/model/|/guardrail/|/agents/|/retrieveand"
)


def other_work(asked: dict[str, Json]) -> str:
    """The name of a provider's work other than a model's answer, "" for anything else."""
    if asked["method"].upper() != "POST":
        return ""
    path = path_of(asked).lower()
    if not _PROVIDERS_PATH.search(path):
        return ""
    return next((work for pattern, work in _OTHER_WORK if re.search(pattern, path)), "")
