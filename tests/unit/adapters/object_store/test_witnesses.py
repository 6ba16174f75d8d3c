"""Two objects tell a store that gives nobody a photograph from one bad object; where nobody can tell, it is up."""

import pytest

from adapters.object_store.errors import ObjectArchivedError, ObjectForbiddenError
from adapters.object_store.witnesses import Size, Witnesses
from domain.errors import ImageNotFoundError, StorageUnavailableError
from domain.images import ImageRef
from tests.fakes.clock import ManualClock
from tests.fakes.photo_store import InMemoryPhotoStore

TRIAL = 10.0
PATIENCE = 60.0
ALLOWED = 100
A, B, C, D = (ImageRef("images", name) for name in "abcd")
BROKEN = StorageUnavailableError("it did not come")
CLOSED = ObjectForbiddenError("it may not be read")
VERDICT = "the object store answers, but neither of two photographs comes that it should have"
NO_RIGHTS = (
    "the object store answers, but no photograph may be read with these credentials; "
    "without s3:ListBucket missing ones look the same"
)


class Scene:
    """A store with four objects, of which the test may break some, and its witnesses."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broken: dict[ImageRef, Exception] = {}
        self.witnesses = Witnesses(clock=self.clock, trial_seconds=TRIAL, patience_seconds=PATIENCE)
        self._store = InMemoryPhotoStore()
        for ref in (A, B, C, D):
            self._store.put(ref, b"content")
        self.asked = self._store.fetched

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch what is not broken."""
        content = await self._store.fetch(ref, max_bytes=max_bytes)
        if ref in self.broken:
            raise self.broken[ref]
        return content

    def came(self, *refs: ImageRef, size: int = 7) -> None:
        """Tell that jobs got these."""
        for ref in refs:
            self.witnesses.came(ref, Size(size, ALLOWED))

    def failed(self, *refs: ImageRef, size: int = 0) -> None:
        """Tell that jobs did not get these."""
        for ref in refs:
            self.witnesses.failed(ref, Size(size, ALLOWED))

    async def verdict(self) -> str | None:
        """Return why the store gives nobody a photograph, or None; what is asked from now on is what it took."""
        self.asked.clear()
        try:
            await self.witnesses.hear(self)
        except StorageUnavailableError as error:
            return str(error)
        return None


@pytest.fixture
def scene() -> Scene:
    """Return a store in which nothing is broken."""
    return Scene()


async def test_the_two_largest_that_came_are_asked(scene: Scene) -> None:
    """If neither comes any more, nobody's photograph does; no object is named, for a name is somebody's."""
    scene.came(A, size=30)
    scene.came(B, size=10)
    scene.came(C, size=20)
    scene.broken = dict.fromkeys((A, B, C, D), BROKEN)
    scene.failed(D)
    assert (await scene.verdict(), set(scene.asked)) == (VERDICT, {A, C})


async def test_one_that_comes_is_enough(scene: Scene) -> None:
    """Then the object that did not come is at fault, even if it is one of those that came before."""
    scene.came(A, B)
    scene.broken = {B: BROKEN, C: BROKEN, D: BROKEN}
    scene.failed(C, D, B)
    assert await scene.verdict() is None


async def test_small_ones_say_nothing_of_large_ones(scene: Scene) -> None:
    """A store may be too slow for large photographs only: then two of these are asked, whatever small ones come."""
    scene.broken = dict.fromkeys((C, D), BROKEN)
    scene.failed(C, D, size=50)
    scene.came(A, B, size=10)
    assert (await scene.verdict(), set(scene.asked)) == (VERDICT, {C, D})


async def test_one_of_half_the_size_says_enough(scene: Scene) -> None:
    """What it disproves is forgotten: nobody is left to be asked but itself."""
    scene.failed(B, C, D, size=20)
    scene.came(A, size=10)
    scene.broken = dict.fromkeys((A, B, C, D), BROKEN)
    assert (await scene.verdict(), scene.asked) == (None, [])


async def test_where_nothing_has_come_yet_two_that_failed_are_asked(scene: Scene) -> None:
    """After a start with the store in that state; each time others, so that the first good one ends it."""
    scene.broken = dict.fromkeys((A, B, C), BROKEN)
    scene.failed(A, B, C)
    assert (await scene.verdict(), scene.asked) == (VERDICT, [A, B])
    assert (await scene.verdict(), scene.asked) == (VERDICT, [C, A])
    del scene.broken[B]
    assert [await scene.verdict() for _ in range(2)].count(None) >= 1


@pytest.mark.parametrize("failed", [[], [A], [A, A, A]])
async def test_one_object_alone_tells_nothing(scene: Scene, failed: list[ImageRef]) -> None:
    """However often it failed, it may be the only bad one: its job is given up after its deliveries."""
    scene.broken = {A: BROKEN}
    scene.failed(*failed)
    assert (await scene.verdict(), scene.asked) == (None, [])


