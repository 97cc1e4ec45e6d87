"""The four ways to make a request (two libraries, sync and async) behind one face."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import Any

WAYS = ("httpx2-sync", "httpx2-async", "httpx-sync", "httpx-async")


@dataclass(frozen=True)
class Caller:
    """One way; each request has a client of its own."""

    way: str

    @property
    def library(self) -> Any:
        return importlib.import_module(self.way.partition("-")[0])

    @property
    def is_async(self) -> bool:
        return self.way.endswith("async")

    def request(self, method: str, url: str, *, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The response, read whole."""
        options = {"timeout": 10, "trust_env": False, **(client or {})}
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
            with self.library.Client(trust_env=False) as client, client.stream(method, url):
                return

        async def main() -> None:
            async with self.library.AsyncClient(trust_env=False) as client, client.stream(method, url):
                return

        asyncio.run(main())

    def chunks(
        self, method: str, url: str, *, first: int | None = None, seen: Any = None, **kwargs: Any
    ) -> list[bytes]:
        """The raw chunks of a streamed response, all or the first few; ``seen`` is called with each."""
        got: list[bytes] = []

        def take(chunk: bytes) -> bool:
            got.append(chunk)
            if seen is not None:
                seen(chunk)
            return first is not None and len(got) >= first

        if not self.is_async:
            with (
                self.library.Client(timeout=10, trust_env=False) as client,
                client.stream(method, url, **kwargs) as response,
            ):
                for chunk in response.iter_raw():
                    if take(chunk):
                        break
            return got

        async def main() -> None:
            async with (
                self.library.AsyncClient(timeout=10, trust_env=False) as client,
                client.stream(method, url, **kwargs) as response,
            ):
                async for chunk in response.aiter_raw():
                    if take(chunk):
                        break

        asyncio.run(main())
        return got
