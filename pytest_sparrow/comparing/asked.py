"""Compares two asked halves (requests, a tool's arguments), and says what of one counts by the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.comparing.diff import DiffBudget, json_changes, value_changes
from pytest_sparrow.comparing.identity import Bijection, Ids, Sameness, rounded
from pytest_sparrow.comparing.rules import LEFT_OUT, Canonical, Rules
from pytest_sparrow.comparing.typed import BESIDE_ARGS, counted_types, untyped
from pytest_sparrow.matching.counts import (
    call_ids,
    credentials_of,
    headers_of,
    of_equal_lines,
    request_fields,
)
from pytest_sparrow.matching.secrets import SecretPairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.comparing.result import Change
    from pytest_sparrow.exchange import Json

_ROOT = "request"


def request_changes(
    golden: dict[str, Json],
    new: dict[str, Json],
    rules: Rules | None = None,
    budget: DiffBudget | None = None,
    *,
    of_model: bool = False,
    secrets: SecretPairs | None = None,
) -> list[Change]:
    """The changes between two asked halves (see `Exchange`), as ``request.messages[system].content``.

    `matching.counts` says what counts, and how paths name it (`request_fields`). Headers are compared where both
    sides know theirs. The ids of a model's tool calls count only where no one-to-one renaming explains them.

    Args:
        golden: the recorded asked half.
        new: what the agent asked now.
        rules: all of them act here but the level, ``ignore_types`` and ``event_rules``.
        budget: how much may be walked, where many requests are compared.
        of_model: whether a model is asked: in any other request what is called ``call_id`` is a value.
        secrets: which secret of the new run is which of the golden's; by default any one-to-one renaming.

    Raises:
        UsageError: an operator of the user's raised; the text names the operator and its error.
    """
    rules = rules or Rules()
    # An id that both sides hold means the same on both: replayed answers bring their ids with them.
    ids = Ids(call_ids(golden) ^ call_ids(new) if of_model else ())
    secrets = secrets or SecretPairs()
    renamed = Bijection(ids, secrets, ignore_case=rules.ignore_string_case)
    canonical = Canonical(rules, ids.mask)
    sides: list[Json] = []
    for fields in _comparable(golden, new, secrets):
        side = canonical.value(fields, (_ROOT,))
        sides.append({} if side is LEFT_OUT else side)
    same = rules.sameness(renamed.same_text, renamed.renamed, ids.mask)
    return json_changes(*sides, root=_ROOT, same=same, budget=budget)


def _comparable(
    golden: dict[str, Json], new: dict[str, Json], secrets: SecretPairs
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The fields of two asked halves, with what both sides know of headers and credentials."""
    one, other = request_fields(golden), request_fields(new)
    if "url" not in one or "url" not in other:
        return one, other
    of_equal_lines(one, other)
    if headers_of(golden) is None or headers_of(new) is None:
        one.pop("headers", None)
        other.pop("headers", None)
        return one, other
    ours, theirs = credentials_of(golden), credentials_of(new)
    differing = [name for name in ours if name in theirs]
    differing = [name for name in differing if not secrets.same_credential(ours[name], theirs[name])]
    _add_headers(one, ours, [*differing, *secrets.alone(ours, theirs, in_golden=True)])
    _add_headers(other, theirs, [*differing, *secrets.alone(theirs, ours, in_golden=False)])
    return one, other


def _add_headers(
    fields: dict[str, Json], credentials: dict[tuple[str, ...], str], names: list[tuple[str, ...]]
) -> None:
    """Add some credentials to the fields of a request: a cookie by its name, below the header."""
    headers = dict(fields.get("headers", {}))
    for name, *cookie in names:
        value = credentials[name, *cookie]
        headers[name] = {**headers.get(name, {}), cookie[0]: value} if cookie else value
    if headers:
        fields["headers"] = headers


TOOL_ARGS = "ToolUse*"
"""The root of a tool's arguments where no model proposed the call: the same in its proposal and its start."""


def tool_changes(golden: dict[str, Json], new: dict[str, Json]) -> list[Change]:
    """The changes between the arguments of two asked halves of one tool, as ``ToolUse*[refund].args.amount``.

    Where the arguments are the same as JSON, the types and the object that it is called on: ``….types.amount``.
    """
    root = (TOOL_ARGS, "[" + new["name"])
    changes = value_changes(golden["args"], new["args"], (*root, ".args"), Sameness())
    for key in () if changes else BESIDE_ARGS:
        changes += value_changes(golden.get(key) or {}, new.get(key) or {}, (*root, "." + key), Sameness())
    return changes


def comparable_by(rules: Rules, *, typed: bool = True) -> Callable[[dict[str, Json]], dict[str, Json]] | None:
    """Return a function that reduces an asked half to what counts by the rules, as it counts.

    None where everything counts as it is.

    Args:
        rules: what counts of a tool's arguments, and of a request's fields.
        typed: whether types and what a tool is called on count; an older golden does not know them.
    """
    if typed and not rules.change_arguments:
        return None
    canonical = Canonical(rules)  # once: every recorded call and every call of a replay is reduced

    def comparable_of(asked: dict[str, Json]) -> dict[str, Json]:
        if "url" in asked:
            fields = canonical.value(request_fields(asked), (_ROOT,)) if rules.change_arguments else asked
            return {} if fields is LEFT_OUT else _as_counted(fields, rules)
        asked = asked if typed else untyped(asked)
        if not rules.change_arguments or "kwargs" in asked:
            return asked
        asked = _counted_beside(asked, canonical, rules)
        args = asked["args"]
        for event in ("ToolUseProposed", "ToolUseStarted"):
            args = canonical.value(args, (event, "[" + asked["name"], ".args"))
            if args is LEFT_OUT:
                return {**asked, "args": {}}
        args = _as_counted(args, rules)
        return asked if args is asked["args"] else {**asked, "args": args}

    return comparable_of


def _counted_beside(asked: dict[str, Json], canonical: Canonical, rules: Rules) -> dict[str, Json]:
    """The asked half with what counts beside its arguments."""
    kept = dict(asked)
    for key in BESIDE_ARGS:
        if key in asked:
            value = canonical.value(asked[key], ("ToolUseStarted", "[" + asked["name"], "." + key))
            kept[key] = {} if value is LEFT_OUT else value
    if kept.get("types"):
        args = canonical.value(asked["args"], ("ToolUseStarted", "[" + asked["name"], ".args"))
        kept["types"] = counted_types(kept["types"], args, rules)
    return {key: value for key, value in kept.items() if value or key not in BESIDE_ARGS}


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
