"""The event types of the Sparrow agent cockpit, with its names and its order of keys.

The format is serde's internally tagged enum: ``{"type": "ThinkingDelta", "run": "<id>", "text": "…"}``.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field, model_validator

from pytest_sparrow.events.base import U32, U64, Block, EventModel, WireModel
from pytest_sparrow.exchange import Json

__all__ = [
    "EVENT_TYPES",
    "AgentSpawned",
    "AgentState",
    "AgentStatus",
    "ApprovalRequested",
    "ApprovalResolved",
    "Autonomy",
    "AutonomyChanged",
    "CheckpointCreated",
    "Compacted",
    "CostUpdate",
    "Decision",
    "DiffApplied",
    "DiffProposed",
    "DiffStat",
    "Error",
    "KnownEvent",
    "Message",
    "ModelSwitched",
    "Outcome",
    "ReasoningDelta",
    "Risk",
    "RouteSelected",
    "RunFinished",
    "RunStarted",
    "SkillLearned",
    "TestResult",
    "ThinkingDelta",
    "TokenUsage",
    "TokenUsageEstimated",
    "Tokens",
    "ToolOutput",
    "ToolUseProposed",
    "ToolUseStarted",
    "UpdateAvailable",
]

Risk = Literal["ReadOnly", "Mutating", "Exec", "Destructive", "Network"]
Decision = Literal["Allow", "AskUser", "Deny", "AllowOnce", "AllowSession", "AllowAlways"]
AgentState = Literal["Idle", "Thinking", "Working", "WaitingForApproval", "Done", "Error"]
Autonomy = Literal["supervised", "trusted", "autonomous"]


class RunStarted(EventModel):
    """A run began; ``task`` is what it was asked to do, ``agent`` who does it."""

    type: Literal["RunStarted"] = "RunStarted"
    run: str
    task: str
    agent: str


class RouteSelected(EventModel):
    """The models that will be tried, in order; ``context_window`` in tokens, 0 where unknown."""

    type: Literal["RouteSelected"] = "RouteSelected"
    run: str
    chain: list[str]
    context_window: U64


class ModelSwitched(EventModel):
    """The run went on with another model. ``from`` on the wire is ``from_`` here."""

    type: Literal["ModelSwitched"] = "ModelSwitched"
    run: str
    from_: str = Field(alias="from")
    to: str
    reason: str

    @model_validator(mode="before")
    @classmethod
    def _one_from(cls, data: Any) -> Any:
        # A line's own key "from_" would be taken for the field.
        if isinstance(data, dict) and "from" in data and "from_" in data:
            raise ValueError("both 'from' and 'from_' are given")
        return data

    def to_json(self) -> dict[str, Json]:
        """See `WireModel.to_json`."""
        return {"from" if key == "from_" else key: value for key, value in super().to_json().items()}


class ThinkingDelta(EventModel):
    """Text that the assistant says (the name is the cockpit's; private reasoning is `ReasoningDelta`)."""

    type: Literal["ThinkingDelta"] = "ThinkingDelta"
    run: str
    text: str


class ReasoningDelta(EventModel):
    """Private reasoning of the model."""

    type: Literal["ReasoningDelta"] = "ReasoningDelta"
    run: str
    text: str


class Message(EventModel):
    """A whole message."""

    type: Literal["Message"] = "Message"
    run: str
    role: str
    text: str


class ToolUseProposed(EventModel):
    """The model asked for a tool call; ``args`` is any JSON."""

    type: Literal["ToolUseProposed"] = "ToolUseProposed"
    run: str
    id: str
    name: str
    args: Json
    risk: Risk


class ApprovalRequested(EventModel):
    """Someone must decide whether a call may run; ``tool`` and ``risk`` are left out while None."""

    type: Literal["ApprovalRequested"] = "ApprovalRequested"
    run: str
    id: str
    summary: str
    tool: str | None = None
    # Text, not `Risk`: the cockpit's own recorder writes any text here.
    risk: str | None = None

    _left_out: ClassVar[tuple[str, ...]] = ("tool", "risk")


class ApprovalResolved(EventModel):
    """The decision on an `ApprovalRequested`."""

    type: Literal["ApprovalResolved"] = "ApprovalResolved"
    run: str
    id: str
    decision: Decision


class ToolUseStarted(EventModel):
    """A tool call began; the rest is ours, and left out where it is not given.

    Attributes:
        name: the tool's name.
        args: its arguments, as really called.
        on: the object or class that it was called on, as in `Exchange`.
        types: the types of arguments that JSON does not show, as in `Exchange`.
    """

    type: Literal["ToolUseStarted"] = "ToolUseStarted"
    run: str
    id: str
    name: str | None = None
    args: Json = None
    on: dict[str, Json] | None = None
    types: dict[str, str] | None = None

    _left_out: ClassVar[tuple[str, ...]] = ("name", "on", "types")

    def to_json(self) -> dict[str, Json]:
        """See `WireModel.to_json`; arguments that were given as null stay null."""
        wire = super().to_json()
        if self.args is None and "args" not in self.model_fields_set:
            del wire["args"]
        return wire


class ToolOutput(EventModel):
    """What a tool call gave, or the error that it gave."""

    type: Literal["ToolOutput"] = "ToolOutput"
    run: str
    id: str
    blocks: list[Block]
    is_error: bool = False


class DiffProposed(EventModel):
    """A change to a file was proposed; ``plus`` and ``minus`` count lines."""

    type: Literal["DiffProposed"] = "DiffProposed"
    run: str
    file: str
    patch: str
    plus: U32
    minus: U32


class DiffApplied(EventModel):
    """A proposed change was written to its file."""

    type: Literal["DiffApplied"] = "DiffApplied"
    run: str
    file: str


class TestResult(EventModel):
    """A test run of the agent's own."""

    # pytest would collect a class of this name, and warn about its constructor.
    __test__: ClassVar[bool] = False

    type: Literal["TestResult"] = "TestResult"
    run: str
    passed: U32
    failed: U32
    detail: str


class AgentSpawned(EventModel):
    """A sub-agent was started."""

    type: Literal["AgentSpawned"] = "AgentSpawned"
    run: str
    role: str
    model: str


class AgentStatus(EventModel):
    """What an agent is doing."""

    type: Literal["AgentStatus"] = "AgentStatus"
    run: str
    role: str
    status: AgentState
    note: str


class CheckpointCreated(EventModel):
    """A state that the agent can go back to."""

    type: Literal["CheckpointCreated"] = "CheckpointCreated"
    run: str
    id: str
    label: str


class SkillLearned(EventModel):
    """The agent kept something for later runs."""

    type: Literal["SkillLearned"] = "SkillLearned"
    run: str
    name: str


class CostUpdate(EventModel):
    """Money spent so far, in US dollars."""

    type: Literal["CostUpdate"] = "CostUpdate"
    run: str
    usd: float


class TokenUsage(EventModel):
    """Tokens of an answer, as the provider counts them."""

    type: Literal["TokenUsage"] = "TokenUsage"
    run: str
    input: U64
    output: U64


class TokenUsageEstimated(EventModel):
    """Tokens of an answer, estimated, and why."""

    type: Literal["TokenUsageEstimated"] = "TokenUsageEstimated"
    run: str
    input: U64
    output: U64
    reason: str


class AutonomyChanged(EventModel):
    """How much the agent may do without asking."""

    type: Literal["AutonomyChanged"] = "AutonomyChanged"
    run: str
    level: Autonomy


class DiffStat(WireModel):
    """Lines added to and removed from one file."""

    file: str
    plus: U32
    minus: U32


class Tokens(WireModel):
    """Tokens of a whole run."""

    input: U64
    output: U64


class Outcome(WireModel):
    """How a run ended; ``cost_usd`` in US dollars, ``duration_ms`` left out while None."""

    status: str
    diffs: list[DiffStat]
    cost_usd: float
    tokens: Tokens
    cost_comparison: str = ""
    duration_ms: U64 | None = None

    _left_out: ClassVar[tuple[str, ...]] = ("duration_ms",)

    def to_json(self) -> dict[str, Json]:
        """See `WireModel.to_json`."""
        wire = super().to_json()
        wire["diffs"] = [diff.to_json() for diff in self.diffs]
        wire["tokens"] = self.tokens.to_json()
        return wire


class RunFinished(EventModel):
    """The run ended."""

    type: Literal["RunFinished"] = "RunFinished"
    run: str
    outcome: Outcome

    def to_json(self) -> dict[str, Json]:
        """See `WireModel.to_json`."""
        wire = super().to_json()
        wire["outcome"] = self.outcome.to_json()
        return wire


class Error(EventModel):
    """Something went wrong."""

    type: Literal["Error"] = "Error"
    run: str
    message: str


class Compacted(EventModel):
    """The conversation was shortened; sizes in characters."""

    type: Literal["Compacted"] = "Compacted"
    run: str
    before_chars: U64
    after_chars: U64
    handoff_path: str | None = None


class UpdateAvailable(WireModel):
    """A newer cockpit exists; the one event that belongs to no run."""

    run: ClassVar[None] = None

    type: Literal["UpdateAvailable"] = "UpdateAvailable"
    current: str
    latest: str
    download_url: str | None = None
    crate_url: str
    release_url: str
    install_cmd: str


KnownEvent: TypeAlias = Annotated[
    RunStarted
    | RouteSelected
    | ModelSwitched
    | ThinkingDelta
    | ReasoningDelta
    | Message
    | ToolUseProposed
    | ApprovalRequested
    | ApprovalResolved
    | ToolUseStarted
    | ToolOutput
    | DiffProposed
    | DiffApplied
    | TestResult
    | AgentSpawned
    | AgentStatus
    | CheckpointCreated
    | SkillLearned
    | CostUpdate
    | TokenUsage
    | TokenUsageEstimated
    | AutonomyChanged
    | RunFinished
    | Error
    | Compacted
    | UpdateAvailable,
    Field(discriminator="type"),
]
"""An event of any type of the cockpit's, discriminated by ``type``."""

EVENT_TYPES: dict[str, type[WireModel]] = {
    model.model_fields["type"].default: model for model in get_args(get_args(KnownEvent)[0])
}
"""The model of each type, by its name on the wire."""
