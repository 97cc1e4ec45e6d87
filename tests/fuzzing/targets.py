"""What holds for any input of a reader, one function a reader: the fuzzer and the test of its corpus call the same.

Each takes bytes and raises nothing: what the reader is documented to refuse is refused in here. Inputs of several
parts are divided at NUL, which no JSON holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from pytest_sparrow.boundaries.http.exchange import answered_of, asked_of, reply_of
from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.boundaries.world.clock import needed_clock
from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment, Zone, refused_variable
from pytest_sparrow.comparing import Rules, compare, request_changes
from pytest_sparrow.errors import NotRecordable, SecretFound, SparrowError
from pytest_sparrow.events import dump_event, jsontext, parse_event
from pytest_sparrow.events.jsontext import BrokenJson, decode, encode, equal
from pytest_sparrow.importing import read_cassette
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import ModelRequest, Proposal
from pytest_sparrow.providers.failing import parted, parts_before_failure
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Places, Redactor
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.redact.user_rules import NO_RULES, read_rules
from pytest_sparrow.report.plain import MOST_LINES, render_comparison
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import Settings, WallClock
from pytest_sparrow.store import iter_events, load_transcript
from pytest_sparrow.store.damage import Beyond
from pytest_sparrow.store.delta_decoding import DeltaDecoder
from pytest_sparrow.store.delta_encoding import DeltaEncoder, draft_of
from pytest_sparrow.wire.asking import addressed, is_look_up
from pytest_sparrow.wire.bodies import body_of, chunks_of
from pytest_sparrow.wire.eventstream import frame_bytes, frames_of

__all__ = ["KNOWING", "TARGETS"]

ENVIRONMENT = {"MY_SECRET": "env-secret-91", "DATABASE_URL": "postgres://app:c0rrect-h0rse@db/x"}
PART = b"\x00"
LINE = b"\n"


def event(data: bytes) -> None:
    """A line is an event that is written and read as the same, or a ValueError."""
    try:
        read = parse_event(data)
    except ValueError:
        return
    hash(read)
    try:
        line = dump_event(read)
    except NotRecordable:
        assert _depth(decode(data)) > jsontext.MAX_DEPTH
        return
    again = parse_event(line)
    assert again == read
    assert type(again) is type(read)
    assert dump_event(again) == line


def exchanges(data: bytes) -> None:
    """Lines that refer to one another: an exchange each, or a ValueError or a limit; written, they come back."""
    decoder, read = DeltaDecoder(), []
    for line in data.split(LINE):
        try:
            read.append(decoder.read(line))
        except (ValueError, Beyond):
            break
    encoder, again = DeltaEncoder(), DeltaDecoder()
    for exchange in read:
        try:
            draft = draft_of(exchange, None)
        except NotRecordable:
            return
        line = encoder.line(draft)
        encoder.add(draft)
        assert equal(again.read(line).to_json(), exchange.to_json())


def json_text(data: bytes) -> None:
    """A value that was read is written and read as an equal one, and equal values are those with one spelling."""
    values = []
    for part in data.split(PART)[:2]:
        try:
            value = decode(part)
        except BrokenJson as error:
            str(error)
            continue
        assert json.loads(part) == value
        assert equal(decode(part.decode()), value)
        values.append(value)
        try:
            text = encode(value)
        except NotRecordable:
            assert _depth(value) > jsontext.MAX_DEPTH
            continue
        assert equal(decode(text), value)
        assert encode(decode(text)) == text == jsontext.spell(value)
        assert equal(decode(jsontext.pretty(value)), value)
        assert equal(decode(jsontext.canonical(value)), value)
    for one in values:
        for other in values:
            assert equal(one, other) == (jsontext.canonical(one) == jsontext.canonical(other))


_DEFAULTS = {
    "meta.json": b'{"run_id":"r","created_at":"2026-01-01 00:00:00"}',
    "inputs.json": b'{"task":"","config_snapshot":{},"model_id":"","repo_head":null,"timestamp":"","agent":""}',
    "events.jsonl": b"",
    "exchanges.jsonl": b"",
}
_FOLDER: list[tempfile.TemporaryDirectory[str]] = []


def transcript(data: bytes) -> None:
    """Four files of anything: a transcript, or an error of ours; its events one by one are those of the whole."""
    if not _FOLDER:
        _FOLDER.append(tempfile.TemporaryDirectory())
    folder = Path(_FOLDER[0].name)
    parts = [*data.split(PART, 3), b"", b"", b"", b""]
    for (name, default), part in zip(_DEFAULTS.items(), parts, strict=False):
        if part == b"-":
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_bytes(part or default)
    loaded = one_by_one = None
    with contextlib.suppress(SparrowError):
        loaded = load_transcript(folder)
    with contextlib.suppress(SparrowError):
        one_by_one = tuple(iter_events(folder))
    if loaded is not None:
        assert one_by_one == loaded.events
        for exchange in loaded.exchanges:
            exchange.to_json()
        assert compare(loaded, load_transcript(folder)).equal


_TYPES = (
    "",
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "multipart/form-data; boundary=xyz",
    "application/vnd.amazon.eventstream",
    "text/plain",
)
_CODINGS = ("", "gzip", "deflate", "br", "zstd", "gzip, deflate", "x")
REQUESTS = [
    {"method": "POST", "url": f"https://h{path}", "headers": {}, "body": {"json": body}}
    for path, body in (
        (
            "/mcp",
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {}}},
        ),
        (
            "/v1/messages",
            {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        ),
        ("/model/anthropic.claude/converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}),
        (
            "/model/anthropic.claude/converse-stream",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        ),
        ("/v1beta/models/gemini:generateContent", {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}),
        ("/v1beta/models/gemini:streamGenerateContent", {"contents": [{"parts": [{"text": "x"}]}]}),
        ("/api/chat", {"model": "l", "messages": [{"role": "user", "content": "x"}]}),
        ("/api/generate", {"model": "l", "prompt": "x"}),
        ("/v1/responses", {"model": "gpt", "input": "x"}),
        ("/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "x"}]}),
    )
]
KNOWING = [
    (asked, next(codec for codec in builtin_codecs() if codec.request(asked) is not None))
    for asked in REQUESTS
]


def bodies(data: bytes) -> None:
    """Any bytes under any headers become a body that is served as the same content, and that every codec reads."""
    kind, coding, raw = data[:1], data[1:2], data[2:]
    content_type = _TYPES[ord(kind or b"\0") % len(_TYPES)]
    encoding = _CODINGS[ord(coding or b"\0") % len(_CODINGS)]
    _check_body(raw, content_type)
    answered = answered_of(200, [("content-type", content_type), ("content-encoding", encoding)], raw)
    encode(answered)
    for frame in frames_of(raw):
        assert list(frames_of(frame_bytes(frame))) == [frame]
    for asked, codec in KNOWING:
        _check_answer(codec, asked, answered)


def _check_body(raw: bytes, content_type: str) -> None:
    encode(body_of(raw, content_type, answered=False))
    body = body_of(raw, content_type, answered=True)
    served = b"".join(chunks_of(body))
    if "json" in body:
        assert equal(decode(served), decode(raw))
    elif "sse" in body:
        assert served == raw.replace(b"\r\n", b"\n")
    else:
        assert served == raw
    assert equal(body_of(served, content_type, answered=True), body)


_CROSSING = SimpleNamespace(cancellation_wait=None, as_is=False, delay=0.0, arrival=None)


def wire(data: bytes) -> None:
    """An ``http`` exchange of any JSON: no codec raises, and what one tells can be written."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    halves = value if isinstance(value, list) and len(value) == 2 else [value, {}]
    asked, answered = (half if isinstance(half, dict) else {} for half in halves)
    with contextlib.suppress(ValueError):
        reply_of(answered, method="POST", crossing=_CROSSING)
    is_look_up(asked)
    place = {key: part for key, part in asked.items() if key != "url"}
    assert not request_changes(place, json.loads(json.dumps(place)))
    request_changes(place, {**place, "body": answered.get("body")})
    addressed({**asked, "body": {"json": {"jsonrpc": "2.0", "id": [7]}}}, asked, answered)
    for codec in builtin_codecs():
        request = codec.request(asked)
        if request is None:
            continue
        if isinstance(request, ModelRequest):
            encode([_part_json(result) for result in request.results], where=codec.name)
            request.task.encode()
            request.model.encode()
        _check_answer(codec, asked, answered)


