"""Sends one request through each HTTP library, in each way that an agent may drive the library."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx2
import requests
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence


@dataclass(frozen=True)
class Request:
    """A request, below the server's URL."""

    path: str = "/search"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b'{"query": "a"}'

    def but(self, **changes: Any) -> Request:
        """The request with other fields."""
        return replace(self, **changes)

    def with_header(self, name: str, value: str) -> Request:
        """The request with one more header."""
        return replace(self, headers={**self.headers, name: value})


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


Send = "Callable[[str, Request], Reply]"


def _low(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _httpx_like(library: Any, base: str, request: Request) -> Reply:
    with library.Client(timeout=60) as client:
        got = client.request(
            request.method, base + request.path, headers=request.headers, content=request.body
        )
        return Reply(got.status_code, _low(got.headers), got.content)


def _requests(base: str, request: Request) -> Reply:
    got = requests.request(
        request.method, base + request.path, headers=request.headers, data=request.body, timeout=20
    )
    return Reply(got.status_code, _low(got.headers), got.content)


def _urllib3(base: str, request: Request) -> Reply:
    with urllib3.PoolManager() as pool:
        got = pool.request(request.method, base + request.path, headers=request.headers, body=request.body)
        return Reply(got.status, _low(got.headers), got.data)


async def _httpx_like_async(library: Any, base: str, request: Request) -> Reply:
    async with library.AsyncClient(timeout=60) as client:
        got = await client.request(
            request.method, base + request.path, headers=request.headers, content=request.body
        )
        return Reply(got.status_code, _low(got.headers), got.content)


async def _aiohttp(base: str, request: Request) -> Reply:
    from yarl import URL

    url = URL(base + request.path, encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(request.method, url, headers=request.headers, data=request.body) as got,
    ):
        return Reply(got.status, _low(got.headers), await got.read())


def _http_client(base: str, request: Request) -> Reply:
    with contextlib.closing(http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)) as connection:
        connection.request(request.method, request.path, request.body, request.headers)
        got = connection.getresponse()
        body = got.read()
        if got.getheader("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Reply(got.status, _low(dict(got.getheaders())), body)


SYNC: dict[str, Callable[[str, Request], Reply]] = {
    "httpx": lambda base, request: _httpx_like(httpx, base, request),
    "httpx2": lambda base, request: _httpx_like(httpx2, base, request),
    "requests": _requests,
    "urllib3": _urllib3,
    "http.client": _http_client,
}
ASYNC: dict[str, Callable[[str, Request], Coroutine[Any, Any, Reply]]] = {
    "httpx-async": lambda base, request: _httpx_like_async(httpx, base, request),
    "httpx2-async": lambda base, request: _httpx_like_async(httpx2, base, request),
    "aiohttp": _aiohttp,
}


def direct(steps: Sequence[Callable[[], Any]]) -> list[Any]:
    """One after the other, in the test's own strand."""
    return [step() for step in steps]


def threads(steps: Sequence[Callable[[], Any]]) -> list[Any]:
    """Each in a thread of its own, which is waited for before the next begins."""
    results: list[Any] = []
    for step in steps:
        thread = threading.Thread(target=lambda step=step: results.append(step()))
        thread.start()
        thread.join()
    return results


def executor(steps: Sequence[Callable[[], Any]]) -> list[Any]:
    """Each as work of a pool, whose result is waited for before the next is handed over."""
    with ThreadPoolExecutor(2) as pool:
        return [pool.submit(step).result() for step in steps]


def awaited(steps: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """Each awaited in turn, in one task."""

    async def run() -> list[Any]:
        return [await step() for step in steps]

    return asyncio.run(run())


def tasks(steps: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """Each as a task of its own, which is awaited before the next begins."""

    async def run() -> list[Any]:
        return [await asyncio.create_task(step()) for step in steps]

    return asyncio.run(run())


SYNC_DRIVERS = {"direct": direct, "threads": threads, "executor": executor}
ASYNC_DRIVERS = {"awaited": awaited, "tasks": tasks}


def swallowing(work: Callable[[], Any]) -> Any:
    """What an agent does that goes on whatever happens."""
    with contextlib.suppress(Exception):
        return work()
