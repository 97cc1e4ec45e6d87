"""Which recorded exchange answers."""

import random
from dataclasses import replace

import pytest

from pytest_sparrow.exchange import Asked, Exchange
from pytest_sparrow.matching.chooser import Chooser
from pytest_sparrow.matching.conversations import prefixes
from pytest_sparrow.matching.counts import is_verbatim
from pytest_sparrow.matching.similarity import Similarity

SYSTEM = {"role": "system", "content": "be kind"}


def user(text):
    return {"role": "user", "content": text}


def chat(*messages, system=SYSTEM):
    return {
        "method": "POST",
        "url": "https://api.example.com/chat/completions",
        "headers": {},
        "body": {"json": {"model": "m", "messages": [system, *messages]}},
    }


def get(query):
    return {"method": "GET", "url": f"https://example.com/search?q={query}", "headers": {}}


def conversation(asked):
    body = asked.get("body")
    return None if body is None else body["json"]["messages"][1:]


def http(asked, lane=""):
    return Exchange(kind="http", asked=asked, answered={"status": 200, "headers": {}}, lane=lane)


def tool(name, args, call_id="", lane=""):
    return Exchange(
        kind="tool",
        asked={"name": name, "args": args, "id": call_id or "unproposed_1"},
        answered={"returned": None},
        proposed=bool(call_id),
        lane=lane,
    )


def choose_http(chooser, number, asked, messages=None, lane="", *, taken=True):
    """Choose for an HTTP request, the run's ``number``-th."""
    wanted = Asked(kind="http", content=asked, number=number, conversation_of=lambda: messages, lane=lane)
    return chooser.choose(wanted, taken=taken)


def choose_tool(chooser, asked, call_id=None, lane="", *, taken=True):
    """Choose for a tool's call, which a model proposed under ``call_id``."""
    return chooser.choose(Asked(kind="tool", content=asked, call_id=call_id, lane=lane), taken=taken)


def choose_call(chooser, asked):
    """Choose for a ``sparrow.call``."""
    return chooser.choose(Asked(kind="call", content=asked))


class Replay:
    """A chooser, and the numbers of the requests made to it."""

    def __init__(self, *exchanges):
        self.chooser = Chooser(exchanges, conversation)
        self.count = 0

    def http(self, asked, lane=""):
        self.count += 1
        return choose_http(self.chooser, self.count - 1, asked, conversation(asked), lane)


def test_an_exact_request_takes_its_own_answer_in_any_order():
    """Order doesn't matter where the requests are the recorded ones."""
    replay = Replay(*(http(get(q)) for q in "abc"))
    assert [replay.http(get(q)).number for q in "cab"] == [2, 0, 1]
    assert replay.chooser.unplayed() == []


def test_equal_requests_are_answered_first_in_first_out():
    """Polling gets the answers in their order, and no more of them than there are."""
    replay = Replay(http(get("a")), http(get("a")))
    assert [replay.http(get("a")).number for _ in range(2)] == [0, 1]
    assert replay.http(get("a")) is None


def test_a_miss_consumes_nothing():
    """A request of another shape takes no answer from those that follow."""
    replay = Replay(http(get("a")))
    assert replay.http({**get("a"), "method": "DELETE"}) is None
    assert replay.chooser.unplayed() == [0]
    assert replay.http(get("a")).exact


def test_an_edited_prompt_follows_its_conversation():
    """With another system prompt every request is answered by the one it corresponds to, as drift."""
    one, two = chat(user("hi")), chat(user("hi"), user("more"))
    replay = Replay(http(one), http(two))
    other = {"role": "system", "content": "be rude"}
    first = replay.http(chat(user("hi"), system=other))
    second = replay.http(chat(user("hi"), user("more"), system=other))
    assert [(first.number, first.exact), (second.number, second.exact)] == [(0, False), (1, False)]


def test_edited_prompts_of_parallel_conversations_find_their_own():
    """Two conversations under an edited system prompt, asked in the other order, are not swapped."""
    replay = Replay(http(chat(user("berlin"))), http(chat(user("paris"))))
    other = {"role": "system", "content": "be rude"}
    assert replay.http(chat(user("paris"), system=other)).number == 1
    assert replay.http(chat(user("berlin"), system=other)).number == 0


