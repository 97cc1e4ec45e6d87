"""Changes of inputs that keep most of them readable: of one JSON value among lines and parts, else of bytes.

A byte-wise fuzzer spends its time on broken JSON. Half of the changes here are of a parsed value: a part is taken out,
doubled, put elsewhere, or replaced by a word that the package knows.
"""

from __future__ import annotations

import copy
import json
import random
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Mutator"]

_ENDS = re.compile(rb"([\x00\n])")
_BYTES = b'"\\{}[],:=&?%+-/@<>#;. \r\t0123456789abefnrtuxAEZ_\x00\x80\xff\xef\xc3'
_DATA = b"data: "
_MOST_NODES = 400
_NUMBERS = (0, 1, -1, 2, 127, 2**31, 2**53 + 1, 2**63, 2**64, -0.0, 0.5, 1e16, 1e308, 10**40)


class Mutator:
    """Changes inputs.

    (``atheris.Mutate`` would do for bytes, but refuses in atheris 3.0.)

    Args:
        words: texts and names that readers know.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """One to four changes."""
        rng = random.Random(seed)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
            data = self._changed(rng, data)
        return data[:max_size]

    def cross(self, data: bytes, other: bytes, max_size: int, seed: int) -> bytes:
        """A line or a value of the other input in a place of this one."""
        rng = random.Random(seed)
        pieces, given = _ENDS.split(data), _ENDS.split(other)
        at, taken = rng.randrange(0, len(pieces), 2), rng.randrange(0, len(given), 2)
        mine, theirs = _read(pieces[at]), _read(given[taken])
        if mine is None or theirs is None or rng.random() < 0.3:
            pieces[at : at + rng.randrange(2)] = [given[taken]]
        else:
            value = copy.deepcopy(rng.choice(_nodes(theirs)))
            pieces[at] = _spelled(self._put(rng, mine, value), rng)
        return b"".join(pieces)[:max_size]

    def _changed(self, rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.15:
            return self._of_bytes(rng, data)
        pieces = _ENDS.split(data)
        if len(pieces) > 1 and rng.random() < 0.2:
            return b"".join(_moved(rng, pieces))
        at = rng.randrange(0, len(pieces), 2)
        field = _DATA if pieces[at].startswith(_DATA) else b""
        value = _read(pieces[at].removeprefix(field))
        if value is None:
            pieces[at] = self._of_bytes(rng, pieces[at])
        else:
            pieces[at] = field + _spelled(self._of_value(rng, value), rng)
        return b"".join(pieces)

    def _of_bytes(self, rng: random.Random, text: bytes) -> bytes:
        at = rng.randrange(len(text) + 1)
        stop = min(len(text), at + rng.choice((0, 1, 1, 2, 4, 8, 16, 64)))
        match rng.randrange(9):
            case 0:
                return text[:at] + text[stop:]
            case 1:
                return text[:stop] + text[at:stop] * rng.choice((1, 1, 2, 20)) + text[stop:]
            case 2:
                return text[:at]
            case 3 | 4:
                return (
                    text[:at]
                    + bytes([rng.choice(_BYTES) if rng.random() < 0.7 else rng.randrange(256)])
                    + text[at + rng.randrange(2) :]
                )
            case 5 if text:
                at = min(at, len(text) - 1)
                return text[:at] + bytes([text[at] ^ 1 << rng.randrange(8)]) + text[at + 1 :]
            case 6 if text:
                other = rng.randrange(len(text))
                return text[:at] + text[other : other + rng.randrange(24)] + text[stop:]
            case _:
                return self._spliced(rng, text)

    def _spliced(self, rng: random.Random, text: bytes) -> bytes:
        at = rng.randrange(len(text) + 1)
        word = rng.choice(self._words).encode("utf-8", "surrogatepass")
        return text[:at] + word + text[at + rng.choice((0, 0, 1, len(word))) :]

    def _of_value(self, rng: random.Random, value: Any) -> Any:
        if rng.random() < 0.25:
            return self._put(rng, value, copy.deepcopy(rng.choice(_nodes(value))))
        containers = [node for node in _nodes(value) if isinstance(node, dict | list)]
        if not containers:
            return self._leaf(rng, value)
        container = rng.choice(containers)
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys or rng.random() < 0.15:
            _add(container, rng.choice(self._words), self._leaf(rng, None), rng)
            return value
        key = rng.choice(keys)
        match rng.randrange(8):
            case 0:
                del container[key]
            case 1:
                _add(container, rng.choice(self._words), copy.deepcopy(container[key]), rng)
            case 2 if isinstance(container, dict):
                container[rng.choice(self._words)] = container.pop(key)
            case 3:
                container[key] = rng.choice(([container[key]], {rng.choice(self._words): container[key]}))
            case 4:
                container[key] = json.dumps(container[key], ensure_ascii=rng.random() < 0.5)
            case 5 if isinstance(container[key], str):
                container[key] = _read(container[key].encode("utf-8", "surrogatepass")) or self._leaf(
                    rng, container[key]
                )
            case _:
                container[key] = self._leaf(rng, container[key])
        return value

    def _put(self, rng: random.Random, value: Any, part: Any) -> Any:
        containers = [node for node in _nodes(value) if isinstance(node, dict | list) and node]
        if not containers:
            return part
        container = rng.choice(containers)
        if rng.random() < 0.5:
            _add(container, rng.choice(self._words), part, rng)
        else:
            container[
                rng.choice(list(container) if isinstance(container, dict) else range(len(container)))
            ] = part
        return value

    def _leaf(self, rng: random.Random, old: Any) -> Any:
        if isinstance(old, str) and rng.random() < 0.6:
            spelled = old.encode("utf-8", "surrogatepass")
            changed = self._of_bytes(rng, spelled)
            return changed.decode("utf-8", "replace")
        if isinstance(old, int) and not isinstance(old, bool) and rng.random() < 0.5:
            return old + rng.choice((-1, 1, 2, 16))
        match rng.randrange(8):
            case 0:
                return rng.choice((None, True, False, [], {}, ""))
            case 1:
                return rng.choice(_NUMBERS)
            case 2:
                return rng.choice(self._words) + rng.choice(self._words)
            case 3:
                return rng.choice(("\ud83d", "\ude00", "\ufeff", "\u2028", "\r", "é", "\x85"))
            case _:
                return rng.choice(self._words)


def _add(container: Any, name: str, value: Any, rng: random.Random) -> None:
    if isinstance(container, dict):
        container[name] = value
    else:
        container.insert(rng.randrange(len(container) + 1), value)


def _moved(rng: random.Random, pieces: list[bytes]) -> list[bytes]:
    at, other = (rng.randrange(0, len(pieces), 2) for _ in range(2))
    match rng.randrange(4):
        case 0:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        case 1:
            del pieces[at : at + 2]
        case 2:
            pieces[at:at] = [pieces[other], rng.choice((b"\n", b"\n", b"\x00"))]
        case _:
            pieces[at] = pieces[other]
    return pieces


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _spelled(value: Any, rng: random.Random) -> bytes:
    try:
        spelled = json.dumps(
            value, ensure_ascii=rng.random() < 0.1, separators=rng.choice(((",", ":"), (",", ":"), None))
        )
    except (ValueError, RecursionError):
        return b"null"
    return spelled.encode("utf-8", "surrogatepass")


def _nodes(value: Any) -> list[Any]:
    found, left = [], [value]
    while left and len(found) < _MOST_NODES:
        node = left.pop()
        found.append(node)
        if isinstance(node, dict):
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return found
