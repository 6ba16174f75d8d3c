"""Whoever keeps readings gives back what was read, and nothing else."""

from pathlib import Path

import pytest

from adapters.evaluation.kept_readings import FolderOfReadings
from application.ports.face_pipeline import Embed
from application.ports.known_readings import KnownReadings
from domain.faces import BoundingBox, DetectedFace, FaceEmbedding, PhotoReading, StageTiming
from tests.fakes.known_readings import InMemoryKnownReadings

FACE = DetectedFace(BoundingBox(0.5, 1 / 3, 20, 30), 0.987654321, FaceEmbedding("mine@1", (0.1, -1 / 3, 1e-9)), 7.25)
BYSTANDER = DetectedFace(BoundingBox(40, 1, 60, 30), 0.5)
READING = PhotoReading(120, 80, (FACE, BYSTANDER), (StageTiming("decode", 1, 2, 3),))


@pytest.fixture(params=["folder", "memory"])
def known(request: pytest.FixtureRequest, tmp_path: Path) -> KnownReadings:
    """Return each in turn."""
    return FolderOfReadings(tmp_path / "kept", "mine@1", "1") if request.param == "folder" else InMemoryKnownReadings()


async def test_what_was_kept_is_found(known: KnownReadings) -> None:
    """The adapter satisfies the port: every number comes back as it was; the time it took does not."""
    await known.keep(b"photo", READING, embed=Embed.ALL)
    found = await known.find(b"photo", embed=Embed.ALL)
    assert found == READING
    assert found is not None
    assert found.stages == ()


async def test_what_was_not_kept_is_not_known(known: KnownReadings) -> None:
    """Neither another content, nor the same with other faces embedded."""
    await known.keep(b"photo", READING, embed=Embed.ALL)
    assert await known.find(b"other", embed=Embed.ALL) is None
    assert await known.find(b"photo", embed=Embed.ONLY_FACE) is None


async def test_a_photograph_without_a_face_is_known_as_one(known: KnownReadings) -> None:
    """Nothing was seen on it; that, too, need not be found out again."""
    await known.keep(b"cat", PhotoReading(9, 9, ()), embed=Embed.ALL)
    assert await known.find(b"cat", embed=Embed.ALL) == PhotoReading(9, 9, ())


async def test_the_latest_counts(known: KnownReadings) -> None:
    """Keeping it again replaces it."""
    await known.keep(b"photo", READING, embed=Embed.ALL)
    await known.keep(b"photo", PhotoReading(9, 9, ()), embed=Embed.ALL)
    assert await known.find(b"photo", embed=Embed.ALL) == PhotoReading(9, 9, ())