def test_a_new_conversation_does_not_take_the_next_turn_of_another():
    """A call that was added starts a conversation; the recorded next turn continues one: that is a miss."""
    replay = Replay(http(chat(user("hi"))), http(chat(user("hi"), user("more"))))
    assert replay.http(chat(user("hi"))).number == 0
    assert replay.http(chat(user("classify this"))) is None
    assert replay.http(chat(user("hi"), user("more"))).exact


def test_what_continues_a_miss_is_a_miss():
    """Nothing that was recorded can follow a request that had no answer."""
    replay = Replay(http(get("a")), http(chat(user("hi"), user("more"))))
    assert replay.http(chat(user("x"), system=SYSTEM)) is not None  # the only conversation there is
    replay = Replay(http(get("a")))
    assert replay.http(chat(user("x"))) is None
    assert replay.http(chat(user("x"), user("y"))) is None


def test_a_conversation_whose_words_another_missed_with_goes_on_in_its_own_lane_only():
    """The last request with these words had no answer: what follows the own one is no beginning of a conversation."""
    replay = Replay(http(chat(user("hi")), "work-1"), http(chat(user("unrelated")), "work-2"))
    assert replay.http(chat(user("hello")), "work-1").number == 0
    elsewhere = {**chat(user("hello")), "url": "https://api.example.com/other"}
    assert replay.http(elsewhere, "work-2") is None
    assert replay.http(chat(user("hello"), user("more")), "work-1") is None


def test_messages_do_not_run_into_one_another():
    """Conversations differ by their messages, not by the text of the joined messages."""
    assert prefixes([1, 12])[-1] != prefixes([11, 2])[-1]


def test_an_answer_given_to_a_drifted_request_goes_back_to_its_owner():
    """One request too many in front must not steal every later answer."""
    replay = Replay(*(http(get(q)) for q in "abc"))
    extra = replay.http(get("x"))
    assert (extra.number, extra.exact) == (0, False)
    back = replay.http(get("a"))
    assert (back.number, back.exact, back.displaced) == (0, True, 0)
    assert [replay.http(get(q)).exact for q in "bc"] == [True, True]


def test_a_lane_prefers_the_answers_of_the_lane_it_followed():
    """Among equal requests each strand gets the answers of its own recorded strand."""
    replay = Replay(
        http(get("a1"), "task-1"),
        http(get("poll"), "task-1"),
        http(get("a2"), "task-2"),
        http(get("poll"), "task-2"),
    )
    assert replay.http(get("a2"), "task-1").number == 2  # lanes are numbered otherwise this time
    assert replay.http(get("a1"), "task-2").number == 0
    assert replay.http(get("poll"), "task-1").number == 3
    assert replay.http(get("poll"), "task-2").number == 1


def test_a_proposed_call_is_answered_by_its_id_whatever_its_arguments():
    """The proposal's id decides; other arguments are found by the comparison."""
    chooser = Chooser([tool("refund", {"amount": 39.99}, "call_1")], conversation)
    choice = choose_tool(chooser, {"name": "refund", "args": {"amount": 139.99}}, "call_1", "")
    assert (choice.number, choice.exact) == (0, True)


def test_an_unproposed_call_never_takes_the_answer_of_a_proposal():
    """A call out of nowhere with the same arguments leaves the proposal's answer where it is."""
    chooser = Chooser([tool("refund", {"amount": 1}, "call_1")], conversation)
    assert choose_tool(chooser, {"name": "refund", "args": {"amount": 1}}, None, "") is None
    assert choose_tool(chooser, {"name": "refund", "args": {"amount": 1}}, "call_1", "").number == 0


def test_a_call_of_a_proposal_never_takes_the_answer_of_an_unproposed_one():
    """The other way round as well, though the recorded call happens to have the very id that is asked for."""
    golden = tool("refund", {"amount": 1})
    chooser = Chooser([golden], conversation)
    assert choose_tool(chooser, golden.asked, golden.asked["id"], "") is None
    assert choose_tool(chooser, golden.asked, None, "").number == 0


def test_a_proposal_is_answered_once():
    """An agent that runs one proposed call twice gets no second answer."""
    golden = tool("refund", {"amount": 1}, "call_1")
    chooser = Chooser([golden], conversation)
    assert choose_tool(chooser, golden.asked, "call_1", "").exact
    assert choose_tool(chooser, golden.asked, "call_1", "") is None


