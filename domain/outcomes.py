"""What became of a job: a closed set of outcomes and the one list of reasons.

The values of the enumerations are the words that logs, spans, metrics, events and the ledger use.
"""

from enum import StrEnum


class OutcomeKind(StrEnum):
    """The three ways in which a job ends."""

    MATCHED = "matched"
    SKIPPED = "skipped"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a job was skipped or failed."""

    MALFORMED_PAYLOAD = "malformed_payload"
    FACES_DETECTED_NOT_ONE = "faces_detected_not_one"
    MISSING_IMAGE_REF = "missing_image_ref"
    PHOTO_NOT_FOUND = "photo_not_found"
    ALREADY_MATCHED = "already_matched"
    INVALID_IMAGE_REF = "invalid_image_ref"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_TOO_LARGE = "image_too_large"
    UNREADABLE_IMAGE = "unreadable_image"
    NO_FACE = "no_face"
    MULTIPLE_FACES = "multiple_faces"
    FACE_TOO_SMALL = "face_too_small"
    FACE_UNCERTAIN = "face_uncertain"
    FACE_BLURRED = "face_blurred"
    NO_ENROLLED_USERS = "no_enrolled_users"
    NO_MATCH = "no_match"

    STORAGE_UNAVAILABLE = "storage_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    EMBEDDER_CRASHED = "embedder_crashed"
    EMBEDDER_TIMEOUT = "embedder_timeout"
    INTERNAL_ERROR = "internal_error"

    @property
    def is_failure(self) -> bool:
        """True for a fault of the system (worth another attempt), false for a property of the job."""
        return self in _FAILURES

    @property
    def kind(self) -> OutcomeKind:
        """The outcome that a job with this reason ends in."""
        return OutcomeKind.FAILED if self.is_failure else OutcomeKind.SKIPPED


_FAILURES = frozenset(
    {
        Reason.STORAGE_UNAVAILABLE,
        Reason.DATABASE_UNAVAILABLE,
        Reason.EMBEDDER_CRASHED,
        Reason.EMBEDDER_TIMEOUT,
        Reason.INTERNAL_ERROR,
    }
)
