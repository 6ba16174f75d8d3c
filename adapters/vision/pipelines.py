"""The pipelines that come with the product: what is known of each without loading anything.

Both recognise with dlib's ResNet (MediaPipe has no recogniser); they differ in how they find the face, and so are
different models whose embeddings are never compared.

The impostor distances were measured with these very pipelines on Labeled Faces in the Wild (Huang et al., University
of Massachusetts, 2007): all 1,339,066 pairs of 1,637 people, each pair counted once as the mean over the pairs of their
3,568 photographs (3,570 by MediaPipe), the central face of each. What chance had a hand in grows towards the lowest
rates, which rest on few pairs: drawing the people again gives 95 % intervals of 0.073 to 0.076 at a rate of 1e-3, 0.057
to 0.063 at 1e-4, 0.044 to 0.053 at 1e-5 and 0.031 to 0.048 at 1e-6. Among people who look alike, by sex, age and
origin, the distances are smaller than among these.
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


_IMPOSTORS_OF_DLIB: Final = Calibration(
    (
        (1e-6, 0.0372),
        (3e-6, 0.0413),
        (1e-5, 0.0469),
        (3e-5, 0.0526),
        (1e-4, 0.0598),
        (3e-4, 0.0667),
        (1e-3, 0.0747),
        (3e-3, 0.0830),
        (1e-2, 0.0934),
        (3e-2, 0.1050),
        (1e-1, 0.1221),
    )
)
_IMPOSTORS_OF_MEDIAPIPE: Final = Calibration(
    (
        (1e-6, 0.0373),
        (3e-6, 0.0418),
        (1e-5, 0.0474),
        (3e-5, 0.0531),
        (1e-4, 0.0601),
        (3e-4, 0.0668),
        (1e-3, 0.0748),
        (3e-3, 0.0829),
        (1e-2, 0.0932),
        (3e-2, 0.1048),
        (1e-1, 0.1218),
    )
)

dlib_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="dlib@1",
        dimension=_DIMENSION,
        licence=_DLIB_LICENCE,
        description="HOG face detector, 5 landmarks, ResNet of 29 convolutions (all dlib)",
        calibration=_IMPOSTORS_OF_DLIB,
    ),
    "adapters.vision.hog:load",
)

mediapipe_pipeline: Final = LazyPipeline(
    EmbedderInfo(
        id="mediapipe@1",
        dimension=_DIMENSION,
        licence=f"weights of face detector: Apache-2.0, from MediaPipe; {_DLIB_LICENCE}",
        description="BlazeFace full-range face detector (MediaPipe), 5 landmarks and ResNet of 29 convolutions (dlib)",
        calibration=_IMPOSTORS_OF_MEDIAPIPE,
    ),
    "adapters.vision.blazeface:load",
)
