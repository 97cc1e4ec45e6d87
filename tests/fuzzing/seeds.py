"""What the fuzzer starts from: lines of goldens, samples of each provider, synthetic secrets, the package's words."""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.providers.codec import ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.wire.eventstream import frame_bytes, json_frame
from tests.cassettes import anthropic_samples, gemini_samples, responses_samples, wire_samples
from tests.fuzzing.targets import KNOWING
from tests.redact.many import WITH_CHECKSUMS
from tests.redact.synthetic import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["seeds_of", "words"]

_ROOT = Path(__file__).parents[2]
_DATA = _ROOT / "tests" / "data"
_LONGEST = 3000
_FILES = ("meta.json", "inputs.json", "events.jsonl", "exchanges.jsonl")
_ANSWER = ModelAnswer(
    parts=[Reasoning("hm"), Text("Hello"), Proposal("call_1", "search", {"query": "x"})], usage=Usage(3, 4)
)


def words() -> list[str]:
    """Names and short texts of the package's source and of the goldens, and secrets."""
    found = {
        "",
        '"',
        "\\",
        "\\n",
        "%41",
        "%2",
        "=",
        "&",
        "?",
        "://u:p@",
        "data: ",
        "\n\n",
        "[DONE]",
        "Bearer ",
    }
    for path in (_ROOT / "pytest_sparrow").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) <= 24:
                found.add(node.value)
    found.update(secret for _, secret in [*SECRETS, *WITH_CHECKSUMS] if len(secret) < 200)
    return sorted(found)


def seeds_of(target: str) -> Iterator[bytes]:
    """Inputs for a target, none of them long."""
    for data in _SEEDS[target]():
        if len(data) <= _LONGEST:
            yield data


def _folders() -> list[Path]:
    return sorted({path.parent for path in _DATA.rglob("events.jsonl")})


def _lines(name: str) -> Iterator[bytes]:
    seen = set()
    for folder in _folders():
        if (folder / name).exists():
            for line in (folder / name).read_bytes().split(b"\n"):
                kind = line[:40]
                if line and kind not in seen:
                    seen.add(kind)
                    yield line


def _exchanges() -> Iterator[bytes]:
    for folder in _folders():
        if (folder / "exchanges.jsonl").exists():
            yield (folder / "exchanges.jsonl").read_bytes()
    for same, body in ((1, None), ([[0, 1, 0, 2]], [3]), ({"a": 1}, {"a": None, "b": 2})):
        whole = {"json": [1, 2] if isinstance(same, list) else {"a": [1], "b": "x"}}
        yield b"\n".join(
            json.dumps({"kind": "http", "asked": {"body": one}, "answered": None}).encode()
            for one in (whole, {"same": same, "json": body}, {"same": 2, "json": None})
        )


def _json() -> Iterator[bytes]:
    yield from (
        b'{"a":1.0}\x00{"a":1}',
        b"[true]\x00[1]",
        b'"\\ud83d"',
        b"1e400",
        b"-0",
        b'{"a":1,"a":2}',
        b"[" * 130,
    )
    yield from _lines("events.jsonl")
    yield from _lines("inputs.json")


def _transcripts() -> Iterator[bytes]:
    for folder in _folders():
        parts = [(folder / name).read_bytes() if (folder / name).exists() else b"-" for name in _FILES]
        yield b"\x00".join(parts)
        yield b"\x00".join([b"-", *parts[1:3], b"-"])
    for folder in _folders():
        events = b"".join((folder / "events.jsonl").read_bytes().splitlines(keepends=True)[:3])
        yield b"\x00".join([b"", b"", events, b""])


def _samples() -> Iterator[tuple[dict[str, Any], int, bytes | None, tuple[str, ...]]]:
    for module in (wire_samples, anthropic_samples, gemini_samples, responses_samples):
        for cassette in module.ALL:
            for one in cassette.interactions:
                asked = {"method": "POST", "url": one.url, "headers": {}, "body": {"json": one.request}}
                yield asked, one.status, one.body, tuple(one.events or ())


