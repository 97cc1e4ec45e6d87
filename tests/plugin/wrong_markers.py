"""What an inner run says of markers that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inner_runs import Inner

__all__ = ["said_of_markers"]

# The session ends at the first wrong marker; so the tests are first checked one by one.
_CONFTEST = """
    import pytest

    from pytest_sparrow.plugin.markers import check_markers

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(config, items):
        for item in items:
            try:
                check_markers(config, [item])
                print("said of", item.name, "nothing")
            except pytest.UsageError as error:
                print("said of", item.name, error)
"""


def said_of_markers(inner: Inner, markers: Sequence[str]) -> list[str]:
    """What is said of the marker of each test, each like ``sparrow(level=3)``; the session ends before any test.

    The tests are ``test_0`` and so on in ``test_it.py``.
    """
    tests = [
        f"@pytest.mark.{marker}\ndef test_{number}(sparrow): pass" for number, marker in enumerate(markers)
    ]
    first = 'def test_first(sparrow): print("body of first")'
    inner.write("conftest.py", _CONFTEST)
    inner.write("test_it.py", "\n\n".join(["import pytest", first, *tests, ""]))
    result = inner.refused("-s", "--sparrow-replay")
    said = [line.removeprefix("said of ") for line in result.outlines if line.startswith("said of ")]
    heads = ["test_first ", *(f"test_{number} " for number in range(len(markers)))]
    assert [line.startswith(head) for line, head in zip(said, heads, strict=True)] == [True] * len(heads)
    texts = [line.removeprefix(head) for line, head in zip(said, heads, strict=True)]
    assert texts[0] == "nothing"
    # What ends the session is the first of them.
    assert result.ret == 4
    assert f"ERROR: {texts[1]}" in result.errlines
    assert "body of first" not in str(result.stdout)
    return texts[1:]