def test_a_call_matches_by_name_and_exact_arguments():
    """A sparrow.call takes its own recorded answer, once, and no tool's of the same name."""
    asked = {"name": "geo", "args": ["berlin"]}
    chooser = Chooser(
        [tool("geo", ["berlin"]), Exchange(kind="call", asked=asked, answered=None)], conversation
    )
    assert choose_call(chooser, {**asked, "args": ["paris"]}) is None
    assert choose_call(chooser, asked).number == 1
    assert choose_call(chooser, asked) is None


def test_what_the_user_ignores_does_not_decide():
    """A tool's ignored argument may differ."""

    def comparable_of(asked):
        return {**asked, "args": {"n": asked["args"]["n"]}}

    chooser = Chooser([tool("f", {"n": 1, "at": "noon"})], conversation, comparable_of)
    assert choose_tool(chooser, {"name": "f", "args": {"n": 2, "at": "noon"}}, None, "") is None
    assert choose_tool(chooser, {"name": "f", "args": {"n": 1, "at": "night"}}, None, "").number == 0


def test_unproposed_calls_match_by_exact_arguments():
    """Without a proposal the arguments are all there is to go by."""
    chooser = Chooser([tool("add", {"n": n}) for n in range(3)], conversation)
    assert [choose_tool(chooser, {"name": "add", "args": {"n": n}}, None, "").number for n in (2, 0, 1)] == [
        2,
        0,
        1,
    ]
    assert choose_tool(chooser, {"name": "add", "args": {"n": 9}}, None, "") is None


def test_picking_is_not_quadratic():
    """20,000 answers under one key are handed out one by one without walking over those already taken."""
    size = 20_000
    chooser = Chooser([tool("add", {"n": 0}, lane=f"thread-{n % 64}") for n in range(size)], conversation)
    taken = {
        choose_tool(chooser, {"name": "add", "args": {"n": 0}}, None, f"thread-{n % 7}").number
        for n in range(size)
    }
    assert len(taken) == size


def test_one_call_id_in_two_conversations_gives_each_its_own_answer():
    """Some hosts count call ids from 0 in every conversation: arguments and lane tell whose call it is."""
    golden = [
        tool("look", {"who": who}, "call_0", lane) for who, lane in (("A", "task-1"), ("B", "task-2"))
    ] + [tool("look", {}, "call_1", lane) for lane in ("task-1", "task-2")]
    replay = Replay(*golden).chooser
    assert choose_tool(replay, golden[1].asked, "call_0", "task-1").number == 1
    assert choose_tool(replay, golden[0].asked, "call_0", "task-2").number == 0
    assert choose_tool(replay, golden[2].asked, "call_1", "task-1").number == 3
    assert choose_tool(replay, {"name": "look", "args": {"who": "C"}}, "call_1", "task-2").number == 2


def test_the_newest_own_answer_tells_which_lane_is_which():
    """Agents side by side begin with the same request, in any order: what they ask later distinguishes them."""
    lanes = ("task-1", "task-2")
    golden = [http(get(query), lane) for lane in lanes for query in ("config", lane, "status", "status")]
    replay = Replay(*golden)
    assert replay.http(get("config"), "task-1").number == 0  # it is the recorded task-2, only earlier
    asked = ("task-2", "status", "status")
    assert [replay.http(get(query), "task-1").number for query in asked] == [5, 6, 7]


def test_equal_conversations_side_by_side_go_on_in_their_own_lanes():
    """Under an edited system prompt, agents with one task each get the turn that follows their own first one."""
    other = {"role": "system", "content": "be rude"}
    lanes = ("work-1", "work-2")

    def answer(lane):
        return {"role": "assistant", "content": f"I am {lane}"}

    golden = [http(chat(user("hi")), lane) for lane in lanes]
    golden += [http(chat(user("hi"), answer(lane), user("go on")), lane) for lane in lanes]
    replay = Replay(*golden)
    for lane in reversed(lanes):
        first = replay.http(chat(user("hi"), system=other), lane)
        assert (first.number, first.exact) == (lanes.index(lane), False)
    for lane in lanes:
        second = replay.http(chat(user("hi"), answer(lane), user("go on"), system=other), lane)
        assert second.number == 2 + lanes.index(lane)