def _check_answer(codec, asked, answered) -> None:
    answer = codec.answer(asked, answered)
    before = parts_before_failure(lambda half: codec.answer(asked, half), answered, answer)
    first, rest = parted(answer.parts, before)
    assert len(answer.parts) <= len(first) + len(rest) <= len(answer.parts) + len(before)
    encode([_part_json(part) for part in answer.parts], where=codec.name)
    if answer.failure is not None:
        encode(answer.failure.message, where=codec.name)
    composed = codec.compose(asked, answer)
    again = codec.answer(asked, composed)
    ids = [part.id for part in answer.parts if isinstance(part, Proposal)]
    if len(set(ids)) == len(ids):  # else no format tells whose output is whose
        assert codec.answer(asked, codec.compose(asked, again)) == again


def _part_json(part):
    found = dict(asdict(part))
    if "blocks" in found:
        found["blocks"] = list(part.blocks)
    return found


def redacting(data: bytes) -> None:
    """A line without secrets is JSON; to redact it again, by this redactor or another, changes nothing."""
    redactor = Redactor(ENVIRONMENT)
    try:
        once = redactor.line(data)
    except BrokenJson:
        return
    try:
        value = decode(data)
        encode(value)
    except (BrokenJson, NotRecordable):
        return
    clean = decode(once)
    assert redactor.line(once) == once
    assert Redactor(ENVIRONMENT).line(once) == once
    walked = Redactor(ENVIRONMENT)._cleaner
    expected = walked.settled(value, walked.value)
    assert equal(expected, clean)
    Scanner(ENVIRONMENT).find(once)


