"""What happens to one delivery: its job is matched, and the delivery is settled whatever comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import attrs

from application.matching.match_single_face import Conclusion, MatchSingleFace
from application.ports.announcements import DeadLetters, ResultPublisher
from application.ports.job_queue import Delivery, JobParser
from application.ports.ledger import Attempt, Ledger
from application.ports.telemetry import JobTrace, Telemetry
from application.running.outages import Outages, StoppingError
from domain.errors import AttemptFailedError, DatabaseUnavailableError, MessagingUnavailableError
from domain.jobs import JobKey, MalformedJob, MatchJob
from domain.outcomes import Reason
from domain.records import JobRecord
from domain.retries import LinearBackoff

_NOTING_SECONDS = 2.0
_STOPPING = "the worker stops"
_IN_HAND = "it is in hand here already"


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
    policy: DeliveryPolicy
    on_published: Callable[[JobKey], None]
    _in_hand: set[JobKey] = attrs.field(factory=set, init=False)

    async def __call__(self, delivery: Delivery) -> None:
        """Match and settle. Cancelled, it gives the job back at once, to be delivered to another worker.

        A job that is delivered again while it is in hand is settled by its first delivery, and this one not counted.
        """
        with self.telemetry.job(delivery) as trace:
            request = self.parser.parse(delivery.body)
            trace.identify(request)
            if delivery.key in self._in_hand:
                await self._leave(delivery, request, trace, why=_IN_HAND)
                return
            self._in_hand.add(delivery.key)
            try:
                await self._handle(delivery, request, trace)
            finally:
                self._in_hand.remove(delivery.key)

    async def _handle(self, delivery: Delivery, request: MatchJob | MalformedJob, trace: JobTrace) -> None:
        try:
            async with self._heartbeat(delivery, trace):
                conclusion = await self._resolve(delivery, request, trace)
                if conclusion is not None:
                    trace.concluded(conclusion.record, repeated=conclusion.repeated)
                    await self._settle(delivery, conclusion.record, trace)
        except StoppingError:
            await self._release(delivery, request, trace, why=_STOPPING)
        except asyncio.CancelledError:
            await asyncio.shield(self._release(delivery, request, trace, why=_STOPPING))
            raise
        except MessagingUnavailableError as error:
            trace.unsettled(str(error))
        except Exception as error:  # noqa: BLE001 - a defect in settling one job must not lose it, nor end others
            trace.unexpected(error)
            trace.unsettled(f"unexpected {type(error).__name__}; the log has its trace")
            await self._give_back(delivery, after_seconds=self.policy.retries.delay(delivery.number))

    async def _resolve(
        self, delivery: Delivery, request: MatchJob | MalformedJob, trace: JobTrace
    ) -> Conclusion | None:
        """Return the job's outcome, or None after the delivery has been given back, for another attempt or worker."""
        while True:
            try:
                return await self._attempt(delivery, request, trace)
            except AttemptFailedError as error:
                failure = error
            down = await self.outages.outage_behind(failure)
            if failure.for_other_workers:
                pause = self.policy.retries.delay(1)  # for whoever takes it next may not be one that can do it
                await self._release(delivery, request, trace, why=str(failure), after_seconds=pause)
                return None
            if down is not None:
                trace.held(down, str(failure))
                await self.outages.recovery(down)
                continue
            try:
                if await self._count(delivery) < self.policy.retries.attempts:
                    await self._retry(delivery, request, failure, trace)
                    return None
                return await self.match.give_up(delivery.key, request, failure.reason, str(failure), trace)
            except DatabaseUnavailableError as unrecorded:
                down = await self.outages.outage_behind(unrecorded)
                if down is None:
                    await self._retry(delivery, request, unrecorded, trace)
                    return None
                trace.held(down, str(unrecorded))
                await self.outages.recovery(down)

    async def _count(self, delivery: Delivery) -> int:
        """Return how often the job was delivered, but for the deliveries that workers gave back for others."""
        if delivery.number < self.policy.retries.attempts:
            return delivery.number  # whatever became of the earlier ones
        attempts = await self.ledger.attempts(delivery.key)
        return delivery.number - sum(attempt.reason is None for attempt in attempts)

    async def _attempt(self, delivery: Delivery, request: MatchJob | MalformedJob, trace: JobTrace) -> Conclusion:
        if await self._count(delivery) > self.policy.retries.attempts:
            return await self._exhausted(delivery, request, trace)
        deadline = asyncio.timeout(self.policy.deadline_seconds)
        try:
            async with deadline:
                return await self.match(delivery.key, request, trace)
        except AttemptFailedError:
            raise
        except Exception as error:
            if deadline.expired():
                limit = f"{self.policy.deadline_seconds:g} s"
                raise AttemptFailedError(f"the attempt showed no result within {limit}") from error
            trace.unexpected(error)
            raise AttemptFailedError(f"unexpected {type(error).__name__}; the log has its trace") from error

    async def _exhausted(self, delivery: Delivery, request: MatchJob | MalformedJob, trace: JobTrace) -> Conclusion:
        """Conclude a job whose deliveries are used up, most likely by workers that died of it."""
        reason = Reason.INTERNAL_ERROR
        detail = f"delivered {delivery.number} times without an outcome, {self.policy.retries.attempts} are allowed"
        for attempt in reversed(await self.ledger.attempts(delivery.key)):
            if attempt.reason is not None:
                reason = attempt.reason
                detail = f"{detail}; the last recorded attempt: {attempt.detail}"
                break
        return await self.match.give_up(delivery.key, request, reason, detail, trace)

    async def _retry(
        self, delivery: Delivery, request: MatchJob | MalformedJob, failure: AttemptFailedError, trace: JobTrace
    ) -> None:
        delay = self.policy.retries.delay(delivery.number)
        trace.attempt_failed(failure.reason, str(failure), retry_after_seconds=delay)
        await self._note(delivery, request, failure.reason, str(failure))
        await delivery.retry(after_seconds=delay)

    async def _note(
        self, delivery: Delivery, request: MatchJob | MalformedJob, reason: Reason | None, detail: str
    ) -> None:
        attempt = Attempt(
            key=delivery.key,
            delivery=delivery.number,
            reason=reason,
            detail=detail,
            worker=self.match.worker,
            occurred_at=self.match.clock.now(),
            photo_id=request.photo_id,
        )
        with contextlib.suppress(DatabaseUnavailableError):  # the log line has it too; the retry matters more
            await self.ledger.note_attempt(attempt)

    async def _settle(self, delivery: Delivery, record: JobRecord, trace: JobTrace) -> None:
        """Tell the world, then end the delivery: in this order, so that a crash repeats and never loses."""
        with trace.stage("publish"):
            if record.dead_lettered:
                await self.dead_letters.bury(delivery, record)
            await self.results.publish(record)
        self.on_published(record.key)
        with trace.stage("ack"):
            if record.dead_lettered:
                await delivery.terminate(str(record.outcome.reason))
            else:
                await delivery.ack()

    async def _release(
        self,
        delivery: Delivery,
        request: MatchJob | MalformedJob,
        trace: JobTrace,
        *,
        why: str,
        after_seconds: float = 0,
    ) -> None:
        """Give the job back; noted first, because whoever gets it next may want to count."""
        await self._leave(delivery, request, trace, why=why)
        await self._give_back(delivery, after_seconds=after_seconds)

    async def _leave(self, delivery: Delivery, request: MatchJob | MalformedJob, trace: JobTrace, *, why: str) -> None:
        """Note that this delivery is none that counts."""
        trace.released(why)
        try:
            async with asyncio.timeout(_NOTING_SECONDS):
                await self._note(delivery, request, None, f"given back: {why}")
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must be given back
            trace.unexpected(error)

    @staticmethod
    async def _give_back(delivery: Delivery, *, after_seconds: float) -> None:
        with contextlib.suppress(MessagingUnavailableError):  # its time runs out instead
            await delivery.retry(after_seconds=after_seconds)

    @contextlib.asynccontextmanager
    async def _heartbeat(self, delivery: Delivery, trace: JobTrace) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await self.match.clock.sleep(self.policy.heartbeat_seconds)
                try:
                    await delivery.keep_alive()
                except MessagingUnavailableError:
                    continue  # the next beat tries again
                except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on and so does the heart
                    trace.unexpected(error)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
