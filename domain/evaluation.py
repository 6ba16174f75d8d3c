"""How well an embedder tells people apart, counted on photographs of known people. Pure.

Distances are cosine, smaller is closer. The terms are those of ISO/IEC 19795: failure to acquire (no usable face on a
photograph), false match and false non-match (of two photographs compared), false positive and false negative
identification (of a photograph searched for among everybody enrolled).
"""

import bisect
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import TypeVar

import attrs

from domain.decision import Calibration
from domain.faces import DetectedFace, PhotoReading
from domain.guardrails import Objection, check_face_count
from domain.outcomes import Reason

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The false match rates that are looked at."""
_FOLDS = 10
_PHOTOGRAPHS = 6
"""So many photographs of a person are compared with each other, lest a few people outweigh all others."""
_LEAST_IMPOSTORS = 10
"""A rate that fewer comparisons stand for is not measured but guessed."""
_NORMAL_95 = 1.959964
_T = TypeVar("_T")


@attrs.frozen
class Share:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, as if each were independent of the others."""
        if not self.total:
            return 0.0, 1.0
        share, square = self.count / self.total, _NORMAL_95**2 / self.total
        spread = math.sqrt(square * (share * (1 - share) + square / 4))
        return max(0.0, (share + square / 2 - spread) / (1 + square)), min(
            1.0, (share + square / 2 + spread) / (1 + square)
        )


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


@attrs.frozen
class Pair:
    """Two photographs that are compared: of one person or of two, and the distance of their faces.

    The distance is None when a face was not acquired. All pairs of a person are in one fold.
    """

    fold: int
    same: bool
    distance: float | None


@attrs.frozen
class Verification:
    """How many pairs were judged rightly, each fold with the threshold that is best for the others.

    A pair with a face that was not acquired is judged wrongly. ``deviation`` is the folds' standard deviation.
    """

    pairs: int
    accuracy: float
    deviation: float
    threshold: float


