"""The file of a calibration."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.evaluation.calibration_file import FORMAT, CalibrationFileError, read_calibration, write_calibration
from domain.evaluation.calibrating import MeasuredCalibration, MeasuredCurve

CALIBRATION = MeasuredCalibration(
    "mine@1",
    (
        MeasuredCurve(1, 200, 19_900, ((10 / 19_900, 0.061), (0.001, 0.07), (0.1, 0.1 + 1 / 3)), 200, ((0.05, 0.25),)),
        MeasuredCurve(3, 30, 5_970, ((0.01, 0.05),)),
    ),
)


def document(**changes: Any) -> dict[str, Any]:
    """Return a right document with changes."""
    points = [{"false_match_rate": 0.001, "distance": 0.07}, {"false_match_rate": 0.1, "distance": 0.2}]
    curve = {"photographs": 1, "people": 200, "comparisons": 19_900, "points": points}
    return {"format": FORMAT, "embedder": "mine@1", "curves": [curve | changes.pop("curve", {})]} | changes


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_what_was_written_is_read(tmp_path: Path, umask: int, mode: int) -> None:
    """Every figure as it was, in a file that others may read, as it holds nothing of anybody; a strict umask holds."""
    path = tmp_path / "calibration.json"
    path.write_text("an older one")
    before = os.umask(umask)
    try:
        write_calibration(path, CALIBRATION)
    finally:
        os.umask(before)
    assert read_calibration(path) == CALIBRATION
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == mode


def test_a_file_by_hand(tmp_path: Path) -> None:
    """What a curve may lack, and what a later version may add, harm nothing."""
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(document(remark="by hand")))
    [curve] = read_calibration(path).curves
    assert curve == MeasuredCurve(1, 200, 19_900, ((0.001, 0.07), (0.1, 0.2)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it is not JSON"),
        ("\x00", "it is not JSON"),
        ("NaN", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("{}", r"required field missing @ \$.format; required field missing @ \$.embedder; required field missing"),
        (document(format="facematch-calibration/9"), "expected 'facematch-calibration/1'"),
        (document(embedder=1), r"expected a string @ \$.embedder"),
        (document(curves=[]), "the first is that of one"),
        (document(curve={"photographs": 2}), "the first is that of one"),
        (document(curve={"photographs": True}), r"whole number of 0 or more @ \$.curves\[0\].photographs"),
        (document(curve={"comparisons": -1}), r"whole number of 0 or more @ \$.curves\[0\].comparisons"),
        (document(curve={"points": []}), "pairs of rate and distance that ascend"),
        (document(curve={"points": [{"false_match_rate": 0, "distance": 0.1}]}), "expected a rate above 0"),
        (document(curve={"points": [{"false_match_rate": 2, "distance": 0.1}]}), "expected a rate above 0"),
        (document(curve={"points": [{"false_match_rate": 0.1, "distance": 3}]}), "expected a cosine distance"),
        (document(curve={"points": [{"false_match_rate": 0.1, "distance": "0.1"}]}), "expected a number"),
        (document(curve={"points": [{"distance": 0.1}]}), "required field missing"),
        (
            document(curve={"points": [{"false_match_rate": r, "distance": d} for r, d in ((0.1, 0.1), (0.2, 0.05))]}),
            "pairs of rate and distance that ascend",
        ),
        (document(curve={"cohort": [{"fpir": 0.1, "factor": -1}]}), "expected a factor of 0 or more"),
    ],
    ids=str,
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: str | dict[str, Any], told: str) -> None:
    """It is said where in the file, and what was expected."""
    path = tmp_path / "calibration.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(CalibrationFileError, match=told):
        read_calibration(path)


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """To read or to write; an older file is still there."""
    with pytest.raises(CalibrationFileError, match=r"cannot read this file \(No such file"):
        read_calibration(tmp_path / "gone")
    (tmp_path / "folder" / "in the way").mkdir(parents=True)
    with pytest.raises(CalibrationFileError, match=r"cannot write .*folder"):
        write_calibration(tmp_path / "folder", CALIBRATION)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
