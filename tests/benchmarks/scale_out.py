"""Jobs a second of one worker and of several, on three NATS servers that keep every stream together.

Vision only sleeps, as if every worker had a machine of its own: what is measured is what workers share.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.system.cores import usable_cores
from infra.local_stack.nats_cluster import NatsCluster
from tests.benchmarks.photographs import noise
from tests.benchmarks.site import Cpu, Template, open_site, without_vision
from tests.benchmarks.stored_embedding.stored_embedding import MODEL, SLOW_SECONDS, vector
from tests.e2e.world import WorkerProcess

_USERS = 1_000
_WORKERS = (1, 2, 4, 8, 12)
_PROCESSES = 4
_SECONDS = 30
_IDEAL = _PROCESSES / SLOW_SECONDS
"""Jobs a second of a worker that loses no time between photographs."""
_CORES = usable_cores()


@attrs.frozen
class Step:
    """So many workers: their jobs a second, and the cores that they and the servers kept busy meanwhile."""

    workers: int
    per_second: float
    cores: Cpu

    @property
    def busy(self) -> float:
        """The share of the machine's cores that all of them used."""
        return (self.cores.vision + self.cores.without_vision) / _CORES


def run(console: Console, folder: Path, *, scale: float) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = asyncio.run(measure(_SECONDS * scale))
    report(found, console)
    draw(found, folder / "scale_out.png")
    return {
        "processes_per_worker": _PROCESSES,
        "seconds_of_vision": SLOW_SECONDS,
        "steps": [attrs.asdict(step) | {"linear": _linear(step, found), "busy": step.busy} for step in found],
    }


async def measure(seconds: float) -> list[Step]:
    """Measure with more and more workers, each time with jobs for so many seconds."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(stack.enter_context(_cluster())))
        site.enrol([Template(MODEL, vector(seed)) for seed in range(1, _USERS + 1)])
        keys = [site.world.put("photo.jpg", noise())]
        workers: list[WorkerProcess] = []
        steps = []
        for count in track(_WORKERS, "scale out", console=Console(stderr=True)):
            while len(workers) < count:
                variables = without_vision("slow") | {"FACEMATCH_WORKER_PROCESSES": str(_PROCESSES)}
                workers.append(stack.enter_context(site.worker(variables)))
            jobs = round(count * _IDEAL * seconds)
            await site.forget()
            photos = site.world.add_photos(jobs)
            before, started = site.cpu(*workers), time.monotonic()
            await site.publish(photos, keys)
            await site.settled()
            cores = site.cpu(*workers).since(before, per=time.monotonic() - started)
            steps.append(Step(count, site.rate(jobs), cores))
    return steps


def report(found: Sequence[Step], console: Console) -> None:
    """Print jobs a second, their share of a straight line, and who used the cores."""
    console.print(
        f"scale out: {_PROCESSES} processes a worker that see for {SLOW_SECONDS:g} s, {2 * _PROCESSES + 2} jobs"
    )
    table = Table("workers", "jobs/s", "of linear", f"busy of {_CORES} cores", *attrs.fields_dict(Cpu))
    for step in found:
        cores = (f"{value:.2f}" for value in attrs.astuple(step.cores))
        table.add_row(
            str(step.workers), f"{step.per_second:.1f}", f"{_linear(step, found):.0%}", f"{step.busy:.0%}", *cores
        )
    console.print(table)


def draw(found: Sequence[Step], path: Path) -> None:
    """Draw jobs a second by workers, beside a straight line."""
    figure, axes = plt.subplots(figsize=(6, 4))
    workers = [step.workers for step in found]
    axes.plot(workers, [step.per_second for step in found], marker="o", label="measured")
    axes.plot(workers, [count * found[0].per_second for count in workers], linestyle="--", label="linear")
    axes.set(xlabel="workers", ylabel="jobs a second", xlim=(0, None), ylim=(0, None))
    axes.set_xticks(workers, [str(count) for count in workers])
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _linear(step: Step, steps: Sequence[Step]) -> float:
    """Return its share of what so many times one worker would do."""
    return step.per_second / (step.workers * steps[0].per_second)


@contextmanager
def _cluster() -> Iterator[NatsCluster]:
    """Run three NATS servers until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = NatsCluster(Path(folder))
        cluster.start()
        try:
            while not cluster.healthy:
                time.sleep(0.1)
            yield cluster
        finally:
            cluster.stop()
