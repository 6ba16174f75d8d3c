"""Reads mutated files by the thousand in a pool's process.

By hand: ``python -m tests.hostile.fuzzing FIRST COUNT [EMBEDDER]``.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from application.ports.face_pipeline import Embed, ImageBudget
from domain.errors import FacematchError, ImageTooLargeError, UnreadableImageError
from tests.hostile.mutation import mutated
from tests.processes import cpu_seconds, peak
from tests.readers import pool_of

EMBEDDERS: Final = Path(__file__).parent / "embedders"
"""To be on the path, for the embedder ``decoder``."""
BUDGET: Final = ImageBudget(max_pixels=4_000_000)
EXPECTED: Final = {"read", UnreadableImageError.__name__, ImageTooLargeError.__name__}
_READERS: Final = 2
_PROGRESS: Final = 10_000


@attrs.define
class Found:
    """What came of the files: how often each outcome, which ones had none of the expected, and the slowest.

    ``peaks`` are the bytes that each process has held at most, ``processor`` the seconds that they worked.
    """

    outcomes: Counter[str] = attrs.field(factory=Counter)
    unexpected: dict[int, str] = attrs.field(factory=dict)
    slowest: tuple[float, int] = (0.0, 0)
    peaks: dict[int, int] = attrs.field(factory=dict)
    processor: dict[int, float] = attrs.field(factory=dict)
    restarts: int = 0


async def hunt(seeds: Iterable[int], embedder: str = "decoder", processes: int = 1) -> Found:
    """Read the files of these numbers."""
    found, remaining = Found(), iter(seeds)
    pool = pool_of(embedder, processes, budget=BUDGET, limits=PoolLimits(seconds=20.0, photographs=sys.maxsize))
    try:
        await pool.start()
        await asyncio.gather(*(_read(pool, remaining, found) for _ in range(_READERS * processes)))
        found.restarts = pool.restarts
        for place in pool._places:
            pid = (await place.process()).pid
            found.peaks[pid], found.processor[pid] = peak(pid), cpu_seconds(pid)
    finally:
        await pool.close()
    return found


async def _read(pool: ProcessPoolFaceReader, seeds: Iterator[int], found: Found) -> None:
    for seed in seeds:
        started, message = time.monotonic(), ""
        try:
            await pool.read(mutated(seed), embed=Embed.ONLY_FACE)
            outcome = "read"
        except FacematchError as error:
            outcome, message = type(error).__name__, str(error)
        found.outcomes[outcome] += 1
        if outcome not in EXPECTED:
            found.unexpected[seed] = f"{outcome}: {message}"
        found.slowest = max(found.slowest, (time.monotonic() - started, seed))
        if found.outcomes.total() % _PROGRESS == 0:
            print(found.outcomes, found.unexpected, pool.restarts, flush=True)  # noqa: T201 - for whoever hunts by hand


if __name__ == "__main__":
    sys.path.insert(0, str(EMBEDDERS))
    first, count, name = (*sys.argv[1:], "decoder")[:3]
    numbers = range(int(first), int(first) + int(count))
    print(asyncio.run(hunt(numbers, name)), peak(os.getpid()))  # noqa: T201 - it is a program
