"""How near a new template may lie to another user's before the two are taken for one person's."""

import attrs

from domain.calibration import DISTANCE_RATIOS
from domain.decision import SearchContext, ThresholdPolicy


@attrs.frozen
class BetweenTemplates:
    """The limit for a new template of ``photographs`` = k: a search's threshold, times d(FMR, k) / d(FMR, 1).

    A threshold is for one photograph, and the mean of several lies nearer to everybody. Without the ratio, of new
    people, 4 to 5 % with three photographs of each and 4 to 7 % with five lie too near to one of 20 to 99 users; with
    it 0.7 to 1.3 % and 0.8 to 2 %, about as with one photograph (``dlib`` and ``mediapipe``, FPIR = 0.01, people of
    Labeled Faces in the Wild, the part that the calibrations are from).
    """

    policy: ThresholdPolicy
    photographs: int

    def threshold(self, search: SearchContext) -> float | None:
        """Return the largest distance of a look-alike; None for no limit."""
        limit = self.policy.threshold(search)
        return None if limit is None else limit * DISTANCE_RATIOS[min(self.photographs, len(DISTANCE_RATIOS)) - 1]
