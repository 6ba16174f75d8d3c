"""``reenroll``: everybody's template is made anew by another embedder, while the old ones are in use."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import typer

from application.reenroll_users import LeftBehindError, Switch
from entrypoints.bulk_enrolment import ToldUsers, photographs_of, users
from entrypoints.console import explained, fail, load_settings, out
from entrypoints.enrolling import EnrolmentImages, rights_explained
from entrypoints.progress import watched
from entrypoints.resources import build, opened_database, started_reader
from entrypoints.settings import Settings


def prepare(
    listed: Annotated[
        typer.FileText | None,
        typer.Option(
            "--from",
            help="Lines of USER_ID,IMAGE and maybe more images (CSV; - is standard input): for users whose photographs "
            "are not known from their enrolment, or others than those.",
            encoding="utf-8-sig",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per user and line.")] = False,
) -> None:
    """Make everybody's template by this embedder, beside the old one.

    That is for users who are enrolled with another embedder. Nobody is recognised by the new one until `reenroll
    switch`. The photographs are those of the object store that the user was enrolled from, or those that --from
    names. Safe to interrupt and to run again, beside workers that use the other embedder: who is prepared is not
    looked at again.
    """
    settings = load_settings()
    photographs = photographs_of(listed) if listed else {}
    told = ToldUsers("prepared", settings.vision.embedder, as_json=as_json)
    with explained(), rights_explained(), told.summarised():
        asyncio.run(_prepare(settings, photographs, told))
    told.end()


def switch(
    partial: Annotated[
        bool, typer.Option("--partial", help="Also if some keep their old template: they will not be recognised.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let the templates prepared with this embedder take the old ones' place.

    Jobs wait meanwhile, and after it workers of another embedder do: start workers of this one in their place. Nothing
    happens where somebody would be left behind. Safe to interrupt and to run again. Whose own template was replaced
    since it was prepared keeps what is there.
    """
    settings = load_settings()
    with explained(), rights_explained():
        try:
            embedder, done = asyncio.run(_switch(settings, partial=partial))
        except LeftBehindError as error:
            fail(
                f"Nothing was switched: {error}. `facematch reenroll prepare` makes them, and tells of whom it cannot; "
                "--partial leaves these behind: they will not be recognised."
            )
    if as_json:
        out.print_json(json.dumps({"embedder": embedder, "switched": done.users, "left_behind": done.left_behind}))
        return
    left = f" {users(done.left_behind)} kept another one, and will not be recognised." if done.left_behind else ""
    out.print(f"{users(done.users)} switched to {embedder}.{left}")


def discard() -> None:
    """Delete the templates that are prepared, of whatever embedder."""
    settings = load_settings()
    with explained(), rights_explained():
        count = asyncio.run(_discard(settings))
    out.print(f"{users(count)} had a template prepared; it is deleted.")


async def _prepare(settings: Settings, photographs: Mapping[UUID, Sequence[str]], told: ToldUsers) -> None:
    container = build(settings)
    async with opened_database(container, container.factory().info), container.photo_store(), started_reader(container):
        with watched("preparing users") as progress:
            await container.reenroll_users().prepare(EnrolmentImages(container), photographs, told, progress)


async def _switch(settings: Settings, *, partial: bool) -> tuple[str, Switch]:
    container = build(settings)
    embedder = container.factory().info.id
    async with opened_database(container, container.factory().info):
        with watched("switching users") as progress:
            return embedder, await container.reenroll_users().switch(progress, partial=partial)


async def _discard(settings: Settings) -> int:
    container = build(settings)
    async with opened_database(container):
        return await container.reenrolment().discard()
