"""The open-set decision: is the nearest enrolled user the person on the photograph, or nobody we know?"""

import math
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import attrs

from domain.calibration import LARGEST_GALLERY_WITH_COHORT, Calibration

SMALLEST_CALIBRATED_GALLERY = 20
"""A gallery of fewer users is judged as if it had this many: it is about to grow, and few comparisons tell little."""
SMALLEST_GALLERY_WITH_COHORT = 100
"""Among fewer users, the size of the gallery tells more than the cohort does: fewer of the enrolled are missed."""
ROUNDING = 1e-6
"""Distances that differ by no more are equal: to templates made of one photograph on two kinds of processors."""
COHORT_SIZE = 3
"""So many of those next to the nearest user are the cohort."""
COHORT_EXPONENT = 0.6
"""The power of the cohort's mean distance that a threshold grows with: see :class:`TargetFpir`."""
NEEDED_CANDIDATES = 1 + COHORT_SIZE
"""So many of the nearest users a decision wants to see."""


@attrs.frozen
class Candidate:
    """An enrolled user, the cosine distance of their template to the probe, and what the template was made of.

    ``photographs`` is how many; None where nobody knows, as of a template that the application itself has stored.
    ``template`` tells that very template from any other; it is empty where that is of no interest.
    """

    user_id: UUID
    distance: float
    photographs: int | None = None
    template: bytes = attrs.field(default=b"", eq=False, repr=False)


@attrs.frozen
class SearchContext:
    """What is known of a search beside the nearest user's distance.

    ``gallery_size`` is N, how many users were searched; ``photographs`` is k, of how many the nearest one's template
    was made (None: unknown); ``others`` are the distances of those next to the nearest, ascending: the cohort.
    """

    gallery_size: int
    photographs: int | None = 1
    others: tuple[float, ...] = ()


class ThresholdPolicy(Protocol):
    """How far the nearest user may be."""

    def threshold(self, search: SearchContext) -> float | None:
        """Return the largest accepted cosine distance; None for no limit."""


@attrs.frozen
class FixedThreshold:
    """One distance, whatever the search; None accepts any distance."""

    distance: float | None

    def threshold(self, search: SearchContext) -> float | None:  # noqa: ARG002 - the port's signature
        """Return the configured distance."""
        return self.distance


@attrs.frozen
class TargetFpir:
    """The distance at which a stranger is named with probability ``fpir``: t(N, k, m), by two rules.

    Symbols as in :mod:`domain.calibration`; m is the mean distance of the cohort, the second to fourth nearest user.

    - *By size*: s(N, k) = d(FMR, k) with FMR = 1 - (1 - FPIR)^(1/N), N being 20 at least: stricter as N grows.
    - *By cohort*: c(k, m) = factor * m^0.6. A stranger lies about as near to the cohort as to the nearest user, whereas
      a user's own template is nearer by far.

    | case | threshold t |
    |---|---|
    | N < 100, or no cohort of three, or no factors | s(N, k) |
    | N up to 1,200, FPIR as measured | c, and at most s(20, k) |
    | N above 1,200, or FPIR below the lowest measured | the stricter of c and s(N, k) |
    | FPIR above the highest measured | the looser of the row that applies above and s(N, k) |

    Worked example: ``dlib``, FPIR = 0.01, k = 1 (factor 0.238), m = 0.08. N = 50: s = 0.0618. N = 1,000: c = 0.238 *
    0.08^0.6 = 0.0523, within s(20) = 0.0676. N = 2,000: s = 0.0411 is stricter than c.

    With the exponent 0.6 the factor that keeps an FPIR is the same from 20 to 1,200 users, and with three users of a
    cohort fewest of the enrolled are missed; both were found on the part of Labeled Faces in the Wild that the
    calibrations are from. It is score normalisation by a cohort, known from speaker verification (Auckenthaler et al.
    2000, T-norm), with ratios in place of differences.
    """

    fpir: float
    calibration: Calibration

    def threshold(self, search: SearchContext) -> float:
        """Return the largest distance that keeps the target."""
        by_size = self._by_size(search.gallery_size, search.photographs)
        cohort = search.others[:COHORT_SIZE]
        factor = self.calibration.cohort_factor_at(self.fpir, search.photographs)
        if factor is None or len(cohort) < COHORT_SIZE or search.gallery_size < SMALLEST_GALLERY_WITH_COHORT:
            return by_size
        mean = max(0.0, sum(cohort) / COHORT_SIZE)
        is_measured = search.gallery_size <= LARGEST_GALLERY_WITH_COHORT and self.fpir >= self.calibration.lowest_fpir
        loosest = self._by_size(SMALLEST_CALIBRATED_GALLERY, search.photographs) if is_measured else by_size
        by_cohort = min(factor * math.pow(mean, COHORT_EXPONENT), loosest)
        return by_cohort if self.fpir <= self.calibration.highest_fpir else max(by_cohort, by_size)

    def _by_size(self, gallery_size: int, photographs: int | None) -> float:
        comparisons = max(gallery_size, SMALLEST_CALIBRATED_GALLERY)
        return self.calibration.distance_at(-math.expm1(math.log1p(-self.fpir) / comparisons), photographs)


