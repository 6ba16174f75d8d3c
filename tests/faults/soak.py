"""``python -m tests.faults.soak``: everything breaks at random under load, and every job ends as if nothing had.

The same jobs are run undisturbed first, on the same servers. What is broken, and when, follows from the seed; what a
worker does at that moment does not.
"""

import argparse
import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import attrs
from rich.console import Console
from rich.table import Table

from infra.local_stack.stack import LocalStack
from infra.photographs import Photographs
from tests.e2e.world import World, make_world
from tests.faults.album import add_photos, furnish, mixed
from tests.faults.audit import Verdict, compare, find
from tests.faults.chaos import ALL_FAULTS, Chaos, Fault
from tests.faults.crew import Crew
from tests.faults.load import Load, deliveries
from tests.faults.site import forget

_SETTINGS: Final = {
    "FACEMATCH_NATS_RETRY_BASE_SECONDS": "0.5",
    "FACEMATCH_WORKER_PROCESSES": "1",
    "FACEMATCH_LOG_FORMAT": "json",
}
_PATIENCE_SECONDS: Final = 300.0
_SECONDS_PER_JOB: Final = 0.5
_TELL_SECONDS: Final = 15.0
_RECORDED: Final = "SELECT recorded_at, worker FROM facematch.outcomes ORDER BY recorded_at"
_FREEZE: Final = 1.5
"""How long a worker is frozen, in times of what its jobs are waited for."""


@attrs.frozen(kw_only=True)
class Plan:
    """What to run: jobs, workers and faults; ``pause`` seconds, on average, between two faults of a stream."""

    jobs: int
    seed: int
    workers: int = 3
    faults: Sequence[str] = ALL_FAULTS
    pause: float = 3.0
    outage: float = 4.0
    ack_wait: float = 5.0


@attrs.frozen
class Report:
    """What a soak came to: seconds of both runs, and seconds from each fault's end to the next outcome."""

    verdict: Verdict
    deaths: Sequence[str]
    undisturbed_seconds: float
    disturbed_seconds: float
    injected: Counter[str]
    recoveries: Mapping[str, Sequence[float]]
    deliveries: Counter[int]

    @property
    def good(self) -> bool:
        """Nothing was lost, doubled or wrong, and no worker ended by itself."""
        return self.verdict.good and not self.deaths


