"""An agent that puts a text into every kind of field, and a world that says it back in every kind of body."""

from __future__ import annotations

import base64
import contextlib
import json
import socket

from pytest_sparrow.testing.loopback import loopback

__all__ = ["AGENT", "leaking"]

AGENT = '''
import base64
import json
import os
from urllib.parse import quote

import httpx

from pytest_sparrow.events import Message

WORLD = os.environ["WORLD"]
KNOWN = {"BILLING_PASSWORD": os.environ.get("BILLING_PASSWORD", "")}


class Refused(Exception):
    pass


def note(text: str, nested: str) -> dict:
    return {"text": text, "again": [nested], "raw": json.dumps({"deep": json.dumps({"text": text})})}


def fail(text: str) -> str:
    raise ValueError(f"no good: {text}", text)


def page(text: str):
    yield "first " + text
    yield {"second": text}


def leak(sparrow, client, text, as_password=True):
    """What comes back is what went out, however it travels."""
    tools = {tool.__name__: sparrow.tool(tool) for tool in (note, fail, page)}
    quoted = quote(text, safe="")
    for how in ("json", "stream", "lines", "text", "broken"):
        answer = client.post(WORLD + "/say", json={"how": how, "payload": f"use {text} now"})
        answer.raise_for_status()
    client.post(f"{WORLD}/say?q={quoted}&page=2", data={"note": text, "page": "2"}, headers={"accept": "a/" + quoted})
    client.post(
        f"{WORLD}/{quoted}/x", data={"note": text}, files={"file": ("a.txt", "begin\\n" + text + "\\nend")}
    )
    # From here on the text is known as a secret: where it stood before, it had to be found by its own form.
    known = {"content-type": "text/plain", **({"authorization": "Bearer " + quoted} if as_password else {})}
    client.post(WORLD + "/say", content=b"plain " + text.encode(), headers=known)
    if as_password:
        log_in(client, text, quoted)
    tools["note"](text, json.dumps({"text": "a\\n" + text}))
    try:
        tools["fail"]("with " + text)
    except ValueError:
        pass
    list(tools["page"](text))
    sparrow.call("call", lambda a, b: {a: b}, text, b=[text])
    sparrow.record(Message(run=sparrow.run_id, role="user", text="own: " + text))


def log_in(client, text, quoted):
    auth = base64.b64encode(("user:" + text).encode()).decode()
    said = {"how": "json", "payload": {"headers": ["Authorization: Basic " + auth]}}
    client.post(WORLD.replace("http://", "http://me:" + quoted + "@") + "/say", json=said)
'''


@contextlib.contextmanager
def leaking(inner):
    """Serve the world, and write the agent into the folder."""
    with loopback(say=_say) as server:
        inner.write("leak.py", AGENT)
        inner.env(WORLD=server.url)
        yield server


def _say(call):
    call.handler.connection.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # or each answer takes 40 ms
    if call.method != "POST" or not call.headers.get("content-type", "").startswith("application/json"):
        called = call.body.decode() or call.path
        return call.answer(
            json.dumps({"said": called}).encode(), content_type="application/json", link=f"<{call.path}>"
        )
    asked = json.loads(call.body)
    return _ANSWERS[asked["how"]](call, asked["payload"])


def _in_threes(text):
    return [text[at : at + 3] for at in range(0, len(text), 3)]


def _stream(call, deltas):
    chunks = [{"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    call.answer(body.encode(), content_type="text/event-stream")


def _as_stream(call, text):
    """As what a model says, and as what it calls a tool with."""
    arguments = json.dumps({"note": text, "n": 1.0})
    said = [{"content": part} for part in _in_threes(text)]
    calls = [
        {"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in _in_threes(arguments)
    ]
    _stream(call, [*said, *calls])


def _as_lines(call, text):
    lines = [json.dumps({"message": {"content": part}, "done": False}) for part in _in_threes(text)]
    call.answer("\n".join(lines).encode() + b"\n", content_type="application/x-ndjson")


def _as_json(call, text):
    """In values, in a key, in JSON within JSON, and in Base64."""
    spelled = base64.b64encode(f"user: {text}\n".encode()).decode()
    body = {"said": text, "list": [{str(text): 1}], "quoted": json.dumps({"text": text})}
    call.answer(json.dumps({**body, "data": {"config": spelled}}).encode(), content_type="application/json")


_ANSWERS = {
    "json": _as_json,
    "stream": _as_stream,
    "lines": _as_lines,
    "text": lambda call, text: call.answer(f"log:\n{text}\n".encode(), content_type="text/plain"),
    "broken": lambda call, text: call.answer(
        json.dumps({"said": text}).encode()[:-2], content_type="application/json"
    ),
}
