"""One delivery from its arrival to its acknowledgement, whatever happens in between."""

import asyncio
from uuid import UUID

import attrs
import pytest

from application.ports.face_pipeline import Embed
from application.ports.ledger import Attempt, FaceResult
from application.running.outages import Outages
from domain.errors import (
    DatabaseLockedError,
    DatabaseUnwritableError,
    EmbedderCrashedError,
    EmbedderUnavailableError,
    StorageUnavailableError,
)
from domain.faces import PhotoReading
from domain.jobs import MalformedJob, MatchJob
from domain.outcomes import OutcomeKind, Reason
from domain.records import Failed, JobHeader, JobRecord
from tests.fakes.announcements import DeadLetter, InMemoryResultPublisher
from tests.fakes.clock import settle
from tests.fakes.database import ActiveModelRow
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.queue import InMemoryDelivery, InMemoryJobQueue, StoredJob
from tests.fakes.vision import INFO, ScriptedFaceReader
from tests.unit.application.world import (
    DELIVERIES,
    HEARTBEAT_SECONDS,
    IMAGE,
    JOB,
    PHOTO,
    RETRY_SECONDS,
    WORKER,
    World,
    face,
    reading,
)

STOPPING = "given back: the worker stops"
MALFORMED = b'{"photo_id": 7, "job_id": "00000000-0000-0000-0000-000000000063"}'


@pytest.fixture
def world() -> World:
    """Return a world in which the job matches."""
    return World()


def crash_vision(world: World) -> None:
    """Let every attempt fail through no fault of the job."""
    world.pipeline.readings[IMAGE] = EmbedderCrashedError("the process died")


class LockedLedger(InMemoryLedger):
    """A ledger in whose database somebody keeps locked what a face needs."""

    locked = True

    async def conclude_face(self, header: JobHeader, result: FaceResult) -> JobRecord:
        """Wait in vain for the lock."""
        if self.locked:
            raise DatabaseLockedError("a row of photos stays locked")
        return await super().conclude_face(header, result)


def keep_locked(world: World) -> LockedLedger:
    """Let no face be written until the ledger is told otherwise."""
    ledger = LockedLedger(world.database)
    world.match = attrs.evolve(world.match, ledger=ledger)
    return ledger


class SlowDelivery(InMemoryDelivery):
    """A delivery that cannot be given back before the broker answers."""

    def __init__(self, queue: InMemoryJobQueue, job: StoredJob) -> None:
        super().__init__(queue, job)
        self.answered = asyncio.Event()

    async def retry(self, *, after_seconds: float) -> None:
        """Wait for the answer, then be given back."""
        await self.answered.wait()
        await super().retry(after_seconds=after_seconds)


async def last_of(world: World, redeliveries: int) -> InMemoryDelivery:
    """Return the last of so many further deliveries of the only job; the others came to workers that died."""
    for _ in range(redeliveries - 1):
        await world.redelivery()
    return await world.redelivery()


async def nth_delivery(world: World, number: int) -> InMemoryDelivery:
    """Return that delivery of a new job; the earlier ones came to workers that died."""
    first = await world.delivery()
    return first if number == 1 else await last_of(world, number - 1)


class TestOutcomes:
    """A job that is over is announced, then acknowledged or dead-lettered."""

    async def test_a_match_is_announced_and_acknowledged(self, world: World) -> None:
        """The event is what the ledger holds; the queue is rid of the job."""
        delivery = await world.delivery()
        await world.process(delivery)
        [record] = world.records
        assert (record.outcome.kind, record.key) == (OutcomeKind.MATCHED, delivery.key)
        assert world.results.published == [record]
        assert (delivery.job.acked, delivery.job.terminated, world.dead_letters.letters) == (True, None, {})
        assert world.trace.conclusions == [(record, False)]

    async def test_a_skipped_job_is_acknowledged(self, world: World) -> None:
        """What can never match is done all the same."""
        world.database.delete_photo(PHOTO)
        delivery = await world.delivery()
        await world.process(delivery)
        [event] = world.results.published
        assert (event.outcome.reason, delivery.job.acked) == (Reason.PHOTO_NOT_FOUND, True)

    async def test_a_malformed_job_is_dead_lettered_and_terminated(self, world: World) -> None:
        """What nobody understands is kept as it came, announced as skipped, and never delivered again."""
        delivery = await world.delivery(MALFORMED)
        await world.process(delivery)
        [event] = world.results.published
        assert (event.outcome.kind, event.outcome.reason) == (OutcomeKind.SKIPPED, Reason.MALFORMED_PAYLOAD)
        expected = DeadLetter(MALFORMED, {}, Reason.MALFORMED_PAYLOAD, deliveries=1, sequence=1)
        assert list(world.dead_letters.letters.values()) == [expected]
        assert (delivery.job.terminated, delivery.job.acked) == ("malformed_payload", False)

    @pytest.mark.parametrize(("body", "kind"), [(None, MatchJob), (MALFORMED, MalformedJob)], ids=["job", "malformed"])
    async def test_the_trace_knows_the_job_and_is_closed(self, world: World, body: bytes | None, kind: type) -> None:
        """Each delivery has one trace, told at once whose it is, and closed at the end."""
        await world.process(await world.delivery(body))
        assert len(world.telemetry.jobs) == 1
        assert isinstance(world.trace.request, kind)
        assert world.trace.is_open is False

    async def test_the_end_is_timed(self, world: World) -> None:
        """Publishing and acknowledging are stages of the job."""
        await world.process(await world.delivery())
        assert world.trace.stage_names[-2:] == ["publish", "ack"]

    async def test_a_published_event_is_marked_by_the_relay(self, world: World) -> None:
        """Nobody takes the event for an orphan after the relay's next round."""
        await world.process(await world.delivery())
        await world.relay.flush()
        assert await world.ledger.unpublished(older_than_seconds=0, limit=9) == []


