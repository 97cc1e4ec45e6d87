"""What requests repeat is written once, and every request is decoded as it was.

In full (200 turns, half a minute): ``SPARROW_TEST_FULL=1 pytest tests/store/test_delta_encoding.py``.
"""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import pytest
from full import FULL
from hypothesis import given

from pytest_sparrow.errors import DamagedTranscript, NotRecordable, StoreError, TooLarge
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.redact import Redactor
from pytest_sparrow.store import load_transcript
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.store.delta_decoding import lines_used
from pytest_sparrow.store.delta_encoding import DeltaEncoder, draft_of
from pytest_sparrow.transcript import Transcript

from .conversations import PAD, conversations, message, plain, read, request, tool, tools, written
from .shelves import files_in, inputs, shelf

TURNS = 200 if FULL else 30


def body_of(line):
    """The body of a line as it is on disk."""
    return json.loads(line)["asked"]["body"]


def chat(turns, *, start=0, system="be kind"):
    """The requests of a chat, each with the whole conversation and fifty tools."""
    said = [message(system, "system")]
    for turn in range(start, start + turns):
        said = [*said, message(f"question {turn}")]
        yield request({"model": "m", "messages": said, "tools": tools(), "stream": True})
        said = [*said, message(f"answer {turn}", "assistant")]


@given(conversations())
def test_what_is_read_is_what_was_written(exchanges):
    """However a conversation goes on, each request is decoded to the byte: key order, 1 and 1.0, -0.0, true."""
    lines = written(exchanges)
    assert plain(read(lines)) == plain(exchanges)


@given(conversations())
def test_every_prefix_of_a_file_can_be_read(exchanges):
    """A line refers only to lines before it: what a killed run left is whole as far as it goes."""
    lines = written(exchanges)
    for number in range(len(lines)):
        assert plain(read(lines[:number])) == plain(exchanges[:number])
        assert lines_used(lines[number]) <= set(range(1, number + 1))


def test_a_request_shows_only_what_is_new():
    """A reader of the file sees the new messages, and on which line the others stand."""
    lines = written(list(chat(3)))
    assert "same" not in body_of(lines[0])
    assert body_of(lines[2]) == {
        "same": {"messages": [[0, 2, 0, 4]], "tools": 1},
        "json": {
            "model": "m",
            "messages": [message("answer 1", "assistant"), message("question 2")],
            "tools": None,
            "stream": True,
        },
    }


def test_what_is_short_is_spelled():
    """Short values stay where a reader looks for them."""
    lines = written(
        [request({"model": "m", "stop": ["\n", "END"], "pad": PAD * number}) for number in (5, 6)]
    )
    assert all("same" not in body_of(line) for line in lines)


def sizes(exchanges):
    return [len(line) for line in written(exchanges)]


def clock_in_the_system_prompt(turns):
    for number, exchange in enumerate(chat(turns)):
        body = copy.deepcopy(exchange.asked["body"]["json"])
        body["messages"][0]["content"] += f" It is {number // 60:02}:{number % 60:02}."
        yield request(body)


def moving_cache_control(turns):
    for exchange in chat(turns):
        body = copy.deepcopy(exchange.asked["body"]["json"])
        for each in body["messages"][-2:]:
            each["cache_control"] = {"type": "ephemeral"}
        yield request({"system": PAD * 9, **body})


def two_agents(turns):
    for one, other in zip(chat(turns, system="red"), chat(turns, system="blue", start=500), strict=True):
        yield from (one, other)


def group_chat(turns):
    """Three agents, each of whom sees its own words as the assistant's and the others' as a user's."""
    said = [(None, "a task")]
    for turn in range(turns):
        speaker = turn % 3
        messages = [message(text, "assistant" if who == speaker else "user") for who, text in said]
        yield request({"model": "m", "messages": [message(f"agent {speaker}", "system"), *messages]})
        said.append((speaker, f"words {turn}"))


def the_same_words_again(turns):
    for exchange in chat(turns):
        body = exchange.asked["body"]["json"]
        messages = [each if each["role"] != "user" else message("go on") for each in body["messages"]]
        yield request({**body, "messages": messages})


def a_call_without_tools_between(turns):
    for exchange in chat(turns):
        body = exchange.asked["body"]["json"]
        yield exchange
        yield request({"model": "m", "messages": [*body["messages"], message("sum this up")]})


def one_level_down(turns):
    for exchange in chat(turns):
        yield request({"model": "m", "project": "p", "request": exchange.asked["body"]["json"]})