def _wire() -> Iterator[bytes]:
    for asked, status, body, events in _samples():
        answered: dict[str, Any] = {"status": status, "headers": {}, "body": {"sse": list(events)}}
        if not events:
            answered["body"] = {"text": (body or b"").decode("utf-8", "replace")}
            if body and body[:1] in (b"{", b"["):
                answered["body"] = {"json": json.loads(body)}
        yield json.dumps([asked, answered], ensure_ascii=False).encode()
    for asked, codec in KNOWING:
        streamed = {**asked, "body": {"json": {**asked["body"]["json"], "stream": True}}}
        for one in (asked, streamed):
            yield json.dumps([one, codec.compose(one, _ANSWER)]).encode()
    for path, sent, body in _more_wire():
        asked = {"method": "POST", "url": f"https://h{path}", "headers": {}, "body": {"json": sent}}
        yield json.dumps([asked, {"status": 200, "headers": {}, "body": body}]).encode()
    for line in _lines("exchanges.jsonl"):
        value = json.loads(line)
        yield json.dumps([value["asked"], value["answered"]]).encode()


def _more_wire() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "t", "_meta": {"progressToken": 1}},
    }
    result = {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"content": [{"type": "text", "text": "{}"}], "isError": False},
    }
    shown = {"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}], "structuredContent": {}}
    progress = {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 1},
    }
    yield "/mcp", call, {"json": result}
    yield "/mcp", call, {"json": {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}}}
    yield "/mcp", {**call, "id": 7}, {"json": {**result, "result": shown}}
    yield "/mcp", call, {"sse": [f"event: message\ndata: {json.dumps(one)}" for one in (progress, result)]}
    used = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    given = {"toolUseId": "t1", "status": "error", "content": [{"text": "x"}, {"json": {}}]}
    given["content"].append({"image": {"format": "png", "source": {"bytes": "aGk="}}})
    spoken = [
        {"role": "assistant", "content": [used, thought]},
        {"role": "user", "content": [{"toolResult": given}]},
    ]
    cited = {"citationsContent": {"content": [{"text": "a"}]}}
    yield (
        "/model/a.b/converse",
        {"messages": spoken},
        {"json": {"output": {"message": {"content": [used, thought, cited]}}, "stopReason": "tool_use"}},
    )
    piece = {"jsonPath": "$.items[0]['a'].b", "stringValue": "x"}
    called = {
        "name": "f",
        "willContinue": True,
        "partialArgs": [piece, {"jsonPath": "$.n", "numberValue": 1}],
    }
    parts = [{"functionCall": called}, {"functionCall": {"willContinue": False}}]
    blob = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    response = {"name": "f", "response": {"output": "x"}, "id": "c", "parts": [blob]}
    yield (
        "/v1/models/g:streamGenerateContent",
        {
            "contents": [
                {"role": "model", "parts": parts},
                {"role": "user", "parts": [{"functionResponse": response}]},
            ]
        },
        {"sse": [f"data: {json.dumps({'candidates': [{'content': {'parts': [part]}}]})}" for part in parts]},
    )
    tools = {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "x"}]}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    yield (
        "/v1/chat/completions",
        {"model": "m", "messages": [{**tools, "content": [picture]}, tools]},
        {"json": {}},
    )
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]}
    computer = {
        "type": "computer_call_output",
        "call_id": "d",
        "output": {"image_url": "data:image/png;base64,aGk="},
    }
    yield "/v1/responses", {"model": "m", "input": [output, computer]}, {"json": {"output": []}}
    yield (
        "/api/chat",
        {"model": "m", "messages": [{"role": "tool", "content": "x", "tool_name": "f"}]},
        {"lines": []},
    )


def _halves() -> Iterator[bytes]:
    for data in _bodies():
        yield data[:2] + b"p?api_key=abc123def456\n" + data[2:]
    texts = [secret for _, secret in [*SECRETS, *WITH_CHECKSUMS]]
    for text in (
        *texts,
        "/tmp/pytest-7/report.txt",
        "see /home/me/a and /home/me",
        "c0rrect-h0rse",
        "env-secret-91",
    ):
        pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
        chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        yield b"\x02\x00p\n" + "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
        yield b"\x03\x00p\n" + "".join(f"{json.dumps(chunk)}\n" for chunk in chunks).encode()
        yield b"\x01\x00p\n" + json.dumps({"text": text, "args": json.dumps({"path": text})}).encode()
        form = f'--xyz\r\ncontent-disposition: form-data; name="api_key"\r\n\r\n{text}\r\n--xyz--\r\n'
        yield b"\x04\x00p\n" + form.encode()


