"""What ``doctor`` says of one's own calibration, and of buckets."""

import pytest

from adapters.object_store.buckets import Bucket
from adapters.postgres.search_index import IndexState
from domain.calibration import MeasuredCalibration, MeasuredCurve
from entrypoints.commands.doctor import Status, bucket_finding, calibration_reach, search_finding


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


def index_state(dimension: int | None, *, is_kept: bool = True) -> IndexState:
    """Return what is known of an index of 9 users."""
    return IndexState(dimension, is_kept=is_kept, users=9, version="1", learnt_from=9)


@pytest.mark.parametrize(
    ("enrolled", "index", "status", "words"),
    [
        (4_999, None, Status.OK, "every user is compared with"),
        (5_000, None, Status.WARNING, "5000 users are compared with one by one: `facematch index`"),
        (
            9,
            index_state(128),
            Status.OK,
            "through an index of about 9 users",
        ),
        (9, index_state(None), Status.WARNING, "not complete"),
        (9, index_state(128, is_kept=False), Status.WARNING, "not complete"),
        (9, index_state(512), Status.WARNING, "run `facematch index`"),
    ],
)
def test_a_search_that_could_be_faster_is_told(
    enrolled: int, index: IndexState | None, status: Status, words: str
) -> None:
    """And so is an index that nobody can rely on."""
    found = search_finding(enrolled, index, 128)
    assert (found.what, found.status, words in found.detail) == ("search", status, True)
