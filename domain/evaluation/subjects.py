"""Whose photograph it is."""

import math
from enum import StrEnum

from domain.faces import DetectedFace, PhotoReading
from domain.guardrails import Objection, check_face_count


class Subject(StrEnum):
    """Whose photograph it is, by the faces on it."""

    ONE = "one"
    """The only face's; nobody's when there are several, as in the service."""
    CENTRAL = "central"
    """The face's that is nearest to the centre."""


def subject_of(reading: PhotoReading, rule: Subject) -> DetectedFace | Objection:
    """Return the face of the person whose photograph it is, or why there is none."""

    def from_centre(face: DetectedFace) -> float:
        box = face.box
        return math.hypot(box.x1 + box.x2 - reading.width, box.y1 + box.y2 - reading.height)

    count = len(reading.faces)
    objection = check_face_count(min(count, 1) if rule is Subject.CENTRAL else count)
    return objection or min(reading.faces, key=from_centre)
