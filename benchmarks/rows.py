"""One line of the result, and how it is printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Row", "heading", "printed"]

_WIDTHS = (50, 12, 26, 9, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement beside what it is held against.

    Attributes:
        what: what was measured.
        ours: the median, in ``unit``.
        unit: "µs" or "ms".
        peer: what it is held against, with its own figure; "" where nothing is.
        ratio: ours over the peer's, the median of paired rounds; None where there is no peer.
        most: the most that the ratio may be.
        limit: the most that ``ours`` may be; where neither is given the row only informs.
    """

    what: str
    ours: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    most: float | None = None
    limit: float | None = None

    @property
    def aim(self) -> str:
        """The most that it may be, as a person says it; "" where the row only informs."""
        if self.most is not None:
            return f"≤ {self.most:g} ×"
        return "" if self.limit is None else f"≤ {self.limit:g} {self.unit}"

    @property
    def met(self) -> bool | None:
        """Whether it is; None where there is no aim."""
        if self.most is not None:
            return self.ratio is not None and self.ratio <= self.most
        return None if self.limit is None else self.ours <= self.limit

    def to_json(self) -> dict[str, object]:
        """The row, with its aim."""
        return {**asdict(self), "aim": self.aim, "met": self.met}


def heading(title: str) -> str:
    """The head of a section."""
    return f"\n{title}\n{_line(('', 'ours', 'beside', 'ratio', 'aim', ''))}"


def printed(row: Row) -> str:
    """The row as one line of text."""
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return _line((row.what, f"{row.ours:,.1f} {row.unit}", row.peer, ratio, row.aim, verdict))


def _line(cells: tuple[str, ...]) -> str:
    *columns, verdict = cells
    what, *figures = (cell for cell in columns)
    padded = [f"{figure:>{width}}" for figure, width in zip(figures, _WIDTHS[1:], strict=True)]
    return f"  {what:<{_WIDTHS[0]}}{''.join(padded)}  {verdict}".rstrip()
