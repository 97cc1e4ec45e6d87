"""Request drift: what differs between the *asked* halves of two exchanges of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.compare.canonical import LEFT_OUT, Canonical
from pytest_sparrow.compare.jsondiff import Sameness, json_changes
from pytest_sparrow.compare.rules import Rules

if TYPE_CHECKING:
    from pytest_sparrow.compare.result import Change
    from pytest_sparrow.exchange import Json

__all__ = ["request_changes"]

_ROOT = "request"


def request_changes(
    golden: dict[str, Json], new: dict[str, Json], rules: Rules | None = None
) -> list[Change]:
    """The changes between two asked halves (see `Exchange`), as ``request.messages[system].content``.

    A JSON body stands at the root, next to ``request.url`` and ``request.method`` where those differ; any
    other body, a tool's and a call's arguments keep their keys. Headers and call ids are not compared.

    Args:
        golden: the recorded asked half.
        new: what the agent asked now.
        rules: of which the paths, ``significant_digits`` and ``ignore_order`` act here.
    """
    rules = rules or Rules()
    canonical = Canonical(rules)
    sides = []
    for asked in (golden, new):
        flat = canonical.value(_flat(asked), (_ROOT,))
        sides.append({} if flat is LEFT_OUT else flat)
    return json_changes(*sides, root=_ROOT, same=Sameness(digits=rules.significant_digits))


def _flat(asked: dict[str, Json]) -> Json:
    rest = {key: value for key, value in asked.items() if key not in ("headers", "id", "body")}
    body = asked.get("body")
    if not isinstance(body, dict) or not isinstance(body.get("json"), dict):
        return rest if body is None else {**rest, "body": body}
    # The body's own keys win: a provider's "url" or "method" is rarer than a reader of the report.
    return {**rest, **body["json"]}