def compacted(turns):
    head, tail = [], []
    for turn in range(turns):
        if turn % 10 == 9:
            head, tail = [message(f"summary {turn}")], tail[-4:]
        tail = [*tail, message(f"question {turn}"), message(f"answer {turn}")]
        yield request({"model": "m", "messages": [*head, *tail], "tools": tools()})


@pytest.mark.parametrize(
    ("kind", "a_turn"),
    [
        (chat, 1),
        (clock_in_the_system_prompt, 1),
        (moving_cache_control, 1),
        (two_agents, 2),
        (group_chat, 1),
        (the_same_words_again, 1),
        (a_call_without_tools_between, 2),
        (one_level_down, 1),
        (compacted, 1),
    ],
)
def test_a_late_turn_costs_what_the_20th_did(kind, a_turn):
    """However agents build their requests: bytes per turn at the last turn are within 1.2 of those at turn 20."""
    exchanges = list(kind(TURNS))
    lines = written(exchanges)

    def per_turn(turn):
        return sum(map(len, lines[(turn - 10) * a_turn : turn * a_turn])) / 10

    assert per_turn(TURNS) <= 1.2 * per_turn(20)
    assert per_turn(TURNS) <= 4_000 * a_turn
    assert plain(read(lines)) == plain(exchanges)


def test_many_conversations_side_by_side_stay_linear():
    """More of them than arrays are held: what they repeat is still found."""
    runs = [list(chat(6, system=f"agent {number}", start=100 * number)) for number in range(40)]
    found = sizes([run[turn] for turn in range(6) for run in runs])
    assert max(found[80:]) < 1_500


def test_decoded_requests_share_what_they_repeat():
    """A golden of n turns takes n messages in memory, not n²."""
    bodies = [each.asked["body"]["json"] for each in read(written(list(chat(30))))]
    assert len({id(item) for body in bodies for item in body["messages"]}) == 60
    assert len({id(body["tools"]) for body in bodies}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), (None, 0), ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
)
def test_what_is_only_equal_is_not_shared(one, other):
    """A value is the same if it is spelled the same; JSON identity is not enough."""
    exchanges = [
        request({"messages": [{"v": value, "t": PAD * 5}], "x": [[value, PAD * 5]]}) for value in (one, other)
    ]
    lines = written(exchanges)
    assert "same" not in body_of(lines[1])
    assert plain(read(lines)) == plain(exchanges)


def test_a_retry_is_a_number():
    """The same request again names the line that spells it."""
    (first,) = chat(1)
    assert body_of(written([tool(), first, first])[2]) == {"same": 2, "json": None}


def test_a_body_in_memory_may_not_look_like_one_on_disk():
    """What only a file may hold is refused when it is recorded, with its path."""
    one = request([])
    one.asked["body"]["same"] = 1
    with pytest.raises(NotRecordable, match=r"asked.*body.*'same'"):
        written([one])


def test_other_exchanges_are_as_they_were():
    """What is no request with a JSON body is written as ever, whatever its keys are called."""
    odd = [
        tool(),
        request({}),
        *chat(1),
    ]
    odd[0].asked["body"] = {"same": 1, "json": None}
    assert written(odd) == plain(odd)
    assert plain(read(plain(odd))) == plain(odd)


# In a store.


def test_the_journal_grows_by_what_is_new(tmp_path):
    """What a killed run leaves is short too, and can be read."""
    store = shelf(tmp_path)
    store.start_run("r", inputs(), exchanges=True)
    exchanges = list(chat(40))
    for exchange in exchanges:
        store.record_exchange("r", exchange)
    (path,) = tmp_path.rglob("exchanges.jsonl")
    assert path.stat().st_size < 2 * len(plain(exchanges)[-1]) + 40 * 1_500
    path.write_bytes(path.read_bytes()[:-20])
    assert plain(list(load_transcript(path.parent).exchanges)) == plain(exchanges[:-1])


def test_a_line_that_the_disk_refused_is_not_referred_to(tmp_path, monkeypatch):
    """Nothing is remembered before it is written."""
    store = shelf(tmp_path)
    store.start_run("r", inputs(), exchanges=True)
    exchanges = list(chat(4))

    def full(*_):
        raise OSError(28, "No space left on device")

    store.record_exchange("r", exchanges[0])
    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        with pytest.raises(StoreError):
            store.record_exchange("r", exchanges[1])
    for exchange in exchanges[1:]:
        store.record_exchange("r", exchange)
    assert plain(list(store.finalize("r").exchanges)) == plain(exchanges)


