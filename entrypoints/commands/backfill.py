"""``backfill``: publish a job for every photo, or for those that ended in a certain way."""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import attrs
import typer

from application.operating.republish_photos import Republication, RepublicationProgress
from application.ports.photo_catalogue import ANY_OR_NONE, LastOutcome
from application.progress import Progress
from domain.errors import FacematchError
from domain.outcomes import OutcomeKind, Reason
from entrypoints.commands.common.republishing import IMAGE_REF_HELP, opened_catalogue, tell
from entrypoints.composition.base import build
from entrypoints.composition.republishing import RepublishingContainer
from entrypoints.settings import Settings
from entrypoints.terminal.console import err, explained, load_settings
from entrypoints.terminal.progress import watched
from entrypoints.terminal.times import moment

_MOST_PER_SECOND = 1_000_000
_WORDS = {
    "photos": ("photos", "photos"),
    "left_out": ("left_out", "matched, or of another outcome"),
    "in_flight": ("in_flight", "with a job in flight"),
    "without_image_ref": ("without_image_ref", "without an image reference"),
    "invalid_image_ref": ("invalid_image_ref", "with an invalid one"),
    "due": ("due", "to be looked at"),
    "published": ("published", "jobs published"),
}
_ONE_BY_ONE = (
    "The stream takes no batches: jobs are published one by one, which takes several times as long. With allow_atomic "
    "(NATS 2.12 or newer) it would take them."
)


class Ended(StrEnum):
    """How a photo's last job ended; none where no job ever did."""

    MATCHED = OutcomeKind.MATCHED.value
    SKIPPED = OutcomeKind.SKIPPED.value
    FAILED = OutcomeKind.FAILED.value
    NONE = "none"


@attrs.define
class _Run:
    """How far it has come, and how to go on where it stops."""

    options: list[str]
    before: datetime | None
    dry_run: bool
    found: Republication = attrs.field(factory=Republication)
    resumption: str | None = None
    in_batches: bool = True

    def begin(self, now: datetime) -> None:
        """Tell how to go on, also for whoever only finds the log; ``now`` is the ledger's time.

        What has ended since then, or is in flight, was published before the interruption.
        """
        if self.dry_run:
            return
        before = min(self.before or now, now).astimezone(UTC).isoformat().replace("+00:00", "Z")
        self.resumption = shlex.join(["facematch", "backfill", *self.options, "--before", before])
        err.print(f"Should it be interrupted, go on with: {self.resumption}")

    def heard_by(self, progress: Progress) -> RepublicationProgress:
        """Return what remembers the progress, and passes it on."""

        def hear(found: Republication, done: int, of: int) -> None:
            self.found = found
            progress(done, of)

        return hear

    @contextmanager
    def stopping_well(self) -> Iterator[None]:
        """Where it does not come to its end, tell how far it has come and how to go on."""
        try:
            yield
        except (KeyboardInterrupt, FacematchError):
            if self.resumption is not None:
                published = f"{self.found.published:,} jobs were published, and maybe some that were just on their way."
                err.print(f"{published} Go on with: {self.resumption}")
            raise


def backfill(  # noqa: PLR0913, PLR0917 - each is an option of the command
    outcome: Annotated[
        list[Ended] | None,
        typer.Option(
            "--outcome",
            help="Only photos with this last outcome: matched, skipped, failed or none; can be repeated.",
            metavar="OUTCOME",
        ),
    ] = None,
    reason: Annotated[
        list[Reason] | None,
        typer.Option(
            "--reason",
            help="Only photos whose last outcome has this reason, such as no_match; can be repeated.",
            metavar="REASON",
        ),
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            "--before",
            help="Only photos without an outcome since this time: ISO 8601 (UTC unless it has an offset), or how long "
            "ago: 45m, 2h, 1d12h.",
            metavar="TIME",
            parser=moment,
        ),
    ] = None,
    image_ref: Annotated[str, typer.Option(help=IMAGE_REF_HELP, metavar="TEMPLATE")] = "{image_ref}",
    rate: Annotated[
        int | None,
        typer.Option(help="Publish at most N jobs a second.", min=1, max=_MOST_PER_SECOND, metavar="N"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; print how many it would be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a job for every photo without a match, or for some.

    The options select photos by their last outcome. For example, after you have enrolled people, `--reason no_match`
    selects the photos of those who were strangers before. Photos with a match or a job in flight are left out. If you
    interrupt it, it prints the command that continues.
    """
    settings = load_settings()
    options = [
        *(word for ended in outcome or () for word in ("--outcome", ended.value)),
        *(word for each in reason or () for word in ("--reason", each.value)),
        *(("--image-ref", image_ref) if image_ref != "{image_ref}" else ()),
        *(("--rate", str(rate)) if rate is not None else ()),
        *(("--json",) if as_json else ()),
    ]
    run = _Run(options, before, dry_run)
    with explained(), run.stopping_well():
        seconds = asyncio.run(_backfill(settings, image_ref, _meant(outcome, reason, before), rate, run))
    tell(run.found, seconds, _WORDS, dry_run=dry_run, as_json=as_json, in_batches=run.in_batches)


def _meant(outcomes: list[Ended] | None, reasons: list[Reason] | None, before: datetime | None) -> LastOutcome:
    if not outcomes and not reasons:
        return attrs.evolve(ANY_OR_NONE, before=before)
    kinds = frozenset(OutcomeKind(ended) for ended in outcomes or () if ended is not Ended.NONE)
    return LastOutcome(kinds, frozenset(reasons or ()), Ended.NONE in (outcomes or ()), before)


async def _backfill(
    settings: Settings, image_ref: str, last_outcome: LastOutcome, rate: int | None, run: _Run
) -> float:
    container = build(RepublishingContainer, settings)
    clock = container.clock()
    started = clock.monotonic()
    async with opened_catalogue(container, image_ref) as catalogue:
        republisher = container.republisher()
        republish_photos = container.republish_photos(
            catalogue=catalogue, republisher=republisher, jobs_per_second=rate
        )
        run.in_batches = await republisher.takes_batches()
        if not run.in_batches:
            err.print(_ONE_BY_ONE)
        run.begin(await catalogue.now())
        with watched("looking at photos", logged=False) as progress:
            await republish_photos(last_outcome, dry_run=run.dry_run, progress=run.heard_by(progress))
    return clock.monotonic() - started
