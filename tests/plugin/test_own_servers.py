"""Servers in the test's own process: the app under test is reached in every mode, a mock is replayed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from edges.world import serving
from inner_runs import pytest_in

if TYPE_CHECKING:
    from pathlib import Path

INNER = """
import asyncio, contextlib, functools, http.server, json, os, secrets, threading, time

import aiohttp.web
import httpx2
import pytest
import requests
import uvicorn

URL, WORD = os.environ["URL"], os.environ.get("WORD", "")
SUNNY = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "sunny"}}]}


def ask(question):
    return requests.post(f"{URL}/answer", json={"question": question + WORD}).status_code


@contextlib.contextmanager
def server(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = json.dumps(answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


@functools.cache
def app_of_all_tests():
    tokens = []

    def answer(path, body):
        if path == "/login":
            tokens.append(secrets.token_hex(8))
            return {"token": tokens[-1]}
        assert body["token"] in tokens
        return {"status": ask(body["question"])}

    running = server(answer)
    return running, running.__enter__()


def talk(question):
    _, app = app_of_all_tests()
    token = requests.post(f"{app}/login", json={}).json()["token"]
    return requests.post(f"{app}/ask", json={"token": token, "question": question}).json()


def test_thread(sparrow):
    assert talk("one") == {"status": 200}


def test_thread_of_an_earlier_test(sparrow):
    assert talk("two") == {"status": 200}


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"soon"})
    async with httpx2.AsyncClient() as client:
        await client.post(f"{URL}/answer", json={"question": scope["path"] + WORD})
    scope["app"].done.set()


def test_uvicorn_after_its_response(sparrow):
    asgi_done = threading.Event()

    async def app(scope, receive, send):
        await asgi({**scope, "app": app}, receive, send)

    app.done = asgi_done
    one = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=one.run, daemon=True)
    thread.start()
    while not one.started:
        thread.join(0.01)
    port = one.servers[0].sockets[0].getsockname()[1]
    assert httpx2.get(f"http://127.0.0.1:{port}/later").text == "soon"
    assert asgi_done.wait(20)
    one.should_exit = True
    thread.join()


def test_aiohttp_in_the_loop_of_the_test(sparrow):
    async def handle(request):
        async with aiohttp.ClientSession() as session, session.post(f"{URL}/answer", json={"question": WORD}) as answer:
            return aiohttp.web.json_response({"status": answer.status})

    async def go():
        app = aiohttp.web.Application()
        app.router.add_post("/ask", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with httpx2.AsyncClient() as client:
            said = (await client.post(f"http://127.0.0.1:{port}/ask", json={})).json()
        await runner.cleanup()
        return said

    assert asyncio.run(go()) == {"status": 200}


def test_mock_provider(sparrow):
    asked = []
    with server(lambda path, body: asked.append(body) or {"is": "mocked"}) as url:
        assert requests.post(f"{url}/weather", json={"word": WORD}).json() == {"is": "mocked"}
    assert len(asked) == (1 if sparrow.mode == "record" else 0)


def test_tool_server(sparrow):
    def answer(path, body):
        ask("of the tool's own")
        return {"jsonrpc": "2.0", "id": body["id"], "result": {"content": [{"type": "text", "text": "sunny"}]}}

    params = {"name": "weather", "arguments": {"word": WORD}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with server(answer) as url:
        assert requests.post(f"{url}/mcp", json=call).json()["result"]["content"][0]["text"] == "sunny"


def test_model_server_alone(sparrow):
    def answer(path, body):
        return SUNNY | {"created": int(time.time())}

    question = {"model": "m", "messages": [{"role": "user", "content": "weather?" + WORD}]}
    with server(answer) as url:
        assert requests.post(f"{url}/v1/chat/completions", json=question).json()["choices"]


def test_model_server(sparrow):
    def answer(path, body):
        ask("of another model")
        return SUNNY

    question = {"model": "m", "messages": [{"role": "user", "content": "weather?" + WORD}]}
    with server(answer) as url:
        assert requests.post(f"{url}/v1/chat/completions", json=question).json()["choices"]
"""


def test_an_app_is_reached_and_a_mock_is_replayed(tmp_path: Path) -> None:
    """What an app asks for is the run; the requests to the app are not, even before it is known as one."""
    (tmp_path / "test_inner.py").write_text(INNER)
    with serving() as url:
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert (code, "8 recorded" in output) == (0, True), output
    assert re.findall(
        "^(.*): the server at .* speaks a model's format and asks others", output, re.MULTILINE
    ) == ["test_inner.py::test_model_server"]
    golden = tmp_path / "__sparrow__/test_inner"
    for name in ("test_thread", "test_thread_of_an_earlier_test"):
        (line,) = (golden / name / "exchanges.jsonl").read_text().splitlines()
        assert json.loads(line)["asked"]["url"].endswith("/answer")
        assert json.loads((golden / name / "inputs.json").read_text())["config_snapshot"]["apps"] == [
            "POST /ask",
            "POST /login",
        ]
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9")
    assert (code, "8 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL="http://127.0.0.1:9", WORD="changed")
    assert "8 failed" in output, output
