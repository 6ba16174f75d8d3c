"""``evaluate``: how well the active embedder tells people apart, on one's own photographs."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from domain.evaluation.results import Evaluation
from domain.evaluation.subjects import Subject
from entrypoints.composition.base import build
from entrypoints.composition.measuring import MeasuringContainer
from entrypoints.configured import told
from entrypoints.evaluation import place
from entrypoints.evaluation.document import evaluation_document
from entrypoints.evaluation.options import FacesOption, FolderArgument, ResumeOption
from entrypoints.evaluation.reading import measured
from entrypoints.evaluation.tables import print_evaluation
from entrypoints.terminal.console import err, explained, load_settings, out, print_document, visible
from entrypoints.versions import VERSION


def evaluate(
    folder: FolderArgument,
    faces: FacesOption = Subject.CENTRAL,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a report with plots, as one page that needs no network.", metavar="FILE"),
    ] = None,
    resume: ResumeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the active embedder on photographs of known people.

    Needs no server. A person with two photographs or more is enrolled with the first one (by file name) and searched
    for with the others. People with one photograph are the strangers; if these are too few, some of the others become
    strangers, too. If enough people have more than three photographs, templates of three are measured as well. To get
    the errors of groups, add a file groups.csv (person,group) to the folder.
    """
    settings = load_settings()
    if html is not None:
        place.require_writable(html)
    with explained():
        container = build(MeasuringContainer, settings)
        evaluation = asyncio.run(measured(container, container.evaluate_photos(), folder, faces, resume))
        judged_by = told(settings.vision, os.environ)
        _warn(evaluation)
        if as_json:
            print_document(evaluation_document(evaluation, judged_by))
        else:
            print_evaluation(evaluation, out)
        if html is not None:
            from adapters.evaluation.report.page import write_report  # noqa: PLC0415 - only a report needs matplotlib

            write_report(html, evaluation, judged_by, made=container.clock().now(), version=VERSION)
            err.print(f"The report is in {html}")


def _warn(evaluation: Evaluation) -> None:
    """Tell what is probably not meant."""
    if (grouping := evaluation.grouping) and grouping.unknown:
        names = ", ".join(grouping.unknown)
        err.print(visible(f"groups.csv names people who have no photographs here: {names}"))
