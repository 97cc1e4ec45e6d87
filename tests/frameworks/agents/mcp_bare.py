"""A server of bare JSON-RPC over stdio: says something unasked, then dies in the middle of a call."""

import json
import sys


def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    message = json.loads(line)
    match message.get("method"):
        case "initialize":
            offers = {"name": "bare", "version": "1"}
            said = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": offers}
            say(id=message["id"], result=said)
        case "ping":
            say(id=message["id"], result={})
            say(method="notifications/message", params={"level": "info", "data": "unasked"})
        case "tools/call":
            sys.exit()
