"""Identification: one photograph is searched for among everybody enrolled, and may show a stranger."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

import attrs

from domain.decision import Accepted, Unknown
from domain.evaluation.comparison import CurvePoint, error_curve
from domain.evaluation.proportions import LEAST_COUNTED, Proportion, proportion_within, quantile

GALLERY_SIZES = (20, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""The sizes that are looked at, beside that of everybody who can be enrolled."""
SEARCHED_TEMPLATES = (1, 3)
"""Of how many photographs the templates are that are searched; of several, only where there are people enough."""
_APART = 1.25
"""The size of everybody is this many times the next smaller one that is looked at, at least."""
_MOST_GALLERIES = 25
_LISTED = 10
_T = TypeVar("_T")


@attrs.frozen
class Roles:
    """Who plays what part in a search: names who are enrolled, and names who are strangers."""

    enrolled: tuple[str, ...]
    strangers: tuple[str, ...]


def roles(people: Mapping[str, Sequence[object]], photographs: int = 1) -> Roles:
    """Return the parts by the number of usable photographs.

    Whoever has one only is a stranger; whoever has more than ``photographs`` is enrolled with the first of them, and
    the others are searched for. Where more people have several than one, every other one of them is a stranger, those
    with the fewest first, until both are about as many: FPIR must not rest on a few strangers. Always the same ones,
    and one photograph more or less changes the numbers by two at most.
    """
    several = sorted((name for name, own in people.items() if len(own) > 1), key=lambda name: len(people[name]))
    single = [name for name, own in people.items() if len(own) == 1]
    strangers = {*single, *several[1::2][: max(0, len(several) - len(single)) // 2]}
    return Roles(
        tuple(name for name, own in people.items() if len(own) > photographs and name not in strangers),
        tuple(name for name in people if name in strangers),
    )


def gallery_sizes(people: int) -> tuple[int, ...]:
    """Return the sizes of galleries that so many people are enough for, ascending; the last is that of all."""
    return (*(size for size in GALLERY_SIZES if size * _APART <= people), people) if people else ()


def galleries(people: Sequence[_T], size: int) -> tuple[tuple[_T, ...], ...]:
    """Return galleries of that size that share nobody: always the same ones, each from all over the sequence."""
    count = min(len(people) // size, _MOST_GALLERIES)
    return tuple(tuple(people[place::count][:size]) for place in range(count))


@attrs.frozen
class Searched:
    """What became of one photograph that was searched for.

    ``nearest`` is who of the enrolled is the nearest; ``right`` says whether that is the person, None when that is a
    stranger; ``distance`` is that to the nearest, ``limit`` the threshold that the service had for this search
    (infinite without one), and ``named`` whether it named the nearest. ``factor`` is what the limit is multiplied by
    to just name the nearest, infinite where nothing would.
    """

    person: str
    photo: str
    nearest: str
    right: bool | None
    distance: float
    limit: float
    named: bool
    factor: float

    @classmethod
    def judged(
        cls, person: str, photo: str, nearest: str, decision: Accepted | Unknown, margin: float, *, right: bool | None
    ) -> Self:
        """Return what the service's decision makes of the search."""
        seen = decision.comparison
        limit = math.inf if seen.threshold is None else seen.threshold
        factor = seen.distance / limit if limit > 0 and seen.is_clear(margin) else math.inf
        return cls(person, photo, nearest, right, seen.distance, limit, isinstance(decision, Accepted), factor)


@attrs.frozen
class Identification:
    """What searches among so many come to: strangers named, people missed, people taken for others.

    All are shares of the photographs with a usable face, for only these are searched for. ``threshold`` is
    the median, where each search has its own.
    """

    gallery: int
    threshold: float
    false_positive: Proportion
    false_negative: Proportion
    misnamed: Proportion


@attrs.frozen
class GalleryFigures:
    """What searches come to in galleries of one size, whose people are enrolled with so many photographs each.

    ``galleries`` says how many such galleries were searched; ``rank_one`` is the share of people who are the nearest,
    however far; ``as_configured`` is what the service makes of them, and ``at_best`` what the largest distance does
    that keeps its target here, where it has one and there are strangers enough to tell. ``trade_off`` is both errors
    (FPIR, FNIR) with each search's own threshold multiplied by one factor, of which 1 is the service.
    """

    photographs: int
    galleries: int
    rank_one: Proportion
    as_configured: Identification
    at_best: Identification | None
    trade_off: tuple[CurvePoint, ...]


def as_configured(searches: Sequence[Searched], gallery: int) -> Identification:
    """Count what became of the searches, of which there is one at least."""
    threshold = statistics.median(search.limit for search in searches)
    return _identification(gallery, threshold, [(search, search.named) for search in searches])


def at_distance(searches: Sequence[Searched], gallery: int, threshold: float) -> Identification:
    """Count what would become of the searches if whoever is at or below one distance were named."""
    return _identification(gallery, threshold, [(search, search.distance <= threshold) for search in searches])


def _identification(gallery: int, threshold: float, judged: Sequence[tuple[Searched, bool]]) -> Identification:
    people = [(search, named) for search, named in judged if search.right is not None]
    return Identification(
        gallery,
        threshold,
        Proportion.by_person((search.person, named) for search, named in judged if search.right is None),
        Proportion.by_person((search.person, not (search.right and named)) for search, named in people),
        Proportion.by_person((search.person, not search.right and named) for search, named in people),
    )


def trade_off(searches: Sequence[Searched]) -> tuple[CurvePoint, ...]:
    """Return both errors at multiples of the service's threshold; nothing where it has none to multiply."""
    strangers = sorted(search.factor for search in searches if search.right is None)
    own = sorted(search.factor if search.right else math.inf for search in searches if search.right is not None)
    if not any(0 < factor < math.inf for factor in strangers):
        return ()
    service = CurvePoint(1.0, proportion_within(strangers, 1.0), 1 - proportion_within(own, 1.0))
    others = (point for point in error_curve(strangers, own, 1) if 0 < point.threshold < math.inf)
    return tuple(sorted({service, *others}, key=lambda point: point.threshold))


def nearest_named(searches: Sequence[Searched]) -> tuple[Searched, ...]:
    """Return the strangers who were named, those who are nearest to somebody first, ten at most."""
    named = (search for search in searches if search.named and search.right is None)
    return tuple(sorted(named, key=lambda search: search.distance)[:_LISTED])


def rank_one(searches: Sequence[Searched]) -> Proportion:
    """Count the people who are the nearest to their own photographs."""
    return Proportion.by_person((search.person, search.right) for search in searches if search.right is not None)


def largest_distance_at(searches: Sequence[Searched], rate: float) -> float | None:
    """Return the largest distance that names at most this share of the strangers; None where that is fewer than ten."""
    return quantile(sorted(search.distance for search in searches if search.right is None), rate, LEAST_COUNTED)
