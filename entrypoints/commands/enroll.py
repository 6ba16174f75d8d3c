"""``enroll``: learn a user's face."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psycopg.errors
import typer

from application.enroll_user import EnrolmentImage, EnrolmentRefusedError
from domain.errors import DatabaseUnavailableError, JobRejectedError
from domain.faces import FaceEmbedding
from domain.images import InvalidImageRefError
from entrypoints.console import explained, fail, load_settings, out
from entrypoints.container import Container
from entrypoints.resources import build, opened_database
from entrypoints.settings import Settings


def enroll(
    user_id: Annotated[UUID, typer.Argument(help="Id of a row of `users`.", show_default=False, metavar="USER_ID")],
    images: Annotated[
        list[str],
        typer.Argument(
            help="Photographs of this person, one face each: local files, or references like minio://BUCKET/KEY.",
            show_default=False,
            metavar="IMAGE",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Learn a user's face from photographs, replacing what was known.

    Needs no NATS. Several photographs, taken on different days, recognise better than one. Nothing is written unless
    every photograph shows exactly one face and the user exists.
    """
    settings = load_settings()
    with explained():
        try:
            template = asyncio.run(_enroll(settings, user_id, images))
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege):
                fail(f"{error}; the tables' owner can run `facematch migrate --grant-enrolment-to ROLE` for this role")
            raise
        except EnrolmentRefusedError as refused:
            fail("nothing was enrolled:\n" + "\n".join(f"  {problem}" for problem in refused.problems))
    if as_json:
        out.print_json(json.dumps({"user_id": str(user_id), "embedder": template.model, "photographs": len(images)}))
    else:
        count = "1 photograph" if len(images) == 1 else f"{len(images)} photographs"
        out.print(f"User {user_id} is enrolled with {template.model}, from {count}.")


async def _enroll(settings: Settings, user_id: UUID, images: Sequence[str]) -> FaceEmbedding:
    container = build(settings)
    async with opened_database(container, container.factory().info), container.photo_store():
        return await container.enroll_user()(user_id, await _read_all(container, images))


async def _read_all(container: Container, images: Sequence[str]) -> list[EnrolmentImage]:
    contents: list[EnrolmentImage] = []
    problems: list[str] = []
    for image in images:
        try:
            contents.append(EnrolmentImage(image, await _read(container, image)))
        except EnrolmentRefusedError as refused:
            problems.extend(refused.problems)
        except (JobRejectedError, OSError) as error:
            problems.append(f"{image}: {error}")
    if problems:
        raise EnrolmentRefusedError(problems)
    return contents


async def _read(container: Container, image: str) -> bytes:
    """Return a local file's content, or what the reference points to."""
    content = await asyncio.to_thread(_local, Path(image))
    if content is not None:
        return content
    policy = container.policy()
    try:
        ref = policy.image_refs.parse(image)
    except InvalidImageRefError as error:
        raise EnrolmentRefusedError([f"{image}: no such file here, and no reference either: {error}"]) from error
    return await container.photos().fetch(ref, max_bytes=policy.max_image_bytes)


def _local(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
