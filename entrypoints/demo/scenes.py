"""What is played: who is enrolled, which photographs are submitted, and what must come of each."""

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import attrs
from PIL import Image

from domain.errors import FacematchError
from domain.jobs import MatchJob
from domain.outcomes import OutcomeKind, Reason
from infra.photographs import Photographs

_GROUP_HEIGHT = 480
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".gif"}


@attrs.frozen
class Person:
    """Somebody to enrol from one photograph."""

    name: str
    photograph: Path


@attrs.frozen
class Scene:
    """One job: the photograph that is uploaded (None: nothing is), and who is on it, where that is an enrolled person.

    ``expected`` is the outcome that must come of it; None where any will do. A scene with ``again`` is a second job
    for the photo of the first. ``malformed`` sends a body that cannot be understood.
    """

    title: str
    image: Path | None = None
    person: str | None = None
    expected: tuple[OutcomeKind, Reason | None] | None = None
    again: bool = False
    malformed: bool = False
    photo_id: UUID = attrs.field(factory=uuid4)
    job_id: UUID = attrs.field(factory=uuid4)

    @property
    def key(self) -> str:
        """Name of its object in the store."""
        return f"{self.photo_id}{self.image.suffix if self.image else '.jpg'}"

    def job(self) -> MatchJob:
        """Return the job as an application's backend publishes it."""
        return MatchJob(self.photo_id, self.key, job_id=self.job_id)

    def malformed_body(self) -> bytes:
        """Return a body that breaks the contract: a number where a UUID belongs."""
        return json.dumps({"photo_id": 42, "image_ref": self.key, "job_id": str(self.job_id)}).encode()


def built_in(photographs: Photographs, folder: Path) -> tuple[list[Person], list[Scene]]:
    """Return the play of public-domain photographs; pictures that it needs besides are made in ``folder``."""
    obama, collins = "Barack Obama", "Eileen Collins"
    group, broken = folder / "group.jpg", folder / "broken.jpg"
    _side_by_side([photographs.path(name) for name in ("obama", "biden", "astronaut")], group)
    whole = photographs.path("obama3").read_bytes()
    broken.write_bytes(whole[: len(whole) // 3])
    matched = Scene(
        "the same person, another day", photographs.path("obama2"), obama, expected=(OutcomeKind.MATCHED, None)
    )
    scenes = [
        matched,
        Scene("the same person, smaller", photographs.path("obama3"), obama, expected=(OutcomeKind.MATCHED, None)),
        Scene("a stranger", photographs.path("biden"), expected=_skipped(Reason.NO_MATCH)),
        Scene("a group", group, expected=_skipped(Reason.MULTIPLE_FACES)),
        Scene("a cup of coffee", photographs.path("coffee"), expected=_skipped(Reason.NO_FACE)),
        Scene("a cat", photographs.path("chelsea"), expected=_skipped(Reason.NO_FACE)),
        Scene("a broken file", broken, expected=_skipped(Reason.UNREADABLE_IMAGE)),
        Scene("a missing object", expected=_skipped(Reason.IMAGE_NOT_FOUND)),
        Scene("a malformed payload", malformed=True, expected=_skipped(Reason.MALFORMED_PAYLOAD)),
        attrs.evolve(
            matched,
            title="a duplicate job",
            again=True,
            job_id=uuid4(),
            expected=_skipped(Reason.ALREADY_MATCHED),
        ),
    ]
    people = [Person(obama, photographs.path("obama")), Person(collins, photographs.path("astronaut"))]
    return people, scenes


def of_folder(folder: Path) -> tuple[list[Person], list[Scene]]:
    """Return a play of a folder with one sub-folder for each person: the first photograph enrols, the others are jobs.

    Raises:
        FacematchError: no sub-folder holds two pictures.

    """
    taken = {entry.name: files for entry in sorted(folder.iterdir()) if entry.is_dir() and (files := _pictures(entry))}
    scenes = [Scene(f"{name}/{picture.name}", picture, name) for name, files in taken.items() for picture in files[1:]]
    if not scenes:
        raise FacematchError(
            f"{folder} holds nothing to match: it needs one sub-folder for each person, with two pictures or more"
        )
    return [Person(name, files[0]) for name, files in taken.items()], scenes


def _pictures(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix.lower() in _SUFFIXES]


def _skipped(reason: Reason) -> tuple[OutcomeKind, Reason]:
    return (OutcomeKind.SKIPPED, reason)


def _side_by_side(photographs: Sequence[Path], target: Path) -> None:
    pictures = [Image.open(path).convert("RGB") for path in photographs]
    scaled = [p.resize((p.width * _GROUP_HEIGHT // p.height, _GROUP_HEIGHT)) for p in pictures]
    canvas = Image.new("RGB", (sum(picture.width for picture in scaled), _GROUP_HEIGHT))
    left = 0
    for picture in scaled:
        canvas.paste(picture, (left, 0))
        left += picture.width
    canvas.save(target, quality=92)
