"""What is told of the settings that a measurement was made with."""

from domain.decision import FixedThreshold
from domain.evaluation.calibrating import MeasuredCalibration, MeasuredCurve
from entrypoints.configured import told
from entrypoints.settings import VisionSettings


def test_two_measurements_can_be_told_apart() -> None:
    """Each setting is told as it was given or by its default, and of a calibration on how many people it rests."""
    own = MeasuredCalibration("dlib@2", (MeasuredCurve(1, 1_203, 99, ((0.1, 0.2),)),))
    environ = {"FACEMATCH_MATCH_CALIBRATION": " own.json ", "FACEMATCH_MATCH_MARGIN": "0.01"}
    found = told(VisionSettings(calibration=own, margin=0.01), environ)
    assert found["FACEMATCH_MATCH_CALIBRATION"] == "own.json (1,203 people)"
    assert (found["FACEMATCH_MATCH_MARGIN"], found["FACEMATCH_MATCH_MIN_SHARPNESS"]) == ("0.01", "off")
    assert told(VisionSettings(), {})["FACEMATCH_MATCH_CALIBRATION"] == "the embedder's own"


def test_a_target_that_is_not_in_force_is_not_told() -> None:
    """A fixed distance takes its place, whatever target is set."""
    environ = {"FACEMATCH_MATCH_MAX_DISTANCE": "0.06", "FACEMATCH_MATCH_TARGET_FPIR": "0.02"}
    assert told(VisionSettings(), environ)["FACEMATCH_MATCH_TARGET_FPIR"] == "0.02"
    found = told(VisionSettings(max_distance=FixedThreshold(0.06)), environ)
    assert found["FACEMATCH_MATCH_MAX_DISTANCE"] == "0.06"
    assert "FACEMATCH_MATCH_TARGET_FPIR" not in found
