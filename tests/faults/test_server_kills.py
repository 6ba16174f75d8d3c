"""A server, a vision process or a worker goes in the middle of the work; every job ends as if nothing had."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import pytest_asyncio

from infra.local_stack.stack import LocalStack
from infra.photographs import Photographs
from tests.e2e.embedders import remembering
from tests.e2e.world import World, make_world
from tests.faults.album import Job, add_photos, furnish, mixed
from tests.faults.audit import Findings, compare, find
from tests.faults.chaos import ALL_FAULTS, Chaos
from tests.faults.crew import Crew
from tests.faults.load import Load
from tests.faults.site import QUICK, forget

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

_WORKERS: Final = 2
_JOBS: Final = 24
_PATIENCE_SECONDS: Final = 200.0


@attrs.frozen
class Scene:
    """Workers at work on servers that can be killed, and what an undisturbed run of all jobs gave."""

    world: World
    crew: Crew
    chaos: Chaos
    undisturbed: Findings
    done: list[Job] = attrs.field(factory=list)


def _jobs(fault: str) -> list[Job]:
    return mixed(_JOBS, random.Random(fault))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: Any, photographs: Photographs) -> AsyncIterator[Scene]:
    """Return two workers, after an undisturbed run."""
    folder: Path = tmp_path_factory.mktemp("servers")
    jobs = [job for fault in ALL_FAULTS for job in _jobs(fault)]
    with LocalStack(durable=False) as stack:
        stack.postgres.create_database("app")
        environment = stack.environment("app") | QUICK | remembering(folder)
        async with make_world(environment, stack.s3.client(), folder) as world:
            world.prepare()
            furnish(world, photographs)
            add_photos(world, jobs)
            crew = Crew(world.environment, folder, _WORKERS)
            try:
                for place in range(_WORKERS):
                    crew.start(place)
                await Load(world, crew).run(jobs, patience=_PATIENCE_SECONDS)
                undisturbed = await find(world)
                crew.end()
                await forget(world)
                world.sql("CHECKPOINT")
                for worker in [crew.start(place) for place in range(_WORKERS)]:
                    worker.wait_ready()
                chaos = Chaos(stack, crew, world, pause=0, frozen=3, outage=2)
                yield Scene(world, crew, chaos, undisturbed)
            finally:
                crew.end()


@pytest.mark.parametrize("fault", ALL_FAULTS)
async def test_a_fault_under_load_costs_nothing(scene: Scene, fault: str) -> None:
    """Each job has one outcome, one event and the rows of an undisturbed run; no worker ends that was not told to."""
    jobs, chance = _jobs(fault), random.Random(fault)
    load = Load(scene.world, scene.crew, before=len(scene.done))
    running = asyncio.create_task(load.run(jobs, patience=_PATIENCE_SECONDS))
    await load.reach(chance.randrange(1, _JOBS // 4))
    await scene.chaos.inject(fault, chance)
    await running
    scene.done.extend(jobs)
    verdict = compare(scene.done, scene.undisturbed, await find(scene.world))
    scene.crew.note_deaths()
    assert (verdict.good, scene.crew.deaths) == (True, []), verdict
