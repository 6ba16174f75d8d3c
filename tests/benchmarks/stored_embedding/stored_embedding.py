"""Embedders that see the same face on every photograph: what is left is everything but vision.

``stored`` does so in no time, ``slow`` sleeps as long as vision may take, and leaves the processor to others.
"""

import random
import time

from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading

DIMENSION = 128
MODEL = "stored@1"
SLOW_SECONDS = 0.4


def vector(seed: int) -> tuple[float, ...]:
    """Return a direction; the same for the same seed."""
    generator = random.Random(seed)
    return tuple(generator.gauss(0, 1) for _ in range(DIMENSION))


class _Stored:
    def __init__(self, info: EmbedderInfo, seconds: float) -> None:
        self.info = info
        self._seconds = seconds
        self._face = DetectedFace(BoundingBox(10, 10, 210, 210), 1.0, FaceEmbedding(MODEL, vector(0)))

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:  # noqa: ARG002 - the port's signature
        """See the face."""
        time.sleep(self._seconds)
        return PhotoReading(1000, 1000, (self._face,))


class _Factory:
    info = EmbedderInfo(
        id=MODEL, dimension=DIMENSION, licence="none", description="benchmarks", calibration=Calibration(((0.01, 0.1),))
    )

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, _budget: ImageBudget) -> _Stored:
        return _Stored(self.info, self._seconds)


stored = _Factory(0)
slow = _Factory(SLOW_SECONDS)
