"""``reconcile``: publish a job for each photo that has lost its own."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from adapters.postgres.photos import ImageRefTemplate, ImageRefTemplateError
from application.reconcile_photos import Progress, Reconciliation
from entrypoints.console import ExitCode, err, explained, fail, is_interactive, load_settings, out
from entrypoints.progress import progress_bar
from entrypoints.resources import build, connected_to_nats, opened_database
from entrypoints.settings import Settings

_MOST_SECONDS = 3600.0
_LABELS = {
    "photos": "photos",
    "answered": "with an outcome or a match",
    "in_flight": "with a job in flight",
    "without_image_ref": "without an image reference",
    "invalid_image_ref": "with an invalid one",
    "missing": "without a job",
    "published": "jobs published",
}


def reconcile(
    image_ref: Annotated[
        str,
        typer.Option(
            help="Where a photo's image is: a reference with the names of columns of `photos` in braces, such as "
            "'minio://images/{id}.jpg'.",
            metavar="TEMPLATE",
        ),
    ] = "{image_ref}",
    grace: Annotated[
        float,
        typer.Option(
            help="Seconds that the application may take from inserting a photo to publishing its job.",
            min=0,
            max=_MOST_SECONDS,
        ),
    ] = 5.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing, only tell what is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a job for each photo that has no outcome, no match and no job in flight.

    Safe to run at any time, also from cron, while workers work, and several times at once. Photos without a usable
    image reference are counted and left alone.
    """
    settings = load_settings()
    with explained():
        try:
            found, seconds = asyncio.run(_reconcile(settings, ImageRefTemplate.of(image_ref), grace, dry_run=dry_run))
        except ImageRefTemplateError as error:
            fail(f"{error}; say with --image-ref where a photo's image is", ExitCode.USAGE)
    if found.example_of_invalid:
        err.print(f"Not published: {found.example_of_invalid}")
    if as_json:
        out.print_json(json.dumps(_document(found, seconds, dry_run=dry_run)))
    else:
        out.print(_table(found))
        if found.example is not None:
            out.print(f"For example photo {found.example.photo_id} at {found.example.image_ref}")


async def _reconcile(
    settings: Settings, template: ImageRefTemplate, grace: float, *, dry_run: bool
) -> tuple[Reconciliation, float]:
    container = build(settings)
    clock = container.clock()
    started = clock.monotonic()
    async with opened_database(container):
        catalogue = container.photo_catalogue(image_ref=template)
        async with connected_to_nats(container):
            reconcile_photos = container.reconcile_photos(catalogue=catalogue, grace_seconds=grace)
            with _watched() as progress:
                found = await reconcile_photos(dry_run=dry_run, progress=progress)
    return found, clock.monotonic() - started


@contextmanager
def _watched() -> Iterator[Progress]:
    """Yield what hears of the progress: a bar where somebody watches, nothing in a log."""
    if not is_interactive():
        yield lambda _done, _of: None
        return
    with progress_bar("looking at photos") as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _document(found: Reconciliation, seconds: float, *, dry_run: bool) -> dict[str, Any]:
    example = found.example
    return {
        **{name: getattr(found, name) for name in _LABELS},
        "example": {"photo_id": str(example.photo_id), "image_ref": example.image_ref} if example else None,
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
    }


def _table(found: Reconciliation) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, label in _LABELS.items():
        table.add_row(label, f"{getattr(found, name):,}")
    return table
