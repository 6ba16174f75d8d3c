"""The command line: ``facematch``. Each command is imported when it is used, so that small ones start at once."""

import ast
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from entrypoints.environment.variables import variables
from entrypoints.importing import importing
from entrypoints.terminal import interruption
from entrypoints.terminal.manual import MANUALS, Manual

COMMANDS: Final = {
    "worker": "entrypoints.commands.worker:worker",
    "migrate": "entrypoints.commands.migrate:migrate",
    "provision": "entrypoints.commands.provision:provision",
    "doctor": "entrypoints.commands.doctor:doctor",
    "healthcheck": "entrypoints.commands.healthcheck:healthcheck",
    "enroll": "entrypoints.commands.enroll:enroll",
    "reenroll prepare": "entrypoints.commands.reenroll:prepare",
    "reenroll switch": "entrypoints.commands.reenroll:switch",
    "reenroll discard": "entrypoints.commands.reenroll:discard",
    "forget": "entrypoints.commands.forget:forget",
    "submit": "entrypoints.commands.submit:submit",
    "show": "entrypoints.commands.show:show",
    "status": "entrypoints.commands.status:status",
    "dead list": "entrypoints.commands.dead:list_letters",
    "dead show": "entrypoints.commands.dead:show_letter",
    "dead replay": "entrypoints.commands.dead:replay",
    "dead purge": "entrypoints.commands.dead:purge",
    "reconcile": "entrypoints.commands.reconcile:reconcile",
    "backfill": "entrypoints.commands.backfill:backfill",
    "index": "entrypoints.commands.index:index",
    "embedders": "entrypoints.commands.embedders:embedders",
    "inspect": "entrypoints.commands.inspect:inspect",
    "evaluate": "entrypoints.commands.evaluate:evaluate",
    "calibrate": "entrypoints.commands.calibrate:calibrate",
    "demo": "entrypoints.commands.demo:demo",
    "completion": "entrypoints.commands.completion:completion",
}
"""Every command and the function behind it, in the order in which a newcomer needs them."""
GROUPS: Final = {
    "reenroll": "Move all users to another embedder.",
    "dead": "List, send again and delete dead letters.",
}
"""What is behind the first word of commands of two."""
_PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_show_locals": False,
}
"""Help is plain text, as manuals are; and locals, which may hold photographs and secrets, are never shown."""
_WORDS: Final = {
    r"^Value error, ": "",
    r"^Input should be a valid UUID, .*": "expected a UUID, such as 123e4567-e89b-12d3-a456-426614174000",
    r"^Input should be a valid integer, .*": "expected a whole number",
    r"^Input should be a valid number, .*": "expected a number",
    r"^Input should be (?=greater|less)": "expected a number ",
}
"""What the library says of wrong arguments, and what is said instead."""
_RANGES: Final = {
    rf"\b(\d+)<=x<={2**63 - 1}\b": r"\1 or more",
    r"\b([\d.]+)<=x<=([\d.]+)\b": r"\1 to \2",
    r"\bx>=(\d+)": r"\1 or more",
}
"""What the library's help says of the numbers that may be given, and what is said instead."""
_HELP: Final = {"help_option_names": ["--help", "-h"]}


def available() -> tuple[str, ...]:
    """Return the names of the commands that can be run: the servers of the demo are not in the container image."""
    return tuple(name for name in COMMANDS if name != "demo" or importlib.util.find_spec("infra") is not None)


def summary(name: str) -> str:
    """Return the first line of what a command says of itself; read from its source, so nothing is imported."""
    module, _, function = COMMANDS[name].partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    [found] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    return (ast.get_docstring(found) or "").partition("\n")[0]


def command(name: str) -> Any:  # noqa: ANN401 - typer's own types are private
    """Import and return a command."""
    with importing():
        function = pkgutil.resolve_name(COMMANDS[name])
    single = typer.Typer(**_PLAIN)
    manual_page = type("_Page", (_Page,), {"manual": MANUALS[name]})
    single.command(name.rpartition(" ")[2], cls=manual_page, context_settings=_HELP)(function)
    return typer.main.get_command(single)


