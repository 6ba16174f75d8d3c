"""A run of many jobs, while servers and workers come and go."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import nats.errors
import psycopg

from tests.e2e.world import SUBJECT, World, open_jobs
from tests.faults.album import Job
from tests.faults.crew import Crew

_AT_ONCE: Final = 50
_AHEAD: Final = 300
"""How many jobs wait at most: so publishing goes on through most of a run's faults."""
_POLL_SECONDS: Final = 0.2


class Load:
    """Publishes jobs, however often the broker goes away, and knows how many are done.

    The publisher's ``Nats-Msg-Id`` keeps a job single that is published again for want of an answer. ``before`` is how
    many jobs were done already.
    """

    def __init__(self, world: World, crew: Crew, *, before: int = 0) -> None:
        self._world = world
        self._crew = crew
        self._before = before

    async def run(self, jobs: Sequence[Job], *, patience: float) -> float:
        """Publish, wait until all are done and settled, and return how many seconds it took.

        Raises:
            TimeoutError: that was not so in time.
            AssertionError: a worker ended by itself.

        """
        began = time.monotonic()
        async with asyncio.timeout(patience):
            for start in range(0, len(jobs), _AT_ONCE):
                while start - (await self.done() or 0) > _AHEAD:
                    await self._pause()
                for job in jobs[start : start + _AT_ONCE]:
                    await self._publish(job)
            while await self.done() != len(jobs) or await self._open():
                await self._pause()
        return time.monotonic() - began

    async def done(self) -> int | None:
        """Return how many of the jobs have an outcome; None where nobody tells."""
        try:
            count: int = self._world.sql("SELECT count(*) FROM facematch.outcomes")[0][0]
        except psycopg.Error:
            return None
        return count - self._before

    async def reach(self, count: int) -> None:
        """Return when that many of the jobs have an outcome."""
        while (await self.done() or 0) < count:
            await self._pause()

    async def _pause(self) -> None:
        self._crew.note_deaths()
        if self._crew.deaths:
            raise AssertionError(f"workers ended by themselves: {self._crew.deaths}")
        await asyncio.sleep(_POLL_SECONDS)

    async def _publish(self, job: Job) -> None:
        while True:
            try:
                await self._world.js.publish(
                    SUBJECT, job.body, timeout=2, headers={"Nats-Msg-Id": f"publisher-{job.job_id}"}
                )
            except (nats.errors.Error, TimeoutError, OSError):
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return

    async def _open(self) -> int:
        """Return how many jobs are waiting or in hand, 1 where nobody tells."""
        try:
            return await open_jobs(self._world.js)
        except (nats.errors.Error, TimeoutError, OSError):
            return 1


def deliveries(crew: Crew) -> Counter[int]:
    """Return how many jobs were done with their first delivery, their second, and so on, by the workers' logs."""
    last: dict[Any, int] = {}
    for line in crew.lines():
        if line.get("event") == "job" and "delivery" in line:
            key = line.get("job_id")
            last[key] = max(last.get(key, 0), line["delivery"])
    return Counter(last.values())
