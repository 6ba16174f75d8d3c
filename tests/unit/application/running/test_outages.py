"""Outages are told from single failures, and everyone waits for their end behind one probe."""

import asyncio
from contextvars import ContextVar

import pytest

from application.running.outages import Outages, StoppingError
from domain.errors import (
    AttemptFailedError,
    DatabaseUnavailableError,
    DatabaseUnwritableError,
    EmbedderCrashedError,
    EmbedderTimeoutError,
    EmbedderUnavailableError,
    StorageUnavailableError,
)
from tests.fakes.clock import SteppedClock
from tests.fakes.dependency import ScriptedDependency
from tests.fakes.telemetry import RecordingTelemetry

DATABASE = DatabaseUnavailableError("database: connection reset")
STORAGE = StorageUnavailableError("object store: connection reset")
EMBEDDER = EmbedderUnavailableError("no model here")
JOB = ContextVar("job", default="nobody")


class Scene:
    """Three dependencies and the outages of all; each is up until the test gives it a problem."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.telemetry = RecordingTelemetry()
        self.database = ScriptedDependency("database")
        self.storage = ScriptedDependency("object store")
        self.embedder = ScriptedDependency("embedder")
        self.outages = self.watching(
            {
                DatabaseUnavailableError: self.database,
                StorageUnavailableError: self.storage,
                EmbedderUnavailableError: self.embedder,
            }
        )

    def watching(
        self, blamed: dict[type[AttemptFailedError], ScriptedDependency], *, patience_seconds: float = 60.0
    ) -> Outages:
        """Return the outages of these dependencies."""
        return Outages(blamed, clock=self.clock, telemetry=self.telemetry, patience_seconds=patience_seconds)

    def break_database(self, why: str = "connection refused") -> None:
        """Take the database down."""
        self.database.problem = DatabaseUnavailableError(why)


@pytest.fixture
def scene() -> Scene:
    """Return dependencies that are up."""
    return Scene()


@pytest.mark.parametrize("kind", [EmbedderCrashedError, EmbedderTimeoutError, AttemptFailedError])
async def test_a_failure_that_blames_nothing_is_no_outage(scene: Scene, kind: type[AttemptFailedError]) -> None:
    """What a photograph did to the embedder, or a defect, is one job's trouble, whatever is down."""
    scene.break_database()
    scene.embedder.problem = EMBEDDER
    assert await scene.outages.outage_behind(kind("of this photograph")) is None
    assert (scene.database.checks, scene.embedder.checks) == (0, 0)


async def test_an_embedder_that_cannot_be_loaded_is_down_for_everyone(scene: Scene) -> None:
    """It has the reason of a defect, and is told from one by its kind."""
    scene.embedder.problem = EMBEDDER
    assert EMBEDDER.reason == AttemptFailedError.reason
    assert await scene.outages.outage_behind(EMBEDDER) == "embedder"
    assert scene.outages.down == {"embedder": "no model here"}
    await scene.outages.stop()


async def test_a_special_case_blames_what_its_kind_blames(scene: Scene) -> None:
    """An adapter may tell its failures apart more finely."""

    class PoolExhaustedError(DatabaseUnavailableError):
        pass

    scene.break_database()
    assert await scene.outages.outage_behind(PoolExhaustedError("all are busy")) == "database"
    await scene.outages.stop()


async def test_what_says_itself_that_everybody_meets_it_needs_no_probe(scene: Scene) -> None:
    """A full disk is an outage although the database answers; while it lasts, the pauses grow and everybody is held."""
    full = DatabaseUnwritableError("no space left on device")
    held = []
    for _ in range(6):
        assert await scene.outages.outage_behind(full) == "database"
        assert scene.outages.down == {"database": "no space left on device"}
        started = scene.clock.monotonic()
        waiting = asyncio.create_task(scene.outages.recovery("database"))
        while not waiting.done():
            await scene.clock.advance(0.5)
        held.append(scene.clock.monotonic() - started)
    assert held == [1, 2, 4, 8, 15, 15]
    await scene.clock.advance(60)
    assert await scene.outages.outage_behind(full) == "database"
    await scene.clock.advance(1)
    assert scene.outages.down == {}


async def test_a_dependency_is_looked_at_without_a_failure(scene: Scene) -> None:
    """Whoever asks what a kind of failure blames has it probed, and an outage begins where there is one."""
    assert await scene.outages.look_at(DatabaseUnavailableError) is None
    scene.break_database()
    assert await scene.outages.look_at(DatabaseUnavailableError) == "database"
    assert scene.outages.down == {"database": "connection refused"}
    assert scene.database.checks == 2
    assert await scene.outages.look_at(EmbedderCrashedError) is None
    await scene.outages.stop()


