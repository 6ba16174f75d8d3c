"""The job's body: strict JSON, nothing coerced, every problem told at once."""

import json
import re
from typing import Any, NewType
from uuid import UUID

import attrs
from cattrs import transform_error

from adapters.strict import json_document, problem, strict_converter
from domain.jobs import MalformedJob, MatchJob

MAX_BODY_BYTES = 64 * 1024
MAX_FACE_INDEX = 2**31 - 1
_MAX_DIGITS = 20
_LARGE: int = 10**_MAX_DIGITS
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII)

_FaceIndex = NewType("_FaceIndex", int)


def _uuid(value: object, _: type) -> UUID:
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    raise ValueError("expected a UUID of 8-4-4-4-12 hexadecimal digits")


def _face_index(value: object, _: type) -> _FaceIndex:
    if type(value) is int and 0 <= value <= MAX_FACE_INDEX:
        return _FaceIndex(value)
    raise ValueError(f"expected a whole number from 0 to {MAX_FACE_INDEX}")


@attrs.frozen
class _Body:
    photo_id: UUID
    image_ref: str | None = None
    face_index: _FaceIndex = _FaceIndex(0)
    faces_detected: int | None = None
    job_id: UUID | None = None


_CONVERTER = strict_converter({UUID: _uuid, _FaceIndex: _face_index})


class JsonJobParser:
    """Parses the body of a job."""

    def parse(self, body: bytes) -> MatchJob | MalformedJob:
        """Return the job, or what is wrong with it."""
        if len(body) > MAX_BODY_BYTES:
            return MalformedJob((f"the body has {len(body)} bytes, more than {MAX_BODY_BYTES}",))
        try:
            document = _document(body)
        except (ValueError, RecursionError) as error:
            return MalformedJob((f"the body is not JSON in UTF-8 ({_brief(error)})",))
        if not isinstance(document, dict):
            return MalformedJob(("the body is not a JSON object",))
        try:
            parsed = _CONVERTER.structure(document, _Body)
        except Exception as error:  # noqa: BLE001 - cattrs raises groups of whatever its hooks raise
            return MalformedJob(tuple(transform_error(error, format_exception=problem)), **_readable(document))
        return MatchJob(**attrs.asdict(parsed, recurse=False))


def photo_of(body: bytes) -> bytes | None:
    """Return the sixteen bytes of the photo that a body names, whatever else it says; None where it names none."""
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        document = _document(body)
    except (ValueError, RecursionError):
        return None
    photo = document.get("photo_id") if isinstance(document, dict) else None
    return bytes.fromhex(photo.replace("-", "")) if isinstance(photo, str) and _UUID.fullmatch(photo) else None


def encode_job(job: MatchJob) -> bytes:
    """Return the body of a job, as a publisher would write it."""
    document = {
        "photo_id": str(job.photo_id),
        "image_ref": job.image_ref,
        "face_index": job.face_index,
        "faces_detected": job.faces_detected,
        "job_id": str(job.job_id) if job.job_id else None,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def _document(body: bytes) -> object:
    """Return what the JSON says.

    Raises:
        ValueError, RecursionError: it is none.

    """
    return json_document(body.decode("utf-8"), parse_int=_parse_int)


def _parse_int(digits: str) -> int:
    """Return the number; a very large one as a large one, because thousands of digits take their time."""
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    return -_LARGE if digits.startswith("-") else _LARGE


def _brief(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{error.reason} at byte {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.removesuffix(' at')} at character {error.pos}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _readable(document: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that could be read although others could not."""
    fields: dict[str, Any] = {}
    for name, kind in (("photo_id", UUID), ("job_id", UUID), ("face_index", _FaceIndex)):
        try:
            fields[name] = _CONVERTER.structure(document[name], kind)
        except (KeyError, ValueError):
            fields[name] = 0 if name == "face_index" and name not in document else None
    return fields
