"""What the service itself costs: jobs a second with vision taken out, against a plain loop on the same servers."""

import asyncio
import statistics
from pathlib import Path
from typing import Any

import attrs
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track

from tests.benchmarks import bare_loop
from tests.benchmarks.photographs import noise
from tests.benchmarks.site import Site, Template, open_site, without_vision
from tests.benchmarks.stored_embedding.stored_embedding import MODEL, vector

_USERS = 1_000
_JOBS = 1_500
_ROUNDS = 3
_CONCURRENCY = 6


@attrs.frozen
class Overhead:
    """Medians of rounds that took turns: jobs a second, and milliseconds of CPU a job."""

    service_per_second: float
    bare_per_second: float
    service_cpu_ms: float
    servers_cpu_ms: float
    bare_cpu_ms: float
    bare_servers_cpu_ms: float

    @property
    def share(self) -> float:
        """How much of the bare loop's throughput the service has."""
        return self.service_per_second / self.bare_per_second


def run(console: Console, folder: Path) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = asyncio.run(measure())
    report(found, console)
    draw(found, folder / "overhead.png")
    return attrs.asdict(found) | {"share": found.share}


async def measure() -> Overhead:
    """Measure both in turns, each round on empty tables."""
    rounds = []
    async with open_site() as site:
        site.enrol([Template(MODEL, vector(seed)) for seed in range(1, _USERS + 1)])
        keys = [site.world.put("photo.jpg", noise())]
        for _ in track(range(_ROUNDS), "overhead", console=Console(stderr=True)):
            service = await _service(site, keys)
            bare = await _bare(site, keys)
            rounds.append((*service, *bare))
    medians = map(statistics.median, zip(*rounds, strict=True))
    service_rate, service_cpu, servers_cpu, bare_rate, bare_cpu, bare_servers_cpu = medians
    cpus = (service_cpu, servers_cpu, bare_cpu, bare_servers_cpu)
    return Overhead(service_rate, bare_rate, *(1000 * seconds for seconds in cpus))


def report(found: Overhead, console: Console) -> None:
    """Print the share, and where the CPU went."""
    console.print(
        f"without vision: {found.service_per_second:.0f} jobs/s, {found.share:.0%} of the bare loop's "
        f"{found.bare_per_second:.0f}; CPU per job: worker {found.service_cpu_ms:.1f} ms, servers "
        f"{found.servers_cpu_ms:.1f} ms; bare loop {found.bare_cpu_ms:.1f} ms, servers "
        f"{found.bare_servers_cpu_ms:.1f} ms"
    )


def draw(found: Overhead, path: Path) -> None:
    """Draw jobs a second, and the CPU of a job, of both."""
    figure, (rates, cpus) = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True)
    both = ("worker", "bare loop")
    rates.barh(both, (found.service_per_second, found.bare_per_second))
    rates.set(xlabel="jobs a second, medians")
    own = (found.service_cpu_ms, found.bare_cpu_ms)
    cpus.barh(both, own, label="its process")
    cpus.barh(both, (found.servers_cpu_ms, found.bare_servers_cpu_ms), left=own, label="the servers")
    cpus.set(xlabel="milliseconds of CPU for a job, medians")
    cpus.invert_yaxis()
    cpus.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


async def _service(site: Site, keys: list[str]) -> tuple[float, float, float]:
    """Return jobs a second, and the CPU seconds per job of the worker's main process and of the servers."""
    await site.forget()
    photos = site.world.add_photos(_JOBS)
    variables = without_vision("stored") | {"FACEMATCH_WORKER_CONCURRENCY": str(_CONCURRENCY)}
    with site.worker(variables) as worker:
        before = site.cpu(worker)
        await site.publish(photos, keys)
        await site.settled()
        used = site.cpu(worker).since(before, per=_JOBS)
    return site.rate(_JOBS), used.worker, used.without_vision - used.worker


async def _bare(site: Site, keys: list[str]) -> tuple[float, float, float]:
    """Return jobs a second, and the CPU seconds per job of the loop and of the servers."""
    await site.forget()
    photos = site.world.add_photos(_JOBS)
    before = site.cpu()
    await site.publish(photos, keys)
    rate, cpu = await bare_loop.run(site.world, concurrency=_CONCURRENCY, jobs=_JOBS)
    return rate, cpu, site.cpu().since(before, per=_JOBS).without_vision
