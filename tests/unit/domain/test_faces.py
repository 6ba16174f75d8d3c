"""Boxes and embeddings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faces import BoundingBox, FaceEmbedding, InvalidBoxError, InvalidEmbeddingError

_numbers = st.floats(-1e4, 1e4)
_vectors = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: math.hypot(*v) > 1e-3)


@given(x1=_numbers, y1=_numbers, x2=_numbers, y2=_numbers, width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_a_clipped_box_lies_on_the_photograph(
    x1: float, y1: float, x2: float, y2: float, width: int, height: int
) -> None:
    """Whatever the detector says, a box satisfies 0 <= x1 < x2 <= width and the same for y, or there is none."""
    box = BoundingBox.clipped(x1, y1, x2, y2, width=width, height=height)
    assert box is None or (0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height)


def test_a_box_inside_is_kept_as_it_is() -> None:
    """Clipping changes nothing that is on the photograph."""
    assert BoundingBox.clipped(1, 2, 30, 40, width=100, height=100) == BoundingBox(1, 2, 30, 40)


def test_a_box_beside_the_photograph_is_none() -> None:
    """A box that does not touch the photograph is no box."""
    assert BoundingBox.clipped(-20, 5, -3, 30, width=100, height=100) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_box(number: float) -> None:
    """A detector's NaN or infinity finds no face instead of one that fills the photograph."""
    assert BoundingBox.clipped(number, 2, 30, 40, width=100, height=100) is None


@pytest.mark.parametrize(
    "corners", [(-1, 0, 5, 5), (0, 0, 0, 5), (9, 0, 5, 5), (0, 7, 5, 6), (0, 0, math.nan, 5), (0, 0, 5, math.inf)]
)
def test_corners_that_are_no_box_are_refused(corners: tuple[float, float, float, float]) -> None:
    """A pipeline of anybody's cannot bring a box into tables and events that has no area or is not on a photograph."""
    with pytest.raises(InvalidBoxError):
        BoundingBox(*corners)


@pytest.mark.parametrize("vector", [(0.0, 0.0), (1e-30, 0.0), (1e30, 0.0), (1.0, math.nan), (math.inf, 0.0)])
def test_a_vector_without_direction_is_refused(vector: tuple[float, ...]) -> None:
    """Zero, or all but that, NaN and infinity have no cosine distance and never become an embedding."""
    with pytest.raises(InvalidEmbeddingError):
        FaceEmbedding("m@1", vector)


def test_embeddings_of_two_models_are_never_compared() -> None:
    """A distance between models means nothing and raises."""
    with pytest.raises(InvalidEmbeddingError, match=r"m@1.*m@2"):
        FaceEmbedding("m@1", (1.0, 0.0)).cosine_distance(FaceEmbedding("m@2", (1.0, 0.0)))


@pytest.mark.parametrize(
    ("other", "expected"), [((2.0, 0.0), 0.0), ((0.0, 3.0), 1.0), ((-1.0, 0.0), 2.0)], ids=["same", "right", "opposite"]
)
def test_cosine_distance(other: tuple[float, ...], expected: float) -> None:
    """The distance depends on direction alone: 0 for the same, 1 for a right angle, 2 for the opposite."""
    assert FaceEmbedding("m@1", (1.0, 0.0)).cosine_distance(FaceEmbedding("m@1", other)) == pytest.approx(expected)


@given(st.lists(_vectors, min_size=1, max_size=5))
def test_a_template_is_a_unit_vector_whatever_the_lengths(vectors: list[list[float]]) -> None:
    """Each photograph counts alike in a template, however long its vector is."""
    embeddings = [FaceEmbedding("m@1", tuple(v)) for v in vectors]
    scaled = [FaceEmbedding("m@1", tuple(7 * x for x in v)) for v in vectors]
    try:
        template = FaceEmbedding.mean_direction(embeddings)
    except InvalidEmbeddingError:
        return
    assert math.hypot(*template.vector) == pytest.approx(1)
    if math.hypot(*map(sum, zip(*(tuple(x / math.hypot(*v) for x in v) for v in vectors), strict=True))) > 1e-6:
        assert FaceEmbedding.mean_direction(scaled).cosine_distance(template) == pytest.approx(0, abs=1e-9)


def test_an_embedding_never_shows_its_values() -> None:
    """A face's vector does not get into logs by way of repr."""
    assert "0.123" not in repr(FaceEmbedding("m@1", (0.123, 0.5)))
