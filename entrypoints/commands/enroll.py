"""``enroll``: learn a user's face."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from application.enroll_user import Enrolled
from application.enrolment_doubts import EnrolmentDoubt, FarApart, LookAlike, NotCompared
from application.enrolment_images import EnrolmentRefusedError, fetched
from entrypoints.console import err, explained, fail, load_settings, out, visible
from entrypoints.enrolling import EnrolmentImages, rights_explained
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
    every photograph shows exactly one face and the user exists. Photographs that may show two people, and another user
    who may be the same person, are warned of.
    """
    settings = load_settings()
    with explained():
        try:
            with rights_explained():
                enrolled = asyncio.run(_enroll(settings, user_id, images))
        except EnrolmentRefusedError as refused:
            fail("nothing was enrolled:\n" + "\n".join(f"  {problem}" for problem in refused.problems))
    embedder = enrolled.template.model
    if as_json:
        warnings = [_documented(doubt) for doubt in enrolled.doubts]
        told = {"user_id": str(user_id), "embedder": embedder, "photographs": len(images), "warnings": warnings}
        out.print_json(json.dumps(told))
    else:
        count = "1 photograph" if len(images) == 1 else f"{len(images)} photographs"
        out.print(f"User {user_id} is enrolled with {embedder}, from {count}.")
    for doubt in enrolled.doubts:
        err.print(f"Warning: {visible(_in_words(doubt))}", style="yellow" if err.is_terminal else None)


def _in_words(doubt: EnrolmentDoubt) -> str:
    match doubt:
        case FarApart((one, other), distance, limit):
            return (
                f"{one} and {other} are {distance:.3f} apart, as photographs of two people are: 99 of 100 such pairs "
                f"are more than {limit:.3f} apart. If one of them shows somebody else, the template lies between two "
                "people: enrol again without it."
            )
        case LookAlike(another, distance, limit):
            return (
                f"user {another} is about as near as the same person would be ({distance:.3f} apart, at most "
                f"{limit:.3f}). The photographs may show that user, or that user may be this person's second account."
            )
        case NotCompared(why):
            return f"whether another user looks the same is not known: {why}"


def _documented(doubt: EnrolmentDoubt) -> dict[str, object]:
    told: dict[str, object]
    match doubt:
        case FarApart(photographs, distance, limit):
            told = {"warning": "far_apart", "photographs": photographs, "distance": distance, "limit": limit}
        case LookAlike(another, distance, limit):
            told = {"warning": "look_alike", "user_id": str(another), "distance": distance, "limit": limit}
        case NotCompared():
            told = {"warning": "not_compared"}
    return told | {"message": _in_words(doubt)}


async def _enroll(settings: Settings, user_id: UUID, images: Sequence[str]) -> Enrolled:
    container = build(settings)
    async with opened_database(container, container.factory().info), container.photo_store():
        return await container.enroll_user()(user_id, await fetched(EnrolmentImages(container), images))
