"""The table of real traffic, per provider: what came back equal, and what of it is in the events. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Row", "row_from", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file, driven in one way; one without a file says that a provider's folder is missing.

    Attributes:
        provider: whose traffic it is.
        file: the cassette's name, or "".
        way: by which client or SDK it was driven.
        exchanges: how many the file holds.
        calls: how many of them are calls of a model, and were driven.
        equal: whether the SDK returned the same in replay.
        found: by kind, how many are in the events, of how many.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("texts", "calls", "outputs", "usage")

    provider: str
    file: str = ""
    way: str = ""
    exchanges: int = 0
    calls: int = 0
    equal: bool = False
    found: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row as a test's property holds it."""
        return asdict(self)


def row_from(value: Mapping[str, Any]) -> Row:
    """Read a property back."""
    return Row(**value)


_HEAD = ("provider", "driven", "files", "exchanges", "equal in replay", "model calls", *Row.KINDS)


def table(rows: Iterable[Row]) -> list[str]:
    """The lines: a row a provider, and the sum; a file that was driven in several ways counts once, by the worst."""
    by_provider: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        files = by_provider.setdefault(row.provider, {})
        if row.file:
            files.setdefault(row.file, []).append(row)
    lines = [_HEAD]
    lines += [_line(provider, files) for provider, files in sorted(by_provider.items())]
    together = [
        (f"{each}/{name}", ways) for each, files in by_provider.items() for name, ways in files.items()
    ]
    lines.append(_line("all", dict(together)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _line(provider: str, files: Mapping[str, list[Row]]) -> tuple[str, ...]:
    if not files:
        return (provider, "skipped", *["-"] * (len(_HEAD) - 2))
    firsts = [ways[0] for ways in files.values()]
    driven = sorted({row.way for ways in files.values() for row in ways})
    equal = sum(all(row.equal for row in ways) for ways in files.values())
    return (
        provider,
        ", ".join(driven) if provider != "all" else "",
        str(len(files)),
        str(sum(row.exchanges for row in firsts)),
        _of(equal, len(files)),
        str(sum(row.calls for row in firsts)),
        *(
            _of(
                sum(min(row.found[kind][0] for row in ways) for ways in files.values()),
                sum(row.found[kind][1] for row in firsts),
            )
            for kind in Row.KINDS
        ),
    )


def _of(found: int, total: int) -> str:
    return f"{found} of {total}"
