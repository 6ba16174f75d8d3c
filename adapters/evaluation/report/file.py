"""Writing the report."""

from datetime import datetime
from pathlib import Path

from adapters.evaluation.report.page import render
from adapters.evaluation.whole_file import write_whole
from domain.errors import FacematchError
from domain.evaluation.results import Evaluation

_READABLE = 0o644


class ReportError(FacematchError):
    """The report cannot be written."""


def write_report(path: Path, evaluation: Evaluation, *, made: datetime, version: str) -> None:
    """Write one HTML page, in the place of an older one.

    Raises:
        ReportError: it cannot be written.

    """
    page = render(evaluation, made=made, version=version)
    try:
        write_whole(path, page, mode=_READABLE)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}") from error
