"""What a worker holds in memory, and whether that grows; how fast it starts; and what it costs while it has no jobs."""

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from tests.benchmarks.everyday import USERS, Everyday, everyday
from tests.benchmarks.photographs import noise
from tests.benchmarks.site import Cpu, Site, Template, without_vision
from tests.benchmarks.stored_embedding.stored_embedding import MODEL, vector

_STORED_JOBS = 20_000
_PHOTOGRAPHS = 3_000
_STARTS = 5
_IDLE_SECONDS = 60.0
_CALM_SECONDS = 5.0
_WARM_UP = 0.2
"""The share of the jobs before growth is measured."""
_BLOCKS = 20
_STUDENT_T = 2.101
"""The 97.5th percentile of Student's t distribution with 18 degrees of freedom: a line through 20 blocks."""
_KIB_PER_MIB = 1024


@attrs.frozen
class Footprint:
    """KiB of a process: resident; resident with shared pages in parts; and what would be free without it."""

    rss: int
    pss: int
    uss: int


@attrs.frozen
class Series:
    """One process's footprints, by how many jobs its worker had done."""

    name: str
    jobs: list[int]
    footprints: list[Footprint]

    @property
    def growth(self) -> tuple[float, float]:
        """KiB resident for each 1,000 jobs after the warm-up, and half the width of the 95 % confidence interval.

        The line goes through the means of blocks of samples: each sample resembles the one before, and a line through
        single ones would seem more certain than it is.
        """
        samples = [
            (jobs / 1000, each.rss)
            for jobs, each in zip(self.jobs, self.footprints, strict=True)
            if jobs >= _WARM_UP * self.jobs[-1]
        ]
        blocks = np.array_split(np.array(samples), min(_BLOCKS, len(samples)))
        x, y = np.array([block.mean(axis=0) for block in blocks]).T
        deviation = x - x.mean()
        slope = float((deviation @ y) / (deviation @ deviation))
        residual = y - y.mean() - slope * deviation
        error = ((residual @ residual) / (len(x) - 2) / (deviation @ deviation)) ** 0.5
        return slope, _STUDENT_T * float(error)

    def document(self) -> dict[str, Any]:
        """Return growth, first, and last."""
        slope, margin = self.growth
        return {
            "name": self.name,
            "jobs": self.jobs[-1],
            "kib_per_1000_jobs": slope,
            "confidence_95": margin,
            "first": attrs.asdict(self.footprints[0]),
            "last": attrs.asdict(self.footprints[-1]),
        }


@attrs.frozen
class WorkerMemory:
    """Series without vision, and with it; seconds until the worker was ready; and, idle, shares of one core."""

    stored: list[Series]
    photographs: list[Series]
    start_seconds: list[float]
    idle: Cpu

    def document(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "stored": [series.document() for series in self.stored],
            "photographs": [series.document() for series in self.photographs],
            "start_seconds": {"median": statistics.median(self.start_seconds), "all": self.start_seconds},
            "idle_share_of_a_core": attrs.asdict(self.idle),
        }


def run(console: Console, folder: Path, *, scale: float = 1.0) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    if os.geteuid() != 0:
        raise SystemExit("memory is measured by root alone: nobody else may look into a worker's")
    found = asyncio.run(measure(scale))
    report(found, console)
    draw(found, folder / "memory.png")
    return found.document()


async def measure(scale: float) -> WorkerMemory:
    """Measure one after the other, each with a worker of its own."""
    async with everyday() as day:
        site = day.site
        starts = [_start(site) for _ in track(range(_STARTS), "starts", console=Console(stderr=True))]
        idle = await _idle(site, _IDLE_SECONDS * min(1.0, scale))
        site.enrol([Template(MODEL, vector(seed)) for seed in range(1, USERS + 1)])
        noisy = attrs.evolve(day, keys=[site.world.put("noise.jpg", noise())])
        stored = await _grow(noisy, round(_STORED_JOBS * scale), without_vision("stored"))
        photographs = await _grow(day, round(_PHOTOGRAPHS * scale))
    return WorkerMemory(stored[:1], photographs, starts, idle)


def report(found: WorkerMemory, console: Console) -> None:
    """Print growth and sizes."""
    console.print(
        f"ready {statistics.median(found.start_seconds):.2f} s after the start, median of {len(found.start_seconds)}; "
        f"idle: {found.idle.worker + found.idle.vision:.2%} of a core, and the servers "
        f"{found.idle.without_vision - found.idle.worker:.2%}"
    )
    table = Table("", "jobs", "KiB per 1,000 jobs", "MiB resident", "proportional", "its own")
    for what, all_series in (("without vision", found.stored), ("photographs", found.photographs)):
        for series in all_series:
            slope, margin = series.growth
            sizes = (f"{value / _KIB_PER_MIB:.0f}" for value in attrs.astuple(series.footprints[-1]))
            growth = f"{slope:.0f} ± {margin:.0f}"
            table.add_row(f"{series.name}, {what}", f"{series.jobs[-1]:,}", growth, *sizes)
    console.print(table)


def draw(found: WorkerMemory, path: Path) -> None:
    """Draw what is resident, and what is each process's own, over the jobs."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4))
    titles = ("without vision", "photographs")
    for axes, title, all_series in zip(panels, titles, (found.stored, found.photographs), strict=True):
        for series in all_series:
            [line] = axes.plot(series.jobs, [each.rss / _KIB_PER_MIB for each in series.footprints], label=series.name)
            own = [each.uss / _KIB_PER_MIB for each in series.footprints]
            axes.plot(series.jobs, own, linestyle="--", color=line.get_color())
        axes.set(title=title, xlabel="jobs", ylabel="MiB resident (dashed: its own alone)", ylim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _start(site: Site) -> float:
    """Return the seconds from the command to the worker's word that it takes jobs."""
    started = time.monotonic()
    with site.worker():
        return time.monotonic() - started


async def _idle(site: Site, seconds: float) -> Cpu:
    """Return how much of a core an idle worker and its servers use."""
    with site.worker() as worker:
        await asyncio.sleep(_CALM_SECONDS)
        before = site.cpu(worker)
        await asyncio.sleep(seconds)
        return site.cpu(worker).since(before, per=seconds)


async def _grow(day: Everyday, jobs: int, variables: dict[str, str] | None = None) -> list[Series]:
    """Have so many jobs done by a new worker, and look twice a second at the processes that it began with."""
    site = day.site
    await site.forget()
    with Progress(console=Console(stderr=True)) as progress, site.worker(variables) as worker:
        task = progress.add_task("memory", total=jobs)
        maker, *seeing = worker.vision_processes()
        vision = {f"vision process {number}": pid for number, pid in enumerate(seeing, 1)}
        processes = {"main process": worker.process.pid, "fork server": maker} | vision
        series = {name: Series(name, [], []) for name in processes}

        def look(left: int) -> None:
            progress.update(task, completed=jobs - left)
            for name, pid in processes.items():
                footprint = _footprint(pid)
                if footprint is not None:
                    series[name].jobs.append(jobs - left)
                    series[name].footprints.append(footprint)

        await site.publish(site.world.add_photos(jobs), day.keys)
        await site.settled(look)
    site.rate(jobs)
    return list(series.values())


def _footprint(pid: int) -> Footprint | None:
    """Return it, or None when the process has ended: the pool replaces each after thousands of photographs."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Footprint(kib["Rss"], kib["Pss"], kib["Private_Clean"] + kib["Private_Dirty"])
