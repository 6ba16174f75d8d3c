"""YuNet (Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023), run by ONNX Runtime.

The network looks at a picture [1, 3, height, width], blue, green, red, 0 to 255, both sides multiples of 32. For each
stride of 8, 16 and 32 pixels it answers for every cell of a grid of that stride, row by row:

- ``cls_S`` and ``obj_S`` [1, cells, 1]: how much it looks like a face, and like anything; the score is the root of
  their product, each taken between 0 and 1;
- ``bbox_S`` [1, cells, 4]: the way from the cell's corner to the face's centre, in strides, and the logarithms of the
  face's width and height in strides;
- ``kps_S`` [1, cells, 10]: the way from the cell's corner to each of five landmarks, in strides.

Decoded as OpenCV's ``FaceDetectorYN`` does, which is the reference.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
import numpy as np
from PIL import Image

from adapters.vision.detection.detectors import Detection, SquareFit, distinct, with_large_ones
from adapters.vision.detection.landmarks import EYES_NOSE_MOUTH
from adapters.vision.networks.network import Floats, Network
from adapters.vision.networks.preparation import Colours, Kind, Layout, Preparation
from adapters.vision.pictures.pixels import Pixels, pixels_of, resized

STRIDES: Final = (8, 16, 32)
_VALUES: Final = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_OUTPUTS: Final = frozenset(f"{name}_{stride}" for name in _VALUES for stride in STRIDES)
LIKELY: Final = 0.7
"""The least score of what is taken for a face, where nothing else is wanted."""
PREPARATION: Final = Preparation(Colours.BGR, Layout.NCHW, Kind.FLOAT32)
_FIT: Final = SquareFit(right=0.034, down=0.068, size=0.970)


@attrs.frozen
class YuNetDetector:
    """Faces from about 10 pixels of the picture that is worked on to half its side.

    So a first look is at a picture of 640 pixels, and a second one, where it shows nobody or may hide somebody, at one
    of half that size.
    """

    network: Network
    least_score: float

    _WORKING_SIDE = 640

    def find(self, picture: Image.Image, *, every: bool) -> Sequence[Detection]:
        """Return the faces, the most certain first."""
        if not (faces := self._look(picture, self._WORKING_SIDE)):
            return self._look(picture, self._WORKING_SIDE // 2)
        return with_large_ones(faces, picture.size, lambda: self._look(picture, self._WORKING_SIDE // 2), every=every)

    def _look(self, picture: Image.Image, side: int) -> list[Detection]:
        working = resized(picture, side, at_most=2)
        tensor = PREPARATION(_padded(pixels_of(working)))
        names = (output.name for output in self.network.outputs)
        outputs = dict(zip(names, self.network.run(tensor), strict=True))
        columns = tensor.shape[-1]
        faces = (face for stride in STRIDES for face in _faces(outputs, stride, columns // stride, self.least_score))
        return [face.scaled(picture.width / working.width) for face in distinct(faces)]


def missing(network: Network) -> str:
    """Return what a network lacks to be a YuNet, in words; nothing where it is one."""
    if len(network.inputs) != 1 or network.inputs[0].kind != PREPARATION.kind:
        return "it has not one input of float32"
    return ", ".join(sorted(_OUTPUTS - {output.name for output in network.outputs}))


def _padded(pixels: Pixels) -> Pixels:
    """Return the picture with black below and at the right, so that the largest stride divides its sides."""
    missing = [(0, -side % max(STRIDES)) for side in pixels.shape[:2]]
    return np.pad(pixels, [*missing, (0, 0)])


def _faces(outputs: Mapping[str, Floats], stride: int, columns: int, least_score: float) -> Iterator[Detection]:
    values = {name: outputs[f"{name}_{stride}"].reshape(-1, size) for name, size in _VALUES.items()}
    scores = np.sqrt(values["cls"][:, 0].clip(0, 1) * values["obj"][:, 0].clip(0, 1))
    for cell in np.flatnonzero(scores >= least_score):
        row, column = divmod(int(cell), columns)
        right, down, log_width, log_height = values["bbox"][cell].tolist()
        width, height = math.exp(log_width) * stride, math.exp(log_height) * stride
        left, top, side = _FIT.square(
            (column + right) * stride - width / 2, (row + down) * stride - height / 2, width, height
        )
        ways = values["kps"][cell].reshape(-1, 2).tolist()
        places = (complex(column + right, row + down) * stride for right, down in ways)
        landmarks = dict(zip(EYES_NOSE_MOUTH, places, strict=True))
        yield Detection(left, top, side, float(scores[cell]), landmarks)
