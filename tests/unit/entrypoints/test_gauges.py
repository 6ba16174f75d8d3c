"""What a worker looks at now and then."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import attrs

from adapters.telemetry.gauges import WorkerGauges
from application.ports.clock import Clock
from application.ports.dead_letter_box import DeadLetter, DeadLetterBox
from application.ports.face_pipeline import EmbedderInfo
from application.ports.statistics import QueueState, QueueStatistics
from application.running.tasks import ended
from domain.calibration import Calibration
from entrypoints.gauges import GaugeWatch
from tests.fakes.clock import ManualClock, SteppedClock, settle
from tests.fakes.dead_letter_box import InMemoryDeadLetterBox
from tests.fakes.queue import InMemoryJobQueue
from tests.fakes.statistics import InMemoryQueueStatistics
from tests.fakes.telemetry import RecordingTelemetry

INFO = EmbedderInfo(id="model@1", dimension=4, licence="-", description="-", calibration=Calibration(((0.01, 0.1),)))


@attrs.define
class GrowingGallery:
    """Ten thousand users, and as many more each ten seconds; slow with thirty thousand."""

    clock: Clock
    counted: int = 10_000

    async def size(self, _model: str) -> int:
        """Return what is known, and count again for whoever asks next."""
        known, self.counted = self.counted, 10_000 + 1000 * int(self.clock.monotonic())
        return known

    async def is_slow(self, model: str, _dimension: int) -> bool:
        """Tell whether they are too many."""
        return await self.size(model) >= 30_000


@attrs.define
class Unreadable:
    """Statistics of a queue whose jobs may not be read, once that is said."""

    of: QueueStatistics
    may_read: bool = True

    async def look(self) -> QueueState:
        """Leave the time of the oldest job out."""
        state = await self.of.look()
        return state if self.may_read else attrs.evolve(state, oldest=None)


@asynccontextmanager
async def watching(
    queue: QueueStatistics,
    gallery: Any,
    clock: Clock,
    telemetry: RecordingTelemetry,
    report_slow_search: Callable[[int], None] = lambda _: None,
    box: DeadLetterBox | None = None,
) -> AsyncIterator[WorkerGauges]:
    """Look, as a worker does, and give what its gauges read."""
    reader: Any = SimpleNamespace(info=INFO)
    database: Any = None
    watch = GaugeWatch(
        queue=queue,
        box=box or InMemoryDeadLetterBox(),
        gallery=gallery,
        database=database,
        reader=reader,
        clock=clock,
        telemetry=telemetry,
        report_slow_search=report_slow_search,
    )
    looking = asyncio.create_task(watch.run())
    await settle()
    yield watch
    await ended(looking)


async def test_a_slow_search_is_told_once() -> None:
    """With the users of then, however long it stays so; that the queue does not answer is no matter."""
    clock, queue, telemetry, told = ManualClock(), InMemoryJobQueue(), RecordingTelemetry(), list[int]()
    queue.available = False
    async with watching(InMemoryQueueStatistics(queue), GrowingGallery(clock), clock, telemetry, told.append):
        assert clock.monotonic() > 50
    assert (told, telemetry.errors) == ([30_000], [])


async def test_the_queue_is_shown_with_the_age_of_its_oldest_job() -> None:
    """0 while all are settled; unknown where jobs wait that may not be read, or the broker does not answer."""
    clock = SteppedClock()
    queue = InMemoryJobQueue(clock)
    statistics = Unreadable(InMemoryQueueStatistics(queue))
    async with watching(statistics, GrowingGallery(clock), clock, RecordingTelemetry()) as gauges:
        assert (gauges.jobs["pending"], gauges.oldest_age) == (0, 0)
        queue.publish(b"a job", {})
        await clock.advance(10)
        assert (gauges.jobs, gauges.oldest_age) == ({"pending": 1, "ack_pending": 0, "redelivered": 0}, 10)
        statistics.may_read = False
        await clock.advance(10)
        assert (gauges.jobs["pending"], gauges.oldest_age) == (1, None)
        queue.available = False
        await clock.advance(10)
        assert (gauges.jobs, gauges.oldest_age) == ({}, None)


async def test_who_may_not_look_at_the_dead_letters_sees_the_rest() -> None:
    """They are counted where they can be; a broker that gives no answer about them is no defect, and hides no more."""
    clock, telemetry = SteppedClock(), RecordingTelemetry()
    queue, box = InMemoryQueueStatistics(InMemoryJobQueue(clock)), InMemoryDeadLetterBox()
    async with watching(queue, GrowingGallery(clock), clock, telemetry, box=box) as gauges:
        assert gauges.dead_letters == 0
        box.put(DeadLetter(1, clock.now(), "internal_error", "a defect", 5, 1, b"a job"))
        await clock.advance(10)
        assert gauges.dead_letters == 1
        box.available = False
        await clock.advance(10)
        counts: list[int | None] = [gauges.dead_letters, gauges.jobs["pending"], len(gauges.users)]
        assert counts == [None, 0, 1]
    assert telemetry.errors == []
