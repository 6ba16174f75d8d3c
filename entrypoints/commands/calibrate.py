"""``calibrate``: measure the distances between one's own people, for the worker to take its threshold from."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from adapters.evaluation.calibration_file import curve_document, write_calibration
from adapters.evaluation.wording import aim
from application.evaluation.calibrate_embedder import CalibratedEmbedder
from domain.evaluation.calibrating import MeasuredCalibration
from domain.evaluation.subjects import Subject
from entrypoints.composition.base import build
from entrypoints.composition.measuring import MeasuringContainer
from entrypoints.evaluation import place
from entrypoints.evaluation.document import acquisition_document
from entrypoints.evaluation.options import FacesOption, FolderArgument, ResumeOption
from entrypoints.evaluation.reading import measured
from entrypoints.evaluation.tables import acquisition_summary
from entrypoints.terminal.console import err, explained, load_settings, out, print_document, visible


def calibrate(
    folder: FolderArgument,
    output: Annotated[
        Path, typer.Option(help="The file to write. An existing one is replaced.", metavar="FILE", show_default=False)
    ],
    faces: FacesOption = Subject.CENTRAL,
    resume: ResumeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how far apart your people are, for the threshold.

    Writes the file for FACEMATCH_MATCH_CALIBRATION. Needs no server. Each sub-folder must hold a different person: one
    person in two folders makes the threshold much too tight. The file holds distances and counts, but no faces and no
    embeddings.
    """
    settings = load_settings()
    place.require_writable(output)
    with explained():
        container = build(MeasuringContainer, settings)
        found = asyncio.run(measured(container, container.calibrate_embedder(), folder, faces, resume))
        write_calibration(output, found.calibration)
    fpir = settings.vision.target_fpir
    users = found.calibration.measured_only().largest_gallery(fpir)
    if as_json:
        print_document(_document(found, output, fpir, users))
    else:
        out.print(acquisition_summary(found.calibration.embedder, found.acquisition))
        out.print(_table(found.calibration))
        out.print("Nearest to each other (is it one person, under two names?):")
        for pair in found.look_alikes:
            out.print(visible(f"  {pair.distance:.4f}  {pair.one}, {pair.other}"))
        out.print(visible(f"Written to {output}; to use it: FACEMATCH_MATCH_CALIBRATION={output.resolve()}"))
    if users:
        said = f"These people say how to keep a target of {aim(fpir)} among up to {users:,} users. Among more,"
    else:
        said = f"These people are too few to say how to keep a target of {aim(fpir)}. So"
    if container.factory().info.calibration.is_one_distance:
        how = "the threshold is extrapolated from theirs, for nothing else was measured of this embedder"
    else:
        how = "the threshold follows the embedder's own distances"
    err.print(f"{said} {how}; to know better, calibrate on more people.")


def _document(found: CalibratedEmbedder, output: Path, fpir: float, users: int) -> dict[str, Any]:
    return {
        "embedder": found.calibration.embedder,
        "file": str(output),
        **acquisition_document(found.acquisition),
        "curves": [curve_document(curve, "fmr") for curve in found.calibration.curves],
        "look_alikes": [
            {"one": pair.one, "other": pair.other, "distance": pair.distance} for pair in found.look_alikes
        ],
        "target_fpir": fpir,
        "largest_gallery": users,
    }


def _table(calibration: MeasuredCalibration) -> Table:
    table = Table(
        title="Distances at or below which that share of different people lies (FMR),\n"
        "where people are enrolled with so many photographs each.",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("FMR", justify="right")
    for curve in calibration.curves:
        table.add_column(f"{curve.photographs}", justify="right")
    table.add_row("people", *(f"{curve.people:,}" for curve in calibration.curves))
    table.add_row("comparisons", *(f"{curve.comparisons:,}" for curve in calibration.curves), end_section=True)
    found = [dict(curve.points) for curve in calibration.curves]
    for rate in sorted({rate for points in found for rate in points}, reverse=True):
        table.add_row(f"{rate:.2g}", *(f"{points[rate]:.4f}" if rate in points else "" for points in found))
    return table
