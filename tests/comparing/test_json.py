"""JSON against JSON: paths without indices, both values, no cascades."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing import MISSING, Rules, json_changes, request_changes
from pytest_sparrow.comparing.asked import comparable_by, tool_changes
from pytest_sparrow.comparing.identity import Sameness
from pytest_sparrow.events.jsontext import equal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab{[", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, JSON)
def test_there_are_changes_exactly_where_json_differs(golden, new):
    """No difference is missed, none is invented, and no value is reported as its own other."""
    changes = json_changes(golden, new, root="request")
    assert (not changes) is equal(golden, new)
    for change in changes:
        assert change.golden is MISSING or change.new is MISSING or not equal(change.golden, change.new)


def reported(changes):
    return [(change.kind, change.path, change.golden, change.new) for change in changes]


PLAIN = ["null", "true", "false", "0", "1", "1.5", "100000000000000000000", '"1"', '"a"', "[]", "{}"]


@pytest.mark.parametrize("golden", PLAIN)
def test_each_plain_value_equals_itself_alone(golden):
    """Read twice it is the same; no number is a bool, a text or null."""
    for new in PLAIN:
        changes = json_changes(json.loads(golden), json.loads(new), root="request")
        assert bool(changes) is (new != golden)


def test_an_element_put_in_front_does_not_cascade():
    """One added element is one change, wherever it stands."""
    golden = [{"n": n} for n in range(50)]
    assert reported(json_changes(golden, [{"n": -1}, *golden], root="request.x")) == [
        ("added", "request.x[]", MISSING, {"n": -1})
    ]


def test_only_a_list_of_plain_values_is_reported_as_one_change():
    """A list with objects on either side is reported by element, and so is a list with few changes."""
    plain, objects = list(range(30)), [{"n": n} for n in range(30)]
    other = [n + 100 for n in plain]
    assert len(json_changes(plain, other, root="request")) == 1
    for golden, new in [(objects, [{"n": n} for n in other]), (objects, other), (other, objects)]:
        assert len(json_changes(golden, new, root="request")) >= 30
    many = {"a": objects, "b": [1, 2]}, {"a": [{"n": n} for n in other], "b": [1, 3]}
    assert reported(json_changes(*many, root="request"))[-1] == ("changed", "request.b[]", 2, 3)


@pytest.mark.parametrize(
    ("golden", "new", "path"),
    [
        ({"a": 1, "b": 2}, {"c": 1, "d": 2, "e": 3}, "request"),
        ({"a": 1, "b": 2, "c": 3}, {"a": 2, "d": 2, "e": 3}, "request"),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, "request.b"),
        ({}, {"a": 1}, "request.a"),
        ({"a": 1}, [1], "request"),
        ([1], {"a": 1}, "request"),
        ([1, 2], [1, 3], "request[]"),
    ],
)
def test_json_texts_with_little_in_common_are_reported_as_the_texts_they_are(golden, new, path):
    """Key by key they would tell nothing: with fewer than half the keys in common, or an object and a list."""
    changes = json_changes(json.dumps(golden), json.dumps(new), root="request")
    assert changes[0].path == path


@pytest.mark.parametrize(
    ("golden", "new"),
    [({"name": "a", "v": 1}, {"name": "b", "v": 1}), ([1], 1), ([1], {}), ({}, 1), ("a", ["a"])],
)
def test_elements_of_another_name_or_kind_are_other_elements(golden, new):
    """One element is removed and one added, however similar they are."""
    changes = json_changes([golden], [new], root="request")
    assert [(change.kind, change.golden, change.new) for change in changes] == [
        ("removed", golden, MISSING),
        ("added", MISSING, new),
    ]


def test_the_object_that_shares_most_with_a_former_one_is_that_one_changed():
    """The less similar is the added one, though it comes first."""
    golden, other, later = {"v": 1, "w": 2, "x": 3}, {"v": 9, "w": 9, "x": 9}, {"v": 1, "w": 2, "x": 4}
    assert reported(json_changes([golden], [other, later], root="request")) == [
        ("added", "request[]", MISSING, other),
        ("changed", "request[].x", 3, 4),
    ]


@pytest.mark.parametrize(
    ("golden", "new", "found"),
    [
        ({"a": 1}, {"b": 1}, []),
        ({"a": 1}, {"b": 2}, [("changed", "request.a", 1, 2)]),
        ({"a": 1}, {"a": 1, "b": 2}, [("added", "request.b", MISSING, 2)]),
        ({"a": 1, "b": 1}, {"b": 1}, [("removed", "request.a", 1, MISSING)]),
        ({"a": 1, "c": 1}, {"b": 1}, [("removed", "request.c", 1, MISSING)]),
        ({"a": 1}, {"c": 1}, [("removed", "request.a", 1, MISSING), ("added", "request.c", MISSING, 1)]),
    ],
)
def test_a_key_that_is_an_id_answers_to_one_key(golden, new, found):
    """Where a and c are now called b, each key still has one partner at most: none of the others is lost."""
    same = Sameness(renamed=lambda key: "b" if key in "ac" else key)
    assert reported(json_changes(golden, new, root="request", same=same)) == found


def test_json_within_a_text_is_compared_as_json():
    """Arguments travel as JSON text: the argument that changed is reported, not the text."""
    golden, new = {"arguments": '{"a": 1, "b": 2}'}, {"arguments": '{"a": 1, "b": 3}'}
    assert reported(json_changes(golden, new, root="request")) == [("changed", "request.arguments.b", 2, 3)]


def test_json_text_that_is_only_written_otherwise_is_still_another_text():
    """What is sent is text: a space more is a change, and both texts are reported."""
    assert reported(json_changes('{"a": 1}', '{"a":1}', root="request")) == [
        ("changed", "request", '{"a": 1}', '{"a":1}')
    ]


def http(messages, *, port=8000, query="", **body):
    return {
        "method": "POST",
        "url": f"http://127.0.0.1:{port}/v1/chat/completions{query}",
        "headers": {"x-request-id": str(port)},
        "body": {"json": {"model": "m", "messages": messages, **body}},
    }


MESSAGES = [
    {"role": "system", "content": "You are a careful agent."},
    {"role": "user", "content": "Refund 1234"},
    {
        "role": "assistant",
        "tool_calls": [
            {
                "id": "call_a1",
                "type": "function",
                "function": {"name": "refund", "arguments": '{"amount": 39.99}'},
            },
            {"id": "call_a2", "type": "function", "function": {"name": "notify", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_a1", "content": '{"ok": true}'},
    {"role": "tool", "tool_call_id": "call_a2", "content": "sent"},
]


def changed(old, new):
    return json.loads(json.dumps(MESSAGES).replace(old, new))


def test_a_message_is_called_by_its_role_and_a_call_by_its_function():
    """Paths into a chat request read like the request."""
    drift = request_changes(http(MESSAGES), http(changed("careful", "careless")))
    assert reported(drift) == [
        (
            "changed",
            "request.messages[system].content",
            "You are a careful agent.",
            "You are a careless agent.",
        )
    ]
    (drift,) = request_changes(http(MESSAGES), http(changed("39.99", "139.99")))
    assert drift.path == "request.messages[assistant].tool_calls[refund].function.arguments.amount"


def test_what_matching_ignores_is_no_drift():
    """Headers of the moment, and the port of a loopback server, are never compared."""
    assert not request_changes(http(MESSAGES), http(copy.deepcopy(MESSAGES), port=9000))


def test_call_ids_that_were_renamed_one_to_one_are_no_drift():
    """Some SDKs invent call ids and send them; only a reference that goes elsewhere is a change."""
    other = json.loads(json.dumps(MESSAGES).replace("call_a1", "call_x9").replace("call_a2", "call_x8"))
    assert not request_changes(http(MESSAGES), http(other), of_model=True)
    other[3]["tool_call_id"], other[4]["tool_call_id"] = "call_x8", "call_x9"
    assert request_changes(http(MESSAGES), http(other), of_model=True)


def test_rules_by_path_act_on_requests():
    """The path of a drift, given as a rule, settles it."""
    golden, new = http(MESSAGES, temperature=0), http(changed("careful", "careless"), temperature=1)
    paths = [change.path for change in request_changes(golden, new)]
    assert paths == ["request.messages[system].content", "request.temperature"]
    assert not request_changes(golden, new, Rules(exclude_paths=tuple(paths)))


def dumped(**fields):
    return http([{"role": "tool", "content": json.dumps(fields)}])


@pytest.mark.parametrize(
    ("golden", "new"),
    [
        (http(MESSAGES), http(changed("39.99", "139.99"))),
        (dumped(ok=True, took=1), dumped(ok=True, took=2)),
        (dumped(ok=True), dumped(took=2, ok=True)),
        (dumped(text=json.dumps({"took": 1, "ok": 1})), dumped(text=json.dumps({"took": 2, "ok": 1}))),
        (dumped(rows=[{"n": 1, "took": 1}]), dumped(rows=[{"n": 1, "took": 2}])),
    ],
    ids=["arguments", "content", "one side", "text in text", "list"],
)
def test_rules_reach_into_json_text(golden, new):
    """A reported path settles its change there too, alone or by a regular expression, and nothing beside it."""
    (change,) = request_changes(golden, new)
    assert not request_changes(golden, new, Rules(exclude_paths=(change.path,)))
    last = change.path.rpartition(".")[2]
    assert not request_changes(golden, new, Rules(exclude_regex_paths=(rf"\.{last}$",)))
    assert request_changes(golden, new, Rules(exclude_paths=("request.messages[tool].content.beside",)))


def test_a_rule_for_another_place_leaves_a_text_as_it_is():
    """How a text is written is still a change where no rule reaches into it."""
    golden, new = http([], data='{"a": 1}', more="x"), http([], data='{"a":1}', more="y")
    rules = Rules(exclude_paths=("request.more",))
    assert [change.path for change in request_changes(golden, new, rules)] == ["request.data"]


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("{a", "{b"), ("", "b")])
def test_a_rule_that_reaches_below_a_text_that_is_no_json_finds_nothing_there(one, other):
    """The text counts as ever."""
    rules = Rules(exclude_paths=("request.data.took",))
    assert request_changes(http([], data=one), http([], data=other), rules)


def test_numbers_and_order_in_json_text_follow_the_rules():
    """Digits and orders that mean nothing mean nothing there either; other values still do."""
    digits, order = Rules(significant_digits=2), Rules(ignore_order=True)
    assert not request_changes(dumped(a=1.001), dumped(a=1.002), digits)
    assert request_changes(dumped(a=1.001), dumped(a=1.1), digits)
    assert request_changes(http([], data='{"a": 1}'), http([], data='{"a":1}'), digits)
    assert not request_changes(dumped(a=[1, 2]), dumped(a=[2, 1]), order)
    assert request_changes(dumped(a=[1, 2]), dumped(a=[2, 2]), order)


def test_the_query_is_reported_by_field():
    """A field of the query that changed has a path of its own; the order means something among equal names only."""
    assert not request_changes(http([], query="?a=1&b=2&a=3"), http([], query="?b=2&a=1&a=3"))
    assert request_changes(http([], query="?a=1&a=3"), http([], query="?a=3&a=1"))
    assert reported(request_changes(http([], query="?a=1&b=2"), http([], query="?b=3&a=1"))) == [
        ("changed", "request.query.b[]", "2", "3")
    ]


def graphql(page):
    asked = http([], query=f"?page={page}")
    return {**asked, "body": {"json": {"query": "{ a }"}}}


def test_a_query_counts_beside_a_body_with_a_key_of_that_name():
    """A GraphQL request has a body with the key `query`: `request.query` is the URL's, the body's is in the body."""
    one, two = (graphql(n) for n in (1, 2))
    assert reported(request_changes(one, two)) == [("changed", "request.query.page[]", "1", "2")]
    other = {**one, "body": {"json": {"query": "{ b }"}}}
    assert reported(request_changes(one, other)) == [("changed", "request.body.query", "{ a }", "{ b }")]
    assert request_changes(one, other, Rules(exclude_paths=("request.query",)))


def test_a_field_of_the_query_without_a_value_counts():
    """An empty field differs from a missing field."""
    assert [change.path for change in request_changes(http([], query="?a="), http([]))] == ["request.query"]


@pytest.mark.parametrize(
    ("golden", "new", "path"),
    [
        ({"text": "a"}, {"text": "b"}, "request.body.text"),
        ({"json": [{"method": "a"}]}, {"json": [{"method": "b"}]}, "request.body.json[].method"),
        ({"json": {"user": {"id": "user_0001"}}}, {"json": {"user": {"id": "user_0002"}}}, "request.user.id"),
        ({"json": {"call_id": ["x"]}}, {"json": {"call_id": ["y"]}}, "request.call_id[]"),
        ({"json": {"functionCall": "x"}}, {"json": {"functionCall": "y"}}, "request.functionCall"),
        (
            {"json": {"functionCall": {"id": [1]}}},
            {"json": {"functionCall": {"id": [2]}}},
            "request.functionCall.id[]",
        ),
        (None, {"text": "b"}, "request.body"),
    ],
    ids=["text", "batch", "an id that is no call's", "junk", "call junk", "id junk", "none"],
)
def test_any_body_is_compared(golden, new, path):
    """Bodies of any kind compare, with anything in the places of ids; an id of no call is a value like any other."""
    sides = [{"method": "POST", "url": "http://h/", "headers": {}, "body": body} for body in (golden, new)]
    assert [change.path for change in request_changes(*sides)] == [path]


def test_what_a_rule_leaves_out_of_arguments_is_left_out_of_what_chooses_the_answer():
    """By the path of the proposal as of the start; a call that no rule touches is the same object."""
    asked = {"name": "refund", "args": {"amount": 1, "took": 2}, "id": "c1"}
    for event in ("ToolUseProposed", "ToolUseStarted"):
        comparable_of = comparable_by(Rules(exclude_paths=(f"{event}[refund].args['took']",)))
        assert comparable_of(asked) == {**asked, "args": {"amount": 1}}
        assert comparable_of({**asked, "name": "pay"})["args"] is asked["args"]
        assert comparable_by(Rules(exclude_paths=(f"{event}.args",)))(asked) == {**asked, "args": {}}


def test_arguments_count_in_choosing_as_in_the_comparison():
    """Numbers to the digits that count, texts without their case, lists without their order; true is no number."""
    rules = Rules(significant_digits=1, ignore_string_case=True, ignore_order=True)
    comparable_of = comparable_by(rules)
    one, other = (
        comparable_of({"name": "Refund", "args": args})
        for args in ({"To": "ANNA", "n": [1.01, True]}, {"to": "anna", "n": [True, 1]})
    )
    assert one == other
    assert one["name"] == "Refund"
    assert comparable_by(Rules(level="trajectory")) is None


def test_arguments_of_a_call_that_no_model_proposed_are_reported_under_both_events():
    """The arguments stand in the call's proposal and in its start."""
    one, other = ({"name": "refund", "args": {"amount": amount}, "id": "c"} for amount in (1, 2))
    assert reported(tool_changes(one, other)) == [("changed", "ToolUse*[refund].args['amount']", 1, 2)]


def test_secrets_count_by_kind_not_by_number():
    """A placeholder's number hangs on what came before it."""
    golden = http([{"role": "user", "content": "key <secret:openai-key:1>"}])
    assert not request_changes(golden, http([{"role": "user", "content": "key <secret:openai-key:2>"}]))
    assert request_changes(golden, http([{"role": "user", "content": "key <secret:aws-key:1>"}]))


def test_tools_and_calls_are_compared_by_their_arguments():
    """The asked half of a tool: arguments count, its call id doesn't."""
    golden, new = (
        {"name": "refund", "args": {"amount": 1}, "id": "c1"},
        {"name": "refund", "args": {"amount": 2}, "id": "c2"},
    )
    assert reported(request_changes(golden, new)) == [("changed", "request.args.amount", 1, 2)]
