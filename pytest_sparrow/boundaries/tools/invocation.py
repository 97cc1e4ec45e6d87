"""One call of a wrapped function under way: what wrappers of every kind (sync, async, generator) have in common."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.code import digest_of
from pytest_sparrow.boundaries.tools.effects import NOTED, NOTHING, LiveEffects, ReplayedEffects
from pytest_sparrow.boundaries.tools.imports import found_in, import_for, modules_named
from pytest_sparrow.errors import NotRecordable, SparrowError
from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.run.cancelling import wait_for_cancel
from pytest_sparrow.run.context import answering, running_tool
from pytest_sparrow.text import shown
from pytest_sparrow.values.exceptions import Raised, error_from_json, error_to_json
from pytest_sparrow.values.noted import Notes, NotesAt, noted, of_items, read_notes
from pytest_sparrow.values.restore import (
    ABSENT,
    DoesNotFit,
    NotLoaded,
    as_declared,
    awaited_annotation,
    from_json,
    is_plain,
    item_annotation,
    result_annotation,
    return_annotation,
    to_json,
)
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun
    from pytest_sparrow.values.changes import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ByFramework:
    """What is special about the calls that a framework's adapter sees.

    Attributes:
        adapter: the adapter's name.
        steers: exceptions by which a tool steers its framework: a replay raises them again, and they are no output.
        write: gives a framework's object as JSON; `NotImplemented` for any other value.
        read: makes the object again from that JSON.
    """

    adapter: str
    steers: tuple[type[BaseException], ...] = ()
    write: Callable[[Any], Json] | None = None
    read: Callable[[Json], Any] | None = None


class WrappedFunction:
    """The function behind a wrapper, and the types of its answers.

    Args:
        fn: the function.
        name: its name in the transcript.
        returns: the type of its answers, or None: its return annotation.
        raises: exception types that a replay may raise again.
        way_out: what to do about an answer that JSON cannot hold.
        real: what runs instead of ``fn``, where the code of ``fn`` is replaced.
        by: of a call that a framework's adapter sees. Such a call never fails for what JSON cannot hold: a replay runs
            it.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        *,
        returns: Any = None,
        raises: tuple[type[Exception], ...] = (),
        way_out: str = "",
        real: Callable[..., Any] | None = None,
        by: ByFramework | None = None,
    ) -> None:
        self.fn = fn
        self.real = real or fn
        self.name = name
        self.way_out = way_out
        self.by = by
        self._returns = returns
        self._raises = raises

    # Resolved at the first answer, not when wrapping: a class named in the annotation may be defined later.

    @functools.cached_property
    def _declared(self) -> Any:
        return return_annotation(self.fn) if self._returns is None else self._returns

    @functools.cached_property
    def returned(self) -> Any:
        """The type of a plain answer."""
        return awaited_annotation(self._declared)

    @functools.cached_property
    def yielded(self) -> Any:
        """The type of a generator's items."""
        return item_annotation(self._declared)

    @functools.cached_property
    def at_end(self) -> Any:
        """The type of the value that a generator returns at its end."""
        return ABSENT if self._returns is not None else result_annotation(self._declared)

    def steered(self, error: BaseException) -> bool:
        """Whether a tool steers its framework by an exception."""
        return self.by is not None and isinstance(error, self.by.steers)

    def written(self, value: Any) -> Json:
        """A framework's object as JSON; `NotImplemented` for any other value."""
        return NotImplemented if self.by is None or self.by.write is None else self.by.write(value)

    def read(self, answered: dict[str, Json]) -> Any:
        """The framework's object that `written` wrote; `NotImplemented` where none was written.

        Raises:
            DoesNotFit: the JSON makes no such object here.
        """
        if "written" not in answered or self.by is None or self.by.read is None:
            return NotImplemented
        try:
            return self.by.read(answered["returned"])
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DoesNotFit(f"{self.by.adapter}: {error}") from error

    def error(self, recorded: dict[str, Json]) -> Raised:
        """The recorded exception, to be raised again."""
        return error_from_json(recorded, fn=self.fn, raises=self._raises)


