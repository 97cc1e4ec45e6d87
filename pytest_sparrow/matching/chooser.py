"""Chooses which recorded exchange answers what the agent asks now.

The same request comes first, then (HTTP only) the exchange that the conversation leads to. A request that was
recorded always gets its own answer: where an earlier, different request got that answer as the nearest one, the
answer is used again, and the earlier request turns out to have been one too many. The cost of a choice is constant,
however many exchanges there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.exchange import (
    LOOSE_LANES,
    SETUP_LANES,
    TASK_LANES,
    TOOL_LANES,
    UNKNOWN_LANE,
    WORK_LANES,
    Exchange,
    Json,
)
from pytest_sparrow.matching.conversations import Conversations, prefixes
from pytest_sparrow.matching.counts import (
    headers_of,
    key_of,
    knows_headers,
    request_content,
    request_key,
    request_shape,
)
from pytest_sparrow.matching.order import is_chance
from pytest_sparrow.matching.queues import BEGINNING, AnswerQueues, Either
from pytest_sparrow.matching.secrets import NOTHING_MENTIONED, Mentioned, SecretPairs
from pytest_sparrow.matching.similarity import Similarity

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Asked

ConversationOf = Callable[[dict[str, Json]], Sequence[Json] | None]
"""Reads the conversation out of an ``http`` asked half; None for a request that no model answers."""

_Shape = tuple[str, str, str]

_NUMBERED_BY_CHANCE = (TASK_LANES, LOOSE_LANES)
"""Labels of lanes (docs/format.md, section 8) whose numbers depend on who crosses a boundary first."""

_MOST_SECRETS = 64
"""The most exchanges that differ in which secret they mention, and are looked through for the one that is asked for."""

_MOST_ROOTS = 64
"""The most conversations that begin side by side of which the words are compared: more would cost too much."""

ComparableOf: TypeAlias = "Callable[[dict[str, Json]], dict[str, Json]]"
"""Reduces an asked half to what counts: the rest must not decide here either."""


# Not frozen: that would take twice as long to make, and there is one for each call.
@dataclass(slots=True, kw_only=True)
class Chosen:
    """The exchange that answers.

    Attributes:
        number: the exchange's number in the golden, from 0.
        exact: whether the request is the recorded one; False is request drift.
        displaced: an earlier request (the caller's own number) that got this answer as the nearest one, and is now
            one too many; None almost always.
        again: whether the answer is used once more: a look-up.
    """

    number: int
    exact: bool
    displaced: int | None = None
    again: bool = False


class Chooser:
    """Chooses among the exchanges of a golden, each at most once. Not thread safe: the run's lock guards it.

    Attributes:
        secrets: which secret of the run is which of the golden's.
        by_rules: whether requests are indexed by what counts by the rules, since one was looked for by that.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        conversation_of: ConversationOf,
        comparable_of: ComparableOf | None = None,
        secrets: SecretPairs | None = None,
    ) -> None:
        self._exchanges = exchanges
        self._comparable_of = comparable_of
        self._conversation_of = conversation_of
        self._played: set[int] = set()
        self._look_ups: dict[tuple[str, bool], int] = {}
        self._look_up_of: dict[int, tuple[str, bool]] = {}
        self._borrowed: dict[
            int, int
        ] = {}  # golden number → the request that has its answer without being the same
        self._exact = AnswerQueues(self._played)
        self._near = AnswerQueues(Either(self._played, self._borrowed))
        self._by_call = AnswerQueues(self._played)
        self._golden_of: dict[int, int] = {}  # request of this run → the golden exchange that answered it
        self._seen = Conversations()
        self._lanes: dict[str, str] = {}
        self._stands_for: dict[str, str] = {}
        self._stood_for_by: dict[str, str] = {}
        self._similarity = Similarity()
        self.secrets = secrets or SecretPairs(replayed=True)
        self._mentioned: dict[int, Mentioned] = {}
        self.by_rules = False
        # Whether an exchange does not say which headers there were.
        self._some_headers = not all(knows_headers(each.asked) for each in exchanges if each.kind == "http")
        self._exact_is_ready = False
        self._near_is_ready = False
        self._left: dict[str, deque[int]] = {}  # what nobody asked for, by its lane
        self._same_headers: tuple[Json, Json] | None = None
        self._unread: list[Asked] = []  # requests whose conversation `_seen` does not know yet
        for number, exchange in enumerate(exchanges):
            self._left.setdefault(exchange.lane, deque()).append(number)
        if not self._some_headers:
            self.secrets.exchanges = exchanges

    def _index_exact(self) -> None:
        """Index by what is asked: at the first request that is not the one that is due."""
        if self._exact_is_ready:
            return
        self._exact_is_ready = True
        begun = {_MAIN}
        for number, exchange in enumerate(self._exchanges):
            begins = exchange.lane not in begun
            begun.add(exchange.lane)
            key, mentioned = self._exact_key(exchange.kind, exchange.asked, proposed=exchange.proposed)
            if mentioned:
                self._mentioned[number] = mentioned
            self._exact.add(key, exchange.lane, number, begins=begins)
            if exchange.kind == "tool" and exchange.proposed:
                for by_call in _call_keys(self._counted("tool", exchange.asked), exchange.asked.get("id")):
                    self._by_call.add(by_call, exchange.lane, number, begins=begins)
            if exchange.kind == "http" and is_chance(exchange):
                self._look_ups[key] = number
                self._look_up_of[number] = key

    def _index_near(self) -> None:
        """Index by shape and conversation: at the first request that is not the recorded one, and so nearly never."""
        if self._near_is_ready:
            return
        self._near_is_ready = True
        recorded = Conversations()
        begun = {_MAIN}
        for number, exchange in enumerate(self._exchanges):
            begins = exchange.lane not in begun
            begun.add(exchange.lane)
            if exchange.kind == "http" and not exchange.optional:
                shape = request_shape(exchange.asked)
                conversation = self._conversation_of(exchange.asked)
                if conversation is None:
                    self._near.add(shape, exchange.lane, number, begins=begins)
                    continue
                chain = prefixes(conversation)
                found, length = recorded.predecessors(chain, exchange.lane)
                before = found[0] if found else None
                for near in _near_keys(shape, before, conversation, chain, length):
                    self._near.add(near, exchange.lane, number, begins=begins)
                recorded.add(chain, number, exchange.lane)

    def _exact_key(
        self, kind: str, asked: dict[str, Json], *, proposed: bool, headers: bool = True
    ) -> tuple[tuple[str, bool], Mentioned]:
        content = request_content(kind, self._counted(kind, asked), headers=headers)
        # An unproposed call must never take an answer that a pending proposal needs: two separate keys.
        return (key_of(content), kind == "tool" and proposed), Mentioned.of(content, asked)

    def _counted(self, kind: str, asked: dict[str, Json]) -> dict[str, Json]:
        return asked if kind == "http" or self._comparable_of is None else self._comparable_of(asked)

    def choose(self, asked: Asked, *, taken: bool = True) -> Chosen | None:
        """Choose the exchange that answers what is asked; None is a miss, and every exchange stays available.

        A tool's call is matched by the id of its proposal, then by exact arguments. Some hosts count ids from 0 in
        every conversation: arguments and lane distinguish calls of one id. A ``sparrow.call`` is matched by its name
        and exact arguments.

        Args:
            asked: what is asked.
            taken: False only looks: the exchange stays available, and no later request continues this one.
        """
        choice = self._take_due(asked)
        if choice is None:
            self._index_exact()
            choice = self._choose_http(asked) if asked.kind == "http" else self._choose_exact(asked)
        if not taken:
            self._give_back(choice)
        elif asked.kind == "http":
            if choice is not None:
                self._golden_of[asked.number] = choice.number
            self._unread.append(asked)
        return choice

    def _read_conversations(self) -> None:
        """Know the conversations of the requests so far: only a request that was not recorded is looked for by them."""
        for asked in self._unread:
            if conversation := asked.conversation:
                self._seen.add(prefixes(conversation), asked.number, asked.lane)
        self._unread.clear()

    def due(self, lane: str) -> Exchange | None:
        """The oldest exchange of the lane that nobody asked for: it would be chosen for a request that is the same.

        None where other lanes may have a part in the choice.
        """
        left = self._left.get(lane)
        while left and left[0] in self._played:
            left.popleft()
        if not left or left[0] in self._borrowed or self._some_headers:
            return None
        followed = self._lanes.get(lane)
        is_its_own = lane == _MAIN or _is_handed(lane) if followed is None else followed == lane
        return self._exchanges[left[0]] if is_its_own else None

    def _take_due(self, asked: Asked) -> Chosen | None:
        """Choose the exchange that is due, where its request is the same: no key need be made."""
        due, lane = asked.due, asked.lane
        if due is None or due is not self.due(lane) or due.proposed is not (asked.call_id is not None):
            return None
        if due.proposed and due.asked.get("id") != asked.call_id:
            return None
        if asked.kind == "http" and not self._are_same_headers(due.asked, asked.content):
            return None
        number = self._left[lane][0]
        self._played.add(number)
        self._bind(lane, number)
        return Chosen(number=number, exact=True)

    def _are_same_headers(self, recorded: dict[str, Json], new: dict[str, Json]) -> bool:
        """Whether the headers of two requests with the same body count as the same, and mention the same secrets."""
        # A client sends the same headers with each request.
        if (recorded["headers"], new["headers"]) == self._same_headers:
            return True
        counted = headers_of(new)
        if counted != headers_of(recorded):
            return False
        golden, other = (Mentioned.of(canonical(counted), half) for half in (recorded, new))
        if not golden.may_be(other, self.secrets):
            return False
        golden.declare(other, self.secrets)
        self._same_headers = recorded["headers"], new["headers"]
        return True

    def _choose_http(self, asked: Asked) -> Chosen | None:
        lane = asked.lane
        key, mentioned = self._exact_key("http", asked.content, proposed=False)
        choice = self._take_exact(key, mentioned, lane)
        if choice is None and self._some_headers:
            key, mentioned = self._exact_key("http", asked.content, proposed=False, headers=False)
            choice = self._take_exact(key, mentioned, lane)
        if choice is not None:
            return choice
        if key in self._look_ups:  # more often than recorded: the last recorded answer
            return Chosen(number=self._look_ups[key], exact=True, again=True)
        if asked.optional:
            return None
        conversation = asked.conversation
        if conversation is None and self._comparable_of is not None:
            choice = self._take_exact(*self._key_by_rules(asked.content), lane)
            if choice is not None:
                return choice
        self._index_near()
        shape = request_shape(asked.content)
        if conversation is None:
            number = self._in_lane(shape, lane, queues=self._near)
        else:
            self._read_conversations()
            number = self._next_in_conversation(shape, asked, prefixes(conversation))
        if number is None:
            return None
        self._borrowed[number] = asked.number
        self._bind(lane, number)
        return Chosen(number=number, exact=False)

    def _key_by_rules(self, asked: dict[str, Json]) -> tuple[tuple[str, bool], Mentioned]:
        """The key of what counts of a plain request by the user's rules; the golden's are indexed at the first one."""
        if not self.by_rules:
            self.by_rules = True
            begun = {_MAIN}
            for number, exchange in enumerate(self._exchanges):
                begins = exchange.lane not in begun
                begun.add(exchange.lane)
                if exchange.kind == "http" and self._conversation_of(exchange.asked) is None:
                    key, _ = self._key_by_rules(exchange.asked)
                    self._exact.add(key, exchange.lane, number, begins=begins)
        assert self._comparable_of is not None
        counted = self._comparable_of(asked)
        if self._some_headers and counted is not asked:
            counted.pop("headers", None)
        content = b"by rules " + canonical(counted)
        return (key_of(content), False), Mentioned.of(content, asked)

    def _next_in_conversation(self, shape: _Shape, asked: Asked, chain: list[bytes]) -> int | None:
        lane, conversation = asked.lane, asked.conversation or ()
        found, length = self._seen.predecessors(chain, lane)
        befores = [self._golden_of.get(request) for request in found]
        if befores and befores[0] is None:
            return None  # the request before had no answer: nothing recorded can follow it
        keys = [
            _near_keys(shape, before, conversation, chain, length)
            for before in (befores or [None])
            if before is not None or not befores
        ]
        # The surest first: all the same words, then the same words since the request before, then any words.
        for key in (key for equally_sure in zip(*keys, strict=True) for key in equally_sure):
            number = self._nearest_root(key, asked.content, lane) if not befores else None
            number = self._first(key, lane, queues=self._near) if number is None else number
            if number is not None:
                return number
        return None

    def _nearest_root(self, key: Hashable, asked: dict[str, Json], lane: str) -> int | None:
        """The conversation that begins with the most similar words, for a new lane whose number is chance.

        None where the lane's name, or the lane that it has followed so far, says more.
        """
        by_chance = lane.startswith(_NUMBERED_BY_CHANCE) or (
            lane != _MAIN and self._exchanges[0].lane == UNKNOWN_LANE
        )
        if lane in self._lanes or not by_chance:
            return None
        found = self._near.some(key, _MOST_ROOTS)
        if len(found) < 2:
            return None
        own = self._near.first(key, lane)
        found.sort(key=lambda number: number != own)  # the first of equals
        return self._similarity.most_similar(
            asked, ((number, self._exchanges[number].asked) for number in found)
        )

    def _give_back(self, choice: Chosen | None) -> None:
        # Before any other choice: a queue forgets the numbers that it finds taken.
        if choice is None or choice.again:
            return
        self._played.discard(choice.number)
        if choice.displaced is None:
            self._borrowed.pop(choice.number, None)
        else:
            self._borrowed[choice.number] = choice.displaced

    def _choose_exact(self, asked: Asked) -> Chosen | None:
        """Choose for a tool's call or a ``sparrow.call``."""
        counted = self._counted(asked.kind, asked.content)
        for key in () if asked.call_id is None else _call_keys(counted, asked.call_id):
            number = self._first(key, asked.lane, queues=self._by_call)
            if number is not None:
                self._played.add(number)
                self._bind(asked.lane, number)
                return Chosen(number=number, exact=True)
        key, mentioned = self._exact_key(asked.kind, asked.content, proposed=asked.call_id is not None)
        return self._take_exact(key, mentioned, asked.lane)

    def _take_exact(self, key: tuple[str, bool], mentioned: Mentioned, lane: str) -> Chosen | None:
        number = self._first(key, lane, queues=self._exact)
        if number is not None:
            number = self._with_secrets(number, key, mentioned)
        if number is None:
            return None
        self._played.add(number)
        self._bind(lane, number)
        return Chosen(number=number, exact=True, displaced=self._borrowed.pop(number, None))

    def _with_secrets(self, number: int, key: tuple[str, bool], mentioned: Mentioned) -> int | None:
        """The exchange, or another one of its key, that mentions the secrets which the request mentions."""
        if not mentioned and number not in self._mentioned:
            return number
        for each in (number, *self._exact.some(key, _MOST_SECRETS)):
            recorded = self._mentioned.get(each, NOTHING_MENTIONED)
            if recorded.may_be(mentioned, self.secrets):
                recorded.declare(mentioned, self.secrets)
                return each
        return None

    def _first(self, key: Hashable, lane: str, *, queues: AnswerQueues) -> int | None:
        """Among equal exchanges: the oldest in the recorded lane that this lane follows, else the oldest of all."""
        number = self._in_lane(key, lane, queues=queues)
        return number if number is not None else queues.first(key)

    def _in_lane(self, key: Hashable, lane: str, *, queues: AnswerQueues) -> int | None:
        """As `_first`, in the lane only.

        A lane that follows none yet is at its beginning. A lane's name helps where work was handed to a thread, since
        the handing numbers such lanes; tasks are numbered as they come, and so are the beginnings of lanes.
        """
        followed = self._lanes.get(lane)
        if followed is not None:
            return queues.first(key, followed)
        places = [lane] if lane == _MAIN else [lane, BEGINNING] if _is_handed(lane) else [BEGINNING, lane]
        found = (queues.first(key, place) for place in (*places, UNKNOWN_LANE))
        return next((number for number in found if number is not None), None)

    def _bind(self, lane: str, number: int) -> None:
        # The newest match counts: the first requests of agents side by side are often the same.
        there = self._lanes[lane] = self._exchanges[number].lane
        before = self._stands_for.get(lane)
        if before == there or _MAIN in (lane, there) or there == UNKNOWN_LANE:
            return
        # One lane stands for each of the golden's: the lane that loses its place gets the winner's former one.
        other = self._stood_for_by.get(there)
        self._stands_for[lane], self._stood_for_by[there] = there, lane
        if before is not None and other is not None:
            self._stands_for[other], self._stood_for_by[before] = before, other
        elif other is not None:
            del self._stands_for[other]
        elif before is not None:
            del self._stood_for_by[before]

    @property
    def lanes(self) -> Mapping[str, str]:
        """The golden's lane that each lane of this run stands for, by the newest match; see `_bind`."""
        return self._stands_for

    def unplayed(self) -> list[int]:
        """The exchanges that nobody asked for, in order; of equal look-ups one is enough, of optional ones none."""
        if len(self._played) == len(self._exchanges):
            return []
        self._index_exact()
        looked_up = {key for number, key in self._look_up_of.items() if number in self._played}
        return [
            number
            for number in range(len(self._exchanges))
            if number not in self._played
            and number not in self._borrowed
            and self._look_up_of.get(number) not in looked_up
            and not self._exchanges[number].optional
        ]


_MAIN = ""


def _is_handed(lane: str) -> bool:
    return lane.startswith((WORK_LANES, SETUP_LANES, TOOL_LANES)) or "." in lane


def _near_keys(
    shape: _Shape, before: int | None, conversation: Sequence[Json], chain: list[bytes], length: int
) -> tuple[tuple[object, ...], ...]:
    """The keys of a model's request after the golden's exchange ``before`` (None: at a conversation's beginning).

    The first key holds all words of the conversation. The second holds the words after the first ``length`` messages,
    which came with that exchange: an edited prompt leaves the later messages as they are. The third holds the place
    alone.
    """
    whole = chain[-1] if chain else b""
    since = prefixes(conversation[length:])[-1] if 0 < length < len(chain) else whole
    return (shape, before, "whole", whole), (shape, before, "since", since), (shape, before)


def _call_keys(asked: dict[str, Json], call_id: Json) -> tuple[tuple[Json, ...], ...]:
    """The keys of a proposed call: its id with its arguments, then its id alone."""
    name = asked["name"]
    return (name, call_id, request_key("tool", asked)), (name, call_id)
