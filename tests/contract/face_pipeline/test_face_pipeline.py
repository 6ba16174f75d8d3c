"""What any face pipeline does: the ones that see, and the fake that knows its photographs by heart."""

import math
import os

import pytest

from application.ports.face_pipeline import Embed, FacePipeline
from domain.errors import ImageTooLargeError, UnreadableImageError
from tests.contract.face_pipeline.conftest import Subject


def test_it_is_a_face_pipeline(subject: Subject) -> None:
    """The adapter satisfies the port."""
    pipeline: FacePipeline = subject.pipeline
    name, _, version = pipeline.info.id.partition("@")
    assert name
    assert version
    assert pipeline.info.metric == "cosine"


@pytest.mark.parametrize(("image", "count"), [("portrait", 1), ("group", 2), ("scenery", 0)])
@pytest.mark.parametrize("embed", list(Embed))
def test_every_face_is_found_whatever_is_embedded(subject: Subject, image: str, count: int, embed: Embed) -> None:
    """The wish for embeddings does not change what is found, where, and in which order."""
    reading = subject.read(image, embed)
    assert len(reading.faces) == count
    other = subject.read(image, Embed.ALL)
    assert [(face.box, face.score) for face in reading.faces] == [(face.box, face.score) for face in other.faces]


@pytest.mark.parametrize(
    ("image", "embed", "embedded"),
    [
        ("portrait", Embed.NONE, [False]),
        ("portrait", Embed.ONLY_FACE, [True]),
        ("portrait", Embed.ALL, [True]),
        ("group", Embed.NONE, [False, False]),
        ("group", Embed.ONLY_FACE, [False, False]),
        ("group", Embed.ALL, [True, True]),
        ("scenery", Embed.ONLY_FACE, []),
        ("scenery", Embed.ALL, []),
    ],
)
def test_what_is_wanted_is_embedded(subject: Subject, image: str, embed: Embed, embedded: list[bool]) -> None:
    """None, the only face of a photograph with exactly one, or all."""
    reading = subject.read(image, embed)
    assert [face.embedding is not None for face in reading.faces] == embedded


@pytest.mark.parametrize("image", ["portrait", "group"])
def test_embeddings_are_unit_vectors_of_the_announced_kind(subject: Subject, image: str) -> None:
    """Model and dimension are those of the info, every value is finite, the length is 1."""
    info = subject.pipeline.info
    reading = subject.read(image, Embed.ALL)
    vectors = [face.embedding for face in reading.faces if face.embedding]
    assert [(vector.model, vector.dimension) for vector in vectors] == [(info.id, info.dimension)] * len(reading.faces)
    assert [math.hypot(*vector.vector) for vector in vectors] == pytest.approx([1.0] * len(vectors), abs=1e-5)


@pytest.mark.parametrize("image", ["portrait", "group", "scenery"])
def test_it_is_deterministic(subject: Subject, image: str) -> None:
    """The same bytes give the same reading, to the last bit, whatever was read in between."""
    first = subject.read(image, Embed.ALL)
    subject.pipeline.read(subject.images["group"], embed=Embed.ALL)
    assert subject.pipeline.read(subject.images[image], embed=Embed.ALL) == first


@pytest.mark.parametrize("image", ["portrait", "group"])
def test_boxes_lie_on_the_photograph(subject: Subject, image: str) -> None:
    """Boxes are clipped and have an area."""
    reading = subject.read(image, Embed.NONE)
    for box in (face.box for face in reading.faces):
        assert 0 <= box.x1 < box.x2 <= reading.width
        assert 0 <= box.y1 < box.y2 <= reading.height


@pytest.mark.parametrize(
    ("image", "embed", "stages"),
    [
        ("portrait", Embed.ONLY_FACE, ["decode", "detect", "embed"]),
        ("portrait", Embed.NONE, ["decode", "detect"]),
        ("group", Embed.ONLY_FACE, ["decode", "detect"]),
        ("scenery", Embed.ALL, ["decode", "detect"]),
    ],
)
def test_stages_that_ran_are_timed(subject: Subject, image: str, embed: Embed, stages: list[str]) -> None:
    """Each stage that ran is there once, in order, with its times and process; no other is."""
    reading = subject.read(image, embed)
    assert [stage.name for stage in reading.stages] == stages
    ends = [moment for stage in reading.stages for moment in (stage.started_ns, stage.ended_ns)]
    assert ends == sorted(ends)
    assert {stage.process_id for stage in reading.stages} == {os.getpid()}


def test_what_is_no_image_is_unreadable(subject: Subject) -> None:
    """The job is at fault."""
    with pytest.raises(UnreadableImageError):
        subject.pipeline.read(subject.images["text"], embed=Embed.NONE)


@pytest.mark.parametrize("image", ["too many bytes", "too many pixels"])
def test_what_exceeds_the_budget_is_too_large(subject: Subject, image: str) -> None:
    """The job is at fault, and it is said how."""
    with pytest.raises(ImageTooLargeError):
        subject.pipeline.read(subject.images[image], embed=Embed.NONE)


def test_one_refused_image_does_not_harm_the_next(subject: Subject) -> None:
    """After each kind of refusal, the pipeline sees as before."""
    before = subject.read("portrait", Embed.ALL)
    for image in ("text", "too many bytes", "too many pixels"):
        with pytest.raises((UnreadableImageError, ImageTooLargeError)):
            subject.pipeline.read(subject.images[image], embed=Embed.ALL)
    assert subject.pipeline.read(subject.images["portrait"], embed=Embed.ALL) == before
