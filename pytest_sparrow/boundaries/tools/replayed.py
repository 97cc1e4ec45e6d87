"""A call that is answered from the golden: the recorded value, items, exception and changes are made again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http.bodies import checkpoint
from pytest_sparrow.boundaries.tools.effects import NOTED, NOTHING, ReplayedEffects, is_callers
from pytest_sparrow.boundaries.tools.imports import import_for
from pytest_sparrow.boundaries.tools.live import LiveCall, is_answer
from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.redact.placeholders import PLACEHOLDER
from pytest_sparrow.run.cancelling import wait_for_cancel
from pytest_sparrow.text import cut, shown_pair
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.exceptions import Raised, error_to_json
from pytest_sparrow.values.noted import NotesAt, read_notes
from pytest_sparrow.values.restore import DoesNotFit, NotLoaded, as_declared, from_json
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from pytest_sparrow.boundaries.tools.function import WrappedFunction
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun


class ReplayedCall:
    """A crossing with a recorded answer: `answer` or `items`.

    Args:
        run: the open run.
        crossing: the crossing.
        half: the recorded *answered* half; empty where the recorded call got no answer.
        function: what is called.
        roots: gives the objects that the call may change in place, by name.
    """

    __slots__ = ("_crossing", "_function", "_read", "_read_types", "_roots", "_run", "half")

    def __init__(
        self,
        run: OpenRun,
        crossing: Crossing,
        half: dict[str, Json],
        function: WrappedFunction,
        roots: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._run = run
        self._crossing = crossing
        self.half = half
        self._function = function
        self._roots = roots
        self._read = 0  # items that the agent has got
        self._read_types: dict[str, NotesAt] = {}
        if "changed_first" in half and not crossing.checked:
            ReplayedEffects(run, function.name, roots, half).first()

    @property
    def checked(self) -> bool:
        """Whether the function must run all the same: first `live`, then the recorded answer."""
        return self._crossing.checked

    def live(self) -> LiveCall:
        """The same crossing, for the function to run: what the function gives settles the crossing."""
        return LiveCall(self._run, self._crossing, self._function)

    @property
    def most_items(self) -> int:
        """How many items a checked generator may yield: one more than recorded, or as many where it was broken off.

        Without a limit it might never end.
        """
        return self.pieces + (0 if self.half.get("broken_off") else 1)

    @property
    def pieces(self) -> int:
        """How many items the recorded generator yielded."""
        return len(self.half.get("yielded", ()))

    async def cancelled_again(self) -> None:
        """Where the recorded agent stopped waiting before the end (a timeout, say), wait for this one to stop, too."""
        if self._crossing.cancellation_wait is not None:
            try:
                await wait_for_cancel(self._crossing.cancellation_wait)
            finally:
                self._crossing.settle(self.half or None, complete=False)

    def hold(self) -> None:
        """Wait in a thread until the recorded answer is due."""
        if self._crossing.arrival is not None:
            self._crossing.arrival.hold()

    async def arrives(self) -> None:
        """Wait in a task until the recorded answer is due; others run where they did when the call waited."""
        if "changed_first" in self.half:
            await checkpoint()
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
        replayed = self.half
        own = NOTHING
        if replayed and "yielded" not in replayed:
            import_for(self._function.real, replayed)
            effects = self._recorded_effects(replayed)
            own = NOTHING if effects is None else effects.end()  # before other threads get their answers
        self._crossing.settle(replayed or None, complete=bool(replayed))
        if not replayed:
            raise self._refused("unanswered")
        if "yielded" in replayed:
            raise self._refused("was-generator")
        if "raised" in replayed:
            raise self._crossing.error or self._function.error(replayed["raised"])
        if own is not NOTHING and is_callers(replayed["same_as"]):
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
        return self._restored(value, self._function.returned, "returned", own=own)

    def items(self) -> Generator[Any, None, Any]:
        """Yield what the recorded generator yielded; end, return or raise as it did.

        Raises:
            ReplayDivergence: the generator is read further than when it was recorded, or was no generator then.
        """
        replayed = self.half
        if not replayed:
            self._crossing.settle(None, complete=False)
            raise self._refused("unanswered")
        self._crossing.flush = self.broke_off
        exhausted, thrown = False, None
        import_for(self._function.real, replayed)
        effects = self._recorded_effects(replayed)
        own = NOTHING
        try:
            if "returned" in replayed and "yielded" not in replayed:
                raise self._refused("is-generator")
            for number, json in enumerate(replayed.get("yielded", ())):
                own = NOTHING if effects is None else effects.before(number)
                if own is NOTHING or not is_callers(replayed["items_same_as"][str(number)]):
                    own = self._restored(json, self._function.yielded, "yielded", number, own)
                self._read = number + 1
                thrown = yield from self._gives(number, own)
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
            # Whoever threw the very error that comes out (contextlib's managers) asks whether it is the same object.
            same = thrown if self._put_in("thrown", self.pieces - 1) == replayed["raised"] else None
            raise self._crossing.error or same or self._function.error(replayed["raised"])
        if own is not NOTHING and is_callers(replayed["same_as"]):
            return own
        return self._restored(replayed.get("returned"), self._function.at_end, "returned", own=own)

    def _gives(self, number: int, item: Any) -> Generator[Any, Any, Raised | None]:
        """Yield an item and return what the agent throws for it; refuse what it did not send or throw when recorded."""
        sent: Any = None
        thrown: Raised | None = None
        try:
            sent = yield item
        except BaseException as error:
            if not is_answer(error):
                raise
            thrown = error
        self._check_thrown(number, thrown)
        if thrown is None:
            self._check_sent(number, sent)
        return thrown

    def _put_in(self, key: str, number: int) -> Json:
        """What the recorded agent sent or threw for an item; None for nothing."""
        noted = self.half.get(key)
        return noted.get(str(number)) if isinstance(noted, dict) else None

    def _check_sent(self, number: int, value: Any) -> None:
        """Refuse another value than the recorded agent sent: what the generator would yield for it is not known."""
        recorded = self._put_in("sent", number)
        if recorded is None:
            return  # older goldens do not say what was sent
        try:
            new = jsonable(value, where="")
        except NotRecordable:
            new = repr(value)
        if not _is_same(recorded, new):
            golden, sent = shown_pair(recorded, new, 60)
            raise self._refused("sent", golden=golden, new=sent)

    def _check_thrown(self, number: int, error: Raised | None) -> None:
        """Refuse another error than the recorded agent threw, none for one, and one for none."""
        recorded: Any = self._put_in("thrown", number)
        new = None if error is None else error_to_json(error)
        if not _is_same(recorded, new):
            golden, thrown = (each and f"{each['type']}: {each['message']}" for each in (recorded, new))
            if golden == thrown:  # of other attributes, or another module
                golden, thrown = shown_pair(recorded, new, 60)
            raise self._refused(
                "thrown", golden=cut(golden or "nothing", 60), new=cut(thrown or "nothing", 60)
            )

    def _recorded_effects(self, replayed: dict[str, Json]) -> ReplayedEffects | None:
        """What the recorded call changed in place; None for nothing, or where the function has run here as well."""
        if self._crossing.checked or not any(key in replayed for key in NOTED):
            return None
        return ReplayedEffects(self._run, self._function.name, self._roots, replayed)

    def _restored(
        self, json: Json, annotation: Any, place: str, number: int | None = None, own: Any = NOTHING
    ) -> Any:
        """The recorded value; in its place ``own``, an object that the function reaches here, if the two are equal."""
        if own is NOTHING:
            return self._of_json(json, annotation, place, number)
        if json is None:
            return own  # JSON has no form for it
        value = self._of_json(json, annotation, place, number)
        return own if difference(own, value) is None else value

    def _of_json(self, json: Json, annotation: Any, place: str, number: int | None) -> Any:
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
        types = self.half.get("types")
        if not isinstance(types, dict) or place not in types:
            return None
        if place not in self._read_types:
            self._read_types[place] = read_notes(types[place])
        return self._read_types[place]

    def _refused(self, case: str, **detail: Json) -> Exception:
        return self._run.refuse(case, name=self._function.name, **detail)

    def broke_off(self) -> None:
        """Settle: nobody reads the generator any further."""
        # What the recorded agent had left unread itself is no change. An error or a value may follow the last item.
        left = bool(self.half.get("broken_off"))
        further = any(key in self.half for key in ("raised", "returned"))
        further = further or self._put_in("thrown", self.pieces - 1) is not None
        more = self.pieces + (not left and further)
        self._crossing.read_whole = self._read < more
        self._crossing.settle(self.half, complete=False)


def _is_same(recorded: Json, new: Json) -> bool:
    """Whether what an agent puts into a generator is what was recorded; the placeholder of a secret is any text."""
    old, now = canonical(recorded), canonical(new)
    if old == now or b"<secret:" not in old:
        return old == now
    around = map(re.escape, PLACEHOLDER.split(old.decode())[::3])
    return re.fullmatch(".+".join(around), now.decode()) is not None
