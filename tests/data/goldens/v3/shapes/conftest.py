"""The world is there while this is recorded; in a replay there is none, and no tool may run."""

from __future__ import annotations

import queue
import threading

import pytest
import server

SECRET = "sk-" + "proj-" + "7aQ" + "w3ZrT9kLm" * 4
"""Looks like a key, and is none."""


@pytest.fixture(scope="session", autouse=True)
def environment():
    """A secret of the environment: the redactor reads it when a run is opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_API_TOKEN", "shop-4711-Xy81-aQ")
        yield


@pytest.fixture(scope="session")
def live_url():
    with server.serve() as url:
        yield url


@pytest.fixture
def url(sparrow, request, monkeypatch):
    """Where the server is; in a replay, where none is."""
    if sparrow.golden is None:
        return request.getfixturevalue("live_url")
    monkeypatch.setenv("SHUT", "1")
    return "http://127.0.0.1:9"


@pytest.fixture
def secret():
    return SECRET


@pytest.fixture(scope="session")
def worker():
    """A thread that is older than every run, and takes its work from a queue of its own."""
    work, done = queue.Queue(), queue.Queue()

    def loop():
        while (task := work.get()) is not None:
            done.put(task())

    def give(task):
        work.put(task)
        return done.get(timeout=30)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    yield give
    work.put(None)
    thread.join()
