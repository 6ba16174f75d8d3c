"""The index of a large gallery: which is built, what is learnt again, and when searches find too few."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from application.operating.keep_index import IndexReport, KeepIndex, Shortlist, UnknownModelError
from application.ports.codebooks import Recall
from application.ports.search_index import Difference, IndexRefusedError, Model
from application.progress import StepProgress
from domain.faces import FaceEmbedding
from tests.fakes.clock import EventfulClock
from tests.fakes.codebooks import LENGTHS, PlainCodebooks, Vectors
from tests.fakes.database import InMemoryDatabase
from tests.fakes.progress import unheard
from tests.fakes.search_index import InMemoryIndexTables

MODEL, OTHER = "model@1", "other@1"
MANY = 5_000
PROBES = 500
FEW = PROBES + 100
AS_IT_SHOULD_BE = Difference(9_000, 9_000, 0, 0, 0)
Found = tuple[float, float, float, float]


class Scene:
    """A gallery in memory; it writes down what it hears."""

    def __init__(self) -> None:
        self.database = InMemoryDatabase()
        self.tables = InMemoryIndexTables(self.database)
        self.codebooks = PlainCodebooks()
        self.clock = EventfulClock()
        self.keep_index: KeepIndex[Vectors] = KeepIndex(tables=self.tables, codebooks=self.codebooks, clock=self.clock)
        self.heard: list[str] = []

    def enrol(self, count: int, model: str = MODEL, *, dimension: int = 2) -> None:
        """Add so many users, each with another vector."""
        for number in range(len(self.database.users) + 1, len(self.database.users) + 1 + count):
            self.database.add_user(UUID(int=number), FaceEmbedding(model, (float(number),) * dimension))

    async def build(self, progress: StepProgress = unheard) -> Shortlist | None:
        """Build the index of the first model."""
        return await self.keep_index.build((await self.tables.models())[0], progress)

    @contextmanager
    def watching(self, model: str) -> Iterator[StepProgress]:
        """Hear of the beginning."""
        self.heard.append(f"works on {model}")
        yield unheard

    def needs_none(self, model: Model) -> None:
        """Hear of one."""
        self.heard.append(f"{model.name} needs none")

    def lacks_one(self, model: Model) -> None:
        """Hear of one."""
        self.heard.append(f"{model.name} lacks one")

    def dropped(self, model: str) -> None:
        """Hear of one."""
        self.heard.append(f"{model} dropped")


@pytest.fixture
def scene() -> Scene:
    """Return a gallery of nobody."""
    return Scene()


async def test_a_build_copies_compares_learns_and_measures_in_this_order(scene: Scene) -> None:
    """Whoever watches hears how far each is."""
    scene.enrol(FEW)
    steps: list[tuple[str, int, int]] = []
    assert await scene.build(lambda *step: steps.append(step)) == Shortlist(Recall(1_024, 1), Recall(1_024, 1))
    first = [("copying", FEW, FEW), ("comparing", 0, 0), ("learning", 0, 0), ("measuring", 0, FEW)]
    assert (steps[:4], {step for step, _, _ in steps[4:]}) == (first, {"measuring"})
    assert scene.tables.indexes[MODEL].learnt_from == FEW


async def test_everybody_is_learnt_from_and_others_are_searched_for(scene: Scene) -> None:
    """Those who are searched for are 500, and not just the first of those who were learnt from."""
    scene.enrol(FEW)
    await scene.build()
    assert scene.codebooks.examples is not None
    assert (len(scene.codebooks.examples), len(scene.codebooks.probes)) == (FEW, PROBES)
    assert scene.codebooks.examples[:PROBES] != scene.codebooks.probes


@pytest.mark.parametrize(("users", "is_learnt_again"), [(400, False), (401, True)])
async def test_a_gallery_that_has_grown_much_is_learnt_from_again(
    scene: Scene, users: int, *, is_learnt_again: bool
) -> None:
    """From four times as many on there were too few examples; before, nothing that works is touched."""
    scene.enrol(100)
    await scene.build()
    scene.codebooks.examples = None
    scene.enrol(users - 100)
    await scene.build()
    assert (scene.codebooks.examples is not None) == is_learnt_again
    assert scene.tables.indexes[MODEL].learnt_from == (users if is_learnt_again else 100)


@pytest.mark.parametrize("codebook", [None, b"damaged"])
async def test_what_cannot_be_used_is_learnt_again(scene: Scene, codebook: bytes | None) -> None:
    """As is what was never learnt; until then it is told that the index does not serve."""
    scene.enrol(10)
    await scene.build()
    scene.tables.indexes[MODEL].codebook = codebook
    scene.enrol(1)
    [model] = await scene.tables.models()
    assert not (await scene.keep_index.check(model)).serves
    await scene.build()
    assert (await scene.keep_index.check(model)).serves
    assert scene.tables.indexes[MODEL].learnt_from == 11


async def test_an_index_that_everybody_has_left_is_learnt_anew(scene: Scene) -> None:
    """From nobody, of the dimension that it had; until then it is damaged."""
    scene.enrol(3)
    await scene.build()
    scene.database.users.clear()
    scene.tables.indexes[MODEL].codebook = b"damaged"
    assert await scene.build() is None
    [model] = await scene.tables.models()
    report = await scene.keep_index.check(model)
    assert (report.serves, report.difference) == (True, Difference(0, 0, 0, 0, 0))
    assert scene.codebooks.examples == []


async def test_another_dimension_is_learnt_anew(scene: Scene) -> None:
    """What is known of the old one tells nothing of it, and none of its vectors stays."""
    scene.enrol(10)
    await scene.build()
    scene.enrol(11, dimension=3)
    await scene.build()
    assert (scene.tables.indexes[MODEL].dimension, scene.tables.indexes[MODEL].learnt_from) == (3, 11)
    [model] = await scene.tables.models()
    assert (await scene.keep_index.check(model)).difference == Difference(11, 11, 0, 0, 0)


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        ((0.998, 1, 1, 1), 1_024),
        ((0.9979, 0.998, 1, 1), 2_048),
        ((0.9, 0.99, 0.9979, 1), 8_192),
        ((0.9, 0.95, 0.97, 0.97), 4_096),
        ((0.95, 0.95, 0.95, 0.95), 1_024),
    ],
)
async def test_the_shortlist_grows_until_it_finds_enough(scene: Scene, found: Found, enough: int) -> None:
    """Where none does, until a longer one would find no more; nothing is learnt again for that."""
    scene.enrol(FEW)
    await scene.build()
    scene.codebooks.found = found
    scene.codebooks.examples = None
    scene.enrol(1)
    recall = Recall(enough, dict(zip(LENGTHS, found, strict=True))[enough])
    assert await scene.build() == Shortlist(recall, recall)
    index = scene.tables.indexes[MODEL]
    assert (index.codebook, index.learnt_from) == (f"2 {enough}".encode(), FEW)
    assert scene.codebooks.examples is None


async def test_a_shortlist_that_was_grown_is_not_shortened(scene: Scene) -> None:
    """Also where a shorter one would be enough now."""
    scene.enrol(FEW)
    scene.codebooks.found = (0.9, 0.9, 1, 1)
    await scene.build()
    scene.codebooks.found = (1, 1, 1, 1)
    assert await scene.build() == Shortlist(Recall(4_096, 1), Recall(4_096, 1))


@pytest.mark.parametrize(
    ("found", "overlooks", "is_good"),
    [
        (None, False, True),
        ((0.998, 1, 1, 1), False, True),
        ((0.996, 0.998, 1, 1), False, True),
        ((0.993, 1, 1, 1), True, False),
        ((0.942, 0.942, 0.942, 0.942), True, True),
    ],
)
def test_a_shortlist_that_is_too_short_is_a_failure_where_a_longer_one_helps(
    found: Found | None, *, overlooks: bool, is_good: bool
) -> None:
    """Elsewhere it is a warning; a few who are overlooked are worth neither."""
    recalls = [Recall(*each) for each in zip(LENGTHS, found, strict=True)] if found else []
    shortlist = Shortlist.measured(recalls) if recalls else None
    report = IndexReport(MODEL, serves=True, bytes=1, difference=AS_IT_SHOULD_BE, shortlist=shortlist)
    assert (shortlist is not None and shortlist.overlooks, report.is_good) == (overlooks, is_good)


@pytest.mark.parametrize(
    ("serves", "difference"), [(False, AS_IT_SHOULD_BE), (True, Difference(9_000, 8_999, 1, 0, 0))]
)
def test_an_index_that_does_not_serve_or_differs_is_a_failure(*, serves: bool, difference: Difference) -> None:
    """Building it mends both."""
    assert not IndexReport(MODEL, serves=serves, bytes=1, difference=difference).is_good


async def test_rows_that_are_locked_for_a_moment_are_waited_for(scene: Scene) -> None:
    """A second each time."""
    scene.enrol(5)
    scene.database.locked = {UUID(int=1)}
    scene.clock.meanwhile = scene.database.locked.clear
    await scene.build()
    assert (scene.clock.slept, len(scene.tables.indexes[MODEL].vectors)) == ([1.0], 5)


async def test_rows_that_stay_locked_are_told(scene: Scene) -> None:
    """After the fifth pass; what is followed so far stays, and nothing is learnt."""
    scene.enrol(5)
    scene.database.locked = {UUID(int=1)}
    with pytest.raises(IndexRefusedError, match="stayed locked"):
        await scene.build()
    assert (scene.clock.slept, scene.codebooks.examples) == ([1.0] * 5, None)


async def test_a_model_of_nobody_is_not_indexed(scene: Scene) -> None:
    """There is no dimension that its vectors could have."""
    with pytest.raises(IndexRefusedError, match="nothing to index"):
        await scene.keep_index.build(Model(MODEL, None, 0, is_indexed=True), unheard)


@pytest.mark.parametrize(("users", "built"), [(MANY - 1, []), (MANY, [MODEL])])
async def test_many_users_get_an_index_and_few_need_none(scene: Scene, users: int, built: list[str]) -> None:
    """What is built is compared, with what was measured."""
    scene.enrol(users)
    reports = await scene.keep_index.build_all(None, scene)
    assert [report.model for report in reports] == built
    assert all(report.is_good and report.shortlist is not None for report in reports)
    assert scene.heard == ([f"works on {MODEL}"] if built else [f"{MODEL} needs none"])


async def test_few_users_get_an_index_where_it_is_asked_for_and_keep_it(scene: Scene) -> None:
    """Nobody else's is touched; built again without being named, it is updated."""
    scene.enrol(3)
    scene.enrol(3, OTHER)
    assert [report.model for report in await scene.keep_index.build_all(MODEL, scene)] == [MODEL]
    assert [report.model for report in await scene.keep_index.build_all(None, scene)] == [MODEL]
    assert scene.heard == [f"works on {MODEL}", f"works on {MODEL}", f"{OTHER} needs none"]


