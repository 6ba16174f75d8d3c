"""``dead``: the jobs that were given up are listed, shown, sent again, and thrown away."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Annotated, Any

import attrs
import typer
from rich.table import Table

from application.operating.repair_dead_letters import Action, RepairDeadLetters, Repaired, Selection
from application.ports.dead_letter_box import DeadLetter
from domain.outcomes import Reason
from entrypoints.commands.common.letters import full_document, line_document
from entrypoints.composition.base import build
from entrypoints.composition.broker import BrokerContainer, connected_to_nats
from entrypoints.settings import Settings
from entrypoints.terminal.console import (
    ExitCode,
    err,
    explained,
    fail,
    is_interactive,
    load_settings,
    out,
    print_document,
    print_line,
    told_at_the_end,
    visible,
)
from entrypoints.terminal.progress import watched
from entrypoints.terminal.quantities import quantity
from entrypoints.terminal.times import moment

_SHOWN = 100
_LONGEST_BODY = 4096
_MOST_SEQUENCE = 2**63 - 1
_SEE_LIST = "`facematch dead list` shows those that there are"

_Reasons = Annotated[
    list[Reason] | None,
    typer.Option("--reason", help="Only dead letters with this reason; can be repeated.", metavar="REASON"),
]
_WHEN = "ISO 8601 (UTC unless it has an offset), or how long ago: 45m, 2h, 1d12h."
_Since = Annotated[
    datetime | None,
    typer.Option(
        "--since", help=f"Only dead letters stored at this time or later: {_WHEN}", metavar="TIME", parser=moment
    ),
]
_Until = Annotated[
    datetime | None,
    typer.Option("--until", help=f"Only dead letters stored before this time: {_WHEN}", metavar="TIME", parser=moment),
]
_Letters = Annotated[
    list[int] | None,
    typer.Argument(
        help="Numbers of dead letters. Without any: all that the options select.",
        min=1,
        max=_MOST_SEQUENCE,
        metavar="SEQ",
        show_default=False,
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; print what would be done.")]
_Lines = Annotated[bool, typer.Option("--json", help="Print one JSON object per dead letter and line.")]


def list_letters(
    reason: _Reasons = None,
    since: _Since = None,
    until: _Until = None,
    limit: Annotated[
        int | None,
        typer.Option(help=f"Show only the newest N. Without it: {_SHOWN}, with --json all.", min=1, metavar="N"),
    ] = None,
    as_json: _Lines = False,
) -> None:
    """List the dead letters, newest last."""
    settings = load_settings()
    selection = _selection((), reason, since, until)
    with explained():
        if as_json:
            asyncio.run(_print_lines(settings, selection, limit))
            return
        letters, count = asyncio.run(_newest(settings, selection, limit or _SHOWN))
    if letters:
        out.print(_table(letters))
    hidden = f"; the newest {len(letters)} are shown, --limit shows more" if count > len(letters) else ""
    out.print(f"{quantity(count, 'dead letter')}{hidden}.")


def show_letter(
    sequence: Annotated[
        int,
        typer.Argument(help="Number of the dead letter.", min=1, max=_MOST_SEQUENCE, metavar="SEQ", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one dead letter: why it is one, its body and its headers."""
    settings = load_settings()
    with explained():
        letter = asyncio.run(_find(settings, sequence))
    if letter is None:
        fail(f"there is no dead letter {sequence}: {_SEE_LIST}")
    document = full_document(letter)
    if as_json:
        print_document(document)
        return
    out.print(_letter_table(letter, document))
    _print_body(letter, document["body"])


def replay(  # noqa: PLR0913, PLR0917 - each is an argument or option of the command
    letters: _Letters = None,
    reason: _Reasons = None,
    since: _Since = None,
    until: _Until = None,
    include_malformed: Annotated[
        bool,
        typer.Option("--include-malformed", help="Also send malformed jobs, which will become dead letters again."),
    ] = False,
    dry_run: _DryRun = False,
    as_json: _Lines = False,
) -> None:
    """Send dead letters again as new jobs; fix the cause first.

    Without arguments and options it sends all. Each dead letter is deleted as soon as its new job is stored. It is safe
    to interrupt and to run again: a dead letter that was sent within two hours is not sent twice.
    """
    settings = load_settings()
    selection = _selection(letters, reason, since, until)

    def repairs(repair: RepairDeadLetters, chosen: Selection) -> AsyncIterator[Repaired]:
        return repair.replay(chosen, include_malformed=include_malformed, dry_run=dry_run)

    report = _RepairReport("would_be_" if dry_run else "", as_json=as_json, missing=set(selection.sequences))
    with explained(), report.summarised():
        asyncio.run(_repair(settings, selection, repairs, report))
    _end(selection, report, unless_left=True)


def purge(  # noqa: PLR0913, PLR0917 - as above
    letters: _Letters = None,
    reason: _Reasons = None,
    since: _Since = None,
    until: _Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: _DryRun = False,
    as_json: _Lines = False,
) -> None:
    """Delete dead letters for good, after asking.

    Without arguments and options it deletes all.
    """
    settings = load_settings()
    selection, count = _selection(letters, reason, since, until), None

    def repairs(repair: RepairDeadLetters, chosen: Selection) -> AsyncIterator[Repaired]:
        return repair.purge(chosen, dry_run=dry_run)

    with explained():
        if not (yes or dry_run):
            selection, count = _confirmed(settings, selection)
        report = _RepairReport("would_be_" if dry_run else "", as_json=as_json, missing=set(selection.sequences))
        with report.summarised():
            asyncio.run(_repair(settings, selection, repairs, report, count))
    _end(selection, report)


