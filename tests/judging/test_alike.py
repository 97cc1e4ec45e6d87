"""Which changes of several tests are one change."""

from dataclasses import replace

import pytest

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.findings import Finding, Kind, Location, Verdict
from pytest_sparrow.judging.alike import LEAST, SHOWN, change_id


def text(golden, new, steps=("request", ".messages", "[system", ".content")):
    """A text that differs."""
    return Finding(kind=Kind.CHANGE, how="changed", steps=steps, golden=golden, new=new)


def drift(*parts, task="one", at=1, follows=False):
    """A request that differs."""
    asked = {"method": "POST", "url": f"http://127.0.0.1:{4000 + at}/chat", "body": {"json": {"task": task}}}
    return Finding(
        kind=Kind.DRIFT,
        boundary="http",
        golden=asked,
        new=asked,
        golden_at=Location(exchange=at),
        parts=parts,
        follows=follows,
    )


def of(*findings, own=()):
    """The ID of one test."""
    return change_id([Verdict(findings=findings)], own)


def test_the_same_edit_of_texts_that_differ_by_test():
    """What the texts have in common is each test's own, and so are place, port and how often it was found."""
    edits = [
        of(drift(text(f"Be kind.\nTask: {task}\nEnd", f"Be very kind.\nTask: {task}\nEnd"), task=task, at=at))
        for at, task in enumerate(["one", "two of them", "kind three"], 1)
    ]
    assert len(set(edits)) == 1
    twice = drift(text("Be kind.", "Be very kind."))
    assert of(twice) == of(twice, twice, drift(text("x", "y"), follows=True)) == edits[0]
    assert len(edits[0]) == 12 > SHOWN > LEAST
    assert edits[0].isalpha()


@pytest.mark.parametrize(
    "other",
    [
        drift(text("Be kind.", "Be most kind.")),
        drift(text("Be kind.", "Be very kind.", steps=("request", ".messages", "[user", ".content"))),
        drift(text("Be kind.", "Be very kind."), text("a", "b")),
        replace(drift(text("Be kind.", "Be very kind.")), kind=Kind.MISS),
        text("Be kind.", "Be very kind."),
    ],
    ids=["words", "path", "more", "kind", "event"],
)
def test_another_change(other):
    """Other words, another path, one change more, another kind are another change."""
    assert of(other) != of(drift(text("Be kind.", "Be very kind.")))


def test_values_of_a_test():
    """A value that one run alone has counts without ids and without the test's task; numbers count as they are."""

    def added(task, run, amount):
        event = {
            "type": "ToolUseStarted",
            "run": run,
            "id": f"call_{run}",
            "args": {"for": f"{task}!", "sum": amount},
        }
        steps = ("ToolUseStarted", "[refund")
        return of(
            Finding(kind=Kind.CHANGE, how="added", whole=True, steps=steps, golden=MISSING, new=event),
            own=[task],
        )

    assert added("order one", "a", 3) == added("order two", "b", 3) != added("order two", "b", 4)
    assert of(Finding(kind=Kind.UNPLAYED, boundary="tool", golden={"name": "a", "args": {"n": 1}})) == of(
        Finding(kind=Kind.UNPLAYED, boundary="tool", golden={"name": "a", "args": {"n": 2}})
    )
    assert of(Finding(kind=Kind.UNPLAYED, boundary="tool", golden={"name": "b", "args": {}})) != of(
        Finding(kind=Kind.UNPLAYED, boundary="tool", golden={"name": "a", "args": {}})
    )


def test_texts_of_any_size_are_compared_in_bounded_time():
    """Of very long texts that have little in common, the texts themselves count."""
    one, other = (" ".join(str(number * step) for number in range(50_000)) for step in (3, 7))
    assert of(text(one, other)) == of(text(f"same {one}", f"same {other}")) != of(text(one, f"{other} 1"))
