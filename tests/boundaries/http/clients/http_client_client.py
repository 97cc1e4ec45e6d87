"""http.client, and urllib.request."""

import http.client
import urllib.request
from urllib.parse import urlsplit

KEPT = []


def opened(method, url, headers, body, timeout=10):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    connection.connect()  # as httplib2 does
    connection.request(method, url.partition(parts.netloc)[2], body or None, headers)
    return connection, connection.getresponse()


def whole(response):
    return response.status, response.getheaders(), response.read()


def ask(method, url, headers, body, timeout=10):
    connection, response = opened(method, url, headers, body, timeout)
    try:
        return whole(response)
    finally:
        connection.close()


def stream(method, url, headers, body):
    connection, response = opened(method, url, headers, body)
    try:
        while chunk := response.read1():
            yield chunk
    finally:
        response.close()
        connection.close()


def hasty(url):
    return ask("GET", url, {}, b"", timeout=0.1)


def follow(url):
    with urllib.request.urlopen(url) as response:
        return whole(response)


def keep(url):
    parts = urlsplit(url)
    if not KEPT:
        KEPT.append(http.client.HTTPConnection(parts.netloc, timeout=10))
    KEPT[0].request("GET", parts.path)
    return whole(KEPT[0].getresponse())
