"""What ``show`` writes below the picture."""

from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

import attrs
import pytest
from rich.console import Console

from application.operating.photo_history import PhotoJob
from application.ports.ledger import Attempt
from domain.decision import Candidate, Comparison, Unknown
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import Failed, JobHeader, Skipped
from entrypoints.commands.common.photo_jobs import document, nearest, table
from entrypoints.commands.common.sheet import label
from tests.unit.docs.pages import page


def test_a_picture_says_whose_it_is() -> None:
    """The outcome comes first, the photo and the job last: a file that is passed on explains itself."""
    key, photo = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC)), UUID(int=1)
    record = JobHeader(key, key.stored_at, "model@1", "worker-1", photo).record(Skipped(Reason.NO_FACE))
    assert label(record) == [
        "skipped: no_face",
        "model@1, 2026-05-01 12:00:00 UTC",
        f"photo {photo}, job {key}",
    ]


@pytest.mark.parametrize(
    ("distance", "threshold", "expected"),
    [
        (0.0581000, 0.0580724, ("0.0581", "0.0580724")),
        (1e-5, 0.0580724, ("1e-05", "0.0580724")),
        (0.18975139, None, ("0.189751", "none")),
    ],
)
def test_distances_keep_the_digits_that_explain_the_outcome(
    distance: float, threshold: float | None, expected: tuple[str, str]
) -> None:
    """A distance just beyond the threshold reads as larger, and a tiny one as more than none; in table and picture."""
    key, photo = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC)), UUID(int=1)
    outcome = Skipped(Reason.NO_MATCH, comparison=Comparison(distance, threshold, 50))
    record = JobHeader(key, key.stored_at, "model@1", "worker-1", photo).record(outcome)
    assert "distance {}, threshold {}".format(*expected) in label(record)
    cells = {cell for column in table(PhotoJob(key, photo, record, [])).columns for cell in column.cells}
    assert set(expected) - {"none"} < {str(cell) for cell in cells}


def test_a_picture_says_why() -> None:
    """A distance within the threshold is explained; what a server said in several long lines fits below the photo."""
    key = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC))
    header = JobHeader(key, key.stored_at, "model@1", "worker-1", UUID(int=1))
    unknown = Unknown(Comparison(0.0047, 0.0581, 50, 0.0052), ambiguous=True)
    refused = header.record(Skipped(Reason.NO_MATCH, unknown.detail, comparison=unknown.comparison))
    assert label(refused)[:3] == ["skipped: no_match", unknown.detail, "distance 0.0047, threshold 0.0581"]
    failed = label(header.record(Failed(Reason.DATABASE_UNAVAILABLE, "refused:\n\x1b[2J" + " because" * 30)))
    assert failed[1].startswith("refused: \\x1b[2J because")
    assert max(map(len, failed)) <= 70
    assert "\n" not in "".join(failed)


def test_a_job_has_the_same_names_before_and_after_its_end() -> None:
    """A script that reads one reads the other; what is not known yet is null, but the photo is."""
    key, photo = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC)), UUID(int=1)
    record = JobHeader(key, key.stored_at, "model@1", "worker-1", photo).record(Skipped(Reason.NO_FACE))
    attempt = Attempt(key, 1, Reason.STORAGE_UNAVAILABLE, "no answer", "worker-1", key.stored_at, photo)
    before, after = document(PhotoJob(key, photo, None, [attempt])), document(PhotoJob(key, photo, record, [attempt]))
    assert list(before) == list(after)
    known = {"job", "stream_seq", "stored_at", "photo_id", "attempts"}
    assert {name for name, value in before.items() if value is not None} == known
    assert all(before[name] == after[name] for name in known)


def test_who_is_nearest_now_is_told_as_of_now() -> None:
    """With ids in one piece where lines are short; whom nobody is near to is told to machines alone."""
    key, photo, user = JobKey(7, datetime(2026, 5, 1, 12, tzinfo=UTC)), UUID(int=1), UUID(int=2)
    job = PhotoJob(key, photo, None, [], [Candidate(user, 0.18975139, 1)])
    screen = StringIO()
    Console(width=61, file=screen).print(nearest(job))
    title, *lines = screen.getvalue().splitlines()
    assert title.strip() == "Nearest users now, not as of the decision"
    assert f"│ {user} │ 0.189751 │" in lines
    [told] = document(job)["nearest_now"]
    assert told == {"user_id": str(user), "distance": 0.18975139}
    reference = page("docs/reference/cli.md").section("facematch show")
    assert [name for name in ("nearest_now", *told) if f"`{name}`" not in reference] == []
    far = attrs.evolve(job, nearest_now=())
    assert (nearest(far), document(far)["nearest_now"]) == (None, [])
