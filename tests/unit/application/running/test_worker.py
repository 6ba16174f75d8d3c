"""The worker takes only jobs that it has room for, and settles all of them before it ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from application.ports.ledger import Attempt
from application.running.broker_watch import WatchedResults
from application.running.worker import Worker
from domain.errors import MessagingUnavailableError
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, JobRecord, Skipped
from tests.fakes.announcements import InMemoryResultPublisher
from tests.fakes.clock import settle
from tests.fakes.database import ActiveModelRow
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.queue import InMemoryDelivery, InMemoryJobQueue
from tests.fakes.vision import INFO
from tests.unit.application.world import FORGET_SECONDS, JOB, World

CONCURRENCY = 3
FAILED = Failed(Reason.INTERNAL_ERROR, "x")
SKIPPED = Skipped(Reason.NO_FACE)
REFUSED = MessagingUnavailableError("no rights")
A_ROUND = 10.0
"""Seconds: the longest pause, and a fetch that brings nothing."""


class Shift:
    """A worker in a world of fakes, and the switches that end its work."""

    def __init__(self, *, ack_wait: float = 30.0) -> None:
        self.world = World(ack_wait=ack_wait)
        self.stop = asyncio.Event()
        self.abort = asyncio.Event()
        self.queue: InMemoryJobQueue = self.world.queue
        self.grace = 60.0
        self.release_grace = 5.0

    def worker(self) -> Worker:
        """Return the worker, of the parts as they are now."""
        return Worker(
            queue=self.queue,
            process=self.world.process,
            outages=self.world.outages,
            broker=self.world.broker,
            relay=self.world.relay,
            telemetry=self.world.telemetry,
            clock=self.world.clock,
            concurrency=CONCURRENCY,
            shutdown_grace=self.grace,
            release_grace=self.release_grace,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """Let a worker work; it is aborted in the end where the test has not stopped it."""
        worker = self.worker()
        running = asyncio.create_task(worker.run(self.stop, self.abort))
        await self.world.clock.advance(0)
        try:
            yield worker
        finally:
            self.stop.set()
            self.abort.set()
            await running

    async def submit(self, count: int) -> None:
        """Publish so many jobs for the one photo."""
        for _ in range(count):
            await self.queue.submit(JOB)


class SlowOnce(InMemoryResultPublisher):
    """Stores the first event only when the test lets it, whatever happens to the others meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def publish(self, record: JobRecord) -> None:
        """Store it, the first one late."""
        if self.tried == 0:
            self.tried += 1
            await self.opened.wait()
        else:
            await super().publish(record)


@pytest.fixture
def shift() -> Shift:
    """Return a worker's world."""
    return Shift()


