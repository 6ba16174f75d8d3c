"""What people see: results on standard output, messages on standard error, and the exit codes."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from adapters.vision.registry import BrokenEmbedderError
from domain.errors import FacematchError
from entrypoints.environment import embedder, otel
from entrypoints.environment.defaults import naming_defaults
from entrypoints.environment.variables import Problem, SettingsError, read
from entrypoints.settings import Settings

_SIZES = ("COLUMNS", "LINES")


class _Console(Console):
    """A console whose reader may have seen enough: then it ends as everything does that writes."""

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to whoever opened standard output; rich would end the program here, also within a task."""
        raise BrokenPipeError


def console(*, width: int | None = None, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that shows text as it is: what strangers wrote may look like markup or emoji codes."""
    return _Console(
        width=width,
        stderr=stderr,
        soft_wrap=soft_wrap,
        highlight=False,
        markup=False,
        emoji=False,
        _environ=_with_real_sizes(os.environ),
    )


def _with_real_sizes(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables without sizes of a terminal that are none: in no columns nothing would be shown."""
    wrong = {name for name in _SIZES if not re.fullmatch(r"0*[1-9][0-9]{0,4}", environ.get(name, "1"))}
    return {name: value for name, value in environ.items() if name not in wrong} if wrong else environ


out = console(soft_wrap=True)
err = console(stderr=True, soft_wrap=True)


_LEAST_WIDTH = 40
"""Columns beside a variable's name in the table of wrong settings."""
_Settings = TypeVar("_Settings")


class ExitCode(IntEnum):
    """What the process says at its end."""

    OK = 0
    FAILED = 1
    USAGE = 2


def load_settings() -> Settings:
    """Return the environment's settings, or end with exit code 2 and one table of everything that is wrong."""
    try:
        return read(Settings, os.environ, otel.problems(os.environ))
    except SettingsError as error:
        print_problems([*error.problems, *embedder.problems(error.problems)])
        raise typer.Exit(ExitCode.USAGE) from error


def load_some(settings_class: type[_Settings]) -> _Settings:
    """Return one class of settings as :func:`load_settings` does; what is wrong with others does not matter."""
    try:
        return read(settings_class, os.environ)
    except SettingsError as error:
        print_problems(error.problems)
        raise typer.Exit(ExitCode.USAGE) from error


def print_problems(problems: list[Problem]) -> None:
    """Print a table that keeps each variable's name in one piece, however narrow the terminal is."""
    table = Table(title="Wrong settings", title_justify="left")
    table.add_column("variable", no_wrap=True, min_width=max(len(p.variable) for p in problems))
    table.add_column("value", overflow="fold")
    table.add_column("problem", overflow="fold")
    for problem in problems:
        table.add_row(problem.variable, problem.value, problem.message)
    wide = max(len(p.variable) for p in problems) + _LEAST_WIDTH
    console(stderr=True, width=max(err.width, wide)).print(table)


def print_document(document: object) -> None:
    """Print JSON, in ASCII: the names of files need not be text in any encoding."""
    out.print_json(data=document, ensure_ascii=True)


def print_line(document: object) -> None:
    """Print JSON in one line of ASCII, at once, for whoever reads line by line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


@contextmanager
def told_at_the_end(tell: Callable[[str], None]) -> Iterator[None]:
    """Call it with nothing to add after the block, or with `` so far`` where the block was cut off."""
    so_far = " so far"
    try:
        yield
        so_far = ""
    finally:
        tell(so_far)


def visible(text: str) -> str:
    """Return a stranger's text with everything that a terminal would obey written out."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def fail(message: str, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Say why on standard error and end."""
    err.print(visible(message), style="bold red" if err.is_terminal else None)
    raise typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Turn a foreseen error into its message and exit code 1, or 2 where the configuration is what is wrong."""
    try:
        yield
    except BrokenEmbedderError as error:
        fail(str(error), ExitCode.USAGE)
    except FacematchError as error:
        fail(naming_defaults(str(error)))


def is_interactive() -> bool:
    """True when somebody watches: then progress is drawn."""
    return sys.stderr.isatty()