async def test_a_comparison_measures_what_serves_and_changes_nothing(scene: Scene) -> None:
    """A shortlist that is too short stays so; who has many users and no index is told, who has few is not."""
    scene.enrol(FEW)
    scene.enrol(3, OTHER)
    scene.enrol(MANY, "third@1")
    for name in (MODEL, OTHER):
        await scene.keep_index.build_all(name, scene)
    scene.tables.stop_following(OTHER)
    scene.codebooks.found = (0.9, 1, 1, 1)
    scene.heard.clear()
    mine, other = await scene.keep_index.check_all(None, scene)
    assert (mine.serves, mine.shortlist) == (True, Shortlist(Recall(1_024, 0.9), Recall(2_048, 1)))
    assert (other.serves, other.shortlist) == (False, None)
    assert scene.heard == [f"works on {MODEL}", "third@1 lacks one"]
    assert scene.tables.indexes[MODEL].codebook == b"2 1024"


async def test_indexes_are_dropped_one_or_all(scene: Scene) -> None:
    """And whether there was one is told."""
    for name in (MODEL, OTHER, "third@1"):
        scene.enrol(3, name)
        await scene.keep_index.build_all(name, scene)
    scene.heard.clear()
    assert await scene.keep_index.drop_all(OTHER, scene)
    assert scene.heard == [f"{OTHER} dropped"]
    assert await scene.keep_index.drop_all(None, scene)
    assert (scene.heard[1:], scene.tables.indexes) == ([f"{MODEL} dropped", "third@1 dropped"], {})
    assert not await scene.keep_index.drop_all(None, scene)


@pytest.mark.parametrize("method", ["build_all", "check_all", "drop_all"])
async def test_a_model_that_nobody_knows_is_told(scene: Scene, method: str) -> None:
    """It is a slip of the pen, whatever was to be done."""
    scene.enrol(3)
    with pytest.raises(UnknownModelError, match=f"nobody is enrolled with {OTHER}, and it has no index"):
        await getattr(scene.keep_index, method)(OTHER, scene)
