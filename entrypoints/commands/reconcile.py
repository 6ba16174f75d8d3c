"""``reconcile``: publish a job for each photo that has lost its own."""

import asyncio
from typing import Annotated

import typer

from application.operating.republish_photos import Republication
from application.ports.photo_catalogue import NO_OUTCOME
from entrypoints.commands.common.republishing import IMAGE_REF_HELP, opened_catalogue, tell
from entrypoints.composition.base import build
from entrypoints.composition.republishing import RepublishingContainer
from entrypoints.settings import Settings
from entrypoints.terminal.console import explained, load_settings
from entrypoints.terminal.progress import watched

_MOST_SECONDS = 3600.0
_WORDS = {
    "photos": ("photos", "photos"),
    "left_out": ("answered", "with an outcome or a match"),
    "in_flight": ("in_flight", "with a job in flight"),
    "without_image_ref": ("without_image_ref", "without an image reference"),
    "invalid_image_ref": ("invalid_image_ref", "with an invalid one"),
    "due": ("missing", "in need of a job"),
    "published": ("published", "jobs published"),
}


def reconcile(
    image_ref: Annotated[str, typer.Option(help=IMAGE_REF_HELP, metavar="TEMPLATE")] = "{image_ref}",
    grace: Annotated[
        float,
        typer.Option(
            help="How long the application may take from inserting a photo to publishing its job, in seconds.",
            min=0,
            max=_MOST_SECONDS,
            metavar="SECONDS",
        ),
    ] = 5.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; print what is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a job for each photo whose job was lost.

    These are the photos without an outcome, a match, or a job in flight. It is safe to run at any time: from cron,
    while workers run, and several times at once. Photos without a usable image reference are counted and left out.
    """
    settings = load_settings()
    with explained():
        found, seconds = asyncio.run(_reconcile(settings, image_ref, grace, dry_run=dry_run))
    tell(found, seconds, _WORDS, dry_run=dry_run, as_json=as_json)


async def _reconcile(settings: Settings, image_ref: str, grace: float, *, dry_run: bool) -> tuple[Republication, float]:
    container = build(RepublishingContainer, settings)
    clock = container.clock()
    started = clock.monotonic()
    async with opened_catalogue(container, image_ref) as catalogue:
        republish_photos = container.republish_photos(catalogue=catalogue, grace_seconds=grace)
        with watched("looking at photos", logged=False) as progress:
            found = await republish_photos(
                NO_OUTCOME, dry_run=dry_run, progress=lambda _found, done, of: progress(done, of)
            )
    return found, clock.monotonic() - started
