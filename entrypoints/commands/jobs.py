"""``submit`` and ``show``: put a job into the queue, and learn what became of a photo."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.table import Table

from adapters.nats_jetstream.payload import MAX_FACE_INDEX
from adapters.vision.decoding import decode
from application.ports.ledger import Attempt
from domain.jobs import JobKey, MatchJob
from domain.outcomes import OutcomeKind
from domain.records import Failed, JobRecord, Matched
from entrypoints.annotated import annotated
from entrypoints.console import err, explained, fail, load_settings, out, visible
from entrypoints.resources import build, connected_to_nats, opened_database
from entrypoints.settings import Settings

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
_COLOURS: Final = {OutcomeKind.MATCHED: "#1a7f37", OutcomeKind.SKIPPED: "#9a6700", OutcomeKind.FAILED: "#cf222e"}


def submit(
    photo_id: Annotated[UUID, typer.Argument(help="Id of a row of `photos`.", show_default=False, metavar="PHOTO_ID")],
    image_ref: Annotated[
        str, typer.Argument(help="minio://BUCKET/KEY, or a KEY alone.", show_default=False, metavar="IMAGE_REF")
    ],
    face_index: Annotated[
        int, typer.Option(help="Row of photo_faces to write.", min=0, max=MAX_FACE_INDEX, metavar="N")
    ] = 0,
    faces_detected: Annotated[
        int | None, typer.Option(help="What an earlier stage counted.", min=0, metavar="N")
    ] = None,
    job_id: Annotated[UUID | None, typer.Option(help="A correlation id of yours.", metavar="UUID")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish one job, as an application's backend does.

    `facematch show` then tells what became of it.
    """
    settings = load_settings()
    job = MatchJob(photo_id, image_ref, face_index, faces_detected, job_id)
    with explained():
        key = asyncio.run(_submit(settings, job))
    if as_json:
        out.print_json(json.dumps(_key(key)))
    else:
        out.print(f"Job {key} is stored: number {key.sequence} on {settings.nats.subject}.")


async def _submit(settings: Settings, job: MatchJob) -> JobKey:
    container = build(settings)
    async with connected_to_nats(container):
        return await container.jobs().submit(job)


