"""Says which patterns of the user's rules find something in a run or its golden; one that finds nothing is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.comparing.result import render
from pytest_sparrow.comparing.rules import LEFT_OUT, Canonical, Rules
from pytest_sparrow.comparing.units import entries
from pytest_sparrow.findings import Kind
from pytest_sparrow.matching.counts import request_fields
from pytest_sparrow.run.replayer import ExchangeReplayer

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from pytest_sparrow.comparing.result import Path
    from pytest_sparrow.comparing.rules import _LeftOut, _State
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.transcript import Transcript


def header_path(name: str) -> str:
    """The path of a request's header."""
    return render(("request", ".headers", f".{name.lower()}"))


_RULES: dict[str, Callable[[str], Rules]] = {
    "ignore": lambda path: Rules(exclude_paths=(path,)),
    "exclude_paths": lambda path: Rules(exclude_paths=(path,)),
    "ignore_headers": lambda name: Rules(exclude_paths=(header_path(name),)),
    "exclude_regex_paths": lambda pattern: Rules(exclude_regex_paths=(pattern,)),
}
"""The settings that leave something out by a pattern, and the rules of one pattern."""


def searched(
    golden: Transcript, run: Run, known: Container[tuple[str, str]]
) -> Iterator[tuple[str, str, bool]]:
    """Each pattern of a run's settings: the setting, the pattern, and whether it finds something.

    Args:
        golden: what the run was compared with.
        run: the run, closed.
        known: settings and patterns that need no further search.
    """
    for setting, rules_of in _RULES.items():
        for pattern in getattr(run.settings, setting):
            if (setting, pattern) not in known:
                yield setting, pattern, _finds(rules_of(pattern), golden, run)


def _finds(rules: Rules, golden: Transcript, run: Run) -> bool:
    if _of_requests(rules) and not _shows_requests(golden, run):
        return True
    finder = _Finder(rules)
    for root, value in _compared(golden, run):
        finder.value(value, root)
        if finder.found:
            return True
    return False


def _of_requests(rules: Rules) -> bool:
    """Whether the pattern may speak of requests."""
    return not rules.exclude_paths or rules.exclude_paths[0].startswith("request")


def _shows_requests(golden: Transcript, run: Run) -> bool:
    """Whether all that counts of requests is at hand; of a plain request that was chosen by rules it is not."""
    replayer = run.answers.replayer
    return golden.holds_exchanges and isinstance(replayer, ExchangeReplayer) and not replayer.by_rules


def _compared(golden: Transcript, run: Run) -> Iterator[tuple[Path, Json]]:
    for side in (golden.events, run.events):
        for entry in entries(enumerate(side, 1)):
            root = entry.type or "Event"
            yield ((root, "[" + entry.label) if entry.label else (root,)), entry.body
    for exchange in golden.exchanges:
        if exchange.kind == "http":
            yield ("request",), request_fields(exchange.asked)
    for drift in run.violations.of(Kind.DRIFT):
        assert isinstance(drift.new, dict)
        yield ("request",), request_fields(drift.new)


class _Finder(Canonical):
    """Applies rules and says whether they left something out."""

    found = False

    def _apply(self, value: Json, path: Path, state: _State) -> Json | _LeftOut:
        applied = super()._apply(value, path, state)
        self.found = self.found or applied is LEFT_OUT
        return applied
