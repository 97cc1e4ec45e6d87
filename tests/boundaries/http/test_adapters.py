"""An HTTP library is one adapter: what the rest needs to know of a library stands there, and nowhere else."""

import ast
import asyncio
import functools
import importlib
import re
from http.client import HTTPException
from pathlib import Path

import aiohttp
import httpx
import httpx2
import pytest
import urllib3
from yarl import URL

import pytest_sparrow
from pytest_sparrow.boundaries import http
from pytest_sparrow.boundaries.http.aiohttp import adapter as aiohttp_adapter
from pytest_sparrow.boundaries.http.http_client import adapter as http_client_adapter
from pytest_sparrow.boundaries.http.httpx import _HttpxAdapter
from pytest_sparrow.boundaries.http.urllib3 import adapter as urllib3_adapter
from pytest_sparrow.exchange import TransportErrorName, TransportFailure

ROOT = Path(pytest_sparrow.__file__).parent


@functools.cache
def _texts():
    """The string constants of each module, without docstrings, by its path."""
    return {path.relative_to(ROOT).as_posix(): _texts_of(path) for path in ROOT.rglob("*.py")}


def _texts_of(path):
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def test_libraries_are_named_in_their_adapters_only():
    """A new library is its adapter and its line in the list: no other module has a library's name in a text.

    But for the one that writes their responses as values: a type's name there is what a golden holds.
    """
    names = re.compile(rf"\b({'|'.join(library.name for library in http.libraries())})\b")
    found = {path for path, texts in _texts().items() if any(map(names.search, texts))}
    assert {path for path in found if not path.startswith("boundaries/http/")} == {"values/messages.py"}


def test_transport_errors_are_named_once():
    """Faults, scenarios and codecs take the names of transport errors from `TransportErrorName`."""
    names = re.compile(rf"\b({'|'.join(TransportErrorName)})\b")
    found = {path for path, texts in _texts().items() if any(map(names.search, texts))}
    assert {path for path in found if not path.startswith("boundaries/http/urllib3/")} == {"exchange.py"}


@pytest.mark.parametrize("library", http.libraries(), ids=lambda library: library.name)
def test_the_installed_library_has_every_needed_name(library):
    """`doctor` and the adapter read the same list."""
    module = importlib.import_module(library.name)
    assert library.missing(module) == []
    assert library.patches(module)
    assert set(library.errors) <= set(TransportErrorName)


def _httpx_error(failure):
    return _HttpxAdapter(httpx).error(httpx.Request("GET", "http://a/"), failure)


def _httpx2_error(failure):
    return _HttpxAdapter(httpx2).error(httpx2.Request("GET", "http://a/"), failure)


def _aiohttp_error(failure):
    async def request():
        loop = asyncio.get_running_loop()
        return aiohttp.ClientRequest("GET", URL("http://a/"), loop=loop, session=None)

    return aiohttp_adapter.error_of(failure, asyncio.run(request()))


def _urllib3_error(failure):
    return urllib3_adapter.error_of(failure, urllib3.exceptions, pool=None, conn=None, url="/")


RAISED = [
    (http_client_adapter.error_of, (OSError, HTTPException)),
    (_httpx_error, httpx.RequestError),
    (_httpx2_error, httpx2.RequestError),
    (_aiohttp_error, aiohttp.ClientError),
    (_urllib3_error, urllib3.exceptions.HTTPError),
]


@pytest.mark.parametrize(("error_of", "base"), RAISED)
@pytest.mark.parametrize("name", TransportErrorName)
def test_every_adapter_raises_its_own_error_for_every_name(error_of, base, name):
    """A golden that another library recorded replays, and a fault means the same for every library."""
    error = error_of(TransportFailure(type=str(name), message="why"))
    assert isinstance(error, base)
    assert "why" in str(error)
