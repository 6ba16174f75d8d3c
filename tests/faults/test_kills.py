"""A worker is killed at every stage of a job; the next one finishes, and nothing tells that anything happened."""

import os
import random
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import pytest_asyncio

from infra.photographs import Photographs
from tests import faulty_s3
from tests.e2e.world import eventually
from tests.faults.album import KINDS, Job, jobs_of
from tests.faults.audit import Findings, find
from tests.faults.proxy import Fate
from tests.faults.site import Site, Trace, held_back, locked, open_site, unanswered
from tests.faulty_s3 import Exchange

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

_EVENT: Final = b"photo_faces.single.matched"
_BESIDE: Final = ("several", "no_match", "no_face", "image_not_found", "faces_detected_not_one", "malformed_payload")
_NO_COMMIT: Final = "SELECT pg_advisory_lock(4711)"
_COMMIT_WAITS: Final = """
CREATE FUNCTION wait_to_commit() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait_to_commit AFTER INSERT ON facematch.outcomes
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_to_commit();
"""
_END_SESSIONS: Final = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND query = 'COMMIT' AND wait_event_type = 'Lock'"
)

Reached = Callable[[], Awaitable[None]]
"""Returns when the worker is at the stage, and cannot leave it."""
Hold = Callable[[Site, Job], AbstractAsyncContextManager[Reached]]
"""Keeps a worker from going beyond a stage with this job."""


def _statement(lock: str, waiting: str) -> Hold:
    """Hold a worker in the statement that is like ``waiting``."""

    @asynccontextmanager
    async def hold(site: Site, _: Job) -> AsyncIterator[Reached]:
        with locked(site.world, lock):
            yield lambda: site.blocked(waiting)

    return hold


@asynccontextmanager
async def _fetching(site: Site, _: Job) -> AsyncIterator[Reached]:
    before = len(site.s3.requests)
    site.s3.script.append(faulty_s3.silence)

    async def asked() -> bool:
        return len(site.s3.requests) > before

    yield lambda: eventually(asked, bool, "the photograph to be asked for")


@asynccontextmanager
async def _seeing(site: Site, _: Job) -> AsyncIterator[Reached]:
    """The photograph has come, and the process that should look at it does not."""
    served = threading.Event()

    def serve(exchange: Exchange) -> bool:
        again = faulty_s3.pass_on(exchange)
        served.set()
        return again

    async def has_come() -> bool:
        return served.is_set()

    site.s3.script.append(serve)
    for pid in site.crew.worker(0).vision_processes():
        os.kill(pid, signal.SIGSTOP)
    yield lambda: eventually(has_come, bool, "the photograph to come")


@asynccontextmanager
async def _searching(site: Site, job: Job) -> AsyncIterator[Reached]:
    """Users are locked while the process does not look: before that, the guardrails would need them."""
    with ExitStack() as stack:
        async with _seeing(site, job) as seeing:

            async def reached() -> None:
                await seeing()
                stack.enter_context(locked(site.world, "LOCK TABLE users"))
                for pid in site.crew.worker(0).vision_processes():
                    os.kill(pid, signal.SIGCONT)
                await site.blocked("%t.photographs%")

            yield reached


@asynccontextmanager
async def _locking(site: Site, job: Job) -> AsyncIterator[Reached]:
    with locked(site.world, f"SELECT pg_advisory_xact_lock(hashtextextended('{job.photo}', 7163850419))"):
        yield lambda: site.blocked("%pg_advisory_xact_lock%")


@asynccontextmanager
async def _rolled_back(site: Site, _: Job) -> AsyncIterator[Reached]:
    """The server loses the transaction, too."""
    with locked(site.world, _NO_COMMIT):
        yield lambda: site.blocked("COMMIT")
        site.world.sql(_END_SESSIONS)


@asynccontextmanager
async def _before_the_event(site: Site, _: Job) -> AsyncIterator[Reached]:
    with held_back(site.nats, _EVENT) as ear:
        yield ear.heard


@asynccontextmanager
async def _event_unconfirmed(site: Site, _: Job) -> AsyncIterator[Reached]:
    with unanswered(site.nats, _EVENT) as ear:
        yield ear.heard


