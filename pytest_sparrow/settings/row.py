"""What a row of the table of settings holds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sparrow.settings.kinds import SettingKind


class SettingPlace(enum.Flag):
    """Where a setting may stand. The first member that says something wins, the command line over all."""

    COMMAND_LINE = enum.auto()
    MARKER = enum.auto()
    FOLDER = enum.auto()
    """The fixture ``sparrow_settings`` of a conftest.py."""
    ENVIRONMENT = enum.auto()
    INI = enum.auto()

    @property
    def shown(self) -> str:
        """The places, as the README names them."""
        return ", ".join(_PLACES[place] for place in SettingPlace if place in self)


_PLACES = {
    SettingPlace.COMMAND_LINE: "command line",
    SettingPlace.MARKER: "marker",
    SettingPlace.FOLDER: "folder",
    SettingPlace.ENVIRONMENT: "environment",
    SettingPlace.INI: "ini",
}
USUAL = SettingPlace.MARKER | SettingPlace.FOLDER | SettingPlace.INI
PYTHON = SettingPlace.MARKER | SettingPlace.FOLDER


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Setting:
    """One row of the table.

    Attributes:
        name: the name in markers, in ``sparrow_settings`` and of the attribute of `Settings`.
        kind: what values the setting takes.
        default: the value where nobody says anything.
        help: what the setting means.
        places: where the setting may stand.
        default_shown: the default as the README says it, where that is not the value.
        adds: an ini file's lines are added to the default; elsewhere they replace it.
    """

    name: str
    kind: SettingKind
    default: Any
    help: str
    places: SettingPlace
    default_shown: str
    adds: bool

    @property
    def key(self) -> str:
        """The key in an ini file."""
        return f"sparrow_{self.name}"

    @property
    def option(self) -> str:
        """The option of the command line."""
        return f"--sparrow-{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"SPARROW_{self.name.upper()}"


def row(
    kind: SettingKind,
    says: str,
    *,
    default: Any,
    places: SettingPlace = USUAL,
    default_shown: str | None = None,
    adds: bool = False,
) -> Any:
    """A row of the table, as a field of the dataclass `Settings`, which gives it its name; see `Setting`."""
    if default_shown is None:
        default_shown = _shown(default)
    setting = Setting(
        name="", kind=kind, default=default, help=says, places=places, default_shown=default_shown, adds=adds
    )
    return field(default=default, metadata={"row": setting})


def _shown(default: Any) -> str:
    if default in ((), None):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return str(default.value if isinstance(default, enum.Enum) else default)
