"""Our own adapters, and the document's, held to the contract that those of others are held to."""

from __future__ import annotations

import importlib.util
import re
from functools import partial
from pathlib import Path

import pytest
from inner_runs import pytest_in

from pytest_sparrow.testing import HttpContract
from pytest_sparrow.testing.http import exchange

CORE = "httpcore_client.py"
CLIENTS = Path(__file__).parent / "clients"
DOCUMENT = (Path(__file__).parents[3] / "docs" / "testing-adapters.md").read_text("utf-8")
FILES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE))
ADAPTER = FILES["httpcore_sparrow.py"]


class Ours(HttpContract):
    """All of them in one run; not collected by itself."""

    @classmethod
    def run_pytest(cls, folder, *args, **environ):
        return pytest_in(folder, *args, **environ)[1]

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls, all_held):
        return all_held[cls]


class TestHttpx(Ours):
    clients = CLIENTS / "httpx_client.py"


class TestAiohttp(Ours):
    clients = CLIENTS / "aiohttp_client.py"


class TestUrllib3(Ours):
    clients = CLIENTS / "urllib3_client.py"


class TestRequests(Ours):
    clients = CLIENTS / "requests_client.py"


class TestHttpClient(Ours):
    clients = CLIENTS / "http_client_client.py"


class TestHttpcore(Ours):
    clients = CLIENTS / CORE
    library = "httpcore_sparrow.LIBRARY"


if importlib.util.find_spec("httplib2") is not None:

    class TestHttplib2(Ours):
        clients = CLIENTS / "httplib2_client.py"


OURS = Ours.__subclasses__()


@pytest.fixture(scope="module")
def all_held(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contract")
    (folder / "httpcore_sparrow.py").write_text(ADAPTER, "utf-8")
    return exchange(OURS, folder)


def test_the_documents_clients_are_those_that_are_held():
    """Paste the file."""
    assert (CLIENTS / CORE).read_text("utf-8").partition('"""\n\n')[2] == FILES[CORE]


def test_clients_that_send_nothing_are_an_error(tmp_path):
    """Of three lines, before anything runs."""
    (tmp_path / "client.py").write_text("def stream(): ...\n", "utf-8")
    empty = type("Empty", (Ours,), {"clients": tmp_path / "client.py"})
    with pytest.raises(pytest.UsageError) as refused:
        exchange([empty], tmp_path)
    assert [line[:5] for line in str(refused.value).splitlines()[1:]] == ["  Wit", "  Wri"]


BROKEN = {
    "c:header": ("return [(name.decode(), value.decode()) for name, value in request.headers]", "return []"),
    "c:query": ("origin + url.target.decode()", 'origin + url.target.decode().partition("?")[0]'),
    "c:body": ("        return raw\n", '        return b""\n'),
    "hasty": ('failure.type if failure.type in ERRORS else "ConnectError"', '"ConnectError"'),
    "again": ("Response(reply.status,", "Response(200,"),
    "patched": (
        "    adapter = Httpcore(httpcore)\n",
        "    adapter = Httpcore(httpcore)\n    given = httpcore.ConnectionPool.handle_request\n"
        "    httpcore.ConnectionPool.handle_request = lambda *args: given(*args)\n",
    ),
}


def test_a_broken_adapter_is_red(tmp_path):
    """By the test that is about what is broken; an adapter with many faults, so that two runs say all of it."""
    text = ADAPTER
    for old, new in BROKEN.values():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "httpcore_sparrow.py").write_text(text, "utf-8")
    (tmp_path / "given").mkdir()
    given = (
        (CLIENTS / CORE)
        .read_text("utf-8")
        .replace("def stream", "def _stream")
        .replace("def keep", "def _keep")
    )
    (tmp_path / "given" / CORE).write_text(given, "utf-8")

    class Broken(Ours):
        clients = tmp_path / "given" / CORE
        library = "httpcore_sparrow.LIBRARY"

    held, contract, red = exchange([Broken], tmp_path)[Broken], Broken(), set()
    checks = {name: partial(contract.test_behaviour, held, name) for name in ("hasty", "again", "refused")}
    changes = ("header", "query", "body", "method", "run_again")
    checks |= {f"c:{name}": partial(contract.test_a_change_is_red, held, name) for name in changes}
    checks |= {"patched": partial(contract.test_nothing_stays_patched, held)}
    for name, check in checks.items():
        try:
            check()
        except AssertionError:
            red.add(name)
    assert red == set(BROKEN)
