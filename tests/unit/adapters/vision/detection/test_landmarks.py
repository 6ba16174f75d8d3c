"""What two descriptions of faces have in common."""

import numpy as np
import pytest

from adapters.vision.detection.landmarks import Landmark, Points, in_common

CORNERS: Points = {
    Landmark.RIGHT_EYE_OUTER: 86 + 21j,
    Landmark.RIGHT_EYE_INNER: 64 + 23j,
    Landmark.LEFT_EYE_OUTER: 12 + 21j,
    Landmark.LEFT_EYE_INNER: 34 + 23j,
    Landmark.NOSE_BASE: 49 + 63j,
}
FIVE: Points = {
    Landmark.LEFT_EYE: 20 + 30j,
    Landmark.RIGHT_EYE: 60 + 30j,
    Landmark.NOSE: 40 + 50j,
    Landmark.LEFT_MOUTH: 25 + 90j,
    Landmark.RIGHT_MOUTH: 55 + 90j,
}
EYES_NOSE_AND_MIDDLE_OF_MOUTH: Points = {
    Landmark.LEFT_EYE: 2 + 3j,
    Landmark.RIGHT_EYE: 6 + 3j,
    Landmark.NOSE: 4 + 5j,
    Landmark.MOUTH: 4 + 9j,
}


@pytest.mark.parametrize("points", [CORNERS, FIVE, EYES_NOSE_AND_MIDDLE_OF_MOUTH])
def test_the_same_landmarks_are_taken_as_they_are(points: Points) -> None:
    """Nothing that is made of others is added, and each point meets itself."""
    expected, seen = in_common(points, points)
    assert len(expected) == len(points)
    assert set(expected) == set(points.values())
    assert np.array_equal(expected, seen)


def test_corners_of_eyes_give_their_middles_and_the_nose_lies_between_eyes_and_mouth() -> None:
    """Where a chip's places are eyes, nose and mouth, dlib's points stand for the eyes and for the base of the nose."""
    expected, seen = in_common(FIVE, CORNERS)
    assert expected == pytest.approx([20 + 30j, 60 + 30j, 40 + 70j])
    assert seen == pytest.approx([23 + 22j, 75 + 22j, 49 + 63j])


def test_the_middle_of_the_mouth_stands_for_its_corners() -> None:
    """A detector that knows only the middle is compared with the middle of the corners."""
    expected, seen = in_common(FIVE, EYES_NOSE_AND_MIDDLE_OF_MOUTH)
    assert expected == pytest.approx([20 + 30j, 60 + 30j, 40 + 50j, 40 + 90j])
    assert seen == pytest.approx([2 + 3j, 6 + 3j, 4 + 5j, 4 + 9j])
