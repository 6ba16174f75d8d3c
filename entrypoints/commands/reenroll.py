"""``reenroll``: everybody's template is made anew by another embedder, while the old ones are in use."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import attrs
import typer

from application.reenroll_users import LeftBehindError, Prepared, Switch
from entrypoints.console import ExitCode, err, explained, fail, load_settings, out, visible
from entrypoints.enrolling import EnrolmentImages, rights_explained
from entrypoints.portraits import PortraitListError, portraits
from entrypoints.progress import watched
from entrypoints.resources import build, opened_database
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
    known = _known(listed)
    told = _Told(settings.vision.embedder, as_json=as_json)
    with explained(), rights_explained(), told.summarised():
        asyncio.run(_prepare(settings, known, told))
    if told.refused:
        raise typer.Exit(ExitCode.FAILED)


def switch(
    partial: Annotated[
        bool, typer.Option("--partial", help="Also if some keep their old template: they will not be recognised.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let the templates prepared with this embedder take the old ones' place.

    Stop the workers that use the old embedder before, and start those that use this one after: jobs wait meanwhile.
    Nothing happens where somebody would be left behind. Safe to interrupt and to run again. Whose own template was
    replaced since it was prepared keeps what is there.
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
    left = f" {_users(done.left_behind)} kept another one, and will not be recognised." if done.left_behind else ""
    out.print(f"{_users(done.users)} switched to {embedder}.{left}")


def discard() -> None:
    """Delete the templates that are prepared, of whatever embedder."""
    settings = load_settings()
    with explained(), rights_explained():
        count = asyncio.run(_discard(settings))
    out.print(f"{_users(count)} had a template prepared; it is deleted.")


@attrs.define
class _Told:
    """Tells of each user: every one to machines, to people those who could not be prepared."""

    embedder: str
    as_json: bool
    prepared: int = 0
    refused: int = 0

    def __call__(self, user: Prepared) -> None:
        if user.problems:
            self.refused += 1
        else:
            self.prepared += 1
        if self.as_json:
            document = {"user_id": str(user.user_id), "prepared": not user.problems, "photographs": user.photographs}
            out.print(json.dumps(document | {"problems": user.problems}), soft_wrap=True)
        elif user.problems:
            out.print(visible(f"{user.user_id}: {'; '.join(user.problems)}"))

    @contextmanager
    def summarised(self) -> Iterator[None]:
        """Say at the end how many they were, also where it comes before everybody was looked at."""
        try:
            yield
        finally:
            left = f"; {_users(self.refused)} could not be" if self.refused else ""
            err.print(f"{_users(self.prepared)} prepared with {self.embedder}{left}.")


async def _prepare(settings: Settings, known: Mapping[UUID, Sequence[str]], told: _Told) -> None:
    container = build(settings)
    async with opened_database(container, container.factory().info), container.photo_store():
        pool = container.face_reader()
        await pool.start()
        try:
            with watched("preparing users") as progress:
                await container.reenroll_users().prepare(EnrolmentImages(container), known, told, progress)
        finally:
            await pool.close()


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


def _known(listed: typer.FileText | None) -> Mapping[UUID, Sequence[str]]:
    try:
        return portraits(listed) if listed else {}
    except PortraitListError as error:
        fail(f"{listed.name if listed else ''}, {error}", ExitCode.USAGE)


def _users(count: int) -> str:
    return "1 user" if count == 1 else f"{count:,} users"
