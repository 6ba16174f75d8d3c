"""Photographs that take their process down, by the dozen: never the worker, never another job."""

import itertools
import time
from pathlib import Path
from uuid import UUID

import pytest

from tests.e2e.world import World, eventually
from tests.processes import cpu_seconds, forget_peak, is_running, peak, resident

POISON = {
    "segfault": "embedder_crashed",
    "abort": "embedder_crashed",
    "grow": "embedder_crashed",
    "malloc": "embedder_crashed",
    "sleep": "embedder_timeout",
    "spin": "embedder_timeout",
    "backtrack": "embedder_timeout",
}
"""What a photograph does to its process, and what that is called."""
HARMLESS = ("leak", "undermine", "fine", "fine", "fine")
"""What the others do, again and again; two of them to whoever comes after them."""
DEATH_SECONDS = 5.0
MEBIBYTE = 1024**2
LARGE = 20 * MEBIBYTE
"""As many bytes as a photograph may have."""


@pytest.fixture
def poisoned(world: World) -> World:
    """Return a world with an embedder that photographs can poison, and such photographs."""
    world.environment |= {
        "PYTHONPATH": str(Path(__file__).parent / "poison"),
        "FACEMATCH_EMBEDDER": "poison",
        "FACEMATCH_WORKER_PROCESSES": "2",
        "FACEMATCH_NATS_MAX_DELIVER": "2",
        "FACEMATCH_VISION_TIMEOUT_SECONDS": "4",
    }
    for what in {*POISON, *HARMLESS}:
        world.put(what, what.encode())
    return world


async def publish(world: World, keys: list[str]) -> list[tuple[UUID, str]]:
    """Publish a job for each of these images; return the photographs with their images."""
    photos = list(zip(world.add_photos(len(keys)), keys, strict=True))
    for photo, key in photos:
        await world.publish({"photo_id": str(photo), "image_ref": key})
    return photos


async def test_poison_among_good_photographs_harms_none_of_them(poisoned: World) -> None:
    """Every good job ends at its first attempt, every poisoned one is dead-lettered once, and the worker goes on.

    A good photograph may be next in a process that an earlier one has undermined, or left without memory; that process
    dies of it, and it is not blamed.
    """
    harmless = itertools.cycle(HARMLESS)
    poison = [*POISON, *(what for what, reason in POISON.items() if reason == "embedder_crashed")]
    keys = [key for what in poison for key in (what, *itertools.islice(harmless, 4))]
    with poisoned.worker() as worker:
        await publish(poisoned, ["fine"])
        await poisoned.settled()
        before = resident(worker.process.pid)
        photos = await publish(poisoned, keys)
        events = await eventually(poisoned.events, lambda events: len(events) > len(keys), "every event")
        await poisoned.settled()
        grown = resident(worker.process.pid) - before
        assert worker.get("/livez")[0] == 200
    lines = [line for line in worker.lines() if line.get("event") == "job"]
    told = {event["photo_id"]: event["reason"] for event in events}
    assert [told[str(photo)] for photo, _ in photos] == [POISON.get(key, "no_enrolled_users") for _, key in photos]
    assert len(events) == 1 + len(keys)
    doomed = {str(photo) for photo, key in photos if key in POISON}
    letters = await poisoned.stored("PHOTO_FACES_DEAD")
    assert sorted(letter.headers["Facematch-Reason"] for letter in letters) == sorted(map(POISON.__getitem__, poison))
    assert {line["photo_id"] for line in lines if line["action"] in {"retry", "failed"}} == doomed
    attempts = poisoned.sql("SELECT DISTINCT photo_id FROM facematch.attempts")
    assert {str(photo) for [photo] in attempts} == doomed
    assert grown < 32 * MEBIBYTE


async def test_the_processes_end_with_their_worker(poisoned: World) -> None:
    """Killed with -9, it takes them with it within seconds: their maker, the idle one, and who listens to nobody."""
    hanging = ["sleep", "spin", "backtrack"]
    poisoned.environment |= {"FACEMATCH_VISION_TIMEOUT_SECONDS": "600", "FACEMATCH_WORKER_PROCESSES": "4"}
    with poisoned.worker() as worker:
        pids = worker.vision_processes()
        before = sum(map(cpu_seconds, pids))
        await publish(poisoned, hanging)

        async def burnt() -> float:
            return sum(map(cpu_seconds, pids)) - before

        await eventually(burnt, lambda seconds: seconds > 1.0, "two of them at work")
        worker.process.kill()
        worker.process.wait()
        died = time.monotonic()

        async def survivors() -> list[int]:
            return list(filter(is_running, pids))

        await eventually(survivors, lambda alive: not alive, "their end")
        assert time.monotonic() - died < DEATH_SECONDS
    assert len(pids) == 2 + len(hanging)


async def test_many_of_the_largest_photographs_at_once(poisoned: World) -> None:
    """The worker holds those that are in hand, those that are being given to a process twice, and then none."""
    in_hand, processes, count = 8, 2, 40
    poisoned.environment |= {"FACEMATCH_WORKER_CONCURRENCY": str(in_hand)}
    poisoned.put("large", b"slow ".ljust(LARGE, b"#"))
    with poisoned.worker() as worker:
        await publish(poisoned, ["fine"])
        await poisoned.settled()
        forget_peak(worker.process.pid)
        before = resident(worker.process.pid)
        await publish(poisoned, ["large"] * count)
        await poisoned.settled()
        most, after = peak(worker.process.pid), resident(worker.process.pid)
    assert [event["reason"] for event in await poisoned.events()] == ["no_enrolled_users"] * (1 + count)
    assert most - before < (in_hand + processes) * LARGE + 64 * MEBIBYTE
    assert after - before < 48 * MEBIBYTE
