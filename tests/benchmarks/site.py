"""A whole installation to measure: durable servers, enrolled users, photographs in the store, and a worker."""

import asyncio
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import attrs
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

from infra.local_stack.nats_cluster import NatsCluster
from infra.local_stack.stack import LocalStack
from tests.benchmarks import large_gallery
from tests.e2e.command import FACEMATCH
from tests.e2e.world import SUBJECT, WorkerProcess, World, eventually, make_world, open_jobs
from tests.processes import cpu_seconds, cpu_seconds_of_all

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 3600.0


def without_vision(embedder: str) -> dict[str, str]:
    """Return the settings of a worker with one of the embedders that only pretend to see."""
    return {
        "PYTHONPATH": str(Path(__file__).parent / "stored_embedding"),
        "FACEMATCH_EMBEDDER": embedder,
        "FACEMATCH_MATCH_MAX_DISTANCE": "none",
    }


_DIGITS_OF_TICKS = 2
"""The kernel counts CPU in hundredths of a second; sums of these differ in the last bits by their order."""


@attrs.frozen
class Template:
    """An enrolled user's vector and the embedder that made it."""

    model: str
    vector: Sequence[float]


@attrs.frozen
class Cpu:
    """Seconds of CPU: of workers' main processes, of the processes that see, and of each kind of server."""

    worker: float
    vision: float
    nats: float
    postgres: float
    s3: float

    @property
    def without_vision(self) -> float:
        """What everything but vision took."""
        return self.worker + self.nats + self.postgres + self.s3

    def since(self, earlier: "Cpu", *, per: float = 1.0) -> "Cpu":
        """Return what has been used since then, divided by ``per``.

        Raises:
            RuntimeError: it became less, because a process ended meanwhile and took its share with it.

        """
        pairs = zip(attrs.astuple(self), attrs.astuple(earlier), strict=True)
        used = [round(late - early, _DIGITS_OF_TICKS) for late, early in pairs]
        if min(used) < 0:
            raise RuntimeError(f"a process ended while its CPU was measured: {used}")
        return Cpu(*(seconds / per for seconds in used))


class _InProduction(WorkerProcess):
    """A worker that is started as people start it, since that is measured, too."""

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen([FACEMATCH, "worker"], env=self._environment, stdout=log, stderr=log)


class Site:
    """A world on servers that keep what they confirm, as in production: NATS syncs always, PostgreSQL every commit."""

    def __init__(self, world: World, servers: Sequence[Sequence[int | None]]) -> None:
        self.world = world
        self._servers = servers
        self._publisher = world.client.jetstream(publish_async_max_pending=256)

    def enrol(self, templates: Sequence[Template]) -> None:
        """Insert a user for each template."""
        with psycopg.connect(self.world.environment["FACEMATCH_DATABASE_URL"], autocommit=True) as connection:
            register_vector(connection)
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO users (id, face_embedding, face_embedding_model) VALUES (%s, %s, %s)",
                    [(uuid4(), Vector(list(each.vector)), each.model) for each in templates],
                )
            connection.execute("ANALYZE users")

    async def publish(self, photos: Sequence[UUID], keys: Sequence[str]) -> None:
        """Publish a job for each photo, with the keys in turn, many at a time."""
        futures = [
            await self._publisher.publish_async(SUBJECT, job(photo, keys[number % len(keys)]))
            for number, photo in enumerate(photos)
        ]
        await asyncio.gather(*futures)

    async def settled(self, look: Callable[[int], None] = lambda _: None) -> None:
        """Return when no job waits or is in hand.

        Until then, ``look`` is told twice a second how many are left.
        """

        async def left() -> int:
            count = await open_jobs(self.world.js)
            look(count)
            return count

        await eventually(
            left, lambda count: count == 0, "an empty queue", seconds=_PATIENCE_SECONDS, pause=_LOOK_SECONDS
        )

    def rate(self, matches: int) -> float:
        """Return how many jobs a second were recorded, see :func:`steady_rate`.

        Raises:
            RuntimeError: there are not so many matches, or other outcomes.

        """
        rows = self.world.sql("SELECT outcome, recorded_at FROM facematch.outcomes")
        if [outcome for outcome, _ in rows] != ["matched"] * matches:
            raise RuntimeError(f"instead of {matches} matches: {Counter(outcome for outcome, _ in rows)}")
        return steady_rate([at.timestamp() for _, at in rows])

    async def forget(self) -> None:
        """Empty the ledger and the stream of jobs, so that the next round begins with nothing."""
        self.world.sql("TRUNCATE facematch.outcomes, facematch.attempts")
        await self.world.js.purge_stream("PHOTO_FACES")

    def cpu(self, *workers: WorkerProcess) -> Cpu:
        """Return the CPU seconds that workers and servers have used."""
        own = sum(cpu_seconds(worker.process.pid) for worker in workers)
        whole = sum(cpu_seconds_of_all(worker.process.pid) for worker in workers)
        servers = (sum(cpu_seconds_of_all(pid) for pid in pids if pid is not None) for pids in self._servers)
        return Cpu(own, whole - own, *servers)

    def worker(self, variables: dict[str, str] | None = None) -> AbstractContextManager[WorkerProcess]:
        """Run a worker that is ready, until the block ends; nobody keeps its log."""
        return self.world.worker(Path(os.devnull), **(variables or {}))


@asynccontextmanager
async def open_site(cluster: NatsCluster | None = None, *, large: bool = False) -> AsyncIterator[Site]:
    """Open a site on servers of its own; a cluster takes the place of its NATS, and each server there has all streams.

    A large one's PostgreSQL has memory for a large gallery. It waits for its servers and workers without letting
    anything else run.
    """
    with LocalStack() as stack, tempfile.TemporaryDirectory() as folder:
        brokers = [stack.nats] if cluster is None else list(cluster.servers.values())
        if large:
            large_gallery.configure(stack.postgres)
        stack.postgres.create_database("app")
        environment = stack.environment("app") | {
            "FACEMATCH_NATS_URL": ",".join(broker.url for broker in brokers),
            "FACEMATCH_NATS_REPLICAS": str(len(brokers)),
        }
        async with make_world(environment, stack.s3.client(), Path(folder), _InProduction) as world:
            world.prepare()
            yield Site(world, ([broker.pid for broker in brokers], [stack.postgres.pid], [stack.s3.pid]))


def steady_rate(times: Sequence[float]) -> float:
    """Return how many a second there are between the 5th and the 95th of 100 moments, in seconds."""
    ordered = sorted(times)
    first, last = len(times) // 20, len(times) - len(times) // 20 - 1
    return (last - first) / (ordered[last] - ordered[first])


def job(photo: UUID, key: str) -> bytes:
    """Return a job's body."""
    return json.dumps({"photo_id": str(photo), "image_ref": key, "faces_detected": 1}).encode()