class TestOrder:
    """Commit, then dead letter, then event, then acknowledgement: a crash repeats and never loses."""

    async def test_nothing_is_announced_before_the_commit(self, world: World) -> None:
        """Where the outcome cannot be recorded there is no event, no dead letter and no end."""
        world.database.failing.add("conclude")
        delivery = await world.delivery(MALFORMED)
        await world.process(delivery)
        assert (world.results.published, world.dead_letters.letters, delivery.job.ended) == ([], {}, False)

    async def test_a_job_is_not_acknowledged_before_its_event_is_stored(self, world: World) -> None:
        """A broker that does not confirm the event leaves a recorded job unsettled, to be delivered again."""
        world.results.available = False
        delivery = await world.delivery()
        await world.process(delivery)
        assert (len(world.records), delivery.job.ended) == (1, False)
        assert world.trace.unsettled_details == [world.broker.problem] == ["results: no answer"]
        assert await world.ledger.unpublished(older_than_seconds=0, limit=9) == world.records

    async def test_an_event_that_was_not_confirmed_is_published_by_the_redelivery(self, world: World) -> None:
        """The redelivery repeats the recorded outcome without any work, and ends the job."""
        world.results.available = False
        await world.process(await world.delivery())
        world.results.available = True
        again = await world.redelivery()
        await world.process(again)
        assert (world.results.published, again.job.acked) == (world.records, True)
        assert (world.trace.conclusions, len(world.photos.fetched)) == ([(world.records[0], True)], 1)

    async def test_the_event_is_stored_although_the_acknowledgement_fails(self, world: World) -> None:
        """The event comes before the acknowledgement, and a repetition of it is the same event."""
        world.queue.failing.add("ack")
        await world.process(await world.delivery())
        assert (len(world.results.published), world.trace.unsettled_details) == (1, ["queue, ack: no answer"])
        world.queue.failing.clear()
        await world.process(await world.redelivery())
        assert list(world.results.events.values()) == world.records

    async def test_a_job_is_not_terminated_before_its_copy_is_stored(self, world: World) -> None:
        """Where the dead letter cannot be stored the original stays."""
        world.dead_letters.available = False
        delivery = await world.delivery(MALFORMED)
        await world.process(delivery)
        assert (delivery.job.ended, world.results.published) == (False, [])
        assert world.trace.unsettled_details == [world.broker.problem] == ["dead letters: no answer"]

    async def test_the_copy_is_stored_although_the_termination_fails(self, world: World) -> None:
        """A crash between copy and termination leaves one copy, also after the redelivery."""
        world.queue.failing.add("terminate")
        await world.process(await world.delivery(MALFORMED))
        assert len(world.dead_letters.letters) == 1
        world.queue.failing.clear()
        again = await world.redelivery()
        await world.process(again)
        assert (again.job.terminated, len(world.dead_letters.letters)) == ("malformed_payload", 1)
        assert (len(world.results.events), len(world.records)) == (1, 1)


