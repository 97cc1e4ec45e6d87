"""Writes and reads JSON without loss: every value comes back equal, and a value that could not is refused."""

from __future__ import annotations

import hashlib
import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic_core import PydanticSerializationError, from_json, to_json

from pytest_sparrow.errors import NotRecordable

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

MAX_DEPTH = 100
"""Arrays and objects inside one another that may be written."""

MAX_READ_DEPTH = 128
"""Arrays and objects inside one another that are read: serde's own limit, so every cockpit line loads."""

# Python neither prints nor reads an integer of more digits (sys.set_int_max_str_digits); 4300 digits are
# at most this many bits.
_MAX_INT_BITS = 14_284


class BrokenJson(ValueError):
    """A text that is not JSON, or is JSON that one reader or another would silently change.

    Attributes:
        reason: what is wrong, in one sentence.
        column: the character at fault, counted from 1, or None where no single one is.
    """

    def __init__(self, reason: str, column: int | None = None) -> None:
        super().__init__(reason, column)
        self.reason = reason
        self.column = column

    def __str__(self) -> str:
        return self.reason if self.column is None else f"{self.reason} (column {self.column})"


def encode(value: Json, *, where: str = "$") -> bytes:
    """Compact JSON in UTF-8, in serde's shape: no spaces, nothing escaped that need not be, key order kept.

    Subclasses of ``dict``, ``list``, ``str``, ``int`` and ``float`` (a ``StrEnum``, a ``defaultdict``) are
    written as what they are equal to.

    Args:
        value: a JSON value, at most `MAX_DEPTH` deep.
        where: what the path in an error starts with.

    Raises:
        NotRecordable: NaN, infinity, a lone surrogate, a key that is no str, a tuple or any other type that
            would come back as something else, a circular reference, or too much depth; names the path.
    """
    if not _is_plain(value):
        value = _plain(value, where, set())
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError) as error:
        _plain(value, where, set())
        raise NotRecordable(where, f"cannot be written as JSON ({error})") from error


def pretty(value: Json, *, where: str = "$") -> bytes:
    """The same as `encode` for people to read: indented by two spaces, with a newline at the end.

    Raises:
        NotRecordable: see `encode`.
    """
    return to_json(decode(encode(value, where=where)), indent=2) + b"\n"


def spell(value: Json) -> bytes:
    """The spelling of `encode` with nothing checked: for what `decode` gave, or what is only searched.

    A third of the time. What is no JSON value may be spelled like one (a tuple, NaN).

    Raises:
        ValueError: it has no spelling at all (a lone surrogate, an unknown type, a circular reference).
    """
    return to_json(value)


def decode(data: bytes | str) -> Json:
    """Read one JSON value, integers of any size exactly.

    Raises:
        BrokenJson: not JSON, or NaN, infinity, a number beyond a double, a duplicate key, a lone surrogate,
            a byte order mark, invalid UTF-8, or nesting deeper than `MAX_READ_DEPTH`.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    # The fast parser lets duplicate keys and 1e400 pass. But a text that is written again to the very same letters,
    # but for blanks, held neither.
    try:
        value = from_json(raw, allow_inf_nan=False)
        spelled = to_json(value)
        same = spelled == raw or spelled.translate(None, b" ") == raw.translate(None, _BLANKS)
        if same and not is_deeper(value, MAX_READ_DEPTH, raw):
            return value
    except ValueError:
        pass
    return _decode_carefully(raw)


def is_deeper(value: Json, most: int, data: bytes) -> bool:
    """Whether more than so many arrays and objects lie inside one another.

    Args:
        value: what `decode` gave.
        most: how many there may be.
        data: the value's spelling: nearly always its brackets, once counted, settle it.
    """
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    level = [value]
    for _ in range(most + 1):
        level = [item for item in level if type(item) in _NESTING]
        if not level:
            return False
        level = [each for item in level for each in (item.values() if type(item) is dict else item)]
    return True


def equal(a: Json, b: Json) -> bool:
    """JSON identity: ``true`` is not 1, 1 is 1.0, -0 is 0, the order of keys does not count."""
    # Python's == differs from JSON identity in one point only: True == 1. It also compares an integer with
    # a float exactly, however big.
    return bool(a == b) and _same_bools(a, b)


def canonical(value: Json) -> bytes:
    """One spelling for all equal values, and for them only.

    ``canonical(x) == canonical(y)`` exactly where ``equal(x, y)``. Keys are sorted by code point, a number
    without a fraction is written as an integer. For comparing and hashing, not for storing.
    """
    text = _SORTED.encode(value)
    # Every float without a fraction is printed with ".0" or, from 1e16 up, "e+". A string that looks like one of
    # these costs the slower way, never a wrong answer.
    if (".0" in text or "e+" in text) and _WHOLE_FLOAT.search(text):
        text = _SORTED.encode(_whole_numbers_as_int(value))
    return text.encode("utf-8", "surrogatepass")


def digest(value: Json) -> str:
    """32 hex digits (BLAKE2b, 16 bytes) of the canonical spelling; equal values have equal digests."""
    return hashlib.blake2b(canonical(value), digest_size=16).hexdigest()


_BLANKS = b" \t\r\n"
_NESTING = frozenset({dict, list})

_WHOLE_FLOAT = re.compile(r"(?:\A|[\[:,])-?\d+(?:\.0(?=[,\]}]|\Z)|(?:\.\d+)?e\+)")

_SORTED = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _is_plain(value: Json) -> bool:
    """Whether a value holds exact JSON types only, each container once, and is not too deep.

    Level by level: the fastest way found in Python (2 µs for an event; reading back what is written costs as much), and
    it counts the depth for free. False may also mean "look closer": a container met twice is either shared or
    circular.
    """
    level: list[Any] = [value]
    seen: set[int] = set()
    keys: list[Any] = []
    for depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind in _HARMLESS:
                continue
            if kind is dict:
                keys += item
                below += item.values()
            elif kind is list:
                below += item
            elif _number_fault(item):
                return False
            else:
                continue
            if depth == MAX_DEPTH or (identity := _identity(item)) in seen:
                return False
            seen.add(identity)
        if not below:
            return _TEXT.issuperset(map(type, keys))
        level = below
    return False


_identity = object.__hash__
"""Tells containers apart as `id` does, which would call the audit hooks of `boundaries.guard` each time."""
_TEXT = frozenset({str})
_HARMLESS = frozenset({str, bool, type(None)})


def _number_fault(item: Any) -> str:
    """Why this is no number that JSON holds, or ""."""
    kind = type(item)
    if kind is int:
        return "has more than 4300 digits" if item.bit_length() > _MAX_INT_BITS else ""
    if kind is float:
        return "" if isfinite(item) else f"{item} is no JSON number"
    return f"{kind.__module__}.{kind.__qualname__} is no JSON type".removeprefix("builtins.")


def _plain(value: Any, path: str, above: set[int]) -> Json:
    """The same value in exact JSON types; the slow and exact way, which knows where it is.

    ``above`` holds the ids of the containers that ``value`` lies in.

    Raises:
        NotRecordable: see `encode`.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int | float):
        number = int.__int__(value) if isinstance(value, int) else float.__float__(value)
        if fault := _number_fault(number):
            raise NotRecordable(path, fault)
        return number
    if not isinstance(value, dict | list):
        raise NotRecordable(path, _number_fault(value), _way_out(value))
    if id(value) in above:
        raise NotRecordable(path, "refers back to an object that it lies in")
    if len(above) == MAX_DEPTH:
        raise NotRecordable(path, f"is nested deeper than {MAX_DEPTH} levels")
    above.add(id(value))
    try:
        if isinstance(value, list):
            return [_plain(item, f"{path}[{index}]", above) for index, item in enumerate(value)]
        return {_plain_key(key, path): _plain(item, f"{path}[{key!r}]", above) for key, item in value.items()}
    finally:
        above.discard(id(value))