class _Page(TyperCommand):
    """A command whose help has all that a manual page has."""

    manual: Manual

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as above
        """Take the arguments; where one is wrong, say so in words of our own."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            for theirs, ours in _WORDS.items():
                error.message = re.sub(theirs, ours, error.message)
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
        """Return the words of the usage, without braces around what is required."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as above
        """Write arguments and options, for people who know no Python."""
        for kind in ("argument", "option"):
            parameters = [each for each in self.get_params(ctx) if each.param_type_name == kind]
            records = [_for_people(*record) for each in parameters if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(f"{kind.title()}s"):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Write the sections below the options."""
        if self.manual.environment:
            with formatter.section("Environment"):
                formatter.write_dl(list(_described(self.manual.environment)))
        with formatter.section("Exit status"):
            formatter.write_dl(self.manual.exit_status)
        with formatter.section("Examples"):
            for purpose, line in self.manual.examples:
                formatter.write(f"{'':{formatter.current_indent}}{purpose}:\n")
                formatter.write(f"{'':{formatter.current_indent + 2}}{line}\n")
        if self.manual.see:
            with formatter.section("See also"):
                formatter.write_text(", ".join(f"facematch {name}" for name in self.manual.see))


def _for_people(name: str, meaning: str) -> tuple[str, str]:
    """Return an argument or option and its help without Python: the name of a type, and ranges as comparisons."""
    for theirs, ours in _RANGES.items():
        meaning = re.sub(theirs, ours, meaning)
    return re.sub(r" <[^|>]+>$", "", name), meaning


def _described(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield variables with their meaning, default and allowed values."""
    from entrypoints.settings import Settings  # noqa: PLC0415 - only help with an environment needs it

    declared = {known.name: known for known in variables(Settings)}
    for name in names:
        known = declared[name]
        default = "" if known.default == "-" else f"default: {known.default}"
        allowed = f"allowed: {known.allowed}" if known.allowed else ""
        notes = "; ".join(filter(None, (default, allowed)))
        yield name, f"{known.help}  [{notes}]" if notes else known.help


class _LazyGroup(TyperGroup):
    """Finds its commands in :data:`COMMANDS`: those that begin with :attr:`first`."""

    first = ""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as above
        """Return the names in the order of the help page."""
        own = [name.removeprefix(self.first) for name in available() if name.startswith(self.first)]
        return list(dict.fromkeys(name.partition(" ")[0] for name in own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Return what stands for a command in a list of them; None when there is none of that name."""
        name = self.first + cmd_name
        if name in GROUPS:
            return _group(name)
        return TyperCommand(cmd_name, short_help=summary(name)) if name in COMMANDS else None

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command that is called; cut off, say so, and what its manual says of that."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            manual = MANUALS.get(f"{self.first}{ctx.invoked_subcommand}")
            interruption.end((manual and manual.interrupted) or "interrupted")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """Return the command that is called, imported now."""
        cmd_name, found, rest = super().resolve_command(ctx, args)
        name = f"{self.first}{cmd_name}"
        if name not in COMMANDS:
            return cmd_name, found, rest
        if name not in available():
            sys.exit(f"{name} is not part of this installation: run it in a clone of the repository")
        return cmd_name, command(name), rest


def _group(name: str) -> Any:  # noqa: ANN401 - as above
    """Return the command that has others behind it."""
    group = typer.Typer(
        name=name,
        cls=type("_Group", (_LazyGroup,), {"first": f"{name} "}),
        no_args_is_help=True,
        context_settings=_HELP,
        **_PLAIN,
    )
    group.callback(help=GROUPS[name])(lambda: None)
    return typer.main.get_command(group)


app = typer.Typer(name="facematch", cls=_LazyGroup, no_args_is_help=True, context_settings=_HELP, **_PLAIN)


def _show_version(wanted: bool) -> None:
    if wanted:
        from entrypoints.versions import versions  # noqa: PLC0415 - it asks every embedder

        for line in versions():
            typer.echo(line)
        raise typer.Exit


@app.callback()
def facematch(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version, those of the embedders, and the licences of their weights; then exit.",
        ),
    ] = False,
) -> None:
    """Find out whose face is on a photo: jobs from NATS JetStream, photographs from S3, people in PostgreSQL.

    Every setting is an environment variable FACEMATCH_…; `facematch doctor` shows and checks them all. Results go to
    standard output, messages and the log to standard error. The exit status is 0 for success, 1 for a failure, 2 for
    wrong usage or settings, and 130 after Ctrl-C. `facematch COMMAND --help` explains each command.
    """
