"""What ``show`` tells of a photo's jobs, to machines and to people."""

from typing import Any

import attrs
from rich.table import Table

from application.operating.photo_history import PhotoJob
from application.ports.ledger import Attempt
from domain.decision import FIGURES, Candidate, figures_of
from domain.jobs import JobKey
from domain.records import JobRecord
from entrypoints.terminal.console import visible

_END = (
    "job_id", "face_index", "outcome", "reason", "detail", "user_id", "photo_face_id", "match_id", *FIGURES, "bbox",
    "embedder", "worker", "trace_id", "occurred_at",
)  # fmt: skip


def key_document(key: JobKey) -> dict[str, Any]:
    """Return what a job is found by."""
    return {"job": str(key), "stream_seq": key.sequence, "stored_at": key.stored_at.isoformat()}


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace id of a W3C ``traceparent``; None where there is none, also in what a stranger wrote."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) > 1 else None


def document(job: PhotoJob) -> dict[str, Any]:
    """Return a job for machines: with the same names whether it has ended or not."""
    return {
        **key_document(job.key),
        "photo_id": str(job.photo_id),
        **(dict.fromkeys(_END) if job.record is None else _end(job.record)),
        "nearest_now": None if job.nearest_now is None else [_nearest(user) for user in job.nearest_now],
        "attempts": [_attempt(attempt) for attempt in job.attempts],
    }


def table(job: PhotoJob) -> Table:
    """Return a job for people: what is known of its end, then what came of each attempt before."""
    title = f"Job {job.key}" if job.record else f"Job {job.key}, of which no outcome is known"
    rows = Table(show_header=False, title=title, title_justify="left")
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in document(job).items():
        if value not in (None, "") and name not in {"job", "stream_seq", "nearest_now", "attempts"}:
            rows.add_row(name.replace("_", " "), visible(brief(value)))
    for attempt in job.attempts:
        what = f"{attempt.reason}: {attempt.detail}" if attempt.reason else attempt.detail
        rows.add_row(f"delivery {attempt.delivery}", visible(f"{attempt.occurred_at:%Y-%m-%d %H:%M:%S} UTC, {what}"))
    return rows


def nearest(job: PhotoJob) -> Table | None:
    """Return for people to whom the job's face is nearest now; None where nobody is to be told."""
    if not job.nearest_now:
        return None
    rows = Table("user id", title="Nearest users now, not as of the decision", title_justify="left")
    rows.add_column("distance", justify="right")
    for user in job.nearest_now:
        rows.add_row(str(user.user_id), brief(user.distance))
    return rows


def _end(record: JobRecord) -> dict[str, Any]:
    outcome = record.outcome
    face = outcome.face
    values = (
        str(record.job_id) if record.job_id else None,
        record.face_index,
        outcome.kind.value,
        outcome.reason.value if outcome.reason else None,
        outcome.detail,
        str(outcome.user_id) if outcome.user_id else None,
        str(face.photo_face_id) if face else None,
        str(outcome.match_id) if outcome.match_id else None,
        *figures_of(outcome.comparison).values(),
        attrs.asdict(face.box) if face else None,
        record.embedder,
        record.worker,
        trace_id(record.traceparent),
        record.occurred_at.isoformat(),
    )
    return dict(zip(_END, values, strict=True))


def _nearest(user: Candidate) -> dict[str, Any]:
    return {"user_id": str(user.user_id), "distance": user.distance}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "delivery": attempt.delivery,
        "reason": attempt.reason.value if attempt.reason else None,
        "detail": attempt.detail,
        "worker": attempt.worker,
        "occurred_at": attempt.occurred_at.isoformat(),
    }


def brief(value: Any) -> str:  # noqa: ANN401 - a value of a JSON document
    """Return a value as people read it: boxes in whole pixels, distances in six significant digits."""
    if isinstance(value, dict):
        return "({x1:.0f}, {y1:.0f}) to ({x2:.0f}, {y2:.0f})".format(**value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
