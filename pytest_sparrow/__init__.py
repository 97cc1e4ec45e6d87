"""Deterministic replay testing of AI agents: record one real run, replay it offline, see what changed.

Names are imported when they are first asked for (PEP 562), so that loading the plugin costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sparrow.comparing import Comparison as Comparison
    from pytest_sparrow.comparing import Rules as Rules
    from pytest_sparrow.comparing import compare as compare
    from pytest_sparrow.errors import *  # noqa: F403
    from pytest_sparrow.events import *  # noqa: F403
    from pytest_sparrow.exchange import Exchange as Exchange
    from pytest_sparrow.plugin.sparrow import Sparrow as Sparrow
    from pytest_sparrow.store import FsRecorder as FsRecorder
    from pytest_sparrow.store import Recorder as Recorder
    from pytest_sparrow.store import Replayer as Replayer
    from pytest_sparrow.transcript import RunInputs as RunInputs
    from pytest_sparrow.transcript import RunMeta as RunMeta
    from pytest_sparrow.transcript import Transcript as Transcript

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "pytest_sparrow.plugin.sparrow": ("Sparrow",),
    "pytest_sparrow.store": ("FsRecorder", "Recorder", "Replayer"),
    "pytest_sparrow.transcript": ("RunInputs", "RunMeta", "Transcript"),
    "pytest_sparrow.exchange": ("Exchange",),
    "pytest_sparrow.comparing": ("Comparison", "Rules", "compare"),
    "pytest_sparrow.errors": (
        "DamagedTranscript",
        "NotRecordable",
        "RecordedMeanwhile",
        "RecordedToolError",
        "ReplayDivergence",
        "SecretFound",
        "SparrowError",
        "StoreError",
        "TooLarge",
        "UnknownRun",
        "UnsafeName",
        "UsageError",
    ),
    "pytest_sparrow.events": (
        "AgentSpawned",
        "AgentStatus",
        "ApprovalRequested",
        "ApprovalResolved",
        "AutonomyChanged",
        "CheckpointCreated",
        "Compacted",
        "CostUpdate",
        "DiffApplied",
        "DiffProposed",
        "Error",
        "Event",
        "Message",
        "ModelSwitched",
        "ReasoningDelta",
        "RouteSelected",
        "RunFinished",
        "RunStarted",
        "SkillLearned",
        "TestResult",
        "ThinkingDelta",
        "TokenUsage",
        "TokenUsageEstimated",
        "ToolOutput",
        "ToolUseProposed",
        "ToolUseStarted",
        "UnknownEvent",
        "UpdateAvailable",
        "parse_event",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - read off the table above
    "__version__",
    *sorted(_HOME_OF),
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
