"""BlazeFace, the detector of MediaPipe's face pipelines, run by MediaPipe Tasks."""

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Final

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from PIL import Image, ImageOps

from adapters.vision.detection.detectors import Detection, SquareFit, distinct, with_large_ones
from adapters.vision.detection.landmarks import Landmark
from adapters.vision.pictures.pixels import Pixels, pixels_of, resized

# Once a minute MediaPipe sends statistics of its use to Google, and has no switch for that. It sends them through a
# proxy where one is set, so it gets one that is nobody: the discard port, on which nothing listens.
os.environ |= {"https_proxy": "http://127.0.0.1:9", "no_proxy": "localhost"}

_FIT: Final = SquareFit(right=0.037, down=0.029, size=0.929)
_KEYPOINTS: Final = (Landmark.LEFT_EYE, Landmark.RIGHT_EYE, Landmark.NOSE, Landmark.MOUTH)
"""The first of its six key points; two at the ears follow."""


class BlazeFaceDetector:
    """The full-range model: faces from about 30 pixels of a picture of 640, also in groups.

    Of the faces that are as high as their picture it overlooks one in five; within a frame it sees nearly all of these.
    """

    _WORKING_SIDE: Final = 640
    _LEAST_SCORE: Final = 0.5
    _FRAME: Final = (127, 127, 127)

    def __init__(self, model: Path) -> None:
        self._model = model.read_bytes()

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces, the most certain first; a large one that was overlooked at first comes last."""
        near = resized(picture, self._WORKING_SIDE, at_most=2)
        look = partial(self._look, width=picture.width)
        faces = look(near, framed=False)
        if not faces:
            return []
        return with_large_ones(faces, picture.size, lambda: look(near.reduce(2), framed=True), every=every)

    def _look(self, working: Image.Image, *, width: int, framed: bool) -> list[Detection]:
        """Return the faces as they lie on the picture that is so wide."""
        scale = width / working.width
        right = down = 0
        if framed:
            right, down = working.width // 2, working.height // 2
            working = ImageOps.expand(working, (right, down), self._FRAME)
        faces = []
        for detection in self._detect(pixels_of(working)).detections:
            box = detection.bounding_box
            square = _FIT.square(box.origin_x - right, box.origin_y - down, box.width, box.height)
            points = (complex(at.x * working.width - right, at.y * working.height - down) for at in detection.keypoints)
            landmarks = dict(zip(_KEYPOINTS, points, strict=False))
            faces.append(Detection(*square, detection.categories[0].score, landmarks).scaled(scale))
        return distinct(faces)

    def _detect(self, pixels: Pixels) -> vision.FaceDetectorResult:
        return self._detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))

    @cached_property
    def _detector(self) -> vision.FaceDetector:
        """What looks; it has threads, so each process that is forked makes its own when it begins to look."""
        options = vision.FaceDetectorOptions(
            base_options=BaseOptions(model_asset_buffer=self._model), min_detection_confidence=self._LEAST_SCORE
        )
        with _quiet_stderr():
            detector = vision.FaceDetector.create_from_options(options)
            detector.detect(
                mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((64, 64, 3), np.uint8))
            )
        # Never collected: its destructor cannot run while the interpreter shuts down, and says so on standard error.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(detector))
        return detector


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send standard error nowhere: the native libraries greet and warn there, and cannot be asked not to."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
