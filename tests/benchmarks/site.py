"""A whole installation to measure: durable servers, enrolled users, photographs in the store, and a worker."""

import asyncio
import json
import os
import subprocess
import sysconfig
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import attrs
import nats
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

from infra.local_stack.nats_cluster import NatsCluster
from infra.local_stack.process import free_port
from infra.local_stack.stack import LocalStack

_FACEMATCH = str(Path(sysconfig.get_path("scripts")) / "facematch")
_TICKS = os.sysconf("SC_CLK_TCK")
SUBJECT = "photo_faces.single.requested"
_STREAM, _DURABLE = "PHOTO_FACES", "single-face-match"
BUCKET = "images"
_LOOK_SECONDS = 0.5


def without_vision(embedder: str) -> dict[str, str]:
    """Return the settings of a worker with one of the embedders that only pretend to see."""
    return {
        "PYTHONPATH": str(Path(__file__).parent / "stored_embedding"),
        "FACEMATCH_EMBEDDER": embedder,
        "FACEMATCH_MATCH_MAX_DISTANCE": "none",
    }


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
        used = [late - early for late, early in zip(attrs.astuple(self), attrs.astuple(earlier), strict=True)]
        if min(used) < 0:
            raise RuntimeError(f"a process ended while its CPU was measured: {used}")
        return Cpu(*(seconds / per for seconds in used))


class Site:
    """Servers that keep what they confirm, as in production: NATS syncs always, PostgreSQL on every commit.

    With a ``cluster``, its servers take the place of the stack's NATS, and each has a copy of every stream.
    """

    def __init__(self, stack: LocalStack, cluster: NatsCluster | None = None) -> None:
        stack.postgres.create_database("app")
        self.stack = stack
        self._brokers = [stack.nats] if cluster is None else list(cluster.servers.values())
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("FACEMATCH_", "OTEL_"))
        } | stack.environment("app")
        self.environment |= {
            "FACEMATCH_NATS_URL": ",".join(self.nats_urls),
            "FACEMATCH_NATS_REPLICAS": str(len(self._brokers)),
        }
        self.database_url = self.environment["FACEMATCH_DATABASE_URL"]
        for command in ("migrate", "provision"):
            subprocess.run([_FACEMATCH, command], env=self.environment, check=True, capture_output=True)
        self.s3 = stack.s3.client()
        self.s3.make_bucket(BUCKET)

    @property
    def nats_urls(self) -> list[str]:
        """Where clients connect to NATS."""
        return [broker.url for broker in self._brokers]

    def put(self, key: str, content: bytes) -> str:
        """Store a photograph; return its key."""
        self.s3.put_object(BUCKET, key, BytesIO(content), len(content))
        return key

    def enrol(self, templates: Sequence[Template]) -> None:
        """Insert a user for each template."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            register_vector(connection)
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO users (id, face_embedding, face_embedding_model) VALUES (%s, %s, %s)",
                    [(uuid4(), Vector(list(each.vector)), each.model) for each in templates],
                )
            connection.execute("ANALYZE users")

    def add_photos(self, count: int) -> list[UUID]:
        """Insert photos; return their ids."""
        photos = [uuid4() for _ in range(count)]
        with psycopg.connect(self.database_url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO photos (id) VALUES (%s)", [(photo,) for photo in photos])
        return photos

    async def publish(self, photos: Sequence[UUID], keys: Sequence[str]) -> None:
        """Publish a job for each photo, with the keys in turn."""
        client = await nats.connect(self.nats_urls)
        try:
            stream = client.jetstream(publish_async_max_pending=256)
            futures = [
                await stream.publish_async(SUBJECT, job(photo, keys[number % len(keys)]))
                for number, photo in enumerate(photos)
            ]
            await asyncio.gather(*futures)
        finally:
            await client.close()

    async def settle(self, *, seconds: float = 600.0, look: Callable[[int], None] = lambda _: None) -> None:
        """Return when no job waits or is in hand.

        Until then, ``look`` is told twice a second how many are left.
        """
        deadline = time.monotonic() + seconds
        client = await nats.connect(self.nats_urls)
        try:
            while time.monotonic() < deadline:
                info = await client.jetstream().consumer_info(_STREAM, _DURABLE)
                left = (info.num_pending or 0) + (info.num_ack_pending or 0)
                look(left)
                if not left:
                    return
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await client.close()
        raise TimeoutError(f"the jobs were not settled within {seconds:g} s")

    def rate(self, matches: int) -> float:
        """Return how many jobs a second were recorded, see :func:`steady_rate`.

        Raises:
            RuntimeError: there are not so many matches, or other outcomes.

        """
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute("SELECT outcome, recorded_at FROM facematch.outcomes").fetchall()
        if [outcome for outcome, _ in rows] != ["matched"] * matches:
            raise RuntimeError(f"instead of {matches} matches: {Counter(outcome for outcome, _ in rows)}")
        return steady_rate([at.timestamp() for _, at in rows])

    async def forget(self) -> None:
        """Empty the ledger and the stream of jobs, so that the next round begins with nothing."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("TRUNCATE facematch.outcomes, facematch.attempts")
        client = await nats.connect(self.nats_urls)
        try:
            await client.jetstream().purge_stream(_STREAM)
        finally:
            await client.close()

    def cpu(self, *workers: subprocess.Popen[bytes]) -> Cpu:
        """Return the CPU seconds that workers and servers have used."""
        own = sum(cpu_seconds(worker.pid, with_children=False) for worker in workers)
        whole = sum(cpu_seconds(worker.pid, with_children=True) for worker in workers)
        brokers = [broker.pid for broker in self._brokers]
        servers = [
            sum(cpu_seconds(pid, with_children=True) for pid in pids if pid is not None)
            for pids in (brokers, [self.stack.postgres.pid], [self.stack.s3.pid])
        ]
        return Cpu(own, whole - own, *servers)

    @contextmanager
    def worker(
        self, variables: Mapping[str, str] | None = None, *, log: Path = Path(os.devnull)
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker that is ready, until the block ends."""
        address = f"127.0.0.1:{free_port()}"
        environment = self.environment | {"FACEMATCH_HEALTH_ADDRESS": address, **(variables or {})}
        with log.open("wb") as stream:
            process = subprocess.Popen([_FACEMATCH, "worker"], env=environment, stdout=stream, stderr=stream)
        try:
            _wait_ready(process, address)
            yield process
        finally:
            process.terminate()
            process.wait()


def steady_rate(times: Sequence[float]) -> float:
    """Return how many a second there are between the 5th and the 95th of 100 moments, in seconds."""
    ordered = sorted(times)
    first, last = len(times) // 20, len(times) - len(times) // 20 - 1
    return (last - first) / (ordered[last] - ordered[first])


def job(photo: UUID, key: str) -> bytes:
    """Return a job's body."""
    return json.dumps({"photo_id": str(photo), "image_ref": key, "faces_detected": 1}).encode()


def cpu_seconds(pid: int, *, with_children: bool) -> float:
    """Return user and system time of a process and, where asked, of its descendants and those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = sum(map(int, fields[11:15] if with_children else fields[11:13])) / _TICKS
    return own + (sum(cpu_seconds(child, with_children=True) for child in children(pid)) if with_children else 0.0)


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process's main thread has started; none when it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _wait_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the worker was not ready")