class TestRetries:
    """A fault of the system gives the job back, ever later, and ends in a dead letter on the last delivery."""

    @pytest.mark.parametrize("number", range(1, DELIVERIES))
    async def test_the_delay_grows_with_the_deliveries(self, world: World, number: int) -> None:
        """After the n-th delivery the job waits n times the base; it is an attempt, and no outcome."""
        crash_vision(world)
        delivery = await nth_delivery(world, number)
        await world.process(delivery)
        assert delivery.retries == [number * RETRY_SECONDS]
        expected = [(Reason.EMBEDDER_CRASHED, "the process died", number * RETRY_SECONDS)]
        assert (world.trace.failures, world.trace.conclusions) == (expected, [])
        assert (world.records, world.results.published) == ([], [])

    async def test_each_failed_attempt_is_in_the_ledger(self, world: World) -> None:
        """The ledger tells when, where and why each delivery failed."""
        crash_vision(world)
        first = await world.delivery()
        await world.process(first)
        await world.process(await world.redelivery(after_seconds=RETRY_SECONDS))
        attempts = await world.ledger.attempts(first.key)
        assert [(a.delivery, a.reason, a.detail, a.worker, a.photo_id) for a in attempts] == [
            (1, Reason.EMBEDDER_CRASHED, "the process died", WORKER, PHOTO),
            (2, Reason.EMBEDDER_CRASHED, "the process died", WORKER, PHOTO),
        ]

    async def test_the_next_attempt_may_succeed(self, world: World) -> None:
        """A failure that passes leaves a match and nothing else."""
        world.photos.failures.append(StorageUnavailableError("one bad minute"))
        await world.process(await world.delivery())
        again = await world.redelivery(after_seconds=RETRY_SECONDS)
        await world.process(again)
        assert ([r.outcome.kind for r in world.records], again.job.acked) == ([OutcomeKind.MATCHED], True)

    async def test_the_last_delivery_fails_the_job(self, world: World) -> None:
        """Outcome, event and dead letter come together, once, and the message is terminated."""
        crash_vision(world)
        delivery = await nth_delivery(world, DELIVERIES)
        await world.process(delivery)
        [record] = world.records
        assert record.outcome == Failed(Reason.EMBEDDER_CRASHED, "the process died")
        assert world.results.published == [record]
        [letter] = world.dead_letters.letters.values()
        assert (letter.reason, letter.deliveries) == (Reason.EMBEDDER_CRASHED, DELIVERIES)
        assert (delivery.job.terminated, delivery.retries) == ("embedder_crashed", [])

    async def test_a_failed_job_delivered_again_is_not_tried_again(self, world: World) -> None:
        """Where the termination got lost, the redelivery repeats it although the system is well again."""
        crash_vision(world)
        world.queue.failing.add("terminate")
        await world.process(await nth_delivery(world, DELIVERIES))
        world.queue.failing.clear()
        world.pipeline.readings[IMAGE] = PhotoReading(1, 1, ())
        again = await world.redelivery()
        await world.process(again)
        assert (len(world.reader.read_images), again.job.terminated) == (1, "embedder_crashed")
        assert (len(world.dead_letters.letters), len(world.results.events), len(world.records)) == (1, 1, 1)

    async def test_a_delivery_beyond_the_limit_is_dead_lettered_unprocessed(self, world: World) -> None:
        """A job that may have killed every worker so far is not looked at again."""
        delivery = await nth_delivery(world, DELIVERIES + 1)
        await world.process(delivery)
        [record] = world.records
        assert isinstance(record.outcome, Failed)
        assert record.outcome.reason is Reason.INTERNAL_ERROR
        assert f"delivered {DELIVERIES + 1} times" in record.outcome.detail
        assert (world.photos.fetched, delivery.job.terminated) == ([], "internal_error")
        assert (len(world.dead_letters.letters), len(world.results.published)) == (1, 1)

    async def test_beyond_the_limit_the_last_known_reason_is_told(self, world: World) -> None:
        """What the last recorded attempt blamed is a better answer than none."""
        world.photos.failures.append(StorageUnavailableError("no route"))
        await world.process(await world.delivery())
        delivery = await last_of(world, DELIVERIES)
        await world.process(delivery)
        [record] = world.records
        assert isinstance(record.outcome, Failed)
        assert record.outcome.reason is Reason.STORAGE_UNAVAILABLE
        assert record.outcome.detail.endswith("the last recorded attempt: no route")

    async def test_beyond_the_limit_a_recorded_outcome_stands(self, world: World) -> None:
        """A match whose acknowledgements were all lost stays a match, and is no dead letter."""
        world.queue.failing.add("ack")
        await world.process(await world.delivery())
        world.queue.failing.clear()
        delivery = await last_of(world, DELIVERIES)
        await world.process(delivery)
        assert [record.outcome.kind for record in world.records] == [OutcomeKind.MATCHED]
        assert (delivery.job.acked, world.dead_letters.letters) == (True, {})

    async def test_a_failure_that_cannot_be_recorded_is_tried_again(self, world: World) -> None:
        """On the last delivery a lost connection to the ledger costs another delivery, not the job."""
        crash_vision(world)
        world.database.failing.add("conclude")
        delivery = await nth_delivery(world, DELIVERIES)
        await world.process(delivery)
        assert (delivery.retries, world.dead_letters.letters) == ([DELIVERIES * RETRY_SECONDS], {})
        world.database.failing.clear()
        again = await world.redelivery(after_seconds=DELIVERIES * RETRY_SECONDS)
        await world.process(again)
        assert [record.outcome.reason for record in world.records] == [Reason.DATABASE_UNAVAILABLE]
        assert len(world.dead_letters.letters) == 1

    async def test_an_attempt_that_cannot_be_noted_is_retried_all_the_same(self, world: World) -> None:
        """The retry matters more than its entry in the ledger."""
        crash_vision(world)
        world.database.failing.add("note_attempt")
        delivery = await world.delivery()
        await world.process(delivery)
        assert delivery.retries == [RETRY_SECONDS]

    async def test_a_retry_that_the_broker_does_not_take_is_unsettled(self, world: World) -> None:
        """The job comes again when its time has run out."""
        crash_vision(world)
        world.queue.failing.add("retry")
        await world.process(await world.delivery())
        assert world.trace.unsettled_details == ["queue, retry: no answer"]
        assert (await world.redelivery()).number == 2


