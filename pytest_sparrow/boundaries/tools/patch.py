"""Wrappers put where the originals were, and taken out again."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, MutableSequence, MutableSet
from typing import Any

__all__ = ["Patches"]


class Patches:
    """Replacements for the time of a run; undone in reverse order.

    Something else that was put in place meanwhile (by monkeypatch, say) is left alone: whoever put it there
    takes it out.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def attribute(self, owner: Any, name: str, new: Any) -> None:
        """Replace an attribute of a module, class or instance."""
        space = _space(owner)
        own = space is not None and name in space
        old = space[name] if own and space is not None else None

        def undo() -> None:
            now = _space(owner)
            if now is None or now.get(name) is not new:
                return
            if own:
                setattr(owner, name, old)
            else:
                delattr(owner, name)

        setattr(owner, name, new)
        self._undo.append(undo)

    def later(self, undo: Callable[[], None]) -> None:
        """Undo something that is done already."""
        self._undo.append(undo)

    def items(self, container: Any, new: dict[Any, Any]) -> None:
        """Replace items of a mutable mapping (by key), sequence (by index) or set (by the old item)."""
        old = {key: key if isinstance(container, MutableSet) else container[key] for key in new}
        _put(container, new)

        def undo() -> None:
            if isinstance(container, MutableMapping):
                _put(container, {key: old[key] for key in new if container.get(key) is new[key]})
            elif isinstance(container, MutableSequence):
                # By identity: the agent may have inserted or removed others.
                back = {id(new[key]): old[key] for key in new}
                _put(container, {i: back[id(item)] for i, item in enumerate(container) if id(item) in back})
            else:
                _put(container, {new[key]: old[key] for key in new if new[key] in container})

        self._undo.append(undo)

    def undo(self) -> None:
        """Put everything back, the last replacement first. A second call does nothing."""
        while self._undo:
            self._undo.pop()()


def _put(container: Any, items: dict[Any, Any]) -> None:
    if isinstance(container, MutableSet):
        for old in items:
            container.discard(old)
        for new in items.values():
            container.add(new)
    else:
        for key, new in items.items():
            container[key] = new


def _space(owner: Any) -> Any:
    """The namespace, without waking lazily loaded modules: asking them for an attribute would import them."""
    try:
        return object.__getattribute__(owner, "__dict__") if not isinstance(owner, type) else vars(owner)
    except AttributeError:
        return None
