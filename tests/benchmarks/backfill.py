"""How fast photos are put into the queue again, and in how much memory, against a loop that waits for each publish."""

import asyncio
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track

from tests.benchmarks.site import Site, job, open_site
from tests.e2e.command import FACEMATCH

_SMALL, _LARGE = 10_000, 100_000
_BY_THE_LOOP = 2_000
_ROUNDS = 3
_MIB = 1024**2


@attrs.frozen
class Backfill:
    """Jobs a second, start and end of the command left out; and the most bytes that it had in memory."""

    per_second: float
    peak: int


@attrs.frozen
class Comparison:
    """Medians of rounds that took turns, on a broker that syncs every write, and one run with many more photos."""

    small: Backfill
    large: Backfill
    loop_per_second: float

    @property
    def ratio(self) -> float:
        """How many times as fast as the loop."""
        return self.small.per_second / self.loop_per_second


def run(console: Console, folder: Path) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = asyncio.run(measure())
    report(found, console)
    draw(found, folder / "backfill.png")
    return attrs.asdict(found) | {"ratio": found.ratio, "photos": {"small": _SMALL, "large": _LARGE}}


async def measure() -> Comparison:
    """Measure both in turns, each round with new photos and an empty stream."""
    async with open_site() as site:
        rounds = [
            (await _backfill(site, _SMALL), await _loop(site, _BY_THE_LOOP))
            for _ in track(range(_ROUNDS), "backfill", console=Console(stderr=True))
        ]
        large = await _backfill(site, _LARGE)
    small, loop = zip(*rounds, strict=True)
    rates, peaks = zip(*map(attrs.astuple, small), strict=True)
    return Comparison(Backfill(statistics.median(rates), max(peaks)), large, statistics.median(loop))


def report(found: Comparison, console: Console) -> None:
    """Print the ratio, and what more photos cost."""
    console.print(
        f"backfill: {found.ratio:.1f} times the {found.loop_per_second:.0f} jobs/s of a loop that awaits each publish"
    )
    for count, each in ((_SMALL, found.small), (_LARGE, found.large)):
        console.print(f"{count:,} photos: {each.per_second:.0f} jobs/s, {each.peak / _MIB:.0f} MiB at most")


def draw(found: Comparison, path: Path) -> None:
    """Draw jobs a second beside the loop's, and the memory of the command."""
    figure, (rates, peaks) = plt.subplots(1, 2, figsize=(9, 2.4))
    runs = {f"{_SMALL:,} photos": found.small, f"{_LARGE:,} photos": found.large}
    rates.barh(["loop", *runs], [found.loop_per_second, *(each.per_second for each in runs.values())])
    rates.set(xlabel="jobs a second")
    peaks.barh(list(runs), [each.peak / _MIB for each in runs.values()])
    peaks.set(xlabel="MiB resident at most")
    for axes in (rates, peaks):
        axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


async def _backfill(site: Site, count: int) -> Backfill:
    """Run the command on so many photos."""
    await _begin_with(site, count)
    command = [FACEMATCH, "backfill", "--image-ref", "photos/{id}.jpg", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, env=site.world.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.returncode is None:
        peak = max(peak, _peak(process.pid))
        await asyncio.sleep(0.05)
    stdout, _ = await process.communicate()
    found = json.loads(stdout)
    if found["published"] != count:
        raise RuntimeError(f"{found['published']} of {count} jobs were published")
    return Backfill(count / found["seconds"], peak)


async def _loop(site: Site, count: int) -> float:
    """Return the jobs a second of one publish after the other, as in a first script."""
    photos = await _begin_with(site, count)
    started = time.monotonic()
    for photo in photos:
        await site.world.publish(job(photo, f"photos/{photo}.jpg"), headers={"Nats-Msg-Id": str(photo)})
    return count / (time.monotonic() - started)


async def _begin_with(site: Site, count: int) -> list[UUID]:
    """Put new photos in the place of all, without a job or an outcome."""
    await site.forget()
    site.world.sql("TRUNCATE photos CASCADE")
    photos = site.world.add_photos(count)
    site.world.sql("ANALYZE photos")
    return photos


def _peak(pid: int) -> int:
    """Return the peak resident set size of a process so far; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
