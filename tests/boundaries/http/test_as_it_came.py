"""What a client shows of an answer beyond status, headers and body is the same in a replay.

The phrase behind the status, what the beginning of a compressed body is, and how a body ends that was cut off.
"""

import asyncio
import gzip
import http.client
import io
import shutil
import urllib.error
import urllib.request

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from boundaries.http.twice import twice
from pytest_sparrow.testing.loopback import loopback


def _phrase(call):
    call.handler.send_response(404, "NO SUCH ORDER")
    call.handler.send_header("content-length", "0")
    call.handler.end_headers()


def _cut(call):
    call.cut(b"abcdef", length=100)


def _cut_chunks(call):
    call.start(content_type="text/plain")
    call.chunk(b"abcdef")
    call.handler.close_connection = True


@pytest.fixture
def url():
    with loopback(
        phrase=_phrase,
        plain=lambda call: call.answer(b"", status=404),
        cut=_cut,
        cut_chunks=_cut_chunks,
        zipped=lambda call: call.answer(gzip.compress(b"zipped" * 50, mtime=0), content_encoding="gzip"),
    ) as server:
        yield server.url, server


async def _aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.reason


REASONS = {
    "httpx": lambda url: httpx.get(url).reason_phrase,
    "httpx2": lambda url: httpx2.get(url).reason_phrase,
    "requests": lambda url: requests.get(url, timeout=5).reason,
    "urllib3": lambda url: _pooled(url).reason,
    "urllib.request": lambda url: _failing(lambda: _opened(url)),
    "aiohttp": lambda url: asyncio.run(_aiohttp(url)),
}


def _failing(ask):
    try:
        return ask()
    except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("library", REASONS)
def test_the_phrase_behind_the_status(url, library):
    """Clients show it in their errors, and agents give these to the model; the usual one is not written."""
    base, server = url
    ask = REASONS[library]
    both = twice(server, lambda: (ask(f"{base}/phrase"), ask(f"{base}/plain")))
    assert both.replayed == both.live
    assert "NO SUCH ORDER" in both.live[0]
    assert [crossing.answered.get("reason") for crossing in both.recorded.crossings] == [
        "NO SUCH ORDER",
        None,
    ]


def _opened(url, read=lambda answer: answer.read()):
    try:
        with urllib.request.urlopen(url) as answer:
            return read(answer)
    except urllib.error.HTTPError as error:
        with error:
            return str(error)


def _pooled(url):
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("GET", url)


def _copied(url):
    file = io.BytesIO()
    _opened(url, lambda answer: shutil.copyfileobj(answer, file))
    return file.getvalue()


def _raw(url):
    file = io.BytesIO()
    with requests.get(url, stream=True, timeout=5) as answer:
        shutil.copyfileobj(answer.raw, file)
    return file.getvalue()


def _streamed(url):
    with urllib3.PoolManager() as pool:
        return list(pool.request("GET", url, preload_content=False).stream(4))


WAYS = {
    "read at once": _opened,
    "copied": _copied,
    "by parts": lambda url: _opened(url, lambda answer: [answer.read(3), answer.readline(), answer.read()]),
    "line by line": lambda url: _opened(url, list),
    "requests, raw": _raw,
    "urllib3, streamed": _streamed,
    "urllib3, at once": lambda url: _pooled(url).data,
}


@pytest.mark.parametrize("path", ["cut", "cut_chunks"])
@pytest.mark.parametrize("way", WAYS)
def test_a_body_that_is_cut_off_ends_as_it_did(url, way, path):
    """Some ways to read raise an error there, some give what came; each library has words of its own."""
    base, server = url
    both = twice(server, lambda: _failing(lambda: WAYS[way](f"{base}/{path}")))
    assert both.replayed == both.live


def test_the_first_bytes_of_a_compressed_body(url):
    """They hold no content yet."""
    base, server = url

    def first():
        with requests.get(f"{base}/zipped", stream=True, timeout=5) as answer:
            return answer.raw.read(3)

    both = twice(server, first)
    assert both.replayed == both.live == b"\x1f\x8b\x08"


def test_the_coding_that_a_head_request_is_given(url):
    """It stands beside no body."""
    base, server = url
    both = twice(server, lambda: dict(requests.head(f"{base}/zipped", timeout=5).headers)["content-encoding"])
    assert both.replayed == both.live == "gzip"
