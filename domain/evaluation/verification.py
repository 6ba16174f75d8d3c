"""Verification: are two photographs of one person?"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TypeVar

import attrs

_FOLDS = 10
_PHOTOGRAPHS = 6
"""So many photographs of a person are compared with each other, lest a few people outweigh all others."""
_T = TypeVar("_T")


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

    folds: int
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
        len(folds), len(pairs), statistics.fmean(accuracies), statistics.stdev(accuracies), statistics.fmean(thresholds)
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
