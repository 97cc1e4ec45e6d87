"""Describes what a run was recorded with (versions, platform, commit), and what has changed since.

The description is in ``config_snapshot`` of inputs.json. It holds no path, user or host of a machine. A comparison
ignores it; a failure mentions it where something else diverged.

The commit is read from ``.git`` without starting git, by the layout of gitrepository-layout(5): a worktree's or
submodule's ``.git`` is a file that names the folder, ``commondir`` names the folder that worktrees share, and a ref is
a file or a line of ``packed-refs``.
"""

from __future__ import annotations

import functools
import importlib.metadata
import locale
import os
import platform
import re
import sys
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http import libraries
from pytest_sparrow.findings import Circumstances
from pytest_sparrow.frameworks.known import KNOWN
from pytest_sparrow.matching.counts import address_of
from pytest_sparrow.providers.registry import facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_sparrow.exchange import Json


_OWN = "pytest-sparrow"

_OWN_IDS = ("fastuuid", "uuid_utils")
"""Modules that make uuids themselves, in Rust: langchain-core's and litellm's."""


def circumstances(recorded: Json, *, side_by_side: bool = False) -> Circumstances:
    """The circumstances of this process.

    Args:
        recorded: the ``config_snapshot`` of the recording, of any shape.
        side_by_side: whether the run had strands side by side.
    """
    seed = recorded.get("hash_seed") if isinstance(recorded, dict) else None
    return Circumstances(
        hash_seeds=(seed, _hash_seed()) if isinstance(seed, str) else None,
        own_ids=tuple(name for name in _OWN_IDS if name in sys.modules),
        side_by_side=side_by_side,
    )


def packages() -> dict[str, str]:
    """The modules whose versions a recording notes, each with the distribution that it comes from."""
    covered = {library.name: library.package for library in libraries()}
    carried = {name: name for library in libraries() for name in library.carries}
    frameworks = {known.module: known.distribution for known in KNOWN}
    return {**facts().packages, **covered, **carried, **frameworks}


def snapshot() -> dict[str, Json]:
    """Python, platform, locale, hash seed, the versions of the SDKs that are loaded by now, and whom these ask.

    Returns:
        ``python``, ``implementation``, ``platform``, ``locale``, ``hash_seed`` (texts), ``packages``, an object of
        distribution → version, and ``services``, an object of variable → host or other value.
    """
    versions = _versions((*(name for module, name in packages().items() if module in sys.modules), _OWN))
    return {**_interpreter(), "packages": versions, "services": _services(versions)}


def changed_since(recorded: Json, now: Mapping[str, Json] | None = None) -> str:
    """What has changed since a recording, in words; "" where nothing has, or nothing was noted.

    Of packages only those count that were loaded then: what else is loaded depends on the tests that ran before.

    Args:
        recorded: the ``config_snapshot`` of the recording, of any shape.
        now: what to hold it against; by default this process.
    """
    if not isinstance(recorded, dict):
        return ""
    then = recorded.get("packages")
    packages: dict[str, Json] = then if isinstance(then, dict) else {}
    here = now or {**_interpreter(), "packages": _versions(packages), "services": _services(packages)}
    asked = [] if "services" not in recorded else _asked(recorded, here["services"])
    return ", ".join([*asked, *_packages(packages, here["packages"]), *_settings(recorded, here)])


def _services(packages: Mapping[str, Json]) -> dict[str, Json]:
    """The variables that are set and say whom these SDKs ask; of a URL the host (``loopback``: this machine's)."""
    services: dict[str, Json] = {}
    for name, package in sorted(facts().service_variables.items()):
        value = os.environ.get(name, "")
        if value and package in packages:
            services[name] = address_of(value).host if "://" in value else value
    return services


def _asked(recorded: Mapping[str, Json], now: Json) -> Iterator[str]:
    then, set_again = recorded["services"], recorded.get("env")
    before, here = (each if isinstance(each, dict) else {} for each in (then, now))
    names = sorted({*before, *here} - set(set_again if isinstance(set_again, dict) else ()))
    changed = [name for name in names if before.get(name) != here.get(name)]
    hint = f" (sparrow_env = {' '.join(changed)} records and sets it again)"
    for name in changed:
        went = f"{name} went from {before.get(name, 'unset')} to {here.get(name, 'unset')}"
        yield went + hint if name is changed[-1] else went


def _packages(then: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for name, version in sorted(then.items()):
        if name not in now:
            yield f"{name} {version} is gone"
        elif now[name] != version:
            yield f"{name} went from {version} to {now[name]}"


def _settings(then: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for key in ("python", "implementation", "platform", "locale", "hash_seed"):
        if key in then and then[key] != now[key]:
            yield f"{key.replace('_', ' ')} went from {then[key]} to {now[key]}"


def _interpreter() -> dict[str, Json]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform} {platform.machine()}".strip(),
        "locale": locale.setlocale(locale.LC_ALL),
        "hash_seed": _hash_seed(),
    }


def _hash_seed() -> str:
    # Unset is "random", too.
    return os.environ.get("PYTHONHASHSEED") or "random"


def _versions(names: Iterable[str]) -> dict[str, Json]:
    found = {name: version_of(name) for name in sorted(names)}
    return {name: version for name, version in found.items() if version is not None}


@functools.cache
def version_of(name: str) -> str | None:
    """A distribution's version, or None; read once, since its metadata hold the whole of its README."""
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None  # vendored, or run from a checkout


_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[^\s\\:?*\[~^]+)")
_MOST_LINKS = 5


def repo_head(folder: Path) -> str | None:
    """The commit of the repository that a folder lies in; None where there is none, or none that can be read.

    Args:
        folder: any folder; the nearest ``.git`` at it or above it counts.
    """
    try:
        git = _git_folder(folder.resolve())
        return None if git is None else _resolved(git)
    except (OSError, ValueError):  # unreadable, or no text
        return None


def _git_folder(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            named = _text(git).removeprefix("gitdir: ").strip()
            return (parent / named).resolve() if named else None
    return None


def _resolved(git: Path) -> str | None:
    shared = git / "commondir"
    common = (git / _text(shared).strip()).resolve() if shared.is_file() else git
    said = _text(git / "HEAD").strip()
    for _ in range(_MOST_LINKS):
        if _COMMIT.fullmatch(said):
            return said
        ref = _REF.fullmatch(said)
        if ref is None or ".." in ref[1]:
            return None
        said = _of_ref(ref[1], git, common)
    return None


def _of_ref(ref: str, git: Path, common: Path) -> str:
    for root in (git, common):
        path = root / ref
        if path.is_file():
            return _text(path).strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in _text(packed).splitlines():
            commit, _, name = line.partition(" ")
            if name == ref:
                return commit
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
