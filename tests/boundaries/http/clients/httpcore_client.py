"""httpcore, whose adapter stands in docs/testing-adapters.md."""

import httpcore

KEPT = httpcore.ConnectionPool()


def whole(response):
    return (
        response.status,
        [(name.decode(), value.decode()) for name, value in response.headers],
        response.content,
    )


def ask(method, url, headers, body, timeout=10):
    extensions = {"timeout": {"read": timeout}}
    return whole(httpcore.request(method, url, headers=headers, content=body, extensions=extensions))


async def ask_later(method, url, headers, body):
    async with httpcore.AsyncConnectionPool() as pool:
        return whole(await pool.request(method, url, headers=headers, content=body))


def stream(method, url, headers, body):
    with httpcore.stream(method, url, headers=headers, content=body) as response:
        yield from response.iter_stream()


async def stream_later(method, url, headers, body):
    async with (
        httpcore.AsyncConnectionPool() as pool,
        pool.stream(method, url, headers=headers, content=body) as response,
    ):
        async for chunk in response.aiter_stream():
            yield chunk


def hasty(url):
    return ask("GET", url, {}, b"", timeout=0.1)


def keep(url):
    return whole(KEPT.request("GET", url))
