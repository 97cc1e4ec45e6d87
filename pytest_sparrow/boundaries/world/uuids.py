"""Draws UUIDs from a seed: `uuid1`, `uuid4`, and `uuid6` to `uuid8` where Python has them.

The functions keep their identity and get other code, so that ``from uuid import uuid4``, done long before, is covered.

Each installed package draws from a stream of its own, and the user's code from another one: pydantic-graph draws nine
UUIDs when it is first used in a process, the openai SDK one a request, and neither must shift what the agent draws.
"""

from __future__ import annotations

import itertools
import random
import sys
import types
import uuid
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import CodePatch, Patches, copy_function
from pytest_sparrow.run.answering import is_answering
from pytest_sparrow.run.users_code import is_installed, package_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GREGORIAN = 0x01B21DD213814000
"""100 ns intervals from 1582-10-15 to 1970-01-01 (RFC 9562, 5.1)."""

_BASE = 1_767_225_600
"""2026-01-01, in seconds since the epoch."""

_YEAR = 365 * 24 * 3600


_MAKERS = frozenset({"attr", "attrs", "dataclasses", "pydantic", "pydantic_core"})
"""Packages that draw on behalf of the class that they make (``default_factory=uuid4``)."""


class _Streams:
    """The UUID streams of one test: one for each installed package, and one for the user's code."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, _Draws] = {}

    def of(self, package: str) -> _Draws:
        """The stream of an installed package; of the user's own code for ""."""
        stream = self._streams.get(package)
        if stream is None:
            stream = self._streams.setdefault(package, _Draws(f"{self._seed} {package}".rstrip()))
        return stream


def _package_of(frame: types.FrameType | None) -> str:
    """The installed package whose code runs in a frame; "" for the user's own code."""
    while frame is not None:
        package = package_name(frame)
        if package not in _MAKERS:
            # The module's file, not the code's: an __init__ that a class maker wrote has no file.
            return package if is_installed(frame.f_globals.get("__file__")) else ""
        frame = frame.f_back
    return ""


class _Draws:
    """The UUIDs of one stream, in the order in which they are drawn.

    The time in a UUID that holds one is decided by the seed (some moment of 2026), and a millisecond later with each:
    UUIDs sort as they were drawn, and are the same in every recording of the test.
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
    """The value with version and variant set (RFC 9562, 4)."""
    value &= ~(0xF000 << 64 | 0xC000 << 48)
    return value | version << 76 | 0x8000 << 48


# Process-wide, because the functions are; None while no seeded test runs.
_streams: _Streams | None = None
_real: dict[int, Callable[..., uuid.UUID]] = {}


def draw(version: int, *given: int | None) -> uuid.UUID:
    """A UUID for the code that runs in the functions' place; a real one for code of the world.

    Args:
        version: the UUID's version.
        given: the arguments of the function, all of them.
    """
    if _streams is None or is_answering():
        return _real[version](*given)
    # Two frames up: behind this function and the one that runs in uuid4's place.
    return _streams.of(_package_of(sys._getframe(2))).draw(version, *given)  # noqa: SLF001


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


_SEEDED = {1: _uuid1, 4: _uuid4, 6: _uuid6, 7: _uuid7, 8: _uuid8}


def _patches_for(module: types.ModuleType) -> Iterator[CodePatch]:
    for version, seeded in _SEEDED.items():
        function = getattr(module, f"uuid{version}", None)
        if isinstance(function, types.FunctionType) and not function.__closure__:
            _real[version] = copy_function(function)
            yield CodePatch(function, seeded.__code__)


PATCHES = Patches({"uuid": _patches_for}, stays=True)
"""Let the functions of `uuid` draw from a seed, where there is one."""


def seed(number: int | None) -> None:
    """Let the functions of `uuid` draw from a seed, or (None) from the system. One test runs at a time."""
    global _streams  # noqa: PLW0603 - see above
    _streams = None if number is None else _Streams(number)
