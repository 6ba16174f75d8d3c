"""``show``: learn what became of a photo."""

import asyncio
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from application.operating.photo_history import PhotoJob, photo_history, with_nearest_now
from domain.errors import DatabaseUnavailableError
from domain.outcomes import Reason
from entrypoints.commands.common.photo_jobs import document, nearest, table
from entrypoints.composition.base import build
from entrypoints.composition.database import DatabaseContainer, opened_database
from entrypoints.settings import Settings
from entrypoints.terminal.console import console, err, explained, fail, load_settings, out, print_document, visible

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
_TRIED: Final = " yet; what came of its attempts so far is on standard output"
_NOT_TRIED: Final = (
    ", and no attempt of one is known: none was published, or it waits for its first or is in hand (`facematch status` "
    "shows the backlog), or it was another photo id, or the job was malformed, so that its photo id could not be read "
    f"(`facematch dead list --reason {Reason.MALFORMED_PAYLOAD}` shows such jobs)"
)
_LEAST_WIDTH: Final = 61
"""Columns that a table needs, so that ids stand in one piece and can be copied."""


def _picture_path(text: str) -> Path:
    """Return where the picture goes; its ending says how it is written."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"{text!r} does not end with {', '.join(_PICTURES)}")
    return path


def show(
    photo_id: Annotated[UUID, typer.Argument(help="The photo's id.", show_default=False, metavar="PHOTO_ID")],
    image: Annotated[
        Path | None,
        typer.Option(
            help="Write the photo, upright, with the face's box and the outcome, to this file (.png, .jpg or .webp).",
            metavar="FILE",
            parser=_picture_path,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array, in the same order.")] = False,
) -> None:
    """Say why a photo was, or was not, matched.

    Prints the record of every job for the photo, with the attempts that failed. The job that ended last, or was tried
    last if it has not ended, comes first. If the photo's face is stored, it also lists the three users who are nearest
    now. Needs the database. --image also needs NATS and the object store: it takes the image of the first of these jobs
    that has ended and whose image is available. Jobs that ended as already_matched come last.
    """
    settings = load_settings()
    with explained():
        jobs, unseen = asyncio.run(_history(settings, photo_id))
    if as_json:
        print_document([document(job) for job in jobs])
    else:
        wide = console(width=max(out.width, _LEAST_WIDTH))
        for job in jobs:
            wide.print(*filter(None, (table(job), nearest(job))))
    if unseen:
        err.print(f"The users who are nearest now cannot be seen: {visible(unseen)}")
    records = [job.record for job in jobs if job.record is not None]
    if not records:
        fail(f"no job for photo {photo_id} has ended{_TRIED if jobs else _NOT_TRIED}")
    if image is not None:
        from entrypoints.commands.common.sheet import write_sheet  # noqa: PLC0415 - only a picture needs its drivers

        with explained():
            asyncio.run(write_sheet(settings, records, image))


async def _history(settings: Settings, photo_id: UUID) -> tuple[list[PhotoJob], str]:
    """Return the jobs, and why the gallery could not be compared with, where it could not."""
    container = build(DatabaseContainer, settings)
    async with opened_database(container):
        jobs = await photo_history(container.ledger(), photo_id)
        try:
            return await with_nearest_now(jobs, container.stored_faces()), ""
        except DatabaseUnavailableError as error:
            return jobs, str(error)
