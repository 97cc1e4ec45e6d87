"""urllib3."""

import urllib3

OPTIONS = {"retries": False, "timeout": 10}
KEPT = urllib3.PoolManager()


def whole(response):
    return response.status, list(response.headers.items()), response.data


def ask(method, url, headers, body, **options):
    with urllib3.PoolManager() as pool:
        return whole(pool.request(method, url, headers=headers, body=body or None, **{**OPTIONS, **options}))


def stream(method, url, headers, body):
    with urllib3.PoolManager() as pool:
        response = pool.request(
            method, url, headers=headers, body=body or None, preload_content=False, **OPTIONS
        )
        try:
            yield from response.stream()
        finally:
            response.close()


def hasty(url):
    return ask("GET", url, {}, b"", timeout=0.1)


def follow(url):
    return ask("GET", url, {}, b"", retries=3)


def retried(url):
    return ask("GET", url, {}, b"", retries=urllib3.Retry(3, status_forcelist=[503], backoff_factor=0.01))


def keep(url):
    return whole(KEPT.request("GET", url))
