"""Running what reads a folder of photographs: the vision processes, the progress, and what was read before."""

from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol, TypeVar

from adapters import vision
from adapters.evaluation.folder import LabelledFolder
from adapters.evaluation.kept_readings import FolderOfReadings, KeptReadingsError
from application.ports.known_readings import KnownReadings
from application.ports.labelled_photos import LabelledPhotos
from application.progress import Progress
from domain.evaluation.subjects import Subject
from entrypoints.composition.vision import VisionContainer, started_reader
from entrypoints.terminal.progress import watched
from entrypoints.versions import VERSION

_DIGITS: Final = 12
Found_co = TypeVar("Found_co", covariant=True)
Found = TypeVar("Found")


class Measures(Protocol[Found_co]):
    """A use case that measures on photographs of known people."""

    async def __call__(
        self, collection: LabelledPhotos, subject: Subject, known: KnownReadings | None, progress: Progress
    ) -> Found_co:
        """Return what was found."""


async def measured(
    container: VisionContainer, measure: Measures[Found], folder: Path, subject: Subject, resume: Path | None
) -> Found:
    """Return what the use case finds in the folder; readings are kept in ``resume``, and taken from there.

    Raises:
        FacematchError: the folder holds no photographs, or the embedder or the folder of readings cannot be used.

    """
    known = None if resume is None else _kept(resume, folder, container.factory().info.id)
    with watched("reading photographs") as progress:
        async with started_reader(container):
            return await measure(LabelledFolder(folder, container.budget().max_bytes), subject, known, progress)


def _kept(resume: Path, folder: Path, embedder: str) -> FolderOfReadings:
    if resume.resolve() == folder.resolve():
        raise KeptReadingsError(f"{resume} holds the photographs: name another folder for what is read from them")
    return FolderOfReadings(resume, embedder, _state())


def _state() -> str:
    """Return the version and a digest of what reads photographs: the code may change while the version stays."""
    code = sha256()
    for path in sorted(Path(vision.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    return f"{VERSION}-{code.hexdigest()[:_DIGITS]}"
