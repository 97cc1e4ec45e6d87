"""A tool whose code changed since it was recorded, and that a replay does not run, is named."""

import pytest

SHOP = """
    RATE = 2

    def fee(amount):
        return amount * RATE

    def refund(amount: int) -> int:
        # A comment.
        return amount - fee(amount)

    class Desk:
        def close(self, name: str) -> str:
            return name
"""

TEST = """
    import pytest
    import shop

    def calls(sparrow, **more):
        sparrow.tool(shop.refund, **more)
        assert shop.refund(3) == -3
        assert shop.refund(4) == -4

    def test_refund(sparrow):
        calls(sparrow)

    @pytest.mark.sparrow(changed_code="fail")
    def test_strict(sparrow):
        calls(sparrow)

    def test_verify(sparrow):
        calls(sparrow, policy="verify")

    def test_method(sparrow):
        desk = shop.Desk()
        sparrow.tool(desk.close)
        assert desk.close("x") == "x"
"""


@pytest.fixture
def recorded(inner):
    return inner.recorded(TEST, shop=SHOP)


def test_another_comment_is_no_change_and_another_line_is_one(recorded):
    """By the code of the tool, and of a function that the tool names; not where the tool runs."""
    recorded.write("shop.py", SHOP.replace("# A comment.", "# Another one, longer."))
    result = recorded.replay()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*code changed*")

    recorded.write(
        "shop.py", SHOP.replace("amount * RATE", "RATE * amount").replace("return name", "return str(name)")
    )
    result = recorded.replay()
    result.assert_outcomes(passed=3, failed=1)
    text = "code changed since it was recorded; it did not run: policy verify runs it"
    named = [line for line in result.outlines if "code changed" in line and "::" in line]
    assert named[:2] == [
        f"test_it.py::test_refund: refund's {text}",
        f"test_it.py::test_method: close's {text}",
    ]
    result.stdout.fnmatch_lines([f"refund's {text}", "*test    test_it.py::test_strict"])


def test_recording_again_settles_it(recorded):
    """Though nothing else has changed: else the remark would stay for ever."""
    recorded.write("shop.py", SHOP.replace("amount * RATE", "RATE * amount"))
    assert recorded.record().ret == 0
    result = recorded.replay()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*code changed*")
