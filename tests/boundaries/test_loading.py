"""Acting when a library is loaded, without loading it."""

import importlib
import sys

from pytest_sparrow.boundaries.patching import AfterLoading


def test_two_may_wait_for_the_same_module(tmp_path, monkeypatch):
    """Each acts once, on the module that has run; its loader is left as it was."""
    (tmp_path / "awaited_module.py").write_text("ran = True", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    told = []
    finders = [
        AfterLoading(["awaited_module"], lambda module, who=who: told.append((who, module.ran)))
        for who in ("one", "other")
    ]
    monkeypatch.setattr(sys, "meta_path", [*finders, *sys.meta_path])
    module = importlib.import_module("awaited_module")
    monkeypatch.delitem(sys.modules, "awaited_module")
    assert sorted(told) == [("one", True), ("other", True)]
    assert "exec_module" not in vars(module.__loader__)
