"""A function call of Gemini's whose arguments may come in pieces (Vertex: ``streamFunctionCallArguments``).

Format: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/PartialArg; each piece names its
place by a JSON path such as ``$.items[0].name``, and pieces of one text follow each other.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING

from pytest_sparrow.providers.values import holdable
from pytest_sparrow.providers.wire import as_dict, as_list, raw_text
from pytest_sparrow.recording.codec import Proposal

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["CallPieces"]

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_MOST_ITEMS = 10_000
"""Items that the pieces of one call may add to its lists: a list is filled up to an index, at each of many levels."""

_DEEPEST = 50


class CallPieces:
    """One call under way.

    Args:
        call_id: its id.
        name: the function's name.
    """

    def __init__(self, call_id: str, name: str) -> None:
        self._id = call_id
        self._name = name
        self._args: Json = None
        self._whole = False
        self._texts: dict[str, list[str]] = {}
        self._values: dict[str, Json] = {}
        self._room = _MOST_ITEMS

    def add(self, call: dict[str, Json]) -> None:
        """Take in the call, or its next piece."""
        more = call.get("willContinue", call.get("will_continue"))
        self._whole = more is not True
        if call.get("args") is not None:
            self._args = call["args"]
        pieces = call.get("partialArgs")
        for piece in map(as_dict, as_list(call.get("partial_args") if pieces is None else pieces)):
            path = raw_text(piece.get("jsonPath")) or raw_text(piece.get("json_path"))
            text = piece.get("stringValue", piece.get("string_value"))
            if isinstance(text, str):
                self._texts.setdefault(path, []).append(text)
                self._values.setdefault(path, "")
            else:
                self._values[path] = _scalar(piece)

    def proposal(self) -> Proposal:
        """The call; as long as more of it is announced, its arguments are text, since they are not whole."""
        args = {} if self._args is None else self._args
        if self._values:
            args = copy.deepcopy(args)
        self._room = _MOST_ITEMS
        for path, value in self._values.items():
            args = self._placed(
                args, _steps(path), "".join(self._texts[path]) if path in self._texts else value
            )
        args = holdable(args)
        return Proposal(self._id, self._name, args if self._whole else json.dumps(args, ensure_ascii=False))

    @property
    def open(self) -> bool:
        """Whether more of it is announced."""
        return not self._whole

    def _placed(self, value: Json, steps: list[str | int], leaf: Json) -> Json:
        """The value with the leaf at the end of the steps; changes it in place where it can."""
        if not steps:
            return leaf
        step, *rest = steps
        if isinstance(step, str):
            value = value if isinstance(value, dict) else {}
            value[step] = self._placed(value.get(step), rest, leaf)
            return value
        items = value if isinstance(value, list) else []
        missing = max(step + 1 - len(items), 0)
        if missing <= self._room:
            self._room -= missing
            items += [None] * missing
            items[step] = self._placed(items[step], rest, leaf)
        return items


def _steps(path: str) -> list[str | int]:
    steps = (
        (_index(index) if index else name or one or two) for name, index, one, two in _STEP.findall(path)
    )
    return list(steps)[:_DEEPEST]


def _index(digits: str) -> int:
    # Python refuses to read 4301 digits.
    return int(digits) if len(digits) < 10 else 10**9


def _scalar(piece: dict[str, Json]) -> Json:
    for key in ("numberValue", "number_value", "boolValue", "bool_value"):
        if key in piece:
            return piece[key]
    return None
