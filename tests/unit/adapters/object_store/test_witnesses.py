"""Two objects tell a store that gives nobody a photograph from one bad object; where nobody can tell, it is up."""

import pytest

from adapters.object_store.errors import ObjectForbiddenError
from adapters.object_store.witnesses import WitnessedPhotoStore, Witnesses
from application.ports.photo_store import PhotoStore
from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef
from tests.fakes.clock import ManualClock
from tests.fakes.photo_store import InMemoryPhotoStore

PATIENCE = 60.0
A, B, C, D = (ImageRef("images", name) for name in "abcd")
BROKEN = StorageUnavailableError("it did not come")


class Scene:
    """A store with four objects, of which the test may break some, and its witnesses."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broken: dict[ImageRef, Exception] = {}
        self.witnesses = Witnesses(clock=self.clock, patience_seconds=PATIENCE)
        self._store = InMemoryPhotoStore()
        for ref in (A, B, C, D):
            self._store.put(ref, b"content")
        self.asked = self._store.fetched
        self.watched: PhotoStore = WitnessedPhotoStore(self, self.witnesses)

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch what is not broken."""
        content = await self._store.fetch(ref, max_bytes=max_bytes)
        if ref in self.broken:
            raise self.broken[ref]
        return content

    async def try_to_fetch(self, *refs: ImageRef) -> None:
        """Fetch as jobs do, whatever comes of it."""
        for ref in refs:
            try:
                await self.watched.fetch(ref, max_bytes=10)
            except StorageUnavailableError:
                continue

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


async def test_what_comes_and_what_does_not_is_passed_on(scene: Scene) -> None:
    """Jobs get what the store gives, and its errors as they are."""
    assert await scene.watched.fetch(A, max_bytes=10) == b"content"
    with pytest.raises(ImageTooLargeError):
        await scene.watched.fetch(A, max_bytes=1)
    scene.broken[B] = BROKEN
    with pytest.raises(StorageUnavailableError) as caught:
        await scene.watched.fetch(B, max_bytes=10)
    assert caught.value is BROKEN


async def test_the_last_two_that_came_are_asked(scene: Scene) -> None:
    """If neither comes any more, nobody's photograph does, and the reason says which were asked."""
    await scene.try_to_fetch(A, B, C, B)
    scene.broken = dict.fromkeys((A, B, C, D), BROKEN)
    await scene.try_to_fetch(D)
    expected = f"the object store answers, but neither of {C} and {B} comes: it did not come"
    assert await scene.verdict() == expected
    assert scene.asked == [C, B]


async def test_one_that_comes_is_enough(scene: Scene) -> None:
    """Then the object that did not come is at fault, even if it is one of those that came before."""
    await scene.try_to_fetch(A, B)
    scene.broken = {B: BROKEN, C: BROKEN, D: BROKEN}
    await scene.try_to_fetch(C, D, B)
    assert await scene.verdict() is None


async def test_where_nothing_has_come_yet_two_that_failed_are_asked(scene: Scene) -> None:
    """After a start with the store in that state; each time others, so that the first good one ends it."""
    scene.broken = dict.fromkeys((A, B, C), BROKEN)
    await scene.try_to_fetch(A, B, C, D)
    scene.broken[D] = BROKEN
    await scene.try_to_fetch(A, B)
    assert await scene.verdict() == f"the object store answers, but neither of {D} and {A} comes: it did not come"
    assert await scene.verdict() == f"the object store answers, but neither of {D} and {B} comes: it did not come"
    del scene.broken[B]
    assert [await scene.verdict() for _ in range(2)].count(None) >= 1


@pytest.mark.parametrize("failed", [[], [A], [A, A, A]])
async def test_one_object_alone_tells_nothing(scene: Scene, failed: list[ImageRef]) -> None:
    """However often it failed, it may be the only bad one: its job is given up after its deliveries."""
    scene.broken = {A: BROKEN}
    await scene.try_to_fetch(*failed)
    assert await scene.verdict() is None
    assert scene.asked == []


async def test_a_refusal_tells_nothing(scene: Scene) -> None:
    """That some objects may not be read says nothing of the others."""
    scene.broken = dict.fromkeys((A, B, C), ObjectForbiddenError("it may not be read"))
    await scene.try_to_fetch(A, B, C)
    assert await scene.verdict() is None
    assert scene.asked == []


async def test_a_witness_that_is_gone_is_forgotten(scene: Scene) -> None:
    """The store said so, so it is well; the next time another is asked."""
    await scene.try_to_fetch(A, B)
    scene.broken = {A: ImageNotFoundError("deleted"), B: BROKEN, C: BROKEN}
    await scene.try_to_fetch(C)
    assert await scene.verdict() is None
    assert await scene.verdict() == f"the object store answers, but neither of {B} and {C} comes: it did not come"


async def test_a_defect_is_no_verdict(scene: Scene) -> None:
    """Whoever probes hears of it as it is."""
    await scene.try_to_fetch(A, B)
    scene.broken = dict.fromkeys((A, B), ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        await scene.verdict()


async def test_witnesses_that_never_come_are_replaced(scene: Scene) -> None:
    """Two objects that became bad hold up all others for some time only; if all are bad, others will tell."""
    await scene.try_to_fetch(A, B)
    scene.broken = {A: BROKEN, B: BROKEN}
    assert await scene.verdict() is not None
    scene.clock.advance(PATIENCE)
    assert await scene.verdict() is not None
    assert await scene.verdict() is None
    scene.broken = dict.fromkeys((C, D), BROKEN)
    await scene.try_to_fetch(C, D)
    assert await scene.verdict() is not None
