"""MediaPipe's detector on a photograph that one face fills."""

from typing import Any

import pytest
from PIL import Image

from adapters.vision.detection.blazeface import BlazeFaceDetector
from adapters.vision.weights.provided import BLAZEFACE, installed
from tests.pictures import opened


@pytest.mark.parametrize("every", [False, True])
def test_a_small_face_beside_one_that_fills_the_picture_is_not_the_only_one(photographs: Any, *, every: bool) -> None:
    """Who is in the background would be named in the place of the person whom the photograph shows."""
    picture = Image.new("RGB", (1000, 600), (120, 130, 140))
    picture.paste(opened(photographs.path("obama3")).resize((720, 600), box=(679, 348, 908, 538)), (0, 0))
    picture.paste(opened(photographs.path("biden")).resize((216, 240), box=(302, 42, 907, 715)), (750, 60))
    small, large = BlazeFaceDetector(installed(BLAZEFACE)).find(picture, every=every)
    assert small.side < 120
    assert small.left > 720
    assert large.side > 600
    assert abs(large.centre[0] - 360) < 60
