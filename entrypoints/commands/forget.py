"""``forget``: what facematch has of one person is deleted."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.table import Table

from adapters.postgres.erasure import Forgotten, StoredFace, erase
from entrypoints.composition.base import build
from entrypoints.composition.database import DatabaseContainer, opened_database
from entrypoints.settings import Settings
from entrypoints.terminal.console import err, explained, load_settings, out, print_document

_NEAREST: Final = 10
_MOST: Final = 10_000
_COUNTS: Final = {
    "template": "template",
    "index_rows": "rows of the search index without a template",
    "prepared_templates": "prepared templates",
    "enrolments": "records of an enrolment",
    "faces": "faces",
    "matches": "matches",
    "outcomes": "outcomes in the ledger",
    "attempts": "attempts in the ledger",
}
_LEFT: Final = (
    "photographs, their rows in photos, and the photographs that the user was enrolled with",
    "messages in the streams of jobs and results, for up to 30 days",
    "dead letters, until `facematch dead purge`",
    "logs and traces, for as long as you keep them",
    "backups of the database and the object store",
    "deleted rows in the files of PostgreSQL, until VACUUM",
    "codes in the memory of workers where there is an index, until the workers restart",
)
"""What no deletion in the database reaches."""


def forget(
    user_id: Annotated[
        UUID,
        typer.Argument(
            help="The user's id. The row in `users` may be gone already.", show_default=False, metavar="USER_ID"
        ),
    ],
    *,
    photo: Annotated[
        list[UUID] | None,
        typer.Option(
            help="Also delete the faces on this photo, which shows the user and has no match; can be repeated.",
            metavar="PHOTO_ID",
        ),
    ] = None,
    nearest: Annotated[
        int,
        typer.Option(
            help="List the N stored faces without a match that are nearest to the user's template; 0 lists none.",
            min=0,
            max=_MOST,
            metavar="N",
        ),
    ] = _NEAREST,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; print what would be deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Delete a person: template, faces, matches, and what names them.

    Run it as the owner of the tables. It deletes everything in one transaction and is safe while workers run. It keeps
    and lists faces that another user is matched to or that facematch did not write. The row in `users` stays.

    Faces of the user that have no match can be found by --nearest, but only while the user has a template. So use
    --dry-run first, look at the photos that it lists, and name those of the user with --photo.
    """
    settings = load_settings()
    with explained():
        forgotten = asyncio.run(_forget(settings, user_id, photo or [], nearest, dry_run=dry_run))
    if as_json:
        print_document(_document(user_id, forgotten, dry_run=dry_run))
    else:
        _tell(user_id, forgotten, dry_run=dry_run)
    if forgotten.is_nothing and not forgotten.user_exists:
        doubt = f"`users` has no row {user_id}, and nothing else here names this id: is it the right one?"
        err.print(f"Warning: {doubt}", style="yellow" if err.is_terminal else None)


async def _forget(settings: Settings, user_id: UUID, photos: list[UUID], nearest: int, *, dry_run: bool) -> Forgotten:
    async with opened_database(build(DatabaseContainer, settings)) as database:
        return await erase(database, user_id, photos=photos, nearest=nearest, dry_run=dry_run)


def _document(user_id: UUID, forgotten: Forgotten, *, dry_run: bool) -> dict[str, object]:
    """Return what machines read."""
    return {
        "user_id": str(user_id),
        "dry_run": dry_run,
        "user_exists": forgotten.user_exists,
        "template": forgotten.template,
        "index_rows": forgotten.index_rows,
        "prepared_templates": forgotten.prepared_templates,
        "enrolments": forgotten.enrolments,
        "faces": forgotten.faces,
        "match_ids": [str(match) for match in forgotten.matches],
        "outcomes": forgotten.outcomes,
        "attempts": forgotten.attempts,
        "photo_ids": [str(photo) for photo in forgotten.photos],
        "ledger_photo_ids": [str(photo) for photo in forgotten.photos_of_ledger],
        "faces_left": [_face(face) for face in forgotten.faces_left],
        "nearest": [{**_face(face), "distance": face.distance} for face in forgotten.nearest],
        "not_deleted": list(_LEFT),
    }


def _face(face: StoredFace) -> dict[str, object]:
    return {"photo_face_id": str(face.photo_face_id), "photo_id": str(face.photo_id)}


def _tell(user_id: UUID, forgotten: Forgotten, *, dry_run: bool) -> None:
    if forgotten.is_nothing:
        out.print(f"Nothing was left of user {user_id}.")
    else:
        out.print(f"{'Would be deleted' if dry_run else 'Deleted'} of user {user_id}:")
        out.print(_counts(forgotten))
    _list("Delete these photographs in your application; they show the user:", forgotten.photos)
    _list(
        "Look at these photos: the ledger names the user on them, and the match is gone already:",
        forgotten.photos_of_ledger,
    )
    _list(
        "Faces on these photos that are left; they are another user's, or facematch did not write them:",
        (f"{face.photo_face_id} on photo {face.photo_id}" for face in forgotten.faces_left),
    )
    _list(
        "The nearest other faces without a match; if one is the user's, run this again with --photo:",
        (f"{face.distance:.4f} on photo {face.photo_id}" for face in forgotten.nearest),
    )
    _list("Not deleted by this command:", _LEFT)


def _counts(forgotten: Forgotten) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, label in _COUNTS.items():
        value: Any = getattr(forgotten, name)
        table.add_row(f"  {label}", f"{len(value) if isinstance(value, tuple) else int(value):,}")
    return table


def _list(heading: str, lines: Iterable[object]) -> None:
    shown = [f"  {line}" for line in lines]
    if shown:
        out.print("\n".join([heading, *shown]))
