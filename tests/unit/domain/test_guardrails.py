"""Guardrail policies."""

from uuid import UUID

import pytest

from domain.faces import BoundingBox, DetectedFace
from domain.guardrails import FaceQuality, check_face_count, check_photo, check_quality, check_request
from domain.jobs import MatchJob
from domain.outcomes import OutcomeKind, Reason
from domain.retries import LinearBackoff

PHOTO = UUID(int=7)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (MatchJob(PHOTO, "a.jpg"), None),
        (MatchJob(PHOTO, "a.jpg", faces_detected=1), None),
        (MatchJob(PHOTO, "a.jpg", faces_detected=0), Reason.FACES_DETECTED_NOT_ONE),
        (MatchJob(PHOTO, None, faces_detected=2), Reason.FACES_DETECTED_NOT_ONE),
        (MatchJob(PHOTO, None), Reason.MISSING_IMAGE_REF),
        (MatchJob(PHOTO, ""), Reason.MISSING_IMAGE_REF),
    ],
)
def test_the_request(job: MatchJob, expected: Reason | None) -> None:
    """The count of an earlier stage is judged before the reference is missed."""
    objection = check_request(job)
    assert (objection and objection.reason) == expected


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0"), (1_000_000, "1000000"), (10**20, "more than 1000000"), (10**30, "more than 1000000")]
)
def test_a_huge_count_is_told_as_many(count: int, told: str) -> None:
    """Whoever reads it learns nothing from twenty digits, which need not be those that were sent."""
    objection = check_request(MatchJob(PHOTO, "a.jpg", faces_detected=count))
    assert objection is not None
    assert objection.detail == f"an earlier stage counted {told} faces, not one"


@pytest.mark.parametrize(
    ("exists", "matched", "expected"),
    [
        (True, False, None),
        (True, True, Reason.ALREADY_MATCHED),
        (False, False, Reason.PHOTO_NOT_FOUND),
        (False, True, Reason.PHOTO_NOT_FOUND),
    ],
)
def test_the_photo(*, exists: bool, matched: bool, expected: Reason | None) -> None:
    """A photo must exist before it can be matched already."""
    objection = check_photo(exists=exists, already_matched=matched)
    assert (objection and objection.reason) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(0, Reason.NO_FACE), (1, None), (2, Reason.MULTIPLE_FACES), (9, Reason.MULTIPLE_FACES)]
)
def test_the_number_of_faces(count: int, expected: Reason | None) -> None:
    """Exactly one face passes."""
    objection = check_face_count(count)
    assert (objection and objection.reason) == expected


@pytest.mark.parametrize(("side", "expected"), [(31.9, Reason.FACE_TOO_SMALL), (32.0, None), (400, None)])
def test_the_size_of_the_face(side: float, expected: Reason | None) -> None:
    """The shorter side decides, and the limit itself passes."""
    objection = check_quality(DetectedFace(BoundingBox(0, 0, side, 500), 1.0), FaceQuality(32))
    assert (objection and objection.reason) == expected


def test_each_reason_belongs_to_one_outcome() -> None:
    """The five faults of the system fail a job; every other reason skips it."""
    failures = {reason for reason in Reason if reason.kind is OutcomeKind.FAILED}
    assert failures == {
        Reason.STORAGE_UNAVAILABLE,
        Reason.DATABASE_UNAVAILABLE,
        Reason.EMBEDDER_CRASHED,
        Reason.EMBEDDER_TIMEOUT,
        Reason.INTERNAL_ERROR,
    }


def test_the_backoff_is_linear() -> None:
    """The n-th wait is n times the base."""
    assert [LinearBackoff(3, 0.5).delay(attempt) for attempt in (1, 2, 3)] == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("score", "sharpness", "expected"),
    [
        (0.49, 99.0, Reason.FACE_UNCERTAIN),
        (0.5, 9.9, Reason.FACE_BLURRED),
        (0.5, 10.0, None),
        (0.5, None, None),
        (0.4, 1.0, Reason.FACE_UNCERTAIN),
    ],
)
def test_a_face_may_have_to_be_certain_and_sharp(
    score: float, sharpness: float | None, expected: Reason | None
) -> None:
    """What is asked for is enough; a sharpness that nobody has measured is not missed, and the first reason holds."""
    face = DetectedFace(BoundingBox(0, 0, 90, 90), score, sharpness=sharpness)
    objection = check_quality(face, FaceQuality(32, 0.5, 10))
    assert (objection and objection.reason) == expected


def test_nothing_is_asked_for_unless_configured() -> None:
    """A detector's scores may be negative, and a face as blurred as can be."""
    assert check_quality(DetectedFace(BoundingBox(0, 0, 90, 90), -5.0, sharpness=0.0), FaceQuality(32)) is None


@pytest.mark.parametrize(
    ("side", "score", "sharpness", "least", "expected"),
    [
        (31.8, 1.0, 99.0, FaceQuality(32), "the face measures 31.8 px, less than the configured 32 px"),
        (20.4, 1.0, 99.0, FaceQuality(32), "the face measures 20 px, less than the configured 32 px"),
        (90, 0.4996, 99.0, FaceQuality(32, 0.5), "the detector's score is 0.4996, less than the configured 0.5"),
        (90, 0.3, 99.0, FaceQuality(32, 0.555), "the detector's score is 0.30, less than the configured 0.555"),
        (90, 1.0, 99.99, FaceQuality(32, 0.5, 100), "the face's sharpness is 99.99, less than the configured 100"),
    ],
)
def test_what_is_refused_reads_as_less_than_the_limit(
    side: float, score: float, sharpness: float, least: FaceQuality, expected: str
) -> None:
    """No rounding makes a measure look as large as the limit that it misses, and the limit reads as it was set."""
    objection = check_quality(DetectedFace(BoundingBox(0, 0, side, 500), score, sharpness=sharpness), least)
    assert objection is not None
    assert objection.detail == expected
