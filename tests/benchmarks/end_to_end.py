"""How many photographs a second the whole service gets done, against what its vision alone would."""

import asyncio
import os
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
from tests.benchmarks.everyday import EMBEDDER, Everyday, everyday
from tests.benchmarks.site import Cpu, steady_rate
from tests.e2e.world import WorkerProcess
from tests.processes import children, cpu_seconds_of_all
from tests.readers import pool_of

_JOBS = 300
_ROUNDS = 5
_PROCESSES = usable_cores()
"""The default of ``FACEMATCH_WORKER_PROCESSES``."""


@attrs.frozen
class Turn:
    """Photographs a second, and seconds of CPU for each."""

    per_second: float
    cpu: Cpu


@attrs.frozen
class EndToEnd:
    """Rounds in which the whole service took turns with its vision alone, on the same photographs."""

    service: list[Turn]
    vision: list[Turn]

    @property
    def shares(self) -> list[float]:
        """How much of what its vision alone does the service did, round by round."""
        return [whole.per_second / alone.per_second for whole, alone in zip(self.service, self.vision, strict=True)]

    def document(self) -> dict[str, Any]:
        """Return the medians, and the rounds."""
        return {
            "share": statistics.median(self.shares),
            "service": attrs.asdict(_median(self.service)),
            "vision": attrs.asdict(_median(self.vision)),
            "shares": self.shares,
            "rounds": attrs.asdict(self),
        }


def run(console: Console, folder: Path, *, scale: float, users: int) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = uvloop.run(measure(round(_JOBS * scale), users))
    report(found, console)
    draw(found, folder / "end_to_end.png")
    return {"users": users} | found.document()


async def measure(jobs: int, users: int) -> EndToEnd:
    """Measure both in turns; the servers and a worker run all the time, and idle while its vision alone works."""
    service, vision = [], []
    async with everyday(users) as day:
        with day.site.worker() as worker:
            pool = pool_of(EMBEDDER, _PROCESSES)
            await pool.start()
            try:
                await _see(pool, worker, day.photographs)
                await _serve(day, worker, len(day.keys))
                contents = [day.photographs[number % len(day.photographs)] for number in range(jobs)]
                for _ in track(range(_ROUNDS), "end to end", console=Console(stderr=True)):
                    vision.append(await _see(pool, worker, contents))
                    service.append(await _serve(day, worker, jobs))
            finally:
                await pool.close()
    return EndToEnd(service, vision)


def report(found: EndToEnd, console: Console) -> None:
    """Print the share, and where the CPU went."""
    service, vision = _median(found.service), _median(found.vision)
    low, high = min(found.shares), max(found.shares)
    console.print(
        f"end to end: {statistics.median(found.shares):.1%} ({low:.1%} to {high:.1%}) of what its vision alone does: "
        f"{service.per_second:.1f} of {vision.per_second:.1f} photographs/s, {_PROCESSES} processes"
    )
    parts = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in attrs.asdict(service.cpu).items())
    console.print(
        f"CPU per job: {1000 * service.cpu.without_vision:.1f} ms without vision ({parts}); vision alone: "
        f"{1000 * vision.cpu.vision:.1f} ms, and {1000 * vision.cpu.worker:.1f} ms of whoever asks it"
    )


def draw(found: EndToEnd, path: Path) -> None:
    """Draw the CPU per job by who used it, the whole service beside its vision alone."""
    figure, axes = plt.subplots(figsize=(8, 2.4))
    bars = {"service": _median(found.service).cpu, "vision alone": _median(found.vision).cpu}
    left = [0.0] * len(bars)
    for name in ("vision", "worker", "s3", "postgres", "nats"):
        widths = [1000 * getattr(cpu, name) for cpu in bars.values()]
        axes.barh(list(bars), widths, left=left, label=name)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set(xlabel="milliseconds of CPU for a photograph, medians")
    axes.invert_yaxis()
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


async def _see(pool: ProcessPoolFaceReader, worker: WorkerProcess, photographs: Sequence[bytes]) -> Turn:
    """Have them looked at, while there are always some waiting."""
    processes = [pid for pid in children(os.getpid()) if pid != worker.process.pid]
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


def _median(turns: Sequence[Turn]) -> Turn:
    cpus = zip(*(attrs.astuple(turn.cpu) for turn in turns), strict=True)
    return Turn(statistics.median(turn.per_second for turn in turns), Cpu(*map(statistics.median, cpus)))
