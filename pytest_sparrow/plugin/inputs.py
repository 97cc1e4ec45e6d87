"""inputs.json of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.settings import Settings

__all__ = ["inputs_of"]


def inputs_of(
    settings: Settings,
    started: datetime,
    *,
    task: str,
    model: str,
    config: dict[str, Json] | None = None,
    head: str | None = None,
) -> RunInputs:
    """The inputs of a run that is recorded now.

    Args:
        settings: what the user said.
        started: the run's zero, in UTC.
        task: what the agent was asked.
        model: the model asked first.
        config: the ``config_snapshot``.
        head: the commit that is checked out.
    """
    return RunInputs(
        task=task,
        config_snapshot=config or {},
        model_id=model,
        repo_head=head,
        timestamp=started.isoformat(),
        agent=settings.agent,
    )
