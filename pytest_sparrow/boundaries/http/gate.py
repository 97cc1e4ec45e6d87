"""Where a request goes: through, into a crossing, or back with a refusal. Neutral of libraries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http.core import Headers, asked_of, reply_of
from pytest_sparrow.boundaries.http.fed import tried
from pytest_sparrow.boundaries.http.outside import refusal_outside
from pytest_sparrow.boundaries.http.reply import EMPTY, Reply, refusal
from pytest_sparrow.boundaries.patience import Patience
from pytest_sparrow.errors import ReplayDivergence, UsageError
from pytest_sparrow.recording.window import current_run, is_answering, open_runs

if TYPE_CHECKING:
    from pytest_sparrow.recording.crossing import Crossing, OpenRun

__all__ = ["Contact", "begin", "door"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A request before its body is read.

    Attributes:
        method: in upper case.
        url: whole, as sent.
        host: without brackets.
        port: the scheme's own where the URL names none.
        in_process: the transport leads to code of this process.
        websocket: the request asks to become a WebSocket.
    """

    method: str
    url: str
    host: str
    port: int | None
    in_process: bool = False
    websocket: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.url.partition('?')[0]}"


def door(contact: Contact) -> OpenRun | Reply | None:
    """Where a request goes: to a run, which must be asked; back with a reply; or, for None, through."""
    if is_answering():
        # A transport that sends through a client of its own crosses once; and a tool is recorded as a whole.
        return None
    try:
        run = current_run()
    except UsageError as error:
        return None if contact.in_process else _ownerless(contact, error)
    if run is None:
        if contact.in_process:
            return None
        refused = refusal_outside(contact.host, contact.port, str(contact))
        return None if refused is None else refusal(refused)
    if contact.in_process and not run.in_process:
        return None
    return _by_host(run, contact)


def begin(run: OpenRun, contact: Contact, headers: Headers, raw: bytes) -> Crossing | Reply:
    """Ask a run: a reply to serve (fed, or refused), or a crossing to take to the world and settle.

    Raises:
        NotRecordable: the request holds something that JSON cannot.
    """
    try:
        crossing = run.ask("http", asked_of(contact.method, contact.url, headers, raw))
    except (ReplayDivergence, UsageError) as error:
        return refusal(error)
    if crossing.fed is None:
        return crossing
    try:
        reply = reply_of(crossing.fed, method=contact.method, crossing=crossing)
    except ValueError as error:
        what = f"the golden's answer to {contact} can't be served: {error}"
        return refusal(run.refuse(what, "Record the test again: pytest --sparrow-record"))
    if crossing.patience is None:
        return reply
    what = f"{contact}: the agent wants more of the answer than the recorded run waited for"
    return replace(reply, patience=Patience(run=run, seconds=crossing.patience, what=what))


def _by_host(run: OpenRun, contact: Contact) -> OpenRun | Reply | None:
    verdict = run.passes_host(contact.host, contact.port)
    tried(passes=verdict == "allow")
    if verdict == "allow":
        return None
    if verdict == "ignore":
        return EMPTY if run.feeding else None
    if not contact.websocket:
        return run
    if not run.feeding:
        return None
    return refusal(
        run.refuse(
            f"a WebSocket to {contact.host}:{contact.port} ({contact}) can't be replayed",
            f"allow_hosts = {contact.host}:{contact.port} keeps it reachable; WebSockets aren't recorded",
        )
    )


def _ownerless(contact: Contact, error: UsageError) -> Reply:
    """Two runs are open and nothing says whose request it is: refused, and in the ledger of each."""
    for run in open_runs():
        run.refuse(f"{contact}: {error}")
    return refusal(error)
