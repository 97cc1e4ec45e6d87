"""``pytest-sparrow doctor [FOLDER]``: prints what this environment has, and what that means for replays."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries import http
from pytest_sparrow.cli.output import add_goldens, add_json, print_json, say
from pytest_sparrow.errors import UsageError
from pytest_sparrow.frameworks import adapters
from pytest_sparrow.frameworks.known import KNOWN
from pytest_sparrow.plugin.extensions import codecs_in
from pytest_sparrow.providers.facts import merged
from pytest_sparrow.providers.registry import facts_of, registered
from pytest_sparrow.store.journal import read_name
from pytest_sparrow.store.swap import _exchange
from pytest_sparrow.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_sparrow.boundaries.http.adapter import Library

_PROBLEMS = 1

# By the name under which a package is installed; what each means. Every claim here has a test of its own elsewhere.
_REFUSED = {
    "grpcio": "not recorded; its calls are refused by name in a replay",
    "websockets": "not recorded; its connections are refused by name in a replay",
}
_UNCAPTURED = {
    "uvloop": "HTTP is recorded and replayed; connections that its loop opens itself are refused in a replay, but not "
    "datagrams that it sends without being connected",
    "pycurl": "opens its own sockets: neither recorded nor refused",
    "curl-cffi": "opens its own sockets: neither recorded nor refused",
    "primp": "opens its own sockets: neither recorded nor refused",
    "pycares": "looks names up by its own sockets: neither recorded nor refused",
    "psycopg2": "opens its own sockets (libpq): neither recorded nor refused",
    "psycopg2-binary": "opens its own sockets (libpq): neither recorded nor refused",
    "psycopg-c": "opens its own sockets (libpq): neither recorded nor refused",
    "psycopg-binary": "opens its own sockets (libpq): neither recorded nor refused",
}
_PLUGINS = {
    "pytest-xdist": "fine",
    "pytest-asyncio": "fine",
    "pytest-randomly": "fine: the run's own seed is set after its",
    "pytest-rerunfailures": "fine: each attempt is judged, and counted once",
    "freezegun": "fine: if a test sets the clock itself, sparrow leaves the clock alone",
}
_WATCH = {
    "pytest-socket": "disabled sockets disable recording, too: record with --force-enable-socket",
    "pytest-recording": "a test that uses both may record the cassette's answers: one test, one of them",
    "pytest-vcr": "a test that uses both may record the cassette's answers: one test, one of them",
    "vcrpy": "a test that uses both may record the cassette's answers: one test, one of them",
    "pytest-timeout": "its thread method ends the whole process, and no verdict is printed: use the signal method",
}
_HOOKS = {
    "grpc._channel": ("_UnaryUnaryMultiCallable.__call__", "Channel.subscribe"),
    "websockets.asyncio.client": ("parse_uri",),
    "websockets.sync.client": ("parse_uri",),
    "concurrent.futures.thread": ("_worker",),
}
"""Private names, by module, on which other rooms than the HTTP boundary rely; modules that are not installed are passed
over."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the report: level "ok", "note" or "problem", the subject, and the meaning."""

    level: str
    about: str
    text: str


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "doctor",
        help="say what this environment has, and what that means",
        description="Look at Python, the installed libraries and plugins, and the goldens below a folder, and say what "
        "is covered, what is not, and what is wrong. Exit code: 0 no problem, 1 a problem.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=".", help="of the project (default: this one)"
    )
    add_goldens(parser)
    add_json(parser)
    parser.set_defaults(verb=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"{options.folder}: there is no such folder")
    found = [
        *_python(),
        *_libraries(folder),
        *_frameworks(),
        *_hooks(),
        *_clock(),
        *_plugins(),
        *_surroundings(),
        *_file_system(folder),
        *_goldens(folder, options.goldens),
    ]
    if options.json:
        print_json({"found": [asdict(line) for line in found]})
        return _PROBLEMS if any(line.level == "problem" for line in found) else 0
    say(f"{line.level:7}  {printable(line.about)}: {printable(line.text)}" for line in found)
    counts = Counter(line.level for line in found)
    print(", ".join(f"{counts[level]} {level}" for level in ("ok", "note", "problem")))
    return _PROBLEMS if counts["problem"] else 0


