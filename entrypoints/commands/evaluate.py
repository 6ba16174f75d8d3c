"""``evaluate``: how well the active embedder tells people apart, on one's own photographs."""

import asyncio
import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from adapters.evaluation.folder import LabelledFolder
from domain.evaluation import Evaluation, Identification, OperatingPoint, Share, Subject
from entrypoints.console import err, explained, is_interactive, load_settings, out
from entrypoints.resources import build
from entrypoints.settings import Settings


def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A folder with one sub-folder for each person, which holds their photographs.",
            exists=True,
            file_okay=False,
            show_default=False,
            metavar="FOLDER",
        ),
    ],
    faces: Annotated[
        Subject,
        typer.Option(
            help="Whose photograph it is when there are several faces: the central one's, or nobody's (`one`: "
            "exactly one is asked for, as in the service)."
        ),
    ] = Subject.CENTRAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the active embedder on photographs of known people. Needs no server.

    People with two photographs or more are enrolled with the first (by name) and searched for with the others; people
    with one are the strangers. Where nobody has just one, every other person is a stranger.
    """
    settings = load_settings()
    with explained():
        evaluation = asyncio.run(_evaluate(settings, folder, faces))
    if as_json:
        out.print_json(json.dumps(_document(evaluation, settings.vision.target_fpir)))
    else:
        _print(evaluation, settings.vision.target_fpir)


async def _evaluate(settings: Settings, folder: Path, faces: Subject) -> Evaluation:
    container = build(settings)
    pool = container.face_reader()
    bar = Progress(
        TextColumn("reading photographs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not is_interactive(),
    )
    with bar:
        task = bar.add_task("", total=None)
        await pool.start()
        try:
            return await container.evaluate_photos()(
                LabelledFolder(folder), faces, lambda done, of: bar.update(task, completed=done, total=of)
            )
        finally:
            await pool.close()


def _document(evaluation: Evaluation, target: float) -> dict[str, Any]:
    verification = evaluation.verification
    return {
        "embedder": evaluation.embedder,
        "faces": evaluation.subject,
        "people": evaluation.people,
        "photographs": evaluation.photographs,
        "seconds": round(evaluation.seconds, 3),
        "ms": {stage: round(mean, 3) for stage, mean in evaluation.milliseconds.items()},
        "failure_to_acquire": _share(evaluation.failure_to_acquire),
        "not_acquired": dict(evaluation.not_acquired),
        "verification": verification
        and {
            "pairs": verification.pairs,
            "accuracy": verification.accuracy,
            "deviation": verification.deviation,
            "threshold": verification.threshold,
        },
        "impostor_pairs": evaluation.impostor_pairs,
        "genuine_pairs": evaluation.genuine_pairs,
        "operating_points": [_point(point) for point in evaluation.points],
        "target_fpir": target,
        "identification": {
            "by_default": _identification(evaluation.by_default),
            "by_measure": _identification(evaluation.by_measure),
        },
    }


def _share(share: Share) -> dict[str, Any]:
    return {"count": share.count, "of": share.total, "share": share.value, "interval": share.interval}


def _point(point: OperatingPoint) -> dict[str, Any]:
    return {
        "fmr": point.rate,
        "distance": point.distance,
        "fnmr": _share(point.false_non_match),
        "calibrated_distance": point.calibrated,
        "fmr_at_calibrated_distance": _share(point.false_match),
    }


def _identification(identification: Identification | None) -> dict[str, Any] | None:
    if identification is None:
        return None
    return {
        "gallery": identification.gallery,
        "threshold": identification.threshold if math.isfinite(identification.threshold) else None,
        "fpir": _share(identification.false_positive),
        "fnir": _share(identification.false_negative),
        "misnamed": _share(identification.misnamed),
    }


def _print(evaluation: Evaluation, target: float) -> None:
    stages = ", ".join(f"{stage} {mean:.1f} ms" for stage, mean in evaluation.milliseconds.items())
    speed = evaluation.photographs / evaluation.seconds if evaluation.seconds else math.inf
    lost = ", ".join(f"{reason} {count:,}" for reason, count in sorted(evaluation.not_acquired.items()))
    summary = Table.grid(padding=(0, 2))
    summary.add_row("embedder", evaluation.embedder)
    summary.add_row("photographs", f"{evaluation.photographs:,} of {evaluation.people:,} people")
    summary.add_row("speed", f"{speed:.1f} photographs a second ({stages})")
    summary.add_row("failure to acquire", _percent(evaluation.failure_to_acquire) + (f": {lost}" if lost else ""))
    if verification := evaluation.verification:
        summary.add_row(
            "verification",
            f"{verification.accuracy:.2%} ± {verification.deviation:.2%} of {verification.pairs:,} pairs right, "
            f"at a distance of {verification.threshold:.4f}",
        )
    out.print(summary)
    if evaluation.points:
        out.print(_points_table(evaluation))
    if evaluation.by_default:
        out.print(_identification_table(evaluation.by_default, evaluation.by_measure, target))


def _points_table(evaluation: Evaluation) -> Table:
    pairs = f"{evaluation.impostor_pairs:,} pairs of two people, {evaluation.genuine_pairs:,} of one"
    table = _table(
        f"Two photographs compared ({pairs}).\n"
        "FMR: two people taken for one. FNMR: one person taken for two. In brackets: 95 %.",
        ["FMR", "distance", "FNMR", "calibrated", "FMR there"],
    )
    for point in evaluation.points:
        table.add_row(
            f"{point.rate:g}",
            f"{point.distance:.4f}",
            _percent(point.false_non_match),
            f"{point.calibrated:.4f}",
            f"{point.false_match.value:.2g}",
        )
    return table


def _identification_table(by_default: Identification, by_measure: Identification | None, target: float) -> Table:
    columns = {"the service's threshold": by_default, f"the best for FPIR {target:g}": by_measure}
    shown = {heading: column for heading, column in columns.items() if column is not None}
    table = _table(
        f"One photograph searched for among {by_default.gallery:,} enrolled people.\n"
        "FPIR: strangers named. FNIR: enrolled people not named, or misnamed.",
        ["", *shown],
    )
    table.add_row("distance", *(f"{column.threshold:.4f}" for column in shown.values()))
    table.add_row("FPIR", *(_percent(column.false_positive) for column in shown.values()))
    table.add_row("FNIR", *(_percent(column.false_negative) for column in shown.values()))
    table.add_row("misnamed", *(_percent(column.misnamed) for column in shown.values()))
    return table


def _table(title: str, headings: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _percent(share: Share) -> str:
    if share.value is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.1%} [{low * 100:.1f}-{high * 100:.1f}]"
