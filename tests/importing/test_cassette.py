"""Cassettes of every spelling become the halves of exchanges."""

from __future__ import annotations

import base64
import builtins
import gzip
import json
from datetime import UTC, datetime

import pytest
import yaml

from pytest_sparrow.errors import UsageError
from pytest_sparrow.importing import read_cassette

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "é vs é"}}]}
TEXT = json.dumps(ANSWER)


def interaction(*, body=None, response_body=None, headers=None, **more):
    return {
        "request": {
            "method": "POST",
            "uri": "https://api.example.com/v1/chat/completions?a=1",
            "headers": {"content-type": ["application/json"]},
            **(body or {"body": '{"model": "m"}'}),
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Content-Type": ["application/json"], **(headers or {})},
            **(response_body or {"body": {"string": TEXT}}),
        },
        **more,
    }


def written(path, *interactions, **top):
    content = {"version": 1, "interactions": list(interactions), **top}
    path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", ["it.yaml", "it.yml", "it.json"])
def test_yaml_and_json_give_the_same_halves(tmp_path, name):
    """Method, address, headers and both bodies, whatever the serializer was."""
    cassette = read_cassette(written(tmp_path / name, interaction()))
    assert cassette.left_out == ()
    (entry,) = cassette.entries
    assert entry.asked == {
        "method": "POST",
        "url": "https://api.example.com/v1/chat/completions?a=1",
        "headers": [["content-type", "application/json"]],
        "body": {"json": {"model": "m"}},
        "some_headers": True,
    }
    assert entry.answered == {
        "status": 200,
        "headers": [["Content-Type", "application/json"]],
        "body": {"json": ANSWER, "spelled": "spaced ascii"},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"parsed_body": ANSWER},
        {"body": {"parsed_body": ANSWER}},
        {"body": {"string": TEXT.encode()}},
        {"body": TEXT},
        {"body": {"base64_string": base64.b64encode(TEXT.encode()).decode()}},
    ],
    ids=["parsed_body", "parsed_body-inside", "bytes", "plain", "base64"],
)
def test_every_way_to_keep_a_body_is_read(tmp_path, body):
    """Bodies as objects, texts, bytes and base64 say the same."""
    (entry,) = read_cassette(written(tmp_path / "it.yaml", interaction(response_body=body))).entries
    assert entry.answered["body"]["json"] == ANSWER


def test_two_lists_side_by_side_are_interactions(tmp_path):
    """LangChain's serializer keeps requests and responses apart, in a ``.yaml.gz``; one without a partner is named."""
    pairs = [interaction() for _ in range(2)]
    lists = {"requests": [each["request"] for each in pairs], "responses": [pairs[0]["response"]]}
    path = tmp_path / "it.yaml.gz"
    path.write_bytes(gzip.compress(yaml.safe_dump(lists).encode()))
    cassette = read_cassette(path)
    assert [entry.answered["body"]["json"] for entry in cassette.entries] == [ANSWER]
    assert [str(each) for each in cassette.left_out] == [f"{path}, entry 2: response is missing"]


@pytest.mark.parametrize("content", [gzip.compress(TEXT.encode()), TEXT], ids=["compressed", "decoded"])
def test_a_content_encoding_that_was_undone_or_not(tmp_path, content):
    """A cassette may hold the compressed bytes, or the plain ones beside a header that still says gzip."""
    one = interaction(response_body={"body": {"string": content}}, headers={"Content-Encoding": ["gzip"]})
    (entry,) = read_cassette(written(tmp_path / "it.yaml", one)).entries
    assert entry.answered["body"]["json"] == ANSWER
    assert [name for name, _ in entry.answered["headers"]] == ["Content-Type"]


@pytest.mark.parametrize(
    "spelled",
    [
        "!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary aGVsbG8=, 0, null]}",
        "!!python/object/apply:builtins.iter {args: [[!!binary aGU=, !!binary bGxv]], state: 0}",
    ],
    ids=["file", "iterator"],
)
def test_a_file_or_an_iterator_that_was_sent_is_what_it_held(tmp_path, spelled):
    """Cassettes hold them as Python objects (requests, botocore): the bytes are read, and other entries stay."""
    path = written(tmp_path / "it.yaml", interaction(body={"body": "SENT"}), interaction())
    path.write_text(path.read_text().replace("SENT", spelled))
    cassette = read_cassette(path)
    assert cassette.left_out == ()
    assert [entry.asked["body"] for entry in cassette.entries] == [
        {"text": "hello"},
        {"json": {"model": "m"}},
    ]


def test_a_request_of_aiohttp_keeps_its_body(tmp_path):
    """What is kept is the object that aiohttp was given, without headers."""
    one = interaction(body={"body": {"model": "m", "messages": []}, "headers": {}})
    (entry,) = read_cassette(written(tmp_path / "it.yaml", one)).entries
    assert entry.asked["body"] == {"json": {"model": "m", "messages": []}}


