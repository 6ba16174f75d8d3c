"""What a run has left behind, and whether it is what it should be."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import attrs

from domain.jobs import JobKey
from tests.e2e.world import World, eventually
from tests.faults.album import Job

_SHOWN: Final = 10
_OUTCOMES: Final = "SELECT job_id, photo_id, outcome, reason, stream_seq, stored_at FROM facematch.outcomes"
_FACES: Final = "SELECT photo_id, face_index, embedding_model, bbox::text, md5(embedding::text) FROM photo_faces"
_MATCHES: Final = (
    "SELECT f.photo_id, f.face_index, m.user_id, m.confidence "
    "FROM face_matches m JOIN photo_faces f ON f.id = m.photo_face_id"
)
_UNMARKED: Final = "SELECT count(*) FROM facematch.outcomes WHERE published_at IS NULL"
_MALFORMED: Final = "malformed_payload"


@attrs.frozen
class Event:
    """One result event as it is stored: its identity, the job and photo it speaks of, and what it says."""

    message_id: str
    job_id: UUID
    said: dict[str, Any]


@attrs.frozen
class Findings:
    """What was found after a run: rows without ids and times that differ from run to run, and what is stored."""

    outcomes: Mapping[UUID, list[tuple[str, str | None]]]
    identities: Mapping[UUID, str]
    faces: Mapping[UUID, Counter[tuple[Any, ...]]]
    matches: Mapping[UUID, Counter[tuple[Any, ...]]]
    events: Mapping[UUID, list[Event]]
    dead: Sequence[tuple[UUID, str]]

    def of(self, photo: UUID, jobs: Sequence[Job]) -> tuple[Any, ...]:
        """Return what became of a photo, whichever of its jobs it was that did it."""
        outcomes = Counter(outcome for job in jobs for outcome in self.outcomes.get(job.job_id, []))
        return outcomes, self.faces.get(photo, Counter()), self.matches.get(photo, Counter())


@attrs.frozen
class Verdict:
    """What is wrong with a run, compared with an undisturbed one: each a list of descriptions."""

    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    dead: list[str]

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return not (self.lost or self.doubled or self.wrong or self.dead)

    def __str__(self) -> str:
        """Tell the first few of each."""
        parts = attrs.asdict(self)
        return "\n".join(f"{name} {len(what)}: {what[:_SHOWN]}" for name, what in parts.items())


async def find(world: World) -> Findings:
    """Return what is there once every job is acknowledged and every event is marked."""
    await world.settled()

    async def unmarked() -> Any:
        return world.sql(_UNMARKED)[0][0]

    await eventually(unmarked, lambda count: count == 0, "every event to be marked as published")
    return await look(world)


async def look(world: World) -> Findings:
    """Return what is there at this moment."""
    outcomes, identities = defaultdict(list), {}
    for job, _, outcome, reason, sequence, stored_at in world.sql(_OUTCOMES):
        outcomes[job].append((outcome, reason))
        identities[job] = f"facematch-{JobKey(sequence, stored_at)}"
    events = defaultdict(list)
    for message in await world.stored("PHOTO_FACES_RESULTS"):
        said = json.loads(message.data)
        event = Event(message.headers["Nats-Msg-Id"], UUID(said["job_id"]), said)
        events[event.job_id].append(event)
    dead = [
        (UUID(json.loads(message.data)["job_id"]), message.headers["Facematch-Reason"])
        for message in await world.stored("PHOTO_FACES_DEAD")
    ]
    return Findings(outcomes, identities, _by_photo(world, _FACES), _by_photo(world, _MATCHES), events, dead)


def compare(jobs: Sequence[Job], expected: Findings, found: Findings) -> Verdict:
    """Return everything in which a run of these jobs differs from what an undisturbed run of them gave."""
    return Verdict(
        lost=[*_lost(jobs, found)],
        doubled=[*_doubled(jobs, found)],
        wrong=[*_wrong(jobs, expected, found)],
        dead=[f"{job} {reason}" for job, reason in found.dead if reason != _MALFORMED],
    )


def _lost(jobs: Sequence[Job], found: Findings) -> Iterator[str]:
    letters = {job for job, _ in found.dead}
    for job in jobs:
        if not found.outcomes.get(job.job_id):
            yield f"{job.kind.name} {job.job_id} has no outcome"
        if not found.events.get(job.job_id):
            yield f"{job.kind.name} {job.job_id} has no event"
        if job.kind.name == _MALFORMED and job.job_id not in letters:
            yield f"{job.kind.name} {job.job_id} has no dead letter"


def _doubled(jobs: Sequence[Job], found: Findings) -> Iterator[str]:
    letters = Counter(job for job, _ in found.dead)
    for job in jobs:
        if len(found.outcomes.get(job.job_id, [])) > 1:
            yield f"{job.kind.name} {job.job_id} has outcomes {found.outcomes[job.job_id]}"
        copies = found.events.get(job.job_id, [])
        if len({event.message_id for event in copies}) > 1:
            yield f"{job.kind.name} {job.job_id} has events {copies}"
        if letters[job.job_id] > 1:
            yield f"{job.kind.name} {job.job_id} has {letters[job.job_id]} dead letters"
    for photo, rows in found.matches.items():
        if rows.total() > 1:
            yield f"photo {photo} has matches {rows}"


def _wrong(jobs: Sequence[Job], expected: Findings, found: Findings) -> Iterator[str]:
    of_photo = defaultdict(list)
    for job in jobs:
        of_photo[job.photo].append(job)
    for photo, its_jobs in of_photo.items():
        should, is_ = expected.of(photo, its_jobs), found.of(photo, its_jobs)
        if should != is_:
            yield f"{its_jobs[0].kind.name} {photo} should be {_brief(should)} and is {_brief(is_)}"
    for job in jobs:
        for event in found.events.get(job.job_id, []):
            told = (event.said["outcome"], event.said["reason"])
            if [told] != found.outcomes.get(job.job_id) or event.message_id != found.identities.get(job.job_id):
                yield f"{job.kind.name} {job.job_id}: {event} is not what is recorded"
    for photo in (found.faces.keys() | found.matches.keys()) - of_photo.keys():
        yield f"photo {photo}, of which no job spoke, has rows"


def _by_photo(world: World, query: str) -> Mapping[UUID, Counter[tuple[Any, ...]]]:
    rows: defaultdict[UUID, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for photo, *row in world.sql(query):
        rows[photo][tuple(row)] += 1
    return rows


def _brief(what: tuple[Any, ...]) -> str:
    return str([dict(counter) for counter in what])[:600]