def _plain_key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise NotRecordable(
            path, f"the key {key!r} is no str ({type(key).__name__})", "JSON would bring it back as text"
        )
    return _plain_text(key, path)


def _plain_text(text: str, path: str) -> str:
    plain = str.__str__(text)
    try:
        plain.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotRecordable(
            path, f"holds the lone surrogate {plain[error.start]!r} at character {error.start}"
        ) from error
    return plain


def _way_out(value: Any) -> str:
    if isinstance(value, tuple):
        return "it would come back as a list: pass a list"
    return "it would come back as something else: convert it to str, int, float, bool, None, list or dict"


def _decode_carefully(raw: bytes) -> Json:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        raise BrokenJson(f"byte 0x{raw[error.start]:02x} is not UTF-8", len(before) + 1) from error
    if text.startswith("\ufeff"):
        raise BrokenJson("starts with a byte order mark", 1)
    try:
        value = _CAREFUL.decode(text)
    except json.JSONDecodeError as error:
        # pos, not colno: "column" is a place within the text we were given, whatever newlines it holds.
        raise BrokenJson(_lower_first(error.msg.removesuffix(" at")), error.pos + 1) from error
    except RecursionError as error:
        raise BrokenJson(_TOO_DEEP) from error
    except BrokenJson:
        raise
    except ValueError as error:
        raise BrokenJson("holds an integer of more than 4300 digits") from error
    _refuse_unwritable(value, raw)
    return value


_TOO_DEEP = f"is nested deeper than {MAX_READ_DEPTH} levels"


def _refuse_unwritable(value: Json, raw: bytes) -> None:
    """Lone surrogates (only an escape can have brought one) and too much depth."""
    if b"\\u" in raw:
        try:
            _SORTED.encode(value).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BrokenJson(f"holds the lone surrogate \\u{ord(error.object[error.start]):04x}") from error
    if is_deeper(value, MAX_READ_DEPTH, raw):
        raise BrokenJson(_TOO_DEEP)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys: set[str] = set()
        twice = next(key for key, _ in pairs if key in keys or keys.add(key))  # type: ignore[func-returns-value]
        raise BrokenJson(f"the key {twice!r} stands twice in one object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise BrokenJson(f"the number {digits} is too big for a double")
    return number


def _no_constant(name: str) -> NoReturn:
    raise BrokenJson(f"{name} is no JSON number")


_CAREFUL = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _same_bools(a: Json, b: Json) -> bool:
    """Whether two values that Python calls equal have their booleans in the same places."""
    if isinstance(a, dict):
        return all(_same_bools(item, b[key]) for key, item in a.items())
    if isinstance(a, list):
        return all(map(_same_bools, a, b))
    return isinstance(a, bool) is isinstance(b, bool)


def _whole_numbers_as_int(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _whole_numbers_as_int(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_numbers_as_int(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
