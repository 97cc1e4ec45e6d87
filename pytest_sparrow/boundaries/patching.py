"""Replaces things for a while and puts them back exactly: attributes, items, function code, environment variables.

A `Patch` replaces one thing now. `Patches` replace things of modules, which they never import: at once where a module
is loaded, else as soon as it is.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import importlib.abc
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Container, MutableMapping, MutableSequence, MutableSet, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType

MISSING: Final[Any] = object()
"""Stands for nothing: what an attribute or item holds that is not there, and what removes one."""


class Patch(abc.ABC):
    """A replacement between `apply` and `restore`, or within a ``with`` block.

    Args:
        owner: the object whose part is replaced.
        key: the part's name, key or index.
        replacement: what stands there meanwhile.
    """

    def __init__(self, owner: Any, key: Any, replacement: Any) -> None:
        self.owner = owner
        self.key = key
        self.replacement = replacement
        self._original: Any = MISSING
        self._applied = False

    @property
    def place(self) -> tuple[int, Any]:
        """The same for two patches that replace the same part of the same object."""
        return id(self.owner), self.key

    def apply(self) -> Self:
        """Replace."""
        self._original = self._read()
        self._write(self.replacement)
        self._applied = True
        return self

    def fits(self) -> bool:
        """Whether the patch can be applied once more: what it replaced stands there again."""
        return not self._applied and self._read() is self._original

    def restore(self) -> None:
        """Put the original back, unless somebody else has replaced our replacement meanwhile.

        Whoever wrapped our replacement keeps it: to put the original back would take their wrapper off, too. Until the
        original is back, a later call looks again: a fixture may have undone its own replacement since.
        """
        if self._applied and self.stands():
            self._write(self._original)
            self._applied = False

    def __enter__(self) -> Self:
        return self.apply()

    def __exit__(self, *_: object) -> None:
        self.restore()

    def stands(self) -> bool:
        """Whether the replacement is what stands there."""
        now = self._read()
        # The environment gives another string each time.
        return now is self.replacement or (isinstance(now, str) and now == self.replacement)

    @abc.abstractmethod
    def _read(self) -> Any:
        """What stands there, or `MISSING`."""

    @abc.abstractmethod
    def _write(self, value: Any) -> None:
        """Put a value there; `MISSING` removes what is there."""


class AttributePatch(Patch):
    """An attribute of a module, class or instance. What was inherited is inherited again afterwards."""

    def __init__(self, owner: Any, key: str, replacement: Any) -> None:
        super().__init__(owner, key, replacement)
        # A module and a class keep their namespace, which is looked into for each test.
        self._space = namespace(owner) if isinstance(owner, type | ModuleType) else None

    def _read(self) -> Any:
        space = namespace(self.owner) if self._space is None else self._space
        if space is None:  # an instance with slots
            return getattr(self.owner, self.key, MISSING)
        return space.get(self.key, MISSING)

    def _write(self, value: Any) -> None:
        if value is MISSING:
            delattr(self.owner, self.key)
        else:
            setattr(self.owner, self.key, value)


def namespace(owner: Any) -> Mapping[str, Any] | None:
    """The object's own attributes. Lazily loaded modules are not asked for one, which would import them."""
    try:
        return vars(owner) if isinstance(owner, type) else object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return None


class ItemPatch(Patch):
    """An item of a mapping, an environment variable among them. The replacement `MISSING` removes the item."""

    owner: MutableMapping[Any, Any]

    def _read(self) -> Any:
        return self.owner.get(self.key, MISSING)

    def _write(self, value: Any) -> None:
        if value is MISSING:
            self.owner.pop(self.key, None)
        else:
            self.owner[self.key] = value


class SequencePatch(Patch):
    """An item of a sequence, by its index. It is put back where it stands by then: others may have come or gone."""

    owner: MutableSequence[Any]

    def _read(self) -> Any:
        if self._applied:
            self.key = self._index()
        return MISSING if self.key is None else self.owner[self.key]

    def _write(self, value: Any) -> None:
        self.owner[self.key] = value

    def _index(self) -> int | None:
        indices: list[int] = [index for index, item in enumerate(self.owner) if item is self.replacement]
        return self.key if self.key in indices else next(iter(indices), None)


class MemberPatch(Patch):
    """A member of a set; ``key`` is the member itself."""

    owner: MutableSet[Any]

    def _read(self) -> Any:
        if not self._applied:
            return self.key
        return self.replacement if self.replacement in self.owner else MISSING

    def _write(self, value: Any) -> None:
        self.owner.discard(self.key if value is self.replacement else self.replacement)
        self.owner.add(value)


class CodePatch(Patch):
    """The code of a function, which keeps its identity: whoever holds the function calls the other code.

    Args:
        function: a plain function.
        code: has as many free variables as the function's own code.
    """

    owner: FunctionType

    def __init__(self, function: FunctionType, code: CodeType) -> None:
        super().__init__(function, "__code__", code)

    def _read(self) -> CodeType:
        return self.owner.__code__

    def _write(self, value: CodeType) -> None:
        self.owner.__code__ = value  # type: ignore[misc]  # mypy sees a method


def copy_function(function: FunctionType) -> FunctionType:
    """Another function with the same code, and all else the same: runs what `CodePatch` replaces."""
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    functools.update_wrapper(copy, function)
    del vars(copy)["__wrapped__"]
    vars(copy).update(vars(function))  # a decorator's own __wrapped__ among them
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


