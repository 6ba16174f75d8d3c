"""What speaks against an enrolment: bad photographs, ones of different people, or somebody who is enrolled already.

None of it is certain, so it is told, and the user is enrolled nevertheless, unless doubts are to refuse them.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Final
from uuid import UUID

import attrs

from application.ports.gallery import Others
from domain.calibration import Calibration
from domain.decision import Accepted, ThresholdPolicy, Unknown, decide
from domain.faces import FaceEmbedding
from domain.look_alikes import BetweenTemplates

_RATE: Final = 1e-2
"""The false match rate whose distance is the limit: nearer pairs are not suspicious."""
_ROUNDING: Final = 1e-6
"""How far apart single precision may say that two vectors of one direction are."""


@attrs.frozen
class Blurred:
    """A photograph's face is less sharp than the limit, as blurred and dark ones are: they look like each other."""

    photograph: str
    sharpness: float
    limit: float


@attrs.frozen
class FarApart:
    """Two photographs of a user, the least alike, are farther apart than the limit: as those of two people are."""

    photographs: tuple[str, str]
    distance: float
    limit: float


@attrs.frozen
class LookAlike:
    """Another user's template is as near to the new one, within the limit, as a photograph of the same person is."""

    user_id: UUID
    distance: float
    limit: float


@attrs.frozen
class SameTemplate:
    """Another user has the very same template, but for rounding: nothing tells the two apart."""

    user_id: UUID


@attrs.frozen
class NotCompared:
    """Nobody knows whether there is a look-alike, for the reason given."""

    why: str


EnrolmentWarning = Blurred | FarApart | LookAlike | SameTemplate | NotCompared


def blurred(sharpness: Mapping[str, float | None], limit: float | None) -> list[EnrolmentWarning]:
    """Return each photograph, by its name, whose face is less sharp than the limit; none where one is not known."""
    return [
        Blurred(name, measured, limit)
        for name, measured in sharpness.items()
        if limit is not None and measured is not None and measured < limit
    ]


def far_apart(embeddings: Mapping[str, FaceEmbedding], calibration: Calibration) -> list[EnrolmentWarning]:
    """Return the two photographs that are least alike, by their names, where they may show two people.

    Nothing where the calibration does not reach the rate: what it says there was not measured.
    """
    if not calibration.points[0][0] <= _RATE <= calibration.points[-1][0]:
        return []
    limit = calibration.distance_at(_RATE, 1)
    pairs = [
        FarApart((one_name, other_name), one.cosine_distance(other), limit)
        for (one_name, one), (other_name, other) in combinations(embeddings.items(), 2)
    ]
    farthest = max(pairs, key=lambda pair: pair.distance, default=None)
    return [farthest] if farthest and farthest.distance > limit else []


def look_alike(others: Others, policy: ThresholdPolicy, photographs: int) -> list[EnrolmentWarning]:
    """Return the user who is too near to a new template of so many photographs, or who shares that place with others.

    Where the policy has no limit, only one who has the same template.
    """
    if others.nearest and others.nearest[0].distance <= _ROUNDING:
        return [SameTemplate(others.nearest[0].user_id)]
    match decide(others.nearest, BetweenTemplates(policy, photographs), others.count):
        case Accepted(comparison=seen) | Unknown(comparison=seen, ambiguous=True) if seen.threshold is not None:
            return [LookAlike(others.nearest[0].user_id, seen.distance, seen.threshold)]
        case _:
            return []
