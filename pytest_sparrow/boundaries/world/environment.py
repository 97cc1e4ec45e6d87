"""Records environment variables by an allow-list and the time zone, and puts both in place in a replay.

A golden is data that somebody else may have edited: a replay sets no variable that only the golden names.
Absent API keys get dummies: SDK constructors refuse to start without a key, although a replay will send nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.patching import MISSING, ItemPatch
from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.settings import dummy_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact import Redactor


def environment_to_record(
    patterns: Iterable[str], redactor: Redactor, environ: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """The variables that a recording notes, by name; None for a name that is absent, or a pattern.

    Args:
        patterns: names, ``*`` and ``?`` as in file names; no pattern stands for a variable that steers programs.
        redactor: knows what a secret is.
        environ: the environment; ``os.environ`` if None.

    Raises:
        UsageError: one of them looks like a secret, which a golden must not hold.
    """
    environment = os.environ if environ is None else environ
    named = tuple(patterns)
    noted: dict[str, str | None] = dict.fromkeys(named)
    noted |= {name: value for name, value in sorted(environment.items()) if _is_named(name, named)}
    for name, value in noted.items():
        if value and redactor.secret_variable(name, value):
            raise UsageError(
                f"setting env: {name} looks like a secret, which no golden may hold: leave it out of env "
                "(absent API keys are filled with dummies in replay, see dummy_keys)"
            )
    return noted


class ReplayedEnvironment:
    """The environment as it was recorded, while a replay runs.

    A variable that was absent is absent, also where it matches a recorded pattern only now. A variable that the test
    itself changes meanwhile is left alone.

    Args:
        recorded: ``env`` of the recording, of any shape, of which `refused_variable` refuses nothing.
        environ: what to change; ``os.environ`` if None.
    """

    def __init__(self, recorded: Json, environ: MutableMapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._recorded: dict[str, str | None] = {
            name: value
            for name, value in (recorded.items() if isinstance(recorded, dict) else ())
            if value is None or isinstance(value, str)
        }
        self._patches: list[ItemPatch] = []

    def set(self) -> None:
        """Make the environment the recorded one."""
        if not self._recorded:
            return
        names = tuple(self._recorded)
        values = {name: value for name, value in self._recorded.items() if value is not None}
        absent = [name for name in self._environ if name not in values and _is_named(name, names)]
        replacements = {**dict.fromkeys(absent, MISSING), **values}
        self._patches = [ItemPatch(self._environ, *item).apply() for item in replacements.items()]

    def restore(self) -> None:
        """Put back what `set` changed. To be called again after the teardown of fixtures, as `Patch.restore`."""
        for patch in self._patches:
            patch.restore()


_STEERING = (
    *(
        "LD_*",
        "DYLD_*",
        "LIBPATH",
        "SHLIB_PATH",
        "GLIBC_TUNABLES",
        "GCONV_PATH",
        "LOCPATH",
        "NLSPATH",
        "TERMINFO*",
    ),
    *(
        "PATH",
        "PATHEXT",
        "COMSPEC",
        "SYSTEMROOT",
        "WINDIR",
        "HOME",
        "USERPROFILE",
        "APPDATA",
        "XDG_*",
        "TMPDIR",
    ),
    *("SHELL", "BASH*", "SHELLOPTS", "ENV", "PS4", "IFS", "CDPATH", "FPATH", "PROMPT_COMMAND", "ZDOTDIR"),
    *("EDITOR", "VISUAL", "*PAGER", "LESS*", "BROWSER", "GIT_*", "SSH_*", "HG*", "SVN_*", "GPG_*", "GNUPG*"),
    *("PYTHON*", "PYTEST_*", "SPARROW_*", "VIRTUAL_ENV", "PIP_*", "UV_*", "CONDA_*", "COVERAGE_*", "COV_*"),
    *(
        "NODE_*",
        "NPM_*",
        "YARN_*",
        "DENO_*",
        "BUN_*",
        "PERL*",
        "RUBY*",
        "GEM_*",
        "BUNDLE_*",
        "PHP*",
        "LUA_*",
        "R_*",
    ),
    *("JAVA_*", "_JAVA_*", "JDK_*", "CLASSPATH", "MAVEN_*", "GRADLE_*", "DOTNET_*", "COR_*", "CORECLR_*"),
    *(
        "COMPLUS_*",
        "PSMODULEPATH",
        "JULIA_*",
        "TCL*",
        "GOFLAGS",
        "GOENV",
        "GOPATH",
        "GOROOT",
        "GOPROXY",
        "GOTOOL*",
    ),
    *(
        "CARGO_*",
        "RUST*",
        "CC",
        "CXX",
        "CFLAGS",
        "LDFLAGS",
        "MAKE*",
        "CMAKE_*",
        "DOCKER_*",
        "KUBECONFIG",
        "BOTO_*",
    ),
    *(
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "GOOGLE_EXTERNAL_ACCOUNT_*",
        "CLOUDSDK_*",
        "PGSERVICE*",
    ),
    *(
        "PGPASSFILE",
        "PGSYSCONFDIR",
        "OPENSSL_*",
        "SSL*",
        "*_CA_BUNDLE",
        "*_PROXY",
        "CURL_*",
        "WGET*",
        "TZDIR",
    ),
)
"""What steers interpreters, loaders and the programs that an agent starts, in capitals; ``*`` as in file names."""


def refused_variable(recorded: Json, named: Iterable[str] | None) -> tuple[str, str] | None:
    """The first variable that a golden may not set, and why; None where it may set all.

    Args:
        recorded: ``env`` of the golden, of any shape.
        named: the names and patterns of setting ``env``; None where the settings are not known, and only what steers
            programs and what no system can set is refused.
    """
    names = None if named is None else tuple(named)
    for name, value in recorded.items() if isinstance(recorded, dict) else ():
        if not _can_be_set(name, value):
            return name, "is no environment variable that a system can set"
        if names is None and _steers(name):
            return name, "steers interpreters, loaders or other programs"
        if names is not None and not _is_named(name, names):
            steers = ", and it steers programs: no pattern stands for it" if _steers(name) else ""
            return name, f"is not named by the setting env of this test{steers}"
    return None


def _can_be_set(name: str, value: Json) -> bool:
    if not isinstance(value, str | None):
        return True  # nothing is set
    try:
        os.fsencode(name + (value or ""))
    except UnicodeEncodeError:
        return False
    return bool(name) and "=" not in name and "\0" not in name + (value or "")


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a setting names a variable: what steers programs must stand there as it is."""
    return any(name == each or (fnmatchcase(name, each) and not _steers(name)) for each in patterns)