async def test_a_worker_that_stops_does_not_count_what_everybody_meets(scene: Scene) -> None:
    """The probe would say that the database is up."""
    await scene.outages.stop()
    with pytest.raises(StoppingError):
        await scene.outages.outage_behind(DatabaseUnwritableError("no space left on device"))


async def test_a_dependency_that_answers_is_not_blamed(scene: Scene) -> None:
    """One lost connection is one job's trouble where the probe finds the database up."""
    assert await scene.outages.outage_behind(DATABASE) is None
    assert (scene.outages.down, scene.telemetry.down) == ({}, [])


async def test_a_dependency_that_does_not_answer_is_down_for_everyone(scene: Scene) -> None:
    """The blamed dependency is named and reported once, with its reason; the others are not touched."""
    scene.break_database()
    assert await scene.outages.outage_behind(DATABASE) == "database"
    assert await scene.outages.outage_behind(STORAGE) is None
    assert scene.outages.down == {"database": "connection refused"}
    assert scene.telemetry.down == [("database", "connection refused")]
    await scene.outages.stop()


async def test_everyone_asks_with_one_probe(scene: Scene) -> None:
    """Fifty jobs that fail at once cause one probe, and those that fail later none."""
    scene.break_database()
    answers = await asyncio.gather(*(scene.outages.outage_behind(DATABASE) for _ in range(50)))
    answers.append(await scene.outages.outage_behind(DATABASE))
    assert (set(answers), scene.database.checks, len(scene.telemetry.down)) == ({"database"}, 1, 1)
    await scene.outages.stop()


async def test_everyone_waits_until_the_dependency_answers(scene: Scene) -> None:
    """One probe a second goes on, whoever waits; all are let go when it succeeds, and the duration is told."""
    scene.break_database()
    await scene.outages.outage_behind(DATABASE)
    waiting = [asyncio.create_task(scene.outages.recovery("database")) for _ in range(20)]
    everything = asyncio.create_task(scene.outages.all_recoveries())
    await scene.clock.advance(60)
    assert (scene.database.checks, any(task.done() for task in [*waiting, everything])) == (61, False)
    scene.database.problem = None
    await scene.clock.advance(1)
    await asyncio.gather(*waiting, everything)
    assert (scene.outages.down, scene.telemetry.up) == ({}, [("database", 61.0)])


