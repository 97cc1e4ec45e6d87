"""A framework that nobody has: a loop around a model, and tools by their names."""

import json
import os
import urllib.request


def call_other(tool, args, call_id):
    """Nobody calls it."""


def call_tool(tool, args, call_id):
    return tool(**args)


class Agent:
    def __init__(self, model, instructions, *tools):
        self.model, self.instructions = model, instructions
        self.tools = {tool.__name__: tool for tool in tools}
        self.before = lambda args: args

    def ask(self, messages):
        offered = [{"type": "function", "function": {"name": name}} for name in self.tools]
        body = json.dumps({"model": self.model, "messages": messages, "tools": offered}).encode()
        url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
        with urllib.request.urlopen(
            urllib.request.Request(url, body, {"content-type": "application/json"})
        ) as answer:
            return json.load(answer)["choices"][0]["message"]

    def run(self, task):
        messages = [{"role": "system", "content": self.instructions}, {"role": "user", "content": task}]
        while True:
            messages.append(self.ask(messages))
            if not messages[-1].get("tool_calls"):
                return messages[-1]["content"]
            for call in messages[-1]["tool_calls"]:
                args = self.before(json.loads(call["function"]["arguments"]))
                output = call_tool(self.tools[call["function"]["name"]], args, call["id"])
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(output)})
