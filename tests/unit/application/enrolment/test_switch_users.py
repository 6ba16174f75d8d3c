"""Prepared templates take the place of the old ones: from the first to the last no job is decided, then all are."""

from collections.abc import Callable
from uuid import UUID

import pytest

from application.enrolment.switch_users import (
    HalfSwitchedError,
    LeftBehindError,
    NothingSwitchedError,
    OvertakenError,
    Switch,
    SwitchUsers,
)
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from tests.fakes.clock import EventfulClock
from tests.fakes.database import ActiveModelRow, InMemoryDatabase
from tests.fakes.reenrolment import InMemoryReenrolment

OLD, NEW = FaceEmbedding("old@1", (0.0, 0.0, 1.0)), FaceEmbedding("new@1", (1.0, 0.0, 0.0))
ANNA, BORIS, CLARA = UUID(int=11), UUID(int=12), UUID(int=13)
HALF_DONE, DONE = ActiveModelRow(NEW.model), ActiveModelRow(NEW.model, is_switched=True)


class Scene:
    """Anna, Boris and Clara have templates of the old embedder."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        for user in (ANNA, BORIS, CLARA):
            self.database.add_user(user, OLD)
        self.reenrolment = InMemoryReenrolment(self.database)
        self.clock = EventfulClock()
        self.switch_users = SwitchUsers(model=NEW.model, reenrolment=self.reenrolment, clock=self.clock)
        self.progress: list[tuple[int, int]] = []
        self.jobs_waited = 0
        self.when_jobs_wait: Callable[[], object] = lambda: None

    async def prepare(self, *users: UUID) -> None:
        """Have templates of the new embedder ready for them."""
        for user in await self.reenrolment.outdated(NEW.model, after=None, limit=9):
            if user.user_id in users:
                await self.reenrolment.prepare(user, NEW, photographs=1)

    async def switch(self, *, partial: bool = False) -> Switch:
        """Switch, hear of the progress, and count how often jobs have begun to wait."""
        self.progress.clear()

        def jobs_wait() -> None:
            self.jobs_waited += 1
            self.when_jobs_wait()

        return await self.switch_users(lambda done, of: self.progress.append((done, of)), jobs_wait, partial=partial)

    def models(self) -> list[str | None]:
        """Return whose template everybody has."""
        return [self.database.users[user].model for user in (ANNA, BORIS, CLARA)]


@pytest.fixture
def scene() -> Scene:
    """Return the scene."""
    return Scene()


async def test_everybody_is_switched(scene: Scene) -> None:
    """And jobs are decided by the new embedder from then on."""
    await scene.prepare(ANNA, BORIS, CLARA)
    assert await scene.switch() == Switch(3, 0)
    assert (scene.models(), scene.database.active_model) == ([NEW.model] * 3, DONE)
    assert (scene.progress, scene.jobs_waited) == ([(3, 3)], 1)


async def test_nobody_is_left_behind_unsaid(scene: Scene) -> None:
    """Where somebody has none ready, nothing changes, unless that is meant."""
    await scene.prepare(ANNA, BORIS)
    with pytest.raises(LeftBehindError, match=r"^users of other embedders without a template of new@1: 1$") as caught:
        await scene.switch()
    assert (scene.models(), scene.database.active_model) == ([OLD.model] * 3, None)
    assert (caught.value.half_done, scene.progress) == (False, [])
    assert await scene.switch(partial=True) == Switch(2, 1)
    assert scene.models() == [NEW.model, NEW.model, OLD.model]


async def test_what_comes_later_is_switched_by_another_one(scene: Scene) -> None:
    """Jobs go on meanwhile, also where somebody cannot be switched; and twice is as good as once."""
    await scene.prepare(ANNA, BORIS)
    await scene.switch(partial=True)
    await scene.prepare(CLARA)
    scene.database.archived.add(CLARA)
    with pytest.raises(NothingSwitchedError):
        await scene.switch()
    scene.database.archived.clear()
    assert await scene.switch() == Switch(1, 0)
    assert await scene.switch() == Switch(0, 0)
    assert (scene.database.prepared, scene.database.active_model, scene.jobs_waited) == ({}, DONE, 1)


@pytest.mark.parametrize(("partial", "refusal"), [(True, NothingSwitchedError), (False, LeftBehindError)])
async def test_where_nobody_would_be_nothing_is_switched(
    scene: Scene, refusal: type[Exception], *, partial: bool
) -> None:
    """By a slip in the embedder's name the gallery would become one that nobody is in."""
    with pytest.raises(refusal):
        await scene.switch(partial=partial)
    assert scene.database.active_model is None