def test_a_stream_keeps_its_events(tmp_path):
    """A body of server-sent events is kept event by event."""
    one = interaction(
        response_body={"body": {"string": "data: 1\n\ndata: 2\n\n"}},
        headers={"Content-Type": ["text/event-stream"]},
    )
    (entry,) = read_cassette(written(tmp_path / "it.yaml", one)).entries
    assert entry.answered["body"] == {"sse": ["data: 1", "data: 2"]}


def test_what_cannot_be_taken_over_is_named_and_the_rest_is_taken(tmp_path):
    """File, entry and reason of each; the entries around it are there."""
    path = written(
        tmp_path / "it.yaml",
        interaction(),
        {"request": {"method": "GET"}, "response": {}},
        "nonsense",
        {**interaction(), "response": {"status": {"code": "ok"}}},
        interaction(body={"body": {"base64_string": "%"}}),
        interaction(),
    )
    cassette = read_cassette(path)
    assert [entry.number for entry in cassette.entries] == [1, 6]
    assert [str(one) for one in cassette.left_out[:3]] == [
        f"{path}, entry 2: its request has no method or no uri",
        f"{path}, entry 3: the interaction is a str",
        f"{path}, entry 4: its response has the status 'ok'",
    ]
    assert "base64 of its request's body" in cassette.left_out[3].reason


def _laughs():
    """A kilobyte that stands for 10^9 values: each list names the one before it ten times."""
    lists = (f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    return "l0: &l0 {k: v}\n" + "".join(lists)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("it.yaml", "a: [1", "can't be read"),
        ("it.json", "{", "can't be read"),
        ("it.json", "[" * 100_000, "can't be read"),
        ("it.yaml", "just: text", "no list of interactions"),
        ("it.yaml", "version: 3\ninteractions: []", "format version 3"),
        ("it.yaml", "interactions: []", "holds no interaction"),
        ("it.yaml", "interactions: !!python/object/apply:os.system [echo]", "no list of interactions"),
        ("it.yaml", "? [a]\n: b", "can't be read"),
        ("it.yaml", "a: !!int ''", "can't be read"),
        ("it.yaml", "a: " + "[" * 900 + "]" * 900, "nests too deeply"),
        ("it.yaml", "- " * 2_000 + "a", "nests too deeply"),
        ("it.yaml", _laughs(), "aliases repeat too much"),
        ("it.yaml", "a: &a [*a]", "repeats what holds the alias"),
        ("it.yaml.gz", gzip.compress(b"interactions: []", mtime=0)[:-9], "can't be read"),
    ],
)
def test_a_file_that_is_no_cassette_says_why(tmp_path, name, text, reason):
    """Broken, foreign and hostile files give one reason, run nothing and raise nothing."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    cassette = read_cassette(path)
    assert cassette.entries == ()
    assert reason in cassette.left_out[0].reason


def test_the_moment_of_the_recording(tmp_path):
    """The cassette's own note comes first, then the first answer's date, then the file's."""
    date = {"Date": ["Sun, 22 Nov 2026 10:00:00 GMT"]}
    noted = interaction(headers=date, recorded_at="2026-11-20T08:00:00+00:00")
    path = tmp_path / "it.yaml"
    assert read_cassette(written(path, noted)).recorded == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert read_cassette(written(path, interaction(headers=date))).recorded == datetime(
        2026, 11, 22, 10, tzinfo=UTC
    )
    moment = datetime.fromtimestamp(written(path, interaction()).stat().st_mtime, UTC)
    assert read_cassette(path).recorded == moment


def test_yaml_without_pyyaml_says_what_to_install(tmp_path, monkeypatch):
    """The extra is named; JSON needs none."""
    real = builtins.__import__

    def without(name, *args, **more):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "one.json").write_text(json.dumps({"interactions": [interaction()]}))
    assert len(read_cassette(tmp_path / "one.json").entries) == 1
    (tmp_path / "one.yaml").write_text("interactions: []")
    with pytest.raises(UsageError, match=r"pip install 'pytest-sparrow\[import\]'"):
        read_cassette(tmp_path / "one.yaml")


def test_aiohttps_header_names_and_compressed_files(tmp_path):
    """Vcrpy keeps names of aiohttp's headers as objects of multidict; a file may be compressed."""
    text = yaml.safe_dump({"version": 1, "interactions": [interaction()]})
    for count, kind in enumerate(("apply:multidict._multidict.istr", "new:multidict._multidict_py.istr")):
        named = text.replace("content-type:", f"? !!python/object/{kind}\n        - Content-Type\n      :")
        assert named != text
        path = tmp_path / f"{count}.yaml.gz"
        path.write_bytes(gzip.compress(named.encode()))
        cassette = read_cassette(path)
        assert cassette.left_out == ()
        assert cassette.entries[0].asked["headers"] == [["Content-Type", "application/json"]]


def test_an_object_that_is_not_known_stops_its_entry_only(tmp_path):
    """Where a body, a header or an address is one: nothing is made of it, and nothing is empty in its place."""
    path = written(tmp_path / "it.yaml", interaction(body={"body": "SENT"}), interaction())
    path.write_text(path.read_text().replace("SENT", "!!python/object:acme.Form {fields: [1]}"))
    cassette = read_cassette(path)
    assert [entry.number for entry in cassette.entries] == [2]
    (left_out,) = cassette.left_out
    assert left_out.reason == "its request holds a Python object of the type acme.Form"


