"""What all detectors share."""

import pytest

from adapters.vision.detection.detectors import Detection, distinct, with_large_ones


def test_a_face_seen_twice_is_one_face() -> None:
    """Of two squares on the same centre, at different scales, the more certain one stays."""
    certain, again = Detection(100, 100, 80, 0.9), Detection(90, 110, 110, 0.6)
    assert distinct([again, certain]) == [certain]


def test_two_heads_together_are_two_faces() -> None:
    """Faces cheek by cheek, nearly a side apart, stay two, the more certain one first."""
    left, right = Detection(100, 100, 80, 0.7), Detection(165, 110, 80, 0.8)
    assert distinct([left, right]) == [right, left]


@pytest.mark.parametrize(
    ("faces", "every", "expected"),
    [
        ([Detection(700, 100, 100, 0.9)], False, 2),
        ([Detection(320, 0, 180, 0.9)], False, 1),
        ([Detection(320, 0, 180, 0.9)], True, 2),
        ([Detection(700, 100, 100, 0.9), Detection(700, 300, 100, 0.9)], False, 2),
        ([Detection(100, 100, 350, 0.9)], True, 1),
        ([], False, 0),
    ],
)
def test_a_large_face_is_looked_for_where_it_could_lie(faces: list[Detection], expected: int, *, every: bool) -> None:
    """Beside the only face that was found, or wherever every one is wanted; a small one that turns up is no news."""
    large, small = Detection(50, 50, 450, 0.6), Detection(600, 400, 50, 0.6)
    found = with_large_ones(faces, (800, 500), lambda: [small, large], every=every)
    assert found == [*faces, large][:expected]
