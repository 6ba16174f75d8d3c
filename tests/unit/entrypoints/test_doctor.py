"""What ``doctor`` says of one's own calibration, and of buckets."""

import pytest

from adapters.object_store.buckets import Bucket
from domain.calibration import MeasuredCalibration, MeasuredCurve
from entrypoints.commands.doctor import Status, bucket_finding, calibration_reach


@pytest.mark.parametrize(("enrolled", "status"), [(0, Status.OK), (10, Status.OK), (11, Status.WARNING)])
def test_a_calibration_that_too_few_people_stand_for_is_a_warning(enrolled: int, status: Status) -> None:
    """A rate of one in a thousand is enough for ten users, if one stranger in a hundred may be named."""
    calibration = MeasuredCalibration("mine@1", (MeasuredCurve(1, 142, 10_000, ((1e-3, 0.05),)),))
    found = calibration_reach(calibration, 0.01, enrolled)
    assert (found.what, found.status) == ("calibration", status)
    assert "enough for 10 users" in found.detail


@pytest.mark.parametrize(
    ("name", "state", "status", "words"),
    [
        ("images", Bucket.THERE, Status.OK, "images is there"),
        ("images", Bucket.MISSING, Status.FAILED, "there is no bucket images: correct FACEMATCH_S3_BUCKET,"),
        ("other", Bucket.MISSING, Status.FAILED, "there is no bucket other: correct FACEMATCH_S3_ALLOWED_BUCKETS,"),
        ("images", Bucket.HIDDEN, Status.WARNING, "grant s3:ListBucket"),
    ],
)
def test_a_bucket_that_is_missing_is_a_wrong_setting(name: str, state: Bucket, status: Status, words: str) -> None:
    """It is told which; where nothing can be said, that is no failure."""
    found = bucket_finding(name, state, "images")
    assert (found.what, found.status, words in found.detail) == ("bucket", status, True)