def _steers(name: str) -> bool:
    return any(fnmatchcase(name.upper(), each) for each in _STEERING)


_OTHER_KEYS: tuple[tuple[str, ...], ...] = (
    ("VOYAGE_API_KEY",),
    ("TAVILY_API_KEY",),
)
"""Variables that SDKs of services read whose format no codec knows; rows as in `ProviderFacts.key_variables`."""


def dummies(environ: Mapping[str, str], extra: Iterable[str] = ()) -> Mapping[str, str]:
    """The API keys that are absent, each with an obvious dummy.

    An empty variable counts as absent: that is how CI passes a secret that a fork may not see, and an SDK
    that gets an empty key fails as it does without one.

    Args:
        environ: the environment.
        extra: further names to fill.
    """
    there = environment_now() if environ is os.environ else environ
    rows = (*facts().key_variables, *_OTHER_KEYS, *((name,) for name in extra))
    return _dummies(rows, frozenset(filter(there.get, _names_in(rows))))


@functools.lru_cache(maxsize=16)
def _names_in(rows: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(name for row in rows for name in row)


# Each test asks four times, and nearly always of the same keys.
@functools.lru_cache(maxsize=64)
def _dummies(rows: tuple[tuple[str, ...], ...], there: frozenset[str]) -> Mapping[str, str]:
    return {row[0]: dummy_key(row[0]) for row in rows if there.isdisjoint(row)}


_decoded: tuple[dict[Any, Any], dict[str, str]] = {}, {}
"""The environment as the process holds it, when it was last asked for, and decoded."""


def environment_now() -> Mapping[str, str]:
    """The variables of this process, to look at only: `os.environ` decodes each of them at each look."""
    global _decoded  # noqa: PLW0603 - process-wide, as the environment is
    # A private name: of what a test may put in the place of os.environ nothing is known.
    held = getattr(os.environ, "_data", None)
    if not isinstance(held, dict):
        return dict(os.environ)
    before, decoded = _decoded
    if held != before:
        decoded = dict(decoded)
        for name in before.keys() - held.keys():
            del decoded[_decoded_name(name)]
        for name, value in held.items() - before.items():
            decoded[_decoded_name(name)] = _decoded_value(value)
        _decoded = dict(held), decoded
    return decoded


# Before and after each test the same keys come and go.
_decoded_name = functools.lru_cache(maxsize=512)(os.environ.decodekey)
_decoded_value = functools.lru_cache(maxsize=512)(os.environ.decodevalue)


@contextlib.contextmanager
def dummy_keys(environ: MutableMapping[str, str] | None = None, extra: Iterable[str] = ()) -> Iterator[None]:
    """Fill absent API keys (see `dummies`) while open, and put everything back.

    A variable that was changed meanwhile is left alone.

    Args:
        environ: what to fill; ``os.environ`` if None.
        extra: further names to fill.
    """
    environment = os.environ if environ is None else environ
    absent = dummies(environment, extra)
    if absent:
        patch = _fill_environment if environment is os.environ else _fill
        with patch(environment, absent):
            yield
    else:
        yield


@contextlib.contextmanager
def _fill(environ: MutableMapping[str, str], added: Mapping[str, str]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, value in added.items():
            stack.enter_context(ItemPatch(environ, name, value))
        yield


@contextlib.contextmanager
def _fill_environment(environ: MutableMapping[str, str], added: Mapping[str, str]) -> Iterator[None]:
    """The same for the process: without encoding each name and value anew, for each test."""
    held = getattr(os.environ, "_data", None)
    if not isinstance(held, dict):
        with _fill(environ, added):
            yield
        return
    encoded = [_encoded(name, value) for name, value in added.items()]
    before = [held.get(name) for name, _ in encoded]
    for name, value in encoded:
        os.putenv(name, value)
        held[name] = value
    try:
        yield
    finally:
        for (name, value), original in zip(encoded, before, strict=True):
            if held.get(name) != value:
                continue  # somebody has changed the variable
            if original is None:
                os.unsetenv(name)
                del held[name]
            else:
                os.putenv(name, original)
                held[name] = original


@functools.lru_cache(maxsize=256)
def _encoded(name: str, value: str) -> tuple[Any, Any]:
    """A variable as `os.environ` holds it."""
    return os.environ.encodekey(name), os.environ.encodevalue(value)


_LOCALTIME = Path("/etc/localtime")
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*\Z")
_ABBREVIATION = re.compile(r"[A-Za-z]{3,}\Z")
_POSIX = re.compile(r"[A-Za-z0-9_+,.<>:-]+\Z")


def zone_here(moment: float) -> dict[str, Json]:
    """The local time zone of this process, as a golden notes it.

    Args:
        moment: seconds since the epoch; the offset may depend on it.

    Returns:
        ``zone`` (the IANA name, or None where it can't be known) and ``tz`` (a POSIX ``TZ`` text that gives the same
        local time at that moment, for machines that don't know the name).
    """
    said = os.environ.get("TZ", "").removeprefix(":")
    name = said.rpartition("zoneinfo/")[2] if said else _linked()
    if name is not None and not _fits(name, moment):
        name = None
    own = said and name is None and "/" not in said
    return {"zone": name, "tz": said if own else _posix(moment)}


@functools.cache
def _linked() -> str | None:
    """The name behind /etc/localtime, where that is a link into the time zone database."""
    try:
        target = str(_LOCALTIME.readlink())
    except OSError:
        return None
    _, found, name = target.rpartition("zoneinfo/")
    return name.removeprefix("posix/") if found else None


def _fits(name: str, moment: float) -> bool:
    """Whether the time zone database has the name, with the offset that the local time has."""
    import datetime as dt
    import zoneinfo

    if not _NAME.match(name):
        return False
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    offset = dt.datetime.fromtimestamp(moment, zone).utcoffset()
    return offset is not None and offset.total_seconds() == time.localtime(moment).tm_gmtoff


def _posix(moment: float) -> str:
    """``CET-1`` for an hour east of Greenwich: POSIX counts westwards."""
    local = time.localtime(moment)
    west = -local.tm_gmtoff
    hours, seconds = divmod(abs(west), 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = (
        f"{hours}" + (f":{minutes:02}" if minutes or seconds else "") + (f":{seconds:02}" if seconds else "")
    )
    name = local.tm_zone
    if not _ABBREVIATION.match(name):
        name = f"<{'-' if west > 0 else '+'}{hours:02}{minutes:02}>"
    return f"{name}{'-' if west < 0 else ''}{clock}"


class Zone:
    """The local time zone of a golden. It is put in place for the whole process, since local time is the process's.

    Nothing changes where the golden notes no time zone, or the system can't change its own (Windows).

    Args:
        noted: what `zone_here` gave.
        moment: seconds since the epoch, at which name and ``tz`` must agree.
    """

    def __init__(self, noted: Json, moment: float) -> None:
        self._noted = noted
        self._moment = moment
        self._patch: ItemPatch | None = None

    def set(self) -> None:
        """Put the zone in place."""
        wanted = _wanted(self._noted)
        if not wanted or not hasattr(time, "tzset") or _is_here(self._noted, self._moment):
            return
        # A name that the system doesn't know silently means UTC, as its offset shows.
        known = _offset(wanted[0], self._moment) == _offset(wanted[-1], self._moment)
        self._patch = ItemPatch(os.environ, "TZ", wanted[0] if known else wanted[-1]).apply()
        time.tzset()

    def restore(self) -> None:
        """Put the former zone back, unless somebody has set another one. May be called again, as `Patch.restore`."""
        if self._patch is not None:
            self._patch.restore()
            time.tzset()


def _wanted(noted: Json) -> list[str]:
    """Texts for ``TZ``, the best one first."""
    if not isinstance(noted, dict):
        return []
    zone, tz = noted.get("zone"), noted.get("tz")
    # The C library takes a path, too: no golden decides which file is read.
    return [
        *([zone] if isinstance(zone, str) and _NAME.match(zone) else ()),
        *([tz] if isinstance(tz, str) and _POSIX.match(tz) else ()),
    ]


def _is_here(noted: dict[str, Json], moment: float) -> bool:
    here = zone_here(moment)
    if noted.get("zone") is not None:
        return bool(here["zone"] == noted["zone"])
    return bool(here["tz"] == noted.get("tz"))


def _offset(text: str, moment: float) -> int:
    """The offset from UTC that a ``TZ`` text means at a moment, in seconds."""
    with ItemPatch(os.environ, "TZ", text):
        time.tzset()
        return time.localtime(moment).tm_gmtoff