class TestDefects:
    """Errors that nobody foresaw neither lose a job nor end the worker."""

    async def test_an_unexpected_error_is_an_internal_error(self, world: World) -> None:
        """It is reported with its trace; its text, which may hold anything, goes nowhere else."""
        error = ValueError("password=secret")
        world.pipeline.readings[IMAGE] = error
        delivery = await nth_delivery(world, DELIVERIES)
        await world.process(delivery)
        assert world.trace.errors == [error]
        [record] = world.records
        assert record.outcome == Failed(Reason.INTERNAL_ERROR, "unexpected ValueError; the log has its trace")
        assert delivery.job.terminated == "internal_error"

    async def test_an_attempt_without_end_is_given_up(self) -> None:
        """What hangs without an error fails at the deadline, and the job is tried again."""
        world = World(deadline_seconds=0.01)
        world.block_vision()
        delivery = await world.delivery()
        await world.process(delivery)
        expected = (Reason.INTERNAL_ERROR, "the attempt showed no result within 0.01 s", RETRY_SECONDS)
        assert (world.trace.failures, world.trace.errors) == ([expected], [])

    async def test_a_stray_time_out_is_not_taken_for_the_deadline(self, world: World) -> None:
        """A TimeoutError that an adapter let through is a defect, and is reported as one."""
        world.pipeline.readings[IMAGE] = TimeoutError()
        await world.process(await world.delivery())
        [(reason, detail, _)] = world.trace.failures
        assert (reason, detail) == (Reason.INTERNAL_ERROR, "unexpected TimeoutError; the log has its trace")
        assert len(world.trace.errors) == 1

    async def test_an_event_that_cannot_be_published_does_not_end_the_worker(self, world: World) -> None:
        """A defect in settling is reported, and the job is given back with a delay that grows."""
        delivery = await nth_delivery(world, 2)
        world.results.poison[delivery.key] = error = ValueError("Out of range float values are not JSON compliant")
        await world.process(delivery)
        assert (world.trace.errors, delivery.retries) == ([error], [2 * RETRY_SECONDS])
        assert world.trace.unsettled_details == ["unexpected ValueError; the log has its trace"]

    async def test_a_defect_beyond_the_limit_does_not_end_the_worker(self, world: World) -> None:
        """Also where a job is given up unprocessed, a defect leaves it in the queue."""
        delivery = await nth_delivery(world, DELIVERIES + 1)
        world.results.poison[delivery.key] = ValueError("x")
        await world.process(delivery)
        assert (delivery.job.ended, delivery.retries) == (False, [(DELIVERIES + 1) * RETRY_SECONDS])


