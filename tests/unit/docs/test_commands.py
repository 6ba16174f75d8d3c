"""The command line as it is documented is the command line as it is."""

import re
import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from entrypoints.cli import COMMANDS, GROUPS, app, command, summary
from entrypoints.terminal.manual import MANUALS, Manual
from tests.unit.docs.pages import Page, page, pages, rows

_GROUP: Any = typer.main.get_command(app)
_REFERENCE = page("docs/reference/cli.md")
_HELP = {"--help", "-h"}
_COMMAND_LINE = re.compile(r"^(?:\w+=\S+ +)*(?:\S*/)?facematch +(?P<rest>[a-z-].*)$")
_END_OF_COMMAND = {"|", ">", ">>", "&&", ";", "&", "||"}


def _options(name: str) -> set[str]:
    return {option for parameter in command(name).params for option in parameter.opts if option.startswith("-")}


def _arguments(name: str, *, required: bool) -> set[str]:
    arguments = [
        parameter
        for parameter in command(name).params
        if parameter.param_type_name == "argument" and (parameter.required or not required)
    ]
    return {(argument.metavar or argument.name).rstrip(".").upper() for argument in arguments}


def test_the_reference_has_a_section_for_each_command_in_the_order_of_the_help() -> None:
    """Neither a command nor a section is missing."""
    headings = re.findall(r"^## facematch (.+)$", _REFERENCE.text, re.MULTILINE)
    assert headings == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_lists_each_option_of_a_command(name: str) -> None:
    """The table has the real options, and usage shows them and every argument."""
    section = _REFERENCE.section(f"facematch {name}")
    listed = {option for [options, *_] in rows(section) if options.startswith("-") for option in options.split(", ")}
    assert listed == _options(name)
    usage = section.partition("```text\n")[2].partition("```")[0]
    assert set(re.findall(r"--[a-z-]+", usage)) == _options(name)
    shown = set(re.findall(r"\b[A-Z_]{3,}\b", re.sub(r"\[.*?\]|--[a-z-]+ \S+", "", usage)))
    assert _arguments(name, required=True) <= shown <= _arguments(name, required=False)


def test_the_reference_has_the_exit_codes_of_each_command() -> None:
    """One table says of every command what the help says of it, and nothing where that is the usual."""
    section = _REFERENCE.section("Exit codes").partition("| command |")
    told = {name: tuple(meanings) for name, *meanings in rows("".join(section[1:]))}
    codes = ("0", "1", "2", "130")
    meant = {name: [dict(manual.exit_status).get(code, "never") for code in codes] for name, manual in MANUALS.items()}
    usual = {meaning for _, meaning in Manual(examples=()).exit_status}
    plain = {name: tuple("" if it in usual else it.replace("`", "") for it in each) for name, each in meant.items()}
    assert told == plain


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_a_whole_manual_page(name: str) -> None:
    """In 80 columns: a summary of one line, every option, exit status, and examples that can be run."""
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert f"\n  {summary(name)}\n" in shown
    assert {option for option in _options(name) if option not in shown} == set()
    headings = [line.rstrip(":") for line in shown.splitlines() if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert headings[-3:] == ["Exit status", "Examples", "See also"] or headings[-2:] == ["Exit status", "Examples"]
    lines = [match["rest"] for _, line in MANUALS[name].examples if (match := _COMMAND_LINE.match(line))]
    assert len(lines) == len(MANUALS[name].examples)
    assert [line for line in lines if not _is_real(line)] == []
    assert set(MANUALS[name].see) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_not_in_python(name: str) -> None:
    """No types, comparisons or exponents; and brackets only around what may be left out."""
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).stdout
    assert re.findall(r"(?<= )<[^|>]+>|x[<>]=|\d{11,}|\de[-+]\d", shown) == []
    usage = re.sub(r"\[.*?\]", "", shown.partition("\n\n")[0]).replace("...", "").split()
    assert set(usage[2 + len(name.split()) :]) == _arguments(name, required=True)


def test_the_help_of_a_command_says_which_numbers_its_options_take() -> None:
    """A range with both ends, or with the lower one alone where there is none that anybody reaches."""
    shown = {
        name: " ".join(CliRunner().invoke(app, [*name.split(), "--help"]).stdout.split())
        for name in ("dead show", "dead list", "forget", "calibrate")
    }
    assert "SEQ Number of the dead letter. [1 or more; required]" in shown["dead show"]
    assert "with --json all. [1 or more]" in shown["dead list"]
    assert "0 lists none. [default: 10; 0 to 10000]" in shown["forget"]
    assert "[default: 0.01; allowed: 0.000001 to 0.5]" in shown["calibrate"]


def test_the_help_of_a_command_says_which_values_its_settings_may_have() -> None:
    """Behind the default, for those with a range or a list of words."""
    shown = " ".join(CliRunner().invoke(app, ["provision", "--help"]).stdout.split())
    assert "use 3 in production [default: 1; allowed: 1 to 5]" in shown
    assert "[default: nats://127.0.0.1:4222]" in shown


def test_each_summary_has_one_line_in_the_list_of_commands() -> None:
    """Nothing is wrapped in 80 columns."""
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert [name for name in COMMANDS if " " not in name and f"  {name:<11}  {summary(name)}" not in shown] == []


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
    name, *words = _words(rest)
    if name in {"--version", "--help", "-h"}:
        return True
    if name in GROUPS and words:
        name = f"{name} {words.pop(0)}"
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    return name in COMMANDS and given <= _options(name) | _HELP


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
