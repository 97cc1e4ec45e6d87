"""Whose code runs in a frame: installed, this package's own, or the user's."""

import json
import sys
import sysconfig

from pytest_sparrow.run.users_code import caller, is_installed, is_users, package_name


def test_what_is_installed():
    """Files of the standard library and of site-packages; not those of a project, nor code without a file."""
    assert is_installed(json.__file__)
    assert is_installed(f"{sysconfig.get_path('purelib')}/some_sdk/client.py")
    assert not is_installed(__file__)
    assert not is_installed("<string>")
    assert not is_installed(None)


def test_the_users_code():
    """Code in a file of neither kind; code that was made from a text belongs to nobody."""
    frame = sys._getframe()
    assert is_users(frame)
    assert package_name(frame) == __name__.partition(".")[0]
    assert not eval("is_users(_getframe())", {"is_users": is_users, "_getframe": sys._getframe})


def test_the_caller_is_the_innermost_line_of_the_users_code():
    """Behind installed code, and behind code that hides itself from tracebacks."""

    def hidden():
        __tracebackhide__ = True
        return caller()

    line = sys._getframe().f_lineno + 1
    assert [hidden(), *map(lambda _: hidden(), "x")] == [f"tests/run/test_frames.py:{line}"] * 2  # noqa: C417
    assert json.loads("1", parse_int=lambda _: caller()).startswith("tests/run/test_frames.py:")
