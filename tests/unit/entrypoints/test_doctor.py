"""What ``doctor`` says of one's own calibration."""

import pytest

from domain.calibration import MeasuredCalibration, MeasuredCurve
from entrypoints.commands.doctor import Status, calibration_reach


@pytest.mark.parametrize(("enrolled", "status"), [(0, Status.OK), (10, Status.OK), (11, Status.WARNING)])
def test_a_calibration_that_too_few_people_stand_for_is_a_warning(enrolled: int, status: Status) -> None:
    """A rate of one in a thousand is enough for ten users, if one stranger in a hundred may be named."""
    calibration = MeasuredCalibration("mine@1", (MeasuredCurve(1, 142, 10_000, ((1e-3, 0.05),)),))
    found = calibration_reach(calibration, 0.01, enrolled)
    assert (found.what, found.status) == ("calibration", status)
    assert "enough for 10 users" in found.detail
