"""``evaluate``: how well the active embedder tells people apart, on one's own photographs."""

import asyncio
import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
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
        out.print(_identification_table(evaluation, target))


def _points_table(evaluation: Evaluation) -> Table:
    pairs = f"{evaluation.impostor_pairs:,} pairs of two people, {evaluation.genuine_pairs:,} pairs of one"
    table = Table(title=f"Two photographs compared: {pairs}", title_justify="left")
    for heading in ("false match", "distance", "false non-match", "calibrated distance", "false match there"):
        table.add_column(heading, justify="right")
    for point in evaluation.points:
        table.add_row(
            f"{point.rate:g}",
            f"{point.distance:.4f}",
            _percent(point.false_non_match),
            f"{point.calibrated:.4f}",
            f"{point.false_match.value:.2g}",
        )
    return table


def _identification_table(evaluation: Evaluation, target: float) -> Table:
    table = Table(title="One photograph searched for among everybody enrolled", title_justify="left")
    for heading in ("threshold", "distance", "enrolled", "strangers named", "people missed", "taken for others"):
        table.add_column(heading, justify="left" if heading == "threshold" else "right")
    rows = {"the service's": evaluation.by_default, f"best for {target:.2%} of strangers": evaluation.by_measure}
    for name, row in rows.items():
        if row is not None:
            table.add_row(
                name,
                f"{row.threshold:.4f}",
                f"{row.gallery:,}",
                _percent(row.false_positive),
                _percent(row.false_negative),
                _percent(row.misnamed),
            )
    return table


def _percent(share: Share) -> str:
    if share.value is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.2%} ({low:.2%} to {high:.2%})"
