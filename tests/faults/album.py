"""Jobs of every kind, on real photographs that are made small enough to be looked at quickly."""

import json
import random
from collections.abc import Mapping, Sequence
from tempfile import NamedTemporaryFile
from typing import Any, Final
from uuid import UUID

import attrs
from PIL import Image

from infra.photographs import Photographs
from tests.e2e.world import World
from tests.pictures import bomb, jpeg, opened

PEOPLE: Final = {"obama": UUID(int=1), "astronaut": UUID(int=2)}
"""Who is enrolled, each with the photograph of that name."""
SEVERAL: Final = 3
"""How many jobs there are for a photo of the kind ``several``."""


@attrs.frozen
class Kind:
    """What jobs of one kind say beside the photo, what they come to, and how many of a hundred are of that kind.

    A kind whose ``photo`` is False is of photos that do not exist; each photo of a kind has ``jobs`` jobs.
    """

    name: str
    said: Mapping[str, Any]
    share: int
    photo: bool = True
    jobs: int = 1


KINDS: Final = (
    Kind("matched", {"image_ref": "obama2.jpg"}, 20),
    Kind("matched in a bucket", {"image_ref": "minio://images/obama.jpg", "faces_detected": 1}, 10),
    Kind("matched as another", {"image_ref": "astronaut.jpg", "face_index": 3}, 8),
    Kind("several", {"image_ref": "obama2.jpg"}, 6, jobs=SEVERAL),
    Kind("no_match", {"image_ref": "biden.jpg"}, 12),
    Kind("no_face", {"image_ref": "coffee.jpg"}, 8),
    Kind("multiple_faces", {"image_ref": "group.jpg"}, 6),
    Kind("face_too_small", {"image_ref": "far.jpg"}, 2),
    Kind("image_too_large", {"image_ref": "bomb.png"}, 3),
    Kind("unreadable_image", {"image_ref": "text.jpg"}, 3),
    Kind("image_not_found", {"image_ref": "nothing.jpg"}, 5),
    Kind("invalid_image_ref", {"image_ref": "minio://elsewhere/obama.jpg"}, 3),
    Kind("missing_image_ref", {}, 3),
    Kind("faces_detected_not_one", {"image_ref": "obama2.jpg", "faces_detected": 2}, 4),
    Kind("photo_not_found", {"image_ref": "obama2.jpg"}, 4, photo=False),
    Kind("malformed_payload", {"image_ref": "obama2.jpg", "face_index": "2"}, 3),
)


@attrs.frozen
class Job:
    """One job, as it is published."""

    kind: Kind
    photo: UUID
    job_id: UUID

    @property
    def body(self) -> bytes:
        """The message."""
        return json.dumps({"photo_id": str(self.photo), "job_id": str(self.job_id), **self.kind.said}).encode()


def jobs_of(kinds: Sequence[Kind], chance: random.Random) -> list[Job]:
    """Return the jobs of one photo of each of these kinds, in order."""
    photos = [(kind, _uuid(chance)) for kind in kinds]
    return [Job(kind, photo, _uuid(chance)) for kind, photo in photos for _ in range(kind.jobs)]


def mixed(count: int, chance: random.Random) -> list[Job]:
    """Return that many jobs of all kinds, in any order."""
    drawn = chance.choices(KINDS, [kind.share for kind in KINDS], k=count)
    jobs = jobs_of(drawn, chance)[:count]
    chance.shuffle(jobs)
    return jobs


def furnish(world: World, photographs: Photographs) -> None:
    """Put the photographs into the bucket and enrol the people."""
    for key, content in _objects(photographs).items():
        world.put(key, content)
    world.sql("INSERT INTO users (id) SELECT unnest(%s::uuid[])", list(PEOPLE.values()))
    with NamedTemporaryFile("w", suffix=".csv") as people:
        people.writelines(f"{user},{photographs.path(name)}\n" for name, user in PEOPLE.items())
        people.flush()
        world.cli("enroll", "--from", people.name)


def add_photos(world: World, jobs: Sequence[Job]) -> None:
    """Insert the photos that the jobs are about."""
    photos = {job.photo for job in jobs if job.kind.photo}
    world.sql("INSERT INTO photos (id) SELECT unnest(%s::uuid[])", sorted(photos))


def _uuid(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)


def _objects(photographs: Photographs) -> Mapping[str, bytes]:
    def small(name: str, width: int = 160) -> Image.Image:
        picture = opened(photographs.path(name))
        return picture.resize((width, picture.height * width // picture.width))

    def beside(left: Image.Image, right: Image.Image) -> Image.Image:
        canvas = Image.new("RGB", (left.width + right.width, max(left.height, right.height)))
        canvas.paste(left, (0, 0))
        canvas.paste(right, (left.width, 0))
        return canvas.resize((canvas.width // 2, canvas.height // 2))

    def far(picture: Image.Image) -> Image.Image:
        canvas = Image.new("RGB", picture.size, (127, 127, 127))
        canvas.paste(picture.resize((picture.width // 4, picture.height // 4)), (picture.width // 2, 0))
        return canvas

    pictures = {name: small(name) for name in ("obama", "obama2", "astronaut", "biden", "coffee")}
    pictures |= {"group": beside(pictures["obama2"], pictures["biden"]), "far": far(small("obama2", 200))}
    files = {f"{name}.jpg": jpeg(picture) for name, picture in pictures.items()}
    return files | {"bomb.png": bomb(), "text.jpg": b"this is no photograph"}
