"""A whole installation to measure: durable servers, enrolled users, photographs in the store, and a worker."""

import asyncio
import json
import os
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import attrs
import nats
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector

from infra.local_stack.process import free_port
from infra.local_stack.stack import LocalStack

_FACEMATCH = str(Path(sysconfig.get_path("scripts")) / "facematch")
_TICKS = os.sysconf("SC_CLK_TCK")
SUBJECT = "photo_faces.single.requested"
BUCKET = "images"


@attrs.frozen
class Template:
    """An enrolled user's vector and the embedder that made it."""

    model: str
    vector: Sequence[float]


class Site:
    """Servers that keep what they confirm, as in production: NATS syncs always, PostgreSQL on every commit."""

    def __init__(self, stack: LocalStack) -> None:
        stack.postgres.create_database("app")
        self.stack = stack
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("FACEMATCH_", "OTEL_"))
        } | stack.environment("app")
        self.database_url = self.environment["FACEMATCH_DATABASE_URL"]
        for command in ("migrate", "provision"):
            subprocess.run([_FACEMATCH, command], env=self.environment, check=True, capture_output=True)
        self.s3 = stack.s3.client()
        self.s3.make_bucket(BUCKET)

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
        client = await nats.connect(self.stack.nats.url)
        try:
            stream = client.jetstream(publish_async_max_pending=256)
            futures = [
                await stream.publish_async(SUBJECT, job(photo, keys[number % len(keys)]))
                for number, photo in enumerate(photos)
            ]
            await asyncio.gather(*futures)
        finally:
            await client.close()

    async def wait_for_outcomes(self, count: int, *, seconds: float = 600.0) -> None:
        """Return when so many outcomes have been recorded."""
        deadline = time.monotonic() + seconds
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                row = await (await connection.execute("SELECT count(*) FROM facematch.outcomes")).fetchone()
                if row is not None and row[0] >= count:
                    return
                await asyncio.sleep(0.1)
        raise TimeoutError(f"{count} outcomes were not recorded within {seconds:g} s")

    def rates(self) -> tuple[int, float]:
        """Return how many outcomes there are, and how many a second between the 5th and the 95th of 100."""
        with psycopg.connect(self.database_url) as connection:
            times = [
                row[0].timestamp()
                for row in connection.execute("SELECT recorded_at FROM facematch.outcomes ORDER BY recorded_at")
            ]
        first, last = len(times) // 20, len(times) - len(times) // 20 - 1
        return len(times), (last - first) / (times[last] - times[first])

    async def forget(self) -> None:
        """Empty the ledger and the stream of jobs, so that the next round begins with nothing."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("TRUNCATE facematch.outcomes, facematch.attempts")
        client = await nats.connect(self.stack.nats.url)
        try:
            await client.jetstream().purge_stream("PHOTO_FACES")
        finally:
            await client.close()

    def servers_cpu(self) -> float:
        """Return the CPU seconds that NATS, PostgreSQL and S3 have used."""
        roots = (self.stack.nats.pid, self.stack.postgres.pid, self.stack.s3.pid)
        return sum(cpu_seconds(pid, with_children=True) for pid in roots if pid is not None)

    @contextmanager
    def worker(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker that is ready, until the block ends."""
        address = f"127.0.0.1:{free_port()}"
        environment = self.environment | {"FACEMATCH_HEALTH_ADDRESS": address} | variables
        process = subprocess.Popen(
            [_FACEMATCH, "worker"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_ready(process, address)
            yield process
        finally:
            process.terminate()
            process.wait()


def job(photo: UUID, key: str) -> bytes:
    """Return a job's body."""
    return json.dumps({"photo_id": str(photo), "image_ref": key, "faces_detected": 1}).encode()


def cpu_seconds(pid: int, *, with_children: bool) -> float:
    """Return user and system time of a process and, where asked, of its descendants and those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return 0.0
    own = sum(map(int, fields[11:15] if with_children else fields[11:13])) / _TICKS
    return own + (sum(cpu_seconds(int(child), with_children=True) for child in children) if with_children else 0.0)


def _wait_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the worker was not ready")