@asynccontextmanager
async def _before_the_ack(site: Site, _: Job) -> AsyncIterator[Reached]:
    with held_back(site.nats, b"+ACK") as ear:
        yield ear.heard


@asynccontextmanager
async def _before_the_mark(site: Site, _: Job) -> AsyncIterator[Reached]:
    """The outbox is locked while the event is held up: the acknowledgement needs no database."""
    with ExitStack() as stack, held_back(site.nats, _EVENT) as ear:

        async def reached() -> None:
            await ear.heard()
            stack.enter_context(locked(site.world, "LOCK TABLE facematch.outcomes IN SHARE ROW EXCLUSIVE MODE"))
            ear.let_go(Fate.GO_ON)
            await site.blocked("UPDATE facematch.outcomes%")
            await site.world.settled()

        yield reached


@attrs.frozen
class Stage:
    """How a worker is held there, and what there is of its job after its death."""

    name: str
    hold: Hold
    trace: Trace


_NOTHING = Trace(written=False, recorded=False, announced=False, acknowledged=False)
_RECORDED = attrs.evolve(_NOTHING, written=True, recorded=True)
_ANNOUNCED = attrs.evolve(_RECORDED, announced=True)
_ACKNOWLEDGED = attrs.evolve(_ANNOUNCED, acknowledged=True)
_NO_WRITING = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
_STAGES = (
    Stage("delivered", _statement("LOCK TABLE facematch.outcomes", "%SELECT EXISTS%"), _NOTHING),
    Stage("fetching", _fetching, _NOTHING),
    Stage("fetched, not seen", _seeing, _NOTHING),
    Stage("embedded, searching", _searching, _NOTHING),
    Stage("before the transaction's lock", _locking, _NOTHING),
    Stage("before the upsert", _statement(_NO_WRITING.format("photo_faces"), "%photo_faces%"), _NOTHING),
    Stage("before the insert", _statement(_NO_WRITING.format("face_matches"), "INSERT%face_matches%"), _NOTHING),
    Stage("before the record", _statement(_NO_WRITING.format("facematch.outcomes"), "INSERT%outcomes%"), _NOTHING),
    Stage("commit lost", _rolled_back, _NOTHING),
    Stage("commit unanswered", _statement(_NO_COMMIT, "COMMIT"), _RECORDED),
    Stage("before the event", _before_the_event, _RECORDED),
    Stage("event unconfirmed", _event_unconfirmed, _ANNOUNCED),
    Stage("before the ack", _before_the_ack, _ANNOUNCED),
    Stage("before the mark", _before_the_mark, _ACKNOWLEDGED),
)


def _jobs(stage: Stage) -> list[Job]:
    """Return the job that is held at the stage, and those beside it."""
    named = {kind.name: kind for kind in KINDS}
    chance = random.Random(stage.name)
    return jobs_of([named["matched"], *(named[name] for name in chance.sample(_BESIDE, 4))], chance)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: Any, photographs: Photographs) -> AsyncIterator[tuple[Site, Findings]]:
    """Return a site with a worker, and what an undisturbed run of every stage's jobs gave."""
    jobs = [job for stage in _STAGES for job in _jobs(stage)]
    folder: Path = tmp_path_factory.mktemp("kills")
    async with open_site(folder, photographs, jobs) as site:
        site.world.sql(_COMMIT_WAITS)
        site.crew.start(0)
        await site.publish(jobs)
        undisturbed = await find(site.world)
        site.crew.kill(0)
        await site.forget()
        site.crew.start(0).wait_ready()
        yield site, undisturbed


@pytest.mark.parametrize("stage", _STAGES, ids=lambda stage: stage.name)
async def test_a_worker_killed_at_any_stage_of_a_job_costs_nothing(scene: tuple[Site, Findings], stage: Stage) -> None:
    """Another worker finishes: each job has one outcome, one event and the rows of an undisturbed run."""
    site, undisturbed = scene
    target, *beside = _jobs(stage)
    async with stage.hold(site, target) as reached:
        sequence = await site.publish([target])
        await reached()
        await site.publish(beside)
        site.crew.kill(0)
    await eventually(lambda: site.trace_of(target, sequence), lambda trace: trace == stage.trace, str(stage.trace))
    site.crew.start(0).wait_ready()
    verdict = await site.verdict(undisturbed)
    assert verdict.good, verdict