def test_what_was_said_since_tells_equal_conversations_apart_where_lanes_do_not():
    """Turns that are each handed to another thread: the answer they hold says which conversation goes on."""

    def answer(name):
        return {"role": "assistant", "content": f"I am {name}"}

    golden = [http(chat(user("hi")), "work-1"), http(chat(user("hi"), answer("a"), user("go on")), "work-2")]
    golden += [http(chat(user("hi"), answer("b"), user("go on")), "work-3")]
    replay = Replay(*golden)
    assert replay.http(chat(user("hello")), "work-1").number == 0
    assert replay.http(chat(user("hello"), answer("b"), user("go on")), "work-2").number == 2
    assert replay.http(chat(user("hello"), answer("a"), user("go on")), "work-3").number == 1


def test_what_was_said_since_tells_which_conversation_goes_on_in_another_lane():
    """Of two conversations that began alike the later goes on in the first one's lane: its answer decides."""

    def more(name):
        return {"role": "assistant", "content": f"I am {name}"}, user("go on")

    golden = [http(chat(user("hi")), lane) for lane in ("work-1", "work-2")]
    golden += [http(chat(user("hi"), *more(lane)), lane) for lane in ("work-1", "work-2")]
    replay = Replay(*golden)
    for number, lane in enumerate(("work-1", "work-2")):
        assert replay.http(chat(user("hello")), lane).number == number
    assert replay.http(chat(user("hello"), *more("work-2")), "work-1").number == 3


def test_edited_conversations_in_lanes_of_chance_find_the_most_similar():
    """Tasks are numbered by who comes first: whose conversation an edited one is, its words tell."""
    cities = ("berlin", "paris", "rome")
    golden = [http(chat(user(f"what is {city} like")), f"task-{n}") for n, city in enumerate(cities, 1)]
    replay = Replay(*golden)
    numbers = [
        replay.http(chat(user(f"tell me of {c}")), f"task-{n}").number for n, c in ((1, "rome"), (2, "paris"))
    ]
    assert numbers == [2, 1]


def test_the_most_similar_is_given_once():
    """Two edited conversations of the same words: the second gets what is left."""
    golden = [http(chat(user(f"what is {c} like")), f"task-{n}") for n, c in enumerate(("a", "b", "rome"), 1)]
    replay = Replay(*golden)
    assert [replay.http(chat(user("tell me of rome")), f"task-{n}").number for n in (1, 2)] == [2, 1]


def test_of_as_many_shared_words_those_of_the_shorter_weigh_more():
    """A long request holds many words, so it shares some with any; one without words is like none, and no crash."""
    long, short = ({"body": {"text": text}} for text in ("tell me of rome and all else", "me of rome"))
    asked = {"body": {"text": "of rome"}}
    assert Similarity().most_similar(asked, [(0, long), (1, short)]) == 1
    assert Similarity().most_similar({"body": {}}, [(0, {"body": {}}), (1, short)]) == 0


def test_of_equally_like_conversations_the_lanes_own_is_taken():
    """Where words don't tell, the number of a task, though chance, is the best that is known."""
    golden = [http(chat(user("what is berlin like")), f"task-{n}") for n in (1, 2)]
    replay = Replay(*golden)
    assert replay.http(chat(user("tell me of berlin")), "task-2").number == 1
    assert replay.http(chat(user("tell me of berlin")), "task-1").number == 0


def test_a_lane_of_chance_that_follows_one_keeps_to_it():
    """What a task was answered before says more than its words: its next conversation is that lane's."""
    golden = [
        http(asked, lane)
        for lane, city in (("task-1", "berlin"), ("task-2", "paris"))
        for asked in (get(city), chat(user(f"what is {city} like")))
    ]
    replay = Replay(*golden)
    assert replay.http(get("paris"), "task-1").number == 2
    assert replay.http(chat(user("tell me of berlin")), "task-1").number == 3


def test_edited_conversations_in_lanes_of_one_order_keep_it():
    """Work is numbered by its handing, whatever it says; so are turns of one lane by their order."""
    golden = [http(chat(user(text)), lane) for lane in ("work-1", "work-2") for text in ("a b", "c d")]
    replay = Replay(*golden)
    assert replay.http(chat(user("c d e")), "work-2").number == 2
    assert replay.http(chat(user("x")), "work-1").number == 0
    assert replay.http(chat(user("a b x")), "work-1").number == 1
    golden = [http(chat(user(text), user(text)), lane) for lane, text in (("work-1", "a"), ("work-2", "b"))]
    assert Replay(*golden).http(chat(user("x"), user("b")), "work-1").number == 0


