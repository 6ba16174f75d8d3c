"""How long a job takes from its publish to its match, while half of what the service can do is asked of it."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import numpy as np
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.everyday import Everyday, everyday
from tests.benchmarks.site import job
from tests.e2e.world import World

_SATURATING = 300
_JOBS = 1_000
_SINGLE = 200
_LOAD = 0.5
_PAUSE_SECONDS = (0.1, 0.3)
_MATCHED = "photo_faces.single.matched"
_IN_A_PROCESS = ("decode", "detect", "embed")


@attrs.frozen
class Journey:
    """One job: milliseconds from the call that published it to its event, and what they went to.

    All clocks are the same machine's: the publisher's at the call, the broker's when job and event were stored, and the
    worker's for when it began and how long its stages took.
    """

    total_ms: float
    stored_ms: float
    queue_wait_ms: float
    stages_ms: dict[str, float]

    @property
    def parts_ms(self) -> dict[str, float]:
        """What it consists of, in order; the acknowledgement comes after the event."""
        stages = dict(self.stages_ms)
        waited = stages["vision"] - sum(stages[name] for name in _IN_A_PROCESS)
        return {
            "storing the job": self.stored_ms,
            "queue wait": self.queue_wait_ms,
            "guardrails": stages["guardrails"],
            "fetch": stages["fetch"],
            "waiting for a process": waited,
            **{name: stages[name] for name in (*_IN_A_PROCESS, "search", "transaction", "publish", "ack")},
        }


@attrs.frozen
class Latency:
    """``capacity`` and ``asked`` in jobs a second; journeys at that load, and of single jobs to an idle worker."""

    capacity: float
    asked: float
    loaded: list[Journey]
    idle: list[Journey]

    def document(self) -> dict[str, Any]:
        """Return medians and 99th percentiles."""
        return {
            "capacity": self.capacity,
            "asked": self.asked,
            "loaded": {"jobs": len(self.loaded)} | _percentiles(self.loaded),
            "idle": {"jobs": len(self.idle)} | _percentiles(self.idle),
        }


def run(console: Console, folder: Path, *, scale: float, users: int) -> dict[str, Any]:
    """Measure, print, draw, and return the figures."""
    found = asyncio.run(measure(scale, users))
    report(found, console)
    draw(found, folder / "latency.png")
    return {"users": users} | found.document()


async def measure(scale: float, users: int) -> Latency:
    """Measure the capacity, then half of it with the arrivals of a Poisson process, then single jobs."""
    async with everyday(users) as day:
        with day.site.world.worker() as worker:
            await _saturate(day, len(day.keys))
            capacity = await _saturate(day, round(_SATURATING * scale))
            loaded = await _arrive(day, round(_JOBS * scale), _LOAD * capacity)
            idle = await _one_by_one(day, round(_SINGLE * scale))
            told = await _events(day.site.world)
        lines = {UUID(line["photo_id"]): line for line in worker.lines() if line["event"] == "job"}
    journeys = (
        [_journey(at, told[photo], lines[photo]) for photo, at in published.items()] for published in (loaded, idle)
    )
    return Latency(capacity, _LOAD * capacity, *journeys)


def report(found: Latency, console: Console) -> None:
    """Print the percentiles, and where the time goes."""
    loaded, idle = _percentiles(found.loaded), _percentiles(found.idle)
    (p50, p99), (start_p50, start_p99) = loaded["total"], idle["queue wait"]
    console.print(
        f"latency at {found.asked:.1f} jobs/s, {_LOAD:.0%} of the capacity: publish to event {p50:.0f} ms, "
        f"99th percentile {p99:.0f} ms"
    )
    console.print(
        f"an idle worker begins {start_p50:.1f} ms after the job is stored, 99th percentile {start_p99:.1f} ms"
    )
    table = Table("", "under load: median", "p99", "idle: median", "p99", title="milliseconds", title_justify="left")
    for name in loaded:
        table.add_row(name, *(f"{value:.1f}" for value in (*loaded[name], *idle[name])))
    console.print(table)


def draw(found: Latency, path: Path) -> None:
    """Draw the distribution of the latencies, and medians and 99th percentiles of the parts."""
    figure, (whole, parts) = plt.subplots(1, 2, figsize=(10, 4))
    for name, journeys in (("under load", found.loaded), ("idle", found.idle)):
        totals = sorted(journey.total_ms for journey in journeys)
        whole.plot(totals, np.linspace(0, 100, len(totals)), label=name)
    whole.set(xlabel="milliseconds from publish to event", ylabel="% of the jobs", xlim=(0, None))
    whole.grid(visible=True, alpha=0.3)
    whole.legend()
    loaded = {name: values for name, values in _percentiles(found.loaded).items() if name != "total"}
    for label, number, height in (("99th percentile", 1, 0.8), ("median", 0, 0.4)):
        parts.barh(list(loaded), [values[number] for values in loaded.values()], height=height, label=label)
    parts.set(xlabel="milliseconds, under load")
    parts.invert_yaxis()
    parts.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


async def _saturate(day: Everyday, jobs: int) -> float:
    """Return how many jobs a second are done while there are always some waiting."""
    await day.site.forget()
    await day.site.publish(day.site.world.add_photos(jobs), day.keys)
    await day.site.settled()
    return day.site.rate(jobs)


async def _arrive(day: Everyday, jobs: int, rate: float) -> dict[UUID, float]:
    """Publish at random moments, whatever becomes of the jobs; return when each was published."""
    published = {}
    world = day.site.world
    photos = world.add_photos(jobs)
    random_pauses = random.Random(0)
    confirmed = []
    due = time.monotonic()
    for number, photo in enumerate(track(photos, "arrivals", console=Console(stderr=True))):
        due += random_pauses.expovariate(rate)
        await asyncio.sleep(due - time.monotonic())
        published[photo] = time.time()
        confirmed.append(asyncio.create_task(world.publish(job(photo, day.keys[number % len(day.keys)]))))
    await asyncio.gather(*confirmed)
    await day.site.settled()
    return published


async def _one_by_one(day: Everyday, jobs: int) -> dict[UUID, float]:
    """Publish to a worker that has had nothing to do for a while; return when each was published."""
    published = {}
    world = day.site.world
    matches = await world.client.subscribe(_MATCHED)
    pauses = random.Random(0)
    for photo in track(world.add_photos(jobs), "single jobs", console=Console(stderr=True)):
        await asyncio.sleep(pauses.uniform(*_PAUSE_SECONDS))
        published[photo] = time.time()
        await world.publish(job(photo, day.keys[0]))
        await matches.next_msg(timeout=60)
    await day.site.settled()
    return published


async def _events(world: World) -> dict[UUID, float]:
    """Return when the broker stored each photo's event."""
    events = await world.stored("PHOTO_FACES_RESULTS")
    return {UUID(json.loads(event.data)["photo_id"]): event.time.timestamp() for event in events}


def _journey(published: float, told: float, line: dict[str, Any]) -> Journey:
    stored = int(line["job"].partition("-")[2]) / 1e6
    began = datetime.fromisoformat(line["timestamp"]).timestamp() - line["total_ms"] / 1000
    return Journey(1000 * (told - published), 1000 * (stored - published), 1000 * (began - stored), line["stages_ms"])


def _percentiles(journeys: Sequence[Journey]) -> dict[str, tuple[float, float]]:
    """Return median and 99th percentile of each part, and of all together."""
    values = {"total": [journey.total_ms for journey in journeys]}
    values |= {name: [journey.parts_ms[name] for journey in journeys] for name in journeys[0].parts_ms}
    percentiles = {name: np.quantile(each, (0.5, 0.99)) for name, each in values.items()}
    return {name: (float(median), float(p99)) for name, (median, p99) in percentiles.items()}
