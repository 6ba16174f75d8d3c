"""The picture that ``show --image`` writes: a photo, the face on it, and what came of it."""

from pathlib import Path
from textwrap import wrap
from typing import Final

from adapters.vision.pictures.decoding import decode
from domain.outcomes import OutcomeKind
from domain.records import JobRecord, Matched
from entrypoints.commands.common.annotated import annotated
from entrypoints.commands.common.photo_jobs import brief
from entrypoints.composition.base import build
from entrypoints.composition.broker import connected_to_nats
from entrypoints.composition.retrieving import RetrievingContainer
from entrypoints.configured import budget
from entrypoints.settings import Settings
from entrypoints.terminal.console import err, fail, visible

_LABEL_WIDTH: Final = 70
_COLOURS: Final = {OutcomeKind.MATCHED: "#1a7f37", OutcomeKind.SKIPPED: "#9a6700", OutcomeKind.FAILED: "#cf222e"}


async def write_sheet(settings: Settings, records: list[JobRecord], path: Path) -> None:
    """Fetch the photo of the newest of these jobs whose image can be had, and write the picture."""
    container = build(RetrievingContainer, settings)
    async with connected_to_nats(container), container.photo_store():
        retrieved = await container.retrieve_image()(records)
    record = retrieved.record
    face = record.outcome.face
    colour = _COLOURS[record.outcome.kind]
    picture = decode(retrieved.content, budget(settings.vision))
    sheet = annotated(picture, face.box if face else None, label(record), colour)
    try:
        sheet.save(path)
    except OSError as error:
        fail(f"the picture cannot be written: {error}")
    err.print(f"The photo of job {record.key} is in {path}.")


def label(record: JobRecord) -> list[str]:
    """Return the lines below the picture: what came of it first and why, then what it is and of which job."""
    outcome = record.outcome
    comparison = outcome.comparison
    head = f"matched: user {outcome.user_id}" if isinstance(outcome, Matched) else f"{outcome.kind}: {outcome.reason}"
    lines = [head, *wrap(visible(outcome.detail), _LABEL_WIDTH)]
    if comparison is not None:
        threshold = "none" if comparison.threshold is None else brief(comparison.threshold)
        lines.append(f"distance {brief(comparison.distance)}, threshold {threshold}")
    return [
        *lines,
        f"{record.embedder}, {record.occurred_at:%Y-%m-%d %H:%M:%S} UTC",
        f"photo {record.photo_id}, job {record.key}",
    ]
