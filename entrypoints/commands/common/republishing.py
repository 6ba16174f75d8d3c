"""What ``reconcile`` and ``backfill`` have in common: what a run needs, how its end is told."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from rich.table import Table

from adapters.postgres.photos import ImageRefTemplate, ImageRefTemplateError, PostgresPhotoCatalogue
from application.operating.republish_photos import Republication
from entrypoints.composition.broker import connected_to_nats
from entrypoints.composition.database import opened_database
from entrypoints.composition.republishing import RepublishingContainer
from entrypoints.terminal.console import ExitCode, err, fail, out, print_document

IMAGE_REF_HELP = (
    "Where a photo's image is: a reference with the names of columns of `photos` in braces, such as "
    "'minio://images/{id}.jpg'."
)


@asynccontextmanager
async def opened_catalogue(container: RepublishingContainer, image_ref: str) -> AsyncIterator[PostgresPhotoCatalogue]:
    """Open database and broker, and yield the photos, whose images are where the template says.

    Ends the command with exit code 2 where the template is none, or does not fit the table.
    """
    try:
        template = ImageRefTemplate.of(image_ref)
        async with opened_database(container):
            catalogue = container.photo_catalogue(image_ref=template)
            async with connected_to_nats(container):
                yield catalogue
    except ImageRefTemplateError as error:
        fail(f"{error}; say with --image-ref where a photo's image is", ExitCode.USAGE)


def tell(
    found: Republication,
    seconds: float,
    words: Mapping[str, tuple[str, str]],
    *,
    dry_run: bool,
    as_json: bool,
    **more: object,
) -> None:
    """Print what was found; ``words`` has a name for machines and a label for people for each count.

    Machines are told ``more``.
    """
    if found.example_of_invalid:
        err.print(f"Not published: {found.example_of_invalid}")
    counts = {name: getattr(found, count) for count, (name, _) in words.items()}
    example = found.example
    if as_json:
        first = {"photo_id": str(example.photo_id), "image_ref": example.image_ref} if example else None
        print_document({**counts, "example": first, "dry_run": dry_run, "seconds": round(seconds, 3), **more})
        return
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, label in words.values():
        table.add_row(label, f"{counts[name]:,}")
    out.print(table)
    if example is not None:
        out.print(f"For example photo {example.photo_id} at {example.image_ref}")
