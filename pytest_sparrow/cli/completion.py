"""``pytest-sparrow completion SHELL``: prints what completes verbs, options and their values in bash, zsh and fish."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRAM = "pytest-sparrow"


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "completion",
        help="print the completion of a shell",
        description='Print what completes this program in a shell. bash: eval "$(pytest-sparrow completion bash)" in '
        "~/.bashrc; zsh: the same in ~/.zshrc, behind compinit; fish: pytest-sparrow completion fish | source.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=list(_SHELLS), help="the shell")
    parser.set_defaults(verb=lambda options: _print(options.shell))


def _print(shell: str) -> int:
    from pytest_sparrow.cli import whole_parser

    say(_SHELLS[shell](dict(_words(whole_parser()))))
    return 0


_Words = dict[str, tuple[str, list[str]]]
"""By verb: its help, and the options and values that may follow."""


def _words(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    actions = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - no other way
    for verbs in actions:
        helps = {each.dest: each.help or "" for each in verbs._choices_actions}  # noqa: SLF001
        for verb, its in verbs.choices.items():
            words = [word for action in its._actions for word in action.option_strings]  # noqa: SLF001
            words += [str(word) for action in its._actions for word in action.choices or ()]  # noqa: SLF001
            yield verb, (helps.get(verb, ""), words)


def _bash(words: _Words) -> Iterator[str]:
    yield "_pytest_sparrow() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}" words'
    yield "  if [ $COMP_CWORD -eq 1 ]; then"
    yield f"    words={shlex.quote(' '.join([*words, '--help', '--version']))}"
    yield "  else"
    yield '    case "${COMP_WORDS[1]}" in'
    for verb, (_, options) in words.items():
        yield f"      {verb}) words={shlex.quote(' '.join(options))} ;;"
    yield "    esac"
    yield "  fi"
    yield '  COMPREPLY=($(compgen -W "$words" -- "$word"))'
    # Verbs work on folders and files.
    yield '  if [ $COMP_CWORD -gt 1 ] && [[ $word != -* ]]; then COMPREPLY+=($(compgen -f -- "$word")); fi'
    yield "}"
    yield f"complete -o filenames -F _pytest_sparrow {_PROGRAM}"


def _zsh(words: _Words) -> Iterator[str]:
    yield "autoload -U +X bashcompinit && bashcompinit"
    yield from _bash(words)


def _fish(words: _Words) -> Iterator[str]:
    for verb, (help_text, options) in words.items():
        yield f"complete -c {_PROGRAM} -n __fish_use_subcommand -a {verb} -d {shlex.quote(help_text)}"
        longs = [f"-l {word[2:]}" for word in options if word.startswith("--")]
        values = [f"-a {shlex.quote(word)}" for word in options if not word.startswith("-")]
        for each in (*longs, *values):
            yield f"complete -c {_PROGRAM} -n '__fish_seen_subcommand_from {verb}' {each}"


_SHELLS: dict[str, Callable[[_Words], Iterator[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
