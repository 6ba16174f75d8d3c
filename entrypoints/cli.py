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
    "embedders": "entrypoints.commands.vision:embedders",
    "inspect": "entrypoints.commands.vision:inspect",
    "evaluate": "entrypoints.commands.evaluate:evaluate",
    "calibrate": "entrypoints.commands.calibrate:calibrate",
    "demo": "entrypoints.commands.demo:demo",
}
"""Every command and the function behind it, in the order in which a newcomer needs them."""


def _is_here(command: str) -> bool:
    """Tell whether a command can be run: the servers of the demo are not in the container image."""
    return command != "demo" or importlib.util.find_spec("infra") is not None


class _LazyGroup(TyperGroup):
    """Finds its commands in :data:`COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - typer's own context type is private
        """Return the names in the order of the help page."""
        return [name for name in COMMANDS if _is_here(name)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as above
        """Import one command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if not _is_here(cmd_name):
            fail(f"{cmd_name} is not part of this installation: run it in a clone of the repository")
        single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        single.command(cmd_name)(pkgutil.resolve_name(COMMANDS[cmd_name]))
        return typer.main.get_command(single)


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
