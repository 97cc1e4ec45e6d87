"""Dummy keys: filled while open, and nothing left behind."""

import os

import anthropic
import openai
import pytest
from google import genai

from pytest_sparrow.boundaries.world.environment import dummy_keys, environment_now
from pytest_sparrow.settings import dummy_key


def test_absent_and_empty_keys_are_filled_and_put_back():
    """A key that is set stays; others hold the dummy while open, and exactly what was there afterwards."""
    environ = {"OPENAI_API_KEY": "mine", "GROQ_API_KEY": "", "HOME": "/"}
    before = dict(environ)
    with dummy_keys(environ, extra=["MY_KEY"]):
        assert environ["OPENAI_API_KEY"] == "mine"
        names = ["GROQ_API_KEY", "MY_KEY", "ANTHROPIC_API_KEY"]
        assert [environ[name] for name in names] == [dummy_key(name) for name in names]
        assert len(set(environ.values())) == len(environ), "the value must say which key it is"
    assert environ == before


def test_an_alternative_that_is_set_is_enough():
    """Where one of two names is set, the other isn't filled: some SDKs complain about both."""
    with dummy_keys({"GEMINI_API_KEY": "mine", "ANTHROPIC_AUTH_TOKEN": "mine"}) as _:
        pass
    environ = {"GEMINI_API_KEY": "mine", "ANTHROPIC_AUTH_TOKEN": "mine"}
    with dummy_keys(environ):
        assert not {"GOOGLE_API_KEY", "ANTHROPIC_API_KEY"} & set(environ)


def test_what_was_changed_meanwhile_is_left_alone():
    """A key that the test set or removed is the test's own."""
    environ = {}
    with dummy_keys(environ):
        environ["OPENAI_API_KEY"] = "set by the test"
        del environ["GROQ_API_KEY"]
    assert environ == {"OPENAI_API_KEY": "set by the test"}


def test_an_error_restores_too():
    """Restoring doesn't depend on how the block ended."""
    environ = {}
    with pytest.raises(ZeroDivisionError), dummy_keys(environ):
        1 / 0  # noqa: B018
    assert environ == {}


def test_real_constructors_are_content(monkeypatch):
    """The SDKs that refuse to start without a key start."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI()
    with dummy_keys():
        assert openai.OpenAI().api_key == dummy_key("OPENAI_API_KEY")
        assert anthropic.Anthropic().api_key == dummy_key("ANTHROPIC_API_KEY")
        genai.Client().close()


def test_the_environment_of_the_process_is_filled_for_child_processes_too_and_put_back(monkeypatch):
    """What is decoded once is always what is there: names come, change and go."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with dummy_keys():
        assert (
            os.environ["ANTHROPIC_API_KEY"]
            == dummy_key("ANTHROPIC_API_KEY")
            == os.getenv("ANTHROPIC_API_KEY")
        )
        assert environment_now() == dict(os.environ)
        with os.popen("echo $OPENAI_API_KEY") as shell:
            assert shell.read().strip() == dummy_key("OPENAI_API_KEY")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a test's own")
    assert (os.environ["OPENAI_API_KEY"], os.environ["ANTHROPIC_API_KEY"]) == ("", "a test's own")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert environment_now() == dict(os.environ)
