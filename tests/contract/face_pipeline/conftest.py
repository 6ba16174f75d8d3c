"""Every face pipeline that there is: those that see, and the fake that knows its photographs by heart."""

from collections.abc import Mapping

import attrs
import pytest

from adapters.vision import registry
from application.ports.face_pipeline import Embed, FacePipeline, ImageBudget
from domain.errors import ImageTooLargeError
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading
from infra.photographs import Photographs
from tests import own_models, pictures
from tests.fakes import vision

SEEING = ("dlib", "mediapipe", "custom")
BUDGET = ImageBudget(max_bytes=8_000_000, max_pixels=30_000_000)


@attrs.frozen
class Subject:
    """A pipeline under test, images that it knows, and its first reading of each."""

    pipeline: FacePipeline
    images: Mapping[str, bytes]
    _first: dict[tuple[str, Embed], PhotoReading] = attrs.field(factory=dict, init=False)

    def read(self, image: str, embed: Embed) -> PhotoReading:
        """Return what is on an image; the pipeline looks at each but once for each wish."""
        if (image, embed) not in self._first:
            self._first[image, embed] = self.pipeline.read(self.images[image], embed=embed)
        return self._first[image, embed]


@pytest.fixture(scope="session")
def seeing_pipelines(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FacePipeline]:
    """Return the pipelines that come with the product, loaded once; ``custom`` with dlib's network as a file."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEMATCH_EMBEDDER_FILE", str(own_models.written(own_models.resnet_document(folder), folder)))
        return {name: registry.load(name)(BUDGET) for name in SEEING}


@pytest.fixture(scope="session")
def images(photographs: Photographs) -> Mapping[str, bytes]:
    """Return one image of each kind that a caller must tell apart."""
    return {
        "portrait": photographs.path("obama").read_bytes(),
        "group": pictures.group(photographs.path("obama"), photographs.path("biden")),
        "scenery": pictures.jpeg(pictures.opened(photographs.path("coffee")).resize((150, 100))),
        "text": b"this is no picture",
        "too many bytes": bytes(BUDGET.max_bytes + 1),
        "too many pixels": pictures.bomb(),
    }


def _by_heart(images: Mapping[str, bytes]) -> vision.ScriptedFacePipeline:
    def face(left: float, *vector: float) -> DetectedFace:
        return DetectedFace(BoundingBox(left, 20, left + 50, 70), 0.9, FaceEmbedding(vision.INFO.id, vector))

    too_large = ImageTooLargeError("more than the budget")
    return vision.ScriptedFacePipeline(
        {
            images["portrait"]: PhotoReading(910, 1137, (face(10, 0.6, 0.8, 0.0),)),
            images["group"]: PhotoReading(496, 400, (face(10, 0.6, 0.8, 0.0), face(90, 0.0, 0.6, 0.8))),
            images["scenery"]: PhotoReading(150, 100, ()),
            images["too many bytes"]: too_large,
            images["too many pixels"]: too_large,
        }
    )


@pytest.fixture(scope="module", params=["by heart", *SEEING])
def subject(
    request: pytest.FixtureRequest, images: Mapping[str, bytes], seeing_pipelines: Mapping[str, FacePipeline]
) -> Subject:
    """Return each pipeline in turn."""
    if request.param == "by heart":
        return Subject(_by_heart(images), images)
    return Subject(seeing_pipelines[request.param], images)


@pytest.fixture(params=SEEING)
def seeing(request: pytest.FixtureRequest, seeing_pipelines: Mapping[str, FacePipeline]) -> FacePipeline:
    """Return each pipeline in turn that really looks at photographs."""
    return seeing_pipelines[request.param]
