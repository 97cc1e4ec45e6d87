"""Values that are recorded as a whole where they change: sets, arrays, buffers, counters and events."""

from __future__ import annotations

from io import BytesIO, StringIO
from itertools import count
from typing import Any

from pytest_sparrow.values import tables

_BYTES = 1_000
"""Bytes of a buffer or array that count as one value."""

_MOST_NUMBERS = 100_000
"""Numbers by which a counter is moved on at most."""


def is_whole(value: Any) -> bool:
    """Whether a value is recorded as a whole where it changes."""
    kind = type(value)
    return (
        issubclass(kind, set | bytearray | BytesIO | StringIO | count)
        or (kind.__module__, kind.__name__) in _EVENTS
        or is_queue(value)
        or (tables.is_table(value) and hasattr(value, "tobytes"))
    )


_EVENTS = {("threading", "Event"), ("asyncio.locks", "Event")}


_QUEUES = {"queue": "queue", "asyncio.queues": "_queue"}
"""The attribute that holds the items, by the module of the class."""


def is_queue(value: Any) -> bool:
    """Whether a value is a queue whose items can be looked at. What is put into one is not made again.

    Others put and take at any time, and who did is not known afterwards.
    """
    return type(value).__module__ in _QUEUES and hasattr(value, "put_nowait")


def _items(queue: Any) -> list[Any]:
    return list(getattr(queue, _QUEUES[type(queue).__module__], ()))


def weight(value: Any) -> int:
    """How many values a whole counts for: it is copied."""
    if isinstance(value, set):
        return len(value)
    if is_queue(value):
        return len(_items(value))
    if isinstance(value, count) or hasattr(value, "is_set"):
        return 1
    if isinstance(value, BytesIO | StringIO):
        return 0 if value.closed else len(value.getvalue()) // _BYTES
    return int(getattr(value, "nbytes", None) or len(value)) // _BYTES


def whole(value: Any) -> Any:
    """A copy of a value that changes as a whole; of a buffer its content and how far it was read or written.

    Of a counter its text, of an event whether it is set, of a queue which items it holds.
    """
    if is_queue(value):
        return list(map(id, _items(value)))
    if isinstance(value, count):
        return repr(value)
    if hasattr(value, "is_set"):
        return value.is_set()
    if isinstance(value, BytesIO | StringIO):
        return None if value.closed else {"content": value.getvalue(), "at": value.tell()}
    return value.copy()


def refill(value: Any, new: Any) -> None:
    """Make a value what its copy was.

    Raises:
        TypeError: the two are of different types.
        ValueError: a counter does not come to the number.
    """
    if isinstance(value, BytesIO | StringIO):
        return _rewrite(value, new)
    if isinstance(value, count):
        return _advance(value, new)
    if hasattr(value, "is_set"):
        return value.set() if new else value.clear()  # type: ignore[no-any-return]
    if type(value) is not type(new):
        raise TypeError(f"{type(value).__qualname__} became {type(new).__qualname__}")
    if isinstance(value, set):
        value.clear()
        value.update(new)
    elif isinstance(value, bytearray):
        value[:] = new
    else:
        value[...] = new
    return None


def _advance(numbers: Any, to: str) -> None:
    for _ in range(_MOST_NUMBERS):
        if repr(numbers) == to:
            return
        next(numbers)
    raise ValueError(f"{numbers} does not come to {to}")


def _rewrite(buffer: Any, new: dict[str, Any] | None) -> None:
    if new is None:
        buffer.close()
        return
    buffer.seek(0)
    buffer.truncate()
    buffer.write(new["content"])
    buffer.seek(new["at"])
