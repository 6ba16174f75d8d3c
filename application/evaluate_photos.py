"""Evaluation: read photographs of known people, and count how well the embedder tells them apart."""

import asyncio
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import attrs

from application.ports.clock import Clock
from application.ports.distances import Distances
from application.ports.face_pipeline import Embed
from application.ports.face_reader import FaceReader
from application.ports.labelled_photos import LabelledPhoto, LabelledPhotos
from domain.decision import ThresholdPolicy
from domain.errors import AttemptFailedError, JobRejectedError
from domain.evaluation import (
    Evaluation,
    Identification,
    Pair,
    Search,
    Subject,
    Verification,
    identify,
    operating_points,
    own_pairs,
    pairs_to_verify,
    roles,
    strictest_distance,
    subject_of,
    verify,
)
from domain.faces import FaceEmbedding, StageTiming
from domain.guardrails import Objection
from domain.outcomes import Reason

_MOST_PEOPLE = 6_000
"""So many people are compared with each other, each by one photograph: 18 million pairs."""

_Acquired = Mapping[str, Sequence[FaceEmbedding]]


@attrs.frozen
class _Seen:
    """What became of one photograph: the embedding of its subject, or why there is none."""

    photo: LabelledPhoto
    embedding: FaceEmbedding | None
    reason: Reason | None = None
    stages: tuple[StageTiming, ...] = ()


@attrs.frozen(kw_only=True)
class EvaluatePhotos:
    """Measures the reader's embedder.

    ``threshold`` is the service's decision, whose error rates are counted; ``target_fpir`` the share of strangers that
    may be named, for which the best threshold is looked for; ``concurrency`` says how many photographs are in hand
    at once.
    """

    reader: FaceReader
    distances: Distances
    clock: Clock
    threshold: ThresholdPolicy
    target_fpir: float
    concurrency: int

    async def __call__(
        self,
        collection: LabelledPhotos,
        subject: Subject,
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> Evaluation:
        """Return what was counted; ``progress`` hears how many of how many photographs are read.

        Raises:
            FacematchError: there are no photographs.

        """
        photos = collection.photos()
        started = self.clock.monotonic()
        seen = await self._read_all(collection, photos, subject, progress)
        seconds = self.clock.monotonic() - started
        acquired: dict[str, list[FaceEmbedding]] = defaultdict(list)
        for one in seen:
            if one.embedding is not None:
                acquired[one.photo.person].append(one.embedding)
        impostors, genuine = self._impostors(acquired), self._genuine(acquired)
        by_default, by_measure = self._identifications(acquired)
        return Evaluation(
            embedder=self.reader.info.id,
            subject=subject,
            people=len({photo.person for photo in photos}),
            photographs=len(photos),
            seconds=seconds,
            milliseconds=_mean_milliseconds(seen),
            not_acquired=Counter(one.reason for one in seen if one.reason is not None),
            impostor_pairs=len(impostors),
            genuine_pairs=len(genuine),
            verification=self._verification(seen),
            points=operating_points(impostors, genuine, self.reader.info.calibration),
            by_default=by_default,
            by_measure=by_measure,
        )

    async def _read_all(
        self,
        collection: LabelledPhotos,
        photos: Sequence[LabelledPhoto],
        subject: Subject,
        progress: Callable[[int, int], None],
    ) -> list[_Seen]:
        hands = asyncio.Semaphore(self.concurrency)
        done = 0

        async def read(photo: LabelledPhoto) -> _Seen:
            nonlocal done
            async with hands:
                seen = await self._read(collection, photo, subject)
            done += 1
            progress(done, len(photos))
            return seen

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(photo)) for photo in photos]
        return [task.result() for task in tasks]

    async def _read(self, collection: LabelledPhotos, photo: LabelledPhoto, subject: Subject) -> _Seen:
        embed = Embed.ONLY_FACE if subject is Subject.ONE else Embed.ALL
        try:
            reading = await self.reader.read(await collection.fetch(photo), embed=embed)
        except (JobRejectedError, AttemptFailedError) as error:
            return _Seen(photo, None, error.reason)
        match subject_of(reading, subject):
            case Objection(reason=reason):
                return _Seen(photo, None, reason, reading.stages)
            case face:
                return _Seen(photo, face.embedding, None, reading.stages)

    def _verification(self, seen: Sequence[_Seen]) -> Verification | None:
        people: dict[str, list[_Seen]] = defaultdict(list)
        for one in seen:
            people[one.photo.person].append(one)
        drawn = list(pairs_to_verify(people))
        both = [(one.embedding, other.embedding) for _, _, one, other in drawn]
        compared = [(one, other) for one, other in both if one is not None and other is not None]
        distances = iter(self._pairwise(compared))
        pairs = [
            Pair(fold, same, None if one is None or other is None else next(distances))
            for (fold, same, _, _), (one, other) in zip(drawn, both, strict=True)
        ]
        return verify(pairs)

    def _impostors(self, acquired: _Acquired) -> Sequence[float]:
        firsts = [embeddings[0] for embeddings in acquired.values()]
        return self.distances.among(firsts[:: max(1, math.ceil(len(firsts) / _MOST_PEOPLE))])

    def _genuine(self, acquired: _Acquired) -> Sequence[float]:
        return self._pairwise(list(own_pairs(acquired)))

    def _pairwise(self, pairs: Sequence[tuple[FaceEmbedding, FaceEmbedding]]) -> Sequence[float]:
        return self.distances.pairwise([one for one, _ in pairs], [other for _, other in pairs])

    def _identifications(self, acquired: _Acquired) -> tuple[Identification | None, Identification | None]:
        parts = roles(acquired)
        if not parts.enrolled:
            return None, None
        searches = self._searches(acquired, parts.enrolled, parts.strangers)
        size = len(parts.enrolled)
        limit = self.threshold.threshold(size)
        measured = strictest_distance(searches, self.target_fpir)
        return (
            identify(searches, size, math.inf if limit is None else limit),
            None if measured is None else identify(searches, size, measured),
        )

    def _searches(self, acquired: _Acquired, enrolled: Sequence[str], strangers: Sequence[str]) -> list[Search]:
        gallery = [acquired[name][0] for name in enrolled]
        own = [(name, probe) for name in enrolled for probe in acquired[name][1:]]
        strange = [probe for name in strangers for probe in acquired[name]]
        found = self.distances.nearest([probe for _, probe in own] + strange, gallery)
        return [
            *(
                Search(distance, enrolled[place] == name)
                for (name, _), (place, distance) in zip(own, found, strict=False)
            ),
            *(Search(distance, None) for _, distance in found[len(own) :]),
        ]


def _mean_milliseconds(seen: Sequence[_Seen]) -> dict[str, float]:
    took: dict[str, list[float]] = defaultdict(list)
    for stage in (stage for one in seen for stage in one.stages):
        took[stage.name].append(stage.milliseconds)
    return {name: statistics.fmean(times) for name, times in took.items()}
