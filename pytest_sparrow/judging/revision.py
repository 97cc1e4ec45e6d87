"""Makes the golden of a run that differs from its golden: what is equal stays to the byte, all else is the run's.

A golden is read in pull requests: its diff should be the change. So what the run did as before keeps the golden's
lines, with their ids and moments, and what is new gets the golden's names for the ids that it repeats.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import Rules, comparable_by, request_changes
from pytest_sparrow.comparing.align import align
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.pairing import paired_events
from pytest_sparrow.comparing.units import entries, ids_of
from pytest_sparrow.events import dump_event, parse_event
from pytest_sparrow.events.jsontext import canonical, decode, digest, encode
from pytest_sparrow.judging.renaming import Names, new_words
from pytest_sparrow.judging.timeline import Standing, in_slots, lanes_in_golden, placed
from pytest_sparrow.matching.counts import (
    JUDGED_AS_REQUESTS,
    address_of,
    body_of,
    credentials_of,
    headers_of,
    request_key,
    request_shape,
)
from pytest_sparrow.matching.recordings import between_recordings, keys_new_in_answers
from pytest_sparrow.matching.secrets import placeholders
from pytest_sparrow.transcript import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence

    from pytest_sparrow.comparing.pairing import EventPair
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.transcript import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """What becomes of a golden.

    Attributes:
        transcript: the golden as it is to be written, with the inputs that it had; the very same object where neither
            events nor exchanges change.
        moments: of each exchange that the run made, by its moment there, the moment that it has now; None where the
            moments are the run's own.
    """

    transcript: Transcript
    moments: dict[float, float] | None


def replayed(golden: Transcript, run: Sequence[Standing], events: Sequence[Event], rules: Rules) -> Revised:
    """The golden of a run that the golden answered, all of it or up to some point.

    The *answered* halves stay, and exchanges that nobody asked for are gone, unless it is chance whether they are.

    Args:
        golden: the golden.
        run: what the run asked, in the order of beginning.
        events: the run's events, redacted.
        rules: what the test's settings leave out: such differences change nothing.
    """
    names = Names()
    names.keep(_secrets(golden.exchanges, golden.events))
    asked = {id(each.golden) for each in run}
    unasked = [Standing(each, each) for each in golden.exchanges if each.optional and id(each) not in asked]
    revision = _Revision(golden, [*run, *unasked], events, rules, names)
    return revision.made(placed(revision.run) or in_slots(revision.run))


def recorded(golden: Transcript, new: Transcript) -> Revised:
    """The golden of a recording: what is equal between recordings stays.

    Args:
        golden: the golden so far.
        new: the recording.
    """
    names = Names()
    run, same_answers = _standing(golden, new)
    for number, each in enumerate(run):
        if each.golden is None:
            continue
        if number in same_answers:
            names.learn(each.golden.answered, each.exchange.answered)
        else:
            keys = keys_new_in_answers(each.golden)
            names.learn_ids(each.golden.answered, each.exchange.answered, keys)
    revision = _Revision(golden, run, new.events, Rules(), names, same_answers)
    with_moments = revision.made(placed(run))
    if with_moments.moments is not None and _tells_time(golden, run, with_moments.transcript):
        return revision.made(None)
    return with_moments


class _Revision:
    """One golden on its way to the next."""

    def __init__(
        self,
        golden: Transcript,
        run: Sequence[Standing],
        events: Sequence[Event],
        rules: Rules,
        names: Names,
        same_answers: Container[int] = (),
    ) -> None:
        self.run = run
        self._same_answers = same_answers
        self._golden = golden
        self._events = events
        self._rules = rules
        self._names = names
        self._comparable = comparable_by(rules)
        # A line of an older format may lack what the newest one says in every line.
        self._older = golden.meta.format != FORMAT

    def made(self, timed: list[Exchange] | None) -> Revised:
        """The golden.

        Args:
            timed: the exchanges with the golden's moments; None where these do not fit.
        """
        golden, run = self._golden, self.run
        lanes = lanes_in_golden(run) if golden.knows_strands else defaultdict[str, str](str)
        keeps = timed is not None and lanes is not None
        if timed is None or lanes is None:
            timed, lanes = [each.exchange for each in run], {}
        events = [_in_lane(event, lanes) for event in self._events]
        pairs = list(paired_events(golden.events, events, self._rules))
        self._learn(pairs)
        asked = [self._asked(each) for each in run]
        answered = self._answered(asked)
        exchanges = [
            _settled(replace(one, asked=ask, answered=answer, lane=lanes.get(one.lane, one.lane)), each)
            for each, one, ask, answer in zip(run, timed, asked, answered, strict=True)
        ]
        if self._asks_task(asked):
            rules = replace(self._rules, exclude_paths=(*self._rules.exclude_paths, *JUDGED_AS_REQUESTS))
            pairs = list(paired_events(golden.events, events, rules))
        kept = golden.with_events(self._kept(events, pairs))
        if golden.holds_exchanges:
            kept = kept.with_exchanges(self._in_order(exchanges))
        moments = {each.exchange.began: one.began for each, one in zip(run, exchanges, strict=True)}
        return Revised(transcript=kept, moments=moments if keeps else None)

    def _learn(self, pairs: Iterable[EventPair]) -> None:
        """Learn which secret of the run and which call is which of the golden's."""
        for each in self.run:
            if each.golden is not None:
                self._names.learn_secrets(each.golden.asked, each.exchange.asked)
        for pair in pairs:
            for both in pair.ids:
                self._names.pair(*both)
        self._names.set_apart(
            _secrets(self._golden.exchanges, self._golden.events),
            _secrets([each.exchange for each in self.run], self._events),
        )

    def _asked(self, each: Standing) -> dict[str, Json]:
        """The golden's asked half where the new one is equal, else the new one."""
        new: dict[str, Json] = self._names.in_golden(each.exchange.asked)
        golden = each.golden
        if golden is None or self._older:
            return new
        same = _same_request(golden, new) or self._same_by_rules(golden, new)
        return golden.asked if same else _with_same_parts(golden, new)

    def _same_by_rules(self, golden: Exchange, new: dict[str, Json]) -> bool:
        if golden.kind == "http":
            return not request_changes(golden.asked, new, self._rules)
        if self._comparable is None or golden.asked["name"] != new["name"]:
            return False
        return canonical(self._comparable(golden.asked)) == canonical(self._comparable(new))

    def _asks_task(self, asked: Sequence[dict[str, Json]]) -> bool:
        """Whether the golden's task is text of a request still: of strands, chance decides whose comes first."""
        task = next(
            (getattr(each, "task", None) for each in self._golden.events if each.type == "RunStarted"), None
        )
        spelled = canonical(task)
        return any(spelled in canonical(one) for one in asked)

    def _answered(self, asked: Sequence[dict[str, Json]]) -> list[dict[str, Json] | None]:
        """The golden's answered half where it is equal, else the new one.

        What differs by chance in an equal answer must be in no request that is new: the agent would be given the
        golden's, and send something else than the request says.
        """
        new = [
            canonical(ask).decode("utf-8", "replace")
            for each, ask in zip(self.run, asked, strict=True)
            if each.golden is None or ask is not each.golden.asked
        ]
        found: list[dict[str, Json] | None] = []
        for number, each in enumerate(self.run):
            golden, one = each.golden, each.exchange
            if golden is not None and one.answered is golden.answered:
                found.append(golden.answered)
                continue
            answered = self._names.in_golden(one.answered)
            if golden is not None and answered == golden.answered:
                answered = golden.answered
            elif golden is not None and number in self._same_answers:
                words = {word for word in new_words(golden.answered, answered) if len(word) >= _SHORTEST}
                if not any(word in text for word in words for text in new):
                    answered = golden.answered
            found.append(answered)
        return found

    def _kept(self, events: Sequence[Event], pairs: Iterable[EventPair]) -> list[Event]:
        """The run's events, the golden's in place of those that are equal; what runs side by side in its order."""
        golden = self._golden.events
        partner = {pair.new: pair for pair in pairs}
        found: list[tuple[int, int, Event]] = []
        behind: dict[str, int] = {}
        latest = -1
        for number, event in enumerate(events):
            lane, pair = getattr(event, "lane", ""), partner.get(number)
            if pair is None:
                found.append((behind.get(lane, latest), number + 1, self._named(event)))
                continue
            behind[lane] = pair.golden
            latest = max(latest, pair.golden)
            same = pair.equal and all(self._names.in_golden(new) == one for one, new in pair.ids)
            found.append((pair.golden, 0, golden[pair.golden] if same else self._named(event)))
        return [event for _, _, event in sorted(found, key=lambda each: each[:2])]

    def _in_order(self, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """The exchanges as they are written: in the order of their ends, or in the golden's if all are the golden's."""
        line = {id(one): number for number, one in enumerate(self._golden.exchanges)}
        placed: list[tuple[float, Exchange]] = []
        for each, one in zip(self.run, exchanges, strict=True):
            if each.golden is None or each.golden.ended != one.ended:
                return sorted(exchanges, key=lambda one: one.began if one.ended is None else one.ended)
            placed.append((line[id(each.golden)], one))
        return [one for _, one in sorted(placed, key=lambda pair: pair[0])]

    def _named(self, event: Event) -> Event:
        value = decode(dump_event(event))
        named = self._names.in_golden(value)
        return event if named is value else parse_event(encode(named))


_SHORTEST = 6
"""Letters of a word that is looked for in requests: a shorter one stands there by chance."""


def _in_lane(event: Event, lanes: dict[str, str]) -> Event:
    label = getattr(event, "lane", "")
    known = lanes[label] if label in lanes or isinstance(lanes, defaultdict) else label
    if known == label:
        return event
    fields = decode(dump_event(event))
    del fields["lane"]
    return parse_event(encode({**fields, "lane": known} if known else fields))


def _settled(new: Exchange, each: Standing) -> Exchange:
    """The very exchange of the golden where nothing of it changes: its line stays."""
    golden = each.golden
    if golden is None:
        return new
    new = replace(new, extra=golden.extra)
    return golden if new == golden else new


def _same_request(golden: Exchange, new: dict[str, Json]) -> bool:
    """Whether an asked half asks the same, by the same secrets and as the same call."""
    if request_key(golden.kind, golden.asked) != request_key(golden.kind, new):
        return False
    ours, theirs = (placeholders(canonical(one).decode("utf-8", "replace")) for one in (golden.asked, new))
    return ours == theirs and golden.asked.get("id") == new.get("id")


def _with_same_parts(golden: Exchange, new: dict[str, Json]) -> dict[str, Json]:
    """A request with those parts of the golden's that count as equal: a port of loopback, headers of a new SDK."""
    if golden.kind != "http":
        return new
    old = golden.asked
    ours, theirs = credentials_of(old), credentials_of(new)
    same = {
        "url": address_of(old["url"]) == address_of(new["url"]),
        "headers": headers_of(old) == headers_of(new) and (not (ours and theirs) or ours == theirs),
        "body": canonical(body_of(old)) == canonical(body_of(new)),
    }
    return {key: old[key] if key in old and same.get(key) else value for key, value in new.items()}


def _secrets(exchanges: Iterable[Exchange], events: Iterable[Event]) -> Iterator[str]:
    """The placeholders in a run."""
    for exchange in exchanges:
        text = canonical([exchange.asked, exchange.answered])
        if b"<secret:" in text:
            yield from placeholders(text.decode("utf-8", "replace"))
    for event in events:
        line = dump_event(event)
        if b"<secret:" in line:
            yield from placeholders(line.decode("utf-8", "replace"))


def _standing(golden: Transcript, new: Transcript) -> tuple[list[Standing], set[int]]:
    """The exchanges of a recording with those of the golden, and the numbers of those with an equal answer."""
    ids = Ids(ids_of(entry for one in (golden, new) for entry in entries(enumerate(one.events, 1))))
    ours, theirs = golden.by_beginning(), new.by_beginning()
    if not golden.knows_strands:  # the copies have no lines of their own
        ours = sorted(golden.exchanges, key=lambda exchange: exchange.began)
    keys = [[_Keys.of(exchange, ids) for exchange in side] for side in (ours, theirs)]
    standing = [Standing(exchange, None) for exchange in theirs]
    same_answers: set[int] = set()
    for lane in dict.fromkeys(exchange.lane for exchange in ours):
        here, there = (
            [number for number, exchange in enumerate(side) if exchange.lane == lane]
            for side in (ours, theirs)
        )
        for i, j in align(
            [([level(keys[0][at]) for at in here], [level(keys[1][at]) for at in there]) for level in _LEVELS]
        ):
            if i is not None and j is not None:
                one, other = here[i], there[j]
                standing[other] = Standing(theirs[other], ours[one])
                if (keys[0][one].answered, keys[0][one].shape) == (
                    keys[1][other].answered,
                    keys[1][other].shape,
                ):
                    same_answers.add(other)
    return standing, same_answers


@dataclass(frozen=True, slots=True)
class _Keys:
    """What of an exchange counts between recordings."""

    shape: str
    asked: str
    answered: str

    @classmethod
    def of(cls, exchange: Exchange, ids: Ids) -> _Keys:
        asked, answered = between_recordings(exchange, ids.mask)
        where = request_shape(exchange.asked) if exchange.kind == "http" else exchange.asked["name"]
        return cls(
            digest([exchange.kind, where, exchange.optional]),
            request_key(exchange.kind, asked),
            digest([exchange.complete, answered]),
        )


_LEVELS: tuple[Callable[[_Keys], Hashable], ...] = (
    lambda keys: keys,
    lambda keys: (keys.shape, keys.asked),
    lambda keys: (keys.shape, keys.answered),
    lambda keys: keys.shape,
)
"""From the most exact on: both halves, the asked one, the answered one, where it is asked."""

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d|\d\d:\d\d|\b1\d{9}(?:\d{3})?\b|\d+\.\d+"
    r"|\b\d+ ?(?:ms|s|secs?|seconds?|min(?:ute)?s?|h|hours?|days?)\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b(?:morning|afternoon|evening)\b"
    rf"|\b{_MONTHS}\.? \d|\b\d\d?\.? {_MONTHS}\b",
    re.IGNORECASE,
)
"""What an agent may have made of the time of day, or of a duration."""


def _tells_time(golden: Transcript, run: Sequence[Standing], revised: Transcript) -> bool:
    """Whether a request that is new may say the time of its recording, which a replay must then show.

    A time that a request of the golden or an answer holds as well was not read of a clock.
    """
    old = {id(one.asked) for one in golden.exchanges}
    texts = [_spelled(one.asked) for one in revised.exchanges if id(one.asked) not in old]
    said = {time for text in texts for time in _TIMES.findall(text)}
    if not said:
        return False
    known = [_spelled(one.asked) for one in golden.exchanges]
    known += [_spelled(each.exchange.answered) for each in run]
    return any(not any(time in text for text in known) for time in said)


def _spelled(value: Json) -> str:
    return canonical(value).decode("utf-8", "replace")