def pairs_to_verify(people: Mapping[str, Sequence[_T]]) -> Iterator[tuple[int, bool, _T, _T]]:
    """Yield fold, whether it is one person, and two photographs: as many pairs of one person as of two.

    A fold's pairs are of the fold's own people. Which they are follows from the order of the people alone.
    """
    folds = min(_FOLDS, len(people) // 2)
    for fold in range(folds):
        names = list(people)[fold::folds]
        for number, (one, other) in enumerate(own_pairs({name: people[name] for name in names})):
            turn, place = divmod(number, len(names))
            next_to = (place + 1 + turn % (len(names) - 1)) % len(names)
            first, second = people[names[place]], people[names[next_to]]
            yield fold, True, one, other
            yield fold, False, first[turn % len(first)], second[turn % len(second)]


def own_pairs(people: Mapping[str, Sequence[_T]]) -> Iterator[tuple[_T, _T]]:
    """Yield every two photographs of one person."""
    for photographs in people.values():
        yield from combinations(photographs[:_PHOTOGRAPHS], 2)


def verify(pairs: Sequence[Pair]) -> Verification | None:
    """Return the accuracy over folds; None where there are not at least two folds with pairs."""
    folds = sorted({pair.fold for pair in pairs})
    if len(folds) <= 1:
        return None
    thresholds = [_best_threshold([pair for pair in pairs if pair.fold != fold]) for fold in folds]
    accuracies = []
    for fold, threshold in zip(folds, thresholds, strict=True):
        judged = [pair for pair in pairs if pair.fold == fold]
        right = sum(pair.distance is not None and (pair.distance <= threshold) == pair.same for pair in judged)
        accuracies.append(right / len(judged))
    return Verification(
        len(pairs), statistics.fmean(accuracies), statistics.stdev(accuracies), statistics.fmean(thresholds)
    )


def _best_threshold(pairs: Sequence[Pair]) -> float:
    """Return a distance half-way between two pairs' that judges most of them rightly."""
    known = sorted((pair.distance, pair.same) for pair in pairs if pair.distance is not None)
    best, threshold, right = 0, 0.0, 0
    for index, (distance, same) in enumerate(known):
        right += 1 if same else -1
        following = known[index + 1][0] if index + 1 < len(known) else distance
        if right > best and following > distance:
            best, threshold = right, (distance + following) / 2
    return threshold


@attrs.frozen
class OperatingPoint:
    """A false match rate: the distance that has it here, and what share of a person's own pairs lies beyond.

    ``calibrated`` is the distance that the embedder's calibration has for the rate, and ``false_match`` the share
    of impostors who really lie at or below it here.
    """

    rate: float
    distance: float
    false_non_match: Share
    calibrated: float
    false_match: Share


def operating_points(
    impostors: Sequence[float], genuine: Sequence[float], calibration: Calibration
) -> tuple[OperatingPoint, ...]:
    """Return a point for each rate that there are enough impostors for.

    ``impostors`` are the distances of different people, ascending; ``genuine`` those of one person's photographs.
    """
    points = []
    for rate in RATES:
        allowed = math.floor(rate * len(impostors))
        if allowed < _LEAST_IMPOSTORS:
            break
        distance, calibrated = impostors[allowed - 1], calibration.distance_at(rate)
        beyond = Share(sum(value > distance for value in genuine), len(genuine))
        below = Share(bisect.bisect_right(impostors, calibrated), len(impostors))
        points.append(OperatingPoint(rate, distance, beyond, calibrated, below))
    return tuple(points)


@attrs.frozen
class Roles:
    """Who plays what part in a search: names who are enrolled, and names who are strangers."""

    enrolled: tuple[str, ...]
    strangers: tuple[str, ...]


def roles(people: Mapping[str, Sequence[object]]) -> Roles:
    """Return the parts by the number of usable photographs.

    Whoever has one only is a stranger; whoever has more is enrolled with the first, and the others are searched for.
    Where nobody has just one, every other person is a stranger.
    """
    several = [name for name, photographs in people.items() if len(photographs) > 1]
    single = [name for name, photographs in people.items() if len(photographs) == 1]
    return Roles(tuple(several), tuple(single)) if single else Roles(tuple(several[::2]), tuple(several[1::2]))


@attrs.frozen
class Search:
    """One photograph searched for: the distance of the nearest of the enrolled, and whether that is the person.

    ``right`` is None when the person is a stranger.
    """

    distance: float
    right: bool | None


@attrs.frozen
class Identification:
    """What a threshold does to searches among so many: strangers named, people missed, people taken for others."""

    gallery: int
    threshold: float
    false_positive: Share
    false_negative: Share
    misnamed: Share


def identify(searches: Sequence[Search], gallery: int, threshold: float) -> Identification:
    """Count what becomes of the searches when nobody farther away than the threshold is named."""
    strangers = [search for search in searches if search.right is None]
    people = [search for search in searches if search.right is not None]
    named = [search for search in people if search.distance <= threshold]
    right = sum(bool(search.right) for search in named)
    return Identification(
        gallery,
        threshold,
        Share(sum(search.distance <= threshold for search in strangers), len(strangers)),
        Share(len(people) - right, len(people)),
        Share(len(named) - right, len(people)),
    )


def strictest_distance(searches: Sequence[Search], rate: float) -> float | None:
    """Return the largest threshold that names at most this share of the strangers; None where there are too few."""
    distances = sorted(search.distance for search in searches if search.right is None)
    allowed = math.floor(rate * len(distances))
    return distances[allowed - 1] if allowed else None


@attrs.frozen(kw_only=True)
class Evaluation:
    """Everything that was counted. ``milliseconds`` is the mean time of each stage of a photograph."""

    embedder: str
    subject: Subject
    people: int
    photographs: int
    seconds: float
    milliseconds: Mapping[str, float]
    not_acquired: Mapping[Reason, int]
    impostor_pairs: int
    genuine_pairs: int
    verification: Verification | None
    points: tuple[OperatingPoint, ...]
    by_default: Identification | None
    """With the threshold that the service would use among so many."""
    by_measure: Identification | None
    """With the largest threshold that keeps the service's target here."""

    @property
    def failure_to_acquire(self) -> Share:
        """Photographs without a usable face."""
        return Share(sum(self.not_acquired.values()), self.photographs)
