"""Shares, and how surely they are known."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Self

import attrs

_NORMAL_95 = 1.959964


@attrs.frozen
class Share:
    """So many of so many.

    ``independent`` says for how many independent ones they stand, where that is fewer than ``total``.
    """

    count: int
    total: int
    independent: float | None = attrs.field(default=None, eq=False)

    @classmethod
    def by_person(cls, outcomes: Iterable[tuple[str, bool]]) -> Self:
        """Count outcomes of which each is a person's: those of one person tell less than as many of several do.

        How much less follows from how far the people differ among each other (the variance of a ratio between
        clusters). Where all outcomes are the same, each person counts once.
        """
        people: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for person, outcome in outcomes:
            people[person][0] += outcome
            people[person][1] += 1
        count, total = sum(own for own, _ in people.values()), sum(of for _, of in people.values())
        if not total:
            return cls(0, 0)
        share = count / total
        spread = sum((own - share * of) ** 2 for own, of in people.values())
        clusters = len(people)
        if clusters == 1 or not spread:
            return cls(count, total, clusters)
        variance = spread * clusters / (clusters - 1) / total**2
        return cls(count, total, min(float(total), share * (1 - share) / variance))

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
