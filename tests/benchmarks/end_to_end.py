"""How many photographs a second the whole service gets done, against what its vision alone would.

A plain loop without safeguards does the same work with the same vision: nobody can do it for less.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import uvloop
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track

from adapters.system.cores import usable_cores
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.face_pipeline import Embed
from domain.faces import FaceEmbedding
from tests.benchmarks import bare_loop
from tests.benchmarks.everyday import EMBEDDER, Everyday, everyday
from tests.benchmarks.site import Cpu, steady_rate
from tests.e2e.world import WorkerProcess
from tests.processes import cpu_seconds_of_all
from tests.readers import makers, pool_of

_JOBS = 300
_ROUNDS = 5
_PROCESSES = usable_cores()
"""The default of ``FACEMATCH_WORKER_PROCESSES``."""
_CONCURRENCY = 2 * _PROCESSES + 2
"""The default of ``FACEMATCH_WORKER_CONCURRENCY``."""


@attrs.frozen
class Turn:
    """Photographs a second, and seconds of CPU for each."""

    per_second: float
    cpu: Cpu


@attrs.frozen
class Rounds:
    """Rounds in which somebody took turns with vision alone, on the same photographs."""

    whole: list[Turn] = attrs.Factory(list)
    vision: list[Turn] = attrs.Factory(list)

    @property
    def shares(self) -> list[float]:
        """How much of what vision alone does the whole did, round by round."""
        return [whole.per_second / alone.per_second for whole, alone in zip(self.whole, self.vision, strict=True)]

    @property
    def share(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.shares)

    def document(self) -> dict[str, Any]:
        """Return the medians, and the rounds."""
        medians = {"whole": attrs.asdict(_median(self.whole)), "vision": attrs.asdict(_median(self.vision))}
        return {"share": self.share, "shares": self.shares, "rounds": attrs.asdict(self)} | medians


@attrs.frozen
class EndToEnd:
    """What the service did, and then the plain loop."""

    service: Rounds = attrs.Factory(Rounds)
    bare: Rounds = attrs.Factory(Rounds)


def run(console: Console, folder: Path, *, scale: float, users: int) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = uvloop.run(measure(round(_JOBS * scale), users))
    report(found, console)
    draw(found, folder / "end_to_end.png")
    return {"users": users, "service": found.service.document(), "bare": found.bare.document()}


async def measure(jobs: int, users: int) -> EndToEnd:
    """Measure each in turns with vision alone; the servers run all the time, and the worker only for its own rounds."""
    found = EndToEnd()
    async with everyday(users) as day:
        contents = [day.photographs[number % len(day.photographs)] for number in range(jobs)]
        pool = pool_of(EMBEDDER, _PROCESSES)
        await pool.start()
        processes = makers()
        try:
            with day.site.worker() as worker:
                await _see(pool, processes, day.photographs)
                await _serve(day, worker, len(day.keys))
                for _ in track(range(_ROUNDS), "end to end", console=Console(stderr=True)):
                    found.service.vision.append(await _see(pool, processes, contents))
                    found.service.whole.append(await _serve(day, worker, jobs))
            for _ in track(range(_ROUNDS), "plain loop", console=Console(stderr=True)):
                found.bare.vision.append(await _see(pool, processes, contents))
                found.bare.whole.append(await _loop(day, pool, processes, jobs))
        finally:
            await pool.close()
    return found


def report(found: EndToEnd, console: Console) -> None:
    """Print the shares, and where the CPU went."""
    for name, rounds in (("service", found.service), ("plain loop", found.bare)):
        whole, vision = _median(rounds.whole), _median(rounds.vision)
        low, high = min(rounds.shares), max(rounds.shares)
        console.print(
            f"{name}: {rounds.share:.1%} ({low:.1%} to {high:.1%}) of what its vision alone does: "
            f"{whole.per_second:.1f} of {vision.per_second:.1f} photographs/s, {_PROCESSES} processes"
        )
        parts = ", ".join(f"{part} {1000 * seconds:.1f} ms" for part, seconds in attrs.asdict(whole.cpu).items())
        console.print(
            f"CPU per job: {1000 * whole.cpu.without_vision:.1f} ms without vision ({parts}); vision alone: "
            f"{1000 * vision.cpu.vision:.1f} ms, and {1000 * vision.cpu.worker:.1f} ms of whoever asks it"
        )


def draw(found: EndToEnd, path: Path) -> None:
    """Draw the CPU per job by who used it: of the service, of the plain loop, and of vision alone."""
    figure, axes = plt.subplots(figsize=(8, 2.8))
    bars = {"service": found.service.whole, "plain loop": found.bare.whole, "vision alone": found.service.vision}
    cpus = {name: _median(turns).cpu for name, turns in bars.items()}
    left = [0.0] * len(cpus)
    for name in ("vision", "worker", "s3", "postgres", "nats"):
        widths = [1000 * getattr(cpu, name) for cpu in cpus.values()]
        axes.barh(list(cpus), widths, left=left, label="worker or loop" if name == "worker" else name)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set(xlabel="milliseconds of CPU for a photograph, medians")
    axes.invert_yaxis()
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


async def _see(pool: ProcessPoolFaceReader, processes: Sequence[int], photographs: Sequence[bytes]) -> Turn:
    """Have them looked at, while there are always some waiting."""
    ends: list[float] = []

    async def see(photograph: bytes) -> None:
        await pool.read(photograph, embed=Embed.ONLY_FACE)
        ends.append(time.monotonic())

    def used() -> Cpu:
        return Cpu(time.process_time(), sum(map(cpu_seconds_of_all, processes)), 0, 0, 0)

    before = used()
    await asyncio.gather(*map(see, photographs))
    return Turn(steady_rate(ends), used().since(before, per=len(photographs)))


async def _serve(day: Everyday, worker: WorkerProcess, jobs: int) -> Turn:
    """Have so many jobs done."""
    site = day.site
    await site.forget()
    photos = site.world.add_photos(jobs)
    before = site.cpu(worker)
    await site.publish(photos, day.keys)
    await site.settled()
    return Turn(site.rate(jobs), site.cpu(worker).since(before, per=jobs))


async def _loop(day: Everyday, pool: ProcessPoolFaceReader, processes: Sequence[int], jobs: int) -> Turn:
    """Have so many jobs done by the plain loop, with this pool."""
    site = day.site
    await site.forget()
    photos = site.world.add_photos(jobs)

    async def see(photograph: bytes) -> FaceEmbedding:
        [face] = (await pool.read(photograph, embed=Embed.ONLY_FACE)).faces
        return face.wanted_embedding

    def used() -> Cpu:
        return attrs.evolve(site.cpu(), vision=sum(map(cpu_seconds_of_all, processes)))

    before = used()
    await site.publish(photos, day.keys)
    rate, own = await bare_loop.run(site.world, concurrency=_CONCURRENCY, jobs=jobs, see=see)
    return Turn(rate, attrs.evolve(used().since(before, per=jobs), worker=own))


def _median(turns: Sequence[Turn]) -> Turn:
    cpus = zip(*(attrs.astuple(turn.cpu) for turn in turns), strict=True)
    return Turn(statistics.median(turn.per_second for turn in turns), Cpu(*map(statistics.median, cpus)))
