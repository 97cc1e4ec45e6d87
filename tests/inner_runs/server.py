"""The process that inner runs are forked from. It is a Python started afresh, not a fork of the outer pytest.

It reads requests from all who connect, so that the workers of an outer pytest share it. It answers each on a socket of
its own: first with the number of the process, then with its exit status. Where a run loads libraries, a server that
has loaded them gets the request: a fork, too, that costs no more than what it loads itself.

What is loaded is what the run would load before its first test, so that nothing in it can tell.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import importlib.abc
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .protocol import Request, hand_on, receive, send
from .workers import fork_workers

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OF_EVERY_RUN", "main"]

# What the package and pytest stand on. Anything else is a library that the plugin meets only where a test has it.
OF_EVERY_RUN = (
    *("_pytest", "pytest", "py", "pluggy", "iniconfig", "packaging", "pygments", "pytest_sparrow"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"),
    *("time_machine", "_time_machine", "dateutil", "six"),
    # What a test that fails loads; without numpy, which makes no difference to what is JSON.
    *("deepdiff", "orderly_set", "cachebox", "orjson"),
)

# What nearly every run loads while it runs.
_SOON = (
    "faulthandler",
    "pydantic.dataclasses",
    "readline",
    "time_machine",
    "dateutil.parser",
    "encodings.idna",
    "pdb",
    "getpass",
    "http.server",
    "sqlite3",
    "concurrent.futures.thread",
)

# What a library loads when its first client asks for something. It takes as long as all else that a short run does.
_AT_FIRST_USE = {
    "httpx": ("httpcore", "anyio._backends._asyncio"),
    "httpx2": ("httpcore2", "anyio._backends._asyncio"),
    "openai": (
        "openai.resources.chat.completions.completions",
        "openai.resources.responses.responses",
        "jiter",
    ),
    "anthropic": ("anthropic.resources.messages",),
}

_FAR = 200
"""Descriptors from here on are out of the way of those that a run is given by number."""


class _OnlyOfEveryRun(importlib.abc.MetaPathFinder):
    """Refuses to load anything else."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        top = fullname.partition(".")[0]
        if top not in OF_EVERY_RUN and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(fullname, name=fullname)


@contextlib.contextmanager
def _as_pytest_loads() -> Any:
    """Load modules as pytest does: with the assertions of plugins rewritten, and with no trace in the filters."""
    from _pytest.assertion import install_importhook
    from _pytest.config import get_config

    config = get_config()
    hook = install_importhook(config)
    # Of every plugin that would be found by itself: pytest warns where one that it marks was loaded without this.
    config._mark_plugins_for_rewrite(hook, disable_autoload=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.meta_path.remove(hook)


def _load_what_every_run_loads() -> None:
    """Pytest's own plugins, and all of the package but what stands on a library."""
    import _pytest

    for module in pkgutil.iter_modules(_pytest.__path__, "_pytest."):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
    import pytest  # noqa: F401

    only = _OnlyOfEveryRun()
    with _as_pytest_loads():
        for name in _SOON:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        import pydantic

        _ = pydantic.BaseModel, pydantic.TypeAdapter
        sys.meta_path.insert(0, only)
        try:
            importlib.import_module("deepdiff")
            package = importlib.import_module("pytest_sparrow")
            for name in [
                module.name for module in pkgutil.walk_packages(package.__path__, "pytest_sparrow.")
            ]:
                if not name.endswith(".__main__"):
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)
            _build_what_nearly_every_run_builds()
            _look_at_pytests_plugins_once()
        finally:
            sys.meta_path.remove(only)


def _look_at_pytests_plugins_once() -> None:
    """Remember what pytest finds in its own plugins: a third of a short run is a look at them."""
    import importlib.metadata

    import pluggy._hooks
    import pluggy._manager
    from _pytest import fixtures

    pluggy._manager.dir = hooks = _Names(lambda _, name: name.startswith("pytest_"))  # type: ignore[attr-defined]
    fixtures.dir = found = _Names(  # type: ignore[attr-defined]
        lambda kind, name: isinstance(getattr(kind, name, None), fixtures.FixtureFunctionDefinition)
    )
    pluggy._hooks.varnames = varnames = _of_functions(pluggy._hooks.varnames)
    static = getattr(pluggy._manager, "_static_hook_attr", None)  # newer versions have it
    if static is not None:
        pluggy._manager._static_hook_attr = lambda holder, name: (
            (value, value)
            if isinstance(holder, types.ModuleType) and isinstance(value := vars(holder).get(name), _FUNCTION)
            else static(holder, name)
        )
    read = importlib.metadata.Distribution.entry_points.fget  # type: ignore[attr-defined]
    entries = {str(each._path): each.entry_points for each in importlib.metadata.distributions()}  # type: ignore[attr-defined]

    def entry_points(self: Any) -> Any:
        path = str(getattr(self, "_path", None))
        return entries[path] if path in entries else read(self)

    importlib.metadata.Distribution.entry_points = property(entry_points)  # type: ignore[assignment]
    for module in [each for name, each in sys.modules.items() if name.startswith("_pytest.")]:
        for kind in (module, *(each for each in vars(module).values() if isinstance(each, type))):
            found(kind)
            for hook in map(vars(kind).get, hooks(kind)):
                if isinstance(hook, _FUNCTION):
                    varnames(hook)


