"""Every file of the corpus through the product's own path: a pool's process with a real pipeline."""

import os
from collections.abc import AsyncIterator

import attrs
import pytest
import pytest_asyncio

from adapters.vision.processes.pool import ProcessPoolFaceReader
from application.ports.face_pipeline import Embed
from domain.errors import FacematchError
from tests import processes
from tests.hostile.cases import Case, sample
from tests.hostile.corpus import CASES, COSTLY
from tests.readers import pool_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 1024**2
MOST_SECONDS = 15.0
"""Of a processor, for any file: half of the time that the product gives a photograph."""
MOST_MEMORY = 1536 * MEBIBYTE
"""For any file, in the process that reads it: three quarters of its limit."""
MOST_LEFT = 96 * MEBIBYTE
"""What may stay of all this in either process."""


@attrs.frozen
class Spent:
    """What came of a file, and what it cost: seconds of a processor, and bytes of memory at the peak."""

    error: type[FacematchError] | None
    seconds: float
    memory: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[ProcessPoolFaceReader]:
    """Return a pool of one process with the default budget and limits."""
    reader = pool_of("dlib", 1)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.close()


async def worker(pool: ProcessPoolFaceReader) -> int:
    """Return the id of the pool's process."""
    return (await pool._places[0].process()).pid


async def spent(pool: ProcessPoolFaceReader, content: bytes) -> Spent:
    """Read a file and return what it cost."""
    pid = await worker(pool)
    processes.forget_peak(pid)
    before = processes.cpu_seconds(pid)
    error = None
    try:
        await pool.read(content, embed=Embed.ONLY_FACE)
    except FacematchError as raised:
        error = type(raised)
    assert await worker(pool) == pid, "the process was replaced"
    return Spent(error, processes.cpu_seconds(pid) - before, processes.peak(pid))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_file_has_one_outcome(pool: ProcessPoolFaceReader, case: Case) -> None:
    """It is read or refused as it must be, in time, in little memory, and its process goes on."""
    result = await spent(pool, case.make())
    assert result.error is case.error
    assert result.seconds < MOST_SECONDS
    assert result.memory < MOST_MEMORY
    assert pool.restarts == 0


async def test_memory_is_given_back(pool: ProcessPoolFaceReader) -> None:
    """However much a file has needed, neither the process nor its parent keeps it."""
    pid = await worker(pool)
    await spent(pool, sample("JPEG"))
    before = processes.resident(pid), processes.resident(os.getpid())
    for name in ("PNG with 19 MB of EXIF", "GIF with 4,000,000 comments", "AVIF of 14,400 tiles"):
        [case] = [case for case in COSTLY if case.name == name]
        await spent(pool, case.make())
    await spent(pool, sample("JPEG"))
    assert processes.resident(pid) - before[0] < MOST_LEFT
    assert processes.resident(os.getpid()) - before[1] < MOST_LEFT
