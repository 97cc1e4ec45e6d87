"""The kinds of values that a setting takes: each reads a Python or TOML value, and the text of an ini file."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    import enum

# Each method that a dataclass makes is compiled in every session, also in one that does not use the plugin: the classes
# of this room, and of the plugin's modules, have those that somebody calls.

_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_MOST_SHOWN = 200


class SettingKind(Protocol):
    """What values a setting takes."""

    @property
    def ini(self) -> Literal["string", "linelist"]:
        """The type of the ini key, as ``parser.addini`` takes it."""

    @property
    def valid(self) -> str:
        """What is valid, as a message and the README say it."""

    def read(self, value: Any, origin: str) -> Any:
        """The setting's value from a value of Python or TOML.

        Raises:
            UsageError: the value is wrong; the text names the origin, the value and what is valid.
        """

    def parse(self, text: str, origin: str) -> Any:
        """The setting's value from the text of an ini file, a command line or an environment variable.

        Raises:
            UsageError: as for `read`.
        """


def _refusal(value: object, origin: str, valid: str) -> UsageError:
    """The error for a wrong value."""
    shown = repr(value)
    if len(shown) > _MOST_SHOWN:
        shown = f"{shown[:_MOST_SHOWN]}…"
    return UsageError(f"{origin}: {shown} is not {valid}")


def _check(dotted: str, value: Any, origin: str) -> Any:
    """Call ``module:function`` with a value and its origin.

    The table stands below the rooms that use the values, so a reader is named, and imported where it is needed.
    """
    module, _, name = dotted.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found(value, origin)


@dataclass(slots=True, eq=False, repr=False)
class Choice:
    """One of a few words.

    Attributes:
        words: their enumeration.
    """

    words: type[enum.Enum]
    ini: ClassVar[Literal["string"]] = "string"

    @property
    def valid(self) -> str:
        """The words."""
        return "one of: " + ", ".join(member.value for member in self.words)

    def read(self, value: Any, origin: str) -> Any:
        """The member that a word names; a member is taken as it is."""
        try:
            return self.words(value)
        except ValueError:
            raise _refusal(value, origin, self.valid) from None

    def parse(self, text: str, origin: str) -> Any:
        """The member that a word names."""
        return self.read(text.strip(), origin)


@dataclass(slots=True, eq=False, repr=False)
class PlainText:
    """A string.

    Attributes:
        folder: the string names one folder, without a path.
    """

    folder: bool = False
    ini: ClassVar[Literal["string"]] = "string"

    @property
    def valid(self) -> str:
        """What the string is."""
        return "the name of a folder" if self.folder else "a string"

    def read(self, value: Any, origin: str) -> str:
        """The string."""
        if not isinstance(value, str) or (self.folder and not _is_folder(value)):
            raise _refusal(value, origin, self.valid)
        return value

    parse = read


def _is_folder(name: str) -> bool:
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\\0")


@dataclass(slots=True, eq=False, repr=False)
class Flag:
    """True or false."""

    ini: ClassVar[Literal["string"]] = "string"
    valid = "true or false"

    def read(self, value: Any, origin: str) -> bool:
        """The flag."""
        if isinstance(value, bool):
            return value
        raise _refusal(value, origin, self.valid)

    def parse(self, text: str, origin: str) -> bool:
        """The flag that a word names."""
        return self.read(_FLAGS.get(text.strip().lower(), text), origin)


@dataclass(slots=True, eq=False, repr=False)
class Number:
    """A whole number.

    Attributes:
        flag: true and false are values, too.
        least: the least one.
    """

    flag: bool = False
    least: int = 0
    ini: ClassVar[Literal["string"]] = "string"

    @property
    def valid(self) -> str:
        """The numbers."""
        number = f"a number from {self.least}"
        return f"true, false or {number}" if self.flag else number

    def read(self, value: Any, origin: str) -> int:
        """The number, or the flag."""
        if isinstance(value, int) and value >= self.least and (self.flag or not isinstance(value, bool)):
            return value
        raise _refusal(value, origin, self.valid)

    def parse(self, text: str, origin: str) -> int:
        """The number in a text; ``0`` and ``1`` are numbers."""
        word = text.strip().lower()
        if word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER:
            return self.read(int(word), origin)
        return self.read(_FLAGS.get(word, text), origin)


_LONGEST_NUMBER = 1000
"""Python itself refuses to read numbers of more than 4300 digits."""


@dataclass(slots=True, eq=False, repr=False)
class Rate:
    """A share of all."""

    ini: ClassVar[Literal["string"]] = "string"
    valid = "a rate from 0 to 1, like 0.9"

    def read(self, value: Any, origin: str) -> float:
        """The rate."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
        raise _refusal(value, origin, self.valid)

    def parse(self, text: str, origin: str) -> float:
        """The rate in a text."""
        word = text.strip()
        return self.read(float(word) if re.fullmatch(_RATE, word) else text, origin)


