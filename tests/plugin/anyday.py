"""A model and an agent for inner runs whose every source of chance shows: clock, zone, random ids, a random plan."""

from __future__ import annotations

import contextlib
import glob
import json
import time

from pytest_sparrow.testing.loopback import loopback

__all__ = ["AGENT", "CHANGES", "FAKETIME", "world"]

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")  # noqa: PTH207 - a list to choose from
"""The library behind ``faketime``, or ""."""

AGENT = '''
import json
import os
import random
import time
import uuid
from datetime import date, datetime
from uuid import uuid4

import httpx

CHANGE = os.environ.get("CHANGE", "")
FORMAT = os.environ.get("FORMAT", "%A %d %B %Y, %H:%M %Z")


def look_up(city):
    """Nobody wraps this tool: it runs in replay, too."""
    city = "Rome" if CHANGE == "tool" else city
    return {"id": str(uuid4()), "trace": str(uuid.uuid1()), "date": str(date.today()), "city": city}


def ask(messages):
    url = os.environ["WORLD"] + "/chat"
    answer = httpx.post(url, json={"model": "m", "messages": messages}, timeout=30)
    return answer.raise_for_status().json()["choices"][0]["message"]


def prompt():
    now = time.strftime(FORMAT, time.localtime())
    style = "be short" if CHANGE == "prompt" else "be kind"
    return {"role": "system", "content": f"{style}; it is {now}, or {datetime.now().astimezone():{FORMAT}}"}


def agent():
    plan = random.sample(["weather", "traffic", "news", "music", "food"], 3)
    if CHANGE == "plan":
        plan.reverse()
    if CHANGE == "draw":
        random.random()
    deadline = time.time() + 0.05
    while time.time() < deadline:
        pass
    plan_id = random.getrandbits(32)  # so that one draw more is seen: a choice may well be the same
    messages = [{"role": "user", "content": f"{plan_id}: {random.choice(plan)}, then {', '.join(plan)}"}]
    until = time.time() + (0 if CHANGE == "deadline" else 3600)
    while True:
        message = ask([prompt(), *messages])
        messages.append(message)
        if time.time() > until or not message.get("tool_calls"):
            return message["content"]
        for call in message["tool_calls"]:
            result = look_up(**json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
'''
"""``agent.py``; CHANGE in the environment names one change of its behaviour, FORMAT what it says of the time."""

CHANGES = ("prompt", "plan", "draw", "tool", "deadline")


@contextlib.contextmanager
def world(inner, *, waits=0.0, turns=2):
    """Serve the model, and write the agent into the folder.

    One that takes its time answers in the first half of a second: the agent then reads the clock far from the next one.
    """

    def chat(call):
        time.sleep(waits)
        while waits and not 0.2 < time.time() % 1 < 0.4:
            time.sleep(0.01)
        messages = json.loads(call.body)["messages"]
        done = sum(message["role"] == "tool" for message in messages)
        message = {"role": "assistant", "content": "Have a nice day."}
        if done < turns:
            function = {"name": "look_up", "arguments": json.dumps({"city": ["Berlin", "Paris"][done % 2]})}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{done}", "type": "function", "function": function}],
            }
        body = {
            "id": f"chatcmpl-{time.monotonic_ns()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "m-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        }
        call.answer(json.dumps(body).encode(), content_type="application/json")

    with loopback(chat=chat) as server:
        inner.write("agent.py", AGENT)
        inner.env(WORLD=server.url)
        yield server
