"""The command line: ``facematch``. Each command is imported when it is used, so that small ones start at once."""

import importlib.util
import pkgutil
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from entrypoints.console import fail, out

COMMANDS: Final = {
    "worker": "entrypoints.commands.worker:worker",
    "migrate": "entrypoints.commands.preparation:migrate",
    "provision": "entrypoints.commands.preparation:provision",
    "doctor": "entrypoints.commands.doctor:doctor",
    "healthcheck": "entrypoints.commands.healthcheck:healthcheck",
    "enroll": "entrypoints.commands.enroll:enroll",
    "submit": "entrypoints.commands.jobs:submit",
    "show": "entrypoints.commands.jobs:show",
    "status": "entrypoints.commands.status:status",
    "dead list": "entrypoints.commands.dead:list_letters",
    "dead show": "entrypoints.commands.dead:show_letter",
    "dead replay": "entrypoints.commands.dead:replay",
    "dead purge": "entrypoints.commands.dead:purge",
    "reconcile": "entrypoints.commands.reconcile:reconcile",
    "backfill": "entrypoints.commands.backfill:backfill",
    "index": "entrypoints.commands.index:index",
    "embedders": "entrypoints.commands.vision:embedders",
    "inspect": "entrypoints.commands.vision:inspect",
    "evaluate": "entrypoints.commands.evaluate:evaluate",
    "calibrate": "entrypoints.commands.calibrate:calibrate",
    "demo": "entrypoints.commands.demo:demo",
}
"""Every command and the function behind it, in the order in which a newcomer needs them."""
GROUPS: Final = {"dead": "See, repair and delete the jobs that were given up."}
"""What is behind the first word of commands of two."""


def _is_here(command: str) -> bool:
    """Tell whether a command can be run: the servers of the demo are not in the container image."""
    return command != "demo" or importlib.util.find_spec("infra") is not None


class _LazyGroup(TyperGroup):
    """Finds its commands in :data:`COMMANDS`: those that begin with :attr:`first`."""

    first = ""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's own context type is private
        """Return the names in the order of the help page."""
        own = [name.removeprefix(self.first) for name in COMMANDS if name.startswith(self.first) and _is_here(name)]
        return list(dict.fromkeys(name.partition(" ")[0] for name in own))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Import one command; None when there is none of that name."""
        name = self.first + cmd_name
        if name in GROUPS:
            return _group(name)
        if name not in COMMANDS:
            return None
        if not _is_here(name):
            fail(f"{name} is not part of this installation: run it in a clone of the repository")
        single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        single.command(cmd_name)(pkgutil.resolve_name(COMMANDS[name]))
        return typer.main.get_command(single)


def _group(name: str) -> Any:  # noqa: ANN401 - as above
    """Return the command that has others behind it."""
    group = typer.Typer(
        name=name,
        cls=type("_Group", (_LazyGroup,), {"first": f"{name} "}),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
    )
    group.callback(help=GROUPS[name])(lambda: None)
    return typer.main.get_command(group)


app = typer.Typer(
    name="facematch",
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold photographs and secrets
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"facematch {version('facematch')}")
        raise typer.Exit


@app.callback()
def facematch(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find out whose face is on a photo: jobs from NATS JetStream, photographs from S3, people in PostgreSQL.

    Every setting is an environment variable FACEMATCH_…; `facematch doctor` shows and checks them all.
    Exit codes: 0 ok, 1 the work failed, 2 wrong usage or configuration.
    """


def main() -> None:
    """Run the command line."""
    app()
