"""The tests that a framework's agents are recorded and replayed by."""

import asyncio
import inspect
import threading

import agents_here
import pytest
import shop

from pytest_sparrow.testing.places import places

BEFORE, THREADS = places(), threading.active_count()
MAIN = "run" if hasattr(agents_here, "run") else "later"


def ask(name, *args):
    agent = getattr(agents_here, name)
    # A framework's own synchronous run leaves a loop open that it makes itself.
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        given = agent(*args)
        return runner.run(given) if inspect.iscoroutine(given) else given


BOUGHT = getattr(agents_here, "BOUGHT", "done: order 1234 | order 5678 | ")
NOTED = getattr(agents_here, "NOTED", "done: 1 notes | 2 notes ['milk', 'eggs']")


def called(sparrow):
    return [call.name for call in sparrow.tool_calls]


def test_sync(sparrow):
    assert ask("run").startswith(BOUGHT)
    assert called(sparrow) == ["lookup", "lookup", "refund"]


def test_async(sparrow):
    assert ask("later").startswith(BOUGHT)
    assert called(sparrow) == ["lookup", "lookup", "refund"]


def test_streamed(sparrow):
    assert ask("streamed").startswith(BOUGHT)
    assert called(sparrow) == ["lookup", "lookup", "refund"]


def test_raises(sparrow):
    assert getattr(agents_here, "RAISED", "no 1234") in ask("raises")
    assert {*called(sparrow)} == {"broken"}  # or once more


def test_context(sparrow):
    assert ask("context") == NOTED
    assert sparrow.tool_calls[0].args == {"text": "milk"}


def test_retry(sparrow):
    assert ask("retry").endswith("good")
    assert called(sparrow) == ["picky", "picky"]


def test_shape(sparrow):
    assert ask("shape") == "3"
    assert called(sparrow) == []


def test_approved(sparrow):
    assert ask("approval", True) == "done: erased 1234"
    assert called(sparrow) == ["erase"]


def test_denied(sparrow):
    assert "erased" not in ask("approval", False)
    assert called(sparrow) == []


def test_nested(sparrow):
    assert ask("nested").startswith("done: refunded")
    assert called(sparrow) == ["delegate", "refund"]


def test_unheld(sparrow):
    assert ask("unheld").startswith("done: ")
    assert called(sparrow) == ["invoice"]


def test_cancelled(sparrow):
    async def cancel():
        task = asyncio.ensure_future(agents_here.cancelled())
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if sparrow.tool_calls:
                break
        assert called(sparrow) == ["wait"]
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(cancel())


def test_handed_off(sparrow):
    assert ask("handed_off").startswith("clerk: refunded")
    assert called(sparrow) == ["refund"]


def test_resumed(sparrow):
    assert ask("resumed") == "done: erased 1234: yes"


@pytest.mark.sparrow(frameworks="off")
def test_switched_off(sparrow):
    """As it was recorded before there were adapters: a replay follows its golden, and the tools run."""
    assert ask(MAIN).startswith(BOUGHT)
    assert called(sparrow) == []


def test_wrapped(sparrow):
    """What the user wraps stays the user's, with what he says of it."""
    sparrow.tool(getattr(agents_here, "refund", shop.refund), name="refund", ignore="amount")
    assert ask(MAIN).startswith(BOUGHT)
    assert [call.args for call in sparrow.tool_calls if call.name == "refund"] == [{"order_id": "1234"}]


def test_nothing_stays():
    """The last one, without a run."""
    if threading.active_count() > THREADS:
        pytest.skip("threads of the framework outlast their tests: what is patched stays until they end")
    now = places()
    assert {name: now[name] for name in BEFORE} == BEFORE


def changed(change):
    """Run the agent of `test_sync` with one change."""
    shop.change = change
    try:
        if change != "not_run":
            ask(change if hasattr(agents_here, change) else MAIN)
        if change == "run_again":
            ask(MAIN)
    finally:
        shop.change = ""
