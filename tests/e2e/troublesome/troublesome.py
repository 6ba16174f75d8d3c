"""A third party's embedder, installed beside the product, that does what the image tells it: also to fail."""

import os
import signal
import time
from pathlib import Path

from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading


class Troublesome:
    """Obeys the image."""

    def __init__(self, info: EmbedderInfo) -> None:
        self.info = info

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Crash, hang or fail when told to, else see one face."""
        if image.startswith(b"crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if image.startswith(b"hang"):
            time.sleep(60)
        if image.startswith(b"fail"):
            raise RuntimeError("secret words of a third party")
        vector = FaceEmbedding(self.info.id, (1.0, float(len(image)), 0.5))
        face = DetectedFace(BoundingBox(0, 0, 90, 90), 1.0, vector if embed is not Embed.NONE else None)
        return PhotoReading(100, 100, (face,))


class Factory:
    """What the entry point names."""

    info = EmbedderInfo(
        id="troublesome@1",
        dimension=3,
        licence="none",
        description="for tests",
        calibration=Calibration(((0.01, 0.1),)),
    )

    def __call__(self, _budget: ImageBudget) -> Troublesome:
        """Load nothing, but fail where the file that is named as the model is not there."""
        Path(os.environ.get("TROUBLESOME_MODEL", os.devnull)).read_bytes()
        return Troublesome(self.info)


pipeline = Factory()