class TestOutages:
    """While a dependency is down for everyone, jobs wait in hand and use up no delivery."""

    @pytest.mark.parametrize("number", [1, DELIVERIES, DELIVERIES + 1])
    async def test_an_outage_of_an_hour_dead_letters_nothing(self, world: World, number: int) -> None:
        """The job is held, kept alive, and goes on where the database comes back, on its last delivery too."""
        delivery = await nth_delivery(world, number)
        world.database.available = False
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(3600)
        assert (running.done(), delivery.retries, world.dead_letters.letters) == (False, [], {})
        assert delivery.signs_of_life == 3600 / HEARTBEAT_SECONDS
        assert await world.queue.fetch(1, timeout_seconds=0) == []
        world.database.available = True
        await world.clock.advance(1)
        await running
        assert (len(world.records), delivery.job.deliveries, world.database.attempts) == (1, number, {})

    async def test_a_database_that_cannot_write_is_waited_for_on_the_last_delivery_too(self, world: World) -> None:
        """The job that has failed is not tried again and again while its end cannot be recorded."""

        class Full(InMemoryLedger):
            full = True

            async def conclude(self, record: JobRecord) -> JobRecord:
                if self.full:
                    raise DatabaseUnwritableError("no space left on device")
                return await super().conclude(record)

        crash_vision(world)
        ledger = Full(world.database)
        world.ledger, world.match = ledger, attrs.evolve(world.match, ledger=ledger)
        delivery = await nth_delivery(world, DELIVERIES)
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(60)
        assert not running.done()
        assert len(world.photos.fetched) <= 10
        ledger.full = False
        await world.clock.advance(60)
        await running
        assert (len(world.records), len(world.dead_letters.letters)) == (1, 1)

    async def test_a_held_job_is_matched_in_place(self, world: World) -> None:
        """After an outage of the object store the same delivery matches and is acknowledged."""
        world.photos.available = False
        delivery = await nth_delivery(world, DELIVERIES)
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(60)
        assert world.trace.holds == [("object store", "object store: connection refused")]
        world.photos.available = True
        await world.clock.advance(1)
        await running
        assert [record.outcome.kind for record in world.records] == [OutcomeKind.MATCHED]
        assert (delivery.job.acked, delivery.job.deliveries) == (True, DELIVERIES)

    async def test_a_job_that_comes_again_while_it_is_in_hand_is_left_to_its_first_delivery(self, world: World) -> None:
        """However often somebody's shorter ack wait delivers it: it is done once, and these deliveries do not count."""
        process = world.process
        first = await world.delivery()
        world.photos.available = False
        running = asyncio.create_task(process(first))
        await world.clock.advance(1)
        for _ in range(DELIVERIES):
            world.queue.make_due(first.job, 0)
            again = await world.redelivery(after_seconds=0)
            await process(again)
            assert (world.trace.releases, again.retries) == (["left to its first delivery, which is in hand here"], [])
        assert (running.done(), world.records) == (False, [])
        crash_vision(world)
        world.photos.available = True
        await world.clock.advance(1)
        await running
        assert first.retries == [RETRY_SECONDS]
        world.pipeline.readings[IMAGE] = reading(face())
        last = await world.redelivery(after_seconds=RETRY_SECONDS)
        assert last.number > DELIVERIES
        await process(last)
        assert [record.outcome.kind for record in world.records] == [OutcomeKind.MATCHED]

    @pytest.mark.parametrize("number", [1, DELIVERIES])
    async def test_no_job_ends_while_users_are_switched_to_another_embedder(self, world: World, number: int) -> None:
        """On whichever delivery it is given back for a worker that can decide it, which does not count."""
        delivery = await nth_delivery(world, number)
        world.database.active_model = ActiveModelRow(INFO.id)
        await world.process(delivery)
        assert (world.records, world.dead_letters.letters, delivery.retries) == ([], {}, [RETRY_SECONDS])
        assert world.trace.releases == [f"given back: the gallery is not of {INFO.id}"]
        assert [attempt.reason for attempt in world.database.attempts.values()] == [None]
        world.database.active_model = ActiveModelRow(INFO.id, is_switched=True)
        again = await world.redelivery(after_seconds=RETRY_SECONDS)
        await world.process(again)
        assert [record.outcome.kind for record in world.records] == [OutcomeKind.MATCHED]
        assert (again.job.acked, again.number) == (True, number + 1)

    @pytest.mark.parametrize("number", [1, DELIVERIES])
    async def test_a_switch_that_is_over_when_it_is_asked_about_fails_no_job(self, world: World, number: int) -> None:
        """Its search was in the middle of it; that is no failure of the attempt, not even of the last one."""
        delivery = await nth_delivery(world, number)
        world.database.active_model = ActiveModelRow(INFO.id)
        nothing_is_down = Outages({}, clock=world.clock, telemetry=world.telemetry)
        await attrs.evolve(world.process, outages=nothing_is_down)(delivery)
        assert (world.records, world.trace.failures, delivery.retries) == ([], [], [RETRY_SECONDS])

    async def test_what_somebody_keeps_locked_is_waited_for_in_the_queue(self, world: World) -> None:
        """However often it is delivered meanwhile, ever more rarely, a job has all its deliveries left afterwards."""
        ledger = keep_locked(world)
        delivery = await world.delivery()
        for number in range(1, 3 * DELIVERIES):
            await world.process(delivery)
            assert delivery.retries == [number * RETRY_SECONDS]
            assert world.trace.failures == [
                (Reason.DATABASE_UNAVAILABLE, "a row of photos stays locked", number * RETRY_SECONDS)
            ]
            delivery = await world.redelivery(after_seconds=number * RETRY_SECONDS)
        ledger.locked = False
        crash_vision(world)
        await world.process(delivery)
        assert (delivery.retries, world.records, world.dead_letters.letters) == ([RETRY_SECONDS], [], {})

    @pytest.mark.parametrize("number", [1, DELIVERIES])
    async def test_what_somebody_keeps_locked_for_everyone_is_an_outage(self, world: World, number: int) -> None:
        """Where the probe fails too, the job is held, not given back."""
        ledger = keep_locked(world)
        world.database.unfit = "photo_faces is locked"
        delivery = await nth_delivery(world, number)
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(60)
        assert (running.done(), delivery.retries) == (False, [])
        ledger.locked, world.database.unfit = False, ""
        await world.clock.advance(1)
        await running
        assert (delivery.job.acked, world.database.attempts) == (True, {})

    @pytest.mark.parametrize("number", [1, DELIVERIES])
    async def test_no_job_is_to_blame_for_an_embedder_that_is_away(self, world: World, number: int) -> None:
        """All jobs in hand are held on whichever delivery, none is dead-lettered, and all match afterwards."""
        sight = world.pipeline.readings[IMAGE]
        world.pipeline.readings[IMAGE] = world.embedder.problem = EmbedderUnavailableError("no model here")
        for photo in range(101, 106):
            world.database.add_photo(UUID(int=photo))
            await world.queue.submit(attrs.evolve(JOB, photo_id=UUID(int=photo)))
        deliveries = await world.queue.fetch(5, timeout_seconds=0)
        for _ in range(number - 1):
            await world.clock.advance(world.queue.ack_wait)
            deliveries = await world.queue.fetch(5, timeout_seconds=0)
        assert [delivery.number for delivery in deliveries] == [number] * 5
        running = [asyncio.create_task(world.process(delivery)) for delivery in deliveries]
        await world.clock.advance(600)
        assert (any(task.done() for task in running), world.records, world.dead_letters.letters) == (False, [], {})
        assert [trace.holds for trace in world.telemetry.jobs] == [[("embedder", "no model here")]] * 5
        world.pipeline.readings[IMAGE], world.embedder.problem = sight, None
        await world.clock.advance(1)
        await asyncio.gather(*running)
        assert [record.outcome.kind for record in world.records] == [OutcomeKind.MATCHED] * 5
        assert [delivery.job.acked for delivery in deliveries] == [True] * 5

    async def test_a_photograph_that_crashes_the_embedder_is_no_outage(self, world: World) -> None:
        """Its job's attempt failed, even while the embedder is away for another reason."""
        world.embedder.problem = EmbedderUnavailableError("no model here")
        crash_vision(world)
        delivery = await nth_delivery(world, DELIVERIES)
        await world.process(delivery)
        assert (delivery.job.terminated, world.trace.holds, world.embedder.checks) == ("embedder_crashed", [], 0)

    async def test_one_lost_connection_is_no_outage(self, world: World) -> None:
        """Where the probe finds the database up, the job is given back like after any failure."""
        world.database.failing.add("search")
        delivery = await world.delivery()
        await world.process(delivery)
        assert (delivery.retries, world.trace.holds) == ([RETRY_SECONDS], [])

    async def test_an_outage_while_giving_up_is_waited_for(self, world: World) -> None:
        """A failure on the last delivery is recorded when the ledger is back; it costs no further delivery."""

        class FailsWithTheDatabase(ScriptedFaceReader):
            async def read(self, image: bytes, *, embed: Embed) -> PhotoReading:
                world.database.available = bool(self.read_images)
                return await super().read(image, embed=embed)

        crash_vision(world)
        world.match = attrs.evolve(world.match, reader=FailsWithTheDatabase(world.pipeline))
        delivery = await nth_delivery(world, DELIVERIES)
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(60)
        assert (world.trace.holds[0][0], running.done(), delivery.retries) == ("database", False, [])
        world.database.available = True
        await world.clock.advance(1)
        await running
        assert [record.outcome.reason for record in world.records] == [Reason.EMBEDDER_CRASHED]
        assert (delivery.job.terminated, len(world.dead_letters.letters)) == ("embedder_crashed", 1)


