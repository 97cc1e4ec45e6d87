"""Chat completions through the whole plugin: recorded with openai's SDK and the hosts' own, replayed offline."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sparrow.events import Error, TokenUsage, ToolOutput, ToolUseProposed
from pytest_sparrow.providers.reading import text_block

from .drivers import DRIVERS
from .replaying import check_events, check_replays, record_and_replay
from .test_codec_against_sdk import sdk_facts, with_parsed_arguments

DRIVER = DRIVERS["chat"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the SDKs returned while recording and in replay."""
    return record_and_replay(tmp_path_factory.mktemp("chat"), DRIVER)


def test_replay_gives_the_sdk_what_it_got_before(runs):
    """With the server off, what the SDK returns is equal for every cassette."""
    check_replays(runs)


def test_everything_in_the_traffic_is_in_the_events(runs, tell_row):
    """Texts, calls with their arguments, tool outputs and usage, each exactly once."""

    def facts(cassette: Any, _: Any, events: Any) -> Any:
        answers = [_facts(results) for results in runs.results(cassette, "openai")]
        calls = [[event.name, event.args] for event in events if isinstance(event, ToolUseProposed)]
        usage = [(event.input, event.output) for event in events if isinstance(event, TokenUsage)]
        outputs = [[event.id, list(event.blocks)] for event in events if isinstance(event, ToolOutput)]
        return {
            "texts": (_texts(events), [text for answer in answers for text in answer["texts"]]),
            "calls": (calls, [list(call) for answer in answers for call in answer["calls"]]),
            "usage": (usage, [answer["usage"] for answer in answers if answer["usage"]]),
            "outputs": (outputs, _tool_messages(cassette)),
            "errors": (
                [sum(isinstance(event, Error) for event in events)],
                [sum(answer["error"] for answer in answers)],
            ),
        }

    check_events(runs, facts, tell_row)


def _facts(results: Any) -> Any:
    if "sdk_error" in results[0]:
        return {"texts": [], "calls": [], "usage": None, "error": True}
    in_stream = any("error" in result for result in results)
    return {**with_parsed_arguments(sdk_facts(results)), "error": in_stream}


def _texts(events: Any) -> list[str]:
    return [event.text for event in events if event.type == "ThinkingDelta"]


def _tool_messages(cassette: Any) -> list[Any]:
    """What the requests send back, each once."""
    found = {
        message["tool_call_id"]: [text_block(message["content"])]
        for interaction in cassette.interactions
        for message in interaction.request["messages"]
        if message["role"] == "tool" and isinstance(message["content"], str)
    }
    return [[call_id, blocks] for call_id, blocks in found.items()]