def test_threads_write_into_one_file(tmp_path):
    """Whichever thread comes first: the lines refer to one another in the order of the file."""
    store = shelf(tmp_path)
    store.start_run("r", inputs(), exchanges=True)
    exchanges = [exchange for number in range(4) for exchange in chat(20, system=str(number))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda exchange: store.record_exchange("r", exchange), exchanges))
    assert sorted(plain(list(store.finalize("r").exchanges))) == sorted(plain(exchanges))


def saved(folder, exchanges):
    """A store with a run of exchanges."""
    store = shelf(folder, replace=True)
    store.save(Transcript.new("r", inputs(), [], exchanges=exchanges))
    return store


def test_a_saved_run_is_written_back_to_the_byte(tmp_path):
    """Read and saved again, with shared lines too."""
    store = saved(tmp_path / "one", list(chat(8)))
    shelf(tmp_path / "two").save(store.load("r"))
    assert files_in(tmp_path / "one" / "r") == files_in(tmp_path / "two" / "r")


@pytest.mark.parametrize("dropped", [0, 1, 4, 7])
def test_a_line_is_written_afresh_where_what_it_refers_to_went(tmp_path, dropped):
    """Exchanges may be dropped from what was read: those that leant on them still hold what they held."""
    exchanges = list(chat(8))
    store = saved(tmp_path, exchanges)
    loaded = store.load("r")
    kept = [each for number, each in enumerate(loaded.exchanges) if number != dropped]
    store.save(loaded.with_exchanges(kept))
    after = store.load("r")
    assert plain(list(after.exchanges)) == plain(
        [each for each in exchanges if each is not exchanges[dropped]]
    )
    assert after.source.exchanges[1][:dropped] == loaded.source.exchanges[1][:dropped]
    assert len(files_in(tmp_path / "r")["exchanges.jsonl"]) <= len(b"".join(loaded.source.exchanges[1])) + 8


def test_a_changed_answer_leaves_other_lines_alone(tmp_path):
    """Only what leant on the changed line is written afresh; the odd spelling of another hand stays."""
    store = saved(tmp_path, [*chat(3), tool()])
    path = tmp_path / "r" / "exchanges.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"returned":1', b'"returned" : 1'))
    meta = tmp_path / "r" / "meta.json"
    changed = json.loads(meta.read_bytes())
    del changed["sha256"]
    meta.write_text(json.dumps(changed))
    loaded = store.load("r")
    first, *others = loaded.exchanges
    store.save(loaded.with_exchanges([type(first)(kind="http", asked=first.asked, answered=None), *others]))
    after = store.load("r")
    assert after.source.exchanges[1][-1] == loaded.source.exchanges[1][-1]
    assert plain(list(after.exchanges))[1:] == plain(list(loaded.exchanges))[1:]


@pytest.mark.parametrize("first", [request({"model": "other"}), tool()], ids=["request", "tool"])
def test_what_leant_on_a_line_that_is_another_now_holds_what_it_held(tmp_path, first):
    """A line number is no exchange: where another one stands there, those that referred to it are written afresh."""
    exchanges = list(chat(4))
    store = saved(tmp_path, exchanges)
    loaded = store.load("r")
    for changed in ([first, *loaded.exchanges[1:]], [*loaded.exchanges[1:3], loaded.exchanges[0]]):
        store.save(loaded.with_exchanges(changed))
        assert plain(list(store.load("r").exchanges)) == plain(changed)


def test_a_line_never_refers_to_one_behind_it(tmp_path):
    """What it leant on stands at the same number, and is not written yet."""
    store = saved(tmp_path, [tool(), *chat(2)])
    loaded = store.load("r")
    changed = loaded.exchanges[::-1]
    store.save(loaded.with_exchanges(changed))
    assert plain(list(store.load("r").exchanges)) == plain(list(changed))


def test_lines_keep_their_spelling_where_what_they_refer_to_stands(tmp_path):
    """What is appended changes no line before it, is itself written with what is shared, and without its secrets."""
    redactor = Redactor({"SHOP_TOKEN": "shop-4711-secret"})
    store = shelf(tmp_path, replace=True, redactor=redactor)
    *exchanges, last = chat(5, system="the token is shop-4711-secret")
    store.save(Transcript.new("r", inputs(), [], exchanges=exchanges))
    path, meta = tmp_path / "r" / "exchanges.jsonl", tmp_path / "r" / "meta.json"
    path.write_bytes(path.read_bytes().replace(b'{"kind":', b'{ "kind":'))
    changed = json.loads(meta.read_bytes())
    del changed["sha256"]
    meta.write_text(json.dumps(changed))
    before = path.read_bytes()
    loaded = store.load("r")
    store.save(loaded.with_exchanges([*loaded.exchanges, last]))
    after = path.read_bytes()
    assert after.startswith(before)
    assert b"4711" not in after
    assert "same" in body_of(after[len(before) :])
    assert plain([store.load("r").exchanges[-1]]) == [redactor.line(line) for line in plain([last])]


