"""An evaluation on a terminal."""

from itertools import islice
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from adapters.evaluation.wording import aim, percent, photographs, plain, small, too_few
from domain.evaluation.comparison import OperatingPoint
from domain.evaluation.discard import DiscardCurve
from domain.evaluation.identification import GalleryFigures
from domain.evaluation.results import Acquisition, Evaluation, GroupFigures
from entrypoints.terminal.console import visible

_UNREAD_SHOWN: Final = 20


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print a summary, and a table for each kind of error."""
    summary = acquisition_summary(evaluation.embedder, evaluation.acquisition)
    if verification := evaluation.verification:
        summary.add_row(
            "verification",
            f"{verification.accuracy:.2%} ± {verification.deviation:.2%} of {verification.pairs:,} pairs right in "
            f"{verification.folds} folds, at a distance of {verification.threshold:.4f}",
        )
    tables = [
        summary,
        _points_table(evaluation) if evaluation.points else None,
        *(_galleries_table(evaluation, number) for number in sorted({f.photographs for f in evaluation.galleries})),
        *(_discard_table(curve) for curve in evaluation.discards),
        _groups_table(evaluation) if evaluation.groups else None,
    ]
    for table in tables:
        if table is not None:
            console.print(table)
    if evaluation.target_fpir is not None and (strangers := evaluation.too_few_strangers):
        console.print(too_few(strangers, evaluation.target_fpir))
    if evaluation.named_strangers:
        console.print("Strangers who were named, the nearest first (is it one person, under two names?):")
    for one in evaluation.named_strangers:
        console.print(visible(f"  {one.distance:.4f}  {one.photo} as {one.nearest}"))


def acquisition_summary(embedder: str, acquisition: Acquisition) -> Table:
    """Return a grid of what became of the photographs, to which more can be added."""
    stages = ", ".join(f"{stage} {mean:.1f} ms" for stage, mean in acquisition.milliseconds.items())
    lost = ", ".join(f"{reason} {count:,}" for reason, count in sorted(acquisition.not_acquired.items()))
    summary = Table.grid(padding=(0, 2))
    summary.add_row("embedder", embedder)
    known = f", {acquisition.known:,} of them read before" if acquisition.known else ""
    summary.add_row("photographs", f"{acquisition.photographs:,} of {acquisition.people:,} people{known}")
    if acquisition.copies:
        summary.add_row("copies", f"{acquisition.copies:,} left out: of a person's same photographs one counts")
    if acquisition.per_second:
        took = f" ({stages})" if stages else ""
        summary.add_row("speed", f"{acquisition.per_second:.1f} photographs a second{took}")
    summary.add_row("failure to acquire", percent(acquisition.failure_to_acquire, 2) + (f": {lost}" if lost else ""))
    if acquisition.several_faces:
        summary.add_row(
            "several faces", f"{acquisition.several_faces:,} photographs; --faces one judges them as the service does"
        )
    for name, reason in islice(acquisition.unread.items(), _UNREAD_SHOWN):
        summary.add_row("not read", visible(f"{name}: {reason}"))
    if (hidden := len(acquisition.unread) - _UNREAD_SHOWN) > 0:
        summary.add_row("", f"and {hidden:,} more, which --json names")
    return summary


def _points_table(evaluation: Evaluation) -> Table:
    pairs = f"{evaluation.impostor_pairs:,} pairs of two people, {evaluation.genuine_pairs:,} of one"
    table = _table(
        f"Two photographs compared ({pairs}).\n"
        "FMR: two people taken for one. FNMR: one person taken for two. In brackets: 95 %.",
        ["FMR", "distance", "FNMR", "calibrated", "FMR there"],
    )
    for point in evaluation.points:
        table.add_row(*_point(point))
    return table


def _point(point: OperatingPoint) -> list[str]:
    return [
        f"{point.rate:g}",
        f"{point.distance:.4f}",
        percent(point.false_non_match),
        f"{point.calibrated:.4f}",
        small(point.false_match),
    ]


def _galleries_table(evaluation: Evaluation, number: int) -> Table:
    target = "" if evaluation.target_fpir is None else f", target {aim(evaluation.target_fpir)}"
    table = _table(
        f"One photograph searched for among people enrolled with {photographs(number)} each, as the service judges.\n"
        f"FPIR: strangers named{target}. FNIR: enrolled people not named, or misnamed.\n"
        "Both are shares of the photographs with a usable face. Those without one are failures to acquire.\n"
        "In brackets: 95 %; of FPIR for these enrolled people, among others it may lie outside.\n"
        "Threshold: the median of those of all searches.\n"
        "At best: FNIR with the largest distance that keeps the target here.",
        ["enrolled", "threshold", "FPIR", "FNIR", "misnamed", "at best"],
    )
    for figures in evaluation.galleries:
        if figures.photographs == number:
            table.add_row(*_gallery(figures))
    return table


def _gallery(figures: GalleryFigures) -> list[str]:
    as_configured, at_best = figures.as_configured, figures.at_best
    return [
        f"{as_configured.gallery:,}",
        f"{as_configured.threshold:.4f}",
        percent(as_configured.false_positive),
        percent(as_configured.false_negative),
        plain(as_configured.misnamed),
        plain(at_best.false_negative) if at_best else "-",
    ]


def _discard_table(curve: DiscardCurve) -> Table:
    table = _table(
        f"Photographs refused by {curve.quality}: FNMR of those left, at one distance. FTA counts the refused.",
        [f"least {curve.quality}", "refused", "FNMR", "FTA"],
    )
    for point in curve.points:
        table.add_row(
            f"{point.minimum:.4g}",
            plain(point.discarded),
            percent(point.false_non_match),
            plain(point.not_acquired),
        )
    return table


def _groups_table(evaluation: Evaluation) -> Table:
    distance = evaluation.groups[0].distance
    at = "" if distance is None else f" FMR (within the group) and FNMR at a distance of {distance:.4f}."
    table = _table(
        f"Groups.{at}\nFPIR and FNIR: the group's strangers and users in the search among all.\n"
        "In brackets: 95 %; where it is wide, the group has too few people to tell.",
        ["group", "people", "FTA", "FMR", "FNMR", "FPIR", "FNIR"],
    )
    for figures in evaluation.groups:
        table.add_row(*_group(figures))
    if (grouping := evaluation.grouping) and grouping.ungrouped:
        table.caption = f"{len(grouping.ungrouped):,} people are in no group."
    return table


def _group(figures: GroupFigures) -> list[str]:
    return [
        visible(figures.group),
        f"{figures.people:,}",
        plain(figures.not_acquired),
        _narrow(percent(figures.false_match, 2)),
        _narrow(percent(figures.false_non_match)),
        _narrow(percent(figures.false_positive)),
        _narrow(percent(figures.false_negative)),
    ]


def _narrow(percentage: str) -> str:
    """Return it with its interval on a line of its own."""
    return percentage.replace(" ", "\n")


def _table(title: str, headings: list[str]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
