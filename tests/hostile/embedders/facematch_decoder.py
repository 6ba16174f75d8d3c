"""An embedder, installed beside the product, that decodes photographs as the product does and sees nobody."""

import attrs

from adapters.vision.pictures.decoding import decode
from application.ports.face_pipeline import Embed, EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.faces import PhotoReading

_INFO = EmbedderInfo(
    id="decoder@1", dimension=3, licence="none", description="for tests", calibration=Calibration(((0.01, 0.1),))
)


@attrs.frozen
class Decoder:
    """Decodes."""

    budget: ImageBudget
    info: EmbedderInfo = _INFO

    def read(self, image: bytes, *, embed: Embed) -> PhotoReading:  # noqa: ARG002 - the port has it
        """Return the size of what was decoded."""
        picture = decode(image, self.budget)
        picture.detail.tobytes()
        return PhotoReading(picture.width, picture.height, ())


class _Factory:
    info = _INFO

    def __call__(self, budget: ImageBudget) -> Decoder:
        return Decoder(budget)


pipeline = _Factory()