def test_secrets_are_taken_out_before_anything_is_shared(tmp_path):
    """What was hidden is shared as it is hidden, and what is decoded is what would have been written in full."""
    redactor = Redactor({"SHOP_TOKEN": "shop-4711-secret"})
    store = shelf(tmp_path, redactor=redactor)
    store.start_run("r", inputs(), exchanges=True)
    exchanges = list(chat(6, system="the token is shop-4711-secret"))
    for exchange in exchanges:
        store.record_exchange("r", exchange)
    found = store.finalize("r").exchanges
    assert b"4711" not in b"".join(files_in(tmp_path).values())
    full = [redactor.line(line) for line in plain(exchanges)]
    assert plain(list(found)) == full
    assert len(files_in(tmp_path / "r")["exchanges.jsonl"]) < 3 * len(full[0])


# Damage.


def damaged_by(folder, line):
    """Load a run of two requests and then that line; returns the damage."""
    saved(folder, [tool(), *chat(2)])
    path = folder / "r" / "exchanges.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(DamagedTranscript) as caught:
        load_transcript(folder / "r")
    assert caught.value.path == str(path)
    return caught.value


def asking(same, rest):
    """A line with a body as it may be on disk."""
    asked = {"method": "POST", "url": "https://a.test/", "headers": {}, "body": {"same": same, "json": rest}}
    return encode(
        {"kind": "http", "began": 0, "ended": 0, "asked": asked, "answered": None, "complete": False}
    )


@pytest.mark.parametrize(
    ("same", "rest"),
    [
        (0, None),
        (-1, None),
        (4, None),
        (99, None),
        (1, None),
        (2, {"model": "m"}),
        (True, None),
        (2.0, None),
        ("2", None),
        (None, None),
        ({"messages": 2}, {"model": "m"}),
        ({"messages": 2}, []),
        ({"absent": 2}, {"absent": None}),
        ({"model": {"deeper": 2}}, {"model": {"deeper": None}}),
        ({"model": {"m": 2}}, {"model": {"m": None}}),
        ({"messages": [[0, 2, 0, 1]]}, {"messages": None}),
        ({"model": [[0, 2, 0, 1]]}, {"model": []}),
        *(
            ({"messages": [run]}, {"messages": []})
            for run in (
                [0, 2, 0, 3],
                [0, 2, 1, 1],
                [0, 2, -1, 1],
                [0, 2, 1, 0],
                [1, 2, 0, 1],
                [-1, 2, 0, 1],
                [0, 4, 0, 1],
                [0, 1, 0, 1],
                [0, 2, 0],
                [0, 2, 0, 1, 1],
                [0, 2, 0, True],
                [0, 2.0, 0, 1],
                [0, "2", 0, 1],
                [0, 2, 0, 10**4000],
                7,
                {},
            )
        ),
        ({"messages": [[0, 2, 0, 2], [1, 2, 0, 1]]}, {"messages": []}),
        ({"messages": [[1, 2, 0, 1], [3, 2, 0, 1]]}, {"messages": ["x"]}),
    ],
)
def test_damage_names_the_line(tmp_path, same, rest):
    """What points nowhere, forward, at itself or at no such request is damage of that line, never a crash."""
    error = damaged_by(tmp_path, asking(same, rest))
    assert error.line == 4
    assert "'same' of the body" in str(error)


def test_a_number_of_a_million_digits_is_damage(tmp_path):
    """The number is refused before it is converted."""
    line = asking([[0, 2, 0, 7]], []).replace(b"[0,2,0,7]", b"[0,2,0," + b"7" * 1_000_000 + b"]")
    assert damaged_by(tmp_path, line).line == 4


