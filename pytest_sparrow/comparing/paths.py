"""Reads, prints and matches paths, which say without indices where in an event or a request a value stands.

A path is a tuple of steps: the root's name, then ``".key"`` for a key and ``"[label"`` for a label. The label
after the root is the tool's name or the role; the label of a list's element is its role or name, or "".

Printed: ``ToolUseStarted[refund].args['lines'][]['qty']``, ``request.messages[system].content``. In an event
the first key is dotted (a field of the format) and the ones below stand in brackets (the user's data); in a
request every key that is a plain word is dotted. What `render` prints, `parse` reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.errors import UsageError
from pytest_sparrow.text import printable, unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Path", "Pattern", "check_paths", "element_label", "matches", "parse", "render"]

Path: TypeAlias = tuple[str, ...]
"""Steps as in the module's docstring."""

Pattern: TypeAlias = tuple[str, ...]
"""A path in which ``*`` stands for any run of characters within a step."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN_LABEL = re.compile(r"[\w./:@+\-]*\Z", re.ASCII)
_ROOT = re.compile(r"[A-Za-z_*][\w*]*")
_STEP = re.compile(
    r"""\.(?P<word>[A-Za-z_*][\w*]*)
      | \['(?P<key>(?:[^'\\]|\\.)*)'\]
      | \["(?P<quoted>(?:[^"\\]|\\.)*)"\]
      | \[(?P<label>[^\]'"]*)\]""",
    re.VERBOSE,
)


def render(path: Path) -> str:
    """The path as reports print it: one line, printable characters only."""
    root, *steps = path
    all_dotted = root == "request"
    parts = [root]
    keys = 0
    for step in steps:
        name = step[1:]
        if step[0] == "[":
            parts.append(f"[{name}]" if _PLAIN_LABEL.match(name) else f'["{printable(name, chr(34))}"]')
        else:
            dotted = (all_dotted or keys == 0) and _WORD.match(name)
            parts.append(f".{name}" if dotted else f"['{printable(name, chr(39))}']")
            keys += 1
    return "".join(parts)


def check_paths(paths: Iterable[str], origin: str) -> None:
    """Check the paths of a setting.

    Raises:
        UsageError: a text is no path; the message names the origin.
    """
    for path in paths:
        try:
            parse(path)
        except UsageError as error:
            raise UsageError(f"{origin}: {error}") from None


def parse(text: str) -> Pattern:
    """Read a path as printed, or one with ``*``.

    Raises:
        UsageError: the text is no path, or holds an index.
    """
    root = _ROOT.match(text)
    if root is None:
        raise UsageError(f"{text!r} is no path: it begins with an event type or 'request'.\n  {_EXAMPLE}")
    steps = [root.group()]
    at = root.end()
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise UsageError(f"{text!r} is no path: {text[at:]!r} can't be read.\n  {_EXAMPLE}")
        label = step["label"]
        if label is not None and label.isdecimal() and len(steps) > 1:
            raise UsageError(f"{text!r}: paths have no indices, write [] for [{label}].\n  {_EXAMPLE}")
        steps.append(_step(step))
        at = step.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> str:
    if match["word"] is not None:
        return "." + match["word"]
    if match["key"] is not None:
        return "." + unescaped(match["key"])
    return "[" + (unescaped(match["quoted"]) if match["quoted"] is not None else match["label"])


_EXAMPLE = "Copy it from a report, like ToolUseStarted[refund].args['amount']; * matches any name."


def matches(pattern: str, step: str) -> bool:
    """Whether one step of a pattern fits a step of a path; ``[]`` fits every element."""
    if pattern in (step, "[") and pattern[0] == step[0]:
        return True
    if "*" not in pattern:
        return False
    glob = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(glob, step, re.DOTALL) is not None


def element_label(element: object) -> str:
    """What a list's element is called in a path: its role, its name, its function's name, or ""."""
    if not isinstance(element, dict):
        return ""
    for key in ("role", "name"):
        if isinstance(element.get(key), str):
            return str(element[key])
    function = element.get("function")
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return str(function["name"])
    return ""
