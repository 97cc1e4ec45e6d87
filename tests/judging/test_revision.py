"""What a golden keeps of itself where a run differs from it: names, moments and lanes."""

from dataclasses import replace

import pytest

from pytest_sparrow.comparing import Rules
from pytest_sparrow.events import Message
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.judging.renaming import Names, new_words
from pytest_sparrow.judging.revision import replayed
from pytest_sparrow.judging.timeline import Standing, in_slots, lanes_in_golden, placed
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.transcript import RunInputs, Transcript

OLD, NEW = "call_0a1b2c3d4e5f", "call_9z8y7x6w5v4u"


def exchange(began, ended=None, lane="", made=()):
    return Exchange(
        kind="call", asked={}, answered={}, lane=lane, lane_began=[*made], began=began, ended=ended
    )


def test_ids_get_the_goldens_names_wherever_they_stand():
    """In texts, keys and JSON within text; a word that is a part of another one stays."""
    names = Names()
    names.learn({"id": OLD, "n": 1}, {"id": NEW, "n": 2})
    value = {"a": f"see {NEW}.", NEW: [f'{{"id":"{NEW}"}}', f"x{NEW}"]}
    assert names.in_golden(value) == {"a": f"see {OLD}.", OLD: [f'{{"id":"{OLD}"}}', f"x{NEW}"]}
    untouched = {"a": ["b"]}
    assert names.in_golden(untouched) is untouched


def test_a_name_has_one_partner():
    """The first one stays: two ids never become one."""
    names = Names()
    names.pair(OLD, NEW)
    names.pair(OLD, "call_another_1")
    names.pair("call_another_2", NEW)
    assert names.in_golden([NEW, "call_another_1"]) == [OLD, "call_another_1"]


def test_words_and_numbers_are_no_names():
    """What is short, or may be a usual word, is never renamed."""
    names = Names()
    names.learn(["price", "12345", "refund"], ["amount", "54321", "credit"])
    assert names.in_golden("amount 54321 credit") == "amount 54321 credit"


@pytest.mark.parametrize(
    ("golden", "new", "renamed"),
    [
        ({"id": OLD}, {"id": NEW}, OLD),
        ({"sse": [f'data: {{"id":"{OLD}"}}']}, {"sse": [f'data: {{"id":"{NEW}"}}']}, OLD),
        ({"tool": {"input": {"id": OLD}}}, {"tool": {"input": {"id": NEW}}}, NEW),
        ({"text": OLD}, {"text": NEW}, NEW),
        ({"id": "order-7"}, {"id": "order-9"}, NEW),
    ],
)
def test_of_other_answers_only_drawn_ids_are_learned(golden, new, renamed):
    """Those under the provider's own keys: an id in the arguments of a call is what the model said."""
    names = Names()
    names.learn_ids(golden, new, {"id"})
    assert names.in_golden(NEW) == renamed
    assert names.in_golden("order-9") == "order-9"


def test_secrets_keep_the_goldens_numbers():
    """Paired by place; one that the golden lacks gets a number that is free."""
    names = Names()
    names.keep(["<secret:key:1>", "<secret:key:2>"])
    names.learn_secrets({"a": "Bearer <secret:key:2>"}, {"a": "Bearer <secret:key:1000001>"})
    names.set_apart(["<secret:key:1>", "<secret:key:2>"], ["<secret:key:1000001>", "<secret:key:1000002>"])
    assert names.in_golden("<secret:key:1000001> <secret:key:1000002>") == "<secret:key:2> <secret:key:3>"


def test_of_other_runs_only_ids_are_known():
    """Each transcript numbers its own secrets."""
    names = Names()
    names.pair(OLD, NEW)
    names.pair("<secret:key:1>", "<secret:key:2>")
    assert names.of_ids().in_golden([NEW, "<secret:key:2>"]) == [OLD, "<secret:key:2>"]


def test_words_that_the_golden_lacks():
    """Text by text, in the same places."""
    assert list(new_words({"a": "x y", "b": ["1"]}, {"a": "y z", "b": ["2"], "c": "w"})) == ["z", "2"]


def test_moments_are_the_goldens():
    """What is new lies between its neighbours; what follows the last one keeps its distance."""
    golden = [exchange(1.0, 2.0), exchange(3.0, 4.0)]
    new = [exchange(10.0, 20.0), exchange(21.0, 24.0), exchange(30.0, 40.0), exchange(41.0, 42.5)]
    standing = [
        Standing(new[0], golden[0]),
        Standing(new[1], None),
        Standing(new[2], golden[1]),
        Standing(new[3], None),
    ]
    assert [(one.began, one.ended) for one in placed(standing)] == [
        (1.0, 2.0),
        (2.1, 2.4),
        (3.0, 4.0),
        (5.0, 6.5),
    ]


