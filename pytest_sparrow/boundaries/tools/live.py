"""A call whose function runs: what the function gives, item by item, is written and settles the crossing."""

from __future__ import annotations

import contextlib
import itertools
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from pytest_sparrow.boundaries.tools.effects import LiveEffects, looking
from pytest_sparrow.boundaries.tools.imports import found_in, modules_named
from pytest_sparrow.errors import NotRecordable, SparrowError
from pytest_sparrow.run.answering import answering
from pytest_sparrow.values.exceptions import Raised, error_to_json
from pytest_sparrow.values.noted import Notes, noted, of_items
from pytest_sparrow.values.restore import is_plain, to_json
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_sparrow.boundaries.tools.function import WrappedFunction
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun
    from pytest_sparrow.values.changes import Path


class LiveCall:
    """A crossing whose function runs.

    Enter it (``with call:``) around the function's own code, then say what came: `returned`, or `began_stream`, `item`,
    `ended`. What is raised within settles the crossing.
    """

    __slots__ = (
        "_answering",
        "_awaited",
        "_crossing",
        "_effects",
        "_function",
        "_inside",
        "_into",
        "_item_types",
        "_items",
        "_modules",
        "_run",
        "_types",
    )

    def __init__(
        self,
        run: OpenRun,
        crossing: Crossing,
        function: WrappedFunction,
        roots: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Prepare; ``roots`` gives the objects whose changes are recorded, None: changes are not."""
        self._run = run
        self._crossing = crossing
        self._function = function
        self._items: list[Json] | None = None
        self._item_types: list[Notes] = []
        self._types: dict[str, Json] = {}
        self._into: dict[str, dict[str, Json]] = {"sent": {}, "thrown": {}}
        self._awaited = False
        self._modules = 0  # how many were loaded before the function ran
        self._answering: answering | None = None
        self._effects = None if roots is None else LiveEffects.begin(run, crossing, function.name, roots)

    def steps(self) -> contextlib.AbstractContextManager[None]:
        """Enter it around each step of a coroutine: where it waits, others run."""
        return contextlib.nullcontext() if self._effects is None else self._effects

    def __enter__(self) -> None:
        if self._effects is not None:
            self._effects.resumed()
        self._modules = self._modules or len(sys.modules)
        self._answering = answering(self._crossing)
        self._answering.__enter__()
        self._inside = self._crossing.inside()
        self._inside.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        assert self._answering is not None
        self._inside.__exit__(None, None, None)
        self._answering.__exit__()
        if error is None or (
            self._items is not None and isinstance(error, StopIteration | StopAsyncIteration)
        ):
            return  # a generator's end is no error, and goes to `ended`
        self.raised(error)

    def is_awaited(self) -> None:
        """Note that a plain function gave something to await: a replay must know."""
        self._awaited = True

    def returned(self, value: Any) -> None:
        """Settle with what the function returned.

        Raises:
            NotRecordable: the value would not come back as it is.
        """
        self._settle(self._returned(value, self._function.returned))

    def began_stream(self) -> None:
        """Note that a generator starts."""
        self._items = []
        self._crossing.flush = self.broke_off

    def item(self, value: Any) -> None:
        """Note an item that the generator yielded.

        Raises:
            NotRecordable: the value would not come back as it is.
        """
        assert self._items is not None
        same = None if self._effects is None else self._effects.path_of(value)
        json, types = self._encoded(value, self._function.yielded, f"{self._function.name}() yields …", same)
        if self._effects is not None:
            self._effects.item(len(self._items), same)
        self._items.append(json)
        self._item_types.append(types)

    def sent(self, value: Any) -> None:
        """Note what the agent sent into the generator behind its newest item."""
        if value is not None and self._items is not None:
            try:
                where = f"{self._function.name}().send(…)"
                self._into["sent"][str(len(self._items) - 1)] = jsonable(
                    value, where=where, hint="send what JSON can hold"
                )
            except NotRecordable as error:
                self._run.unrecordable(error)

    def thrown(self, error: BaseException) -> None:
        """Note what the agent threw into the generator behind its newest item."""
        if self._items is not None and is_answer(error):
            self._into["thrown"][str(len(self._items) - 1)] = error_to_json(error)

    def ended(self, value: Any) -> None:
        """Settle: the generator is exhausted, and returned ``value``.

        Raises:
            NotRecordable: the value would not come back as it is.
        """
        answered: dict[str, Json] = {}
        if value is not None:
            answered = self._returned(value, self._function.at_end)
        self._settle(answered)

    def broke_off(self) -> None:
        """Settle: nobody reads the generator any further."""
        self._settle({"broken_off": True}, complete=False)

    def raised(self, error: BaseException) -> None:
        """Settle with what the function raised."""
        if is_answer(error):
            steers = {"steers": True} if self._function.steered(error) else {}
            self._settle({"raised": error_to_json(error), **steers})
        elif self._items:
            self.broke_off()
        else:
            if self._effects is not None:
                self._effects.lost()
            self._crossing.settle(None, complete=False)

    def _returned(self, value: Any, annotation: Any) -> dict[str, Json]:
        written = self._function.written(value)
        if written is not NotImplemented:
            return {"returned": written, "written": True}
        same = None if self._effects is None else self._effects.path_of(value)
        json, types = self._encoded(value, annotation, f"{self._function.name}() -> …", same)
        if types:
            self._types["returned"] = types
        return {"returned": json, "same_as": same} if same else {"returned": json}

    def _encoded(self, value: Any, annotation: Any, where: str, same: Path | None) -> tuple[Json, Notes]:
        """The value as JSON, and the types that its annotation does not restore."""
        try:
            return to_json(value, annotation, where=where), {}
        except NotRecordable as error:
            refused = error
        try:
            json, types = noted(value, where=where)
            self._check_imports(types, where)
        except NotRecordable as error:
            if same:
                return None, {}  # a replay gives the caller's own object
            # Of a declared type the first error says why; else the first one names what a note would restore.
            said = error if error.hint or is_plain(annotation) else refused
            return self._refuse_value(value, said), {}
        return json, types

    def _check_imports(self, types: Notes, where: str) -> None:
        """Refuse a class of a module that is loaded because the function ran, in a way that a replay does not see."""
        if len(sys.modules) == self._modules:
            return
        new = set(itertools.islice(sys.modules, self._modules, None))
        named = modules_named({"types": types}) & new
        if named and not found_in(self._function.real, new):
            reason = (
                f"is of a class in {min(named)}, which only this call has loaded: a replay would not find it"
            )
            raise NotRecordable(where, reason, f"import {min(named)} at the top of the tool's module")

    def _refuse_value(self, value: Any, error: NotRecordable) -> Json:
        if not self._run.keeps:
            return f"<{type(value).__qualname__}>"
        if self._function.by is not None or self._crossing.is_held:
            kind = type(value)  # its text may hold an address
            self._crossing.must_run(f"nothing restores its result, a {kind.__module__}.{kind.__qualname__}")
            return None
        unrecordable = NotRecordable(
            error.path, error.reason, error.hint or _way_out(value, self._function.way_out)
        )
        self._run.unrecordable(unrecordable)
        self._crossing.settle(None, complete=False)
        raise unrecordable from error.__cause__

    def _settle(self, answered: dict[str, Json], *, complete: bool = True) -> None:
        if self._items is not None:
            answered = {"yielded": list(self._items), **answered}
        answered.update((key, each) for key, each in self._into.items() if each)
        if self._awaited:
            answered["awaited"] = True
        if any(self._item_types):
            self._types["yielded"] = of_items(self._item_types)
        if self._types:
            answered["types"] = self._types
        if self._effects is None:
            self._crossing.settle(answered, complete=complete)
            return
        with looking():  # of two threads, the one that says its changes later ends later
            answered.update(self._effects.end())
            self._crossing.settle(answered, complete=complete)


def is_answer(error: BaseException) -> TypeGuard[Raised]:
    """Whether an error may be an answer, or what an agent throws; cancelling, Ctrl-C and our own errors are not."""
    return isinstance(error, Raised) and not isinstance(error, SparrowError) and not _is_stopped(error)


def _is_stopped(error: BaseException) -> bool:
    """Whether an error is that somebody cancels the task that runs here; else it is the function's own doing."""
    asyncio = sys.modules.get("asyncio")  # else nobody has cancelled a task
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return False
    return task is not None and task.cancelling() > 0


def _way_out(value: Any, usual: str) -> str:
    if hasattr(value, "__next__") or hasattr(value, "__anext__") or hasattr(value, "read"):
        return "reading it uses it up: return its content, or write the tool as a generator function (yield)"
    if hasattr(value, "__enter__") or hasattr(value, "__aenter__"):
        return "a context manager is no answer: return what it gives"
    return usual
