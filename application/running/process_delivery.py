"""What happens to one delivery: its job is matched, and the delivery is settled whatever comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import attrs

from application.matching.match_single_face import Conclusion, MatchSingleFace
from application.ports.announcements import DeadLetters, ResultPublisher
from application.ports.clock import Clock
from application.ports.job_queue import Delivery, JobParser
from application.ports.ledger import Attempt, Ledger
from application.ports.telemetry import JobTrace, Telemetry
from application.running.outages import Outages, StoppingError
from application.running.tasks import to_its_end
from domain.errors import AttemptFailedError, DatabaseUnavailableError, MessagingUnavailableError, Scope
from domain.jobs import JobKey, MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord
from domain.retries import LinearBackoff

_NOTING_SECONDS = 2.0
_STOPPING = "given back: the worker stops"
_CUT_OFF = "the worker ended before the broker confirmed"
_IN_HAND = "left to its first delivery, which is in hand here"


@attrs.frozen
class DeliveryPolicy:
    """What is configured about deliveries.

    ``retries.attempts`` is the number of deliveries a job may have; after the n-th it is given back for
    ``retries.delay(n)`` seconds. ``heartbeat_seconds`` is the pause between two signs of life, and
    ``deadline_seconds`` the time after which an attempt is given up although it shows no error.
    """

    retries: LinearBackoff
    heartbeat_seconds: float
    deadline_seconds: float


@attrs.frozen
class _Job:
    """A job in hand: its delivery, what its body was understood as, and what is told of it."""

    delivery: Delivery
    request: MatchJob | MalformedJob
    trace: JobTrace


@attrs.frozen(kw_only=True)
class ProcessDelivery:
    """Handles one delivery from its arrival to its acknowledgement; never raises but for cancellation."""

    parser: JobParser
    match: MatchSingleFace
    ledger: Ledger
    results: ResultPublisher
    dead_letters: DeadLetters
    outages: Outages
    telemetry: Telemetry
    clock: Clock
    policy: DeliveryPolicy
    worker: str
    on_published: Callable[[JobKey], None]
    _in_hand: set[JobKey] = attrs.field(factory=set, init=False)

    async def __call__(self, delivery: Delivery) -> None:
        """Match and settle. Cancelled, it gives the job back at once, to be delivered to another worker.

        A job that is delivered again while it is in hand is settled by its first delivery, and this one not counted.
        """
        with self.telemetry.job(delivery) as trace:
            job = _Job(delivery, self.parser.parse(delivery.body), trace)
            trace.identify(job.request)
            if delivery.key in self._in_hand:
                await self._leave(job, why=_IN_HAND)
                return
            self._in_hand.add(delivery.key)
            try:
                await self._handle(job)
            finally:
                self._in_hand.remove(delivery.key)

    async def _handle(self, job: _Job) -> None:
        try:
            async with self._heartbeat(job):
                conclusion = await self._resolve(job)
                if conclusion is not None:
                    job.trace.concluded(conclusion.record, repeated=conclusion.repeated)
                    await self._settle(job, conclusion.record)
        except StoppingError:
            await to_its_end(self._release(job, why=_STOPPING))
        except asyncio.CancelledError:
            await to_its_end(self._release(job, why=_STOPPING))
            raise
        except MessagingUnavailableError as error:
            job.trace.unsettled(str(error))
        except Exception as error:  # noqa: BLE001 - a defect in settling one job must not lose it, nor end others
            job.trace.unexpected(error)
            job.trace.unsettled(f"unexpected {type(error).__name__}; the log has its trace")
            await to_its_end(self._give_back(job, after_seconds=self.policy.retries.delay(job.delivery.number)))

    async def _resolve(self, job: _Job) -> Conclusion | None:
        """Return the job's outcome, or None after the delivery has been given back, for another attempt or worker."""
        while True:
            try:
                return await self._attempt(job)
            except AttemptFailedError as error:
                failure = error
            down = await self.outages.outage_behind(failure)
            if failure.scope is Scope.OTHER_WORKERS:
                pause = self.policy.retries.delay(1)  # for whoever takes it next may not be one that can do it
                await self._release(job, why=f"given back: {failure}", after_seconds=pause)
                return None
            if down is None:
                try:
                    return await self._retry_or_give_up(job, failure)
                except DatabaseUnavailableError as unrecorded:
                    failure = unrecorded
                down = await self.outages.outage_behind(failure)
            if down is None:
                await self._retry(job, failure, failure.reason, after_attempts=self.policy.retries.attempts)
                return None
            await self._hold(job, down, failure)

    async def _retry_or_give_up(self, job: _Job, failure: AttemptFailedError) -> Conclusion | None:
        if failure.scope is Scope.LOCKED:
            await self._retry(job, failure, None, after_attempts=job.delivery.number)
            return None
        count = await self._count(job)
        if count < self.policy.retries.attempts:
            await self._retry(job, failure, failure.reason, after_attempts=count)
            return None
        return await self._give_up(job, failure.reason, str(failure))

    async def _hold(self, job: _Job, down: str, failure: AttemptFailedError) -> None:
        """Keep the job until the dependency that is down answers again."""
        job.trace.held(down, str(failure))
        await self.outages.recovery(down)

    async def _count(self, job: _Job) -> int:
        """Return how often the job was delivered, but for the deliveries that workers gave back for others."""
        number = job.delivery.number
        if number < self.policy.retries.attempts:
            return number  # whatever became of the earlier ones
        attempts = await self.ledger.attempts(job.delivery.key)
        return number - sum(attempt.reason is None for attempt in attempts)

    async def _attempt(self, job: _Job) -> Conclusion:
        if await self._count(job) > self.policy.retries.attempts:
            return await self._exhausted(job)
        deadline = asyncio.timeout(self.policy.deadline_seconds)
        try:
            async with deadline:
                return await self.match(job.delivery.key, job.request, job.trace)
        except AttemptFailedError:
            raise
        except Exception as error:
            if deadline.expired():
                limit = f"{self.policy.deadline_seconds:g} s"
                raise AttemptFailedError(f"the attempt showed no result within {limit}") from error
            job.trace.unexpected(error)
            raise AttemptFailedError(f"unexpected {type(error).__name__}; the log has its trace") from error

    async def _exhausted(self, job: _Job) -> Conclusion:
        """Conclude a job whose deliveries are used up, most likely by workers that died of it."""
        number, allowed = job.delivery.number, self.policy.retries.attempts
        reason = Reason.INTERNAL_ERROR
        detail = f"delivered {number} times without an outcome, {allowed} are allowed"
        for attempt in reversed(await self.ledger.attempts(job.delivery.key)):
            if attempt.reason is not None:
                reason = attempt.reason
                detail = f"{detail}; the last recorded attempt: {attempt.detail}"
                break
        return await self._give_up(job, reason, detail)

    async def _give_up(self, job: _Job, reason: Reason, detail: str) -> Conclusion:
        return await self.match.give_up(job.delivery.key, job.request, reason, detail, job.trace)

    async def _retry(
        self, job: _Job, failure: AttemptFailedError, noted: Reason | None, *, after_attempts: int
    ) -> None:
        """Give the job back for another attempt; it counts unless it is noted without a reason."""
        delay = self.policy.retries.delay(after_attempts)
        job.trace.attempt_failed(failure.reason, str(failure), retry_after_seconds=delay)
        await self._note(job, noted, str(failure))
        await job.delivery.retry(after_seconds=delay)

    async def _note(self, job: _Job, reason: Reason | None, detail: str) -> None:
        attempt = Attempt(
            key=job.delivery.key,
            delivery=job.delivery.number,
            reason=reason,
            detail=detail,
            worker=self.worker,
            occurred_at=self.clock.now(),
            photo_id=job.request.photo_id,
        )
        with contextlib.suppress(DatabaseUnavailableError):  # the log line has it too; the retry matters more
            await self.ledger.note_attempt(attempt)

    async def _settle(self, job: _Job, record: JobRecord) -> None:
        """Tell the world, then end the delivery: in this order, so that a crash repeats and never loses."""
        with job.trace.stage("publish"):
            if record.dead_lettered:
                await self.dead_letters.publish(job.delivery, record)
            await self.results.publish(record)
        self.on_published(record.key)
        with job.trace.stage("ack"):
            if record.dead_lettered:
                await job.delivery.terminate(str(record.outcome.reason))
            else:
                await job.delivery.ack()

    async def _release(self, job: _Job, *, why: str, after_seconds: float = 0) -> None:
        """Give the job back; noted first, because whoever gets it next may want to count."""
        await self._leave(job, why=why)
        await self._give_back(job, after_seconds=after_seconds)

    async def _leave(self, job: _Job, *, why: str) -> None:
        """Note that this delivery is none that counts."""
        job.trace.released(why)

        async def note() -> None:
            try:
                await self._note(job, None, why)
            except Exception as error:  # noqa: BLE001 - whatever it is, the job must be given back
                job.trace.unexpected(error)

        noting = asyncio.create_task(note())
        await asyncio.wait({noting}, timeout=_NOTING_SECONDS)
        noting.cancel()  # and not waited for: where the database does not answer, that takes its client seconds more

    @staticmethod
    async def _give_back(job: _Job, *, after_seconds: float) -> None:
        try:
            await job.delivery.retry(after_seconds=after_seconds)
        except MessagingUnavailableError as error:  # its time runs out instead
            job.trace.unsettled(str(error))
        except asyncio.CancelledError:
            job.trace.unsettled(_CUT_OFF)
            raise

    @contextlib.asynccontextmanager
    async def _heartbeat(self, job: _Job) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await self.clock.sleep(self.policy.heartbeat_seconds)
                try:
                    await job.delivery.keep_alive()
                except MessagingUnavailableError:
                    continue  # the next beat tries again
                except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on and so does the heart
                    job.trace.unexpected(error)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
