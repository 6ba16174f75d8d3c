"""Every face reader that there is: in processes, and the fake."""

from collections.abc import AsyncIterator, Mapping

import attrs
import pytest
import pytest_asyncio

from application.ports.face_pipeline import ImageBudget
from application.ports.face_reader import FaceReader
from domain.errors import ImageTooLargeError
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from infra.photographs import Photographs
from tests import pictures
from tests.fakes import vision
from tests.readers import pool_of

BUDGET = ImageBudget(max_bytes=8_000_000)


@attrs.frozen
class Subject:
    """A reader under test, and images that it knows."""

    reader: FaceReader
    images: Mapping[str, bytes]


@pytest.fixture(scope="session")
def images(photographs: Photographs) -> Mapping[str, bytes]:
    """Return one image of each kind that a caller must tell apart."""
    return {
        "portrait": photographs.path("obama").read_bytes(),
        "stranger": photographs.path("biden").read_bytes(),
        "group": pictures.group(photographs.path("obama"), photographs.path("biden")),
        "scenery": pictures.jpeg(pictures.opened(photographs.path("coffee")).resize((150, 100))),
        "text": b"this is no picture",
        "large": bytes(BUDGET.max_bytes + 1),
    }


def _by_heart(images: Mapping[str, bytes]) -> vision.ScriptedFaceReader:
    def face(left: float, *vector: float) -> DetectedFace:
        return DetectedFace(BoundingBox(left, 20, left + 50, 70), 0.9, FaceEmbedding(vision.INFO.id, vector))

    pipeline = vision.ScriptedFacePipeline(
        {
            images["portrait"]: PhotoReading(910, 1137, (face(10, 0.6, 0.8, 0.0),)),
            images["stranger"]: PhotoReading(970, 2204, (face(10, 0.0, 0.6, 0.8),)),
            images["group"]: PhotoReading(496, 400, (face(10, 0.6, 0.8, 0.0), face(90, 0.0, 0.6, 0.8))),
            images["scenery"]: PhotoReading(150, 100, ()),
            images["large"]: ImageTooLargeError("more than the budget"),
        }
    )
    return vision.ScriptedFaceReader(pipeline)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["by heart", "in a pool"])
async def subject(request: pytest.FixtureRequest, images: Mapping[str, bytes]) -> AsyncIterator[Subject]:
    """Return each reader in turn, started."""
    if request.param == "by heart":
        yield Subject(_by_heart(images), images)
        return
    pool = pool_of("dlib", 2, budget=BUDGET)
    try:
        await pool.start()
        yield Subject(pool, images)
    finally:
        await pool.close()
