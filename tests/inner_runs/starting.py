"""Starting a Python for a test: forked from a server where that is the same, else afresh."""

from __future__ import annotations

import ast
import atexit
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import server
from .protocol import Request, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Forked", "run", "share", "start"]

_ENVIRON = dict(os.environ)

_SHARED = "SPARROW_TEST_SERVER"
"""The variable that says where the server listens that another process shares."""

# What Python or the C library read at their very start, or what is loaded into a process by it.
_AT_THE_START = re.compile(
    r"(PYTHON(?!PATH\Z|DONTWRITEBYTECODE\Z).*|LC_.*|LANG|LANGUAGE|LD_.*|DYLD_.*|MALLOC_.*)\Z"
)

# Libraries that take long to load, the longest first.
_HEAVY = (
    "anthropic",
    "google.genai",
    "openai",
    "langchain_openai",
    "pydantic_ai",
    "mcp",
    "langchain_core",
    "httpx",
    "httpx2",
    "aiohttp",
)

_SERVE = "import sys; sys.path.insert(0, sys.argv[2]); from inner_runs.server import main; main()"

_CAN_FORK = sys.platform == "linux" and not os.environ.get("SPARROW_TEST_FRESH")


class Forked:
    """A run that was forked from a server; used as a ``subprocess.Popen`` is.

    Attributes:
        args: the command.
        pid: the number of its process.
        returncode: its exit status; None as long as it runs.
    """

    stdin = stdout = stderr = None

    def __init__(self, command: Sequence[str], answers: socket.socket) -> None:
        self.args = command
        self.returncode: int | None = None
        self._answers = answers
        self.pid: int = receive(answers)[0]

    def wait(self, timeout: float | None = None) -> int:
        """See `subprocess.Popen.wait`."""
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = receive(self._answers)[0]
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._answers.close()
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """See `subprocess.Popen.poll`."""
        try:
            return self.wait(1e-9)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """See `subprocess.Popen.send_signal`."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """See `subprocess.Popen.kill`."""
        self.send_signal(9)


@functools.cache
def _address() -> str:
    """Where the server listens; it is started if no process shares its own."""
    shared = _ENVIRON.get(_SHARED)
    if shared:
        return shared
    folder = tempfile.mkdtemp()
    address = f"{folder}/server"
    without = {name: value for name, value in _ENVIRON.items() if name != "PYTHONPATH"}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(listening.fileno()), str(Path(__file__).parents[1])],
            cwd="/",
            # Numpy's library starts threads when it is loaded; a process with threads can't be forked from.
            env={**without, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    @atexit.register
    def wait() -> None:
        process.wait()
        shutil.rmtree(folder)

    return address


@functools.cache
def _requests() -> socket.socket:
    """The socket of this process's requests."""
    requests = socket.socket(socket.AF_UNIX)
    requests.connect(_address())

    @atexit.register
    def close() -> None:
        # Shut down as well: a fork of this process may hold it, too.
        requests.shutdown(socket.SHUT_RDWR)
        requests.close()

    return requests


def share() -> None:
    """Let the processes that this one starts use its server: what runs load is loaded once for all of them."""
    if _CAN_FORK:
        _requests()
        os.environ[_SHARED] = _address()


_asking = threading.Lock()


def start(
    command: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    pass_fds: Sequence[int] = (),
    fresh: bool = False,
) -> Forked | subprocess.Popen[bytes]:
    """Start a Python, with what `subprocess.Popen` takes: files or descriptors, no pipes.

    It is forked where nothing can tell: not where the environment changes how Python starts, nor with options for the
    interpreter.

    With ``fresh`` it never is: for tests of what is loaded when.
    """
    environ = dict(os.environ if env is None else env)
    if fresh or not _CAN_FORK or not _may_fork(command, environ):
        return subprocess.Popen(
            command, cwd=cwd, env=environ, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
        )
    folder = Path.cwd() if cwd is None else Path(cwd)
    with open(os.devnull) as nothing:  # noqa: PTH123 - a name of the system's
        standard = [nothing if stdin in (None, subprocess.DEVNULL) else stdin, *_outputs(stdout, stderr)]
        fds = [file if isinstance(file, int) else file.fileno() for file in standard]
        request = Request(
            load=_loaded_by(command, folder),
            arguments=tuple(command[1:]),
            cwd=os.fspath(folder),
            environ=environ,
            fds=(0, 1, 2, *pass_fds),
        )
        answers, theirs = socket.socketpair()
        with theirs, _asking:
            send(_requests(), asdict(request), (theirs.fileno(), *fds, *pass_fds))
        return Forked(command, answers)


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a Python to its end, with what `start` takes; gives its standard output and error."""
    timeout = options.pop("timeout", None)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(command, stdout=out, stderr=err, **options)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(command), code, out.read(), err.read())


def _outputs(stdout: Any, stderr: Any) -> Iterator[Any]:
    for number, given in ((1, stdout), (2, stderr)):
        if given == subprocess.STDOUT:
            yield stdout
        else:
            yield number if given is None else given


def _may_fork(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether it is a plain Python; pytest only without the plugins that load by themselves.

    Those take longer to load than all else; and how they load is what the tests are about that let them.
    """
    if command[0] != sys.executable or not re.match(r"-m|-c\Z", command[1]):
        return False
    if _is_pytest(command) and "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in environ:
        return False
    names = filter(_AT_THE_START.match, environ.keys() | _ENVIRON.keys())
    return all(environ.get(name) == _ENVIRON.get(name) for name in names)


def _is_pytest(command: Sequence[str]) -> bool:
    return command[1] == "-mpytest" or list(command[1:3]) == ["-m", "pytest"]


def _loaded_by(command: Sequence[str], folder: Path) -> tuple[tuple[str, ...], ...]:
    """The libraries that a run of pytest, or of a program of the folder, loads before its first test.

    In steps, those that take long in front: what two runs load first is loaded once for both.
    """
    if not _is_pytest(command) and not (command[1] == "-m" and (folder / f"{command[2]}.py").exists()):
        return ()
    names = set(_imported_in(folder))
    heavy = [name for name in _HEAVY if any(f"{each}.".startswith(f"{name}.") for each in names)]
    rest = tuple(sorted(names.difference(heavy)))
    return (*((name,) for name in heavy), *([rest] if rest else []))


def _imported_in(folder: Path) -> Iterator[str]:
    """The libraries that the modules below a folder import at their top."""
    files = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    own = {path.stem for path in files} | {path.parent.name for path in files}
    for path in files:
        try:
            body = ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError):
            continue
        for name in (name for statement in body for name in _names(statement)):
            top = name.partition(".")[0]
            if top not in own and top not in server.OF_EVERY_RUN and top not in sys.stdlib_module_names:
                yield name


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        yield statement.module
        # Each may be a module. One with capitals hardly is, and every other name asks for another server.
        yield from (f"{statement.module}.{alias.name}" for alias in statement.names if alias.name.islower())