@pytest.mark.parametrize("gone", [ImageNotFoundError("deleted"), ObjectArchivedError("to be restored first")])
async def test_a_witness_that_is_gone_is_forgotten(scene: Scene, gone: Exception) -> None:
    """It is deleted, as applications do, or in an archive: at once another is asked instead of it."""
    scene.came(A, B)
    scene.broken = {A: gone, B: BROKEN, C: BROKEN}
    scene.failed(C)
    assert (await scene.verdict(), scene.asked[2:]) == (VERDICT, [B, C])
    scene.broken |= {B: gone}
    assert (await scene.verdict(), scene.asked) == (None, [B, C])


async def test_rights_that_were_taken_away_are_everybody_s_trouble(scene: Scene) -> None:
    """Of those that came none may be read any more: no job is given up for it, and later two are asked again."""
    scene.came(A, B, C)
    scene.broken = dict.fromkeys((A, B, C), CLOSED)
    assert (await scene.verdict(), set(scene.asked)) == (NO_RIGHTS, {A, B, C})
    assert (await scene.verdict(), len(scene.asked)) == (NO_RIGHTS, 2)
    scene.broken.clear()
    assert await scene.verdict() is None


async def test_one_of_many_that_may_be_read_is_enough(scene: Scene) -> None:
    """The others may have been deleted, where nothing may be listed: their jobs alone fail."""
    scene.came(A, B, C)
    scene.broken = dict.fromkeys((B, C), CLOSED)
    assert await scene.verdict() is None


async def test_those_that_never_came_and_may_not_be_read_tell_nothing(scene: Scene) -> None:
    """They may be missing, where nothing may be listed: good ones behind them do not wait."""
    scene.came(A)
    scene.failed(B, C)
    scene.broken = dict.fromkeys((A, B, C), CLOSED)
    assert await scene.verdict() is None


async def test_what_may_not_be_read_holds_up_nobody_for_long(scene: Scene) -> None:
    """All that came may have been deleted: now and then work is let on, and a good photograph ends it."""
    scene.came(A, B)
    scene.broken = dict.fromkeys((A, B), CLOSED)
    verdicts = []
    for _ in range(4):
        verdicts.append(await scene.verdict())
        scene.clock.advance(TRIAL / 2)
    assert verdicts == [NO_RIGHTS, NO_RIGHTS, None, NO_RIGHTS]
    scene.came(D)
    assert await scene.verdict() is None


async def test_what_is_deleted_as_soon_as_it_came_holds_up_nobody_again_and_again(scene: Scene) -> None:
    """Where nothing may be listed it may not be read any more; that others came since tells it from rights."""
    scene.came(A, B)
    scene.broken = dict.fromkeys((A, B, D), CLOSED)
    assert await scene.verdict() == NO_RIGHTS
    scene.clock.advance(TRIAL)
    assert await scene.verdict() is None
    scene.clock.advance(1)
    scene.came(D)
    for _ in range(3):
        assert await scene.verdict() is None
        scene.clock.advance(TRIAL)
    scene.clock.advance(PATIENCE)
    assert await scene.verdict() == NO_RIGHTS


async def test_a_defect_is_no_verdict(scene: Scene) -> None:
    """Whoever probes hears of it as it is."""
    scene.came(A, B)
    scene.broken = dict.fromkeys((A, B), ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        await scene.verdict()


async def test_what_never_came_holds_up_nobody_for_long(scene: Scene) -> None:
    """Now and then work is let on, and a good photograph ends it; what came once is trusted longer."""
    scene.broken = dict.fromkeys((A, B), BROKEN)
    scene.failed(A, B)
    verdicts = []
    for _ in range(5):
        verdicts.append(await scene.verdict())
        scene.clock.advance(TRIAL / 2)
    assert verdicts == [VERDICT, VERDICT, None, VERDICT, None]
    scene.came(A, B)
    scene.failed(C)
    verdicts = []
    for _ in range(5):
        verdicts.append(await scene.verdict())
        scene.clock.advance(TRIAL / 2)
    assert verdicts == [VERDICT] * 5


async def test_witnesses_that_never_come_are_replaced(scene: Scene) -> None:
    """Two objects that became bad hold up all others for some time only; if all are bad, others will tell."""
    scene.came(A, B)
    scene.broken = dict.fromkeys((A, B, C, D), BROKEN)
    assert await scene.verdict() == VERDICT
    scene.clock.advance(PATIENCE)
    assert await scene.verdict() is None
    assert (await scene.verdict(), scene.asked) == (None, [])
    scene.failed(C, D)
    assert await scene.verdict() == VERDICT


async def test_only_so_many_are_remembered(scene: Scene) -> None:
    """Of what came the largest, of what did not the latest."""
    many = [ImageRef("images", f"{number:03}") for number in range(200)]
    for number, ref in enumerate(many):
        scene.came(ref, size=number)
    assert [ref for ref in many if ref in scene.witnesses._came] == many[-20:]
    scene.failed(*many, size=1_000)
    assert list(scene.witnesses._failed) == many[-100:]
