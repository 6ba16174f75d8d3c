"""What ``show`` writes below the picture."""

from datetime import UTC, datetime
from uuid import UUID

from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import JobRecord, Skipped
from entrypoints.commands.jobs import label


def test_a_picture_says_whose_it_is() -> None:
    """The outcome comes first, the photo and the job last: a file that is passed on explains itself."""
    key, photo = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC)), UUID(int=1)
    record = JobRecord(key, Skipped(Reason.NO_FACE), key.stored_at, "model@1", "worker-1", photo_id=photo)
    assert label(record) == [
        "skipped: no_face",
        "model@1, 2026-05-01 12:00:00 UTC",
        f"photo {photo}, job {key}",
    ]
