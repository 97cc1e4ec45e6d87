"""Locks between writers."""

from __future__ import annotations

import os
import threading

import pytest

from pytest_sparrow.store import disk


def test_a_lock_is_held_within_and_gone_afterwards(tmp_path):
    """While the block runs nobody else gets it, and nothing is left of it, be it that the block failed."""
    path = tmp_path / "folder" / "r.lock"
    assert not disk.is_held(path)
    for error in (None, KeyError):
        try:
            with disk.lock_file(path):
                assert disk.is_held(path)
                if error:
                    raise error
        except KeyError:
            pass
        assert list(path.parent.iterdir()) == []


def test_who_waits_for_a_lock_holds_it_once_its_holder_has_gone(tmp_path, monkeypatch):
    """The file that was waited for is removed by then: the waiter takes another, under the name that all look at."""
    path = tmp_path / "r.lock"
    real, waits, found, taken = disk.take, threading.Event(), [], []

    def take(fd, *, wait):
        if threading.current_thread() is waiter:
            waits.set()
        taken.append(wait and real(fd, wait=wait))
        return taken[-1]

    def work():
        with disk.lock_file(path):
            monkeypatch.setattr(disk, "take", real)
            found.append(disk.is_held(path))

    waiter = threading.Thread(target=work)
    monkeypatch.setattr(disk, "take", take)
    with disk.lock_file(path):
        waiter.start()
        assert waits.wait(60)
    waiter.join(60)
    assert found == [True]
    assert all(taken)
    assert not path.exists()


@pytest.mark.parametrize("what", ["nothing", "a free file", "a folder", "a link", "a pipe", "below a file"])
def test_only_a_file_with_a_living_holder_is_held(tmp_path, what):
    """What is no file of ours is held by nobody, and is neither followed nor waited for."""
    path = tmp_path / "events.jsonl"
    held = tmp_path / "held"
    with disk.lock_file(held):
        if what == "a free file":
            path.touch()
        elif what == "a folder":
            path.mkdir()
        elif what == "a link":
            path.symlink_to(held)
        elif what == "a pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
        elif what == "below a file":
            path = held / "events.jsonl"
        assert not disk.is_held(path)


def test_what_the_system_refuses_is_not_taken_for_nobodys(tmp_path, monkeypatch):
    """Otherwise the journal of a living process would be removed as a dead process's."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(PermissionError):
        disk.is_held(tmp_path / "events.jsonl")
