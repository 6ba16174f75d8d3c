"""What both commands are told on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from domain.evaluation.subjects import Subject

FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="A folder with one sub-folder for each person, which holds their photographs.",
        exists=True,
        file_okay=False,
        show_default=False,
        metavar="FOLDER",
    ),
]
FacesOption = Annotated[
    Subject,
    typer.Option(
        help="Whose photograph it is when there are several faces: the central one's, or nobody's (`one`: "
        "exactly one is asked for, as in the service)."
    ),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        help="Keep what is read from each photograph here, and do not read it again the next time. These are "
        "embeddings: biometric data, which you have to delete.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