_ENDINGS = (".yaml", ".json", ".yaml.gz")


def importing(data: bytes) -> None:
    """Any file is a cassette, some entries of it, or named as none; what is read becomes events as a recording does."""
    if not _FOLDER:
        _FOLDER.append(tempfile.TemporaryDirectory())
    path = Path(_FOLDER[0].name, "it" + _ENDINGS[ord(data[:1] or b"\0") % len(_ENDINGS)])
    path.write_bytes(data[1:])
    cassette = read_cassette(path)
    assert cassette.entries or cassette.left_out
    run = Run("a", Settings(), wire=Wire(builtin_codecs()), redactor=Redactor({}), tools=Tools())
    for entry in cassette.entries:
        with contextlib.suppress(NotRecordable):
            run.ask("http", entry.asked).settle(entry.answered)
    run.close(failed=False)


_STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def environment(data: bytes) -> None:
    """A golden of any environment, clock and zone: what it may set is set and put back, and its clock can be read."""
    try:
        noted = decode(data)
    except BrokenJson:
        return
    noted = noted if isinstance(noted, dict) else {"env": noted, "clock": noted}
    environ = {"APP_MODE": "a", "PATH": "/bin"}
    refused_variable(noted.get("env"), None)
    if refused_variable(noted.get("env"), ("APP_*", "PATH")) is None:
        replayed = ReplayedEnvironment(noted.get("env"), environ)
        replayed.set()
        assert all(name.startswith("APP_") or name == "PATH" for name in environ)
        replayed.restore()
        assert environ == {"APP_MODE": "a", "PATH": "/bin"}
    before = os.environ.get("TZ")
    zone = Zone(noted.get("clock"), 1e9)
    zone.set()
    zone.restore()
    assert os.environ.get("TZ") == before
    stamp = noted.get("timestamp")
    golden = SimpleNamespace(
        timestamp=stamp if isinstance(stamp, str) else "2026-01-01", config_snapshot=noted
    )
    clock = needed_clock(WallClock.FLOW, _STARTED, golden)
    if clock is not None:
        with clock:
            clock.body_starts()
            datetime.now(UTC)
            time.localtime()