_FUNCTION = types.FunctionType


def _of_functions(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remember what a function finds out about functions."""
    known = functools.cache(work)
    return lambda of: known(of) if isinstance(of, _FUNCTION) else work(of)


class _Names:
    """A ``dir`` that gives some names alone of what pytest's own modules and classes hold, and remembers them.

    Args:
        keep: whether somebody asks for this name of a module or class.
    """

    def __init__(self, keep: Callable[[Any, str], bool]) -> None:
        self._keep = keep
        self._known: dict[Any, list[str] | None] = {}

    def __call__(self, holder: object) -> list[str]:
        kind = holder if isinstance(holder, type | types.ModuleType) else type(holder)
        if kind not in self._known:
            holders = [kind] if isinstance(kind, types.ModuleType) else kind.__mro__
            own = all(
                getattr(each, "__module__", each.__name__).startswith(("_pytest.", "builtins"))
                for each in holders
            )
            self._known[kind] = [name for name in dir(kind) if self._keep(kind, name)] if own else None
        names = self._known[kind]
        return dir(holder) if names is None else names


def _build_what_nearly_every_run_builds() -> None:
    """Patterns, and what checks the files of a golden and the events: they are built when the first is read."""
    import tokenize

    from pytest_sparrow import json_objects
    from pytest_sparrow.events.base import WireModel
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.redact.redactor import Redactor
    from pytest_sparrow.redact.scanner import Scanner
    from pytest_sparrow.transcript import RunInputs, RunMeta

    for model in (RunInputs, RunMeta, Exchange):
        json_objects._reader(model)
    models = [WireModel]
    while models:
        model = models.pop()
        model.model_rebuild()
        models += model.__subclasses__()
    tokenize._compile(tokenize.PseudoToken)  # type: ignore[attr-defined]
    Scanner({}).check(b'{"warm": "up"}', file="none")
    Redactor({}).value({"key": "sk-" + "a1" * 30, "text": "password: warm up"})


def _load(names: tuple[str, ...]) -> None:
    """Load modules; what can't be loaded is left to the run, which says so."""
    with _as_pytest_loads():
        for name in names:
            parent, _, child = name.rpartition(".")
            with contextlib.suppress(Exception):
                # "from a import b": b is a module only if it is nothing else.
                if not parent or not hasattr(importlib.import_module(parent), child):
                    importlib.import_module(name)
        for used in [
            name for library, more in _AT_FIRST_USE.items() if library in sys.modules for name in more
        ]:
            with contextlib.suppress(Exception):
                importlib.import_module(used)


def _threads() -> int:
    """How many threads the process has, those of C libraries among them."""
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - as cheap as it gets
    return threading.active_count()


class _Server:
    """Answers requests until nobody can make one any more.

    Args:
        requests: where requests come from; None where all who have some connect.
        listening: where they connect.
        steps: how many steps of a request are loaded.
    """

    def __init__(
        self, requests: socket.socket | None, listening: socket.socket | None = None, steps: int = 0
    ) -> None:
        self._asking = {requests} if requests else set()
        self._listening = listening
        self._steps = steps
        self._further: dict[tuple[str, ...], socket.socket] = {}
        """By the modules of the next step: the server that has loaded them, too."""
        self._unfit: set[tuple[str, ...]] = set()
        """Next steps that load a library with threads: such a process can't be forked from, so each run loads them."""
        self._running: dict[int, socket.socket] = {}
        """By the number of the process: the socket that its end is sent to."""
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> Request | None:
        """Serve. Returns in a child with what it is to run; in the server itself with None, at the end."""
        gc.collect()
        # Else the first collection in each child would copy all of the memory that they share.
        gc.freeze()
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            source = self._ready()
            if source is self._listening:
                self._asking.add(source.accept()[0])
                continue
            try:
                asked, fds = receive(source)
            except (EOFError, ConnectionError):
                source.close()
                self._asking.discard(source)
                if not self._asking:
                    return None
                continue
            request = Request(**asked)
            step = request.load[self._steps] if len(request.load) > self._steps else None
            if step is not None and self._further.get(step) is source:  # sent back
                self._unfit.add(step)
            if step is None or step in self._unfit:
                if self._fork_run(fds):
                    self._put_in_place(request, fds)
                    return request
            elif step in self._further or not (further := self._fork_further(step, fds)):
                hand_on(self._further[step], asked, fds)
            else:
                return further.serve()

    def _ready(self) -> socket.socket:
        """The next socket that has something to read; meanwhile the ends of processes are handed on."""
        # Not epoll: a child would share it.
        with selectors.PollSelector() as selector:
            for source in filter(None, (self._listening, *self._asking, *self._further.values())):
                selector.register(source, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready: list[Any] = [key.fileobj for key, _ in selector.select()]
                if self._woken not in ready:
                    return ready[0]
                os.read(self._woken, 4096)
                self._reap()

    def _fork_run(self, fds: list[int]) -> bool:
        """Fork; whether this is the child."""
        pid = os.fork()
        if pid == 0:
            return True
        answers, *others = fds
        for fd in others:
            os.close(fd)
        self._running[pid] = socket.socket(fileno=answers)
        with contextlib.suppress(OSError):  # who asked is gone
            send(self._running[pid], pid)
        return False

    def _put_in_place(self, request: Request, fds: list[int]) -> None:
        """In a child: let nothing of the server stay, and put the descriptors under their numbers."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._close()
        answers, *others = fds
        far = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(_FAR, *request.fds)) for fd in others]
        for fd in (answers, *others):
            os.close(fd)
        for fd, number in zip(far, request.fds, strict=True):
            os.dup2(fd, number)
            os.close(fd)

    def _fork_further(self, step: tuple[str, ...], fds: list[int]) -> _Server | None:
        """Fork a server that loads a step more; gives it in its own process."""
        ours, theirs = socket.socketpair()
        if os.fork():
            theirs.close()
            self._further[step] = ours
            return None
        ours.close()
        for fd in fds:
            os.close(fd)
        self._close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _load(step)
        while _threads() > 1:
            try:
                hand_on(theirs, *receive(theirs))
            except (EOFError, ConnectionError):
                os._exit(0)
        return _Server(theirs, steps=self._steps + 1)

    def _close(self) -> None:
        """Close all that a child shares with its server."""
        for each in (*self._asking, *self._running.values(), *self._further.values()):
            each.close()
        if self._listening:
            self._listening.close()
        os.close(self._woken)
        os.close(self._wake)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                answers = self._running.pop(pid, None)
                if answers is not None:
                    with answers, contextlib.suppress(OSError):
                        send(answers, os.waitstatus_to_exitcode(status))


def _become(request: Request, path: list[str]) -> None:
    """Make of this process what ``python`` would be in its place."""
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environ)
    time.tzset()
    sys.dont_write_bytecode = bool(request.environ.get("PYTHONDONTWRITEBYTECODE"))
    given = [entry for entry in request.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    first = str(Path.cwd()) if request.arguments[0].startswith("-m") else ""
    sys.path[:] = [first, *given, *path]
    sys.orig_argv[:] = [sys.executable, *request.arguments]
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _run(arguments: tuple[str, ...]) -> None:
    option, *rest = arguments
    if option.startswith("-m"):
        module, rest = (option[2:], rest) if option != "-m" else (rest[0], rest[1:])
        sys.argv[:] = ["-m", *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    sys.argv[:] = ["-c", *rest[1:]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    exec(compile(rest[0], "<string>", "exec"), main.__dict__)


def _run_and_leave(arguments: tuple[str, ...]) -> NoReturn:
    """Run, and end as Python does; only that the memory is left to the system, which frees it at once."""
    code: object = 0
    try:
        _run(arguments)
    except SystemExit as exc:
        code = exc.code
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit((code or 0) & 0xFF)


def _serve(server: _Server, path: list[str]) -> NoReturn:
    """Serve; in a child, run what was asked for."""
    request = server.serve()
    if request is None:
        os._exit(0)
    _become(request, path)
    if any(argument.startswith("-n") for argument in request.arguments):
        with contextlib.suppress(ImportError):  # pytest says so
            fork_workers(lambda requests: _serve(_Server(requests), path))
    _run_and_leave(request.arguments)


def main() -> None:
    """Serve all who connect; the socket is given by number, and the argument after it is on the path too much."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    path = [entry for entry in sys.path if entry not in ("", sys.argv[2])]
    sys.path[:] = path
    _load_what_every_run_loads()
    if _threads() != 1:
        raise SystemExit("a process with threads can't be forked from")
    _serve(_Server(None, listening), path)
