"""Makes the golden of a run that differs from its golden: what is equal stays to the byte, all else is the run's.

A golden is read in pull requests: its diff should be the change. So what the run did as before keeps the golden's
lines, with their ids and moments, and what is new gets the golden's names for the ids that it repeats.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.comparing import Rules, comparable_by, request_changes
from pytest_sparrow.comparing.pairing import paired_events
from pytest_sparrow.events import dump_event, parse_event
from pytest_sparrow.events.jsontext import canonical, decode, encode
from pytest_sparrow.judging.renaming import Names, new_words
from pytest_sparrow.judging.timeline import Standing, in_slots, lanes_in_golden, placed
from pytest_sparrow.matching.counts import (
    JUDGED_AS_REQUESTS,
    address_of,
    body_of,
    credentials_of,
    headers_of,
    request_key,
)
from pytest_sparrow.matching.secrets import SecretPairs, placeholders
from pytest_sparrow.redact.names import credential_kind
from pytest_sparrow.transcript import FORMAT

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

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
        moments: of each exchange that the run made, by its moment there, the moment that it has now; None where
            moments or lanes are the run's own.
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
    revision = Revision(golden, [*run, *unasked], events, rules, names)
    moments = placed(revision.run) or in_slots(revision.run)
    revised = revision.made(moments)
    if revised.transcript is not golden and golden.meta.format != FORMAT:
        # A line of an older format may lack what the newest one says in every line.
        return revision.made(moments, afresh=True)
    return revised


class Revision:
    """One golden on its way to the next; see `replayed` and `pytest_sparrow.judging.rerecorded`."""

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
        self._comparable = comparable_by(rules, typed=golden.notes_types)

    def made(self, timed: list[Exchange] | None, *, afresh: bool = False) -> Revised:
        """The golden.

        Args:
            timed: the exchanges with the golden's moments; None where these do not fit.
            afresh: whether to write the run's events and asked halves although they are equal.
        """
        golden, run = self._golden, self.run
        lanes = lanes_in_golden(run) if golden.knows_strands else defaultdict[str, str](str)
        keeps = timed is not None and lanes is not None
        if timed is None or lanes is None:
            timed, lanes = [each.exchange for each in run], {}
        events = [_in_lane(event, lanes) for event in self._events]
        pairs = list(paired_events(golden.events, events, self._rules, typed=golden.notes_types))
        self._learn(pairs)
        asked = [self._asked(each, afresh=afresh) for each in run]
        answered = self._answered(asked)
        exchanges = [
            _settled(replace(one, asked=ask, answered=answer, lane=lanes.get(one.lane, one.lane)), each)
            for each, one, ask, answer in zip(run, timed, asked, answered, strict=True)
        ]
        if self._asks_task(asked):
            rules = replace(self._rules, exclude_paths=(*self._rules.exclude_paths, *JUDGED_AS_REQUESTS))
            pairs = list(paired_events(golden.events, events, rules, typed=golden.notes_types))
        kept = golden.with_events(self._kept(events, [] if afresh else pairs))
        if golden.holds_exchanges:
            kept = kept.with_exchanges(self._in_order(exchanges))
        moments = {each.exchange.began: one.began for each, one in zip(run, exchanges, strict=True)}
        keeps = keeps and all(label == known for label, known in lanes.items())
        return Revised(transcript=kept, moments=moments if keeps else None)

    def _learn(self, pairs: Iterable[EventPair]) -> None:
        """Learn which secret of the run and which call is which of the golden's."""
        for each in self.run:
            if each.golden is not None:
                self._names.learn_secrets(each.golden.asked, each.exchange.asked)
                # A key too short for its variable to be known has its header's kind; its dummy has the variable's.
                theirs = credentials_of(each.exchange.asked)
                for name, value in credentials_of(each.golden.asked).items():
                    self._names.learn_secrets(value, theirs.get(name), unknown=credential_kind(name[0]))
        for pair in pairs:
            for both in pair.ids:
                self._names.pair(*both)
        self._names.set_apart(
            _secrets(self._golden.exchanges, self._golden.events),
            _secrets([each.exchange for each in self.run], self._events),
        )

    def _asked(self, each: Standing, *, afresh: bool) -> dict[str, Json]:
        """The golden's asked half where the new one is equal, else the new one."""
        new: dict[str, Json] = self._names.in_golden(each.exchange.asked)
        golden = each.golden
        if golden is None or afresh:
            return new
        same = _same_request(golden, new) or self._same_by_rules(golden, new)
        return golden.asked if same else _with_same_parts(golden, new)

    def _same_by_rules(self, golden: Exchange, new: dict[str, Json]) -> bool:
        if golden.kind == "http":
            # It has the golden's names: one secret is not another.
            secrets = SecretPairs(replayed=True)
            return not request_changes(golden.asked, new, self._rules, secrets=secrets)
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
            canonical(ask)
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
            if golden is not None and canonical(answered) == canonical(golden.answered):
                answered = golden.answered
            elif golden is not None and number in self._same_answers:
                words = {each for each in new_words(golden.answered, answered) if len(each) >= _SHORTEST}
                if not any(word.encode() in text for word in words for text in new):
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
    # By identity: to Python, true is 1.
    same = new.asked is golden.asked and new.answered is golden.answered
    return golden if same and new == golden else new


def _same_request(golden: Exchange, new: dict[str, Json]) -> bool:
    """Whether an asked half asks the same, by the same secrets and as the same call."""
    if request_key(golden.kind, golden.asked) != request_key(golden.kind, new):
        return False
    ours, theirs = (placeholders(canonical(one)) for one in (golden.asked, new))
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
        yield from placeholders(canonical([exchange.asked, exchange.answered]))
    for event in events:
        yield from placeholders(dump_event(event))
