"""The ways in which the example agent is changed, one at a time, after it was recorded.

Each is one substitution of text in a copy of ``examples/support_agent``. Unchanged, a replay of the copy is
green; with any of these it must be red. None of them makes the example's own assertion fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["EXAMPLE", "MUTATIONS", "Mutation", "apply"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One change.

    Attributes:
        name: what is changed, as a test's id.
        file: the file within the example's folder.
        old: the text that is replaced; it occurs exactly once.
        new: the text that takes its place.
        shows: texts that a report of it must hold: the changed path or call, and both values.
    """

    name: str
    file: str
    old: str
    new: str
    shows: tuple[str, ...]


def apply(mutation: Mutation, folder: Path) -> None:
    """Change a copy of the example.

    Raises:
        ValueError: the old text doesn't occur exactly once: the table and the example have drifted apart.
    """
    path = folder / mutation.file
    text = path.read_text(encoding="utf-8")
    if (count := text.count(mutation.old)) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.old!r} occurs {count} times in {mutation.file}, not once"
        )
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")


_REFUND_CASE = '        case "refund":\n'

_AGENT_MUTATIONS = [
    (
        "prompt-word",
        "You are a careful support agent",
        "You are a helpful support agent",
        ("careful", "helpful"),
    ),
    ("argument", 'amount=args["amount"]', 'amount=args["amount"] + 100', ("amount", "39.99", "139.99")),
    (
        # The result is invented, and equal to the real one: no request changes.
        "call-skipped",
        'TOOLS["refund_policy"](topic=args["topic"])',
        '__import__("tools").Policy(args["topic"], 30)',
        ("refund_policy",),
    ),
    (
        "call-added",
        _REFUND_CASE,
        _REFUND_CASE + '            TOOLS["lookup_customer"](order_id=args["order_id"])\n',
        ("lookup_customer",),
    ),
    (
        "model-call-added",
        "        message = yield Ask(messages)\n",
        "        yield Ask(messages)\n        message = yield Ask(messages)\n",
        ("chat/completions",),
    ),
    (
        "wrong-call-swallowed",
        _REFUND_CASE,
        _REFUND_CASE
        + "            try:\n"
        + '                TOOLS["lookup_customer"](order_id="9999")\n'
        + "            except Exception:\n"
        + "                pass\n",
        ("lookup_customer", "9999"),
    ),
    (
        # The wrong call stands where the model's own proposal waits for its answer.
        "wrong-refund-swallowed",
        _REFUND_CASE,
        _REFUND_CASE
        + "            try:\n"
        + '                TOOLS["refund"](order_id="9999", amount=args["amount"])\n'
        + "            except Exception:\n"
        + "                pass\n",
        ("refund", "9999"),
    ),
    (
        "clock-in-prompt",
        '{"role": "system", "content": SYSTEM}',
        '{"role": "system", "content": f"{SYSTEM} It is {__import__(\'time\').time()}."}',
        ("messages", "It is "),
    ),
    ("last-tool-call-dropped", '    TOOLS["close_case"](answer=answer)\n', "", ("close_case",)),
    (
        # The receipt names the ticket, so the example's own assertion still holds.
        "last-model-call-dropped",
        "        results = yield Perform(calls)\n",
        "        results = yield Perform(calls)\n"
        + '        if "ticket" in results[-1]:\n'
        + "            return results[-1]\n",
        ("chat/completions",),
    ),
    (
        "parallel-results-swapped",
        "zip(calls, results, strict=True)",
        "zip(calls, reversed(results), strict=True)",
        ("messages", "content"),
    ),
]

MUTATIONS = tuple(
    Mutation(name=name, file="agent.py", old=old, new=new, shows=shows)
    for name, old, new, shows in _AGENT_MUTATIONS
)
"""All of them stand in the core that the four drivers share, so each applies to every test of the example."""