def _picture_path(text: str) -> Path:
    """Return where the picture goes; its ending says how it is written."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"{text!r} does not end with {', '.join(_PICTURES)}")
    return path


def show(
    photo_id: Annotated[
        UUID, typer.Argument(help="Id of a photo that was submitted.", show_default=False, metavar="PHOTO_ID")
    ],
    image: Annotated[
        Path | None,
        typer.Option(
            help="Write the photo there, upright, with the face's box and what came of it; .png, .jpg or .webp.",
            metavar="FILE",
            parser=_picture_path,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array, the newest job first.")] = False,
) -> None:
    """Tell why a photo was, or was not, matched.

    Prints the ledger's record of every job for it, the newest first. --image fetches the image of the newest job whose
    image can be had, so it needs NATS and the object store, too; a job that only found the photo matched already comes
    last.
    """
    settings = load_settings()
    with explained():
        records, attempts = asyncio.run(_history(settings, photo_id))
    if as_json:
        out.print_json(json.dumps([_document(record, attempts[record.key]) for record in records]))
    elif records:
        for record in records:
            out.print(_table(record, attempts[record.key]))
    if not records:
        fail(
            f"no job for photo {photo_id} has ended: none was published, or it is still waiting "
            "(`facematch status` shows the backlog), or it was another photo id"
        )
    if image is not None:
        with explained():
            asyncio.run(_write_picture(settings, records, image))


async def _history(settings: Settings, photo_id: UUID) -> tuple[list[JobRecord], dict[JobKey, list[Attempt]]]:
    container = build(settings)
    async with opened_database(container):
        ledger = container.ledger()
        records = list(await ledger.history(photo_id))
        return records, {record.key: list(await ledger.attempts(record.key)) for record in records}


async def _write_picture(settings: Settings, records: list[JobRecord], path: Path) -> None:
    container = build(settings)
    async with connected_to_nats(container), container.photo_store():
        retrieved = await container.retrieve_image()(records)
    record = retrieved.record
    face = None if isinstance(record.outcome, Failed) else record.outcome.face
    colour = _COLOURS[record.outcome.kind]
    sheet = annotated(decode(retrieved.content, container.budget()), face.box if face else None, label(record), colour)
    try:
        sheet.save(path)
    except OSError as error:
        fail(f"the picture cannot be written: {error}")
    err.print(f"The photo of job {record.key} is in {path}.")


def label(record: JobRecord) -> list[str]:
    """Return the lines below the picture: what came of it first, then what it is and of which job."""
    outcome = record.outcome
    comparison = None if isinstance(outcome, Failed) else outcome.comparison
    lines = [
        f"matched: user {outcome.user_id}" if isinstance(outcome, Matched) else f"{outcome.kind}: {outcome.reason}"
    ]
    if comparison is not None:
        threshold = "none" if comparison.threshold is None else f"{comparison.threshold:.4f}"
        lines.append(f"distance {comparison.distance:.4f}, threshold {threshold}")
    return [
        *lines,
        f"{record.embedder}, {record.occurred_at:%Y-%m-%d %H:%M:%S} UTC",
        f"photo {record.photo_id}, job {record.key}",
    ]


def _key(key: JobKey) -> dict[str, Any]:
    return {"job": str(key), "stream_seq": key.sequence, "stored_at": key.stored_at.isoformat()}


def _document(record: JobRecord, attempts: list[Attempt]) -> dict[str, Any]:
    outcome = record.outcome
    matched = outcome if isinstance(outcome, Matched) else None
    face = None if isinstance(outcome, Failed) else outcome.face
    comparison = None if isinstance(outcome, Failed) else outcome.comparison
    box = face.box if face else None
    return _key(record.key) | {
        "job_id": str(record.job_id) if record.job_id else None,
        "photo_id": str(record.photo_id),
        "face_index": record.face_index,
        "outcome": outcome.kind.value,
        "reason": outcome.reason.value if outcome.reason else None,
        "detail": "" if isinstance(outcome, Matched) else outcome.detail,
        "user_id": str(matched.user_id) if matched else None,
        "photo_face_id": str(face.photo_face_id) if face else None,
        "match_id": str(matched.match_id) if matched else None,
        "distance": comparison.distance if comparison else None,
        "threshold": comparison.threshold if comparison else None,
        "gallery_size": comparison.gallery_size if comparison else None,
        "runner_up_distance": comparison.runner_up_distance if comparison else None,
        "bbox": {"x1": box.x1, "y1": box.y1, "x2": box.x2, "y2": box.y2} if box else None,
        "embedder": record.embedder,
        "worker": record.worker,
        "trace_id": record.traceparent.split("-")[1] if record.traceparent else None,
        "occurred_at": record.occurred_at.isoformat(),
        "attempts": [
            {
                "delivery": attempt.delivery,
                "reason": attempt.reason.value if attempt.reason else None,
                "detail": attempt.detail,
                "worker": attempt.worker,
                "occurred_at": attempt.occurred_at.isoformat(),
            }
            for attempt in attempts
        ],
    }


def _brief(value: Any) -> str:  # noqa: ANN401 - a value of a JSON document
    """Return a value as people read it: boxes in whole pixels, distances with four digits."""
    if isinstance(value, dict):
        return "({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})".format(**value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(record: JobRecord, attempts: list[Attempt]) -> Table:
    table = Table(show_header=False, title=f"Job {record.key}", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _document(record, []).items():
        if value not in (None, "", []) and name not in {"job", "stream_seq"}:
            table.add_row(name.replace("_", " "), visible(_brief(value)))
    for attempt in attempts:
        what = f"{attempt.reason}: {attempt.detail}" if attempt.reason else attempt.detail
        table.add_row(f"delivery {attempt.delivery}", visible(what))
    return table
