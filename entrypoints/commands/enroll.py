"""``enroll``: learn a user's face, or those of everybody on a list."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn
from uuid import UUID

import typer

from application.enrolment.bulk import EnrolmentResult
from application.enrolment.enroll import Enrolled, EnrolmentDoubtedError
from application.enrolment.template import EnrolmentRefusedError
from entrypoints.commands.common.bulk_enrolment import EnrolmentReport, document, photographs_of, problems_of
from entrypoints.commands.common.enrolling import EnrolmentImages, rights_explained
from entrypoints.commands.common.enrolment_warnings import in_words
from entrypoints.composition.base import build
from entrypoints.composition.database import opened_database
from entrypoints.composition.enrolment import EnrolmentContainer
from entrypoints.composition.vision import started_reader
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible
from entrypoints.terminal.progress import watched
from entrypoints.terminal.quantities import quantity


def enroll(
    user_id: Annotated[
        UUID | None, typer.Argument(help="The user's id in `users`.", show_default=False, metavar="USER_ID")
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Photographs of this user, one face each: local files, or references such as minio://BUCKET/KEY.",
            show_default=False,
            metavar="IMAGE",
        ),
    ] = None,
    listed: Annotated[
        typer.FileText | None,
        typer.Option(
            "--from",
            help="Enrol the users on a list who have no template yet. Each line has a user's id and one image or more "
            "(CSV; - is standard input).",
            encoding="utf-8-sig",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a user instead of warning: nothing is written for them.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object; with --from, one per user and line, and at the end a second one for users who "
            "were not compared with the others and have the same template as one of them.",
        ),
    ] = False,
) -> None:
    """Make or replace a user's template from photographs.

    Needs the database, and the object store for references. Several photographs, taken on different days, recognise a
    person better than one. A template is written only if the user exists and every photograph shows exactly one face.
    The command warns of blurred or dark photographs, of photographs that may show two people, and of another user who
    may be the same person. With --strict, it refuses whom it would warn of. With a list, it is safe to interrupt and
    to run again.
    """
    if listed is not None and user_id is None:
        _enroll_list(listed, strict=strict, as_json=as_json)
    elif listed is None and user_id is not None and images:
        _enroll_one(user_id, images, strict=strict, as_json=as_json)
    else:
        fail("name a user and photographs of them, or a list with --from", ExitCode.USAGE)


def _enroll_one(user_id: UUID, images: Sequence[str], *, strict: bool, as_json: bool) -> None:
    settings = load_settings()
    with explained():
        container = build(EnrolmentContainer, settings)
        embedder = container.factory().info.id
        try:
            with rights_explained():
                enrolled = asyncio.run(_enroll(container, user_id, images, strict=strict))
        except EnrolmentRefusedError as refused:
            _fail(EnrolmentResult(user_id, len(images), refused.problems), embedder, as_json=as_json)
        except EnrolmentDoubtedError as doubted:
            result = EnrolmentResult(user_id, len(images), warnings=doubted.warnings, is_doubted=True)
            _fail(result, embedder, as_json=as_json)
    if as_json:
        _print_document(EnrolmentResult(user_id, len(images), warnings=enrolled.warnings), embedder)
    else:
        out.print(f"User {user_id} is enrolled with {embedder}, from {quantity(len(images), 'photograph')}.")
    for warning in enrolled.warnings:
        err.print(f"Warning: {visible(in_words(warning))}", style="yellow" if err.is_terminal else None)


def _fail(user: EnrolmentResult, embedder: str, *, as_json: bool) -> NoReturn:
    if as_json:
        _print_document(user, embedder)
    fail("nothing was enrolled:\n" + "\n".join(f"  {problem}" for problem in problems_of(user)))


def _print_document(user: EnrolmentResult, embedder: str) -> None:
    print_document({**document(user, "enrolled"), "embedder": embedder})


def _enroll_list(listed: typer.FileText, *, strict: bool, as_json: bool) -> None:
    settings = load_settings()
    photographs = photographs_of(listed)
    with explained(), rights_explained():
        container = build(EnrolmentContainer, settings)
        report = EnrolmentReport("enrolled", container.factory().info.id, as_json=as_json)
        with report.summarised():
            asyncio.run(_enroll_all(container, photographs, report, strict=strict))
    report.end()


async def _enroll(container: EnrolmentContainer, user_id: UUID, images: Sequence[str], *, strict: bool) -> Enrolled:
    async with opened_database(container, container.factory().info), container.photo_store(), started_reader(container):
        await container.active_model().check()
        return await container.enroll()(user_id, images, EnrolmentImages(container), replace=True, strict=strict)


async def _enroll_all(
    container: EnrolmentContainer, photographs: Mapping[UUID, Sequence[str]], report: EnrolmentReport, *, strict: bool
) -> None:
    async with opened_database(container, container.factory().info), container.photo_store(), started_reader(container):
        await container.active_model().check()
        with watched("enrolling users") as progress:
            done = await container.enroll_list()(
                photographs, EnrolmentImages(container), report, report.tell_again, progress, strict=strict
            )
        report.passed_over, report.not_compared = done.passed_over, done.not_compared
        report.not_searched = done.not_searched
