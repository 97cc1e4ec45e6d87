"""Names the zone of a time, and puts a time into the zone of that name."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

_NAMED = "timezone "
_OF_DATEUTIL = "dateutil:"
"""boto3 gives all its times in dateutil's zones."""


def name_of(zone: Any) -> str:
    """The name by which a time's zone comes back; "" where the offset that JSON shows says it all."""
    if isinstance(zone, ZoneInfo):
        return zone.key or ""
    if isinstance(zone, timezone):
        name = zone.tzname(None)
        return "" if name == timezone(zone.utcoffset(None)).tzname(None) else _NAMED + name
    kind: Any = type(zone)
    own = kind.__module__.startswith("dateutil.") and kind.__name__ in ("tzutc", "tzlocal")
    return _OF_DATEUTIL + kind.__name__ if own else ""


def placed(moment: datetime, name: str) -> datetime:
    """A time of a fixed offset in the zone that `name_of` named; raises whatever the zone's type raises."""
    if name.startswith(_NAMED):
        return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta(), name.removeprefix(_NAMED)))
    zone: Any
    if name.startswith(_OF_DATEUTIL):
        library = sys.modules.get("dateutil.tz")
        if library is None:  # then the agent has no use for its types, but for the time
            return moment
        zone = {"tzutc": library.tzutc, "tzlocal": library.tzlocal}[name.removeprefix(_OF_DATEUTIL)]()
    else:
        zone = ZoneInfo(name)
    return moment.replace(
        tzinfo=zone, fold=int(moment.utcoffset() != moment.replace(tzinfo=zone).utcoffset())
    )