class TestHeartbeat:
    """A job that takes its time is not delivered to anyone else."""

    async def test_signs_of_life_are_given_while_the_job_runs(self, world: World) -> None:
        """The queue hears of a slow job again and again, and does not deliver it twice."""
        reader = world.block_vision()
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(10 * world.queue.ack_wait)
        assert delivery.signs_of_life == 10 * world.queue.ack_wait / HEARTBEAT_SECONDS
        assert await world.queue.fetch(1, timeout_seconds=0) == []
        reader.opened.set()
        await running
        assert (delivery.job.acked, delivery.job.deliveries) == (True, 1)

    async def test_the_heart_stops_with_the_job(self, world: World) -> None:
        """A job that is over gives no further sign of life."""
        delivery = await world.delivery()
        await world.process(delivery)
        await world.clock.advance(1000)
        assert (delivery.signs_of_life, world.clock.sleepers) == (0, 0)

    async def test_a_beat_that_gets_lost_is_followed_by_the_next(self, world: World) -> None:
        """A broker that is away for a while stops neither the job nor its heart."""
        reader = world.block_vision()
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        world.queue.failing.add("keep_alive")
        await world.clock.advance(2 * HEARTBEAT_SECONDS)
        world.queue.failing.clear()
        await world.clock.advance(HEARTBEAT_SECONDS)
        assert delivery.signs_of_life == 1
        reader.opened.set()
        await running
        assert delivery.job.acked is True

    async def test_a_defect_in_a_beat_does_not_stop_the_heart(self, world: World) -> None:
        """An unexpected error is reported, the job ends as it should, and the process does not raise."""
        error = RuntimeError("the transport is closed")

        class Arrhythmic(InMemoryDelivery):
            async def keep_alive(self) -> None:
                await super().keep_alive()
                raise error

        reader = world.block_vision()
        ordinary = await world.delivery()
        delivery = Arrhythmic(world.queue, ordinary.job)
        running = asyncio.create_task(world.process(delivery))
        await world.clock.advance(2 * HEARTBEAT_SECONDS)
        reader.opened.set()
        await running
        assert (world.trace.errors, delivery.signs_of_life, ordinary.job.acked) == ([error, error], 2, True)


