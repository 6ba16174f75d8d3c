"""Faces that a detector is not sure of."""

from collections.abc import Mapping, Sequence

import attrs
import pytest
from PIL import Image

from adapters.vision.detection.detectors import Detection
from adapters.vision.detection.second_chance import STEADY, FallbackDetector, VerifiedDetector

PICTURE = Image.new("RGB", (100, 100))
SURE, LARGE = Detection(0, 0, 40, 0.5), Detection(0, 0, 90, 0.5)
DOUBTFUL, PATTERN = Detection(50, 50, 40, -0.2), Detection(50, 0, 40, -0.1)


@attrs.define
class Seeing:
    """Finds what it was told to."""

    faces: Sequence[Detection]
    asked: list[bool] = attrs.field(factory=list)

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Note how it was asked."""
        assert picture is PICTURE
        self.asked.append(every)
        return self.faces


@attrs.frozen
class Landmarks:
    """Scatter as they were told to, by the face's score."""

    scatters: Mapping[float, float]

    def scatter(self, picture: Image.Image, face: Detection) -> float:
        """Know only faces that there is a doubt about."""
        assert picture is PICTURE
        return self.scatters[face.score]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((), []),
        ((SURE,), [SURE]),
        ((SURE, DOUBTFUL), [SURE, DOUBTFUL]),
        ((SURE, PATTERN), [SURE]),
        ((SURE, LARGE, DOUBTFUL), [SURE, LARGE]),
        ((DOUBTFUL,), [DOUBTFUL]),
        ((PATTERN, DOUBTFUL), [DOUBTFUL]),
        ((PATTERN,), []),
    ],
)
@pytest.mark.parametrize("every", [False, True])
def test_doubtful_faces_count_if_they_are_confirmed(
    *, every: bool, seen: tuple[Detection, ...], expected: list[Detection]
) -> None:
    """Also beside a sure face, unless that is more than twice as large; a pattern is no face."""
    detector = Seeing(seen)
    confirmed = VerifiedDetector(detector, Landmarks({DOUBTFUL.score: 0.01, PATTERN.score: STEADY}), 0.0)
    assert list(confirmed.find(PICTURE, every=every)) == expected
    assert detector.asked == [every]


@pytest.mark.parametrize("every", [False, True])
def test_the_second_detector_is_asked_where_the_first_finds_nothing(*, every: bool) -> None:
    """And only there: their scores cannot be compared."""
    second = Seeing([DOUBTFUL])
    assert list(FallbackDetector(Seeing([SURE]), second).find(PICTURE, every=every)) == [SURE]
    assert second.asked == []
    [face] = FallbackDetector(Seeing([]), second).find(PICTURE, every=every)
    assert face == attrs.evolve(DOUBTFUL, score=0.0)
    assert second.asked == [every]
