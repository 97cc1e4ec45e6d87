"""The tests that an HTTP library's clients are recorded and replayed by."""

import asyncio
import contextlib
import gzip
import inspect
import json
import os
import re
import threading
from pathlib import Path

import client_here

SERVED = os.environ["SERVED"]
REFUSED = "http://127.0.0.1:9/"
REPLAYED_OTHERWISE = {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}
REPLAYED_OTHERWISE |= {"retry-after", "retry-after-ms"}  # no client waits in a replay
KEY = "sk-test-0123456789abcdef0123456789abcdef"
MAIN = "ask" if hasattr(client_here, "ask") else "ask_later"

if hasattr(client_here, "keep"):
    client_here.keep(f"{SERVED}/opened")


def done(given):
    return asyncio.run(given) if inspect.iscoroutine(given) else given


def ask(method, path, headers=None, body=b"", way=MAIN):
    """Send a request, and show of the answer what a replay must give again."""
    return shown(done(getattr(client_here, way)(method, SERVED + path, headers or {}, body)))


def shown(answer):
    status, headers, body = answer
    if body.startswith(b"\x1f\x8b"):  # the library leaves it to its client; a replay compresses anew
        body = gzip.decompress(body)
    lines = sorted(
        f"{name.lower()}: {value}" for name, value in headers if name.lower() not in REPLAYED_OTHERWISE
    )
    # A cookie is a secret; which ones came is none.
    lines = [line.partition("=")[0] if line.startswith("set-cookie") else line for line in lines]
    return [status, lines, body.decode("latin-1")]


def note(*values):
    """Keep what came, to be compared with what came in the recording."""
    with Path(os.environ["NOTED"]).open("a") as file:
        file.write(json.dumps([os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0], values]) + "\n")


def failure(call):
    """What the library raises, "" for nothing; where objects lie in memory is no part of it."""
    try:
        call()
    except (AttributeError, LookupError, NameError, TypeError):
        raise  # a mistake of a program, and no library's error
    except Exception as error:  # noqa: BLE001 - any of the library's
        kind = type(error)
        return f"{kind.__module__}.{kind.__qualname__}: {re.sub('0x[0-9a-f]+', '0x', str(error))}"
    return ""


def chunks(way, path, most=99, name=""):
    """The chunks of a stream, and how it ended; ``most`` leaves it early.

    The server sends a chunk when the client has the one before: nothing may keep it back.
    """
    got = []
    query = f"{client_here.__name__}-{way}-{name or path}"
    stream, go = (("GET", f"{SERVED}{each}?{query}", {}, b"") for each in (path, "/go"))

    def read():
        with contextlib.closing(client_here.stream(*stream)) as pieces:
            for chunk in pieces:
                got.append(bytes(chunk).decode())
                if len(got) == most:
                    return
                client_here.ask(*go)

    async def read_later():
        async with contextlib.aclosing(client_here.stream_later(*stream)) as pieces:
            async for chunk in pieces:
                got.append(bytes(chunk).decode())
                if len(got) == most:
                    return
                await client_here.ask_later(*go)

    try:
        read() if way == "stream" else asyncio.run(read_later())
    except Exception as error:  # noqa: BLE001 - any of the library's
        kind = type(error)
        return got, f"{kind.__module__}.{kind.__qualname__}"
    return got, ""


def by(function):
    """Make a test of what follows for the function, and one for its like with ``_later``."""

    def add(run):
        for way, name in ((function, run.__name__), (f"{function}_later", f"{run.__name__}_later")):

            def test(sparrow, way=way):
                run(way)

            globals()[f"test_{name}"] = test
        return run

    return add


@by("ask")
def answers(way):
    found = [ask("GET", f"/answers/{number}", way=way) for number in range(7)]
    assert [status for status, _, _ in found] == [200, 201, 200, 200, 204, 404, 503]
    json_, text, raw, zipped, *_ = [body for _, _, body in found]
    assert json.loads(json_) == {"said": "yes", "n": 1.5}
    assert (text, raw) == ("na\xefve", bytes(range(256)).decode("latin-1"))
    assert zipped == "plain"
    cookies = [line for line in found[1][1] if line.startswith("set-cookie")]
    assert cookies
    head = ask("HEAD", "/answers/0", way=way)
    assert (head[0], head[2]) == (200, "")
    note(*found, head)


