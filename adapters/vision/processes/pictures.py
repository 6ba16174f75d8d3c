"""Photographs for people to look at, decoded where a stranger's file can do no more harm than a worker lets it."""

import asyncio
import os

from PIL import Image

from adapters.vision.pictures.pixels import Picture
from adapters.vision.processes import wire
from adapters.vision.processes.fork_server import ForkServer
from adapters.vision.processes.pool import PoolLimits
from application.ports.face_pipeline import ImageBudget
from domain.errors import EmbedderTimeoutError, EmbedderUnavailableError


class PictureReader:
    """Decodes each photograph in a vision process of its own, which has no pipeline; only pixels come back.

    Args:
        budget: what an image may cost.
        limits: what a process may use.

    """

    def __init__(self, budget: ImageBudget, limits: PoolLimits) -> None:
        self._seconds = limits.seconds
        self._fork_server = ForkServer(wire.ChildSettings(os.getpid(), None, "", budget, limits.memory_for(budget)))

    async def read(self, image: bytes) -> Picture:
        """Return the upright picture.

        Raises:
            UnreadableImageError, ImageTooLargeError: as a pipeline does.
            EmbedderCrashedError, EmbedderTimeoutError: the process died, or was stopped at its time limit.
            EmbedderUnavailableError: the system has no process, memory or file descriptor to spare.

        """
        try:
            process = await self._fork_server.process()
        except OSError as error:
            raise EmbedderUnavailableError(f"no vision process can be started: {error}") from error
        try:
            async with asyncio.timeout(self._seconds):
                seen = await process.picture(image)
        except TimeoutError as error:
            raise EmbedderTimeoutError(f"the photograph was not read within {self._seconds:g} s") from error
        finally:
            await process.stop()
        return Picture(seen.width, seen.height, Image.frombytes("RGB", (seen.columns, seen.rows), seen.rgb))

    async def close(self) -> None:
        """End what makes the processes."""
        await self._fork_server.close()
