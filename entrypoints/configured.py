"""What the settings mean for how images and faces are judged."""

from collections.abc import Mapping

from application.ports.face_pipeline import EmbedderInfo, ImageBudget
from domain.calibration import Calibration
from domain.decision import TargetFpir, ThresholdPolicy
from domain.guardrails import FaceQuality
from entrypoints.environment.variables import variables
from entrypoints.settings import VisionSettings


def budget(vision: VisionSettings) -> ImageBudget:
    """Return what an image may cost."""
    return ImageBudget(max_bytes=vision.max_bytes, max_pixels=vision.max_pixels)


def calibration(vision: VisionSettings, info: EmbedderInfo) -> Calibration:
    """Return the impostor distances to go by: those measured on one's own people, else the embedder's own."""
    return info.calibration if vision.calibration is None else vision.calibration.extended_by(info.calibration)


def threshold_policy(vision: VisionSettings, info: EmbedderInfo) -> ThresholdPolicy:
    """Return the configured decision: a distance, no limit, or the distance for a target FPIR."""
    return vision.max_distance or TargetFpir(vision.target_fpir, calibration(vision, info))


def face_quality(vision: VisionSettings) -> FaceQuality:
    """Return the least that is asked of a face."""
    return FaceQuality(vision.min_face, vision.min_score, vision.min_sharpness)


def told(vision: VisionSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return every setting of seeing and deciding that has an effect, by its variable, as given or by default."""
    given = {one.name: one.show(environ.get(one.name, "").strip()) or one.default for one in variables(VisionSettings)}
    if vision.calibration is not None:
        given["FACEMATCH_MATCH_CALIBRATION"] += f" ({vision.calibration.curves[0].people:,} people)"
    if vision.max_distance is not None:
        del given["FACEMATCH_MATCH_TARGET_FPIR"]
    return given
