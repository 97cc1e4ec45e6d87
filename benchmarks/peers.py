"""What replaying is held against: an in-memory mock transport, and vcrpy with a cassette that is in memory too."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MATCHING", "MATCHING_BODIES", "mock_client", "require_vcrpy", "vcrpy"]

MATCHING = ("method", "scheme", "host", "port", "path", "query")
"""vcrpy's default."""

MATCHING_BODIES = (*MATCHING, "body")


def require_vcrpy() -> Any:
    """The module.

    Raises:
        SystemExit: it isn't installed; the text says how to get it.
    """
    try:
        import vcr  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        sys.exit("vcrpy is missing, to compare with: python -m pip install -e '.[dev,bench]'")
    return vcr


def mock_client(answers: dict[bytes, bytes]) -> httpx2.Client:
    """A client that finds the answer to a request's body in a dict."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        answer = answers[request.content]
        if not answer.endswith(b"data: [DONE]\n\n"):
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=answer)
        events = (event + b"\n\n" for event in answer.split(b"\n\n") if event)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events)

    return httpx2.Client(transport=httpx2.MockTransport(handler))


@contextmanager
def vcrpy(
    url: str, answers: dict[bytes, bytes], match_on: tuple[str, ...], *, played: int = 0
) -> Iterator[None]:
    """Inside, vcrpy replays the answers to POSTs to a URL; the first ``played`` count as played already."""
    vcr = require_vcrpy()
    requests = [
        vcr.request.Request("POST", url, body, {"content-type": "application/json"}) for body in answers
    ]
    responses = [
        {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"], "content-length": [str(len(answer))]},
            "body": {"string": answer},
        }
        for answer in answers.values()
    ]

    class InMemory:
        """vcrpy's persister: what it would read from a file."""

        @staticmethod
        def load_cassette(*_: Any, **__: Any) -> Any:
            return requests, responses

        @staticmethod
        def save_cassette(*_: Any, **__: Any) -> None:
            """Nothing is recorded."""

    recorder = vcr.VCR(record_mode="none", match_on=match_on)
    recorder.register_persister(InMemory)
    with recorder.use_cassette("in-memory") as cassette:
        cassette.play_counts.update(range(played))
        yield