PatchesFor: TypeAlias = Callable[[ModuleType], Iterable[Patch]]
"""Gives the patches of a module; none where the module is only half loaded."""


class Patches:
    """The patches of some modules, between the first `install` and the last `uninstall`.

    Counted, so that runs may nest. Process-wide, because what is patched is; so an instance is a module's constant.
    Also a context manager. Each test installs and uninstalls: the patches of a module are made once, and made again
    only where the module, or what they replace in it, is no longer the same. Between two tests they may stay where
    they are; see `leave_in_place`.

    Args:
        modules: by the name of a module, what gives its patches. ``in`` is asked for each module that is loaded
            meanwhile; iterating gives the names to look for at the start.
        stays: whether they may stay; not where they hold what belongs to one test.
    """

    def __init__(self, modules: Mapping[str, PatchesFor], *, stays: bool = False) -> None:
        self._modules = modules
        self._stays = stays
        self._finder = AfterLoading(modules, lambda module: self._patch(module.__name__, module))
        # All of it under the lock, and empty when nothing is installed.
        self._lock = threading.RLock()
        self._installed = 0
        self._patches: list[Patch] = []
        self._made: dict[str, tuple[ModuleType, PatchesFor, list[Patch]]] = {}
        self._there: dict[str, ModuleType | None] = {}

    def install(self) -> None:
        """Replace. Each call needs an `uninstall`, but for one that raises what a function of ``modules`` raised."""
        with self._lock:
            self._installed += 1
            if self._installed > 1 or self._stand():
                return
            self._put_back()
            sys.meta_path.insert(0, self._finder)
            try:
                for name in self._modules:
                    self._patch(name, sys.modules.get(name))
            except BaseException:
                self._installed = 0
                self._put_back()
                raise

    def uninstall(self) -> None:
        """Undo one `install`; the last call puts the originals back. More calls do nothing."""
        with self._lock:
            if self._installed == 0:
                return
            self._installed -= 1
            if self._installed:
                return
            if self._stays and _in_place is not None:
                _in_place[self] = None
            else:
                self._put_back()

    def put_back(self) -> None:
        """Put the originals back where nothing is installed, and the patches have stayed in place."""
        with self._lock:
            if not self._installed:
                self._put_back()

    def _put_back(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self._finder)
        self._there.clear()
        while self._patches:
            self._patches.pop().restore()

    def _stand(self) -> bool:
        """Whether all of it has stayed in place: no module and no name in one is another now."""
        if self._finder not in sys.meta_path:
            return False
        loaded, there = sys.modules, self._there
        for name in self._modules:
            if loaded.get(name) is not there.get(name):
                return False
        for patch in self._patches:  # noqa: SIM110 - for each test: a generator costs as much as a look
            if not patch.stands():
                return False
        return True

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def _patch(self, name: str, module: ModuleType | None) -> None:
        """Replace in a loaded module, once: two names may be one module (``httpx2.alias_httpx()``)."""
        with self._lock:
            if module is None or self._finder not in sys.meta_path or name not in self._modules:
                return
            self._there[name] = module
            made, makes = self._made.get(name), self._modules[name]
            if made and made[0] is module and made[1] == makes and all(patch.fits() for patch in made[2]):
                patches = made[2]
            else:
                known = {patch.place for patch in self._patches}
                patches = [patch for patch in makes(module) if patch.place not in known]
                if patches:
                    self._made[name] = module, makes, patches
            for patch in patches:
                self._patches.append(patch.apply())


_in_place: dict[Patches, None] | None = None
"""What has stayed in place, in the order of its last use; None: nothing stays."""


def leave_in_place() -> None:
    """From now on, patches stay where they are when the last run is over, until `put_all_back`.

    They ask which run is open here, and do nothing where none is. A session leaves them between two tests that both
    replay: to replace and to put back again some twenty names took a tenth of what such a test costs.
    """
    global _in_place  # noqa: PLW0603 - process-wide, as patches are
    if _in_place is None:
        _in_place = {}


def put_all_back() -> None:
    """Put the originals back of all that has stayed in place; nothing stays any more."""
    global _in_place
    left, _in_place = _in_place, None
    for patches in reversed(left or {}):
        patches.put_back()


class AfterLoading(importlib.abc.MetaPathFinder):
    """Acts when a module has run. Stands in ``sys.meta_path``, and lets the other finders find the module.

    Args:
        names: the modules' names.
        then: called with each of them, once it is loaded.
    """

    def __init__(self, names: Container[str], then: Callable[[ModuleType], None]) -> None:
        self._names = names
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that another finder gives, with a loader that also acts; None for other modules."""
        if fullname not in self._names:
            return None
        finders = list(sys.meta_path)
        # Those before this one have been asked already; and one of them may be waiting for the same module.
        for finder in finders[finders.index(self) + 1 :] if self in finders else finders:
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(fullname, path, target)
            if spec is not None:
                _after_loading(spec.loader, self._then)
                return spec  # type: ignore[no-any-return]
        return None


def _after_loading(loader: Any, then: Callable[[ModuleType], None]) -> None:
    """Make one loader act on what it has loaded. The loader itself stays: others ask it for sources."""
    run = getattr(loader, "exec_module", None)
    # A built-in module's loader is a class, the same for all of them: whoever patches one imports it first.
    if run is None or isinstance(loader, type):
        return

    def exec_module(module: ModuleType) -> None:
        # Another AfterLoading may have wrapped the same loader, and have taken its wrapper off already.
        vars(loader).pop("exec_module", None)
        run(module)
        then(module)

    loader.exec_module = exec_module