class Invocation:
    """One crossing of a wrapped function.

    Live: enter the call (``with call:``) around the function's own code, then say what came: `returned`, or
    `began_stream`, `item`, `ended`. What is raised within settles the crossing. Replayed: `answer` or `items`.

    Attributes:
        replayed: the recorded *answered* half, or None: the function must run.
    """

    __slots__ = (
        "_answering",
        "_awaited",
        "_crossing",
        "_effects",
        "_function",
        "_inside",
        "_item_types",
        "_items",
        "_modules",
        "_read",
        "_read_types",
        "_roots",
        "_run",
        "_sent",
        "_types",
        "replayed",
    )

    def __init__(self, run: OpenRun, crossing: Crossing, function: WrappedFunction) -> None:
        self._run = run
        self._crossing = crossing
        self._function = function
        self._items: list[Json] | None = None
        self._item_types: list[Notes] = []
        self._types: dict[str, Json] = {}
        self._sent: dict[str, Json] = {}
        self._read = 0  # items that the agent has got
        self._read_types: dict[str, NotesAt] = {}
        self._awaited = False
        self._modules = 0  # how many were loaded before the function ran
        self._answering: answering | None = None
        self._roots: Callable[[], Mapping[str, Any]] = dict
        self._effects: LiveEffects | None = None
        self.replayed = crossing.replayed

    @classmethod
    def begin(
        cls,
        run: OpenRun,
        kind: str,
        asked: Callable[[], dict[str, Json]],
        function: WrappedFunction,
        roots: Callable[[], Mapping[str, Any]],
    ) -> Invocation | None:
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
        call = cls(run, run.ask(kind, content), function)
        if function.by is not None:
            call._crossing.by = function.by.adapter
        call._roots = roots
        if kind == "tool":
            answered = call.replayed is not None and not call.checked
            run.note_code(function.name, functools.partial(digest_of, function.real), answered=answered)
        if call.replayed is None and run.keeps:
            call._effects = LiveEffects.begin(run, function.name, roots)
        return call

    @property
    def checked(self) -> bool:
        """Whether the function must run although there is a recorded answer: first `live`, then that answer."""
        return self.replayed is not None and self._crossing.checked

    def live(self) -> Invocation:
        """The same crossing, for the function to run: what the function gives settles the crossing."""
        call = Invocation(self._run, self._crossing, self._function)
        call.replayed = None
        return call

    @property
    def most_items(self) -> int:
        """How many items a checked generator may yield: one more than recorded, or as many where it was broken off.

        Without a limit it might never end.
        """
        replayed = self.replayed or {}
        return len(replayed.get("yielded", ())) + (0 if replayed.get("broken_off") else 1)

    # Live.

    def __enter__(self) -> None:
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
                self._sent[str(len(self._items) - 1)] = jsonable(
                    value, where=where, hint="send what JSON can hold"
                )
            except NotRecordable as error:
                self._run.unrecordable(error)

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
        if self.replayed is not None:
            # What the recorded agent had left unread itself is no change. An error or a value may follow the last item.
            left = bool(self.replayed.get("broken_off"))
            more = self.pieces + (not left and any(key in self.replayed for key in ("raised", "returned")))
            self._crossing.read_whole = self._read < more
            self._crossing.settle(self.replayed, complete=False)
        else:
            self._settle({"broken_off": True}, complete=False)

    def raised(self, error: BaseException) -> None:
        """Settle with what the function raised; cancelling, Ctrl-C and our own errors are no answer."""
        if isinstance(error, Raised) and not isinstance(error, SparrowError) and not _is_stopped(error):
            steers = {"steers": True} if self._function.steered(error) else {}
            self._settle({"raised": error_to_json(error), **steers})
        elif self._items:
            self.broke_off()
        else:
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
        if self._sent:
            answered["sent"] = self._sent
        if self._awaited:
            answered["awaited"] = True
        if any(self._item_types):
            self._types["yielded"] = of_items(self._item_types)
        if self._types:
            answered["types"] = self._types
        if self._effects is not None:
            answered.update(self._effects.end())
        self._crossing.settle(answered, complete=complete)

    # Replayed.

    @property
    def pieces(self) -> int:
        """How many items the recorded generator yielded."""
        return len((self.replayed or {}).get("yielded", ()))

    async def cancelled_again(self) -> None:
        """Where the recorded agent stopped waiting before the end (a timeout, say), wait for this one to stop, too."""
        if self._crossing.cancellation_wait is not None:
            try:
                await wait_for_cancel(self._crossing.cancellation_wait)
            finally:
                self._crossing.settle(self.replayed or None, complete=False)

    def hold(self) -> None:
        """Wait in a thread until the recorded answer is due."""
        if self._crossing.arrival is not None:
            self._crossing.arrival.hold()

    async def arrives(self) -> None:
        """Wait in a task until the recorded answer is due."""
        if self._crossing.arrival is not None:
            try:
                await self._crossing.arrival.wait()
            except BaseException:  # cancelled
                self._crossing.settle(None, complete=False)
                raise

    def answer(self) -> Any:
        """Return what the recorded call returned, or raise what it raised.

        Where the answer has two readings (``otherwise``, of a run that is replayed from events), the declared type
        decides.

        Raises:
            ReplayDivergence: there is no recorded answer, or it is of another kind (a generator's), or no longer fits.
        """
        replayed = self.replayed
        assert replayed is not None
        self._crossing.settle(replayed or None, complete=bool(replayed))
        if not replayed:
            raise self._refused("unanswered")
        if "yielded" in replayed:
            raise self._refused("was-generator")
        import_for(self._function.real, replayed)
        effects = self._recorded_effects(replayed)
        own = NOTHING if effects is None else effects.end()
        if "raised" in replayed:
            raise self._crossing.error or self._function.error(replayed["raised"])
        if own is not NOTHING:
            return own
        try:
            made = self._function.read(replayed)
        except DoesNotFit as error:
            raise self._refused("unfit", why=str(error)) from error
        if made is not NotImplemented:
            return made
        value = replayed.get("returned")
        if "otherwise" in replayed:
            value = as_declared(value, replayed["otherwise"], self._function.returned)
        return self._restored(value, self._function.returned, "returned")

    def items(self) -> Generator[Any, None, Any]:
        """Yield what the recorded generator yielded; end, return or raise as it did.

        Raises:
            ReplayDivergence: the generator is read further than when it was recorded, or was no generator then.
        """
        replayed = self.replayed
        assert replayed is not None
        if not replayed:
            self._crossing.settle(None, complete=False)
            raise self._refused("unanswered")
        self._crossing.flush = self.broke_off
        exhausted = False
        import_for(self._function.real, replayed)
        effects = self._recorded_effects(replayed)
        own = NOTHING
        try:
            if "returned" in replayed and "yielded" not in replayed:
                raise self._refused("is-generator")
            for number, json in enumerate(replayed.get("yielded", ())):
                own = NOTHING if effects is None else effects.before(number)
                if own is NOTHING:
                    own = self._restored(json, self._function.yielded, "yielded", number)
                self._read = number + 1
                self._check_sent(number, (yield own))
            self.hold()
            exhausted = True
        finally:
            own = NOTHING if effects is None else effects.end()
            if exhausted and not replayed.get("broken_off"):
                self._crossing.settle(replayed)
            else:
                self.broke_off()
        if replayed.get("broken_off"):
            raise self._refused("read-beyond", items=len(replayed["yielded"]))
        if "raised" in replayed:
            raise self._crossing.error or self._function.error(replayed["raised"])
        if own is not NOTHING:
            return own
        return self._restored(replayed.get("returned"), self._function.at_end, "returned")

    def _check_sent(self, number: int, value: Any) -> None:
        """Refuse another value than the recorded agent sent: what the generator would yield for it is not known."""
        recorded = (
            self.replayed["sent"].get(str(number)) if self.replayed and "sent" in self.replayed else None
        )
        if recorded is None or b"<secret:" in canonical(recorded):
            return  # older goldens do not say what was sent; a secret's placeholder is not the secret
        try:
            new = jsonable(value, where="")
        except NotRecordable:
            new = repr(value)
        if canonical(new) != canonical(recorded):
            raise self._refused("sent", golden=shown(recorded, 60), new=shown(new, 60))

    def _recorded_effects(self, replayed: dict[str, Json]) -> ReplayedEffects | None:
        """What the recorded call changed in place; None for nothing, or where the function has run here as well."""
        if self._crossing.checked or not any(key in replayed for key in NOTED):
            return None
        return ReplayedEffects(self._run, self._function.name, self._roots, replayed)

    def _restored(self, json: Json, annotation: Any, place: str, number: int | None = None) -> Any:
        try:
            notes = self._notes_of(place)
            if notes is not None and number is not None:
                notes = notes.at(number)
            return from_json(json, annotation) if notes is None else notes.restored(json)
        except NotLoaded as error:
            raise self._refused("not-loaded", what=error.what, module=error.module) from error
        except DoesNotFit as error:
            raise self._refused("unfit", why=str(error)) from error

    def _notes_of(self, place: str) -> NotesAt | None:
        """The recorded types of what was returned or yielded; None where nothing is noted."""
        types = (self.replayed or {}).get("types")
        if not isinstance(types, dict) or place not in types:
            return None
        if place not in self._read_types:
            self._read_types[place] = read_notes(types[place])
        return self._read_types[place]

    def _refused(self, case: str, **detail: Json) -> Exception:
        return self._run.refuse(case, name=self._function.name, **detail)


def _is_stopped(error: BaseException) -> bool:
    """Whether an error is that somebody cancels the task that runs here; else it is the function's own doing."""
    if not isinstance(error, asyncio.CancelledError):
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
