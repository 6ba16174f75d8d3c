"""Looking into many distances that ascend."""

import bisect
import math
from collections.abc import Sequence

LEAST_COUNTED = 10
"""A rate that fewer distances stand for is not measured but guessed."""
LEAST_PEOPLE = 20
"""Fewer people say nothing of others."""
_ROUNDING = 1e-9


def share_within(ascending: Sequence[float], distance: float) -> float:
    """Return which share lies at or below the distance; 0 of nothing."""
    return bisect.bisect_right(ascending, distance) / len(ascending) if ascending else 0.0


def distance_of(ascending: Sequence[float], rate: float, least: int = 1) -> float | None:
    """Return the largest of the distances that no more than this share lies at or below.

    None where fewer than ``least`` lie there. Equal distances are all below or all above.
    """
    allowed = min(math.floor(rate * len(ascending) + _ROUNDING), len(ascending))
    if allowed < len(ascending) and allowed:
        allowed = bisect.bisect_left(ascending, ascending[allowed], hi=allowed)
    return ascending[allowed - 1] if allowed >= max(least, 1) else None
