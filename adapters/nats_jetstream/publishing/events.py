"""The body and the identity of a result event."""

import json
from typing import Any

import attrs

from domain.decision import figures_of
from domain.records import JobRecord


def message_id(record: JobRecord) -> str:
    """Return the event's identity: the job's, never the publisher's ``job_id``."""
    return f"facematch-{record.key}"


def encode_event(record: JobRecord) -> bytes:
    """Return the event's body; what does not apply is null."""
    return json.dumps(_document(record), allow_nan=False).encode()


def _document(record: JobRecord) -> dict[str, Any]:
    outcome = record.outcome
    face, figures = outcome.face, figures_of(outcome.comparison)
    return {
        "job_id": _text(record.job_id),
        "photo_id": _text(record.photo_id),
        "face_index": record.face_index,
        "outcome": outcome.kind.value,
        "reason": outcome.reason.value if outcome.reason else None,
        "user_id": _text(outcome.user_id),
        "photo_face_id": _text(face.photo_face_id) if face else None,
        "match_id": _text(outcome.match_id),
        "distance": figures["distance"],
        "threshold": figures["threshold"],
        "embedder": record.embedder,
        "bbox": attrs.asdict(face.box) if face else None,
        "occurred_at": record.occurred_at.isoformat().replace("+00:00", "Z"),
    }


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
