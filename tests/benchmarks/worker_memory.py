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

from tests.benchmarks.everyday import USERS, everyday
from tests.benchmarks.photographs import noise, small
from tests.benchmarks.site import Cpu, Site, Template, without_vision
from tests.benchmarks.stored_embedding.stored_embedding import MODEL, vector

_STORED_JOBS = 20_000
_PHOTOGRAPHS = 3_000
_SMALL_PHOTOGRAPHS = 20_000
_STARTS = 5
_IDLE_SECONDS = 60.0
_CALM_SECONDS = 5.0
_WARM_UP = 0.2
"""The share of the jobs before growth is measured."""
_BLOCKS = 20
_STUDENT_T = 2.101
"""The 97.5th percentile of Student's t distribution with 18 degrees of freedom: a line through 20 blocks."""
_KIB_PER_MIB = 1024


class CannotRunHereError(Exception):
    """This machine, or this user, does not allow a part to be measured."""


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
    def growth(self) -> tuple[float, float] | None:
        """KiB resident for each 1,000 jobs after the warm-up, and half the width of the 95 % confidence interval.

        The line goes through the means of blocks of samples: each sample resembles the one before, and a line through
        single ones would seem more certain than it is. None where there are fewer samples than blocks.
        """
        warm = self.jobs[0] + _WARM_UP * (self.jobs[-1] - self.jobs[0])
        samples = [
            (jobs / 1000, each.rss) for jobs, each in zip(self.jobs, self.footprints, strict=True) if jobs >= warm
        ]
        if len(samples) < _BLOCKS:
            return None
        blocks = np.array_split(np.array(samples), _BLOCKS)
        x, y = np.array([block.mean(axis=0) for block in blocks]).T
        deviation = x - x.mean()
        slope = float((deviation @ y) / (deviation @ deviation))
        residual = y - y.mean() - slope * deviation
        error = ((residual @ residual) / (len(x) - 2) / (deviation @ deviation)) ** 0.5
        return slope, _STUDENT_T * float(error)

    def document(self) -> dict[str, Any]:
        """Return growth, first, and last."""
        slope, margin = self.growth or (None, None)
        return {
            "name": self.name,
            "from_job": self.jobs[0],
            "jobs": self.jobs[-1],
            "kib_per_1000_jobs": slope,
            "confidence_95": margin,
            "first": attrs.asdict(self.footprints[0]),
            "last": attrs.asdict(self.footprints[-1]),
        }


@attrs.frozen
class WorkerMemory:
    """Series by what was done; seconds until the worker was ready; and, idle, shares of one core."""

    growth: dict[str, list[Series]]
    start_seconds: list[float]
    idle: Cpu

    def document(self) -> dict[str, Any]:
        """Return what was found."""
        return {
            "growth": {what: [each.document() for each in processes] for what, processes in self.growth.items()},
            "start_seconds": {"median": statistics.median(self.start_seconds), "all": self.start_seconds},
            "idle_share_of_a_core": attrs.asdict(self.idle),
        }


def run(console: Console, folder: Path, *, scale: float) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    if os.geteuid() != 0:
        raise CannotRunHereError("only root may look into a worker's memory")
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
        unseen = [site.world.put("noise.jpg", noise())]
        tiny = [site.world.put(f"small-{number}.jpg", content) for number, content in enumerate(small())]
        stored = await _grow(site, unseen, round(_STORED_JOBS * scale), without_vision("stored"))
        growth = {
            "without vision": stored[:1],
            "photographs": await _grow(site, day.keys, round(_PHOTOGRAPHS * scale)),
            "small photographs": await _grow(site, tiny, round(_SMALL_PHOTOGRAPHS * scale)),
        }
    return WorkerMemory(growth, starts, idle)


def report(found: WorkerMemory, console: Console) -> None:
    """Print growth and sizes."""
    console.print(
        f"ready {statistics.median(found.start_seconds):.2f} s after the start, median of {len(found.start_seconds)}; "
        f"idle: {found.idle.worker + found.idle.vision:.2%} of a core, and the servers "
        f"{found.idle.without_vision - found.idle.worker:.2%}"
    )
    table = Table("", "jobs", "KiB per 1,000 jobs", "MiB resident", "proportional", "its own")
    for what, processes in found.growth.items():
        for series in processes:
            sizes = (f"{value / _KIB_PER_MIB:.0f}" for value in attrs.astuple(series.footprints[-1]))
            growth = "too short" if series.growth is None else "{:.0f} ± {:.0f}".format(*series.growth)
            lifetime = f"{series.jobs[0]:,} to {series.jobs[-1]:,}"
            table.add_row(f"{series.name}, {what}", lifetime, growth, *sizes)
    console.print(table)


def draw(found: WorkerMemory, path: Path) -> None:
    """Draw what is resident, and what is each process's own, over the jobs."""
    figure, panels = plt.subplots(1, len(found.growth), figsize=(15, 5))
    for axes, (title, processes) in zip(panels, found.growth.items(), strict=True):
        for series in processes:
            [line] = axes.plot(series.jobs, [each.rss / _KIB_PER_MIB for each in series.footprints], label=series.name)
            own = [each.uss / _KIB_PER_MIB for each in series.footprints]
            axes.plot(series.jobs, own, linestyle="--", color=line.get_color())
        axes.set(title=title, xlabel="jobs", ylabel="MiB resident (dashed: its own alone)", ylim=(0, None))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
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


async def _grow(site: Site, keys: list[str], jobs: int, variables: dict[str, str] | None = None) -> list[Series]:
    """Have so many jobs done by a new worker, and look twice a second at its processes.

    Those that take the place of others have series, and numbers, of their own.
    """
    await site.forget()
    with Progress(console=Console(stderr=True)) as progress, site.worker(variables) as worker:
        task = progress.add_task("memory", total=jobs)
        maker, *_ = worker.vision_processes()
        main = worker.process.pid
        series = {main: Series("main process", [], []), maker: Series("fork server", [], [])}

        def look(left: int) -> None:
            progress.update(task, completed=jobs - left)
            for pid in [main, *worker.vision_processes()]:
                footprint = _footprint(pid)
                if footprint is not None:
                    known = series.setdefault(pid, Series(f"vision process {len(series) - 1}", [], []))
                    known.jobs.append(jobs - left)
                    known.footprints.append(footprint)

        await site.publish(site.world.add_photos(jobs), keys)
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
