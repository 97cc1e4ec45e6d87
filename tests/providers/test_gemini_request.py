"""Gemini's requests: which are calls to a model, which model, and the outputs of functions in them."""

import copy

import pytest

from pytest_sparrow.providers import Gemini, builtin_codecs

CODEC = Gemini()
HOST = "https://generativelanguage.googleapis.com/v1beta/"
HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]


def asked(contents=HELLO, *, url=HOST + "models/gemini-x:generateContent", method="POST", **more):
    """The asked half of a generation."""
    return {"method": method, "url": url, "headers": {}, "body": {"json": {"contents": contents, **more}}}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def call(name, call_id=None, **args):
    fields = {"name": name, "args": args}
    return {"functionCall": fields if call_id is None else {**fields, "id": call_id}}


def output(name, response, call_id=None):
    fields = {"name": name, "response": response}
    return {
        "role": "user",
        "parts": [{"functionResponse": fields if call_id is None else {**fields, "id": call_id}}],
    }


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (HOST + "models/gemini-x:generateContent", "gemini-x"),
        (HOST + "models/gemini-x:streamGenerateContent?alt=sse", "gemini-x"),
        (HOST + "tunedModels/mine-1:generateContent", "mine-1"),
        (
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/"
            "models/gemini-x:streamGenerateContent",
            "gemini-x",
        ),
        ("https://aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/42:generateContent", "42"),
        ("https://proxy.example/gemini/v1beta/models/gemini-x%3AgenerateContent", "gemini-x"),
        ("https://proxy.example/llm", "from-body"),
        ("https://proxy.example/models/gemini-x/generateContent", "gemini-x"),
    ],
)
def test_the_model_is_in_the_path(url, name):
    """The Gemini API, Vertex, tuned models and proxies; only a path of somebody's own leaves it to the body."""
    assert CODEC.request(asked(url=url, model="models/from-body")).model == name


@pytest.mark.parametrize(
    "verb",
    [
        "models/gemini-x:countTokens",
        "models/gemini-x:embedContent",
        "models/gemini-x:batchEmbedContents",
        "models/gemini-x:batchGenerateContent",
        "models/gemini-x:computeTokens",
        "cachedContents",
        "batches",
    ],
)
def test_contents_alone_are_no_call(verb):
    """Counting, embedding, batches and caches hold contents and call no model."""
    assert CODEC.request(asked(url=HOST + verb)) is None


@pytest.mark.parametrize(
    "half",
    [
        asked(method="GET"),
        asked(contents="Hello"),
        asked(url="https://x.example/a", contents=[]),
        asked(url="https://x.example/a", contents=["Hello"]),
        asked(url="https://x.example/a", contents=[{"role": "assistant", "parts": []}]),
        asked(url="https://x.example/a", contents=[{"text": "a page"}]),
        asked(url="https://x.example/a", ttl="60s"),
        {"method": "POST", "url": HOST, "headers": {}, "body": {"text": "contents"}},
        {"method": "POST", "url": "http://[bad:generateContent", "body": {"json": {"contents": 1}}},
    ],
)
def test_other_requests_are_left_alone(half):
    """Elsewhere contents must have Gemini's shape."""
    assert CODEC.request(half) is None


def test_no_other_codec_takes_it():
    """The first codec that knows the request is Gemini's."""
    knowing = [codec.name for codec in builtin_codecs() if codec.request(asked()) is not None]
    assert knowing == ["gemini"]


def test_calls_without_ids_are_numbered_through_the_conversation():
    """The n-th is call-n, in the answer that proposes it and in the requests that repeat it; outputs go by name."""
    first = {"candidates": [{"content": model(call("a", x=1), call("b"), call("a", x=2))}]}
    parts = CODEC.answer(asked(), {"status": 200, "body": {"json": first}}).parts
    assert [part.id for part in parts] == ["call-1", "call-2", "call-3"]
    later = [
        *HELLO,
        first["candidates"][0]["content"],
        output("a", {"n": 1}),
        output("a", {"n": 2}),
        output("b", {"n": 3}),
    ]
    results = CODEC.request(asked(later)).results
    assert {result.id: result.blocks[0]["Json"]["n"] for result in results} == {
        "call-1": 1,
        "call-3": 2,
        "call-2": 3,
    }
    (next_one,) = CODEC.answer(
        asked(later), {"status": 200, "body": {"json": {"candidates": [{"content": model(call("a"))}]}}}
    ).parts
    assert next_one.id == "call-4"


