"""``index``: let a large gallery be searched in a few milliseconds."""

import asyncio
from typing import Annotated, Any

import attrs
import typer
from rich.table import Table

from adapters.faiss_codes.codebook import EXAMPLES, learn
from adapters.faiss_codes.codes import can_be_made
from adapters.faiss_codes.recall import rehearse
from adapters.postgres.search_index.building import IndexKeeper, IndexReport, Model, Recall
from adapters.postgres.search_index.standing import EXACT_BELOW
from entrypoints.terminal.console import ExitCode, err, explained, fail, load_settings, out, print_document, visible
from entrypoints.terminal.progress import watched_steps
from entrypoints.terminal.quantities import quantity

_MEGABYTE = 1_000_000
_LEAST_FOUND = 0.995
_NO_INDEX = "There is no index: searches are exact"


@attrs.frozen
class Outcome:
    """One index, and how often searches through it find the nearest user: None where they do in any case."""

    report: IndexReport
    recall: Recall | None

    @property
    def overlooks(self) -> bool:
        """Whether searches find the nearest user too rarely."""
        return self.recall is not None and self.recall.found < _LEAST_FOUND

    @property
    def is_good(self) -> bool:
        """Whether there is nothing that building it would mend."""
        can_be_mended = self.recall is not None and self.recall.enough > self.recall.shortlist
        return self.report.is_good and not (self.overlooks and can_be_mended)


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
    settings = load_settings()
    with explained():
        if drop:
            asyncio.run(_drop(settings.database_url, model))
            return
        outcomes = asyncio.run(_keep(settings.database_url, model, build=not check))
    if as_json:
        print_document([_document(outcome) for outcome in outcomes])
    else:
        print_outcomes(outcomes)
    if not all(outcome.is_good for outcome in outcomes):
        raise typer.Exit(ExitCode.FAILED)


async def _keep(url: str, wanted: str | None, *, build: bool) -> list[Outcome]:
    """Build, where that is asked for, and compare."""
    recalls: dict[str, Recall | None] = {}
    async with IndexKeeper.opened(url, can_be_made, rehearse) as keeper:
        models = _selected(await keeper.models(), wanted)
        if build:
            for model in models:
                if model.is_indexed or model.users >= EXACT_BELOW or wanted is not None:
                    with watched_steps(visible(model.name)) as progress:
                        recalls[model.name] = await keeper.build(model, learn, progress, examples=EXAMPLES)
                else:
                    err.print(
                        f"{visible(model.name)}: {quantity(model.users, 'user')}: no index needed below {EXACT_BELOW:,}"
                    )
            models = _selected(await keeper.models(), wanted)
        outcomes = []
        for model in models:
            if not model.is_indexed and model.users >= EXACT_BELOW:
                err.print(
                    f"{visible(model.name)}: {quantity(model.users, 'user')} and no index: every search compares with "
                    "all of them; run `facematch index`"
                )
            if model.is_indexed:
                report = await keeper.check(model)
                if report.serves and not build:
                    with watched_steps(visible(model.name)) as progress:
                        recalls[model.name] = await keeper.measure(model, progress)
                outcomes.append(Outcome(report, recalls.get(model.name)))
        return outcomes


async def _drop(url: str, wanted: str | None) -> None:
    async with IndexKeeper.opened(url, can_be_made, rehearse) as keeper:
        indexed = [model for model in _selected(await keeper.models(), wanted) if model.is_indexed]
        for model in indexed:
            await keeper.drop(model.name)
            err.print(f"dropped the index of {visible(model.name)}")
        if not indexed:
            err.print(_NO_INDEX)


def _selected(models: list[Model], wanted: str | None) -> list[Model]:
    if wanted is None:
        return models
    selected = [model for model in models if model.name == wanted]
    if not selected:
        fail(f"nobody is enrolled with {wanted}, and it has no index")
    return selected


def print_outcomes(outcomes: list[Outcome]) -> None:
    """Print a table of what differs, and in sentences what that means."""
    reports = [outcome.report for outcome in outcomes]
    if not outcomes:
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
    for outcome in outcomes:
        if outcome.recall is not None:
            _print_recall(visible(outcome.report.model), outcome.recall, overlooks=outcome.overlooks)


def _print_recall(model: str, recall: Recall, *, overlooks: bool) -> None:
    out.print(
        f"{model}: finds the nearest user for {recall.found:.1%} of strangers, with a shortlist of {recall.shortlist:,}"
    )
    if overlooks and recall.enough > recall.shortlist:
        out.print(f"{model}: a longer shortlist finds more of them; run `facematch index`")
    elif overlooks:
        out.print(
            f"{model}: a longer one finds no more. Whoever's nearest user is overlooked is compared with users who are "
            "farther away, and may get no name. `facematch index --drop` makes searches exact, and slower"
        )


def _document(outcome: Outcome) -> dict[str, Any]:
    report, recall = outcome.report, outcome.recall
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
        "recall": recall.found if recall is not None else None,
        "shortlist": recall.shortlist if recall is not None else None,
    }