def test_the_spelling_of_older_and_other_tools(tmp_path):
    """Vcrpy before 6 of httpx, go-vcr (both versions), Ruby's VCR, betamax: the halves are those of vcrpy."""
    request, response = interaction()["request"], interaction()["response"]
    headers = response["headers"]
    url = {"url": request["uri"], "method": "POST", "headers": request["headers"], "body": request["body"]}
    text = TEXT
    of_httpx = {"request": request, "response": {"content": text, "headers": headers, "status_code": 200}}
    of_go = {
        "request": {**url, "form": {}},
        "response": {"body": text, "headers": headers, "status": "200 OK", "code": 200, "duration": "1ms"},
    }
    of_betamax = {
        "request": {**request, "body": {"encoding": "utf-8", "string": request["body"]}},
        "response": {
            **response,
            "body": {"encoding": None, "base64_string": base64.b64encode(text.encode()).decode()},
        },
    }
    expected = read_cassette(written(tmp_path / "it.yaml", interaction())).entries
    for name, key, version, one in (
        ("httpx", "interactions", 1, of_httpx),
        ("go1", "interactions", 1, of_go),
        ("go2", "interactions", 2, of_go),
        ("betamax", "http_interactions", None, of_betamax),
    ):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({key: [one], **({"version": version} if version else {})}))
        assert read_cassette(path).entries == expected, name
    of_go["request"].update(body="", form={"a": ["1", "2"]})
    (tmp_path / "form.json").write_text(json.dumps({"version": 2, "interactions": [of_go]}))
    (entry,) = read_cassette(tmp_path / "form.json").entries
    assert entry.asked["body"] == {"text": "a=1&a=2"}


@pytest.mark.parametrize(
    ("headers", "promised"), [({"Content-Length": ["512"]}, "512 bytes"), ({}, "a body of application/json")]
)
def test_an_answer_that_lost_its_body_is_named(tmp_path, headers, promised):
    """It is imported as it is, empty, as its own tool would give it."""
    lost = interaction(response_body={"body": {"string": ""}}, headers=headers)
    empty = interaction(response_body={"body": {"string": ""}}, headers={"Content-Length": ["0"]})
    cassette = read_cassette(written(tmp_path / "it.yaml", lost, interaction(), empty))
    assert len(cassette.entries) == 3
    (remark,) = cassette.remarks
    assert str(remark).endswith(
        f"entry 1: its answer is empty in the cassette, and said that it had {promised}"
    )


def _archived(text, **more):
    return {
        "startedDateTime": "2026-03-04T05:06:07.000Z",
        "request": {
            "method": "POST",
            "url": "https://h.test/v1?a=1",
            "headers": [
                {"name": ":path", "value": "/v1?a=1"},
                {"name": "Content-Type", "value": "application/json"},
            ],
            "postData": {"mimeType": "application/json", "text": '{"model": "m"}'},
        },
        "response": {
            "status": 200,
            "headers": [
                {"name": "content-type", "value": "application/json"},
                {"name": "set-cookie", "value": "a=1"},
            ],
            "content": {"size": len(TEXT), "mimeType": "application/json", "text": text},
        },
        **more,
    }


def test_an_http_archive(tmp_path):
    """Browsers' and proxies' files: pairs of headers, base64, forms; a content that was not saved is named."""
    whole, encoded, unsaved, failed = (_archived(TEXT) for _ in range(4))
    encoded["response"]["content"].update(text=base64.b64encode(TEXT.encode()).decode(), encoding="base64")
    encoded["request"]["postData"] = {"params": [{"name": "q", "value": "a b"}, {"name": "n", "value": "1"}]}
    encoded["request"]["headers"][1]["value"] = "application/x-www-form-urlencoded"
    del unsaved["response"]["content"]["text"]
    failed["response"]["status"] = 0
    hostile = [
        7,
        {"request": [], "response": {}},
        _archived({"a": 1}),
        _archived(TEXT, request={"headers": {}}),
    ]
    path = tmp_path / "it.har"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + json.dumps({"log": {"entries": [whole, encoded, unsaved, failed, *hostile]}}).encode()
    )
    cassette = read_cassette(path)
    first, second = cassette.entries[:2]
    assert first.asked["headers"] == [["Content-Type", "application/json"]]
    assert (first.asked["body"], second.asked["body"]) == ({"json": {"model": "m"}}, {"text": "q=a+b&n=1"})
    assert first.answered["headers"][1] == ["set-cookie", "a=1"]
    assert first.answered["body"]["json"] == second.answered["body"]["json"] == ANSWER
    assert cassette.recorded == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert [left.number for left in cassette.left_out] == [3, 4, 5, 6, 8]
    assert "its response's body holds no content" in str(cassette.left_out[0])