class TestTaking:
    """Jobs are fetched where there is room, and handled at the same time."""

    async def test_every_job_is_done(self, shift: Shift) -> None:
        """Jobs that wait and jobs that come later are all done, the first one matching."""
        await shift.submit(5)
        async with shift.working():
            await shift.world.clock.advance(10)
            await shift.submit(2)
            await shift.world.clock.advance(10)
        assert [job.acked for job in shift.queue.jobs] == [True] * 7
        assert [record.outcome.kind for record in shift.world.records].count(OutcomeKind.MATCHED) == 1

    async def test_nothing_is_fetched_without_room_for_it(self, shift: Shift) -> None:
        """With every slot taken nothing more is fetched; one that becomes free is filled again."""
        reader = shift.world.block_vision()
        await shift.submit(10)
        async with shift.working():
            await shift.world.clock.advance(100)
            assert shift.queue.fetched == [CONCURRENCY]
            assert sum(job.deliveries for job in shift.queue.jobs) == CONCURRENCY
            reader.opened.set()
            await shift.world.clock.advance(100)
        assert max(shift.queue.fetched) == CONCURRENCY
        assert [job.deliveries for job in shift.queue.jobs] == [1] * 10

    async def test_a_fetch_asks_for_the_free_slots(self, shift: Shift) -> None:
        """One job in hand leaves room for all but one."""
        shift.world.block_vision()
        await shift.submit(1)
        async with shift.working():
            assert shift.queue.fetched == [CONCURRENCY, CONCURRENCY - 1]

    async def test_nothing_is_fetched_during_an_outage(self, shift: Shift) -> None:
        """While a dependency is down the jobs in hand wait, and no further one is touched."""
        shift.world.database.available = False
        await shift.submit(1)
        async with shift.working():
            await shift.world.clock.advance(10)
            await shift.submit(20)
            fetches = len(shift.queue.fetched)
            await shift.world.clock.advance(3600)
            assert len(shift.queue.fetched) == fetches
            assert sum(job.deliveries for job in shift.queue.jobs) <= CONCURRENCY
            shift.world.database.available = True
            await shift.world.clock.advance(10)
        assert [(job.deliveries, job.acked) for job in shift.queue.jobs] == [(1, True)] * 21

    async def test_a_job_that_ends_in_a_defect_disturbs_no_other(self, shift: Shift) -> None:
        """A defect in one job's telemetry or settling leaves the rest of them alone."""
        await shift.submit(4)
        shift.world.results.poison[shift.queue.jobs[1].key] = ValueError("x")
        async with shift.working():
            await shift.world.clock.advance(1)
            assert [job.acked for job in shift.queue.jobs] == [True, False, True, True]

    async def test_orphaned_events_are_published(self, shift: Shift) -> None:
        """The relay works beside the jobs."""
        delivery = await shift.world.delivery()
        shift.world.results.available = False
        await shift.world.process(delivery)
        shift.world.results.available = True
        async with shift.working():
            await shift.world.clock.advance(5)
            assert shift.world.results.published == shift.world.records


class TestBroker:
    """A broker that is away is waited for."""

    async def test_an_outage_of_the_broker_is_told_once_and_waited_for(self, shift: Shift) -> None:
        """One report when it goes and one, with the duration, when it is back; then jobs are taken again."""
        shift.queue.available = False
        async with shift.working() as worker:
            await shift.world.clock.advance(30)
            assert worker.not_ready == {"message broker": "queue, fetch: no answer", "worker": "starting"}
            assert shift.world.telemetry.down == [("message broker", "queue, fetch: no answer")]
            shift.queue.available = True
            await shift.submit(1)
            await shift.world.clock.advance(1)
            assert (worker.not_ready, shift.queue.jobs[0].acked) == ({}, True)
        assert shift.world.telemetry.up == [("message broker", 31.0)]

    async def test_a_second_outage_of_the_broker_is_told_again(self, shift: Shift) -> None:
        """Each outage has its own beginning and end."""
        async with shift.working():
            for _ in range(2):
                shift.queue.available = False
                await shift.world.clock.advance(10)
                shift.queue.available = True
                await shift.world.clock.advance(10)
        assert (len(shift.world.telemetry.down), len(shift.world.telemetry.up)) == (2, 2)

    async def test_a_defect_in_one_turn_does_not_end_the_worker(self, shift: Shift) -> None:
        """It is told with its stack trace, and the next turn takes the job."""
        error = KeyError("an odd answer")

        class OddOnce(InMemoryJobQueue):
            odd = True

            async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:
                if self.odd:
                    self.odd = False
                    raise error
                return await super().fetch(limit, timeout_seconds=timeout_seconds)

        shift.queue = OddOnce(shift.world.clock)
        await shift.submit(1)
        async with shift.working():
            await shift.world.clock.advance(10)
        assert (shift.world.telemetry.errors, len(shift.world.results.published)) == ([error], 1)

    async def test_a_defect_that_lasts_is_seen_by_who_starts_workers_anew(self, shift: Shift) -> None:
        """Turns that all fail are no progress, so the worker counts as dead in the end; it does not turn in a hurry."""

        class Odd(InMemoryJobQueue):
            async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:  # noqa: ARG002 - the port's signature
                raise KeyError("an odd answer")

        shift.queue = Odd(shift.world.clock)
        async with shift.working() as worker:
            await shift.world.clock.advance(100)
            assert worker.alive
            await shift.world.clock.advance(100)
            assert not worker.alive
        assert len(shift.world.telemetry.errors) <= 201


