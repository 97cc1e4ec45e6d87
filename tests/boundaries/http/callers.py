"""The ways to make a request (httpx2 and httpx, sync and async, and aiohttp) behind one interface."""

from __future__ import annotations

import asyncio
import importlib
import json
import ssl
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from full import FULL

HTTPX_WAYS = ("httpx2-sync", "httpx2-async", "httpx-sync", "httpx-async")
WAYS = (*(HTTPX_WAYS if FULL else HTTPX_WAYS[:2]), "aiohttp-async")
"""httpx has the adapter of httpx2, and the contract holds it: all of its ways are tried with `SPARROW_TEST_FULL`."""

ALONE = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
"""Options of a client that the environment changes nothing of.

No server here speaks TLS. Without a context of its own, each client would read all authorities that it trusts, which
takes many times as long as its requests.
"""


@dataclass(frozen=True)
class Caller:
    """Makes requests in one way, each with a client of its own."""

    way: str

    @property
    def library(self) -> Any:
        return importlib.import_module(self.way.partition("-")[0])

    @property
    def errors(self) -> Any:
        """What the library raises: ``connect``, ``timeout``, ``transport`` (any of them), ``decoding``."""
        library = self.library
        return SimpleNamespace(
            connect=library.ConnectError,
            timeout=library.ReadTimeout,
            transport=library.TransportError,
            decoding=library.DecodingError,
        )

    @property
    def is_async(self) -> bool:
        return self.way.endswith("async")

    def request(self, method: str, url: str, *, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The response, read whole."""
        options = {"timeout": 10, **ALONE, **(client or {})}
        if not self.is_async:
            with self.library.Client(**options) as sync:
                return sync.request(method, url, **kwargs)

        async def main() -> Any:
            async with self.library.AsyncClient(**options) as client:
                return await client.request(method, url, **kwargs)

        return asyncio.run(main())

    def unread(self, method: str, url: str) -> None:
        """A streamed response, closed without reading any of it."""
        if not self.is_async:
            with self.library.Client(**ALONE) as client, client.stream(method, url):
                return

        async def main() -> None:
            async with self.library.AsyncClient(**ALONE) as client, client.stream(method, url):
                return

        asyncio.run(main())

    def chunks(
        self, method: str, url: str, *, first: int | None = None, seen: Any = None, **kwargs: Any
    ) -> list[bytes]:
        """The raw chunks of a streamed response, all or the first few; ``seen`` is called with each."""
        got: list[bytes] = []

        def recorder(chunk: bytes) -> bool:
            got.append(chunk)
            if seen is not None:
                seen(chunk)
            return first is not None and len(got) >= first

        if not self.is_async:
            with (
                self.library.Client(timeout=10, **ALONE) as client,
                client.stream(method, url, **kwargs) as response,
            ):
                for chunk in response.iter_raw():
                    if recorder(chunk):
                        break
            return got

        async def main() -> None:
            async with (
                self.library.AsyncClient(timeout=10, **ALONE) as client,
                client.stream(method, url, **kwargs) as response,
            ):
                async for chunk in response.aiter_raw():
                    if recorder(chunk):
                        break

        asyncio.run(main())
        return got


@dataclass(frozen=True)
class Answer:
    """An answer of aiohttp's, read whole, as httpx would show it."""

    status_code: int
    headers: Any
    content: bytes
    text: str
    history: tuple[Any, ...]

    def json(self) -> Any:
        return json.loads(self.content)


class AiohttpCaller(Caller):
    """aiohttp, asked in httpx's words."""

    @property
    def errors(self) -> Any:
        return SimpleNamespace(
            connect=aiohttp.ClientConnectionError,
            timeout=aiohttp.SocketTimeoutError,
            transport=aiohttp.ClientError,
            decoding=aiohttp.ClientPayloadError,
        )

    def request(self, method: str, url: str, *, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        options = {"timeout": 10, "follow_redirects": False, **(client or {})}
        files, data = kwargs.pop("files", None), kwargs.pop("data", None)
        body = kwargs.pop("content", None) if files is None else _form(data, files)

        async def main() -> Answer:
            timeout = aiohttp.ClientTimeout(sock_read=options["timeout"])
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, url, data=body, allow_redirects=options["follow_redirects"], **kwargs
                ) as got,
            ):
                content = await got.read()
                text = content.decode(got.get_encoding(), "replace")
                return Answer(got.status, got.headers, content, text, got.history)

        return asyncio.run(main())

    def unread(self, method: str, url: str) -> None:
        async def main() -> None:
            async with aiohttp.ClientSession() as session, session.request(method, url):
                return

        asyncio.run(main())

    def chunks(
        self, method: str, url: str, *, first: int | None = None, seen: Any = None, **kwargs: Any
    ) -> list[bytes]:
        got: list[bytes] = []

        async def main() -> None:
            async with (
                aiohttp.ClientSession() as session,
                session.request(method, url, **kwargs) as response,
            ):
                async for chunk in response.content.iter_any():
                    got.append(chunk)
                    if seen is not None:
                        seen(chunk)
                    if first is not None and len(got) >= first:
                        break

        asyncio.run(main())
        return got


def caller_of(way: str) -> Caller:
    """The caller for one of `WAYS`."""
    return AiohttpCaller(way) if way.startswith("aiohttp") else Caller(way)


def _form(data: dict[str, str], files: dict[str, tuple[str, bytes, str]]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in data.items():
        form.add_field(name, value)
    for name, (filename, content, content_type) in files.items():
        form.add_field(name, content, filename=filename, content_type=content_type)
    return form
