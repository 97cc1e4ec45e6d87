"""The mutation table fits the example it is made for."""

from __future__ import annotations

import shutil

import pytest

from .table import EXAMPLE, MUTATIONS, Mutation, apply


@pytest.fixture
def copy(tmp_path):
    """The example without its goldens."""
    ignored = shutil.ignore_patterns("__sparrow__", "__pycache__")
    return shutil.copytree(EXAMPLE, tmp_path / "support_agent", ignore=ignored)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_fits_once_and_compiles(mutation, copy):
    """The old text occurs exactly once, and the changed file is still Python."""
    before = (copy / mutation.file).read_text(encoding="utf-8")
    apply(mutation, copy)
    after = (copy / mutation.file).read_text(encoding="utf-8")
    assert after != before
    compile(after, mutation.file, "exec")


def test_names_are_unique():
    """A name finds one mutation."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("old", ["no such text", "messages"])
def test_a_table_that_drifted_is_reported(old, copy):
    """A text that occurs never, or more than once, is refused by name."""
    mutation = Mutation(name="drifted", file="agent.py", old=old, new="x", shows=())
    with pytest.raises(ValueError, match=r"drifted: .* occurs \d+ times in agent.py, not once"):
        apply(mutation, copy)
