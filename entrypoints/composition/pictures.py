"""What decodes photographs for commands that draw them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.vision.processes.pictures import PictureReader
from adapters.vision.processes.pool import PoolLimits
from entrypoints import configured
from entrypoints.settings import VisionSettings


@asynccontextmanager
async def picture_reader(vision: VisionSettings) -> AsyncIterator[PictureReader]:
    """Yield what decodes photographs within the limits that a worker has; its processes end with the block."""
    reader = PictureReader(configured.budget(vision), PoolLimits(seconds=vision.timeout))
    try:
        yield reader
    finally:
        await reader.close()
