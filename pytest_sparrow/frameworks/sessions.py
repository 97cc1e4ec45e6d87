"""Records and replays sessions in which messages of JSON go both ways over a pipe, such as MCP's over stdio.

Each message of the agent stands in the golden as a request by POST to a URL of the pipe, and what came back as the
request's answer, as they would stand there over MCP's streamable HTTP: one message as JSON, several as a stream of
events. So the codecs, the comparison and the reports read a session over a pipe as they read one over HTTP.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.errors import NotRecordable, ReplayDivergence
from pytest_sparrow.providers.composing import event_text
from pytest_sparrow.providers.reading import stream_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import Crossing, OpenRun

Key = str | int
"""What connects a question with its answer, within one session and one direction."""


class Dialect(ABC):
    """How the messages of a protocol belong together."""

    @abstractmethod
    def question(self, message: Json) -> Key | None:
        """The key of a message of the agent's that the other side answers; None: the message is no question."""

    @abstractmethod
    def answer(self, message: Json) -> Key | None:
        """The key of the agent's question that a message answers; None: the message is no answer."""

    @abstractmethod
    def asks(self, message: Json) -> Key | None:
        """The key of a message of the other side's that the agent answers; None: the message is no question."""

    @abstractmethod
    def reply(self, message: Json) -> Key | None:
        """The key of the other side's question that the agent's message answers; None: the message is no answer."""

    def address(self, message: Json) -> str:  # noqa: ARG002 - not every protocol can
        """What the agent's message is about, as the end of a URL."""
        return ""

    def withdraws(self, message: Json) -> Key | None:  # noqa: ARG002 - not every protocol can
        """The key of the agent's own question whose answer a message no longer wants; None: the message wants it."""
        return None

    def failing(self, key: Key, message: str) -> Json:  # noqa: ARG002 - not every protocol can
        """An answer which says that there is no answer; None: the protocol has none."""
        return None


MESSAGE, REPLIED = "message", "replied"
"""Names of a stream's events: a message of the other side, and that the agent has sent a message meanwhile."""


def answered_by(messages: Sequence[Json]) -> dict[str, Json]:
    """The answered half that holds messages, the answer last."""
    if len(messages) == 1:
        return {"status": 200, "headers": {}, "body": {"json": messages[0]}}
    return stream_of(event_text(message, MESSAGE) for message in messages)


def stream_of(events: Iterable[str]) -> dict[str, Json]:
    """The answered half that is a stream of these events."""
    return {"status": 200, "headers": {}, "body": {"sse": [*events]}}


def messages_of(answered: dict[str, Json]) -> list[Json]:
    """The messages of an answered half.

    Raises:
        ValueError: it holds something else than messages.
    """
    return [message for name, message in events_of(answered) if name != REPLIED]


def events_of(answered: dict[str, Json]) -> list[tuple[str, Json]]:
    """The events of an answered half, by name: messages, and that the agent has sent one meanwhile.

    Raises:
        ValueError: it holds something else than messages.
    """
    events = stream_events(answered)
    if events is not None:
        return [(event.event, json.loads(event.data)) for event in events]
    body = answered.get("body")
    if body is None:
        return []
    if not isinstance(body, dict) or "json" not in body:
        raise ValueError("the body holds no JSON")
    return [(MESSAGE, body["json"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """The pipe of a session.

    Attributes:
        run: the run that records or replays the session.
        url: names the other side.
        dialect: the protocol.
    """

    run: OpenRun
    url: str
    dialect: Dialect

    def ask(self, message: Json, *, method: str = "POST") -> Crossing:
        """Begin the crossing of a message, in the strand that sends it.

        Raises:
            ReplayDivergence: in a replay, the golden holds no answer.
            NotRecordable: the message holds a value that JSON cannot hold.
        """
        asked: dict[str, Json] = {"method": method, "url": self.url, "headers": {}}
        if method == "POST":
            asked["url"] += self.dialect.address(message)
        if message is not None:
            asked["body"] = {"json": message}
        try:
            return self.run.ask("http", asked)
        except NotRecordable as error:
            self.run.unrecordable(error)
            raise

    def hear(self) -> Crossing | None:
        """Begin the crossing of what comes unasked; None: in a replay, the golden holds no such."""
        try:
            return self.ask(None, method="GET")
        except ReplayDivergence:
            return None

    def refused(self, why: str) -> Exception:
        """Add to the violations that a message gets no answer; returns what to raise."""
        text = f"{self.url}: {why}"
        return self.run.refuse("pipe", text=text, hint="record the test again: pytest --sparrow-record")