PLACES = {"tmp": "/tmp/pytest-7", "home": "/home/me"}


def halves(data: bytes) -> None:
    """The two halves of an exchange without secrets and places: to redact them again changes nothing."""
    kind, (path, _, raw) = data[:1], data[2:].partition(LINE)
    content_type = _TYPES[ord(kind or b"\0") % len(_TYPES)]
    places = Places(PLACES)
    places.text("/home/me")  # the model has met a place, else none is looked for in pieces
    redactor = Redactor(ENVIRONMENT, places=places)
    url, headers = "https://h/" + path.decode("utf-8", "replace"), [("content-type", content_type)]
    asked, answered = asked_of("POST", url, headers, raw), answered_of(200, headers, raw)
    for clean, half in ((redactor.asked, asked), (redactor.answered, answered)):
        once = clean("http", half)
        encode(once)
        for form in ("sse", "lines"):
            assert len(once.get("body", {}).get(form, ())) == len(half.get("body", {}).get(form, ()))
        assert clean("http", once) == once
        fresh = redactor.fresh()
        assert (fresh.asked if half is asked else fresh.answered)("http", once) == once


def scanning(data: bytes) -> None:
    """The second look raises nothing, and what it finds lies within; a text that is shown is clean at once."""
    scan(data)
    show(data)


def scan(data: bytes) -> None:
    """The scanner alone."""
    scanner = Scanner(ENVIRONMENT)
    hit = scanner.find(data)
    assert hit is None or (hit.kind and 0 <= hit.start < len(data))
    kind = None
    try:
        scanner.check(data, file="f")
    except SecretFound as error:
        kind = error.kind
    assert kind == (None if hit is None else hit.kind)


_OWN = read_rules(["customer = cust_[0-9a-f]+", "number = [0-9]{4}", "iban = field:iban"], "ini")


def show(data: bytes) -> None:
    """The redactor of texts alone, without rules of the user's and with some."""
    text = data.decode("utf-8", "replace")
    for rules in (NO_RULES, _OWN):
        redactor = Redactor(ENVIRONMENT, rules=rules)
        once = redactor.text(text)
        assert redactor.text(once) == once


_RULES = {
    "exact": {},
    "trajectory": {"ignore_order": True, "significant_digits": 2},
    "outcome": {"exclude_paths": ("ToolUse*.args.*",), "exclude_regex_paths": (r"\.text$",)},
}


def comparing(data: bytes) -> None:
    """Two runs of any events are compared and reported; a run and itself are equal, however much is looked at."""
    sides = [[], []]
    for side, part in zip(sides, data.split(PART)[:2], strict=False):
        for line in part.split(LINE):
            with contextlib.suppress(ValueError):
                side.append(parse_event(line))
    golden, new = sides
    marker = parse_event({"type": "Marker", "run": "r"})
    for level in ("exact", "trajectory", "outcome"):
        rules = Rules(level=level, ignore_types=("Marker",), **_RULES[level])
        one, other = compare(golden, new, rules), compare(new, golden, rules)
        assert one.equal == other.equal
        for found in (one, other):
            assert len(render_comparison(found)) <= MOST_LINES
            render_comparison(found, everything=True, limit=None)
        assert compare(golden, [*golden, marker], rules).equal


def _depth(value) -> int:
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


TARGETS = {
    "event": event,
    "exchanges": exchanges,
    "json": json_text,
    "transcript": transcript,
    "bodies": bodies,
    "wire": wire,
    "redacting": redacting,
    "halves": halves,
    "scanning": scanning,
    "comparing": comparing,
    "importing": importing,
    "environment": environment,
}
"""The functions by the names that the corpus has for them."""
