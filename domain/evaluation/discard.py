"""Error versus discard: what it gains to refuse photographs whose face is poor, and what it costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from domain.evaluation.comparison import Genuine, missed
from domain.evaluation.proportions import Proportion
from domain.faces import DetectedFace

QUALITIES: Final[Mapping[str, Callable[[DetectedFace], float | None]]] = {
    "face size": lambda face: face.box.shorter_side,
    "detector score": lambda face: face.score,
    "sharpness": lambda face: face.sharpness,
}
"""What a face's quality is measured by, larger is better; None where nobody measured it."""
_DISCARDED = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@attrs.frozen
class GradedPhoto:
    """Whose photograph it is, and the grade of its face; None where it has no usable one."""

    person: str
    grade: float | None


@attrs.frozen
class GradedPair:
    """Two photographs of one person, and the lower of their two grades."""

    genuine: Genuine
    grade: float


@attrs.frozen
class DiscardPoint:
    """What is left when every photograph of a grade below ``minimum`` is refused.

    ``not_acquired`` counts the refused photographs and those without a usable face; ``false_non_match`` are the pairs
    of one person that lie beyond one and the same distance, whatever is refused.
    """

    minimum: float
    discarded: Proportion
    not_acquired: Proportion
    false_non_match: Proportion


@attrs.frozen
class DiscardCurve:
    """The points of one quality, by what is refused, ascending."""

    quality: str
    points: tuple[DiscardPoint, ...]


def discard_points(
    photographs: Sequence[GradedPhoto], pairs: Sequence[GradedPair], distance: float
) -> tuple[DiscardPoint, ...]:
    """Return the points for some shares of photographs that are refused.

    No points where all grades are the same: there is nothing to choose by.
    """
    acquired = [(one.person, one.grade) for one in photographs if one.grade is not None]
    ascending = sorted(grade for _, grade in acquired)
    minimums = sorted({ascending[int(share * len(ascending))] for share in _DISCARDED}) if ascending else []
    points = []
    for minimum in minimums:
        left = [one.grade is not None and one.grade >= minimum for one in photographs]
        points.append(
            DiscardPoint(
                minimum,
                Proportion.by_person((person, grade < minimum) for person, grade in acquired),
                Proportion.by_person((one.person, not is_left) for one, is_left in zip(photographs, left, strict=True)),
                missed([pair.genuine for pair in pairs if pair.grade >= minimum], distance),
            )
        )
    return tuple(points) if len(points) > 1 else ()
