"""A job that takes longer than a delivery may is done once: signs of life keep it where it is."""

import asyncio
import os
import random
import signal
from typing import Any, Final

import pytest

from tests.e2e.world import World, eventually
from tests.faults.album import KINDS, add_photos, jobs_of

_ACK_WAIT: Final = 4.0
_LONGER: Final = 1.5 * _ACK_WAIT


@pytest.mark.timeout(600)
async def test_a_job_slower_than_the_ack_wait_is_delivered_once(world: World, photographs: Any) -> None:
    """Another worker, which has nothing to do, never gets it; its only delivery is the first."""
    world.environment |= {"FACEMATCH_NATS_ACK_WAIT": str(_ACK_WAIT), "FACEMATCH_WORKER_PROCESSES": "1"}
    world.cli("provision")
    world.put("coffee.jpg", photographs.path("coffee").read_bytes())
    [job] = jobs = jobs_of([kind for kind in KINDS if kind.name == "no_face"], random.Random(0))
    add_photos(world, jobs)
    with world.worker() as one, world.worker() as other:
        looking = [pid for worker in (one, other) for pid in worker.vision_processes()]
        for pid in looking:
            os.kill(pid, signal.SIGSTOP)
        await world.publish(job.body)

        async def in_hand() -> int:
            info = await world.js.consumer_info("PHOTO_FACES", "single-face-match")
            return info.num_ack_pending or 0

        await eventually(in_hand, lambda count: count == 1, "the job to be delivered")
        await asyncio.sleep(_LONGER)
        for pid in looking:
            os.kill(pid, signal.SIGCONT)
        [event] = await world.outcome_of(job.photo)
        await world.settled()

        async def written() -> list[dict[str, Any]]:
            return [line for worker in (one, other) for line in worker.lines() if line.get("event") == "job"]

        lines = await eventually(written, bool, "the line of the job")
    assert event["reason"] == "no_face"
    assert [(line["action"], line["delivery"]) for line in lines] == [("skipped", 1)]
    assert lines[0]["total_ms"] >= 1000 * _LONGER