def test_a_lane_that_begins_takes_the_answer_of_one_that_began():
    """Tasks are numbered as they come, and a task that only a recording had shifts them: the name tells nothing."""
    golden = [http(get("x"), "task-2"), http(get("x"), "task-1"), *(http(get(q), "task-4") for q in "xy")]
    replay = Replay(*golden)
    assert replay.http(get("x"), "task-1").number == 0
    assert replay.http(get("x"), "task-3").number == 1
    assert replay.http(get("z"), "task-4").number == 2


def test_a_lane_that_begins_takes_no_answer_from_the_middle_of_another():
    """The older of two equal answers is another agent's second one; a lane that begins asks for its first."""
    golden = [http(get("x"), "task-1"), http(get("y"), "task-1"), http(get("y"), "task-2")]
    assert Replay(*golden).http(get("y"), "task-3").number == 2


def test_a_lane_follows_what_answered_its_drifted_request():
    """Edited requests bind a lane as exact ones do: the next one is answered by the same recorded lane."""
    golden = [http(get(query), lane) for lane in ("task-1", "task-2") for query in ("a", "b")]
    replay = Replay(*golden)
    assert [replay.http(get("edited"), "task-9").number for _ in range(2)] == [0, 1]
    assert replay.http(get("edited"), "task-9") is None


@pytest.mark.parametrize(
    ("golden", "lane"),
    [
        ([http({**get("a"), "method": "DELETE"}, "task-1"), http(get("b"), "task-1")], "task-1"),
        ([http({**get("a"), "method": "DELETE"}), http(get("b"), "work-1")], "work-2"),
    ],
    ids=["its namesake", "a beginning"],
)
def test_a_lane_that_finds_nothing_where_it_looks_first_looks_on(golden, lane):
    """The recorded lane of its name and the lanes that begin: what one of them doesn't have, the other may."""
    choice = Replay(*golden).http(get("edited"), lane)
    assert (choice.number, choice.exact) == (1, False)


def test_work_that_was_handed_out_is_known_by_its_number():
    """Threads begin in any order, and are numbered by the handing."""
    golden = [http(get("x"), lane) for lane in ("work-1", "work-2", "task-1.1", "task-1.2")]
    replay = Replay(*golden)
    lanes = ("work-2", "task-1.2", "task-1.1", "work-1")
    assert [replay.http(get("x"), lane).number for lane in lanes] == [1, 3, 2, 0]


def test_conversations_of_the_same_words_go_on_in_their_lanes():
    """Agents side by side that say the same, with a prompt that has drifted: each is answered by its own lane."""
    lanes = ("work-1", "work-2")
    more = {
        lane: ({"role": "assistant", "content": "hm"}, {"role": "tool", "content": lane}) for lane in lanes
    }
    golden = [http(chat(user("hi")), lane) for lane in lanes]
    golden += [http(chat(user("hi"), *more[lane]), lane) for lane in lanes]
    replay = Replay(*golden)
    for number, lane in ((1, "work-2"), (0, "work-1")):
        assert replay.http(chat(user(f"hi at {lane}")), lane).number == number
    for number, lane in ((2, "work-1"), (3, "work-2")):
        assert replay.http(chat(user(f"hi at {lane}"), *more[lane]), lane).number == number


def rpc(method, number=1, **params):
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return {"method": "POST", "url": "http://localhost/mcp", "headers": {}, "body": {"json": message}}


def ask(chooser, request, asked):
    return choose_http(chooser, request, asked, None, "")


