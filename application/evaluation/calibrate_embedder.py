"""Calibration: read photographs of known people, and measure how far apart different people are."""

from collections.abc import Iterator, Sequence

import attrs

from application.evaluation.read_photos import ReadPhotos, SeenPhotos
from application.ports.distances import Distances
from application.ports.known_readings import KnownReadings
from application.ports.labelled_photos import LabelledPhotos
from application.progress import Progress
from domain.decision import NEEDED_CANDIDATES, SMALLEST_GALLERY_WITH_COHORT
from domain.errors import FacematchError
from domain.evaluation.calibrating import (
    CALIBRATED_TEMPLATES,
    MeasuredCalibration,
    MeasuredCurve,
    measured_curve,
    with_cohort,
)
from domain.evaluation.proportions import LEAST_PEOPLE
from domain.evaluation.results import Acquisition
from domain.evaluation.subjects import Subject
from domain.faces import FaceEmbedding


class TooFewPeopleError(FacematchError):
    """The people are too few to say anything of others."""


_LOOK_ALIKES = 10
"""A rate is measured by ten distances: so many pairs of one person, under two names, would spoil the lowest."""


@attrs.frozen
class LookAlikes:
    """Two people whose first photographs are unusually near to each other, or one person under two names."""

    one: str
    other: str
    distance: float


@attrs.frozen
class CalibratedEmbedder:
    """What was measured, what became of the photographs, and who is nearest to each other, the nearest first."""

    calibration: MeasuredCalibration
    acquisition: Acquisition
    look_alikes: tuple[LookAlikes, ...]


@attrs.frozen(kw_only=True)
class CalibrateEmbedder:
    """Measures the distances between different people."""

    read: ReadPhotos
    distances: Distances

    async def __call__(
        self,
        collection: LabelledPhotos,
        subject: Subject,
        known: KnownReadings | None = None,
        progress: Progress = lambda _done, _of: None,
    ) -> CalibratedEmbedder:
        """Return a curve for templates of one photograph, and of several where enough people have them.

        Raises:
            TooFewPeopleError: fewer than twenty people have a usable photograph.
            FacematchError: as :meth:`ReadPhotos.__call__`.

        """
        seen = await self.read(collection, subject, known, progress)
        people = len(seen.acquired)
        if people < LEAST_PEOPLE:
            raise TooFewPeopleError(
                f"{people} people have a photograph with a usable face; to calibrate takes {LEAST_PEOPLE}, "
                "better are several hundred"
            )
        curves = tuple(self._curves(seen))
        if not curves or curves[0].photographs != 1:
            raise TooFewPeopleError(
                "so many distances are the same that nothing can be said: are the photographs, too?"
            )
        measured = MeasuredCalibration(self.read.info.id, curves)
        return CalibratedEmbedder(measured, seen.acquisition, self._look_alikes(seen))

    def _look_alikes(self, seen: SeenPhotos) -> tuple[LookAlikes, ...]:
        firsts = [own[0] for own in seen.acquired.values()]
        probes = [usable.embedding for usable in firsts]
        pairs: dict[tuple[int, int], float] = {}
        for place, neighbours in enumerate(self.distances.nearest(probes, probes, 2)):
            nearest = next(one for one in neighbours if one.place != place)
            pairs[min(place, nearest.place), max(place, nearest.place)] = nearest.distance
        ranked = sorted((distance, one, other) for (one, other), distance in pairs.items())
        return tuple(
            LookAlikes(firsts[one].person, firsts[other].person, distance)
            for distance, one, other in ranked[:_LOOK_ALIKES]
        )

    def _curves(self, seen: SeenPhotos) -> Iterator[MeasuredCurve]:
        people = sorted(seen.acquired.values(), key=len, reverse=True)
        probes = [own[0].embedding for own in people]
        for photographs in CALIBRATED_TEMPLATES:
            enrolled = [own[:photographs] for own in people if len(own) >= photographs]
            if len(enrolled) < LEAST_PEOPLE:
                continue
            templates = [FaceEmbedding.mean_direction([usable.embedding for usable in own]) for own in enrolled]
            curve = measured_curve(photographs, len(enrolled), self.distances.across(templates, probes))
            if curve and len(enrolled) > SMALLEST_GALLERY_WITH_COHORT:
                curve = with_cohort(curve, self._strangers(probes, templates))
            if curve:
                yield curve

    def _strangers(
        self, probes: Sequence[FaceEmbedding], templates: Sequence[FaceEmbedding]
    ) -> Iterator[Sequence[float]]:
        """Yield the distances to the templates nearest to each probe but its own, which is at the same place.

        Two people who are the nearest to each other are in two searches, which are alike.
        """
        for place, near in enumerate(self.distances.nearest(probes, templates, NEEDED_CANDIDATES + 1)):
            yield [one.distance for one in near if one.place != place][:NEEDED_CANDIDATES]