def test_another_order_has_other_moments():
    """Calls of one strand that came the other way round: none fits, and each gets what stands in its place."""
    first, second = exchange(1.0, 2.0), exchange(3.0, 4.0)
    turned = [Standing(exchange(5.0, 6.0), second), Standing(exchange(7.0, 8.0), first)]
    assert placed(turned) is None
    assert [one.began for one in in_slots(turned)] == [1.0, 3.0]
    assert in_slots([*turned, Standing(exchange(9.0), None)]) is None
    # What overlapped may come in any order.
    side = [
        Standing(exchange(5.0, 9.0, "task-2"), exchange(3.0, 4.0, "task-2")),
        Standing(exchange(6.0, 8.0, "task-1"), exchange(1.0, 5.0, "task-1")),
    ]
    assert [one.began for one in placed(side)] == [3.0, 1.0]
    # Unless the agent may have acted on it.
    assert placed(side, live=True) is None


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        # Threads that are made in one order, and ask when they like.
        (("work-2", 0.2), ("work-1", 0.1), True),
        (("work-2", 0.1), ("work-1", 0.2), False),  # made in the other order
        (("", None), ("work-1", 0.1), True),  # asked while the thread did something else
        (("", None), ("work-1", 5.5), False),  # asked before the thread was made
    ],
)
def test_strands_that_come_in_another_order_by_chance_keep_their_moments(first, second, fits):
    """In a replay, as long as no strand asks or makes strands in another order than the golden's."""
    made = [() if moment is None else (moment,) for _, moment in (first, second)]
    standing = [
        Standing(exchange(5.0, 6.0, first[0], made[0]), exchange(3.0, 4.0, first[0], made[0] and (0.2,))),
        Standing(exchange(7.0, 8.0, second[0], made[1]), exchange(1.0, 2.0, second[0], (0.1,))),
    ]
    assert (placed(standing) is not None) == fits
    assert placed(standing, live=True) is None


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("task-2", "task-1"), ("task-1", "task-2")], {"": "", "task-2": "task-1", "task-1": "task-2"}),
        ([("task-2", "task-1"), ("task-2.1", None)], {"": "", "task-2": "task-1", "task-2.1": "task-1.1"}),
        ([("task-1", "task-1"), ("task-1", "task-2")], None),
        ([("task-1", "task-3"), ("task-2", "task-3")], None),
        ([("task-1", "task-2"), ("task-2", None)], None),
    ],
)
def test_lanes_get_the_goldens_labels(pairs, expected):
    """One to one, or not at all."""
    standing = [
        Standing(exchange(1.0, lane=new), None if golden is None else exchange(1.0, lane=golden))
        for new, golden in pairs
    ]
    assert lanes_in_golden(standing) == expected


TOKENS = {"status": 200, "headers": {}, "body": {"json": ["<secret:token:1>", "<secret:token:2>"]}}


def request(began, value, *, port=1, token="<secret:token:2>"):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    asked = {
        "method": "POST",
        "url": f"http://127.0.0.1:{port}/",
        "headers": headers,
        "body": {"json": value},
    }
    return Exchange(kind="http", asked=asked, answered=TOKENS, began=began, ended=began + 0.5)


@pytest.mark.parametrize(
    ("new", "rules", "expected"),
    [
        ({"value": {"a": True}}, Rules(), None),
        ({"value": {"a": True}, "port": 2}, Rules(), None),
        ({"value": {"a": True, "b": 1}}, Rules(exclude_paths=("request.b",)), None),
        ({"value": {"a": 1}}, Rules(), ({"a": 1}, "<secret:token:2>")),
        ({"value": {"a": 2}, "port": 2}, Rules(), ({"a": 2}, "<secret:token:2>")),
        ({"value": {"a": True}, "token": "<secret:token:1>"}, Rules(), ({"a": True}, "<secret:token:1>")),
        ({"value": {"a": True}, "token": "<secret:token:1000001>"}, Rules(), None),
    ],
)
def test_a_request_is_written_where_it_differs(new, rules, expected):
    """By what a replay compares: true is not 1, one secret is not another; its other parts stay, ports among them."""
    golden = Transcript.new("r", RunInputs(task=""), [], exchanges=[request(1.0, {"a": True})])
    asked = replace(request(9.0, **new), answered=golden.exchanges[0].answered)
    revised = replayed(golden, [Standing(asked, golden.exchanges[0])], [], rules).transcript
    if expected is None:
        assert revised is golden
        return
    (one,) = revised.exchanges
    assert (one.asked["body"]["json"], one.asked["headers"]["authorization"]) == (
        expected[0],
        f"Bearer {expected[1]}",
    )
    assert (one.asked["url"], one.began, one.answered) == ("http://127.0.0.1:1/", 1.0, TOKENS)


def test_a_word_of_a_prompt_is_one_line_of_twelve_turns(tmp_path):
    """Each later request names the line that holds the prompt; no event, answer or moment changes."""

    def turn(number, prompt):
        said = [
            {"role": role, "content": f"{role} {each}: " + "words " * 20}
            for each in range(number + 1)
            for role in ("user", "assistant")
        ]
        messages = [{"role": "system", "content": prompt}, *said[:-1]]
        asked = {
            "method": "POST",
            "url": "http://h/v1",
            "headers": {},
            "body": {"json": {"messages": messages}},
        }
        answered = {"status": 200, "headers": {}, "body": {"json": said[-1]}}
        began = float(number)
        return Exchange(kind="http", asked=asked, answered=answered, began=began, ended=began + 0.5)

    prompt = "Rules apply. " * 30 + "Be kind."
    old = [turn(number, prompt) for number in range(12)]
    events = [Message(run="a", role="assistant", text=f"turn {number}") for number in range(12)]
    inputs = RunInputs(task="t", timestamp="2026-01-01T00:00:00+00:00")
    store = FsRecorder(tmp_path, replace=True)
    store.save(Transcript.new("a", inputs, events, exchanges=old))
    before = {path.name: path.read_bytes().splitlines() for path in (tmp_path / "a").iterdir()}
    golden = load_transcript(tmp_path / "a")
    run = [
        Standing(replace(turn(number, prompt.replace("kind", "very kind")), answered=each.answered), each)
        for number, each in enumerate(golden.exchanges)
    ]
    store.save(replayed(golden, run, golden.events, Rules()).transcript)
    changed = {
        name: sum(
            one != other
            for one, other in zip(lines, (tmp_path / "a" / name).read_bytes().splitlines(), strict=True)
        )
        for name, lines in before.items()
    }
    assert changed == {"inputs.json": 0, "events.jsonl": 0, "exchanges.jsonl": 1, "meta.json": 1}
