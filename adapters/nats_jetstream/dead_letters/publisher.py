"""Dead letters: a copy of a job that was given up, and why. Whatever the job was, the copy can be stored."""

import re
from collections.abc import Mapping

from adapters.nats_jetstream.headers import (
    DELIVERIES,
    DROPPED_HEADERS,
    ERROR,
    MESSAGE_ID,
    OBEYED,
    OF_A_LETTER,
    ORIGINAL,
    REASON,
    SEQUENCE,
    TRACE,
    TRUNCATED_FROM,
)
from adapters.nats_jetstream.publishing.confirmed import ConfirmedPublisher
from application.ports.job_queue import Delivery
from domain.records import JobRecord

_MAX_HEADER_BLOCK = 65_535  # JetStream's limit
_MAX_TEXT = 500
_FRAME = len(b"NATS/1.0\r\n\r\n")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token of RFC 9110: what the client sends
_NOT_IN_A_NAME = re.compile(r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_UNSAFE = re.compile(r"[^\x20-\x7e]+")


class JetStreamDeadLetters(ConfirmedPublisher):
    """Copies of jobs that were given up."""

    async def publish(self, delivery: Delivery, record: JobRecord) -> None:
        """Store body and headers as they came, with what became of the job.

        A job may have come at the broker's limit of size, and the copy says more: its largest headers are then
        left out, and its body is cut, each with a header that says so.
        """
        limit, body = self._client.max_payload, delivery.body
        whole = str(len(body))
        room = min(_MAX_HEADER_BLOCK, limit // 2) - _line_size(TRUNCATED_FROM, whole)
        headers = _fitted(_sendable(delivery.headers), _said(delivery, record), room)
        if _size(headers) + len(body) > limit:
            headers[TRUNCATED_FROM] = whole
            body = body[: max(0, limit - _size(headers))]
        await self._publish(self._names.dead_subject, body, headers, continue_trace=False)


def _said(delivery: Delivery, record: JobRecord) -> dict[str, str]:
    outcome = record.outcome
    return {
        MESSAGE_ID: f"facematch-dead-{record.key}",
        REASON: str(outcome.reason),
        DELIVERIES: str(delivery.number),
        SEQUENCE: str(delivery.key.sequence),
        ERROR: _one_line(outcome.detail),
        **({TRACE: record.traceparent} if record.traceparent else {}),
    }


def _sendable(original: Mapping[str, str]) -> dict[str, str]:
    """Rename what means something to the broker, and what the client would refuse to send.

    A job that was sent again has renamed headers already: what its first publisher said is kept.
    """
    kept, renamed = {}, {}
    for name, value in original.items():
        if name.lower().startswith(OBEYED) or not _NAME.fullmatch(name):
            renamed[ORIGINAL + _NOT_IN_A_NAME.sub(_escaped, name)] = value
        elif name.lower() not in OF_A_LETTER:
            kept[name] = value
    return {**renamed, **kept}


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _fitted(original: dict[str, str], said: dict[str, str], limit: int) -> dict[str, str]:
    """Return both, without the largest of the original ones where all together are more than ``limit`` bytes."""
    excess = _size({**original, **said}) - limit
    if excess <= 0:
        return {**original, **said}
    excess += _line_size(DROPPED_HEADERS, "")
    names_size = 0
    kept = dict(original)
    for name in sorted(original, key=lambda name: _line_size(name, original[name]), reverse=True):
        if excess + min(names_size, _MAX_TEXT) <= 0:
            break
        excess -= _line_size(name, kept.pop(name))
        names_size += len(name) + len(", ")
    dropped = ", ".join(name for name in original if name not in kept)
    return {**kept, **said, DROPPED_HEADERS: _one_line(dropped)}


def _size(headers: Mapping[str, str]) -> int:
    """Return the bytes that a block of these headers takes."""
    return _FRAME + sum(_line_size(name, value) for name, value in headers.items())


def _line_size(name: str, value: str) -> int:
    return len(name) + len(value.encode()) + len(": \r\n")


def _one_line(text: str) -> str:
    """Return one line of printable ASCII, of bounded length."""
    return _UNSAFE.sub(" ", text)[:_MAX_TEXT].strip()