async def soak(plan: Plan, photographs: Photographs, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Run the jobs undisturbed, then disturbed, and compare.

    Raises:
        TimeoutError: the jobs of a run were not done in time.

    """
    jobs = mixed(plan.jobs, random.Random(plan.seed))
    patience = _PATIENCE_SECONDS + plan.jobs * _SECONDS_PER_JOB
    async with _open_world(plan) as (stack, world, folder):
        furnish(world, photographs)
        add_photos(world, jobs)
        with _crew(world, folder / "undisturbed", plan.workers) as crew:
            undisturbed_seconds = await Load(world, crew).run(jobs, patience=patience)
            expected = await find(world)
        progress(f"undisturbed: {plan.jobs} jobs in {undisturbed_seconds:.0f} s")
        await forget(world)
        world.sql("CHECKPOINT")
        with _crew(world, folder / "disturbed", plan.workers) as crew:
            chaos = Chaos(stack, crew, world, pause=plan.pause, frozen=_FREEZE * plan.ack_wait, outage=plan.outage)
            load = Load(world, crew)
            async with _telling(load, chaos, progress), _raging(chaos, plan):
                disturbed_seconds = await load.run(jobs, patience=patience)
            found = await find(world)
            crew.note_deaths()
            counts = deliveries(crew)
        recorded = [(at.timestamp(), worker) for at, worker in world.sql(_RECORDED)]
    return Report(
        verdict=compare(jobs, expected, found),
        deaths=crew.deaths,
        undisturbed_seconds=undisturbed_seconds,
        disturbed_seconds=disturbed_seconds,
        injected=Counter(fault.name for fault in chaos.faults),
        recoveries=_recoveries(chaos.faults, recorded),
        deliveries=counts,
    )


@asynccontextmanager
async def _open_world(plan: Plan) -> AsyncIterator[tuple[LocalStack, World, Path]]:
    """Open servers that lose what they have not written when they are killed, as far as they ever do."""
    with tempfile.TemporaryDirectory(prefix="facematch-soak-") as name, LocalStack(durable=False) as stack:
        stack.postgres.create_database("app")
        settings = {**_SETTINGS, "FACEMATCH_NATS_ACK_WAIT": str(plan.ack_wait)}
        async with make_world(stack.environment("app") | settings, stack.s3.client(), Path(name)) as world:
            world.prepare()
            yield stack, world, Path(name)


@contextmanager
def _crew(world: World, folder: Path, places: int) -> Iterator[Crew]:
    """Have that many workers work until the block ends."""
    folder.mkdir()
    crew = Crew(world.environment, folder, places)
    try:
        for worker in [crew.start(place) for place in range(places)]:
            worker.wait_ready()
        yield crew
    finally:
        crew.end()


@asynccontextmanager
async def _raging(chaos: Chaos, plan: Plan) -> AsyncIterator[None]:
    """Inject faults until the block ends, and mend the last ones."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(chaos.rage(plan.faults, plan.seed, stop))
        try:
            yield
        finally:
            stop.set()


@asynccontextmanager
async def _telling(load: Load, chaos: Chaos, progress: Callable[[str], None]) -> AsyncIterator[None]:
    """Tell now and then how far it is."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            progress(f"disturbed: {await load.done() or 'nobody knows how many'} done, {len(chaos.faults)} faults")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()


def _recoveries(faults: Sequence[Fault], recorded: Sequence[tuple[float, str]]) -> Mapping[str, Sequence[float]]:
    """Return the seconds from each fault's end to the next outcome; where a worker was replaced, by the new one."""
    seconds = defaultdict(list)
    for fault in faults:
        for at, worker in recorded:
            if at > fault.mended_at and (fault.replacement is None or worker.endswith(f"-{fault.replacement}")):
                seconds[fault.name].append(at - fault.mended_at)
                break
    return seconds


def _table(report: Report) -> Table:
    table = Table("fault", "times", "next outcome after: median", "longest")
    for name in ALL_FAULTS:
        seconds = report.recoveries.get(name, [])
        figures = [f"{statistics.median(seconds):.1f} s", f"{max(seconds):.1f} s"] if seconds else ["", ""]
        table.add_row(name, str(report.injected[name]), *figures)
    table.add_row("all", str(report.injected.total()), "", "")
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break everything at random under load, and compare.")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--workers", type=int, default=3, help="default: 3, of one vision process each")
    parser.add_argument("--pause", type=float, default=3.0, help="mean seconds between two faults of a stream")
    parser.add_argument("--faults", nargs="+", metavar="FAULT", choices=ALL_FAULTS, default=ALL_FAULTS)
    return parser.parse_args()


def main() -> None:
    """Run a soak, tell what was injected and what came of it, and exit with 1 where anything is wrong."""
    given = _arguments()
    console = Console()
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # that the broker goes away is no news here
    plan = Plan(jobs=given.jobs, seed=given.seed, workers=given.workers, faults=given.faults, pause=given.pause)
    console.print(f"seed {plan.seed}: {plan.jobs} jobs, {plan.workers} workers")
    report = asyncio.run(soak(plan, Photographs.fetched(), progress=console.print))
    console.print(_table(report))
    console.print(f"disturbed: {plan.jobs} jobs in {report.disturbed_seconds:.0f} s")
    console.print(f"deliveries of a job: {dict(sorted(report.deliveries.items()))}")
    console.print(f"workers that ended by themselves: {list(report.deaths)}")
    console.print(str(report.verdict), markup=False)
    sys.exit(0 if report.good else 1)


if __name__ == "__main__":
    main()