@by("ask")
def bodies(way):
    texts = {"application/json": b'{"n":  1.50}', "text/plain": "\u00fc".encode(), "image/png": b"\xff\x00"}
    for kind, body in texts.items():
        for method in ("POST", "PUT"):
            status, _, said = ask(method, "/echo?a=1&b=2", {"content-type": kind, "x-own": "1"}, body, way)
            came = json.loads(said)
            assert (status, came["method"], came["path"]) == (200, method, "/echo?a=1&b=2")
            assert (came["body"], came["type"], came["own"]) == (body.hex(), kind, "1")


@by("stream")
def streamed(way):
    got, error = chunks(way, "/stream")
    assert error == ""
    assert got == ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]


@by("stream")
def left(way):
    got, error = chunks(way, "/stream", most=1, name="left")
    assert (got, error) == (["data: 1\n\n"], "")


@by("stream")
def broken(way):
    got, error = chunks(way, "/broken")
    assert got == ["data: 1\n\n"]
    assert error
    note(error)


@by("ask")
def refused(way):
    raised = failure(lambda: done(getattr(client_here, way)("GET", REFUSED, {}, b"")))
    assert raised
    note(raised)


def test_hasty(sparrow):
    raised = failure(lambda: done(client_here.hasty(f"{SERVED}/slow")))
    assert raised
    note(raised.partition(": ")[0])


def test_followed(sparrow):
    answer = shown(done(client_here.follow(f"{SERVED}/moved")))
    assert (answer[0], answer[2]) == (200, "there")
    note(answer)


def test_faulted(sparrow):
    """What another library recorded, and faults, have names that are nobody's own."""
    faults = ("timeout", "connect-timeout", "unreachable", "reset", "disconnected")
    raised = []
    if sparrow.golden is not None:
        for number, fault in enumerate(faults, start=1):
            sparrow.inject(fault, at=number)
        raised = [failure(lambda: ask("POST", "/echo?fault", body=b"1")) for _ in faults]
        assert sum(map(bool, raised)) >= 3  # a library may try again by itself, and get the answer
    if all(raised):
        assert ask("POST", "/echo?fault", body=b"1")[0] == 200


def test_again(sparrow):
    """A client that asks once more, itself."""
    answers = [ask("GET", "/busy") for _ in range(3)]
    assert [(status, body) for status, _, body in answers] == [(503, "1"), (503, "2"), (200, "3")]
    note(*answers)


def test_retried(sparrow):
    answer = shown(done(client_here.retried(f"{SERVED}/busy")))
    assert (answer[0], answer[2]) == (200, "3")
    note(answer)


def test_threads(sparrow):
    """The server answers when both are there."""
    got = {}

    def work(name):
        got[name] = ask("GET", f"/both?{name}")[2]

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {"a": "a", "b": "b"}


def test_tasks(sparrow):
    async def both():
        asked = [client_here.ask_later("GET", f"{SERVED}/both?{name}", {}, b"") for name in "ab"]
        return [bytes(body).decode() for _, _, body in await asyncio.gather(*asked)]

    assert asyncio.run(both()) == ["a", "b"]


def test_kept(sparrow):
    """Over a connection that was opened before there was a run."""
    answer = shown(client_here.keep(f"{SERVED}/kept"))
    assert answer[2] == "kept"
    note(answer)


def test_secrets(sparrow):
    answer = ask(
        "POST",
        f"/secrets?api_key={KEY}1",
        {"authorization": f"Bearer {KEY}2", "x-api-key": f"{KEY}3", "content-type": "application/json"},
        json.dumps({"api_key": f"{KEY}4"}).encode(),
    )
    assert answer[0] == 200


def main(change=""):
    path = (
        "/echo?a=1&b=3" if change == "query" else "/echoed?a=1&b=2" if change == "path" else "/echo?a=1&b=2"
    )
    headers = {"content-type": "application/json", "x-own": "2" if change == "header" else "1"}
    body = b'{"amount": 139.99}' if change == "body" else b'{"amount": 39.99}'
    with contextlib.suppress(Exception):  # some raise for the status of a miss
        ask("PUT" if change == "method" else "POST", path, headers, body)
        if change == "run_again":
            ask("POST", path, headers, body)


def test_main(sparrow):
    main()


def test_changed_body(sparrow):
    main("body")


def test_changed_method(sparrow):
    main("method")


def test_changed_path(sparrow):
    main("path")


def test_changed_query(sparrow):
    main("query")


def test_changed_header(sparrow):
    main("header")


def test_changed_run_again(sparrow):
    main("run_again")


def test_changed_not_run(sparrow):
    """Nothing is asked."""


def test_changed_left(sparrow):
    """Of the stream that the unchanged client read to its end."""
    chunks("stream" if hasattr(client_here, "stream") else "stream_later", "/stream", most=1)