def _python() -> Iterator[_Line]:
    version = platform.python_version()
    if sys.implementation.name == "cpython":
        yield _Line("ok", "Python", version)
    else:
        yield _Line(
            "note", "Python", f"{sys.implementation.name} {version}: the guard needs CPython's audit events"
        )
    yield _Line("ok", "platform", platform.platform())
    yield _Line(
        "note",
        "child processes",
        "neither recorded nor replayed; connections of a forked child are refused like its parent's, others only named",
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        is_pythons = package.partition(".")[0] in sys.stdlib_module_names
        return platform.python_version() if is_pythons else None


def _installed(packages: dict[str, str], level: str) -> Iterator[_Line]:
    for package, text in packages.items():
        version = _version(package)
        if version is not None:
            yield _Line(level, f"{package} {version}", text)


def _libraries(folder: Path) -> Iterator[_Line]:
    codecs = registered()
    try:
        codecs = codecs_in(folder) or codecs
    except UsageError as error:
        yield _Line("note", "codecs", f"only the built-in ones are known here: {error}")
    covered = [line for library in http.libraries() for line in _covered(library)]
    yield from covered
    if not covered:
        names = ", ".join(library.name for library in http.libraries())
        yield _Line("note", "HTTP", f"none of {names} is installed: only tools are recorded")
    packages = merged(map(facts_of, codecs)).packages.values()
    carried = [package for library in http.libraries() for package in library.carries]
    frameworks = [known.distribution for known in KNOWN if known.covered]
    adapted = {known.distribution for known in KNOWN if known.adapter}
    for package in dict.fromkeys((*packages, *carried, *frameworks)):
        version = _version(package)
        if version is not None and package not in adapted:
            yield _Line("ok", f"{package} {version}", "through the HTTP libraries above")
    captured = {library.package for library in http.libraries()}
    others = {**_REFUSED, **_UNCAPTURED}
    yield from _installed({name: text for name, text in others.items() if name not in captured}, "note")


def _frameworks() -> Iterator[_Line]:
    for adapter in adapters():
        version = _version(adapter.distribution)
        if version is None:
            continue
        about = f"{adapter.distribution} {version}"
        try:
            for module in {adapter.root, *(seam.module for seam in adapter.seams if seam.is_needed)}:
                importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - any library may fail in any way, and that is worth a line
            yield _Line("note", about, f"its tools run in a replay where they are not wrapped: {error}")
            continue
        said = "its tools are recorded and replayed without being wrapped"
        if any(misfit.startswith("tools: ") for misfit in adapter.misfits):
            said = "what is called there runs in a replay, unless it is wrapped"
        elif adapter.misfits:
            said += "; not captured"
        level = "note" if adapter.misfits else "ok"
        yield _Line(level, about, ": ".join(filter(None, (said, "; ".join(adapter.misfits)))))


def _covered(library: Library) -> Iterator[_Line]:
    version = _version(library.package)
    if version is None:
        return
    if _numbers(version) < _numbers(library.oldest):
        yield _Line(
            "note",
            f"{library.package} {version}",
            f"older than {library.oldest}, the oldest version that is covered",
        )
    else:
        yield _Line("ok", f"{library.package} {version}", library.covered)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def _hooks() -> Iterator[_Line]:
    needed = {library.name: library.needs for library in http.libraries()}
    for name, places in {**needed, **_HOOKS}.items():
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        except Exception as error:  # noqa: BLE001 - any library may fail in any way, and that is worth a line
            yield _Line("problem", name, f"can't be loaded: {error}")
            continue
        gone = [place for place in places if not _is_there(module, place)]
        if gone:
            yield _Line(
                "problem", name, f"{', '.join(gone)} is gone: calls of this version may go uncaptured"
            )


def _is_there(module: Any, place: str) -> bool:
    for part in place.split("."):
        module = getattr(module, part, None)
        if module is None:
            return False
    return True


def _clock() -> Iterator[_Line]:
    version = _version("time-machine")
    if version is not None:
        yield _Line("ok", f"time-machine {version}", "a replay's clock")
    else:
        yield _Line(
            "problem", "time-machine", "not installed: a replay needs it, or ini sparrow_clock = real"
        )


def _plugins() -> Iterator[_Line]:
    yield from _installed(_PLUGINS, "ok")
    yield from _installed(_WATCH, "note")


def _surroundings() -> Iterator[_Line]:
    seed = os.environ.get("PYTHONHASHSEED", "")
    if seed.isdigit():
        yield _Line("ok", "PYTHONHASHSEED", seed)
    else:
        yield _Line(
            "note",
            "PYTHONHASHSEED",
            "not set: requests that depend on the order of a set differ by chance",
        )
    if sys.getfilesystemencoding() != "utf-8":
        yield _Line("note", "file names", f"encoded as {sys.getfilesystemencoding()}, not UTF-8")
    for name in ("SPARROW_MODE", "CI"):
        if os.environ.get(name):
            yield _Line("note", name, f"set to {os.environ[name]}")


def _file_system(folder: Path) -> Iterator[_Line]:
    try:
        with tempfile.TemporaryDirectory(prefix=".sparrow-doctor-", dir=folder) as name:
            one, other = Path(name, "one"), Path(name, "other")
            one.mkdir()
            other.mkdir()
            at_once = _exchange(one, other)
    except OSError as error:
        yield _Line("note", "file system", f"can't be written to ({error.strerror}): fine for replays")
        return
    if at_once:
        yield _Line("ok", "file system", "a golden is swapped in at once (renameat2)")
    else:
        yield _Line(
            "note",
            "file system",
            "a golden is swapped in by two renames; readers find a whole run in between",
        )


def _goldens(folder: Path, name: str) -> Iterator[_Line]:
    # A folder may vanish meanwhile, which `os.walk` bears.
    shelves = [Path(parent, name) for parent, names, _ in os.walk(folder) if name in names]
    if not shelves:
        yield _Line("note", "goldens", f"there is no {name} folder yet")
        return
    count = sum(1 for shelf in shelves for _ in shelf.glob("*/*/meta.json"))
    yield _Line("ok", "goldens", f"{count} in {len(shelves)} {name} folders; pytest-sparrow check reads them")
    for shelf in shelves:
        if not _keeps_newlines(shelf):
            yield _Line(
                "problem",
                f"{shelf}/.gitattributes",
                "doesn't say '* -text': git may change newlines, which damages every golden",
            )
        pending = sum(read_name(each) is not None for each in shelf.glob("*/.pending/*"))
        if pending:
            yield _Line(
                "note", str(shelf), f"{pending} unfinished or failed recordings: pytest-sparrow check"
            )


def _keeps_newlines(shelf: Path) -> bool:
    try:
        return "* -text" in (shelf / ".gitattributes").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
