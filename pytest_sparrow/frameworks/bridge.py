"""Leads the tools of frameworks across the boundary: the same crossing as that of a tool which the user wraps."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patching import AttributePatch, Patch
from pytest_sparrow.boundaries.tools.described import Describing
from pytest_sparrow.boundaries.tools.function import ByFramework, WrappedFunction
from pytest_sparrow.boundaries.tools.invocation import begin
from pytest_sparrow.boundaries.tools.receiver import (
    GIVEN,
    NOTHING,
    called_on,
    given_with,
    receiver_of,
    roots_of,
)
from pytest_sparrow.boundaries.tools.target import trampoline_of
from pytest_sparrow.boundaries.tools.wrappers import wrapper_of
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.run.answering import calls_itself
from pytest_sparrow.run.context import current_run, left_over
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.values.changes import is_changeable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from pytest_sparrow.boundaries.patching import PatchesFor
    from pytest_sparrow.boundaries.tools.invocation import Call
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Framework, Seam, ToolSeen
    from pytest_sparrow.run.crossing import OpenRun


def across(adapter: Framework, seen: ToolSeen, real: Callable[[], Any]) -> Any:
    """Call a framework's tool, or replay its recorded answer.

    Args:
        adapter: the framework's adapter.
        seen: the call.
        real: the call itself. A coroutine function gives a coroutine, a generator function a generator.

    Returns:
        What ``real`` gives, or gave when it was recorded.
    """
    run = _run_of(adapter, seen)
    if run is None:
        return real()
    if seen.kind != "tool":
        run.handled(seen.name, seen.call_id)
        return real()
    return wrapper_of(real, lambda *_: _begin(run, adapter, seen))()


def _run_of(adapter: Framework, seen: ToolSeen) -> OpenRun | None:
    """The run that records or replays the call; None: it belongs to none, or the user has wrapped the tool."""
    run = current_run(in_tools=True)
    if run is None:
        late = left_over()
        if late is not None and adapter.name in late.frameworks and (error := late.asked_late(seen.name)):
            raise error
        return None
    if adapter.name not in run.frameworks or calls_itself(seen.name) or run.is_wrapped(seen.name, seen.fn):
        return None
    return run


def _begin(run: OpenRun, adapter: Framework, seen: ToolSeen) -> Call | None:
    by = ByFramework(adapter=adapter.name, steers=seen.steers, write=seen.write, read=seen.read)
    raises = tuple(kind for kind in seen.steers if issubclass(kind, Exception))
    function = WrappedFunction(seen.fn or _unknown, seen.name, raises=raises, by=by)
    return begin(run, "tool", lambda: _asked(run, seen), function, lambda: _roots(seen))


def _unknown():  # type: ignore[no-untyped-def]  # noqa: ANN202 - an annotation would be the tool's
    """In place of a function that the framework does not show: nothing is known of its answers."""


def _asked(run: OpenRun, seen: ToolSeen) -> dict[str, Json]:
    args: dict[str, Json] = {}
    types: dict[str, str] = {}
    for name, value in seen.args.items():
        try:
            args[name] = Describing(seen.name, f"{seen.name}({name})", "").noted(value, name, types)
        except NotRecordable:
            run.not_compared("argument", seen.name, name)
    asked: dict[str, Json] = {"name": seen.name, "args": args}
    if types:
        asked["types"] = types
    if on := _on(run, seen):
        asked["on"] = on
    return {**asked, "id": seen.call_id} if seen.call_id else asked


def _on(run: OpenRun, seen: ToolSeen) -> dict[str, Json]:
    """The user's object whose method a tool is, what the function closes over, and what the framework gives it."""
    on = {} if seen.fn is None else called_on(run, seen.name, _receiver(seen), seen.fn)
    # What calls side by side find there depends on which of them is first.
    if seen.changes and run.notes_on(seen.name, GIVEN) and run.is_alone(seen.call_id):
        on |= given_with(run, seen.name, seen.changes)
    return {key: value for key, value in on.items() if run.notes_on(seen.name, key)}


def _receiver(seen: ToolSeen) -> Any:
    found = receiver_of(seen.fn, (), method=False) if seen.fn is not None else NOTHING
    return found if is_users_class(type(found)) else NOTHING


def _roots(seen: ToolSeen) -> dict[str, Any]:
    given = {**roots_of(_receiver(seen)), **seen.changes, **seen.args}
    return given if any(map(is_changeable, given.values())) else {}


# Patches.


def modules_of(adapters: Iterable[Framework]) -> dict[str, PatchesFor]:
    """By the name of a module, what gives its patches."""
    found: dict[str, list[tuple[Framework, Seam]]] = {}
    for adapter in adapters:
        for seam in adapter.seams:
            found.setdefault(seam.module, []).append((adapter, seam))
    return {name: functools.partial(_patches, seams) for name, seams in found.items()}


def _patches(seams: list[tuple[Framework, Seam]], module: ModuleType) -> Iterator[Patch]:
    for adapter, seam in seams:
        if seam.is_needed and not seam.misfit():  # else the run goes on at the wire, and says so
            *path, name = seam.name_in(module).split(".")
            owner = functools.reduce(getattr, path, module)
            function = getattr(owner, name)
            if seam.everywhere:
                yield _CallsPatch(adapter, seam, function)
            else:
                yield AttributePatch(owner, name, _replacement(adapter, seam, function))


class _CallsPatch(Patch):
    """The calls of a function, whoever holds the function; see `trampoline_of`."""

    def __init__(self, adapter: Framework, seam: Seam, function: Any) -> None:
        self._trampoline = trampoline_of(function)
        self._take_away: Callable[[], None] | None = None
        super().__init__(function, "calls", _replacement(adapter, seam, self._trampoline.real))

    def _read(self) -> Any:
        return self._trampoline.wrapper()

    def _write(self, value: Any) -> None:
        if self._take_away is not None:
            self._take_away()
        self._take_away = None if value is None else self._trampoline.put(value)


def _replacement(adapter: Framework, seam: Seam, original: Callable[..., Any]) -> Callable[..., Any]:
    """What stands in place of a seam's function, of its kind."""
    if seam.replace is not None:
        lead = seam.replace(original, functools.partial(across, adapter))
    else:
        assert seam.seen is not None
        lead = functools.partial(_lead, adapter, seam.seen, original)
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def lead_later(*args: Any, **kwargs: Any) -> Any:
            return await lead(*args, **kwargs)

        return lead_later

    @functools.wraps(original)  # a partial object would be no method
    def lead_now(*args: Any, **kwargs: Any) -> Any:
        return lead(*args, **kwargs)

    return lead_now


def _lead(
    adapter: Framework,
    seen_of: Callable[..., ToolSeen | None],
    original: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    seen = _read(adapter, seen_of, args, kwargs)
    real = functools.partial(original, *args, **kwargs)
    return real() if seen is None else across(adapter, seen, real)


def _read(
    adapter: Framework, seen_of: Callable[..., ToolSeen | None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> ToolSeen | None:
    """The call; None where no tool is called, no run is open, or the adapter cannot read this version's calls."""
    run = current_run(in_tools=True)
    if run is None and left_over() is None:
        return None
    try:
        return seen_of(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - of an adapter: the framework must not fail for it
        if run is not None:
            run.not_compared("seam", adapter.name, f"{type(error).__name__}: {error}")
        return None
