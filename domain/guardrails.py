"""Guardrails: the policies that stop a job, cheapest first. Each returns None to let it pass."""

import attrs

from domain.faces import DetectedFace
from domain.jobs import MatchJob
from domain.outcomes import Reason

_MANY_FACES = 1_000_000


@attrs.frozen
class Objection:
    """Why a guardrail stopped a job: the reason, and a sentence for whoever asks."""

    reason: Reason
    detail: str


def check_request(job: MatchJob) -> Objection | None:
    """Judge what the request says of itself: an earlier stage counted one face, and an image is named."""
    if job.faces_detected is not None and job.faces_detected != 1:
        counted = job.faces_detected if job.faces_detected <= _MANY_FACES else f"more than {_MANY_FACES}"
        return Objection(Reason.FACES_DETECTED_NOT_ONE, f"an earlier stage counted {counted} faces, not one")
    if not job.image_ref:
        return Objection(Reason.MISSING_IMAGE_REF, "the job names no image")
    return None


def check_photo(*, exists: bool, already_matched: bool) -> Objection | None:
    """Judge what is known of the photo before anything is fetched."""
    if not exists:
        return Objection(Reason.PHOTO_NOT_FOUND, "there is no photo of this id")
    if already_matched:
        return Objection(Reason.ALREADY_MATCHED, "the photo has a match already")
    return None


def check_photo_again(*, exists: bool, already_matched: bool) -> Objection | None:
    """Judge what has become of the photo while it was being looked at."""
    if not exists:
        return Objection(Reason.PHOTO_NOT_FOUND, "the photo was deleted while it was being looked at")
    if already_matched:
        return Objection(Reason.ALREADY_MATCHED, "another job matched the photo first")
    return None


def check_face_count(count: int) -> Objection | None:
    """Exactly one face, or it is not clear whose photograph this is."""
    if count == 0:
        return Objection(Reason.NO_FACE, "the detector found no face")
    if count > 1:
        return Objection(Reason.MULTIPLE_FACES, f"the detector found {count} faces; only one can be matched")
    return None


@attrs.frozen
class FaceQuality:
    """The least that a face must have: side in original pixels, detector's score, sharpness; None asks for nothing."""

    side: float
    score: float | None = None
    sharpness: float | None = None


def check_quality(face: DetectedFace, least: FaceQuality) -> Objection | None:
    """Refuse a face that is too small (its box's shorter side counts), uncertain, or blurred."""
    if face.box.shorter_side < least.side:
        measured = f"the face measures {below(least.side, face.box.shorter_side, 0)} px"
        return Objection(Reason.FACE_TOO_SMALL, f"{measured}, less than the configured {least.side:.15g} px")
    if least.score is not None and face.score < least.score:
        measured = f"the detector's score is {below(least.score, face.score, 2)}"
        return Objection(Reason.FACE_UNCERTAIN, f"{measured}, less than the configured {least.score:.15g}")
    if least.sharpness is not None and face.sharpness is not None and face.sharpness < least.sharpness:
        measured = f"the face's sharpness is {below(least.sharpness, face.sharpness, 1)}"
        return Objection(Reason.FACE_BLURRED, f"{measured}, less than the configured {least.sharpness:.15g}")
    return None


def below(limit: float, measured: float, decimals: int) -> str:
    """Return what was measured with so many decimals, or as many more as show that it is below the limit."""
    while float(text := f"{measured:.{decimals}f}") >= limit:
        decimals += 1
    return text
