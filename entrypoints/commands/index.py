"""``index``: let a large gallery be searched in a few milliseconds."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table

from adapters.faiss_codes.codebook import EXAMPLES, learn
from adapters.faiss_codes.codes import can_be_made
from adapters.postgres.search_index.building import IndexKeeper, IndexReport, Model
from adapters.postgres.search_index.standing import EXACT_BELOW
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible
from entrypoints.terminal.progress import watched_steps

_MEGABYTE = 1_000_000


def index(
    model: Annotated[
        str | None, typer.Option(help="Only for users of this embedder, even if they are few.", metavar="ID")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; compare the index with all rows.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the index. Searches are exact again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Build the index that a large gallery is searched through.

    Run it as the owner of the tables. It updates an index that exists, and is safe to run again and while workers run.
    Afterwards a trigger updates the index with every change of `users`, and workers keep it in memory.
    """
    if check and drop:
        fail("--check and --drop exclude each other", ExitCode.USAGE)
    settings = load_settings()
    with explained():
        if drop:
            asyncio.run(_drop(settings.database_url, model))
            return
        reports = asyncio.run(_keep(settings.database_url, model, build=not check))
    if as_json:
        print_document([_document(report) for report in reports])
    else:
        _print(reports)
    if not all(report.is_good for report in reports):
        raise typer.Exit(ExitCode.FAILED)


async def _keep(url: str, wanted: str | None, *, build: bool) -> list[IndexReport]:
    """Build, where that is asked for, and compare."""
    async with IndexKeeper.opened(url, can_be_made) as keeper:
        models = _selected(await keeper.models(), wanted)
        if build:
            for model in models:
                if model.is_indexed or model.users >= EXACT_BELOW or wanted is not None:
                    with watched_steps(visible(model.name)) as progress:
                        await keeper.build(model, learn, progress, examples=EXAMPLES)
                else:
                    err.print(f"{visible(model.name)}: {model.users:,} users need no index below {EXACT_BELOW:,}")
            models = _selected(await keeper.models(), wanted)
        return [await keeper.check(model) for model in models if model.is_indexed]


async def _drop(url: str, wanted: str | None) -> None:
    async with IndexKeeper.opened(url, can_be_made) as keeper:
        for model in _selected(await keeper.models(), wanted):
            if model.is_indexed:
                await keeper.drop(model.name)
                err.print(f"dropped the index of {visible(model.name)}")


def _selected(models: list[Model], wanted: str | None) -> list[Model]:
    if wanted is None:
        return models
    selected = [model for model in models if model.name == wanted]
    if not selected:
        fail(f"nobody is enrolled with {wanted}, and it has no index")
    return selected


def _print(reports: list[IndexReport]) -> None:
    if not reports:
        err.print("There is no index: searches are exact")
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


def _document(report: IndexReport) -> dict[str, Any]:
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
    }