def test_what_a_server_offers_may_be_asked_more_or_less_often_than_recorded():
    """Clients look it up by themselves; a call, and another look-up, must come as often as it did."""
    chooser = Chooser([http(rpc("tools/list")), http(rpc("tools/call", name="a"))], lambda _: None)
    assert [ask(chooser, number, rpc("tools/list", number)).number for number in range(3)] == [0, 0, 0]
    assert ask(chooser, 3, rpc("prompts/list")) is None
    assert ask(chooser, 4, rpc("tools/call", name="a")).number == 1
    assert ask(chooser, 5, rpc("tools/call", name="a")) is None
    chooser = Chooser([http(rpc("tools/list")), http(rpc("tools/list"))], lambda _: None)
    assert chooser.unplayed() == [0, 1]
    assert ask(chooser, 0, rpc("tools/list")).number == 0
    assert chooser.unplayed() == []


def test_a_look_up_that_comes_again_is_no_drift_and_says_so():
    """The first takes the answer; what comes again is the same request, and must not be counted as played twice."""
    chooser = Chooser([http(rpc("tools/list"))], lambda _: None)
    choices = [ask(chooser, number, rpc("tools/list")) for number in range(2)]
    assert [(choice.exact, choice.again) for choice in choices] == [(True, False), (True, True)]


def test_an_answer_that_is_only_shown_stays():
    """Not taken: exact, drifted, a look-up, a miss, a proposed call; all is as if nobody had asked."""
    golden = [http(get("a")), http(rpc("tools/list")), tool("f", {}, "call_1"), tool("g", {})]
    chooser = Chooser(golden, lambda _: None)

    def show(asked):
        choice = choose_http(chooser, 9, asked, None, "", taken=False)
        return None if choice is None else (choice.number, choice.exact)

    for _ in range(2):
        assert show(get("a")) == (0, True)
        assert show(get("edited")) == (0, False)
        assert show(rpc("tools/list")) == (1, True)
        assert show(rpc("prompts/list")) is None
        assert choose_tool(chooser, {"name": "f", "args": {}}, "call_1", "", taken=False).number == 2
        assert choose_tool(chooser, {"name": "g", "args": {}}, None, "", taken=False).number == 3
        assert chooser.unplayed() == [0, 1, 2, 3]
    assert ask(chooser, 0, rpc("tools/list")).number == 1
    assert show(rpc("tools/list")) == (1, True)
    assert chooser.unplayed() == [0, 2, 3]


def test_a_shown_answer_stays_with_the_request_that_has_it():
    """A fault that only looks moves no answer; the next exact request does, and names who had it."""
    replay = Replay(http(get("a")))
    assert replay.http(get("x")).exact is False
    assert choose_http(replay.chooser, 7, get("a"), None, "", taken=False).exact
    assert replay.chooser.unplayed() == []
    assert replay.http(get("a")).displaced == 0


def test_what_continues_a_shown_answer_continues_nothing():
    """A request that failed on purpose was never answered: the same words again are answered by the same exchange."""
    replay = Replay(http(chat(user("hi"))), http(chat(user("hi"), user("more"))))
    edited = chat(user("hello"))
    assert choose_http(replay.chooser, 9, edited, conversation(edited), "", taken=False).number == 0
    assert replay.http(chat(user("hello"), user("more"))).number == 0


def test_a_drifted_call_of_a_servers_tool_takes_no_answer_of_another_kind():
    """All goes to one path: another argument is drift of the same tool's call; another tool is a miss."""
    chooser = Chooser(
        [http(rpc("tools/list")), http(rpc("tools/call", name="a", arguments={"x": 1}))], lambda _: None
    )
    assert ask(chooser, 0, rpc("tools/call", name="b", arguments={"x": 1})) is None
    choice = ask(chooser, 1, rpc("tools/call", name="a", arguments={"x": 2}))
    assert (choice.number, choice.exact) == (1, False)


def test_each_lane_stands_for_one_of_the_golden():
    """Agents side by side that begin alike, in the other order: each task stands for one lane, by its newest match."""
    golden = [
        tool("look", {}, lane="task-1"),
        tool("look", {}, lane="task-2"),
        tool("step", {"n": 1}, lane="task-1"),
        tool("step", {"n": 2}, lane="task-2"),
        tool("end", {}, lane=""),
    ]
    chooser = Chooser(golden, conversation)
    choose_tool(chooser, {"name": "look", "args": {}}, None, "task-1")
    choose_tool(chooser, {"name": "look", "args": {}}, None, "task-2")
    assert chooser.lanes == {"task-1": "task-1", "task-2": "task-2"}
    choose_tool(chooser, {"name": "step", "args": {"n": 2}}, None, "task-1")
    assert chooser.lanes == {"task-1": "task-2", "task-2": "task-1"}
    choose_tool(chooser, {"name": "end", "args": {}}, None, "task-1")
    assert chooser.lanes == {"task-1": "task-2", "task-2": "task-1"}


