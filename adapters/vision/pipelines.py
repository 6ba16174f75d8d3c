"""The pipelines that come with the product: what is known of each without loading anything.

Both recognise with dlib's ResNet (MediaPipe has no recogniser); they differ in how they find the face, and so are
different models whose embeddings are never compared.
"""

from collections.abc import Callable
from typing import Final

import attrs

from adapters.vision.calibrations import IMPOSTORS_OF_DLIB, IMPOSTORS_OF_MEDIAPIPE
from adapters.vision.weights.provided import BLAZEFACE, FIVE_POINTS, HOG, RECOGNISER
from application.ports.face_pipeline import EmbedderInfo, FacePipeline, ImageBudget

_DIMENSION: Final = 128
_DLIB_LICENCE: Final = (
    "weights of landmarks and recogniser: public domain (CC0), from dlib's author; "
    "of its HOG face detector: Boost, as dlib itself"
)
_OF_DLIB: Final = (RECOGNISER, FIVE_POINTS, HOG)
_LEAST_SHARPNESS: Final = 2.0
"""Below are nearly all faces that are out of focus by 4 pixels, or have an eighth of the light; few others are."""


@attrs.frozen
class LazyPipeline:
    """A factory that imports its native libraries only when it is called: in ``load``."""

    info: EmbedderInfo
    load: Callable[[EmbedderInfo, ImageBudget], FacePipeline]

    def __call__(self, budget: ImageBudget) -> FacePipeline:
        """Import what is needed and load the models."""
        return self.load(self.info, budget)


def _load_dlib(info: EmbedderInfo, budget: ImageBudget) -> FacePipeline:
    from adapters.vision.assembly import hog_pipeline  # noqa: PLC0415 - native libraries

    return hog_pipeline(info, budget)


def _load_mediapipe(info: EmbedderInfo, budget: ImageBudget) -> FacePipeline:
    from adapters.vision.assembly import blazeface_pipeline  # noqa: PLC0415 - native libraries

    return blazeface_pipeline(info, budget)


dlib_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="dlib@2",
        dimension=_DIMENSION,
        licence=_DLIB_LICENCE,
        description="HOG face detector, 5 landmarks, ResNet of 29 convolutions on face and mirror image (all dlib)",
        calibration=IMPOSTORS_OF_DLIB,
        weights=_OF_DLIB,
        least_sharpness=_LEAST_SHARPNESS,
    ),
    _load_dlib,
)

mediapipe_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="mediapipe@2",
        dimension=_DIMENSION,
        licence=f"weights of face detector: Apache-2.0, from MediaPipe; {_DLIB_LICENCE}",
        description="BlazeFace full-range face detector (MediaPipe), else HOG; 5 landmarks and ResNet as in dlib",
        calibration=IMPOSTORS_OF_MEDIAPIPE,
        weights=(BLAZEFACE, *_OF_DLIB),
        least_sharpness=_LEAST_SHARPNESS,
    ),
    _load_mediapipe,
)
