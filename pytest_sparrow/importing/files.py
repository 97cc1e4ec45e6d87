"""Reads the files of other tools as plain values: JSON and YAML, also compressed by gzip.

A file comes from anywhere: a few bytes of YAML can stand for gigabytes (an alias that repeats an alias), and a tag can
ask for any Python object. Neither happens here: such a file, or the one entry that holds such an object, is refused.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import UsageError
from pytest_sparrow.wire.bodies import MOST

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json", ".har")
"""How the names of cassettes end; ``.gz`` may follow."""

_DEEPEST = 200
"""How deep a file may nest; cassettes need about ten levels."""

_MOST_REPEATED = 20
"""How often as large as its file a content may be, for aliases repeat what they name."""

_MOST_MERGED = 10_000
"""The most keys that an object may get by merging others (``<<``), each of which older PyYAML repeats."""

_SPARE = 1 << 20
"""Characters that aliases may repeat in any file."""


def stem(path: Path) -> str | None:
    """The name of a cassette without its endings; None: by its name the file is no cassette."""
    name = path.name.removesuffix(".gz")
    return next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), None)


@dataclass(frozen=True, slots=True)
class PythonObject:
    """Stands where a file holds a Python object that plain values can't say: it is not made.

    Attributes:
        tag: the object's type, as the file names it.
    """

    tag: str


def load(path: Path) -> Any:
    """The content of a file as plain values, with a `PythonObject` where it holds something else.

    Raises:
        ValueError: the file can't be read; the text says why.
        UsageError: it is YAML, and PyYAML is not installed.
        OSError: the file can't be read from the disk.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = _unpacked(raw)
    try:
        if path.name.removesuffix(".gz").endswith((".json", ".har")) or raw.lstrip()[:1] == b"{":
            return json.loads(raw)
        value = _yaml(path, raw)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    if _size(value, {}) > _MOST_REPEATED * len(raw) + _SPARE:
        raise ValueError("its aliases repeat too much")
    return value


def _unpacked(raw: bytes) -> bytes:
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(MOST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"its gzip content is damaged ({error})") from error
    if len(content) > MOST:
        raise ValueError(f"it expands to more than {MOST} bytes")
    return content


def _size(value: Any, known: dict[int, int | None]) -> int:
    """The characters of a value, with what aliases repeat; each object is looked at once.

    Raises:
        ValueError: the value holds itself.
    """
    if not isinstance(value, dict | list):
        return len(value) + 1 if isinstance(value, str | bytes) else 1
    found = known.get(id(value), -1)
    if found is None:
        raise ValueError("an alias in it repeats what holds the alias")
    if found >= 0:
        return found
    known[id(value)] = None
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    size = known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return size


def _yaml(path: Path, raw: bytes) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise UsageError(
            f"{path} is YAML, which needs PyYAML\n  pip install 'pytest-sparrow[import]'"
        ) from error
    loader = _loader()
    try:
        # Before values are made: PyYAML's C code recurses without a limit.
        depth = 0
        for event in yaml.parse(raw, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError("it nests too deeply")
        return yaml.load(raw, loader)  # noqa: S506 - see there
    except Exception as error:  # PyYAML raises nearly anything where a value does not fit its tag
        raise ValueError(str(error) or type(error).__name__) from error


@functools.cache
def _loader() -> Any:
    """Safe: it makes plain values only, and those that stand in a few known Python objects."""
    import yaml

    # The C loader is ten times faster; PyYAML may come without it.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_MERGED:
                raise ValueError("its aliases repeat too much")

    def python_object(loader: Any, tag: str, node: Any) -> Any:
        held = _held(loader, yaml, node)
        if tag.endswith(_IS_ITS_ARGUMENT) and len(held.get("args", ())) == 1:
            return held["args"][0]
        match held if tag in _SENT else {}:
            case {"state": [bytes() as content, *_]}:
                return content
            case {"args": [list() as pieces]} if all(isinstance(piece, bytes) for piece in pieces):
                return b"".join(pieces)
        return PythonObject(tag.partition(":")[2] or tag)

    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    Loader.add_constructor("tag:yaml.org,2002:python/unicode", Loader.construct_yaml_str)
    Loader.add_constructor("tag:yaml.org,2002:python/str", Loader.construct_yaml_str)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", python_object)
    return Loader


def _held(loader: Any, yaml: Any, node: Any) -> dict[str, Any]:
    """What an object is made of: ``args`` and ``state``."""
    if isinstance(node, yaml.SequenceNode):
        return {"args": loader.construct_sequence(node, deep=True)}
    held = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else {}
    return held if isinstance(held.get("args", []), list) else {}


_SENT = ("object/new:_io.BytesIO", "object/apply:builtins.iter")

_IS_ITS_ARGUMENT = (".istr", ".HTTPStatus", ".HTTPMethod")
"""Types that say no more than their only argument does: header names of aiohttp, statuses and methods."""