@attrs.frozen
class Comparison:
    """What a decision saw, kept so that it can be judged again: distances are cosine, smaller is closer."""

    distance: float
    threshold: float | None
    gallery_size: int
    runner_up_distance: float | None = None

    def is_clear(self, margin: float) -> bool:
        """Tell whether the second nearest is farther away by more than the margin, and by more than rounding."""
        runner_up = self.runner_up_distance
        return runner_up is None or runner_up - self.distance > max(margin, ROUNDING)


FIGURES = tuple(field.name for field in attrs.fields(Comparison))
"""What a comparison tells: the names that log, ledger and commands use."""


def figures_of(comparison: Comparison | None) -> dict[str, float | None]:
    """Return its :data:`FIGURES` by name, in their order; None for each where nothing was compared."""
    return {name: getattr(comparison, name, None) for name in FIGURES}


@attrs.frozen
class Accepted:
    """The nearest user is within the threshold, by that ``template`` of theirs."""

    user_id: UUID
    comparison: Comparison
    template: bytes = attrs.field(default=b"", eq=False, repr=False)


@attrs.frozen
class Unknown:
    """Nobody enrolled is near enough, or two are and it is not clear which (``ambiguous``)."""

    comparison: Comparison
    ambiguous: bool = False

    @property
    def detail(self) -> str:
        """Say which of the two it is, for people."""
        if self.ambiguous:
            return "two users are equally near, or within the margin: nobody is named"
        return "the nearest user is beyond the threshold"


@attrs.frozen
class NobodyEnrolled:
    """There was nobody to compare with."""


MatchDecision = Accepted | Unknown | NobodyEnrolled


def decide(
    candidates: Sequence[Candidate], policy: ThresholdPolicy, gallery_size: int, margin: float = 0.0
) -> MatchDecision:
    """Judge the :data:`NEEDED_CANDIDATES` nearest users, closest first, of a gallery of about ``gallery_size`` users.

    A threshold of 0 names nobody: an embedder that sees nothing is at no distance from anybody. The second nearest must
    be farther away than the nearest by more than ``margin``, and in any case by more than :data:`ROUNDING`, lest a
    look-alike be named, or by luck one of two users with the same template. With neither threshold nor margin the first
    is named, also of two at the same distance.
    """
    if not candidates:
        return NobodyEnrolled()
    nearest, *others = candidates
    size = max(gallery_size, len(candidates))
    comparison = Comparison(
        distance=nearest.distance,
        threshold=policy.threshold(SearchContext(size, nearest.photographs, tuple(other.distance for other in others))),
        gallery_size=size,
        runner_up_distance=others[0].distance if others else None,
    )
    if comparison.threshold is not None and not 0 < comparison.threshold >= nearest.distance:
        return Unknown(comparison)
    is_limited = margin > 0 or comparison.threshold is not None
    if is_limited and not comparison.is_clear(margin):
        return Unknown(comparison, ambiguous=True)
    return Accepted(nearest.user_id, comparison, nearest.template)
