"""What the same servers do for a plain asyncio loop: the same fetch, SQL, event and acknowledgement, and nothing else.

No guardrails, retries, heartbeats, ledger semantics, limits, telemetry or log: the least that the work itself costs.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import attrs
import nats
import psycopg
from minio import Minio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pgvector import Vector
from pgvector.psycopg import register_vector_async
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from domain.faces import FaceEmbedding
from tests.benchmarks.site import steady_rate
from tests.benchmarks.stored_embedding.stored_embedding import MODEL, vector
from tests.e2e.world import SUBJECT, World

_DURABLE = "bare-loop"
_LOOK = "SELECT EXISTS (SELECT FROM photos WHERE id = %s)"
_MATCHED = (
    "SELECT EXISTS (SELECT FROM face_matches m JOIN photo_faces f ON f.id = m.photo_face_id WHERE f.photo_id = %s)"
)
_NEAREST = (
    "SELECT id, face_embedding::vector(128) <=> %s AS distance FROM users WHERE face_embedding_model = %s "
    "ORDER BY distance LIMIT 4"
)
_FACE = (
    "INSERT INTO photo_faces (id, photo_id, face_index, embedding, embedding_model, bbox, created_at) "
    "VALUES (%s, %s, 0, %s, %s, %s, now())"
)
_MATCH = "INSERT INTO face_matches (id, photo_face_id, user_id, confidence, created_at) VALUES (%s, %s, %s, %s, now())"
_OUTCOME = (
    "INSERT INTO facematch.outcomes "
    "(stream_seq, stored_at, photo_id, face_index, outcome, embedder, worker, occurred_at) "
    "VALUES (%s, %s, %s, 0, 'matched', %s, 'bare loop', now())"
)
See = Callable[[bytes], Awaitable[FaceEmbedding]]
"""Returns the embedding of the face on a photograph."""


async def see_nothing(_: bytes) -> FaceEmbedding:
    """Return the stored embedding, whatever the photograph."""
    return FaceEmbedding(MODEL, vector(0))


@attrs.frozen
class BareLoop:
    """The loop on its servers; ``concurrency`` jobs at once."""

    client: Client
    pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[object, ...]]]
    s3: Minio
    concurrency: int
    see: See
    ends: list[float] = attrs.Factory(list)

    async def run(self, jobs: int) -> float:
        """Do so many jobs and return how many a second, see :func:`tests.benchmarks.site.steady_rate`."""
        stream = self.client.jetstream()
        subscription = await stream.pull_subscribe(SUBJECT, durable=_DURABLE, stream="PHOTO_FACES")
        in_hand: set[asyncio.Task[None]] = set()
        left = jobs
        while left:
            if len(in_hand) == self.concurrency:
                done, in_hand = await asyncio.wait(in_hand, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            messages = await subscription.fetch(min(left, self.concurrency - len(in_hand)), timeout=10)
            left -= len(messages)
            in_hand |= {asyncio.create_task(self._do(stream, message)) for message in messages}
        await asyncio.gather(*in_hand)
        return steady_rate(self.ends)

    async def _do(self, stream: JetStreamContext, message: Msg) -> None:
        body = json.loads(message.data)
        photo = body["photo_id"]
        async with self.pool.connection() as connection:
            await connection.execute(_LOOK, [photo])
            await connection.execute(_MATCHED, [photo])
        face = await self.see(await asyncio.to_thread(self._fetch, body["image_ref"]))
        probe = Vector(list(face.vector))
        async with self.pool.connection() as connection:
            row = await (await connection.execute(_NEAREST, [probe, face.model])).fetchone()
        if row is None:
            raise AssertionError("nobody is enrolled")
        face_id = uuid4()
        box = Jsonb({"x1": 10, "y1": 10, "x2": 210, "y2": 210})
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(_FACE, [face_id, photo, probe, face.model, box])
            await connection.execute(_MATCH, [uuid4(), face_id, row[0], row[1]])
            key = [message.metadata.sequence.stream, message.metadata.timestamp]
            await connection.execute(_OUTCOME, [*key, photo, face.model])
        await stream.publish(
            "photo_faces.single.matched",
            json.dumps({"photo_id": photo, "outcome": "matched"}).encode(),
            headers={"Nats-Msg-Id": str(uuid4())},
        )
        await message.ack_sync()
        self.ends.append(time.monotonic())

    def _fetch(self, key: str) -> bytes:
        response = self.s3.get_object("images", key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()


async def run(world: World, *, concurrency: int, jobs: int, see: See = see_nothing) -> tuple[float, float]:
    """Return jobs per second, and the loop's own CPU seconds per job."""

    async def configure(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        await connection.set_autocommit(True)
        await register_vector_async(connection)

    client = await nats.connect(world.environment["FACEMATCH_NATS_URL"])
    pool: AsyncConnectionPool[psycopg.AsyncConnection[tuple[object, ...]]] = AsyncConnectionPool(
        world.environment["FACEMATCH_DATABASE_URL"],
        min_size=concurrency,
        max_size=concurrency,
        configure=configure,
        open=False,
    )
    async with pool:
        await pool.wait()
        loop = BareLoop(client, pool, world.s3, concurrency, see)
        before = os.times()
        rate = await loop.run(jobs)
        after = os.times()
    await client.jetstream().delete_consumer("PHOTO_FACES", _DURABLE)
    await client.close()
    return rate, (after.user + after.system - before.user - before.system) / jobs
