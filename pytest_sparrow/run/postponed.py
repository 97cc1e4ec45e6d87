"""Makes the events of a replay when somebody asks for them, and knows a replay that is its golden by construction.

To read an answer of 500 events costs ten times what it costs to serve. Where each request was the recorded one, in the
recorded order, and each answer was given as recorded, the run's events are the golden's: nobody need make them.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import decode
from pytest_sparrow.providers.codec import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.run.crossing import Crossing

_MESSAGE, _FINISHED = b'{"type":"Message"', b'{"type":"RunFinished"'
_PLAIN = frozenset(
    {
        *(b'{"type":"%s"' % name for name in (b"RunStarted", b"RouteSelected", b"ThinkingDelta")),
        *(b'{"type":"%s"' % name for name in (b"ReasoningDelta", b"TokenUsage")),
        _MESSAGE,
        _FINISHED,
    }
)
"""The events of a run in which models answer with words, and no tool was proposed: of tools a run has more to say."""


class Postponed:
    """The events of a run, some of which are yet to be made. Not thread safe: the run's lock guards it.

    Attributes:
        made: the events that were made so far.
        works: whether anything is postponed at all; else each step is done at once.
    """

    def __init__(self) -> None:
        self.made: list[Event] = []
        self.works = False
        self._steps: deque[Callable[[], None]] = deque()

    def do(self, step: Callable[[], None]) -> None:
        """Make some events later, or now, behind all others."""
        if self.works:
            self._steps.append(step)
        else:
            self.all()
            step()

    def all(self) -> list[Event]:
        """The events, all of them made."""
        while self._steps:
            self._steps.popleft()()
        return self.made


class InStep:
    """Follows a replay for as long as it does, one after the other, what its golden did. The run's lock guards it.

    Args:
        golden: the golden's exchanges, in the order in which they began.
        lines: the lines of its events, if they are what a recording wrote; else none.
        agent: the agent's name, which stands in the first event.
    """

    def __init__(self, golden: Sequence[Exchange], lines: Sequence[bytes], agent: str) -> None:
        self._golden = golden
        self._lines = lines
        self._agent = agent
        self._asked = self._answered = 0
        self._holds = bool(lines) and len(golden) > 0

    def left(self) -> None:
        """The run did something else."""
        self._holds = False

    def asked(self, crossing: Crossing, *, alone: bool) -> None:
        """A crossing has begun, and has its answer; ``alone``: no other one is under way."""
        number, self._asked = self._asked, self._asked + 1
        self._holds = (
            self._holds
            and alone
            and number < len(self._golden)
            and crossing.recorded is self._golden[number]
            and crossing.lane.label == crossing.recorded.lane
            and not crossing.optional
            and (crossing.reads_model is not None or _asks_model(crossing))
        )

    def answered(self, *, as_recorded: bool) -> None:
        """A crossing is over; ``as_recorded``: the agent has got the recorded answer, whole and untouched."""
        self._answered += 1
        self._holds = self._holds and as_recorded

    @property
    def is_whole(self) -> bool:
        """Whether the run was the golden's to its end: the events that were not made are the golden's."""
        if not (self._holds and self._asked == self._answered == len(self._golden)):
            return False
        if any(later.began < (one.ended or 0.0) for one, later in pairwise(self._golden)):
            return False
        # What stands before the second field: all of it is spelled by us.
        types = Counter([line[: line.find(b",")] for line in self._lines])
        first, last = self._lines[0], self._lines[-1]
        # A model that proposed nothing, and said something in each answer: nothing else would be remarked.
        return (
            types.keys() <= _PLAIN
            and types[_MESSAGE] == len(self._golden)
            and _begins(first, self._agent)
            and last.startswith(_FINISHED)
            and b'"status":"completed"' in last
        )


def _asks_model(crossing: Crossing) -> bool:
    return crossing.model is not None and isinstance(crossing.model.request, ModelRequest)


def _begins(line: bytes, agent: str) -> bool:
    event = decode(line)
    return isinstance(event, dict) and event.get("type") == "RunStarted" and event.get("agent") == agent
