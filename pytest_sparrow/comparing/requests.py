"""Compares the *asked* halves of two exchanges of one kind: request drift, and a tool's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.comparing.diff import Budget, json_changes, value_changes
from pytest_sparrow.comparing.identity import Bijection, Ids, Sameness, rounded
from pytest_sparrow.comparing.rules import LEFT_OUT, Canonical, Rules
from pytest_sparrow.matching.counts import address_of, asked_fields, body_of, call_ids, unnumbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.comparing.result import Change
    from pytest_sparrow.exchange import Json

__all__ = ["TOOL_ARGS", "comparable_by", "request_changes", "tool_changes"]

_ROOT = "request"


def request_changes(
    golden: dict[str, Json],
    new: dict[str, Json],
    rules: Rules | None = None,
    budget: Budget | None = None,
) -> list[Change]:
    """The changes between two asked halves (see `Exchange`), as ``request.messages[system].content``.

    A JSON body stands at the root, beside ``request.method``, ``request.url`` and ``request.query``; where the body
    has such a key itself, the request's own is ``request.http.query``. Any other body is ``request.body``; tools and
    calls keep their keys. What counts is what counts in matching (`matching.counts`). Ids of tool calls count only
    where no one-to-one renaming explains them.

    Args:
        golden: the recorded asked half.
        new: what the agent asked now.
        rules: all of them act here but the level, ``ignore_types`` and ``event_rules``.
        budget: how much may be walked, where many requests are compared.

    Raises:
        UsageError: an operator of the user's raised; the text names the operator and its error.
    """
    rules = rules or Rules()
    # An id that both sides hold means the same on both: replayed answers bring their ids with them.
    ids = Ids(call_ids(golden) ^ call_ids(new))
    same = _sameness(ids, rules)
    canonical = Canonical(rules, ids.mask)
    sides: list[Json] = []
    for asked in (golden, new):
        side = canonical.value(_flat(asked), (_ROOT,))
        sides.append({} if side is LEFT_OUT else side)
    return json_changes(*sides, root=_ROOT, same=same, budget=budget)


TOOL_ARGS = "ToolUse*"
"""The root of a tool's arguments where no model proposed the call: the same in its proposal and its start."""


def tool_changes(golden: dict[str, Json], new: dict[str, Json]) -> list[Change]:
    """The changes between the arguments of two asked halves of one tool, as ``ToolUse*[refund].args.amount``."""
    return value_changes(golden["args"], new["args"], (TOOL_ARGS, "[" + new["name"], ".args"), Sameness())


def comparable_by(rules: Rules) -> Callable[[dict[str, Json]], dict[str, Json]] | None:
    """Return a function that reduces a tool's asked half to the arguments that count by the rules, as they count.

    None where the rules change nothing about arguments.
    """
    if not rules.change_arguments:
        return None
    canonical = Canonical(rules)  # once: every recorded call and every call of a replay is reduced

    def comparable_of(asked: dict[str, Json]) -> dict[str, Json]:
        args = asked["args"]
        for event in ("ToolUseProposed", "ToolUseStarted"):
            args = canonical.value(args, (event, "[" + asked["name"], ".args"))
            if args is LEFT_OUT:
                return {**asked, "args": {}}
        args = _as_counted(args, rules)
        return asked if args is asked["args"] else {**asked, "args": args}

    return comparable_of


def _as_counted(value: Json, rules: Rules) -> Json:
    """The value with numbers rounded and texts without case where the rules say so."""
    if rules.digits is None and not rules.ignore_string_case:
        return value
    if isinstance(value, dict):
        return {rules.masked(str)(key): _as_counted(item, rules) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_counted(item, rules) for item in value]
    if isinstance(value, str):
        return rules.masked(str)(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return rounded(value, rules.digits) if is_number else value


def _sameness(ids: Ids, rules: Rules) -> Sameness:
    renamed = Bijection(ids, ignore_case=rules.ignore_string_case)

    def same_text(golden: str, new: str) -> bool:
        return golden == new or renamed.same_text(unnumbered(golden), unnumbered(new))

    return rules.sameness(same_text, mask=lambda text: ids.mask(unnumbered(text)))


def _flat(asked: dict[str, Json]) -> dict[str, Json]:
    """What counts of an asked half, with the fields of a JSON body at the root."""
    flat = asked_fields(asked)
    if "url" not in flat:
        return flat
    address = address_of(flat["url"])
    flat["method"] = flat["method"].upper()
    flat["url"] = f"{address.scheme}://{address.host}{address.path}"
    for name, value in address.query:
        flat.setdefault("query", {}).setdefault(name, []).append(value)
    flat.pop("body", None)
    body = body_of(asked)
    if isinstance(body, dict) and isinstance(body.get("json"), dict):
        # The body's own keys win: one called "url" or "method" is rarer than a reader of the report.
        hidden = {key: flat.pop(key) for key in list(flat) if key in body["json"]}
        return {**flat, **({"http": hidden} if hidden else {}), **body["json"]}
    return flat if body is None else {**flat, "body": body}
