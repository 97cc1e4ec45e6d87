"""Notes the local time zone of a recording, and puts it in place in a replay."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import ItemPatch

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["Zone", "zone_here"]

_LOCALTIME = Path("/etc/localtime")
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*\Z")
_ABBREVIATION = re.compile(r"[A-Za-z]{3,}\Z")


def zone_here(moment: float) -> dict[str, Json]:
    """The local time zone of this process, as a golden notes it.

    Args:
        moment: seconds since the epoch; the offset may depend on it.

    Returns:
        ``zone`` (the IANA name, or None where it can't be known) and ``tz`` (a POSIX ``TZ`` text that gives the same
        local time at that moment, for machines that don't know the name).
    """
    said = os.environ.get("TZ", "").removeprefix(":")
    name = said.rpartition("zoneinfo/")[2] if said else _linked()
    if name is not None and not _fits(name, moment):
        name = None
    own = said and name is None and "/" not in said
    return {"zone": name, "tz": said if own else _posix(moment)}


def _linked() -> str | None:
    """The name behind /etc/localtime, where that is a link into the time zone database."""
    try:
        target = str(_LOCALTIME.readlink())
    except OSError:
        return None
    _, found, name = target.rpartition("zoneinfo/")
    return name.removeprefix("posix/") if found else None


def _fits(name: str, moment: float) -> bool:
    """Whether the time zone database has the name, with the offset that the local time has."""
    import datetime as dt
    import zoneinfo

    if not _NAME.match(name):
        return False
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    offset = dt.datetime.fromtimestamp(moment, zone).utcoffset()
    return offset is not None and offset.total_seconds() == time.localtime(moment).tm_gmtoff


def _posix(moment: float) -> str:
    """``CET-1`` for an hour east of Greenwich: POSIX counts westwards."""
    local = time.localtime(moment)
    west = -local.tm_gmtoff
    hours, seconds = divmod(abs(west), 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = (
        f"{hours}" + (f":{minutes:02}" if minutes or seconds else "") + (f":{seconds:02}" if seconds else "")
    )
    name = local.tm_zone
    if not _ABBREVIATION.match(name):
        name = f"<{'-' if west > 0 else '+'}{hours:02}{minutes:02}>"
    return f"{name}{'-' if west < 0 else ''}{clock}"


class Zone:
    """The local time zone of a golden. It is put in place for the whole process, since local time is the process's.

    Nothing changes where the golden notes no time zone, or the system can't change its own (Windows).

    Args:
        noted: what `zone_here` gave.
        moment: seconds since the epoch, at which name and ``tz`` must agree.
    """

    def __init__(self, noted: Json, moment: float) -> None:
        self._noted = noted
        self._moment = moment
        self._patch: ItemPatch | None = None

    def set(self) -> None:
        """Put the zone in place."""
        wanted = _wanted(self._noted)
        if not wanted or not hasattr(time, "tzset") or _is_here(self._noted, self._moment):
            return
        # A name that the system doesn't know silently means UTC, as its offset shows.
        known = _offset(wanted[0], self._moment) == _offset(wanted[-1], self._moment)
        self._patch = ItemPatch(os.environ, "TZ", wanted[0] if known else wanted[-1]).apply()
        time.tzset()

    def restore(self) -> None:
        """Put the former zone back, unless somebody has set another one. May be called again, as `Patch.restore`."""
        if self._patch is not None:
            self._patch.restore()
            time.tzset()


def _wanted(noted: Json) -> list[str]:
    """Texts for ``TZ``, the best one first."""
    if not isinstance(noted, dict):
        return []
    texts = [noted.get("zone"), noted.get("tz")]
    return [text for text in texts if isinstance(text, str) and text and "\0" not in text]


def _is_here(noted: dict[str, Json], moment: float) -> bool:
    here = zone_here(moment)
    if noted.get("zone") is not None:
        return bool(here["zone"] == noted["zone"])
    return bool(here["tz"] == noted.get("tz"))


def _offset(text: str, moment: float) -> int:
    """The offset from UTC that a ``TZ`` text means at a moment, in seconds."""
    with ItemPatch(os.environ, "TZ", text):
        time.tzset()
        return time.localtime(moment).tm_gmtoff