async def test_who_is_overtaken_by_another_switch_hears_of_it(scene: Scene) -> None:
    """Their users are not recognised: the gallery is another embedder's by now."""
    await scene.prepare(ANNA)

    def overtake() -> None:
        scene.database.active_model = ActiveModelRow("third@1")

    scene.when_jobs_wait = overtake
    with pytest.raises(OvertakenError):
        await scene.switch(partial=True)
    assert scene.database.active_model == ActiveModelRow("third@1")


@pytest.mark.parametrize("step", ["switch", "tidy", "finish"])
async def test_an_interrupted_one_goes_on(scene: Scene, step: str) -> None:
    """Wherever that was, and whoever was left behind: until it is finished no job is decided."""
    await scene.prepare(ANNA, BORIS)

    scene.when_jobs_wait = lambda: scene.database.failing.add(step)
    with pytest.raises(DatabaseUnavailableError):
        await scene.switch(partial=True)
    assert scene.database.active_model == HALF_DONE
    scene.when_jobs_wait = scene.database.failing.clear
    scene.database.failing.clear()
    with pytest.raises(LeftBehindError) as caught:
        await scene.switch()
    assert caught.value.half_done is True
    assert (await scene.switch(partial=True)).left_behind == 1
    assert (scene.models(), scene.database.active_model) == ([NEW.model, NEW.model, OLD.model], DONE)


async def test_whose_change_is_refused_holds_up_no_other(scene: Scene) -> None:
    """They are named with the reason; whether to go on without them is asked."""
    why = "database, switch_templates: refused: the user is archived"
    await scene.prepare(ANNA, BORIS, CLARA)
    scene.database.archived.add(BORIS)
    with pytest.raises(HalfSwitchedError, match=r"^users could not be switched: 1 refused by the database$") as caught:
        await scene.switch()
    assert (caught.value.unexplained, caught.value.refused) == (0, {BORIS: why})
    assert (scene.models(), scene.database.active_model) == ([NEW.model, OLD.model, NEW.model], HALF_DONE)
    assert await scene.switch(partial=True) == Switch(0, 1, {BORIS: why})
    assert scene.database.active_model == DONE
    scene.database.archived.clear()
    assert await scene.switch() == Switch(1, 0)


async def test_who_is_locked_is_waited_for(scene: Scene) -> None:
    """The application is changing them at this moment."""
    await scene.prepare(ANNA, BORIS, CLARA)
    scene.database.locked.add(BORIS)
    scene.clock.meanwhile = scene.database.locked.clear
    assert await scene.switch() == Switch(3, 0)
    assert scene.clock.slept == [1]


async def test_who_stays_locked_is_waited_for_a_minute(scene: Scene) -> None:
    """Jobs wait, too: whether to go on without them is asked."""
    await scene.prepare(ANNA, BORIS, CLARA)
    scene.database.locked.update({BORIS, CLARA})
    with pytest.raises(HalfSwitchedError, match=r"^users could not be switched: 2 for no reason that") as caught:
        await scene.switch()
    assert (caught.value.unexplained, caught.value.refused) == (2, {})
    assert scene.clock.monotonic() == 60
    assert await scene.switch(partial=True) == Switch(0, 2)
    assert scene.database.active_model == DONE


@pytest.mark.parametrize(("is_locked", "why"), [(True, "no reason was given"), (False, "the user is archived")])
async def test_it_does_not_begin_where_nobody_can_be_switched(scene: Scene, why: str, *, is_locked: bool) -> None:
    """A rule of the application's that holds for everybody is met before any job waits."""
    await scene.prepare(ANNA, BORIS, CLARA)
    (scene.database.locked if is_locked else scene.database.archived).update({ANNA, BORIS, CLARA})
    with pytest.raises(NothingSwitchedError, match=rf"^none of the first 3 users can be switched: .*{why}") as caught:
        await scene.switch(partial=True)
    assert caught.value.unexplained is is_locked
    assert (scene.database.active_model, len(scene.database.prepared)) == (None, 3)
