"""Rows of ``facematch.outcomes`` and the records that they hold."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from psycopg.types.json import Jsonb

from domain.decision import FIGURES, Comparison, figures_of
from domain.errors import FacematchError
from domain.faces import BoundingBox
from domain.jobs import JobKey
from domain.outcomes import Reason
from domain.records import Failed, JobRecord, Matched, Outcome, SeenFace, Skipped

COLUMNS = (
    "stream_seq", "stored_at", "photo_id", "face_index", "job_id", "outcome", "reason", "detail", "user_id",
    "photo_face_id", "match_id", "bbox", *FIGURES, "embedder", "worker", "traceparent", "occurred_at",
)  # fmt: skip


def storable(text: str) -> str:
    """Return the text with what PostgreSQL cannot hold made visible: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode(errors="backslashreplace").decode()


def to_row(record: JobRecord) -> dict[str, Any]:
    """Return the values of :data:`COLUMNS`, by column."""
    outcome = record.outcome
    face = outcome.face
    values = (
        record.key.sequence,
        record.key.stored_at,
        record.photo_id,
        record.face_index,
        record.job_id,
        outcome.kind.value,
        outcome.reason.value if outcome.reason else None,
        storable(outcome.detail),
        outcome.user_id,
        face.photo_face_id if face else None,
        outcome.match_id,
        Jsonb(attrs.asdict(face.box)) if face else None,
        *figures_of(outcome.comparison).values(),
        storable(record.embedder),
        storable(record.worker),
        record.traceparent,
        record.occurred_at,
    )
    return dict(zip(COLUMNS, values, strict=True))


class UnreadableRecordError(FacematchError):
    """A row says what this version does not know: a newer one wrote it."""


def readable(rows: Iterable[Sequence[Any]]) -> list[JobRecord]:
    """Return the records of the rows that this version can read; the others are left to the one that wrote them."""
    records = []
    for row in rows:
        with contextlib.suppress(UnreadableRecordError):
            records.append(from_row(row))
    return records


def from_row(row: Sequence[Any]) -> JobRecord:
    """Return the record of a row of :data:`COLUMNS`.

    Raises:
        UnreadableRecordError: a newer version wrote it.

    """
    values = dict(zip(COLUMNS, row, strict=True))
    return JobRecord(
        key=JobKey(values["stream_seq"], values["stored_at"]),
        outcome=_outcome(values),
        occurred_at=values["occurred_at"],
        embedder=values["embedder"],
        worker=values["worker"],
        photo_id=values["photo_id"],
        face_index=values["face_index"],
        job_id=values["job_id"],
        traceparent=values["traceparent"],
    )


def _outcome(values: dict[str, Any]) -> Outcome:
    face = comparison = None
    if values["photo_face_id"] is not None:
        face = SeenFace(values["photo_face_id"], BoundingBox(**values["bbox"]))
    if values["distance"] is not None:
        comparison = Comparison(*(values[name] for name in FIGURES))
    match values["outcome"]:
        case "matched" if face is not None and comparison is not None:
            return Matched(values["user_id"], values["match_id"], face, comparison)
        case "skipped":
            return Skipped(reason_of(values["stream_seq"], values["reason"]), values["detail"], face, comparison)
        case "failed":
            return Failed(reason_of(values["stream_seq"], values["reason"]), values["detail"])
    raise UnreadableRecordError(
        f"job {values['stream_seq']}: outcome {values['outcome']} without face or distance is of another version"
    )


def reason_of(sequence: int, text: str) -> Reason:
    """Return the reason that a row about the job of that number tells.

    Raises:
        UnreadableRecordError: a newer version wrote it.

    """
    try:
        return Reason(text)
    except ValueError as error:
        message = f"job {sequence}: the reason {text!r} in the ledger is of another version"
        raise UnreadableRecordError(message) from error
