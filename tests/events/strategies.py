"""Hypothesis strategies: hostile JSON, and events of all types."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from pytest_sparrow import events as sparrow

NASTY = [
    "",
    "\u2028\u2029",
    "\x00\x01\x1f\x7f\x85",
    "\ufeffbom",
    "a\r\nb\x0c",
    '"\\',
    "</script>",
    "e\u0301",
    "🧪",
    "1.0",
    "1e+16",
]
U64_MAX = 2**64 - 1

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
ints = st.one_of(st.sampled_from([0, -1, U64_MAX, 2**64, -(2**70), 9007199254740993]), st.integers())
floats = st.one_of(
    st.sampled_from([1e16, 1e-7, 0.00001, -0.0, 5e-324, 1.7976931348623157e308, 39.99]),
    st.floats(allow_nan=False, allow_infinity=False),
)
leaves = st.one_of(st.none(), st.booleans(), ints, floats, texts)


def nested(depth: int) -> Any:
    """A list in an object in a list … ``depth`` levels deep."""
    value: Any = "core"
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


json_values = st.one_of(
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    ),
    st.integers(1, 90).map(nested),
)
objects = st.dictionaries(texts, json_values, max_size=3)

u32 = st.integers(0, 2**32 - 1)
u64 = st.sampled_from([0, 1, U64_MAX]) | st.integers(0, U64_MAX)
risks = st.sampled_from(get_args(sparrow.Risk))
maybe_text = st.none() | texts
blocks = st.one_of(
    st.builds(lambda text: {"Text": text}, texts),
    st.builds(lambda value: {"Json": value}, json_values),
    st.builds(lambda data, mime: {"Image": {"data": list(data), "mime": mime}}, st.binary(max_size=8), texts),
    st.builds(lambda file, patch: {"Diff": {"file": file, "patch": patch}}, texts, texts),
)
outcomes = st.fixed_dictionaries(
    {
        "status": texts,
        "diffs": st.lists(st.fixed_dictionaries({"file": texts, "plus": u32, "minus": u32}), max_size=2),
        "cost_usd": floats,
        "tokens": st.fixed_dictionaries({"input": u64, "output": u64}),
    },
    optional={"cost_comparison": texts, "duration_ms": u64},
)

FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "RunStarted": {"task": texts, "agent": texts},
    "RouteSelected": {"chain": st.lists(texts, max_size=3), "context_window": u64},
    "ModelSwitched": {"from": texts, "to": texts, "reason": texts},
    "ThinkingDelta": {"text": texts},
    "ReasoningDelta": {"text": texts},
    "Message": {"role": texts, "text": texts},
    "ToolUseProposed": {"id": texts, "name": texts, "args": json_values, "risk": risks},
    "ApprovalRequested": {"id": texts, "summary": texts},
    "ApprovalResolved": {"id": texts, "decision": st.sampled_from(get_args(sparrow.Decision))},
    "ToolUseStarted": {"id": texts},
    "ToolOutput": {"id": texts, "blocks": st.lists(blocks, max_size=3), "is_error": st.booleans()},
    "DiffProposed": {"file": texts, "patch": texts, "plus": u32, "minus": u32},
    "DiffApplied": {"file": texts},
    "TestResult": {"passed": u32, "failed": u32, "detail": texts},
    "AgentSpawned": {"role": texts, "model": texts},
    "AgentStatus": {"role": texts, "status": st.sampled_from(get_args(sparrow.AgentState)), "note": texts},
    "CheckpointCreated": {"id": texts, "label": texts},
    "SkillLearned": {"name": texts},
    "CostUpdate": {"usd": floats},
    "TokenUsage": {"input": u64, "output": u64},
    "TokenUsageEstimated": {"input": u64, "output": u64, "reason": texts},
    "AutonomyChanged": {"level": st.sampled_from(get_args(sparrow.Autonomy))},
    "RunFinished": {"outcome": outcomes},
    "Error": {"message": texts},
    "Compacted": {"before_chars": u64, "after_chars": u64, "handoff_path": maybe_text},
    "UpdateAvailable": {
        "current": texts,
        "latest": texts,
        "download_url": maybe_text,
        "crate_url": texts,
        "release_url": texts,
        "install_cmd": texts,
    },
}
OPTIONAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "ApprovalRequested": {"tool": texts, "risk": risks},
    "ToolUseStarted": {"name": texts, "args": json_values},
}


def objects_of(kind: str, *, run: str = "r") -> st.SearchStrategy[dict[str, Any]]:
    """The wire objects of one type; Hypothesis shuffles their keys."""
    head: dict[str, st.SearchStrategy[Any]] = {"type": st.just(kind)}
    if kind != "UpdateAvailable":
        head["run"] = st.just(run)
    return st.fixed_dictionaries({**head, **FIELDS[kind]}, optional=OPTIONAL.get(kind, {}))


def events_of(kind: str, *, run: str = "r") -> st.SearchStrategy[sparrow.Event]:
    """Events of one type."""
    return objects_of(kind, run=run).map(sparrow.parse_event)


any_objects = st.sampled_from(sorted(FIELDS)).flatmap(objects_of)
any_events = any_objects.map(sparrow.parse_event)
