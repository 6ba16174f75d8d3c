"""dlib's detector on photographs of several people."""

from typing import Any

from PIL import Image

from adapters.vision.detection.hog import HogDetector, verified_hog
from adapters.vision.recognition.alignment import FivePointAligner
from adapters.vision.weights.provided import FIVE_POINTS, installed
from tests.pictures import opened

_WIDTH, _HEIGHT = 1280, 900
_LARGE, _SMALL = 700, 330
"""Sides of a portrait in pixels; its face is a fifth of it: about 140 and 65."""


def _people(photographs: Any, *sides: int) -> Image.Image:
    """Return the heads of one portrait at each size, side by side on a grey canvas."""
    portrait = opened(photographs.path("astronaut")).convert("RGB")
    canvas = Image.new("RGB", (_WIDTH, _HEIGHT), (127, 127, 127))
    left = 0
    for side in sides:
        canvas.paste(portrait.resize((side, side)).crop((0, 0, min(side, 420), side * 2 // 5)), (left, 0))
        left += min(side, 420)
    return canvas


def test_every_face_is_found_where_every_one_is_wanted(photographs: Any) -> None:
    """Two large faces do not hide a small one from whoever wants them all."""
    picture = _people(photographs, _LARGE, _LARGE, _SMALL)
    detector = HogDetector()
    assert len(detector.find(picture, every=False)) == 2
    faces = detector.find(picture, every=True)
    assert len(faces) == 3
    assert min(face.side for face in faces) < 90


def test_a_doubt_hides_no_second_face(photographs: Any) -> None:
    """A face that the first look is not sure of and the second is counts, although the first is sure of another."""
    landmarks = FivePointAligner(installed(FIVE_POINTS))
    for sizes in ((800, 600), (600, 800), (700, 560), (760, 640), (640, 520)):
        picture = _people(photographs, *sizes)
        sure = HogDetector().find(picture, every=False)
        assert len(verified_hog(landmarks).find(picture, every=False)) == len(sure) == 2


def test_a_closer_look_changes_nothing_about_the_faces_known_before(photographs: Any) -> None:
    """A face has the same square, and so the same embedding, whether all are listed or one is matched."""
    picture = opened(photographs.path("obama")).convert("RGB")
    detector = HogDetector()
    [face] = detector.find(picture, every=False)
    assert face in detector.find(picture, every=True)
