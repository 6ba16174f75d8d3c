"""A third party's package, really installed beside the product: a folder on the path with its metadata."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from tests.readers import pool_of

EMBEDDERS = Path(__file__).parent / "embedders"
PATIENCE_SECONDS = 30.0


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the hostile embedders for one test."""
    monkeypatch.syspath_prepend(EMBEDDERS)


StartPool = Callable[..., Awaitable[ProcessPoolFaceReader]]


@pytest_asyncio.fixture
async def start_pool(third_party: None) -> AsyncIterator[StartPool]:  # noqa: ARG001 - its effect is what is wanted
    """Return a function that starts a pool of the hostile embedder; every pool is closed in the end."""
    async with AsyncExitStack() as stack:

        async def start(embedder: str = "hostile", processes: int = 1, **limits: float) -> ProcessPoolFaceReader:
            given = PoolLimits(**limits)  # type: ignore[arg-type]  # each test gives what the class wants
            pool = pool_of(embedder, processes, limits=given)
            stack.push_async_callback(pool.close)
            await pool.start()
            return pool

        yield start


async def eventually(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return when the condition holds; fail when it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)
