"""``index``: let a large gallery be searched in a few milliseconds."""

import asyncio
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer
from rich.table import Table

from application.operating.keep_index import IndexReport, Shortlist
from application.ports.search_index import EXACT_BELOW, Model
from application.progress import StepProgress
from entrypoints.composition.base import build
from entrypoints.composition.index import IndexContainer, opened_index
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible
from entrypoints.terminal.progress import watched_steps
from entrypoints.terminal.quantities import quantity

_MEGABYTE = 1_000_000
_NO_INDEX = "There is no index: searches are exact"


def index(
    model: Annotated[
        str | None, typer.Option(help="Only for users of this embedder, even if they are few.", metavar="ID")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; compare the index with all rows, and measure it.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the index. Searches are exact again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Build the index that a large gallery is searched through.

    Run it as the owner of the tables. It updates an index that exists, and is safe to run again and while workers run.
    Afterwards a trigger updates the index with every change of `users`, and workers keep it in memory. It measures for
    how many strangers searches find the nearest user, and makes them look at more users where these are too few.
    """
    if check and drop:
        fail("--check and --drop exclude each other", ExitCode.USAGE)
    container = build(IndexContainer, load_settings())
    with explained():
        if drop:
            asyncio.run(_drop(container, model))
            return
        reports = asyncio.run(_keep(container, model, check=check))
    if as_json:
        print_document([_document(report) for report in reports])
    else:
        print_reports(reports)
    if not all(report.is_good for report in reports):
        raise typer.Exit(ExitCode.FAILED)


class _Lines:
    """Tells on standard error what is done."""

    def watching(self, model: str) -> AbstractContextManager[StepProgress]:
        return watched_steps(visible(model))

    def needs_none(self, model: Model) -> None:
        err.print(f"{visible(model.name)}: {quantity(model.users, 'user')}: no index needed below {EXACT_BELOW:,}")

    def lacks_one(self, model: Model) -> None:
        err.print(
            f"{visible(model.name)}: {quantity(model.users, 'user')} and no index: every search compares with "
            "all of them; run `facematch index`"
        )

    def dropped(self, model: str) -> None:
        err.print(f"dropped the index of {visible(model)}")


async def _keep(container: IndexContainer, model: str | None, *, check: bool) -> list[IndexReport]:
    async with opened_index(container) as keep_index:
        return await (keep_index.check_all if check else keep_index.build_all)(model, _Lines())


async def _drop(container: IndexContainer, model: str | None) -> None:
    async with opened_index(container) as keep_index:
        if not await keep_index.drop_all(model, _Lines()):
            err.print(_NO_INDEX)


def print_reports(reports: list[IndexReport]) -> None:
    """Print a table of what differs, and in sentences what that means."""
    if not reports:
        err.print(_NO_INDEX)
        return
    table = Table("embedder", "users", "in the index", "missing", "left over", "different", "MB", "searches use it")
    for report in reports:
        found = report.difference
        counts = (found.users, found.indexed, found.missing, found.left_over, found.different)
        table.add_row(
            visible(report.model),
            *(f"{count:,}" for count in counts),
            f"{report.bytes / _MEGABYTE:,.0f}",
            "yes" if report.serves else "no",
        )
    out.print(table)
    for report in reports:
        if not report.serves:
            out.print(f"{visible(report.model)}: a part is missing or damaged; run `facematch index`")
        if report.difference.examples:
            ids = ", ".join(map(str, report.difference.examples))
            out.print(f"{visible(report.model)}: not as they should be: {ids}; run `facematch index`")
    for report in reports:
        if report.shortlist is not None:
            _print_shortlist(visible(report.model), report.shortlist)


def _print_shortlist(model: str, shortlist: Shortlist) -> None:
    now = shortlist.in_use
    out.print(
        f"{model}: finds the nearest user for {now.found:.1%} of strangers, with a shortlist of {now.shortlist:,}"
    )
    if shortlist.overlooks and shortlist.is_too_short:
        out.print(f"{model}: a longer shortlist finds more of them; run `facematch index`")
    elif shortlist.overlooks:
        out.print(
            f"{model}: a longer one finds no more. Whoever's nearest user is overlooked is compared with users who are "
            "farther away, and may get no name. `facematch index --drop` makes searches exact, and slower"
        )


def _document(report: IndexReport) -> dict[str, Any]:
    now = report.shortlist.in_use if report.shortlist is not None else None
    found = report.difference
    return {
        "embedder": report.model,
        "serves": report.serves,
        "users": found.users,
        "indexed": found.indexed,
        "missing": found.missing,
        "left_over": found.left_over,
        "different": found.different,
        "examples": [str(user) for user in found.examples],
        "bytes": report.bytes,
        "recall": now.found if now is not None else None,
        "shortlist": now.shortlist if now is not None else None,
    }
