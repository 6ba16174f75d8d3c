"""``reenroll``: everybody's template is made anew by another embedder, while the old ones are in use."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import typer

from application.enrolment.switch_users import (
    HalfSwitchedError,
    LeftBehindError,
    NothingSwitchedError,
    Switch,
)
from domain.errors import DatabaseUnavailableError
from entrypoints.commands.common.bulk_enrolment import EnrolmentReport, photographs_of
from entrypoints.commands.common.enrolling import EnrolmentImages, rights_explained
from entrypoints.composition.base import build
from entrypoints.composition.database import opened_database
from entrypoints.composition.enrolment import EnrolmentContainer
from entrypoints.composition.vision import started_reader
from entrypoints.settings import Settings
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible
from entrypoints.terminal.progress import watched
from entrypoints.terminal.quantities import quantity


def prepare(
    listed: Annotated[
        typer.FileText | None,
        typer.Option(
            "--from",
            help="A list of photographs to use instead of those of the enrolment. Each line has a user's id and one "
            "image or more (CSV; - is standard input).",
            encoding="utf-8-sig",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per user and line.")] = False,
) -> None:
    """Make a template with this embedder for all users of another one.

    The old templates stay in use until `reenroll switch`. Photographs are the references that the user was enrolled
    from, or those of --from. It is safe to run while workers use the other embedder, to interrupt and to run again:
    users who are prepared are skipped.
    """
    settings = load_settings()
    photographs = photographs_of(listed) if listed else {}
    with explained(), rights_explained():
        container = build(EnrolmentContainer, settings)
        report = EnrolmentReport("prepared", container.factory().info.id, as_json=as_json)
        with report.summarised():
            asyncio.run(_prepare(container, photographs, report))
    report.end()


def switch(
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Switch even if some users have no new template. They will not be recognised."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replace the old templates by those prepared with this embedder.

    Jobs wait during the switch. Afterwards only workers with this embedder take jobs: start them in place of the old
    ones. Nothing is switched if a user would be left without a new template. It is safe to interrupt and to run again.
    A user who was enrolled anew after `prepare` keeps that template.
    """
    settings = load_settings()
    with explained(), rights_explained():
        try:
            embedder, done = asyncio.run(_switch(settings, partial=partial))
        except LeftBehindError as error:
            what = "Users are half switched, and jobs wait for it" if error.half_done else "Nothing was switched"
            fail(
                f"{what}: {error}. `facematch reenroll prepare` makes them, and tells of whom it cannot; "
                "--partial leaves these behind: they will not be recognised."
            )
        except NothingSwitchedError as error:
            fail(f"Nothing was switched: {_with_hint(error)}")
        except HalfSwitchedError as error:
            _tell(error.refused)
            fail(
                f"{_with_hint(error)} Mend that and run it again; --partial leaves these behind: they will not be "
                "recognised."
            )
    _tell(done.refused)
    if as_json:
        print_document({"embedder": embedder, "switched": done.users, "left_behind": done.left_behind})
    else:
        left = (
            f" {quantity(done.left_behind, 'user')} kept another one, and will not be recognised."
            if done.left_behind
            else ""
        )
        out.print(f"{quantity(done.users, 'user')} switched to {embedder}.{left}")
    if done.left_behind and not partial:
        raise typer.Exit(ExitCode.FAILED)


def discard(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Delete all prepared templates that are not in use."""
    settings = load_settings()
    with explained(), rights_explained():
        count = asyncio.run(_discard(settings))
    if as_json:
        print_document({"discarded": count})
    else:
        out.print(f"{quantity(count, 'user')} had a template prepared; it is deleted.")


async def _prepare(
    container: EnrolmentContainer, photographs: Mapping[UUID, Sequence[str]], report: EnrolmentReport
) -> None:
    async with opened_database(container, container.factory().info), container.photo_store(), started_reader(container):
        with watched("preparing users") as progress:
            await container.reenroll_users().prepare(EnrolmentImages(container), photographs, report, progress)


async def _switch(settings: Settings, *, partial: bool) -> tuple[str, Switch]:
    container = build(EnrolmentContainer, settings)
    embedder = container.factory().info.id
    async with opened_database(container, container.factory().info):
        with watched("switching users") as progress, _told_what_waits() as jobs_wait:
            return embedder, await container.switch_users()(progress, jobs_wait, partial=partial)


@contextmanager
def _told_what_waits() -> Iterator[Callable[[], None]]:
    """Yield what hears that jobs wait; where the switch does not come to its end after that, say so."""
    do_wait = False

    def hear() -> None:
        nonlocal do_wait
        do_wait = True

    try:
        yield hear
    except (asyncio.CancelledError, DatabaseUnavailableError, HalfSwitchedError):
        if do_wait:
            err.print("Users are half switched, and jobs wait until `facematch reenroll switch` has been run again.")
        raise


def _with_hint(error: NothingSwitchedError | HalfSwitchedError) -> str:
    """Return what it says, and what it may be where the database does not say it."""
    hint = " Where no reason is given, other transactions lock the rows, or a trigger swallows the change."
    return f"{error}.{hint if error.unexplained else ''}"


def _tell(refused: Mapping[UUID, str]) -> None:
    for user, why in refused.items():
        err.print(visible(f"{user}: {why}"))


async def _discard(settings: Settings) -> int:
    container = build(EnrolmentContainer, settings)
    async with opened_database(container):
        return await container.reenrolment().discard()
