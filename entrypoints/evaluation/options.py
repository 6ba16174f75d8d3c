"""What both commands are told on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from domain.evaluation.subjects import Subject

FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="A folder with one sub-folder of photographs for each person.",
        exists=True,
        file_okay=False,
        show_default=False,
        metavar="FOLDER",
    ),
]
FacesOption = Annotated[
    Subject,
    typer.Option(
        help="What to do with several faces on a photograph: take the central one, or refuse the photograph (`one`, as "
        "the service does)."
    ),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep what is read from each photograph in this folder, and reuse it in the next run. These are "
        "embeddings: biometric data. Delete the folder when you are done.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