class TestSettlement:
    """While no job can be settled, none is taken but one now and then, to see."""

    async def test_events_that_cannot_be_published_are_an_outage(self, shift: Shift) -> None:
        """It is told once and named on the way; afterwards every job is settled."""
        shift.world.results.available = False
        await shift.submit(20)
        async with shift.working() as worker:
            await shift.world.clock.advance(300)
            assert worker.not_ready == {"message broker": "results: no answer"}
            assert shift.world.telemetry.down == [("message broker", "results: no answer")]
            assert shift.world.telemetry.up == []
            shift.world.results.available = True
            await shift.world.clock.advance(2 * shift.queue.ack_wait)
            assert worker.not_ready == {}
        assert [job.acked for job in shift.queue.jobs] == [True] * 20
        assert len(shift.world.telemetry.up) == 1

    async def test_jobs_are_tried_one_at_a_time_and_ever_more_rarely(self, shift: Shift) -> None:
        """What was taken before the first failure is followed by single jobs, in the end every five seconds."""
        shift.world.results.available = False
        await shift.submit(100)
        async with shift.working():
            await shift.world.clock.advance(10)
            before = len(shift.queue.deliveries)
            await shift.world.clock.advance(50)
            assert len(shift.queue.deliveries) - before == 10
            assert set(shift.queue.fetched[1:]) == {1}

    async def test_dead_letters_that_cannot_be_stored_do_not_hold_up_other_jobs(self, shift: Shift) -> None:
        """The trouble is told once, until it is over; jobs of other kinds are taken and done meanwhile."""
        shift.world.dead_letters.available = False
        shift.queue.publish(b"no job")
        async with shift.working() as worker:
            await shift.world.clock.advance(1)
            await shift.submit(50)
            await shift.world.clock.advance(100)
            assert [job.acked for job in shift.queue.jobs] == [False] + [True] * 50
            assert worker.not_ready == {}
            assert shift.world.telemetry.down == [("message broker", "dead letters: no answer")]
            assert shift.world.telemetry.up == []
            shift.world.dead_letters.available = True
            await shift.world.clock.advance(2 * shift.queue.ack_wait)
        assert shift.queue.jobs[0].terminated == "malformed_payload"
        assert (len(shift.world.telemetry.down), len(shift.world.telemetry.up)) == (1, 1)

    async def test_events_of_one_kind_that_are_refused_are_told_once(self, shift: Shift) -> None:
        """However many of other kinds are stored meanwhile, the trouble lasts until one of its kind is; none waits."""
        published = WatchedResults(shift.world.results, shift.world.broker)
        failed, skipped = shift.world.record(1, FAILED), shift.world.record(2, SKIPPED)
        shift.world.results.poison[failed.key] = REFUSED
        for _ in range(3):
            with pytest.raises(MessagingUnavailableError):
                await published.publish(failed)
            await published.publish(skipped)
            assert shift.world.broker.problem is None
        assert (len(shift.world.telemetry.down), shift.world.telemetry.up) == (1, [])
        shift.world.results.poison.clear()
        await published.publish(failed)
        assert len(shift.world.telemetry.up) == 1

    async def test_one_event_that_is_refused_keeps_no_worker_from_its_jobs(self, shift: Shift) -> None:
        """Once an event of another kind was stored the worker stays ready, also while it has nothing to do."""
        refused = await shift.world.ledger.conclude(shift.world.record(1, FAILED))
        shift.world.results.poison[refused.key] = REFUSED
        async with shift.working() as worker:
            await shift.world.clock.advance(5)
            assert worker.not_ready == {"message broker": "no rights"}
            await shift.submit(1)
            await shift.world.clock.advance(5)
            for _ in range(600):
                await shift.world.clock.advance(1)
                assert worker.not_ready == {}
            assert (len(shift.world.telemetry.down), shift.world.telemetry.up) == (1, [])
            shift.world.results.available = False
            await shift.submit(1)
            await shift.world.clock.advance(10)
            assert worker.not_ready == {"message broker": "results: no answer"}

    async def test_a_dead_letter_that_is_stored_is_no_sign_of_events(self, shift: Shift) -> None:
        """They have a stream of their own: while no event can be stored the worker says so."""
        shift.world.results.available = False
        shift.queue.publish(b"no job")
        async with shift.working() as worker:
            for _ in range(2):
                await shift.world.clock.advance(shift.queue.ack_wait + 1)
                assert worker.not_ready == {"message broker": "results: no answer"}
        assert len(shift.world.dead_letters.letters) == 1

    async def test_an_event_on_its_way_when_another_is_refused_is_no_sign(self, shift: Shift) -> None:
        """It may have been stored before an outage began: only what is asked for afterwards shows that none did."""
        results = SlowOnce()
        published = WatchedResults(results, shift.world.broker)
        under_way = asyncio.create_task(published.publish(shift.world.record(1, SKIPPED)))
        await shift.world.clock.advance(1)
        results.available = False
        for number in 2, 3:
            with pytest.raises(MessagingUnavailableError):
                await published.publish(shift.world.record(number, FAILED))
            results.opened.set()
            await under_way
        assert shift.world.broker.problem == "results: no answer"

    @pytest.mark.parametrize("ack_wait", [30.0, 600.0])
    async def test_events_that_another_worker_published_leave_no_doubt(self, ack_wait: float) -> None:
        """After an outage a worker without a job is ready two minutes after its last failure, whatever the ack wait."""
        shift = Shift(ack_wait=ack_wait)
        shift.world.results.available = False
        orphan = await shift.world.ledger.conclude(shift.world.record(1, FAILED))
        async with shift.working() as worker:
            await shift.world.clock.advance(300)
            assert worker.not_ready == {"message broker": "results: no answer"}
            shift.world.results.available = True
            await shift.world.ledger.mark_published([orphan.key])
            await shift.world.clock.advance(FORGET_SECONDS)
            assert worker.not_ready == {}

    @pytest.mark.parametrize("ack_wait", [1.0, 30.0])
    async def test_an_event_that_only_the_relay_tries_is_told_once(self, ack_wait: float) -> None:
        """However rarely it does in the end, and whatever the ack wait: the trouble lasts until the event is stored."""
        shift = Shift(ack_wait=ack_wait)

        class Slow(InMemoryLedger):
            async def unpublished(self, *, older_than_seconds: float, limit: int) -> Sequence[JobRecord]:
                await shift.world.clock.sleep(0.7)
                return await super().unpublished(older_than_seconds=older_than_seconds, limit=limit)

        shift.world.relay._outbox = Slow(shift.world.database)
        refused = await shift.world.ledger.conclude(shift.world.record(1, FAILED))
        shift.world.results.poison[refused.key] = REFUSED
        async with shift.working() as worker:
            for number in range(2, 1300):
                await shift.world.ledger.conclude(shift.world.record(number, SKIPPED))
                await shift.world.clock.advance(2)
            assert worker.not_ready == {}
            assert (len(shift.world.telemetry.down), shift.world.telemetry.up) == (1, [])
            shift.world.results.poison.clear()
            await shift.world.clock.advance(70)
            assert len(shift.world.telemetry.up) == 1

    async def test_a_job_that_another_worker_settled_leaves_no_doubt(self, shift: Shift) -> None:
        """Where the job does not come back, the trouble is taken to be over and the worker is ready."""
        shift.world.dead_letters.available = False
        shift.queue.publish(b"no job")
        async with shift.working() as worker:
            await shift.world.clock.advance(1)
            shift.queue.jobs[0].terminated = "by another worker"
            await shift.world.clock.advance(FORGET_SECONDS + A_ROUND)
            assert worker.not_ready == {}
            await shift.submit(CONCURRENCY)
            await shift.world.clock.advance(0)
            assert [job.acked for job in shift.queue.jobs[1:]] == [True] * CONCURRENCY


