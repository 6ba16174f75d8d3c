"""dlib's detector is unpacked once, and the one that was kept sees what dlib's own sees."""

from pathlib import Path
from typing import Any

import dlib
import numpy as np
import pytest
from PIL import Image

from adapters.vision.detection import hog
from adapters.vision.detection.hog import frontal_face_detector


def test_it_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, it is read."""
    frontal_face_detector(tmp_path)
    monkeypatch.setattr(hog, "_unpacked", lambda: pytest.fail("unpacked again"))
    frontal_face_detector(tmp_path)


@pytest.mark.parametrize("kept", [True, False])
def test_it_sees_the_same(tmp_path: Path, photographs: Any, *, kept: bool) -> None:
    """Boxes, scores and which of its five views saw them are those of dlib's own, to the last bit."""
    pixels = np.array(Image.open(photographs.path("obama")).convert("RGB").resize((640, 480)))
    folder = tmp_path if kept else None
    frontal_face_detector(folder)
    seen = frontal_face_detector(folder).run(pixels, 0, -0.5)
    assert [list(part) for part in seen] == [
        list(part) for part in dlib.get_frontal_face_detector().run(pixels, 0, -0.5)
    ]
    assert seen[0]
