"""The marker ``sparrow_inject``: one fault each, as `Sparrow.inject` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_sparrow.sparrow import Sparrow

__all__ = ["INJECT", "check", "lay"]

INJECT = "sparrow_inject"


def check(item: pytest.Item) -> None:
    """Whether every marker of a test says a fault, and somebody lays it.

    Raises:
        pytest.UsageError: not so; the text names the test, and what there is.
    """
    for marker in item.iter_markers(INJECT):
        from pytest_sparrow.boundaries.inject import fault_of
        from pytest_sparrow.errors import UsageError
        from pytest_sparrow.scenario import checked

        where = f"{item.nodeid}: @pytest.mark.{INJECT}"
        if "sparrow" not in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(
                f"{where}: the test does not use the fixture sparrow, which lays the fault"
            )
        options = dict(marker.kwargs)
        then = options.pop("then", None)
        try:
            if then is not None:
                checked(then, f"{where}: then")
            fault_of(*marker.args, **options)
        except (UsageError, TypeError) as error:
            raise pytest.UsageError(f"{where}: {error}") from None


def lay(item: pytest.Item, sparrow: Sparrow) -> None:
    """Lay the faults of a test's markers, those of its class and module first."""
    for marker in reversed(list(item.iter_markers(INJECT))):
        sparrow.inject(*marker.args, **marker.kwargs)
