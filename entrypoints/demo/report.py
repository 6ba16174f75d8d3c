"""What a performance is reported as: the table, the contact sheet's tiles, and the count of right and wrong."""

from collections.abc import Sequence
from typing import Any, Final

import attrs
from rich import box
from rich.console import Console
from rich.table import Table

from domain.faces import BoundingBox
from domain.outcomes import OutcomeKind
from entrypoints.demo.contact_sheet import Tile
from entrypoints.demo.play import Result
from entrypoints.terminal.console import console as plain_console
from entrypoints.terminal.console import out

_STAGES: Final = {
    "fetch": ("fetch",),
    "decode": ("decode",),
    "detect": ("detect",),
    "embed": ("embed",),
    "db": ("guardrails", "search", "transaction"),
    "event": ("publish", "ack"),
}
"""What the table tells in milliseconds, and the stages of the job that each figure adds up."""
_WIDE: Final = 120
_UNWATCHED_WIDTH: Final = 132
_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#6e7781"


def tables(results: Sequence[Result], width: int) -> list[Table]:
    """Return one row for each job: in one table, or in two where the width is too small for it."""
    outcome = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    times = outcome if width >= _WIDE else Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    outcome.add_column("photo", overflow="fold", min_width=16)
    for name in ("outcome", "reason"):
        outcome.add_column(name, no_wrap=True)
    outcome.add_column("user", overflow="fold", min_width=10)
    for name in ("distance", "allowed"):
        outcome.add_column(name, justify="right", no_wrap=True)
    if times is not outcome:
        times.add_column("photo", overflow="fold", min_width=16)
    for stage in _STAGES:
        times.add_column(f"{stage} ms" if stage == next(iter(_STAGES)) else stage, justify="right", no_wrap=True)
    for result in results:
        event, style = result.event, None if result.as_expected else "bold red"
        words = [result.scene.title, event["outcome"], event["reason"] or "", result.named or ""]
        words += [_distance(event["distance"]), _distance(event["threshold"])]
        took = [_milliseconds(result, stages) for stages in _STAGES.values()]
        if times is outcome:
            outcome.add_row(*words, *took, style=style)
        else:
            outcome.add_row(*words, style=style)
            times.add_row(result.scene.title, *took, style=style)
    return [outcome] if times is outcome else [outcome, times]


def console() -> Console:
    """Return a console on standard output that is wide enough where nobody watches."""
    return plain_console(width=None if out.is_terminal else _UNWATCHED_WIDTH)


def tiles(results: Sequence[Result]) -> list[Tile]:
    """Return what the contact sheet shows of each job."""
    return [_tile(result) for result in results]


def _tile(result: Result) -> Tile:
    event = result.event
    matched = event["outcome"] == OutcomeKind.MATCHED.value
    head = result.named or "somebody else" if matched else event["reason"].replace("_", " ")
    wrong = not result.as_expected or (matched and result.named != result.scene.person)
    colour = _RED if wrong else _GREEN if matched else _GREY
    measured = ""
    if event["distance"] is not None:
        measured = f"distance {event['distance']:.3f}, allowed {_distance(event['threshold']) or 'any'}"
    bounds = event["bbox"]
    return Tile(
        image=result.scene.image,
        box=BoundingBox(**bounds) if bounds else None,
        lines=(head, result.scene.title, measured),
        colour=colour,
    )


@attrs.frozen
class Tally:
    """How many photographs were named right, named wrong, and not named."""

    right: int
    wrong: int
    unmatched: int


def tally(results: Sequence[Result], enrolled: Sequence[str]) -> Tally:
    """Count; whoever names a person that was not enrolled is wrong."""
    named = [result for result in results if result.event["outcome"] == OutcomeKind.MATCHED.value]
    right = sum(result.named == result.scene.person and result.named in enrolled for result in named)
    return Tally(right=right, wrong=len(named) - right, unmatched=len(results) - len(named))


def _milliseconds(result: Result, stages: tuple[str, ...]) -> str:
    took = [result.stages_ms[stage] for stage in stages if stage in result.stages_ms]
    return f"{sum(took):.0f}" if took else ""


def _distance(value: Any) -> str:  # noqa: ANN401 - a figure of a JSON document, or null
    return "" if value is None else f"{value:.3f}"
