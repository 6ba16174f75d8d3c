"""Photographs per second through the worker's pool, with one process and with several."""

import asyncio
import statistics
import time

import attrs
from rich.console import Console
from rich.progress import track

from adapters.system.cores import usable_cores
from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.face_pipeline import Embed
from tests.benchmarks.photographs import Sample
from tests.readers import pool_of

_ROUNDS = 5
_READINGS = 60


@attrs.frozen
class Throughput:
    """Photographs per second of an embedder by the number of processes; medians of rounds that took turns."""

    contender: str
    per_second: dict[int, float]

    @property
    def gain(self) -> float:
        """How many times the throughput of one process all of them have."""
        return max(self.per_second.values()) / self.per_second[1]


async def measure(names: tuple[str, ...], samples: list[Sample]) -> list[Throughput]:
    """Measure every embedder with one process and with one for each core."""
    sizes = (1, usable_cores())
    return [await _measure(name, sizes, samples) for name in names]


def report(found: list[Throughput], console: Console) -> None:
    """Print photographs per second, and what more processes gain."""
    for throughput in found:
        figures = ", ".join(f"{size}: {value:.1f}/s" for size, value in throughput.per_second.items())
        console.print(
            f"{throughput.contender}, photographs per second by processes: {figures} ({throughput.gain:.2f}x)"
        )


async def _measure(name: str, sizes: tuple[int, ...], samples: list[Sample]) -> Throughput:
    pools = {size: pool_of(name, size) for size in sizes}
    rounds: dict[int, list[float]] = {size: [] for size in sizes}
    try:
        for pool in pools.values():
            await pool.start()
            await _rate(pool, samples[:4], 4)
        for _ in track(range(_ROUNDS), f"{name} in a pool", console=Console(stderr=True)):
            for size, pool in pools.items():
                rounds[size].append(await _rate(pool, samples, _READINGS))
    finally:
        for pool in pools.values():
            await pool.close()
    return Throughput(name, {size: statistics.median(rates) for size, rates in rounds.items()})


async def _rate(pool: ProcessPoolFaceReader, samples: list[Sample], readings: int) -> float:
    """Return the photographs per second while there is always one waiting."""
    started = time.perf_counter()
    await asyncio.gather(
        *(pool.read(samples[number % len(samples)].content, embed=Embed.ONLY_FACE) for number in range(readings))
    )
    return readings / (time.perf_counter() - started)