def test_lines_that_double_one_another_are_damage(tmp_path):
    """A small file can't fill the memory."""
    lines = [encode(request(["x"] * 100).to_json())]
    for number in range(1, 40):
        size = 100 * 2 ** (number - 1)
        lines.append(asking([[0, number, 0, size], [size, number, 0, size]], []))
    saved(tmp_path, [])
    (tmp_path / "r" / "exchanges.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(DamagedTranscript, match="more than 1048576 items") as caught:
        load_transcript(tmp_path / "r")
    assert caught.value.line == 15


@pytest.mark.parametrize(
    "again",
    [lambda one: one, lambda one: {**one, "turn": 2}, lambda one: {**one, "said": [*one["said"], "more"]}],
    ids=["all of it", "a value of it", "items of it"],
)
def test_few_bytes_that_stand_for_many_are_counted(tmp_path, again):
    """Whatever is put back counts each time, since whoever reads a request reads all of it."""
    one = {"said": ["word " * 10 + str(number) for number in range(40)], "turn": 1}
    store = saved(tmp_path, [request(one), *(request(again(one)) for _ in range(9))])
    (size, *others) = (len(line) for line in files_in(tmp_path / "r")["exchanges.jsonl"].splitlines())
    assert max(others) < size / 5
    assert len(store.load("r").exchanges) == 10
    with pytest.raises(TooLarge, match="shared_bytes = ") as caught:
        shelf(tmp_path, limits=Limits(shared_bytes=5 * size)).load("r")
    assert caught.value.line in (6, 7)


def test_a_request_put_back_may_be_no_longer_than_a_line(tmp_path):
    """A line that grows beyond the limit by its references is refused like a line that is spelled as long."""
    said = ["word " * 20 + str(number) for number in range(9)]
    saved(tmp_path, [request([{"text": text} for text in said[:number]]) for number in range(1, 10)])
    longest = max(map(len, files_in(tmp_path / "r")["exchanges.jsonl"].splitlines()))
    with pytest.raises(TooLarge, match="in one request put back together") as caught:
        load_transcript(tmp_path / "r", limits=Limits(line=max(longest, 900)))
    assert caught.value.line > 2


def test_a_body_that_only_looks_shared_refers_to_nothing():
    """A body that is no object has no such key, whatever it holds."""
    line = asking(2, None).replace(b'{"same":2,"json":null}', b'["same"]')
    assert b'["same"]' in line
    assert lines_used(line) == frozenset()


def test_a_shared_body_without_json_is_damage(tmp_path):
    """Without JSON the shared part belongs to nothing."""
    assert damaged_by(tmp_path, asking(2, None).replace(b',"json":null', b"")).line == 4


class Role(StrEnum):
    """A text of the user's own that one encoder spells by its value, and another by its characters."""

    USER = "user", "somebody"

    def __new__(cls, text, value):
        one = str.__new__(cls, text)
        one._value_ = value
        return one


def test_types_of_their_own_are_shared_as_they_are_spelled():
    """What is written for a subclass of str is what is shared and decoded."""
    first, second = ([{"role": role, "content": PAD * 5}] for role in (Role.USER, "somebody"))
    exchanges = [request({"messages": messages}) for messages in (first, second)]
    lines = written(exchanges)
    assert body_of(lines[0])["json"]["messages"][0]["role"] == "user"
    assert "same" not in body_of(lines[1])
    assert plain(read(lines)) == plain(exchanges)


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 12] * 200, [11, 2] * 200), ([1234567890] * 200, [1234567891] * 200)],
    ids=["joined", "cut"],
)
def test_short_items_are_not_confused(one, other):
    """Arrays whose items only look alike when joined or cut are two."""
    exchanges = [request({"context": each}) for each in (one, other)]
    assert plain(read(written(exchanges))) == plain(exchanges)


@pytest.mark.parametrize("size", [98, 99, 100, 101])
def test_an_array_that_no_reader_would_put_back_is_spelled(monkeypatch, size):
    """What is recorded can be read: an array of more items than are put back is shared whole, or not at all."""
    for module in ("events.pieces", "store.delta_decoding"):
        monkeypatch.setattr(f"pytest_sparrow.{module}.MAX_ITEMS", 100)
    items = [f"item {number} {PAD}" for number in range(size)]
    exchanges = [
        request({"items": each}) for each in (items, items, [*items, "more"], [*items, "more", "yet more"])
    ]
    assert plain(read(written(exchanges))) == plain(exchanges)


def test_runs_that_save_nothing_are_spelled():
    """Numbers in another order are not written as a run each."""
    one = list(range(1_000, 1_400))
    lines = written([request({"context": each}) for each in (one, one[::-1])])
    assert "same" not in body_of(lines[1])


def test_a_secret_outside_the_body_is_taken_out_of_a_shared_line_too():
    """The line is written afresh where something is shared, from what was redacted and not from what was asked."""
    redactor = Redactor({"SHOP_TOKEN": "shop-4711-secret"})
    encoder = DeltaEncoder()
    for exchange in chat(3):
        body = exchange.asked["body"]["json"]
        draft = draft_of(request(body, url="https://api.test/shop-4711-secret"), redactor)
        line = encoder.line(draft)
        encoder.add(draft)
        assert b"4711" not in line
    assert "same" in body_of(line)