async def test_only_the_probe_that_a_job_waits_for_is_the_job_s(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait for the end of the outage are nobody's: the job may be over long before."""
    probes_of = list[str]()
    check = scene.database.check

    async def noting_whose_it_is() -> None:
        probes_of.append(JOB.get())
        await check()

    async def fail() -> None:
        JOB.set("a job")
        await scene.outages.outage_behind(DATABASE)

    monkeypatch.setattr(scene.database, "check", noting_whose_it_is)
    scene.break_database()
    await asyncio.create_task(fail())
    await scene.clock.advance(3)
    await scene.outages.stop()
    assert probes_of == ["a job", "nobody", "nobody", "nobody"]


async def test_the_latest_reason_is_told(scene: Scene) -> None:
    """A server that comes back in another state says so."""
    scene.break_database()
    await scene.outages.outage_behind(DATABASE)
    scene.break_database("the database system is starting up")
    await scene.clock.advance(1)
    assert scene.outages.down == {"database": "the database system is starting up"}
    await scene.outages.stop()


async def test_nobody_waits_for_what_is_up(scene: Scene) -> None:
    """Waiting for a dependency that has come back meanwhile returns at once."""
    await scene.outages.recovery("database")
    await scene.outages.all_recoveries()
    assert scene.database.checks == 0


async def test_all_recoveries_are_waited_for(scene: Scene) -> None:
    """With two dependencies down, the end of one outage is not the end of all."""
    scene.break_database()
    scene.storage.problem = StorageUnavailableError("no route")
    await scene.outages.outage_behind(DATABASE)
    await scene.outages.outage_behind(STORAGE)
    everything = asyncio.create_task(scene.outages.all_recoveries())
    scene.database.problem = None
    await scene.clock.advance(5)
    assert (everything.done(), dict(scene.outages.down)) == (False, {"object store": "no route"})
    scene.storage.problem = None
    await scene.clock.advance(1)
    await everything


async def test_a_second_outage_right_after_the_first_is_waited_for_too(scene: Scene) -> None:
    """Whoever waits is not told that the worker stops, only because the dependency fell again at once."""

    class FallsAgain(RecordingTelemetry):
        def dependency_up(self, dependency: str, *, after_seconds: float) -> None:
            super().dependency_up(dependency, after_seconds=after_seconds)
            if len(self.up) == 1:
                scene.break_database("again")
                outages._down["database"] = "again"
                outages._recoveries["database"] = asyncio.create_task(outages._recover(scene.database, 1.0))

    scene.telemetry = FallsAgain()
    outages = scene.watching({DatabaseUnavailableError: scene.database})
    scene.break_database()
    await outages.outage_behind(DATABASE)
    waiting = asyncio.create_task(outages.recovery("database"))
    scene.database.problem = None
    await scene.clock.advance(1)
    assert (waiting.done(), dict(outages.down)) == (False, {"database": "again"})
    scene.database.problem = None
    await scene.clock.advance(1)
    await waiting


async def test_a_stop_lets_go_of_everyone_who_waits(scene: Scene) -> None:
    """Jobs in hand are told that the worker stops; the loop that waits for all just goes on; probing ends."""
    scene.break_database()
    await scene.outages.outage_behind(DATABASE)
    waiting = asyncio.create_task(scene.outages.recovery("database"))
    everything = asyncio.create_task(scene.outages.all_recoveries())
    await scene.clock.advance(0)
    await scene.outages.stop()
    with pytest.raises(StoppingError, match="database"):
        await waiting
    await everything
    await scene.clock.advance(60)
    assert (scene.database.checks, scene.clock.sleepers) == (1, 0)


async def test_an_outage_found_while_stopping_is_not_waited_for(scene: Scene) -> None:
    """A job that fails during the grace time is given back, not held."""
    await scene.outages.stop()
    scene.break_database()
    assert await scene.outages.outage_behind(DATABASE) == "database"
    with pytest.raises(StoppingError):
        await scene.outages.recovery("database")
    assert scene.telemetry.down == []


async def test_a_waiter_that_is_cancelled_leaves_the_others_waiting(scene: Scene) -> None:
    """One job's deadline or cancellation does not end the probing for the rest."""
    scene.break_database()
    first = asyncio.create_task(scene.outages.outage_behind(DATABASE))
    second = asyncio.create_task(scene.outages.outage_behind(DATABASE))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "database"
    waiting = [asyncio.create_task(scene.outages.recovery("database")) for _ in range(2)]
    await scene.clock.advance(0)
    waiting[0].cancel()
    scene.database.problem = None
    await scene.clock.advance(1)
    await waiting[1]


async def test_a_dependency_that_never_answers_a_probe_is_down(scene: Scene) -> None:
    """A probe that hangs is an outage after the patience is over, and does not hang everyone who asks."""

    class Silent(ScriptedDependency):
        async def check(self) -> None:
            await asyncio.Event().wait()

    outages = scene.watching({DatabaseUnavailableError: Silent("database")}, patience_seconds=0.01)
    assert await outages.outage_behind(DATABASE) == "database"
    assert outages.down == {"database": "no answer within 0.01 s"}
    await outages.stop()


async def test_a_probe_that_ends_in_a_defect_does_not_end_the_probing(scene: Scene) -> None:
    """An error that no adapter should raise counts as no answer, and a later success ends the outage."""

    class Broken(ScriptedDependency):
        defect: Exception | None = RuntimeError("secret")

        async def check(self) -> None:
            await super().check()
            if self.defect is not None:
                raise self.defect

    database = Broken("database")
    outages = scene.watching({DatabaseUnavailableError: database})
    assert await outages.outage_behind(DATABASE) == "database"
    await scene.clock.advance(2)
    assert outages.down == {"database": "unexpected RuntimeError"}
    database.defect = None
    await scene.clock.advance(1)
    assert outages.down == {}


async def test_a_probe_that_does_not_end_keeps_nobody_from_stopping(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that waits for its server even where it is cut off is not waited for."""
    monkeypatch.setattr("application.running.outages._STOPPING_SECONDS", 0.01)
    scene.break_database()
    assert await scene.outages.look_at(DatabaseUnavailableError) == "database"

    async def check() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(60)

    monkeypatch.setattr(scene.database, "check", check)
    await scene.clock.advance(1)
    async with asyncio.timeout(3):
        await scene.outages.stop()
