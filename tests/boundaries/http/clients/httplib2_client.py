"""httplib2, which opens its connections itself."""

import httplib2

KEPT = httplib2.Http()


def whole(answer):
    response, content = answer
    headers = [(k, v) for k, v in response.items() if k not in ("status", "content-location")]
    return response.status, headers, content


def ask(method, url, headers, body, timeout=10, redirects=False):
    http = httplib2.Http(timeout=timeout)
    http.follow_redirects = redirects
    return whole(http.request(url, method, body=body or None, headers=headers))


def hasty(url):
    return ask("GET", url, {}, b"", timeout=0.1)


def follow(url):
    return ask("GET", url, {}, b"", redirects=True)


def keep(url):
    return whole(KEPT.request(url))