class TestStopping:
    """A worker that stops gives back at once what it cannot finish."""

    async def test_a_held_job_is_given_back(self, world: World) -> None:
        """During an outage a stop does not wait for its end: another worker will."""
        world.database.available = False
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        await world.outages.stop()
        await running
        assert (delivery.retries, world.trace.releases, world.database.attempts) == ([0], [STOPPING], {})

    async def test_a_cancelled_job_is_given_back(self, world: World) -> None:
        """A job cut off in the middle of its work is delivered again at once."""
        world.block_vision()
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (delivery.retries, world.trace.releases, world.trace.is_open) == ([0], [STOPPING], False)
        assert [(attempt.delivery, attempt.reason) for attempt in world.database.attempts.values()] == [(1, None)]
        assert (await world.redelivery(after_seconds=0)).number == 2

    async def test_a_job_is_given_back_although_the_database_lets_go_of_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A note that has no end, and does not end where it is cut off, keeps the job from nobody."""
        monkeypatch.setattr("application.running.process_delivery._NOTING_SECONDS", 0.01)

        class Frozen(InMemoryLedger):
            async def note_attempt(self, attempt: Attempt) -> None:  # noqa: ARG002 - the port's signature
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(60)

        world.ledger = Frozen(world.database)
        world.block_vision()
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        running.cancel()
        async with asyncio.timeout(3):
            await asyncio.wait({running})
        assert delivery.retries == [0]

    @pytest.mark.parametrize("crashing", [False, True], ids=["matches", "crashes"])
    async def test_deliveries_given_back_are_not_counted(self, world: World, *, crashing: bool) -> None:
        """However often workers are stopped, the job has all its attempts left; each of them is then counted."""
        healthy = world.match
        reader = world.block_vision()
        delivery = await world.delivery()
        for _ in range(2 * DELIVERIES):
            running = asyncio.create_task(world.process(delivery))
            await settle()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            delivery = await world.redelivery(after_seconds=0)
        world.match = healthy
        if crashing:
            crash_vision(world)
        tries = 0
        while True:
            await world.process(delivery)
            tries += 1
            if delivery.job.ended:
                break
            delivery = await world.redelivery(after_seconds=delivery.retries[0])
        assert (tries, len(world.dead_letters.letters)) == ((DELIVERIES, 1) if crashing else (1, 0))
        assert not reader.opened.is_set()

    async def test_a_defect_in_the_ledger_does_not_keep_a_job(self, world: World) -> None:
        """A return that cannot be noted is made all the same, and what was wrong is reported."""
        error = RuntimeError("a constraint that nobody knows")

        class Broken(InMemoryLedger):
            async def note_attempt(self, attempt: Attempt) -> None:  # noqa: ARG002 - the port's signature
                raise error

        world.block_vision()
        world.ledger = Broken(world.database)
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert (delivery.retries, world.trace.errors) == ([0], [error])

    async def test_a_database_that_freezes_does_not_keep_a_job(self, world: World) -> None:
        """A return that cannot be noted in time is made all the same."""

        class Frozen(InMemoryLedger):
            async def note_attempt(self, attempt: Attempt) -> None:  # noqa: ARG002 - the port's signature
                await asyncio.Event().wait()

        world.block_vision()
        world.ledger = Frozen(world.database)
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        running.cancel()
        await asyncio.wait({running}, timeout=30)
        assert (running.done(), delivery.retries) == (True, [0])

    @pytest.mark.parametrize("cancelled", [False, True], ids=["stopped", "cancelled"])
    async def test_a_broker_that_is_away_does_not_keep_a_job(self, world: World, *, cancelled: bool) -> None:
        """Where the job cannot be given back its time runs out instead."""
        world.database.available = False
        running = asyncio.create_task(world.process(await world.delivery()))
        await settle()
        world.queue.available = False
        if cancelled:
            running.cancel()
        else:
            await world.outages.stop()
        await asyncio.gather(running, return_exceptions=True)
        assert (running.cancelled(), world.trace.releases, world.trace.is_open) == (cancelled, [STOPPING], False)
        assert world.trace.unsettled_details == ["queue, retry: no answer"]

    async def test_a_held_job_that_is_cancelled_while_it_is_given_back_is_given_back(self, world: World) -> None:
        """The end of the grace time cuts off neither the note nor the return, and is obeyed after them."""

        class Slow(InMemoryLedger):
            async def note_attempt(self, attempt: Attempt) -> None:
                await asyncio.sleep(0.05)
                await super().note_attempt(attempt)

        world.ledger = Slow(world.database)
        world.database.available = False
        delivery = await world.delivery()
        running = asyncio.create_task(world.process(delivery))
        await settle()
        await world.outages.stop()
        await settle()
        assert delivery.retries == []
        running.cancel()
        await asyncio.wait({running})
        assert (running.cancelled(), delivery.retries, world.trace.releases) == (True, [0], [STOPPING])
        assert (world.trace.unsettled_details, world.trace.is_open) == ([], False)

    async def test_a_job_that_is_cancelled_after_a_defect_is_given_back(self, world: World) -> None:
        """Its return with a delay is on its way when the worker stops: it arrives."""
        slow = SlowDelivery(world.queue, (await world.delivery()).job)
        world.results.poison[slow.key] = ValueError("x")
        running = asyncio.create_task(world.process(slow))
        await settle()
        running.cancel()
        await settle()
        assert not running.done()
        slow.answered.set()
        await asyncio.wait({running})
        assert (running.cancelled(), slow.retries) == (True, [RETRY_SECONDS])

    async def test_a_return_that_is_cut_off_is_not_told_as_done(self, world: World) -> None:
        """Where the worker ends before the broker has confirmed, the line says that it did not."""
        slow = SlowDelivery(world.queue, (await world.delivery()).job)
        world.database.available = False
        running = asyncio.create_task(world.process(slow))
        await settle()
        await world.outages.stop()
        for _end in "grace", "process":
            await settle()
            assert not running.done()
            running.cancel()
        await asyncio.wait({running}, timeout=3)
        assert (running.cancelled(), slow.retries) == (True, [])
        assert world.trace.unsettled_details == ["the worker ended before the broker confirmed"]

    async def test_a_job_cancelled_after_the_commit_is_repeated_by_another_worker(self, world: World) -> None:
        """What was recorded stands: the redelivery announces it and works no more."""

        class Hanging(InMemoryResultPublisher):
            async def publish(self, record: JobRecord) -> None:  # noqa: ARG002 - the port's signature
                await asyncio.Event().wait()

        healthy, world.results = world.results, Hanging()
        running = asyncio.create_task(world.process(await world.delivery()))
        await settle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        world.results = healthy
        again = await world.redelivery(after_seconds=0)
        await world.process(again)
        assert (world.results.published, again.job.acked) == (world.records, True)
        assert len(world.photos.fetched) == 1

    @pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
    @pytest.mark.parametrize("number", [1, DELIVERIES], ids=["first delivery", "last delivery"])
    @pytest.mark.parametrize("crashing", [False, True], ids=["matches", "crashes"])
    async def test_a_job_cut_off_at_any_moment_ends_once(self, *, killed: bool, number: int, crashing: bool) -> None:
        """Wherever a worker is stopped or killed, the next ones bring the job to one outcome, one event, one end."""
        turns = 0
        while True:
            world = World()
            if crashing:
                crash_vision(world)
            running = asyncio.create_task(world.process(await nth_delivery(world, number)))
            await settle(turns)
            if running.done():
                break
            if killed:
                world.queue.available = world.results.available = world.dead_letters.available = False
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            world.queue.available = world.results.available = world.dead_letters.available = True
            job = world.queue.jobs[0]
            while not job.ended:
                await world.process(await world.redelivery())
            assert list(world.results.events.values()) == world.records
            assert len(world.dead_letters.letters) == (job.terminated is not None)
            assert len(world.records) == 1
            turns += 1
        assert turns > 5