@pytest.mark.parametrize(
    "synthetic",
    [
        "pyd_ai_df5891897e434a16add992cc09f10172",
        "adk-0f8fad5b-d9cb-469f-a165-70867728950e",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
    ],
)
def test_a_synthetic_id_finds_the_proposal_that_had_none(synthetic):
    """A client that invents ids for calls without any, and sends them, is understood."""
    contents = [*HELLO, model(call("a", synthetic)), output("a", {"n": 1}, synthetic)]
    (result,) = CODEC.request(asked(contents)).results
    assert result.id == "call-1"


def test_ids_of_the_provider_are_kept():
    """Ids assign responses in any order; in a conversation that was cut short an id still names its call."""
    contents = [
        model(call("a", "yot5i3fn"), call("a", "qebf65or")),
        output("a", {"n": 2}, "qebf65or"),
        output("a", {"n": 1}, "yot5i3fn"),
        output("a", {"n": 0}, "gone1234"),
    ]
    results = CODEC.request(asked(contents)).results
    assert [(result.id, result.blocks[0]["Json"]["n"]) for result in results] == [
        ("qebf65or", 2),
        ("yot5i3fn", 1),
        ("gone1234", 0),
    ]


def test_an_output_under_another_name_answers_the_call_that_the_others_leave():
    """Clients name outputs after their own functions: without an id only the order is left."""
    contents = [
        *HELLO,
        model(call("look", a=1), call("buy")),
        {
            "role": "user",
            "parts": [*output("shop.look", {"n": 1})["parts"], *output("look", {"n": 2})["parts"]],
        },
        output("other", {"n": 3}),
    ]
    found = [(each.id, each.blocks[0]["Json"]["n"]) for each in CODEC.request(asked(contents)).results]
    assert found == [("call-2", 1), ("call-1", 2)]


def test_an_output_of_nothing_known_is_left_out():
    """Without an id and without a call of that name nothing can be said."""
    assert CODEC.request(asked([output("a", {"n": 1})])).results == []


def test_a_response_that_is_only_an_error_is_one():
    """Clients send a function's failure as ``{"error": …}``; images beside a response are Image blocks."""
    failed = {"error": "no such order"}
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    contents = [model(call("a"), call("b")), output("a", failed), output("b", {"error": None, "n": 1})]
    contents[2]["parts"][0]["functionResponse"]["parts"] = [picture]
    one, two = CODEC.request(asked(contents)).results
    assert (one.is_error, list(one.blocks)) == (True, [{"Json": failed}])
    assert two.is_error is False
    assert two.blocks[1] == {"Image": {"data": [137, 80, 78, 71], "mime": "image/png"}}


def test_signatures_and_ids_are_no_part_of_the_conversation():
    """What changes from run to run may not decide which request continues which; instructions are left out."""
    contents = [
        {"role": "system", "parts": [{"text": "be kind"}]},
        *HELLO,
        model(
            {**call("a", "yot5i3fn"), "thoughtSignature": "AAAA"}, {"text": "b", "thought_signature": "BB"}
        ),
        output("a", {"id": "kept"}, "yot5i3fn"),
    ]
    before = copy.deepcopy(contents)
    request = CODEC.request(asked(contents, systemInstruction={"parts": [{"text": "be kind"}]}))
    assert request.conversation == [
        *HELLO,
        model(call("a"), {"text": "b"}),
        output("a", {"id": "kept"}),
    ]
    assert request.task == "Hello"
    assert contents == before


def test_snake_case_is_read_as_well():
    """Protobuf reads both spellings, and clients send both."""
    contents = [
        model({"function_call": {"name": "a", "args": {}}}),
        {"role": "user", "parts": [{"function_response": {"name": "a", "response": {"n": 1}}}]},
    ]
    (result,) = CODEC.request(asked(contents)).results
    assert result.id == "call-1"
