"""Error versus discard."""

from domain.evaluation.comparison import Genuine
from domain.evaluation.discard import QUALITIES, DiscardPoint, GradedPair, GradedPhoto, discard_points
from domain.evaluation.proportions import Proportion
from domain.faces import BoundingBox, DetectedFace


def pair(distance: float, grade: float) -> GradedPair:
    """Return two photographs of Ann."""
    return GradedPair(Genuine("ann", distance), grade)


def photographs(*grades: float | None) -> list[GradedPhoto]:
    """Return photographs of Ann."""
    return [GradedPhoto("ann", grade) for grade in grades]


def test_refusing_the_poorest() -> None:
    """The pairs that are left are judged at one distance, and whoever is refused is not acquired."""
    pairs = [pair(0.4, 0), pair(0.4, 1), pair(0.1, 5), pair(0.1, 9)]
    points = discard_points(photographs(None, *range(10), None), pairs, 0.2)
    assert points[0] == DiscardPoint(0, Proportion(0, 10), Proportion(2, 12), Proportion(2, 4))
    assert points[1] == DiscardPoint(1, Proportion(1, 10), Proportion(3, 12), Proportion(1, 3))
    assert points[2] == DiscardPoint(2, Proportion(2, 10), Proportion(4, 12), Proportion(0, 2))
    assert points[-1] == DiscardPoint(5, Proportion(5, 10), Proportion(7, 12), Proportion(0, 2))


def test_equal_grades_are_refused_together() -> None:
    """A minimum cannot tell them apart; where all are equal there is nothing to choose by."""
    assert [point.discarded for point in discard_points(photographs(1, 1, 2, 2), [], 0.1)] == [
        Proportion(0, 4),
        Proportion(2, 4),
    ]
    assert discard_points(photographs(*[1] * 9), [], 0.1) == ()
    assert discard_points(photographs(*[None] * 9), [], 0.1) == ()


def test_refused_photographs_are_counted_by_person() -> None:
    """Twenty of one person, refused together or without a face, are not twenty independent ones."""
    people = [GradedPhoto("ann", 1)] * 20 + [GradedPhoto("ben", 2)] * 20 + [GradedPhoto("eve", None)] * 20
    point = discard_points(people, [], 0.1)[-1]
    assert (point.discarded, point.not_acquired) == (Proportion(20, 40), Proportion(40, 60))
    assert (point.discarded.independent, point.not_acquired.independent) == (2, 3)


def test_the_qualities_of_a_face() -> None:
    """Its size in pixels, what the detector thinks of it, and its sharpness, where somebody looked."""
    face = DetectedFace(BoundingBox(0, 0, 30, 40), 0.8)
    expected = {"face size": 30, "detector score": 0.8, "sharpness": None}
    assert {name: grade(face) for name, grade in QUALITIES.items()} == expected
