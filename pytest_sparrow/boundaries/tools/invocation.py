"""Begins a call of a wrapped function: wrappers of every kind (sync, async, generator) begin here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.code import digest_of
from pytest_sparrow.boundaries.tools.live import LiveCall
from pytest_sparrow.boundaries.tools.outside import variables_of
from pytest_sparrow.boundaries.tools.replayed import ReplayedCall
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.run.answering import running_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_sparrow.boundaries.tools.function import WrappedFunction
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

Call = LiveCall | ReplayedCall


def begin(
    run: OpenRun,
    kind: str,
    asked: Callable[[], dict[str, Json]],
    function: WrappedFunction,
    roots: Callable[[], Mapping[str, Any]],
) -> Call | None:
    """Begin a crossing; None where the call can't be written, and the run needs no writing.

    Args:
        run: the open run.
        kind: "tool" or "call".
        asked: gives what is asked, in JSON.
        function: what is called.
        roots: gives the objects that the call may change in place, by name.

    Raises:
        NotRecordable: JSON cannot hold an argument.
        ReplayDivergence: the golden holds no answer.
    """
    try:
        content = asked()
    except NotRecordable as error:
        if not run.keeps or running_tool() is not None:
            return None
        run.unrecordable(error)
        raise

    def every() -> Mapping[str, Any]:
        given = roots()
        on = given.get("self")
        return {**given, **variables_of(function.real, on if isinstance(on, type) else type(on))}

    crossing = run.ask(kind, content)
    crossing.by = "" if function.by is None else function.by.adapter
    half = crossing.replayed
    if kind == "tool":
        answered = half is not None and not crossing.checked
        run.note_code(function.name, functools.partial(digest_of, function.real), answered=answered)
    if half is not None:
        return ReplayedCall(run, crossing, half, function, every)
    return LiveCall(run, crossing, function, every if run.keeps else None)
