"""httpx, and httpx2, which has the same classes."""

import ssl

import httpx

OPTIONS = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "timeout": 10}
KEPT = httpx.Client(**OPTIONS)


def whole(response):
    return response.status_code, response.headers.multi_items(), response.content


def ask(method, url, headers, body):
    with httpx.Client(**OPTIONS) as client:
        return whole(client.request(method, url, headers=headers, content=body))


async def ask_later(method, url, headers, body):
    async with httpx.AsyncClient(**OPTIONS) as client:
        return whole(await client.request(method, url, headers=headers, content=body))


def stream(method, url, headers, body):
    with (
        httpx.Client(**OPTIONS) as client,
        client.stream(method, url, headers=headers, content=body) as response,
    ):
        yield from response.iter_raw()


async def stream_later(method, url, headers, body):
    async with (
        httpx.AsyncClient(**OPTIONS) as client,
        client.stream(method, url, headers=headers, content=body) as response,
    ):
        async for chunk in response.aiter_raw():
            yield chunk


def hasty(url):
    with httpx.Client(**{**OPTIONS, "timeout": 0.1}) as client:
        return whole(client.get(url))


def follow(url):
    with httpx.Client(**OPTIONS, follow_redirects=True) as client:
        return whole(client.get(url))


def keep(url):
    return whole(KEPT.get(url))
