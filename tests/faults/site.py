"""Where workers are killed: real servers behind proxies, one worker at a time, and jobs whose end is known."""

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import psycopg

from infra.local_stack.stack import LocalStack
from infra.photographs import Photographs
from tests.e2e.embedders import remembering
from tests.e2e.world import World, eventually, make_world
from tests.faults.album import Job, add_photos, furnish
from tests.faults.audit import Findings, Verdict, compare, find
from tests.faults.crew import Crew
from tests.faults.proxy import Fate, Proxy, go_on
from tests.faulty_s3 import FaultyS3

QUICK: Final = {
    "FACEMATCH_NATS_ACK_WAIT": "2",
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.2",
    "FACEMATCH_S3_RETRY_BASE_SECONDS": "0.05",
    "FACEMATCH_WORKER_PROCESSES": "1",
    "FACEMATCH_LOG_FORMAT": "json",
}
_WAITING: Final = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s"
)


@attrs.frozen
class Trace:
    """What there is of a job: rows written, its outcome recorded, its event stored, its message acknowledged."""

    written: bool
    recorded: bool
    announced: bool
    acknowledged: bool


class Site:
    """A world whose worker reaches NATS and S3 through proxies."""

    def __init__(self, world: World, crew: Crew, nats: Proxy, s3: FaultyS3) -> None:
        self.world = world
        self.crew = crew
        self.nats = nats
        self.s3 = s3
        self.published: list[Job] = []

    async def publish(self, jobs: Sequence[Job]) -> int:
        """Publish jobs and return the last one's place in the stream."""
        sequence = 0
        for job in jobs:
            sequence = await self.world.publish(job.body)
            self.published.append(job)
        return sequence

    async def trace_of(self, job: Job, sequence: int) -> Trace:
        """Return what there is of a job, of whose predecessors all are acknowledged."""
        faces = self.world.sql("SELECT count(*) FROM photo_faces WHERE photo_id = %s", job.photo)
        outcomes = self.world.sql("SELECT count(*) FROM facematch.outcomes WHERE job_id = %s", job.job_id)
        announced = [event for event in await self.world.events() if event["job_id"] == str(job.job_id)]
        floor = (await self.world.js.consumer_info("PHOTO_FACES", "single-face-match")).ack_floor
        acknowledged = floor is not None and floor.stream_seq >= sequence
        return Trace(faces[0][0] > 0, outcomes[0][0] > 0, bool(announced), acknowledged)

    async def blocked(self, statement: str) -> None:
        """Return when the worker waits for a lock in a statement that is like this."""

        async def waiting() -> Any:
            return self.world.sql(_WAITING, statement)[0][0]

        await eventually(waiting, lambda count: count > 0, f"a statement like {statement} to wait")

    async def verdict(self, expected: Findings) -> Verdict:
        """Return what is wrong, once all is settled, with everything that was published so far."""
        return compare(self.published, expected, await find(self.world))

    async def forget(self) -> None:
        """Begin anew with the same photos and users: no outcome, no row, no message."""
        self.published.clear()
        await forget(self.world)


async def forget(world: World) -> None:
    """Remove everything that jobs left; no worker may run."""
    world.sql("TRUNCATE facematch.outcomes, facematch.attempts, photo_faces, face_matches")
    for stream in ("PHOTO_FACES", "PHOTO_FACES_RESULTS", "PHOTO_FACES_DEAD"):
        await world.js.delete_stream(stream)
    world.cli("provision")


@asynccontextmanager
async def open_site(folder: Path, photographs: Photographs, jobs: Sequence[Job]) -> AsyncIterator[Site]:
    """Open a site on servers of its own, with the photos that these jobs are about; nobody works there yet."""
    with ExitStack() as stack:
        servers = stack.enter_context(LocalStack(durable=False))
        servers.postgres.create_database("app")
        nats = stack.enter_context(Proxy(int(servers.nats.url.rpartition(":")[2])))
        s3 = stack.enter_context(FaultyS3(servers.s3.endpoint))
        environment = servers.environment("app") | QUICK | remembering(folder)
        async with make_world(environment, servers.s3.client(), folder) as world:
            world.prepare()
            furnish(world, photographs)
            add_photos(world, jobs)
            behind = {"FACEMATCH_NATS_URL": nats.before(servers.nats.url), "FACEMATCH_S3_ENDPOINT": s3.endpoint}
            crew = Crew(world.environment | behind, folder, 1)
            stack.callback(crew.end)
            yield Site(world, crew, nats, s3)


@contextmanager
def locked(world: World, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold what the statements lock until the block ends."""
    with psycopg.connect(world.environment["FACEMATCH_DATABASE_URL"]) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.rollback()


class Ear:
    """Hears a word that a client of a proxy says, and holds up everything from there on until it is let go."""

    def __init__(self, word: bytes) -> None:
        self._word = word
        self._heard = threading.Event()
        self._released = threading.Event()
        self._fate = Fate.HANG_UP

    def __call__(self, said: bytes) -> Fate:
        """Let pass what does not hold the word."""
        if self._word not in said:
            return Fate.GO_ON
        self._heard.set()
        self._released.wait()
        return self._fate

    def let_go(self, fate: Fate) -> None:
        """Let what was held up have that fate."""
        self._fate = fate
        self._released.set()

    async def heard(self) -> None:
        """Return when the word was said."""

        async def said() -> bool:
            return self._heard.is_set()

        await eventually(said, bool, f"somebody to say {self._word!r}")


@contextmanager
def held_back(proxy: Proxy, word: bytes) -> Iterator[Ear]:
    """Hold up whoever says the word before the server hears it; it never does unless they are let go."""
    proxy.listener = ear = Ear(word)
    try:
        yield ear
    finally:
        proxy.listener = go_on
        ear.let_go(Fate.HANG_UP)


@contextmanager
def unanswered(proxy: Proxy, word: bytes) -> Iterator[Ear]:
    """Let the server hear the word, and nobody its answer."""
    ear = Ear(word)
    ear.let_go(Fate.GO_ON)

    def listen(said: bytes) -> Fate:
        if word in said:
            proxy.silence()
        return ear(said)

    proxy.listener = listen
    try:
        yield ear
    finally:
        proxy.listener = go_on
        proxy.reset()
        proxy.speak()