# The exchange that is due, which is taken without a search.


def _headed(asked):
    return {**asked, "headers": {"accept": "text/plain"}}


def _golden_and_calls(draw):
    """Exchanges of three lanes, many of them alike, and calls of them: nearly in order, some changed or left out."""
    golden = []
    for number in range(12):
        lane = draw.choice(["", "work-1", "task-1"])
        if draw.random() < 0.5:
            golden.append(replace(http(_headed(get(draw.choice("ab")))), lane=lane, began=float(number)))
        else:
            golden.append(tool("f", {"n": draw.choice([1, 2])}, draw.choice([None, "c1"]), lane))
    calls = [(each.kind, each.asked, each.lane, each.proposed) for each in golden if draw.random() < 0.9]
    for _ in range(3):
        one, other = draw.randrange(len(calls)), draw.randrange(len(calls))
        calls[one], calls[other] = calls[other], calls[one]
    if draw.random() < 0.5:
        calls.insert(draw.randrange(len(calls)), ("http", _headed(get("new")), "", False))
    return golden, calls


def _chosen(chooser, calls, *, by_due):
    found = []
    for number, (kind, asked, lane, proposed) in enumerate(calls):
        due = chooser.due(lane) if by_due else None
        if due is not None and (due.kind != kind or not is_verbatim(asked, due.asked)):
            due = None
        call_id = asked["id"] if proposed else None
        found.append(
            chooser.choose(
                Asked(kind=kind, content=asked, number=number, lane=lane, call_id=call_id, due=due),
                taken=number % 5 != 4,
            )
        )
    return found, chooser.unplayed(), dict(chooser.lanes)


def test_what_is_due_is_what_a_search_would_find():
    """Whatever is asked, and in whichever lane: the same choices, the same rest, the same lanes."""
    for seed in range(300):
        golden, calls = _golden_and_calls(random.Random(seed))
        with_due, without = (
            _chosen(Chooser(golden, conversation), calls, by_due=by_due) for by_due in (True, False)
        )
        assert with_due == without, seed


def test_a_search_begins_where_what_was_due_has_been_taken():
    """A golden is indexed at the first request that is not the one that is due, and knows what was taken before."""
    golden = [http(_headed(get(q))) for q in "abc"]
    chooser = Chooser(golden, conversation)
    assert chooser.due("") is golden[0]
    assert chooser.choose(Asked(kind="http", content=golden[0].asked, due=golden[0])).number == 0
    assert chooser.choose(Asked(kind="http", content=golden[2].asked, number=1)).number == 2
    assert chooser.due("") is golden[1]
    assert chooser.choose(Asked(kind="http", content=golden[0].asked, number=2)).exact is False


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ({"n": 1, "on": True, "t": "x"}, True),
        ({"n": 1.0, "on": True, "t": "x"}, False),
        ({"n": 1, "on": 1, "t": "x"}, False),
        ({"n": 1, "on": True, "t": "y"}, False),
        ({"n": 1, "on": True, "t": "<secret:token:1>"}, False),
    ],
    ids=["same", "a float", "a number", "another text", "a placeholder"],
)
def test_only_what_is_spelled_the_same_is_verbatim(new, same):
    """Python takes True for 1 and 1 for 1.0; and what mentions a secret must be looked at."""
    recorded = {"n": 1, "on": True, "t": new["t"] if "<" in new["t"] else "x"}
    assert is_verbatim({"name": "f", "args": new}, {"name": "f", "args": recorded, "id": "c1"}) is same


def test_what_is_due_has_the_same_headers():
    """A header that counts is part of what is asked; one that does not count is none."""
    golden = [http({**get("a"), "headers": {"accept": "text/plain", "user-agent": "one"}})]
    for headers, same in (({"accept": "text/html"}, False), ({"accept": "text/plain"}, True)):
        chooser = Chooser(golden, conversation)
        chosen = chooser.choose(
            Asked(kind="http", content={**golden[0].asked, "headers": headers}, due=golden[0])
        )
        assert (chosen is not None and chosen.exact) is same