def _selection(
    letters: Iterable[int] | None, reasons: Iterable[Reason] | None, since: datetime | None, until: datetime | None
) -> Selection:
    if since is not None and until is not None and since >= until:
        fail("--until must be later than --since: nothing is between them", ExitCode.USAGE)
    return Selection(frozenset(letters or ()), frozenset(reasons or ()), since, until)


@attrs.define
class _RepairReport:
    """Tells of every letter as it is done where a machine reads, and of all of them at the end."""

    prefix: str
    as_json: bool
    missing: set[int]
    """The letters that were named and are not told of yet."""
    counts: dict[Action, int] = attrs.field(factory=dict)

    def __call__(self, repaired: Repaired) -> None:
        action = repaired.action
        self.counts[action] = self.counts.get(action, 0) + 1
        self.missing.discard(repaired.letter.sequence)
        if self.as_json:
            done = action.value if action.is_left else f"{self.prefix}{action.value}"
            print_line({"action": done, **line_document(repaired.letter)})

    @property
    def letters(self) -> int:
        """How many were told of."""
        return sum(self.counts.values())

    def summarised(self) -> AbstractContextManager[None]:
        """Say at the end what was done; also where it comes before everything is."""
        return told_at_the_end(self._summarise)

    def _summarise(self, so_far: str) -> None:
        if so_far and (self.prefix or not self.counts):  # what would be done is nothing that was
            return
        words = [
            f"{count} {action.value if action.is_left else self.prefix + action.value}".replace("_", " ")
            for action, count in self.counts.items()
        ]
        where = err if self.as_json else out
        where.print((", ".join(words) or "no dead letter is selected") + f"{so_far}.")
        if self.counts.get(Action.LEFT_MALFORMED):
            where.print("Malformed jobs would die again; --include-malformed sends them nevertheless.")


async def _repair(
    settings: Settings,
    selection: Selection,
    repairs: Callable[[RepairDeadLetters, Selection], AsyncIterator[Repaired]],
    report: _RepairReport,
    count: int | None = None,
) -> None:
    """Repair; show how far it is where somebody watches, of ``count`` where it is known already."""
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        repair = container.repair_dead_letters()
        if not is_interactive() or report.as_json:
            async for repaired in repairs(repair, selection):
                report(repaired)
            return
        if count is None:
            selection, count = await repair.counted(selection)
        with watched("dead letters") as progress:
            async for repaired in repairs(repair, selection):
                report(repaired)
                progress(report.letters, count)


def _end(selection: Selection, report: _RepairReport, *, unless_left: bool = False) -> None:
    """End with 1 where a letter that was named is not there, or could not be done."""
    left = sum(count for action, count in report.counts.items() if action.is_left)
    if report.missing:
        numbers = ", ".join(map(str, sorted(report.missing)))
        one = len(report.missing) == 1
        missing = f"is no dead letter {numbers}, or it is" if one else f"are no dead letters {numbers}, or they are"
        fail(f"there {missing} not selected: {_SEE_LIST}")
    if selection.sequences and unless_left and left:
        raise typer.Exit(ExitCode.FAILED)


def _confirmed(settings: Settings, selection: Selection) -> tuple[Selection, int]:
    """Ask; return the selection without what is buried after the question, and how many letters that are."""
    if not (sys.stdin.isatty() and is_interactive()):
        fail("nobody can be asked here: say --yes, or --dry-run to see what would be deleted", ExitCode.USAGE)
    selection, count = asyncio.run(_count(settings, selection))
    if count:
        typer.confirm(f"Delete {quantity(count, 'dead letter')} for good?", abort=True, err=True)
    return selection, count


async def _count(settings: Settings, selection: Selection) -> tuple[Selection, int]:
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        return await container.repair_dead_letters().counted(selection)


async def _newest(settings: Settings, selection: Selection, limit: int) -> tuple[Collection[DeadLetter], int]:
    """Return the newest letters, and how many are selected in all."""
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        return await container.repair_dead_letters().newest(selection, limit)


async def _print_lines(settings: Settings, selection: Selection, limit: int | None) -> None:
    if limit is not None:
        letters, _ = await _newest(settings, selection, limit)
        for letter in letters:
            print_line(line_document(letter))
        return
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        async for letter in container.repair_dead_letters().select(selection):
            print_line(line_document(letter))


async def _find(settings: Settings, sequence: int) -> DeadLetter | None:
    container = build(BrokerContainer, settings)
    async with connected_to_nats(container):
        return await container.dead_letter_box().find(sequence)


def _table(letters: Iterable[DeadLetter]) -> Table:
    table = Table(title="Dead letters", title_justify="left")
    table.add_column("letter", no_wrap=True, justify="right")
    table.add_column("stored", no_wrap=True)
    table.add_column("reason, photo and error", overflow="fold")
    for letter in letters:
        number = f" (job {letter.job_sequence})" if letter.job_sequence else ""
        story = (f"{letter.reason}{number}", line_document(letter)["photo_id"], letter.error)
        stored = f"{letter.stored_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(letter.sequence), stored, visible("\n".join(text for text in story if text)))
    return table


def _letter_table(letter: DeadLetter, document: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, title=f"Dead letter {letter.sequence}", title_justify="left")
    for _ in range(2):
        table.add_column(overflow="fold")
    for name, value in document.items():
        if name not in {"body", "body_base64", "headers"} and value is not None:
            table.add_row(name.replace("_", " "), visible(str(value)))
    for name, value in letter.headers.items():
        table.add_row(visible(name), visible(value))
    return table


def _print_body(letter: DeadLetter, text: str | None) -> None:
    if text is None:
        out.print(f"The body is no text; --json has its {len(letter.body)} bytes.")
        return
    out.print(visible(text[:_LONGEST_BODY]))
    if len(text) > _LONGEST_BODY:
        out.print(f"… {len(text) - _LONGEST_BODY} more characters; --json has all.")
