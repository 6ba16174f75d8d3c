"""Dead letters as documents, for machines and for people."""

import base64
from typing import Any

from adapters.nats_jetstream.jobs.payload import JsonJobParser
from application.ports.dead_letter_box import DeadLetter
from entrypoints.commands.common.photo_jobs import trace_id

_PARSER = JsonJobParser()


def line_document(letter: DeadLetter) -> dict[str, Any]:
    """Return what a list says of a letter; the ids are null where the body has none that can be read."""
    job = _PARSER.parse(letter.body)
    return {
        "sequence": letter.sequence,
        "stored_at": letter.stored_at.isoformat(),
        "reason": letter.reason,
        "deliveries": letter.deliveries,
        "stream_seq": letter.job_sequence,
        "photo_id": str(job.photo_id) if job.photo_id else None,
        "job_id": str(job.job_id) if job.job_id else None,
        "error": letter.error,
    }


def full_document(letter: DeadLetter) -> dict[str, Any]:
    """Return everything of a letter; ``body`` is null where it is no UTF-8, then ``body_base64`` has it."""
    try:
        text = letter.body.decode()
    except UnicodeDecodeError:
        text = None
    return line_document(letter) | {
        "trace_id": trace_id(letter.traceparent),
        "body_bytes": len(letter.body),
        "truncated_from": letter.truncated_from,
        "body": text,
        "body_base64": base64.b64encode(letter.body).decode() if text is None else None,
        "headers": dict(letter.headers),
    }
