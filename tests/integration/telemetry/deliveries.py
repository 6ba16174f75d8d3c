"""A worker's telemetry in a process of its own, set up by its environment: the real one around some deliveries.

Three jobs are handled: one that matches after its photograph was fetched at the second try, one whose photograph is
missing, and one whose photograph cannot be fetched. ``VISION_PROCESS`` makes vision run in yet another process,
``DATABASE_URL`` makes ledger and gallery PostgreSQL's, and lets a fourth delivery fail everywhere, at ``NATS_URL`` too.
With ``AWAIT_COMPLAINT`` the end comes after the first complaint of an exporter. What ``/metrics`` would show goes to
standard output, the log to standard error.
"""

import asyncio
import logging
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AsyncExitStack
from uuid import UUID

import attrs
from opentelemetry import metrics

from adapters.object_store.retrying import RetryingPhotoStore
from adapters.system.clock import SystemClock
from adapters.telemetry.gauges import observe
from adapters.telemetry.instruments import Instruments
from adapters.telemetry.job import OtelTelemetry
from adapters.telemetry.logging import configure_logging
from adapters.telemetry.providers import set_up
from application.ports.face_pipeline import Embed, EmbedderInfo
from application.running.process_delivery import ProcessDelivery
from domain.errors import StorageUnavailableError
from domain.faces import PhotoReading, StageTiming
from domain.jobs import JobKey, MatchJob
from domain.retries import LinearBackoff
from tests.contract.telemetry.samples import TRACEPARENT
from tests.fakes.clock import ManualClock
from tests.fakes.gauges import FixedGauges
from tests.fakes.vision import INFO
from tests.unit.application.world import IMAGE, JOB_ID, World, face, reading

PATIENCE_SECONDS = 30.0
SECRET = "hunter2-s3cret"
PHOTOS = tuple(UUID(int=number) for number in (1, 2, 3))
_GAUGES = FixedGauges(
    jobs={"pending": 5, "ack_pending": 1, "redelivered": 0},
    oldest_age=3.5,
    dead_letters=1,
    vision_restarts=2,
    vision_memory=200_000_000,
    users={INFO.id: 1},
    connections={"used": 1, "idle": 3, "waiting": 0, "maximum": 8},
)


def look(stages: tuple[str, ...]) -> tuple[StageTiming, ...]:
    """Pretend to look at a photograph, and tell how long each stage took."""
    timings = []
    for stage in stages:
        started = time.time_ns()
        time.sleep(0.001)
        timings.append(StageTiming(stage, started, time.time_ns(), os.getpid()))
    return tuple(timings)


class ReaderElsewhere:
    """Sees the same face on every photograph, in another process or thread."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    @property
    def info(self) -> EmbedderInfo:
        """Who is said to have made the embeddings."""
        return INFO

    async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
        """Look, elsewhere."""
        assert (image, embed) == (IMAGE, Embed.ONLY_FACE)
        loop = asyncio.get_running_loop()
        stages = await loop.run_in_executor(self._pool, look, ("decode", "detect", "embed"))
        return attrs.evolve(reading(face()), stages=stages)


class Complaints(logging.Handler):
    """Hears what exporters complain of."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Hear it, where an exporter says it."""
        if record.name.startswith("opentelemetry."):
            self.heard.set()


async def handle(world: World, process: ProcessDelivery) -> None:
    """Handle the three jobs, one after the other."""
    trouble = StorageUnavailableError(f"object store, minio://images/anna.jpg?X-Amz-Signature=abc: {SECRET}")
    jobs = [
        (PHOTOS[0], "anna.jpg", {"traceparent": TRACEPARENT}, [trouble]),
        (PHOTOS[1], "missing.jpg", {}, []),
        (PHOTOS[2], "anna.jpg", {}, [trouble] * 3),
    ]
    for number, (photo, image, headers, failures) in enumerate(jobs):
        world.photos.failures.extend(failures)
        await world.queue.submit(MatchJob(photo, image, job_id=JOB_ID))
        stored = world.queue.jobs[-1]
        stored.headers = headers
        stored.key = JobKey(number + 1, SystemClock().now())
        [delivery] = await world.queue.fetch(1, timeout_seconds=0)
        await process(delivery)


async def main() -> None:
    """Do it, and end as a worker does."""
    configure_logging(form="json", level="info", worker="worker-1", secrets=(SECRET,))
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    providers = set_up(os.environ, version="9.9", instance="worker-1", secrets=(SECRET,))
    instruments = Instruments(metrics.get_meter("facematch", "9.9"))
    observe(instruments, _GAUGES)
    telemetry = OtelTelemetry(instruments, subject="jobs", durable="workers", worker="worker-1", embedder=INFO.id)
    world = World()
    for photo in PHOTOS:
        world.database.add_photo(photo)
    async with AsyncExitStack() as stack:
        elsewhere = "VISION_PROCESS" in os.environ
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) if elsewhere else ThreadPoolExecutor(1)
        stack.enter_context(pool)
        photos = RetryingPhotoStore(world.photos, LinearBackoff(3, 0.5), clock=ManualClock(), deadline_seconds=60)
        match = attrs.evolve(world.match, photos=photos, reader=ReaderElsewhere(pool))
        process = attrs.evolve(world.process, telemetry=telemetry, match=match)
        if url := os.environ.get("DATABASE_URL"):
            from tests.integration.telemetry.servers import on_servers  # noqa: PLC0415 - clients: only who needs them

            process = await on_servers(process, match, telemetry, stack, url, os.environ["NATS_URL"])
        await handle(world, process)
    if "AWAIT_COMPLAINT" in os.environ:
        complaints.heard.wait(PATIENCE_SECONDS)
    sys.stdout.write(providers.render_metrics()[1].decode())
    started = time.monotonic()
    providers.shutdown()
    sys.stdout.write(f"# shutdown took {time.monotonic() - started:.3f} s\n")


if __name__ == "__main__":
    asyncio.run(main())