def _bodies() -> Iterator[bytes]:
    for _, _, body, events in _samples():
        if events:
            yield b"\x02\x00" + "".join(f"{event}\n\n" for event in events).encode()
        elif body:
            yield b"\x01\x00" + body
            yield b"\x01\x01" + gzip.compress(body, mtime=0)
            yield b"\x01\x01" + gzip.compress(body, mtime=0)[:-20]
            yield b"\x01\x02" + zlib.compress(body)
    yield b"\x03\x00" + b'{"message":{"role":"assistant","content":"Hi"},"done":false}\n{"done":true}\n{"to'
    yield b'\x04\x00--xyz\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--xyz--\r\n'
    frames = [
        json_frame({":event-type": kind, ":message-type": "event"}, value)
        for kind, value in (
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
            ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}}),
        )
    ]
    stream = b"".join(map(frame_bytes, frames))
    yield b"\x05\x00" + stream
    yield b"\x05\x00" + stream[:-9]


def _secrets() -> Iterator[bytes]:
    for kind, secret in [*SECRETS, *WITH_CHECKSUMS]:
        yield json.dumps({"text": f"a {secret} b", kind: [secret[:30]]}).encode()
    for text in (
        "postgres://u:hunter22x@h/db?api_key=abc123def456",
        "password: hunter2x9",
        "env-secret-91",
        "c0rrect-h0rse",
    ):
        yield json.dumps({"name": "api_key", "value": text, "body": json.dumps({"x": [text]})}).encode()
        yield json.dumps({"sse": f"event: x\ndata: {json.dumps({'token': text})}"}).encode()
    yield from _lines("exchanges.jsonl")


def _plain_secrets() -> Iterator[bytes]:
    for _, secret in [*SECRETS, *WITH_CHECKSUMS]:
        yield f"a {secret} b".encode()
        yield f"api_key={secret}&x=%41%42".encode()
    yield from _secrets()


def _pairs() -> Iterator[bytes]:
    runs = [(folder / "events.jsonl").read_bytes() for folder in _folders()]
    short = [b"\n".join(run.split(b"\n")[at : at + 8]) for run in runs for at in (0, 8, 16, 40)]
    for one in short:
        yield one + b"\x00" + one
    for one, other in itertools.pairwise(short):
        yield one + b"\x00" + other


_CASSETTE = b"""interactions:
- request: {method: POST, uri: "https://h/v1/chat/completions", headers: {a: [b]}, body: '{"messages": []}'}
  response: {status: {code: 200}, headers: {}, body: {string: "{}"}}
version: 1
"""


def _cassettes() -> Iterator[bytes]:
    yield b"\0" + _CASSETTE
    yield b"\0" + _CASSETTE.replace(b"interactions", b"http_interactions").replace(
        b"string", b"base64_string"
    )
    yield b"\2" + gzip.compress(_CASSETTE, mtime=0)
    yield b"\0a: &a [1]\nb: &b [*a, *a]\ninteractions: [*b, {<<: {request: 1}}]\n"
    yield b"\0interactions: [!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary aGk=, 0, null]}]\n"
    for asked, status, body, events in _samples():
        text = "\n\n".join(events) if events else (body or b"").decode("utf-8", "replace")
        request = {
            "method": "POST",
            "uri": asked["url"],
            "headers": {},
            "body": json.dumps(asked["body"]["json"]),
        }
        response = {"status": {"code": status}, "headers": {}, "body": {"string": text}}
        yield b"\1" + json.dumps({"interactions": [{"request": request, "response": response}]}).encode()
        yield b"\1" + json.dumps({"requests": [request], "responses": [response]}).encode()


def _environments() -> Iterator[bytes]:
    clock = {"mode": "flow", "zone": "Europe/Berlin", "tz": "CET-1", "body": 0.5}
    for env in ({"APP_MODE": "b"}, {"APP_MODE": None}, {"LD_PRELOAD": "x"}, {"APP_\ud800": "x"}, [1]):
        for more in ({}, {"body": 1e308}, {"zone": "../../etc/passwd"}, {"tz": ":/etc/x"}, {"mode": "step"}):
            noted = {"env": env, "clock": {**clock, **more}, "timestamp": "2026-01-01T00:00:00+00:00"}
            yield json.dumps(noted).encode()
    for stamp in ("9999-12-31T23:59:59+00:00", "0001-01-01", "1969-12-31", "2026-W01", ""):
        yield json.dumps({"clock": clock, "timestamp": stamp}).encode()


_SEEDS = {
    "event": lambda: _lines("events.jsonl"),
    "exchanges": _exchanges,
    "json": _json,
    "transcript": _transcripts,
    "bodies": _bodies,
    "wire": _wire,
    "redacting": _secrets,
    "halves": _halves,
    "scanning": _plain_secrets,
    "comparing": _pairs,
    "importing": _cassettes,
    "environment": _environments,
}
