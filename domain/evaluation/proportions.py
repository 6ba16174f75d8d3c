"""Proportions, and how surely they are known; and quantiles, the distances that have a given proportion."""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Self

import attrs

LEAST_COUNTED = 10
"""A rate that fewer distances stand for is not measured but guessed."""
LEAST_PEOPLE = 20
"""Fewer people say nothing of others."""
_ROUNDING = 1e-9
_NORMAL_95 = 1.959964
_LEAST_OF_RARER = 10
"""Where fewer people have the rarer outcome, it cannot be told how far people differ."""


@attrs.frozen
class Proportion:
    """So many of so many.

    ``independent`` says for how many independent ones they stand, where that is fewer than ``total``.
    """

    count: int
    total: int
    independent: float | None = attrs.field(default=None, eq=False)

    @classmethod
    def by_person(cls, outcomes: Iterable[tuple[str, bool]]) -> Self:
        """Count outcomes of which each is a person's: those of one person tell less than as many of several do.

        How much less follows from how far the people differ among each other: the variance of a ratio between
        clusters, which are the people (Cochran, Sampling Techniques, 1977, chapter 3). While fewer than ten people
        have the rarer outcome, that variance is a matter of luck: then outcomes count as if each person had one, and
        as few as if everybody with the rarer outcome had it as often as the one who has it most.
        """
        people: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for person, outcome in outcomes:
            people[person][0] += outcome
            people[person][1] += 1
        count, total = sum(own for own, _ in people.values()), sum(of for _, of in people.values())
        if not total:
            return cls(0, 0)
        rarer = [own if 2 * count <= total else of - own for own, of in people.values()]
        clusters = len(people)
        if sum(map(bool, rarer)) < _LEAST_OF_RARER:
            return cls(count, total, min(clusters, total / max(1, *rarer)))
        share = count / total
        spread = sum((own - share * of) ** 2 for own, of in people.values()) * clusters / (clusters - 1)
        alike = total * share * (1 - share)
        return cls(count, total, total * (alike / max(spread, alike)))

    @classmethod
    def by_pair(cls, wrong: Sequence[int]) -> Self:
        """Count the pairs of people that were judged wrongly, by how many such pairs each person is one of.

        Every two people are a pair, so that all pairs of one person are alike, and far fewer than all are independent.
        How many follows from how far the people differ: the variance of a mean over pairs that share members (Aronow,
        Samii and Assenova, Cluster-robust variance estimation for dyadic data, Political Analysis 23, 2015; of false
        match rates: Schuckers, Computational Methods in Biometric Authentication, 2010, chapter 4). While fewer than
        ten people are in the rarer kind of pair, that is a matter of luck: then each person counts once, and so half as
        many pairs as people, which share nobody.
        """
        people = len(wrong)
        total, count = people * (people - 1) // 2, sum(wrong) // 2
        rarer = wrong if 2 * count <= total else [people - 1 - own for own in wrong]
        if sum(map(bool, rarer)) < _LEAST_OF_RARER:
            return cls(count, total, people / 2)
        share = count / total
        alike = total * share * (1 - share)
        spread = sum((own - share * (people - 1)) ** 2 for own in wrong) - alike
        return cls(count, total, total * (alike / max(spread, alike)))

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        if not self.total:
            return 0.0, 1.0
        share = self.count / self.total
        square = _NORMAL_95**2 / (self.total if self.independent is None else self.independent)
        spread = math.sqrt(square * (share * (1 - share) + square / 4))
        return max(0.0, (share + square / 2 - spread) / (1 + square)), min(
            1.0, (share + square / 2 + spread) / (1 + square)
        )

    @property
    def least_to_show(self) -> float:
        """The upper end of the interval if none of them were counted: they can show no smaller share to be kept."""
        return attrs.evolve(self, count=0).interval[1]


def proportion_within(ascending: Sequence[float], distance: float) -> float:
    """Return which share lies at or below the distance; 0 of nothing."""
    return bisect.bisect_right(ascending, distance) / len(ascending) if ascending else 0.0


def quantile(ascending: Sequence[float], rate: float, least: int = 1) -> float | None:
    """Return the largest of the distances that no more than this share lies at or below.

    None where fewer than ``least`` lie there. Equal distances are all below or all above.
    """
    allowed = min(math.floor(rate * len(ascending) + _ROUNDING), len(ascending))
    if allowed < len(ascending) and allowed:
        allowed = bisect.bisect_left(ascending, ascending[allowed], hi=allowed)
    return ascending[allowed - 1] if allowed >= max(least, 1) else None
