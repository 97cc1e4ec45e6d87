"""requests."""

import contextlib

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

KEPT = requests.Session()


@contextlib.contextmanager
def asked(method, url, headers=None, body=None, *, retries=0, **options):
    options = {"timeout": 10, "allow_redirects": False, **options}
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=retries))
        with session.request(method, url, headers=headers, data=body, **options) as response:
            yield response


def whole(response):
    return response.status_code, list(response.headers.items()), response.content


def ask(method, url, headers, body):
    with asked(method, url, headers, body) as response:
        return whole(response)


def stream(method, url, headers, body):
    with asked(method, url, headers, body, stream=True) as response:
        yield from response.iter_content(None)


def hasty(url):
    with asked("GET", url, timeout=0.1) as response:
        return whole(response)


def follow(url):
    with asked("GET", url, allow_redirects=True) as response:
        return whole(response)


def retried(url):
    with asked("GET", url, retries=Retry(3, status_forcelist=[503], backoff_factor=0.01)) as response:
        return whole(response)


def keep(url):
    return whole(KEPT.get(url, timeout=10))
