"""The worker's life: fetch what there is room for, handle it, and settle everything before the end."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import attrs

from application.ports.clock import Clock
from application.ports.job_queue import Delivery, JobQueue
from application.ports.telemetry import Telemetry
from application.running.broker_watch import BROKER, BrokerWatch
from application.running.event_relay import EventRelay
from application.running.outages import Outages
from application.running.process_delivery import ProcessDelivery
from application.running.tasks import ended, first_of
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError, MessagingUnavailableError

_FETCH_SECONDS = 5.0
_FIRST_FETCH_SECONDS = 0.05
_STALL_MARGIN_SECONDS = 60.0
_LOOK_SECONDS = 30.0


@attrs.define(kw_only=True)
class Worker:
    """Runs many jobs at once on one event loop.

    ``concurrency`` jobs are in hand at most; nothing is fetched before there is room for it, because a job's
    time runs from its delivery. ``shutdown_grace`` is in seconds, as is ``release_grace``: the time that jobs have to
    give themselves back when the former is over.
    """

    queue: JobQueue
    process: ProcessDelivery
    outages: Outages
    broker: BrokerWatch
    relay: EventRelay
    telemetry: Telemetry
    clock: Clock
    concurrency: int
    shutdown_grace: float
    release_grace: float = 5.0
    _jobs: set[asyncio.Task[None]] = attrs.field(factory=set, init=False)
    _stopping: bool = attrs.field(default=False, init=False)
    _started: bool = attrs.field(default=False, init=False)
    _last_turn: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Count from now."""
        self._last_turn = self.clock.monotonic()

    @property
    def dependencies(self) -> frozenset[str]:
        """The names of all that may keep this worker from its jobs."""
        return self.outages.dependencies | {BROKER}

    @property
    def alive(self) -> bool:
        """True while jobs are being taken, or a dependency is known to be down; false when neither happens."""
        longest = self.process.policy.deadline_seconds + _STALL_MARGIN_SECONDS
        last_sign = max(self._last_turn, self.outages.last_recovery)
        return bool(self.outages.down) or self.clock.monotonic() - last_sign < longest

    @property
    def not_ready(self) -> Mapping[str, str]:
        """Why jobs are not taken, or none can be settled, by dependency; empty when neither is so."""
        reasons = dict(self.outages.down)
        if (problem := self.broker.problem) is not None:
            reasons[BROKER] = problem
        if self._stopping:
            reasons["worker"] = "stopping"
        elif not self._started:
            reasons["worker"] = "starting"
        return reasons

    async def run(self, stop: asyncio.Event, abort: asyncio.Event) -> None:
        """Work until ``stop`` is set, then settle within the grace time; ``abort`` ends the grace at once."""
        relay = asyncio.create_task(self.relay.run())
        taking = asyncio.create_task(self._take_jobs())
        looking = asyncio.create_task(self._look_now_and_then())
        try:
            await first_of([taking], stop)
        finally:
            self._stopping = True
            await ended(taking, looking)
            for delivery in await self.queue.close():
                self._take(delivery)
            await self.outages.stop()
            await self._settle(abort)
            flushing = asyncio.create_task(self._flush_after(relay))
            await asyncio.wait({flushing}, timeout=self.release_grace)
        if not taking.cancelled():
            taking.result()

    async def _flush_after(self, relay: asyncio.Task[None]) -> None:
        """Mark what was published; what is not marked in time, another worker publishes again."""
        await ended(relay)
        with suppress(DatabaseUnavailableError):
            await self.relay.flush()

    async def _look_now_and_then(self) -> None:
        """Probe what changes without a word: no job's statement fails of it, or there is no job."""
        while True:
            await self.clock.sleep(_LOOK_SECONDS)
            try:
                for kind in DatabaseUnavailableError, GalleryNotReadyError:
                    if not self.outages.down:
                        await self.outages.look_at(kind)
            except Exception as error:  # noqa: BLE001 - a defect in one look must not end the looking
                self.telemetry.unexpected(error)

    async def _take_jobs(self) -> None:
        while not self._stopping:
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - a defect in one turn must not end the worker
                self.telemetry.unexpected(error)
                await self.clock.sleep(1.0)
            else:
                self._last_turn = self.clock.monotonic()

    async def _turn(self) -> None:
        """Wait for room and for every dependency, then fetch once; one job at a time while none can be settled."""
        if self.outages.down:
            await self.outages.all_recoveries()
        pause = self.broker.pause()
        concurrency = self.concurrency if pause is None else 1
        if len(self._jobs) >= concurrency:
            await asyncio.wait(self._jobs, return_when=asyncio.FIRST_COMPLETED)
            return
        if pause is not None:
            await self.clock.sleep(pause)
        try:
            room = concurrency - len(self._jobs)
            timeout = _FETCH_SECONDS if self._started else _FIRST_FETCH_SECONDS
            with self.broker.fetching():
                deliveries = await self.queue.fetch(room, timeout_seconds=timeout)
        except MessagingUnavailableError:
            await self.clock.sleep(1.0)
            return
        self._started = True
        for delivery in deliveries:
            self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self.process(delivery))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _settle(self, abort: asyncio.Event) -> None:
        if self._jobs:
            drained = asyncio.create_task(asyncio.wait(set(self._jobs)))
            await first_of([drained], abort, self.shutdown_grace)
            drained.cancel()
        for job in self._jobs:
            job.cancel()
        if self._jobs:
            await asyncio.wait(set(self._jobs), timeout=self.release_grace)
