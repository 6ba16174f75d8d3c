"""The pipelines that come with the product: what is known of each without loading anything.

Both recognise with dlib's ResNet (MediaPipe has no recogniser); they differ in how they find the face, and so are
different models whose embeddings are never compared.
"""

import pkgutil
from collections.abc import Callable
from typing import Final, cast

import attrs

from application.ports.face_pipeline import EmbedderInfo, FacePipeline, ImageBudget
from domain.decision import Calibration

_Builder = Callable[[EmbedderInfo, ImageBudget], FacePipeline]
_DIMENSION: Final = 128
_DLIB_LICENCE: Final = "weights of face detector, landmarks and recogniser: public domain (CC0), from dlib's author"


@attrs.frozen
class LazyPipeline:
    """A factory that imports its native libraries only when it is called.

    ``builder`` is the name, ``module:function``, of what is then called with the info and the budget.
    """

    info: EmbedderInfo
    builder: str

    def __call__(self, budget: ImageBudget) -> FacePipeline:
        """Import what is needed and load the models."""
        return cast("_Builder", pkgutil.resolve_name(self.builder))(self.info, budget)


dlib_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="dlib@1",
        dimension=_DIMENSION,
        licence=_DLIB_LICENCE,
        description="HOG face detector, 5 landmarks, ResNet of 29 convolutions (all dlib)",
        calibration=Calibration(
            ((1e-6, 0.035), (1e-5, 0.045), (1e-4, 0.06), (1e-3, 0.078), (1e-2, 0.11), (1e-1, 0.17))
        ),
    ),
    "adapters.vision.hog:load",
)

mediapipe_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="mediapipe@1",
        dimension=_DIMENSION,
        licence=f"weights of face detector: Apache-2.0, from MediaPipe; {_DLIB_LICENCE}",
        description="BlazeFace full-range face detector (MediaPipe), 5 landmarks and ResNet of 29 convolutions (dlib)",
        calibration=Calibration(
            ((1e-6, 0.035), (1e-5, 0.045), (1e-4, 0.06), (1e-3, 0.078), (1e-2, 0.11), (1e-1, 0.17))
        ),
    ),
    "adapters.vision.blazeface:load",
)
