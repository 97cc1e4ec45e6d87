"""The function behind a wrapper: what it is called, and of which types its answers are."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.values.exceptions import Raised, error_from_json
from pytest_sparrow.values.restore import (
    ABSENT,
    DoesNotFit,
    awaited_annotation,
    item_annotation,
    result_annotation,
    return_annotation,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json


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
