import asyncio
import inspect

import agents_here
import pytest


def ask(name, *args):
    agent = getattr(agents_here, name, None)
    if agent is None:
        pytest.skip(f"has no {name}")
    # A framework's own synchronous run leaves a loop open that it makes itself.
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        given = agent(*args)
        return runner.run(given) if inspect.iscoroutine(given) else given


BOUGHT = getattr(agents_here, "BOUGHT", "done: order 1234 | order 5678 | ")
NOTED = getattr(agents_here, "NOTED", "done: 1 notes | 2 notes ['milk', 'eggs']")


def test_sync(sparrow):
    assert ask("run").startswith(BOUGHT)
    assert [call.name for call in sparrow.tool_calls] == ["lookup", "lookup", "refund"]


def test_async(sparrow):
    assert ask("later").startswith(BOUGHT)


def test_streamed(sparrow):
    assert ask("streamed").startswith(BOUGHT)


def test_raises(sparrow):
    assert getattr(agents_here, "RAISED", "no 1234") in ask("raises")


def test_context(sparrow):
    assert ask("context") == NOTED
    assert sparrow.tool_calls[0].args == {"text": "milk"}


def test_retry(sparrow):
    assert ask("retry").endswith("good")


def test_shape(sparrow):
    assert ask("shape") == "3"


def test_approved(sparrow):
    assert ask("approval", True) == "done: erased 1234"


def test_denied(sparrow):
    assert "erased" not in ask("approval", False)
    assert sparrow.tool_calls == []


def test_nested(sparrow):
    assert ask("nested").startswith("done: refunded")
    assert [call.name for call in sparrow.tool_calls] == ["delegate", "refund"]


def test_unheld(sparrow):
    assert ask("unheld").startswith("done: ")


def test_cancelled(sparrow):
    if not hasattr(agents_here, "cancelled"):
        pytest.skip("has no cancelled")

    async def cancel():
        task = asyncio.ensure_future(agents_here.cancelled())
        while not sparrow.tool_calls:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(cancel())


def test_handed_off(sparrow):
    assert ask("handed_off").startswith("clerk: refunded")


def test_resumed(sparrow):
    assert ask("resumed") == "done: erased 1234: yes"
