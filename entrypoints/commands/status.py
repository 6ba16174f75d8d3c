"""``status``: what is going on, and if nothing is, why."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import attrs
import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from application.operating.service_status import DeadLetterReasons, LettersByReason, ServiceStatus
from application.ports.statistics import RecentOutcomes
from entrypoints.commands.common.service_state import sentence
from entrypoints.composition.base import build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.composition.database import DatabaseContainer, opened_database
from entrypoints.environment.defaults import naming_defaults
from entrypoints.settings import Settings
from entrypoints.terminal.console import ExitCode, fail, load_settings, out, print_document, print_line, visible
from entrypoints.terminal.times import in_words

_WORKERS_SHOWN = 20
_INTERVAL = 2.0


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            help=f"Seconds between two pages of --watch. Without it: {_INTERVAL:g}.",
            min=0.1,
            max=3600,
            metavar="SECONDS",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --watch, one per page and line.")
    ] = False,
) -> None:
    """Show waiting jobs, recent outcomes, workers and dead letters.

    If no jobs are processed, it says why. Needs NATS and the database; if one of them is down, it shows the rest.
    """
    settings = load_settings()
    if watch:
        with suppress(KeyboardInterrupt):
            asyncio.run(_watch(settings, interval or _INTERVAL, as_json=as_json))
        return
    if interval is not None:
        fail("--interval is for --watch", ExitCode.USAGE)
    seen = asyncio.run(_look(settings, DeadLetterReasons()))
    if as_json:
        print_document(_document(seen))
    else:
        _print(seen)
    if seen.problems:
        raise typer.Exit(ExitCode.FAILED)


async def _watch(settings: Settings, interval: float, *, as_json: bool) -> None:
    reasons = DeadLetterReasons()
    if as_json or not out.is_terminal:
        while True:
            seen = await _look(settings, reasons)
            if as_json:
                print_line(_document(seen))
            else:
                _print(seen)
            await asyncio.sleep(interval)
    with Live(_page(await _look(settings, reasons)), console=out, screen=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(interval)
            live.update(_page(await _look(settings, reasons)), refresh=True)


async def _look(settings: Settings, reasons: DeadLetterReasons) -> ServiceStatus:
    """Look at everything on connections of this look, so that what was away is seen as soon as it is back."""
    broker, database = build(BrokerContainer, settings), build(DatabaseContainer, settings)
    seen = ServiceStatus(broker.clock().now())
    await asyncio.gather(
        seen.seen("message broker", _look_at_broker(broker, seen, reasons)),
        seen.seen("database", _look_at_database(database, seen)),
    )
    seen.problems = {what: naming_defaults(problem) for what, problem in seen.problems.items()}
    return seen


async def _look_at_broker(container: BrokerContainer, seen: ServiceStatus, reasons: DeadLetterReasons) -> None:
    complaints: list[str] = []
    async with connected_to_nats(container, report=complaints.append):
        await seen.look_at_broker(container.queue_statistics(), container.dead_letter_box(), reasons)
    if complaints:
        seen.problems["message broker"] = "; ".join(dict.fromkeys(complaints))


async def _look_at_database(container: DatabaseContainer, seen: ServiceStatus) -> None:
    async with opened_database(container):
        await seen.look_at_database(container.ledger_statistics())


def _document(seen: ServiceStatus) -> dict[str, Any]:
    queue, outcomes, letters = seen.queue, seen.outcomes, seen.letters
    return {
        "at": seen.at.isoformat(),
        "idle": seen.state.idle,
        "why": sentence(seen),
        "queue": None
        if queue is None
        else {
            "pending": queue.pending,
            "ack_pending": queue.ack_pending,
            "redelivered": queue.redelivered,
            "requests_waiting": queue.asking,
            "oldest_job_seconds": _age(seen.at, queue.oldest),
        },
        "jobs_per_minute": None if outcomes is None else _rates(outcomes),
        "outcomes": None
        if outcomes is None
        else [
            {"outcome": count.outcome, "reason": count.reason, "last_hour": count.last_hour, "last_day": count.last_day}
            for count in outcomes.counts
        ],
        "last_outcome_at": outcomes.last.isoformat() if outcomes is not None and outcomes.last is not None else None,
        "workers": None
        if outcomes is None
        else [{**attrs.asdict(worker), "last_seen": worker.last_seen.isoformat()} for worker in outcomes.workers],
        "dead_letters": None
        if letters is None
        else {"count": letters.count, "read": letters.read, "by_reason": dict(letters.reasons)},
        "gallery": None if seen.gallery is None else dict(seen.gallery),
        "problems": dict(seen.problems),
    }


def _rates(outcomes: RecentOutcomes) -> dict[str, float]:
    """Return jobs per minute, as they ended in the last minute, five minutes, and hour."""
    return {
        "last_minute": float(sum(count.last_minute for count in outcomes.counts)),
        "last_5_minutes": round(sum(count.last_5_minutes for count in outcomes.counts) / 5, 2),
        "last_hour": round(sum(count.last_hour for count in outcomes.counts) / 60, 2),
    }


def _age(now: datetime, then: datetime | None) -> float | None:
    return None if then is None else round(max(0.0, (now - then).total_seconds()), 1)


def _print(seen: ServiceStatus) -> None:
    """Print the page; on a terminal its sentences are wrapped between words, elsewhere they are lines."""
    out.print(_page(seen), soft_wrap=not out.is_terminal)


def _page(seen: ServiceStatus) -> Group:
    return Group(
        *(Text(visible(_problem(what, why)), "bold red") for what, why in seen.problems.items()),
        Text(visible(sentence(seen)), "bold"),
        _overview(seen),
        *_details(seen),
    )


def _problem(what: str, why: str) -> str:
    return why if why.startswith(what) else f"{what}: {why}"


def _overview(seen: ServiceStatus) -> Table | str:
    """Return what was counted below the time; the time alone where nothing could be."""
    title = f"facematch, {seen.at:%Y-%m-%d %H:%M:%S} UTC"
    table = Table(show_header=False, title=title, title_justify="left")
    for _ in range(2):
        table.add_column(overflow="fold")
    if seen.queue is not None:
        queue, age = seen.queue, _age(seen.at, seen.queue.oldest)
        table.add_row("jobs waiting", f"{queue.pending:,}")
        table.add_row("jobs in hand", f"{queue.ack_pending:,}, of which {queue.redelivered:,} delivered again")
        unknown = "not known" if queue.pending or queue.ack_pending else "none"
        table.add_row("oldest job", unknown if age is None else f"stored {in_words(age)} ago")
        table.add_row("workers' requests that wait for jobs", f"{queue.asking:,}")
    if seen.outcomes is not None:
        minute, five, hour = _rates(seen.outcomes).values()
        table.add_row("jobs per minute", f"{minute:,.0f} now, {five:,.1f} over 5 minutes, {hour:,.1f} over an hour")
    if seen.letters is not None:
        table.add_row("dead letters", _letters(seen.letters))
    for model, users in (seen.gallery or {}).items():
        table.add_row(f"enrolled with {visible(model)}" if model else "enrolled, model unknown", f"{users:,}")
    if seen.gallery == {}:
        table.add_row("enrolled", "nobody")
    return table if table.row_count else title


def _details(seen: ServiceStatus) -> Iterator[Table]:
    if seen.outcomes is None:
        return
    if seen.outcomes.counts:
        table = Table("outcome", "reason", title="Outcomes", title_justify="left")
        table.add_column("last hour", justify="right")
        table.add_column("last day", justify="right")
        for count in seen.outcomes.counts:
            table.add_row(
                visible(count.outcome), visible(count.reason or ""), f"{count.last_hour:,}", f"{count.last_day:,}"
            )
        yield table
    if seen.outcomes.workers:
        table = Table(title="Workers that ended jobs within the last hour", title_justify="left")
        table.add_column("worker", overflow="fold")
        table.add_column("last seen")
        table.add_column("jobs", justify="right")
        for worker in seen.outcomes.workers[:_WORKERS_SHOWN]:
            age = (seen.outcomes.at - worker.last_seen).total_seconds()
            table.add_row(visible(worker.worker), f"{in_words(age)} ago", f"{worker.jobs:,}")
        hidden = len(seen.outcomes.workers) - _WORKERS_SHOWN
        if hidden > 0:
            table.caption = f"and {hidden} more"
        yield table


def _letters(letters: LettersByReason) -> str:
    if not letters.count:
        return "none"
    reasons = ", ".join(f"{count:,} {visible(reason)}" for reason, count in letters.reasons.items())
    of = f"of the first {letters.read:,}: " if letters.read < letters.count else ""
    return f"{letters.count:,} ({of}{reasons})"
