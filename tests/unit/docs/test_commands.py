"""The command line as it is documented is the command line as it is."""

import re
import shlex
from typing import Any

import pytest
import typer

from entrypoints.cli import COMMANDS, GROUPS, app
from tests.unit.docs.pages import Page, page, pages, rows

_GROUP: Any = typer.main.get_command(app)
_REFERENCE = page("docs/reference/cli.md")
_HELP = {"--help", "-h"}
_COMMAND_LINE = re.compile(r"^(?:\w+=\S+ +)*(?:\S*/)?facematch +(?P<rest>[a-z-].*)$")
_END_OF_COMMAND = {"|", ">", ">>", "&&", ";", "&", "||"}


def _parameters(command: str) -> list[Any]:
    found = _GROUP
    for word in command.split():
        found = found.get_command(None, word)
    return list(found.params)


def _options(command: str) -> set[str]:
    return {name for parameter in _parameters(command) for name in parameter.opts if name.startswith("-")}


def _arguments(command: str) -> list[str]:
    arguments = [
        parameter
        for parameter in _parameters(command)
        if parameter.param_type_name == "argument" and parameter.required
    ]
    return [(argument.metavar or argument.name).rstrip(".").upper() for argument in arguments]


def test_the_reference_has_a_section_for_each_command_in_the_order_of_the_help() -> None:
    """Neither a command nor a section is missing."""
    headings = re.findall(r"^## facematch (.+)$", _REFERENCE.text, re.MULTILINE)
    assert headings == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_lists_each_option_of_a_command(command: str) -> None:
    """The table has the real options, and usage shows them and every argument."""
    section = _REFERENCE.section(f"facematch {command}")
    listed = {name for [names, *_] in rows(section) for name in names.split(", ")}
    assert listed == _options(command)
    usage = section.partition("```text\n")[2].partition("\n")[0]
    assert set(re.findall(r"--[a-z-]+", usage)) == _options(command)
    assert re.findall(r"\b[A-Z_]{3,}\b", re.sub(r"\[.*?\]|--[a-z-]+ \S+", "", usage)) == _arguments(command)


def test_the_reference_lists_the_options_of_the_program_itself() -> None:
    """Those that stand before any command."""
    listed = {name for [names, *_] in rows(_REFERENCE.section("facematch")) for name in names.split(", ")}
    assert listed == {name for parameter in _GROUP.params for name in parameter.opts} | _HELP


@pytest.mark.parametrize("written", pages(), ids=str)
def test_every_command_that_is_quoted_exists(written: Page) -> None:
    """Each ``facematch …`` in code names a real command, with real options."""
    wrong = [line for line in _quoted(written) if not _is_real(line)]
    assert wrong == []


def _quoted(written: Page) -> list[str]:
    """Return what follows ``facematch`` wherever it stands as a command."""
    blocks = [block.code for block in written.blocks if block.language in {"bash", "console", "sh", "text", ""}]
    lines = [line for code in blocks for line in code.splitlines()] + written.code_spans
    return [match["rest"] for line in lines if (match := _COMMAND_LINE.match(line.strip().removeprefix("$ ")))]


def _is_real(rest: str) -> bool:
    command, *words = _words(rest)
    if command in {"--version", "--help", "-h"}:
        return True
    if command in GROUPS and words:
        command = f"{command} {words.pop(0)}"
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    return command in COMMANDS and given <= _options(command) | _HELP


def _words(rest: str) -> list[str]:
    """Return the words of one command, without brackets that mark what may be left out."""
    lexer = shlex.shlex(rest.replace("[", " ").replace("]", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _END_OF_COMMAND:
            break
        words.append(word)
    return words
