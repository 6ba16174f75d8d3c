"""``submit``: put a job into the queue."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from adapters.nats_jetstream.jobs.payload import MAX_BODY_BYTES, MAX_FACE_INDEX, encode_job
from adapters.nats_jetstream.publishing.publisher import StoredTimeUnreadError
from domain.images import BucketNotAllowedError, InvalidImageRefError
from domain.jobs import JobKey, MatchJob
from entrypoints.commands.common.photo_jobs import key_document
from entrypoints.composition.base import BaseContainer, build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.settings import Settings
from entrypoints.terminal.console import explained, load_settings, out, print_document, visible


def submit(
    photo_id: Annotated[
        UUID, typer.Argument(help="The photo's id in `photos`.", show_default=False, metavar="PHOTO_ID")
    ],
    image_ref: Annotated[
        str,
        typer.Argument(
            help="minio://BUCKET/KEY, or KEY alone for the default bucket.", show_default=False, metavar="IMAGE_REF"
        ),
    ],
    face_index: Annotated[
        int,
        typer.Option(help="The face_index of the row of photo_faces to write.", min=0, max=MAX_FACE_INDEX, metavar="N"),
    ] = 0,
    faces_detected: Annotated[
        int | None, typer.Option(help="Number of faces that an earlier stage found.", min=0, metavar="N")
    ] = None,
    job_id: Annotated[UUID | None, typer.Option(help="Your correlation id.", metavar="UUID")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish one job, as an application's backend does.

    `facematch show` then says how it ended.
    """
    settings = load_settings()
    _check_reference(settings, image_ref)
    job = MatchJob(photo_id, image_ref, face_index, faces_detected, job_id)
    size = len(encode_job(job))
    if size > MAX_BODY_BYTES:
        message = f"the job would have {size} bytes, and with more than {MAX_BODY_BYTES} it is malformed"
        raise typer.BadParameter(message, param_hint="IMAGE_REF")
    with explained():
        try:
            key = asyncio.run(_submit(settings, job))
        except StoredTimeUnreadError as error:
            said, document = str(error), {"job": None, "stream_seq": error.sequence, "stored_at": None}
        else:
            said = f"Job {key} is stored: number {key.sequence} on {settings.nats.subject}."
            document = key_document(key)
    if as_json:
        print_document(document)
    else:
        out.print(visible(said))


def _check_reference(settings: Settings, image_ref: str) -> None:
    """Refuse what every worker would refuse; which buckets it may read, each says for itself."""
    try:
        build(BaseContainer, settings).image_refs().parse(image_ref)
    except BucketNotAllowedError:
        return
    except InvalidImageRefError as error:
        raise typer.BadParameter(str(error), param_hint="IMAGE_REF") from error


async def _submit(settings: Settings, job: MatchJob) -> JobKey:
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        return await container.jobs().submit(job)
