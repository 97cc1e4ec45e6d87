"""What aiohttp uploads is recorded, and reaches the server as ever: bytes, forms, files, generators."""

import asyncio
import io
import json

import aiohttp
import pytest

from boundaries.fakes import FakeRun, window
from boundaries.http.twice import twice
from pytest_sparrow.testing.loopback import loopback


def _upload(url, make, **options):
    async def main():
        async with aiohttp.ClientSession() as session, session.post(url, data=make(), **options) as response:
            return json.loads(await response.read())

    return asyncio.run(main())


def _echo(call):
    # A JSON body is replayed as equal JSON, so bodies are compared as JSON.
    received = {
        name: call.headers.get(name) for name in ("content-type", "content-length", "transfer-encoding")
    }
    call.answer(json.dumps([call.body.decode("latin-1"), received]).encode())


async def _pieces():
    yield b"one,"
    yield b"two"


def _form():
    form = aiohttp.FormData()
    form.add_field("purpose", "[1]")
    form.add_field("file", io.BytesIO(b'{"in": 1}'), filename="a.json", content_type="application/json")
    return form


class _Unseekable(io.RawIOBase):
    """Can be read once."""

    def __init__(self):
        self._left = b"read once"

    def readable(self):
        return True

    def readinto(self, buffer):
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


BODIES = {
    "bytes": (lambda: b"plain", {"text": "plain"}),
    "text": (lambda: "naïve", {"text": "naïve"}),
    "fields": (lambda: {"a": "1"}, {"text": "a=1"}),
    "generator": (_pieces, {"text": "one,two"}),
    "bytesio": (lambda: io.BytesIO(b"from memory"), {"text": "from memory"}),
    "stringio": (lambda: io.StringIO("from text"), {"text": "from text"}),
    "unseekable": (lambda: io.BufferedReader(_Unseekable()), {"text": "read once"}),
    "large": (lambda: io.BytesIO(b"x" * 3_000_000), {"text": "x" * 3_000_000}),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_reaches_the_server_as_without_us_and_is_recorded(kind):
    """The same bytes under the same length and type, recorded as what they are; a replay asks the same."""
    make, recorded = BODIES[kind]
    with loopback(up=_echo) as server:
        alone = _upload(f"{server.url}/up", make)
        both = twice(server, lambda: _upload(f"{server.url}/up", make))
    assert both.live == both.replayed == alone
    assert both.recorded.crossings[0].asked["body"] == recorded


def test_a_file_is_read_and_sent_and_closed(tmp_path):
    """An open file is uploaded from where it stands, and aiohttp closes it, live and replayed."""
    path = tmp_path / "up.txt"
    path.write_bytes(b"skipped, then sent")
    files = []

    def make():
        files.append(path.open("rb"))
        files[-1].seek(len("skipped, "))
        return files[-1]

    with loopback(up=_echo) as server:
        alone = _upload(f"{server.url}/up", make)
        both = twice(server, lambda: _upload(f"{server.url}/up", make))
    assert both.live == both.replayed == alone
    assert both.recorded.crossings[0].asked["body"] == {"text": "then sent"}
    assert [file.closed for file in files] == [True] * 3


def test_multipart_is_asked_by_parts():
    """A form with files is one request however its boundary is drawn."""
    with loopback(up=lambda call: call.answer(b"[]")) as server:
        both = twice(server, lambda: _upload(f"{server.url}/up", _form))
    parts = both.recorded.crossings[0].asked["body"]["multipart"]
    assert [part["body"] for part in parts] == [{"text": "[1]"}, {"json": {"in": 1}}]


def test_a_body_that_can_be_read_once_follows_a_redirect(tmp_path):
    """A 307 sends the same body again, with its type; without us aiohttp could not read it again."""

    def moved(call):
        call.answer(status=307, location="/up")

    options = {"headers": {"x-a": "b"}}
    with loopback(up=_echo, moved=moved) as server:
        both = twice(server, lambda: _upload(f"{server.url}/moved", _form, **options))
    bodies = [crossing.asked["body"] for crossing in both.recorded.crossings]
    assert bodies[0] == bodies[1]
    assert both.live == both.replayed
    assert "multipart/form-data" in both.live[1]["content-type"]


def test_a_compressed_upload_is_recorded_as_what_it_says():
    """Aiohttp compresses on the wire; the recording holds the text."""
    with loopback(up=lambda call: call.answer(str(len(call.body)).encode())) as server:
        both = twice(server, lambda: _upload(f"{server.url}/up", lambda: b"x" * 1000, compress="deflate"))
    assert both.live < 1000
    assert both.recorded.crossings[0].asked["body"] == {"text": "x" * 1000}


async def _breaks():
    yield b"one,"
    raise ValueError("no more")


@pytest.mark.parametrize("replaying", [False, True])
def test_a_body_that_fails_to_be_read_is_aiohttps_own_error(replaying):
    """As where it is sent: a ClientConnectionError that names what happened."""
    with (
        loopback(up=_echo) as server,
        window(FakeRun([] if replaying else None)) as run,
        pytest.raises(aiohttp.ClientConnectionError, match="no more"),
    ):
        _upload(f"{server.url}/up", _breaks)
    assert run.crossings == run.misses == []
