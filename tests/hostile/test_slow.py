"""A file whose cost no screen foresees: its decoder computes for minutes, and is stopped at the limit of CPU time."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import attrs
import pytest
import pytest_asyncio

from adapters.vision.pictures.decoding import decode
from adapters.vision.processes.pictures import PictureReader
from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from application.ports.face_pipeline import Embed, ImageBudget
from domain.errors import ImageTooLargeError, UnreadableImageError
from tests.e2e.world import World, eventually
from tests.hostile.bombs import slow_tiff
from tests.hostile.cases import picture, sample
from tests.pictures import encoded
from tests.processes import cpu_seconds
from tests.readers import makers, pool_of, processes_of

EMBEDDERS = Path(__file__).parent / "embedders"
SECONDS = 0.5
IMPATIENT: Final = ImageBudget(decoding_seconds=SECONDS)
PATIENT: Final = PoolLimits(seconds=600.0)
"""However busy the machine is, the limit of CPU time comes first."""
WORDS = r"more than the allowed 0\.5 s of CPU time"


@pytest_asyncio.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProcessPoolFaceReader]:
    """Return a pool of two processes that decode as the product does, and have little time for that."""
    monkeypatch.syspath_prepend(EMBEDDERS)
    reader = pool_of("decoder", 2, budget=IMPATIENT, limits=PATIENT)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.close()


async def test_a_slow_file_is_too_large_and_harms_no_other(pool: ProcessPoolFaceReader) -> None:
    """It is tried once, also in a process that has read others; these are read meanwhile and afterwards."""
    [maker] = makers()
    await asyncio.gather(*(pool.read(sample("PNG"), embed=Embed.NONE) for _ in range(4)))
    before = {*processes_of(maker)}
    slow = asyncio.create_task(pool.read(slow_tiff(), embed=Embed.NONE))
    for form in ("JPEG", "TIFF", "AVIF"):
        assert (await pool.read(sample(form), embed=Embed.NONE)).width == 96
    with pytest.raises(ImageTooLargeError, match=WORDS):
        await slow
    assert pool.restarts == 1
    for form in ("JPEG", "TIFF", "AVIF"):
        assert (await pool.read(sample(form), embed=Embed.NONE)).width == 96
    assert len(before & {*processes_of(maker)}) == 1
    assert pool.restarts == 1


async def test_a_slow_file_that_is_decoded_to_be_looked_at_is_too_large() -> None:
    """So it is for whoever wants its picture alone; the next picture is read."""
    reader = PictureReader(IMPATIENT, PATIENT)
    try:
        with pytest.raises(ImageTooLargeError, match=WORDS):
            await reader.read(slow_tiff())
        assert (await reader.read(sample("JPEG"))).width == 96
    finally:
        await reader.close()


async def test_the_time_of_earlier_pictures_does_not_count(pool: ProcessPoolFaceReader) -> None:
    """Many photographs in the same process take longer than one may, and each is read."""
    image = encoded(picture(1_000, 1_000), "PNG")
    [maker] = makers()
    before = processes_of(maker)
    while max(map(cpu_seconds, before)) < 3 * SECONDS:
        await pool.read(image, embed=Embed.NONE)
    assert processes_of(maker) == before


@pytest.mark.parametrize("content", [sample("JPEG"), b"no picture"])
def test_nothing_but_decoding_is_limited(content: bytes) -> None:
    """Once the picture is there, or refused, its process may compute for as long as it likes."""
    try:
        decode(content, IMPATIENT)
    except UnreadableImageError:
        assert content == b"no picture"
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.parametrize(("pixels", "seconds"), [(1, 15), (60_000_000, 15), (600_000_000, 150)])
def test_the_limit_grows_with_the_pixels_that_are_allowed(pixels: int, seconds: float) -> None:
    """Whoever allows ten times the pixels gives them ten times as long; fewer pixels get no less."""
    assert ImageBudget(max_pixels=pixels).decoding_seconds == pytest.approx(seconds)
    assert attrs.evolve(IMPATIENT, max_pixels=pixels).decoding_seconds == SECONDS


async def test_a_slow_file_is_skipped_by_the_worker_without_another_try(world: World) -> None:
    """With the limit that all workers have: one outcome, one line of the log, no attempt, no dead letter."""
    world.environment |= {"FACEMATCH_VISION_TIMEOUT_SECONDS": "600", "FACEMATCH_WORKER_PROCESSES": "2"}
    photos = dict(zip(world.add_photos(2), ("slow", "good"), strict=True))
    world.put("slow", slow_tiff())
    world.put("good", sample("PNG"))
    with world.worker() as worker:
        for photo, key in photos.items():
            await world.publish({"photo_id": str(photo), "image_ref": key})

        async def recorded() -> list[tuple[object, ...]]:
            return world.sql("SELECT photo_id, outcome, reason FROM facematch.outcomes")

        found = await eventually(recorded, lambda rows: len(rows) == 2, "both outcomes", seconds=300.0)
        await world.settled()
        metrics = worker.get("/metrics")[1]
    assert {photos[photo]: tuple(rest) for photo, *rest in found} == {
        "slow": ("skipped", "image_too_large"),
        "good": ("skipped", "no_face"),
    }
    [line] = [line for line in worker.lines() if line.get("reason") == "image_too_large"]
    assert (line["level"], line["action"], line["delivery"]) == ("info", "skipped", 1)
    assert "15 s of CPU time" in line["detail"]
    assert [line for line in worker.lines() if line["level"] not in {"debug", "info"}] == []
    assert world.sql("SELECT count(*) FROM facematch.attempts") == [(0,)]
    assert await world.stored("PHOTO_FACES_DEAD") == []
    assert "facematch_vision_restarts_total 1.0" in metrics
