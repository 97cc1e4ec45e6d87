"""Every exception of pytest-sparrow.

The tree::

    SparrowError
    ├── UsageError              what the user asked for makes no sense (exit code 4)
    │   └── UnsafeName          a run id or a path that would leave the store
    ├── StoreError              the store could not do it
    │   ├── DamagedTranscript   what is on disk is not what was written (exit code 2)
    │   │   └── TooLarge        a limit is passed: nobody's golden, or one whose limit must be lifted
    │   ├── RecordedMeanwhile   another process has recorded the run since this one began
    │   └── UnknownRun          an event or a finalize for a run that was never started
    ├── NotRecordable           a value that JSON cannot hold faithfully
    │   └── SecretFound         bytes about to be written hold a secret
    └── ReplayDivergence        the agent asked for something that the golden does not hold
    ReplayStopped               the agent goes on asking for what the golden does not hold; no Exception
    RecordedToolError           a recorded exception whose own type is out of reach

``ReplayDivergence``, ``ReplayStopped`` and ``RecordedToolError`` are met by the agent under test; the others by the
user.
All of them hold data (not only a text) and pickle, since pytest-xdist sends them between processes.
"""

from __future__ import annotations

from pytest_sparrow.text import printable, shown_path

__all__ = [
    "DamagedTranscript",
    "NotRecordable",
    "RecordedMeanwhile",
    "RecordedToolError",
    "ReplayDivergence",
    "ReplayStopped",
    "SecretFound",
    "SparrowError",
    "StoreError",
    "TooLarge",
    "UnknownRun",
    "UnsafeName",
    "UsageError",
]


class SparrowError(Exception):
    """Base of the exceptions that pytest-sparrow raises."""


class UsageError(SparrowError):
    """A setting, an argument or a command that makes no sense; the text names its origin and the way out."""


class UnsafeName(UsageError):
    """A run id that is a path, or a file of the store that leads out of it."""


class StoreError(SparrowError):
    """The store could not do what it was asked."""


class DamagedTranscript(StoreError):
    """A file of a transcript is not what was written.

    Attributes:
        path: the damaged file.
        line: the line within it, counted from 1, or None where no single line is at fault.
        reason: what is wrong, in one sentence without path and line.
        hint: the way out, or "".
    """

    def __init__(self, path: str, line: int | None, reason: str, hint: str = "") -> None:
        super().__init__(path, line, reason, hint)
        self.path = path
        self.line = line
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        path = shown_path(self.path)
        where = path if self.line is None else f"{path}:{self.line}"
        return f"{_shortened(where)}: {_shortened(self.reason)}" + (f"\n  {self.hint}" if self.hint else "")


_MOST = 1000


def _shortened(text: str) -> str:
    """A text that a hostile file may hold, or be named by: printable, and cut in its middle."""
    return printable(text if len(text) <= _MOST else f"{text[: _MOST // 2]} … {text[-_MOST // 2 :]}")


class TooLarge(DamagedTranscript):
    """A transcript passes one of the limits of ini ``sparrow_limits``; the text names file, line, limit and setting."""


class RecordedMeanwhile(StoreError):
    """A finished run would replace another run than the one that was there when it began.

    Attributes:
        path: the folder of the run.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path}: another process has recorded this run meanwhile, with another result\n"
            "  its recording is kept: record the test in one process, or once more if this one is right"
        )


class UnknownRun(StoreError):
    """An event, or a finalize, for a run that was never started.

    Attributes:
        run_id: the run's id.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"run {self.run_id!r} was never started: call start_run({self.run_id!r}, inputs) first"


class NotRecordable(SparrowError):
    """A value that JSON cannot hold faithfully, so that a replay could not give it back.

    Attributes:
        path: where the value stands, like ``refund(amount)`` or ``args['when'][2]``.
        reason: why it cannot be held.
        hint: the way out, or "".
    """

    def __init__(self, path: str, reason: str, hint: str = "") -> None:
        super().__init__(path, reason, hint)
        self.path = path
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f"\n  {self.hint}" if self.hint else "")


class SecretFound(NotRecordable):
    """Bytes that are about to be written hold a secret that nothing has hidden; they were not written.

    Attributes:
        file: the file they were meant for.
        line: the line within it, counted from 1.
        path: where in the line's JSON the secret stands, or "" where that is unknown.
        kind: what it is taken for, like ``github-token``; never the secret itself.
        digest: names the value for the setting that allows it, like ``value:0123456789abcdef``.
    """

    def __init__(self, file: str, line: int, path: str, kind: str, digest: str) -> None:
        super().__init__(
            path or "somewhere",
            f"holds a secret ({kind}); {file}:{line} was not written",
            "hide it by a line 'kind = pattern' or 'kind = field:name' of the ini key sparrow_secrets; if it is no "
            f"secret, allow it by the line {digest} of sparrow_not_secret, or all of its kind by the line {kind}",
        )
        self.args = (file, line, path, kind, digest)
        self.file = file
        self.line = line
        self.path = path
        self.kind = kind
        self.digest = digest

    def __str__(self) -> str:
        return f"{self.path or 'somewhere'}: {self.reason}\n  {self.hint}"


class ReplayDivergence(SparrowError):
    """In a replay the agent asked for something that the golden does not hold.

    The same text is among the run's violations: swallowing the exception does not hide it.

    Attributes:
        summary: what was asked, in one line.
        details: the closest recorded candidate and how it differs, a line each.
    """

    def __init__(self, summary: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(summary, details)
        self.summary = summary
        self.details = details

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"  {line}" for line in self.details)])


class ReplayStopped(BaseException):
    """In a replay the agent goes on asking for what the golden does not hold: the strand that asks ends here.

    No `Exception`, since an agent that tries again for ever catches those.

    Attributes:
        summary: what was asked, in one line.
    """

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary


class RecordedToolError(Exception):
    """A recorded exception whose own type is neither a builtin nor found beside the tool.

    Attributes:
        type_name: the recorded type's qualified name; "" where events alone don't hold the type.
        message: the recorded ``str(exception)``.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.type_name else self.message
