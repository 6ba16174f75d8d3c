"""Whose photograph it is."""

import pytest

from domain.evaluation.subjects import Subject, subject_of
from domain.faces import BoundingBox, DetectedFace, PhotoReading
from domain.guardrails import Objection
from domain.outcomes import Reason


def face(centre_x: float, centre_y: float) -> DetectedFace:
    """Return a face with its centre there."""
    return DetectedFace(BoundingBox(centre_x - 10, centre_y - 10, centre_x + 10, centre_y + 10), 1.0)


@pytest.mark.parametrize(
    ("faces", "rule", "expected"),
    [
        ((), Subject.ONE, Reason.NO_FACE),
        ((), Subject.CENTRAL, Reason.NO_FACE),
        ((face(20, 20),), Subject.ONE, face(20, 20)),
        ((face(20, 20),), Subject.CENTRAL, face(20, 20)),
        ((face(20, 20), face(60, 40)), Subject.ONE, Reason.MULTIPLE_FACES),
        ((face(20, 20), face(60, 40), face(90, 50)), Subject.CENTRAL, face(60, 40)),
    ],
)
def test_whose_photograph_it_is(
    faces: tuple[DetectedFace, ...], rule: Subject, expected: DetectedFace | Reason
) -> None:
    """The only face's or the central one's; otherwise it is said why nobody's."""
    found = subject_of(PhotoReading(120, 80, faces), rule)
    assert (found.reason if isinstance(found, Objection) else found) == expected
