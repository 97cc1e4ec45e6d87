"""inputs.json of a recording."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_sparrow.transcript import FURTHER_RUNS, RunInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.settings import Settings

__all__ = ["inputs_of"]


def inputs_of(settings: Settings, *, task: str, model: str, further: Sequence[str] = ()) -> RunInputs:
    """The inputs of a run that is recorded now; ``further``: the ids of the further runs of its test."""
    return RunInputs(
        task=task,
        config_snapshot={FURTHER_RUNS: list(further)} if further else {},
        model_id=model,
        repo_head=None,
        timestamp=datetime.now(UTC).isoformat(),
        agent=settings.agent,
    )