class TestHealth:
    """Readiness tells why no job is taken; liveness, that the loop goes round."""

    async def test_a_worker_is_ready_after_its_first_fetch(self, shift: Shift) -> None:
        """Before anything was asked of the broker it is not known whether jobs can be taken."""
        assert shift.worker().not_ready == {"worker": "starting"}
        async with shift.working() as worker:
            await shift.world.clock.advance(1)
            assert worker.not_ready == {}

    async def test_a_worker_is_not_ready_during_an_outage(self, shift: Shift) -> None:
        """The dependency and its reason are named; waiting for it is being alive."""
        shift.world.photos.available = False
        await shift.submit(1)
        async with shift.working() as worker:
            await shift.world.clock.advance(3600)
            assert worker.not_ready == {"object store": "object store: connection refused"}
            assert worker.alive is True

    async def test_a_worker_with_full_hands_is_alive_after_a_long_outage(self, shift: Shift) -> None:
        """Its jobs have all their time again when the dependency is back, and it has not to take one before that."""
        shift.world.photos.available = False
        shift.world.block_vision()
        await shift.submit(CONCURRENCY)
        async with shift.working() as worker:
            await shift.world.clock.advance(3600)
            shift.world.photos.available = True
            await shift.world.clock.advance(shift.world.deadline_seconds)
            assert (worker.not_ready, worker.alive) == ({}, True)
            await shift.world.clock.advance(62)
            assert worker.alive is False

    async def test_what_no_job_would_notice_of_the_database_is_looked_for(self, shift: Shift) -> None:
        """A change that makes no statement fail, and may make jobs end wrongly: none is taken until it is mended."""
        async with shift.working() as worker:
            shift.world.database.unfit = "the role may not read users.blocked"
            await shift.world.clock.advance(40)
            assert worker.not_ready == {"database": "the role may not read users.blocked"}
            await shift.submit(1)
            await shift.world.clock.advance(40)
            assert shift.world.database.outcomes == {}
            shift.world.database.unfit = ""
            await shift.world.clock.advance(40)
            assert (worker.not_ready, len(shift.world.database.outcomes)) == ({}, 1)

    async def test_a_defect_in_one_look_does_not_end_the_looking(
        self, shift: Shift, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told, and the next look finds what it would have found."""
        defect = RuntimeError("a defect")

        async def look(_kind: type[Exception]) -> None:
            raise defect

        async with shift.working() as worker:
            with monkeypatch.context() as broken:
                broken.setattr(shift.world.outages, "look_at", look)
                await shift.world.clock.advance(40)
            shift.world.database.unfit = "the role may not read users.blocked"
            await shift.world.clock.advance(40)
            assert list(worker.not_ready) == ["database"]
        assert shift.world.telemetry.errors == [defect]

    async def test_a_switch_to_another_embedder_is_seen_without_a_job(self, shift: Shift) -> None:
        """Whoever rolls out the new one sees that this worker is of no use; when the gallery is its own, it works."""
        async with shift.working() as worker:
            shift.world.database.active_model = ActiveModelRow("another@1", is_switched=True)
            await shift.world.clock.advance(40)
            assert list(worker.not_ready) == ["gallery"]
            await shift.submit(1)
            shift.world.database.active_model = ActiveModelRow(INFO.id, is_switched=True)
            await shift.world.clock.advance(40)
            assert (worker.not_ready, len(shift.world.database.outcomes)) == ({}, 1)

    async def test_a_worker_that_stops_is_not_ready(self, shift: Shift) -> None:
        """From the signal on no traffic is wanted."""
        shift.world.block_vision()
        await shift.submit(1)
        async with shift.working() as worker:
            shift.stop.set()
            await settle()
            assert worker.not_ready == {"worker": "stopping"}

    async def test_an_idle_worker_is_alive(self, shift: Shift) -> None:
        """Nothing to do is no stall."""
        async with shift.working() as worker:
            await shift.world.clock.advance(10_000)
            assert worker.alive is True

    async def test_a_worker_whose_slots_never_become_free_is_not_alive(self, shift: Shift) -> None:
        """Jobs that ignore their deadline for a minute have stalled the loop; a restart is due."""
        shift.world.block_vision()
        await shift.submit(CONCURRENCY)
        async with shift.working() as worker:
            await shift.world.clock.advance(shift.world.deadline_seconds)
            assert worker.alive is True
            await shift.world.clock.advance(60)
            assert worker.alive is False


class TestStopping:
    """What is in hand is settled within the grace time; what is not is given back."""

    async def test_a_stop_finishes_what_runs(self, shift: Shift) -> None:
        """Jobs in hand are done, no further one is taken, and their events are marked."""
        reader = shift.world.block_vision()
        await shift.submit(CONCURRENCY + 2)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await shift.world.clock.advance(1)
        assert running.done() is False
        reader.opened.set()
        await running
        assert [job.acked for job in shift.queue.jobs] == [True] * CONCURRENCY + [False] * 2
        assert [job.deliveries for job in shift.queue.jobs] == [1] * CONCURRENCY + [0] * 2
        assert await shift.world.ledger.unpublished(older_than_seconds=0, limit=9) == []

    async def test_an_idle_worker_stops_at_once(self, shift: Shift) -> None:
        """A fetch that waits for jobs is cut off, and leaves nothing behind."""
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await running
        await settle()
        assert shift.world.clock.sleepers == 0

    async def test_a_stop_at_any_moment_strands_no_job(self) -> None:
        """Whenever the signal comes, during a fetch too, each job that was delivered is done or given back."""
        for turns in range(80):
            shift = Shift()
            await shift.submit(CONCURRENCY)
            running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
            await settle(turns)
            shift.stop.set()
            await running
            assert [job.acked for job in shift.queue.jobs] == [job.deliveries == 1 for job in shift.queue.jobs]

    async def test_a_fetch_that_loses_its_cancellation_is_the_last(self, shift: Shift) -> None:
        """A worker that was told to stop takes no further job, also if its fetch ends as if nobody had cut it off."""

        class Deaf(InMemoryJobQueue):
            async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:
                try:
                    return await super().fetch(limit, timeout_seconds=timeout_seconds)
                except asyncio.CancelledError:
                    await self.submit(JOB)
                    return []

        shift.queue = Deaf(shift.world.clock)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await settle()
        assert running.done()
        assert [job.deliveries for job in shift.queue.jobs] == [0]

    @pytest.mark.parametrize("in_time", [True, False], ids=["done in time", "not done in time"])
    async def test_what_a_fetch_took_as_it_was_cut_off_is_handled(self, shift: Shift, *, in_time: bool) -> None:
        """Such a job is done within the grace time like any other, or given back with a note, so that it costs none."""

        class Slow(InMemoryJobQueue):
            left: Sequence[InMemoryDelivery] = ()

            async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:
                self.left = await super().fetch(limit, timeout_seconds=timeout_seconds)
                return await asyncio.Future()

            async def close(self) -> Sequence[InMemoryDelivery]:
                return self.left

        shift.queue = Slow(shift.world.clock)
        if not in_time:
            shift.world.block_vision()
            shift.grace = 0.01
        await shift.submit(2)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await running
        assert [(job.deliveries, job.acked) for job in shift.queue.jobs] == [(1, in_time)] * 2
        assert [delivery.retries for delivery in shift.queue.deliveries] == [[] if in_time else [0]] * 2
        notes = [(attempt.delivery, attempt.reason) for attempt in shift.world.database.attempts.values()]
        assert notes == ([] if in_time else [(1, None)] * 2)

    async def test_what_exceeds_the_grace_is_given_back(self, shift: Shift) -> None:
        """A job that is not done in time goes to another worker at once."""
        shift.world.block_vision()
        shift.grace = 0.01
        await shift.submit(2)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await running
        assert [delivery.retries for delivery in shift.queue.deliveries] == [[0], [0]]

    async def test_an_abort_ends_the_grace(self, shift: Shift) -> None:
        """A second signal gives back at once what still runs."""
        shift.world.block_vision()
        await shift.submit(1)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await settle()
        assert running.done() is False
        shift.abort.set()
        await running
        assert [delivery.retries for delivery in shift.queue.deliveries] == [[0]]

    async def test_held_jobs_do_not_use_up_the_grace(self, shift: Shift) -> None:
        """During an outage a stop gives everything back without waiting."""
        shift.world.database.available = False
        await shift.submit(CONCURRENCY)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        await settle()
        assert running.done() is True
        assert [delivery.retries for delivery in shift.queue.deliveries] == [[0]] * CONCURRENCY

    @pytest.mark.parametrize("aborted", [False, True], ids=["no grace", "second signal"])
    async def test_a_held_job_is_given_back_although_the_grace_ends_first(self, shift: Shift, *, aborted: bool) -> None:
        """A database that is away takes time to say so; the worker waits for the return after that, too."""

        class Slow(InMemoryLedger):
            async def note_attempt(self, attempt: Attempt) -> None:
                await asyncio.sleep(0.05)
                await super().note_attempt(attempt)

        shift.world.ledger = Slow(shift.world.database)
        shift.world.database.available = False
        shift.grace = 60.0 if aborted else 0.0
        await shift.submit(CONCURRENCY)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        if aborted:
            await settle()
            shift.abort.set()
        await running
        assert [delivery.retries for delivery in shift.queue.deliveries] == [[0]] * CONCURRENCY
        assert [trace.unsettled_details for trace in shift.world.telemetry.jobs] == [[]] * CONCURRENCY

    @pytest.mark.parametrize("held", [False, True], ids=["in work", "held"])
    async def test_a_job_that_cannot_even_be_given_back_does_not_keep_the_worker(
        self, shift: Shift, *, held: bool
    ) -> None:
        """A broker that neither answers nor refuses is left behind after a moment."""

        class Deaf(InMemoryDelivery):
            async def retry(self, *, after_seconds: float) -> None:  # noqa: ARG002 - the port's signature
                await asyncio.Event().wait()

        class DeafQueue(InMemoryJobQueue):
            async def fetch(self, limit: int, *, timeout_seconds: float) -> Sequence[InMemoryDelivery]:
                found = await super().fetch(limit, timeout_seconds=timeout_seconds)
                return [Deaf(self, delivery.job) for delivery in found]

        shift.queue = DeafQueue(shift.world.clock)
        shift.release_grace = 0.05
        shift.world.block_vision()
        shift.world.database.available = not held
        await shift.submit(1)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        shift.stop.set()
        shift.abort.set()
        async with asyncio.timeout(3):
            await running
        assert [(job.deliveries, job.acked) for job in shift.queue.jobs] == [(1, False)]

    async def test_a_worker_that_is_cancelled_settles_too(self, shift: Shift) -> None:
        """Cancelled from outside, the worker takes no further job and gives back what it has after the grace."""
        shift.world.block_vision()
        shift.grace = 0.01
        await shift.submit(1)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        await shift.world.clock.advance(1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await shift.submit(1)
        await shift.world.clock.advance(10)
        assert running.cancelled() is True
        assert [(job.deliveries, job.acked) for job in shift.queue.jobs] == [(1, False), (0, False)]

    async def test_an_unreachable_database_does_not_keep_the_worker(self, shift: Shift) -> None:
        """Marks that cannot be made in the end are left to other workers, which publish the same event again."""
        await shift.submit(1)
        running = asyncio.create_task(shift.worker().run(shift.stop, shift.abort))
        shift.world.database.failing.add("mark_published")
        await shift.world.clock.advance(0)
        shift.stop.set()
        await running
        assert shift.queue.jobs[0].acked is True
