"""UUIDs from the seed: `uuid1`, `uuid4`, and `uuid6` to `uuid8` where Python has them.

The functions keep their identity and get other code, so that ``from uuid import uuid4``, done long before, is covered.

Each installed package draws from a stream of its own, and the user's code from another one: pydantic-graph draws nine
when it is first used in a process, the openai SDK one a request, and neither must shift what the agent draws.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import sysconfig
import types
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_sparrow.run.context import is_answering

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["draw", "seeded_uuids"]

_GREGORIAN = 0x01B21DD213814000
"""100 ns intervals from 1582-10-15 to 1970-01-01 (RFC 9562, 5.1)."""

_BASE = 1_767_225_600
"""2026-01-01, in seconds since the epoch."""

_YEAR = 365 * 24 * 3600


_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_MAKERS = frozenset({"attr", "attrs", "dataclasses", "pydantic", "pydantic_core"})
"""Packages that draw on behalf of whose class it is (``default_factory=uuid4``)."""


class _Streams:
    """The UUIDs of one test, a stream for each who draws."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, _Draws] = {}

    def of(self, package: str) -> _Draws:
        """The stream of an installed package, or ("") of the user's own code."""
        stream = self._streams.get(package)
        if stream is None:
            stream = self._streams.setdefault(package, _Draws(f"{self._seed} {package}".rstrip()))
        return stream


def _package_of(frame: types.FrameType | None) -> str:
    """The installed package whose code runs in a frame, "" for the user's own."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _MAKERS:
            file = frame.f_globals.get("__file__")
            return package if isinstance(file, str) and file.startswith(_INSTALLED) else ""
        frame = frame.f_back
    return ""


class _Draws:
    """The UUIDs of one stream, in the order in which they are drawn.

    Those that hold a time hold one that the seed decides (some moment of 2026), a millisecond later with each: they
    sort as they were drawn, and are the same in every recording of the test.
    """

    def __init__(self, seed: int | str) -> None:
        self._bits = random.Random(f"pytest-sparrow uuid {seed}").getrandbits  # noqa: S311 - that is the point
        self._milliseconds = itertools.count((_BASE + self._bits(32) % _YEAR) * 1000)
        self._node = self._bits(48) | 1 << 40  # RFC 9562, 6.10: a random node has the multicast bit
        self._clock = self._bits(14)

    def draw(self, version: int, *given: int | None) -> uuid.UUID:
        """The next UUID of a version; ``given`` are the arguments of its function."""
        return uuid.UUID(int=_stamped(version, self._fields(version, given)))

    def _fields(self, version: int, given: tuple[int | None, ...]) -> int:
        match version:
            case 1 | 6:
                node, clock = given
                # As in 3.14: whoever names a node or a clock sequence means its low bits.
                low = ((self._clock if clock is None else clock) & 0x3FFF) << 48
                return self._time(version) | low | (self._node if node is None else node & 0xFFFF_FFFF_FFFF)
            case 7:
                return next(self._milliseconds) << 80 | self._bits(80)
            case 8:
                a, b, c = (
                    self._bits(size) if part is None else part & ((1 << size) - 1)
                    for part, size in zip(given, (48, 12, 62), strict=True)
                )
                return a << 80 | b << 64 | c
            case _:
                return self._bits(128)

    def _time(self, version: int) -> int:
        ticks = next(self._milliseconds) * 10_000 + _GREGORIAN
        if version == 6:
            return ticks >> 12 << 80 | (ticks & 0xFFF) << 64
        return (ticks & 0xFFFF_FFFF) << 96 | (ticks >> 32 & 0xFFFF) << 80 | (ticks >> 48 & 0xFFF) << 64


def _stamped(version: int, value: int) -> int:
    """With version and variant set (RFC 9562, 4)."""
    value &= ~(0xF000 << 64 | 0xC000 << 48)
    return value | version << 76 | 0x8000 << 48


# Process-wide, because the functions are; None while no seeded test runs.
_draws: _Streams | None = None
_originals: dict[int, Any] = {}


def draw(version: int, *given: int | None) -> uuid.UUID:
    """A UUID for the code that stands in for the functions' own; a real one for what the world does."""
    if _draws is None or is_answering():
        made: uuid.UUID = _originals[version](*given)
        return made
    # Behind this function and the stand-in stands who draws.
    return _draws.of(_package_of(sys._getframe(2))).draw(version, *given)  # noqa: SLF001


# What runs in the place of the functions' code. It runs with the globals of the uuid module, so it imports.


def _uuid1(node=None, clock_seq=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from pytest_sparrow.boundaries.world.uuids import draw

    return draw(1, node, clock_seq)


def _uuid4():  # type: ignore[no-untyped-def]  # noqa: ANN202
    from pytest_sparrow.boundaries.world.uuids import draw

    return draw(4)


def _uuid6(node=None, clock_seq=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from pytest_sparrow.boundaries.world.uuids import draw

    return draw(6, node, clock_seq)


def _uuid7():  # type: ignore[no-untyped-def]  # noqa: ANN202
    from pytest_sparrow.boundaries.world.uuids import draw

    return draw(7)


def _uuid8(a=None, b=None, c=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from pytest_sparrow.boundaries.world.uuids import draw

    return draw(8, a, b, c)


_STAND_INS = {1: _uuid1, 4: _uuid4, 6: _uuid6, 7: _uuid7, 8: _uuid8}


@contextmanager
def seeded_uuids(seed: int) -> Iterator[None]:
    """Let the functions of `uuid` draw from a seed. Not to be nested: one test runs at a time."""
    global _draws  # noqa: PLW0603 - see above
    codes: dict[int, tuple[types.FunctionType, types.CodeType]] = {}
    for version, stand_in in _STAND_INS.items():
        function = getattr(uuid, f"uuid{version}", None)
        if isinstance(function, types.FunctionType) and not function.__closure__:
            code = function.__code__
            codes[version] = function, code
            _originals[version] = types.FunctionType(
                code, function.__globals__, function.__name__, function.__defaults__
            )
            function.__code__ = stand_in.__code__
    _draws = _Streams(seed)
    try:
        yield
    finally:
        for function, code in codes.values():
            function.__code__ = code
        _draws = None
