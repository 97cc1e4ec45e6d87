"""aiohttp."""

import aiohttp


async def whole(response):
    headers = [(name.decode(), value.decode()) for name, value in response.raw_headers]
    return response.status, headers, await response.read()


async def ask_later(method, url, headers, body, **options):
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=options.pop("timeout", 10))) as session,
        session.request(method, url, headers=headers, data=body, **options) as response,
    ):
        return await whole(response)


async def stream_later(method, url, headers, body):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, data=body) as response,
    ):
        async for chunk in response.content.iter_any():
            yield chunk


def hasty(url):
    return ask_later("GET", url, {}, b"", timeout=0.1)


def follow(url):
    return ask_later("GET", url, {}, b"")
