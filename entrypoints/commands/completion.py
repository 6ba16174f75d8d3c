"""``completion``: what a shell needs to complete commands and options by itself, without starting Python."""

import argparse
import sys
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import shtab
import typer

from entrypoints import cli


class Shell(StrEnum):
    """The shells that people use."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[
        Shell, typer.Argument(help="The shell that will read the script.", show_default=False, metavar="SHELL")
    ],
) -> None:
    """Print the script that lets a shell complete what you type.

    The script knows all commands, options and their values, so completion starts no Python. Print it again after each
    update of facematch.
    """
    sys.stdout.write(shtab.complete(_parser(), shell=shell.value) + "\n")


def _parser() -> argparse.ArgumentParser:
    """Return the whole command line in the form that shtab reads; it parses nothing."""
    parser = argparse.ArgumentParser(prog="facematch")
    parser.add_argument("--version", action="store_true", help="Show the version and exit.")
    commands = parser.add_subparsers()
    groups = {
        name: commands.add_parser(name, help=said.rstrip(".")).add_subparsers() for name, said in cli.GROUPS.items()
    }
    for name in cli.available():
        first, _, rest = name.partition(" ")
        within = groups[first] if rest else commands
        of_command = within.add_parser(rest or name, help=cli.summary(name).rstrip("."))
        for parameter in cli.command(name).params:
            _add(of_command, parameter)
    return parser


def _add(parser: argparse.ArgumentParser, parameter: Any) -> None:  # noqa: ANN401 - typer's own types are private
    """Add an argument or option, with what its value may be."""
    is_option = parameter.param_type_name == "option"
    if is_option and parameter.is_flag:
        parser.add_argument(*parameter.opts, action="store_true", help=parameter.help)
        return
    annotation = parameter.type_descriptor.annotation
    [kind] = get_args(annotation) or [annotation]
    added: Any = parser.add_argument(
        *parameter.opts,
        nargs=None if parameter.nargs == 1 else "*",
        choices=[str(one) for one in kind] if issubclass(kind, Enum) else None,
        help=parameter.help,
    )
    if issubclass(kind, Path) or parameter.metavar == "IMAGE":
        added.complete = shtab.FILE