_RATE = r"[01](\.[0-9]{0,9})?|\.[0-9]{1,9}"


@dataclass(slots=True, repr=False)
class MaxAge:
    """How old a golden may be.

    Attributes:
        days: in days.
        fails: an older one fails the session; else it is named.
    """

    days: int
    fails: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Age:
    """An age in days, weeks or years, and whether what is older fails."""

    ini: ClassVar[Literal["string"]] = "string"
    valid = "an age like 90d, 12w or 1y; `90d fail` fails"

    def read(self, value: Any, origin: str) -> MaxAge:
        """The age."""
        if isinstance(value, MaxAge):
            return value
        found = re.fullmatch(_AGE, value.strip()) if isinstance(value, str) else None
        if found is None:
            raise _refusal(value, origin, self.valid)
        return MaxAge(int(found["count"]) * _DAYS[found["unit"]], found["fail"] is not None)

    parse = read


_AGE = r"(?P<count>[0-9]{1,6})(?P<unit>[dwy])(?P<fail>\s+fail)?"
_DAYS = {"d": 1, "w": 7, "y": 365}


@dataclass(slots=True, eq=False, repr=False)
class Lines:
    """Several strings: a list, or a line each.

    Attributes:
        check: ``module:function`` that is called with the strings and their origin, and raises `UsageError`.
        flag: true and false are values, too: all, or none.
    """

    check: str = ""
    flag: bool = False
    ini: ClassVar[Literal["linelist"]] = "linelist"

    @property
    def valid(self) -> str:
        """The strings."""
        return ("true, false, " if self.flag else "") + "a string or a list of strings"

    def read(self, value: Any, origin: str) -> bool | tuple[str, ...]:
        """The strings; a single one may stand alone."""
        if self.flag and isinstance(value, bool):
            return value
        lines = (value,) if isinstance(value, str) else value
        if not isinstance(lines, list | tuple | set | frozenset) or not all(
            isinstance(line, str) for line in lines
        ):
            raise _refusal(value, origin, self.valid)
        lines = tuple(lines)
        if lines and self.check:  # only who says something pays for the import
            _check(self.check, lines, origin)
        return lines

    def parse(self, text: str, origin: str) -> bool | tuple[str, ...]:
        """The strings, one a line."""
        if self.flag and text.strip().lower() in _FLAGS:
            return _FLAGS[text.strip().lower()]
        return self.read([line.strip() for line in text.splitlines() if line.strip()], origin)


@dataclass(slots=True, eq=False, repr=False)
class Table:
    """Words by name: a dict or a TOML table, or lines like ``refund = feed``.

    Attributes:
        words: the words' enumeration.
        examples: lines that are right, for messages.
    """

    words: type[enum.Enum]
    examples: str
    ini: ClassVar[Literal["linelist"]] = "linelist"

    @property
    def valid(self) -> str:
        """The table."""
        return f"a table or lines like {self.examples}"

    def read(self, value: Any, origin: str) -> tuple[tuple[str, Any], ...]:
        """The pairs of the table, in order."""
        if isinstance(value, str):
            value = [value]
        if isinstance(value, dict):
            pairs = list(value.items())
        elif isinstance(value, list | tuple):
            pairs = [self._pair(line, origin) for line in value]
        else:
            raise _refusal(value, origin, self.valid)
        found = []
        for name, word in pairs:
            if not isinstance(name, str):
                raise _refusal(name, f"{origin}: the key", "a string")
            found.append((name, Choice(self.words).read(word, f"{origin}: {name}")))
        return tuple(found)

    def _pair(self, line: object, origin: str) -> tuple[str, str]:
        name, _, word = (
            (part.strip() for part in line.rpartition("=")) if isinstance(line, str) else ("", "", "")
        )
        if not name:
            raise _refusal(line, origin, f"like {self.examples}")
        return name, word

    def parse(self, text: str, origin: str) -> tuple[tuple[str, Any], ...]:
        """The pairs, one a line."""
        return self.read([line for line in text.splitlines() if line.strip()], origin)


@dataclass(slots=True, eq=False, repr=False)
class Objects:
    """A list of Python objects, which no file can hold.

    Attributes:
        reader: ``module:function`` that is called with the list and its origin, and returns the setting's value.
        valid: what is valid, beginning with "a list of".
    """

    reader: str
    valid: str
    ini: ClassVar[Literal["string"]] = "string"

    def read(self, value: Any, origin: str) -> Any:
        """The value that the reader returns."""
        if not isinstance(value, list | tuple):
            raise _refusal(value, origin, self.valid)
        return _check(self.reader, value, origin)

    parse = read
