"""Evaluation: read photographs of known people, and count how well the embedder tells them apart."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from uuid import UUID

import attrs

from application.evaluation.read_photos import ReadPhotos, SeenPhotos, UsableFace
from application.ports.distances import Distances
from application.ports.known_readings import KnownReadings
from application.ports.labelled_photos import LabelledPhotos
from application.progress import Progress
from domain.calibration import Calibration
from domain.decision import NEEDED_CANDIDATES, Candidate, NobodyEnrolled, TargetFpir, ThresholdPolicy, decide
from domain.evaluation.comparison import (
    Genuine,
    OperatingPoint,
    error_curve,
    histogram,
    missed,
    operating_points,
    reference_point,
)
from domain.evaluation.discard import QUALITIES, DiscardCurve, GradedPair, GradedPhoto, discard_points
from domain.evaluation.identification import (
    SEARCHED_TEMPLATES,
    GalleryFigures,
    Searched,
    as_configured,
    at_distance,
    galleries,
    gallery_sizes,
    largest_distance_at,
    nearest_named,
    rank_one,
    roles,
    trade_off,
)
from domain.evaluation.proportions import LEAST_PEOPLE, Proportion
from domain.evaluation.results import Evaluation, GroupFigures, grouping
from domain.evaluation.subjects import Subject
from domain.evaluation.verification import Pair, Verification, own_pairs, pairs_to_verify, verify
from domain.faces import DetectedFace, FaceEmbedding

_MOST_PEOPLE = 6_000
"""So many people are compared with each other, each by one photograph: 18 million pairs."""

_Acquired = Mapping[str, Sequence[UsableFace]]


@attrs.frozen
class _GenuinePair:
    """Two faces of one person, and how far apart they are."""

    genuine: Genuine
    faces: tuple[DetectedFace, DetectedFace]


@attrs.frozen(kw_only=True)
class EvaluatePhotos:
    """Measures an embedder.

    ``threshold`` and ``margin`` (to the second nearest) are the service's decision, whose error rates are counted, and
    ``calibration`` the impostor distances that it goes by. Where it aims at a share of strangers, the best threshold
    for that share is looked for.
    """

    read: ReadPhotos
    distances: Distances
    threshold: ThresholdPolicy
    calibration: Calibration
    margin: float = 0.0

    @property
    def target_fpir(self) -> float | None:
        """The share of strangers that the service aims at; None where its threshold follows from none."""
        return self.threshold.fpir if isinstance(self.threshold, TargetFpir) else None

    async def __call__(
        self,
        collection: LabelledPhotos,
        subject: Subject,
        known: KnownReadings | None = None,
        progress: Progress = lambda _done, _of: None,
    ) -> Evaluation:
        """Return what was counted; photographs whose readings are ``known`` are not read again.

        Raises:
            FacematchError: as :meth:`ReadPhotos.__call__`, or the collection's groups cannot be understood.

        """
        memberships = collection.memberships()
        seen = await self.read(collection, subject, known, progress)
        acquired = seen.acquired
        people, pairs = _compared(acquired), self._genuine(acquired)
        impostors = self.distances.across(people, people)
        genuine = [pair.genuine for pair in pairs]
        points = operating_points(impostors, partial(self.distances.near, people), genuine, self.calibration)
        figures, everybody = self._all_galleries(acquired)
        fallen = None if memberships is None else grouping(memberships, list(seen.people))
        members = fallen.members if fallen else {}
        return Evaluation(
            embedder=self.read.info.id,
            subject=subject,
            target_fpir=self.target_fpir,
            acquisition=seen.acquisition,
            verification=self._verification(seen),
            impostor_pairs=len(impostors),
            genuine_pairs=len(genuine),
            points=points,
            curve=error_curve(impostors, [pair.distance for pair in genuine]),
            histogram=histogram(impostors, genuine),
            galleries=figures,
            named_strangers=nearest_named(everybody),
            discards=_discards(seen, pairs, reference_point(points)),
            groups=tuple(self._groups(members, seen, genuine, everybody, reference_point(points))),
            grouping=fallen,
        )

    def _verification(self, seen: SeenPhotos) -> Verification | None:
        drawn = list(pairs_to_verify(seen.people))
        both = [(one.usable, other.usable) for _, _, one, other in drawn]
        distances = iter(self._pairwise([(one, other) for one, other in both if one and other]))
        pairs = [
            Pair(fold, same, next(distances) if one and other else None)
            for (fold, same, _, _), (one, other) in zip(drawn, both, strict=True)
        ]
        return verify(pairs)

    def _genuine(self, acquired: _Acquired) -> list[_GenuinePair]:
        pairs = list(own_pairs(acquired))
        return [
            _GenuinePair(Genuine(one.person, distance), (one.face, other.face))
            for (one, other), distance in zip(pairs, self._pairwise(pairs), strict=True)
        ]

    def _pairwise(self, pairs: Sequence[tuple[UsableFace, UsableFace]]) -> Sequence[float]:
        return self.distances.pairwise([one.embedding for one, _ in pairs], [other.embedding for _, other in pairs])

    def _all_galleries(self, acquired: _Acquired) -> tuple[tuple[GalleryFigures, ...], Sequence[Searched]]:
        """Return the figures, and the searches among everybody enrolled with one photograph."""
        figures, everybody = [], list[Searched]()
        for photographs in SEARCHED_TEMPLATES:
            parts = roles(acquired, photographs)
            if photographs > 1 and len(parts.enrolled) < LEAST_PEOPLE:
                continue
            for size in gallery_sizes(len(parts.enrolled)):
                drawn = galleries(parts.enrolled, size)
                searches = [
                    search
                    for names in drawn
                    for search in self._searches(acquired, names, parts.strangers, photographs)
                ]
                figures.append(self._figures(searches, photographs, size, len(drawn)))
                if photographs == 1:
                    everybody = searches
        return tuple(figures), everybody

    def _figures(self, searches: Sequence[Searched], photographs: int, size: int, drawn: int) -> GalleryFigures:
        target = self.target_fpir
        measured = None if target is None else largest_distance_at(searches, target)
        return GalleryFigures(
            photographs,
            drawn,
            rank_one(searches),
            as_configured(searches, size),
            None if measured is None else at_distance(searches, size, measured),
            trade_off(searches),
        )

    def _searches(
        self, acquired: _Acquired, enrolled: Sequence[str], strangers: Iterable[str], photographs: int
    ) -> Iterator[Searched]:
        """Search for the enrolled by all but their first photographs, which make their templates, and for strangers."""
        gallery = [
            FaceEmbedding.mean_direction([usable.embedding for usable in acquired[name][:photographs]])
            for name in enrolled
        ]
        own = [usable for name in enrolled for usable in acquired[name][photographs:]]
        strange = [usable for name in strangers for usable in acquired[name]]
        found = self.distances.nearest([one.embedding for one in own + strange], gallery, NEEDED_CANDIDATES)
        for number, (usable, neighbours) in enumerate(zip(own + strange, found, strict=True)):
            candidates = [Candidate(UUID(int=one.place), one.distance, photographs) for one in neighbours]
            decision = decide(candidates, self.threshold, len(gallery), self.margin)
            if not isinstance(decision, NobodyEnrolled):
                nearest = enrolled[neighbours[0].place]
                right = nearest == usable.person if number < len(own) else None
                yield Searched.judged(usable.person, str(usable.photo), nearest, decision, self.margin, right=right)

    def _groups(
        self,
        groups: Mapping[str, Collection[str]],
        seen: SeenPhotos,
        genuine: Sequence[Genuine],
        searches: Sequence[Searched],
        point: OperatingPoint | None,
    ) -> Iterator[GroupFigures]:
        acquired = seen.acquired
        enrolled = len(roles(acquired).enrolled)
        for group, members in sorted(groups.items()):
            photographs = [one for one in seen.all if one.photo.person in members]
            own = [search for search in searches if search.person in members]
            among = as_configured(own, enrolled) if own else None
            errors = Proportion(0, 0), Proportion(0, 0)
            if point:
                people = _compared({name: own for name, own in acquired.items() if name in members})
                errors = (
                    Proportion.by_pair(self.distances.near(people, point.distance)),
                    missed([pair for pair in genuine if pair.person in members], point.distance),
                )
            yield GroupFigures(
                group=group,
                people=len(members),
                photographs=len(photographs),
                not_acquired=Proportion.by_person((one.photo.person, one.usable is None) for one in photographs),
                distance=point.distance if point else None,
                false_match=errors[0],
                false_non_match=errors[1],
                false_positive=among.false_positive if among else Proportion(0, 0),
                false_negative=among.false_negative if among else Proportion(0, 0),
            )


def _compared(acquired: _Acquired) -> Sequence[FaceEmbedding]:
    """Return the first face of everybody, or of some where they are too many, to be compared with each other."""
    firsts = [own[0].embedding for own in acquired.values()]
    return firsts[:: max(1, math.ceil(len(firsts) / _MOST_PEOPLE))]


def _discards(
    seen: SeenPhotos, pairs: Sequence[_GenuinePair], point: OperatingPoint | None
) -> tuple[DiscardCurve, ...]:
    if point is None:
        return ()
    faces = [one.usable.face for one in seen.all if one.usable]
    curves = []
    for name, quality in QUALITIES.items():
        grades = {id(face): grade for face in faces if (grade := quality(face)) is not None}
        if len(grades) == len(faces):
            graded = [GradedPair(pair.genuine, min(grades[id(face)] for face in pair.faces)) for pair in pairs]
            photographs = [
                GradedPhoto(one.photo.person, grades[id(one.usable.face)] if one.usable else None) for one in seen.all
            ]
            curves.append(DiscardCurve(name, discard_points(photographs, graded, point.distance)))
    return tuple(curve for curve in curves if curve.points)
