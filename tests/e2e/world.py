"""A whole world for one end-to-end test: real servers, the real worker as its own process, and ways to look."""

import asyncio
import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import nats
import psycopg
from jsonschema import Draft202012Validator
from minio import Minio
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from infra.local_stack.process import free_port
from tests.e2e.command import Done, clean_environment, run_cli
from tests.e2e.forked import Forked, run_forked
from tests.processes import command, descendants

SUBJECT = "photo_faces.single.requested"
PATIENCE_SECONDS = 60.0
_LINE_SCHEMA = Draft202012Validator(
    {**json.loads(Path("docs/reference/schemas/log-line.json").read_text()), "additionalProperties": False}
)


class WorkerProcess:
    """One running ``facematch worker``."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.health = f"127.0.0.1:{free_port()}"
        self.log = log
        self._environment = {**environment, "FACEMATCH_HEALTH_ADDRESS": self.health}
        self.process = self._start()

    def _start(self) -> Forked | subprocess.Popen[bytes]:
        return Forked(self._environment, ["worker"], self.log, self.log)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a health endpoint; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"http://{self.health}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    async def not_ready(self) -> dict[str, str]:
        """Return what ``/readyz`` says keeps the worker from working, by dependency."""
        status, body = self.get("/readyz")
        reasons: dict[str, str] = json.loads(body)["reasons"] if status else {"worker": body}
        return reasons

    def wait_ready(self) -> None:
        """Return when the worker takes jobs; fail with its log when it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.get("/readyz")[0] != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"worker not ready {self.get('/readyz')}:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()

    def vision_processes(self) -> list[int]:
        """Return the ids of its vision processes, after that of the one that makes them; none where it is gone."""
        return [pid for pid in descendants(self.process.pid) if b"adapters.vision.processes.child" in command(pid)]

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's JSON lines."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def job_lines(self) -> list[dict[str, Any]]:
        """Return the canonical lines, each of which is what its schema describes."""
        lines = [line for line in self.lines() if line.get("event") == "job"]
        for line in lines:
            _LINE_SCHEMA.validate(line)
        return lines


class World:
    """Databases, buckets and streams of one test."""

    def __init__(
        self,
        environment: dict[str, str],
        s3: Minio,
        client: Client,
        folder: Path,
        worker_type: type[WorkerProcess] = WorkerProcess,
    ) -> None:
        self.environment = environment
        self.s3 = s3
        self.client = client
        self.js: JetStreamContext = client.jetstream()
        self._folder = folder
        self._worker_type = worker_type
        self._workers: list[WorkerProcess] = []
        self._read: dict[tuple[str, object], dict[int, Any]] = {}

    def prepare(self) -> None:
        """Migrate, provision, and make the bucket."""
        self.cli("migrate")
        self.cli("provision")
        if not self.s3.bucket_exists("images"):
            self.s3.make_bucket("images")

    def cli(self, *arguments: str, check: bool = True) -> Done:
        """Run ``facematch`` and return what it said; as a process where it has to find packages of others."""
        run = run_forked if "PYTHONPATH" in self.environment else run_cli
        done = run(*arguments, **self.environment)
        if check and done.returncode != 0:
            raise AssertionError(f"facematch {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    @contextlib.contextmanager
    def worker(self, log: Path | None = None, /, **overrides: str) -> Iterator[WorkerProcess]:
        """Run a worker until the block ends, which begins when it takes jobs."""
        with self.starting_worker(log, **overrides) as worker:
            worker.wait_ready()
            yield worker

    @contextlib.contextmanager
    def starting_worker(self, log: Path | None = None, /, **overrides: str) -> Iterator[WorkerProcess]:
        """Run a worker until the block ends, whatever it waits for."""
        log = log or self._folder / f"worker-{len(self._workers)}.log"
        worker = self._worker_type({**self.environment, **overrides}, log)
        self._workers.append(worker)
        try:
            yield worker
        finally:
            worker.stop()

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with psycopg.connect(self.environment["FACEMATCH_DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def add_user(self) -> UUID:
        """Insert a user row."""
        user = uuid4()
        self.sql("INSERT INTO users (id) VALUES (%s)", user)
        return user

    def add_photo(self) -> UUID:
        """Insert a photo row."""
        [photo] = self.add_photos(1)
        return photo

    def add_photos(self, count: int) -> list[UUID]:
        """Insert so many photo rows."""
        insert = "INSERT INTO photos (id) SELECT gen_random_uuid() FROM generate_series(1, %s) RETURNING id"
        return [photo for (photo,) in self.sql(insert, count)]

    def put(self, key: str, content: bytes, bucket: str = "images") -> str:
        """Store an object and return its key."""
        self.s3.put_object(bucket, key, BytesIO(content), len(content))
        return key

    async def publish(self, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> int:
        """Publish a job and return its place in the stream."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        return (await self.js.publish(SUBJECT, payload, headers=headers)).seq

    async def stored(self, stream: str) -> list[Any]:
        """Return every message of a stream, oldest first; each is asked for once, however often this is called."""
        info = await self.js.stream_info(stream)
        if not info.state.messages:
            return []
        known = self._read.setdefault((stream, info.created), {})
        there = range(info.state.first_seq, info.state.last_seq + 1)
        for seq in there:
            if seq not in known:
                known[seq] = await self.js.get_msg(stream, seq)
        return [known[seq] for seq in there]

    async def events(self) -> list[dict[str, Any]]:
        """Return the bodies of every result event, oldest first."""
        return [json.loads(message.data) for message in await self.stored("PHOTO_FACES_RESULTS")]

    async def outcome_of(self, photo: UUID | None, count: int = 1) -> list[dict[str, Any]]:
        """Return the first ``count`` events of a photo, waiting for them."""
        wanted = str(photo) if photo else None

        async def found() -> list[dict[str, Any]]:
            return [event for event in await self.events() if event["photo_id"] == wanted]

        events: list[dict[str, Any]] = await eventually(
            found, lambda events: len(events) >= count, f"{count} events of {photo}"
        )
        return events

    async def settled(self) -> None:
        """Return when no job is waiting or in hand."""
        await eventually(lambda: open_jobs(self.js), lambda count: count == 0, "an empty queue")


async def open_jobs(js: JetStreamContext) -> int:
    """Return how many jobs wait or are in hand; at least one while the consumer has not heard of the last of them."""
    try:
        last = (await js.get_last_msg("PHOTO_FACES", SUBJECT)).seq or 0
    except NotFoundError:
        last = 0
    info = await js.consumer_info("PHOTO_FACES", "single-face-match")
    unheard_of = info.delivered is None or info.delivered.stream_seq < last
    return max(int(unheard_of), (info.num_pending or 0) + (info.num_ack_pending or 0))


async def eventually(
    look: Callable[[], Any],
    good: Callable[[Any], bool],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    pause: float = 0.05,
) -> Any:
    """Look again and again until it is good; fail after so many ``seconds`` with what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if good(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}; last seen: {seen}")
        await asyncio.sleep(pause)


@contextlib.asynccontextmanager
async def make_world(
    environment: dict[str, str], s3: Minio, folder: Path, worker_type: type[WorkerProcess] = WorkerProcess
) -> AsyncIterator[World]:
    """Open a world on the servers that the environment names."""
    client = await nats.connect(
        environment["FACEMATCH_NATS_URL"].split(","), reconnect_time_wait=0.2, max_reconnect_attempts=-1
    )
    try:
        yield World(clean_environment() | environment, s3, client, folder, worker_type)
    finally:
        await client.close()
