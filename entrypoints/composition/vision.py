"""The container that sees, and what it is to see by.

It needs no driver because its models take longest to load: a worker has that begun before it imports the rest.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector import providers

from adapters.vision import registry
from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from entrypoints import configured
from entrypoints.composition.base import BaseContainer


class VisionContainer(BaseContainer):
    """What reads faces, and how what it reads is judged."""

    settings = BaseContainer.settings

    factory = providers.Singleton(registry.load, settings.provided.vision.embedder)
    budget = providers.Singleton(configured.budget, settings.provided.vision)
    face_reader = providers.Singleton(
        ProcessPoolFaceReader,
        settings.provided.vision.embedder,
        factory.provided.info,
        budget,
        settings.provided.worker.processes,
        providers.Factory(PoolLimits, seconds=settings.provided.vision.timeout),
    )
    calibration = providers.Callable(configured.calibration, settings.provided.vision, factory.provided.info)
    threshold = providers.Singleton(configured.threshold_policy, settings.provided.vision, factory.provided.info)
    quality = providers.Singleton(configured.face_quality, settings.provided.vision)


@asynccontextmanager
async def started_reader(container: VisionContainer) -> AsyncIterator[None]:
    """Have the vision processes started, and stop them at the end.

    Raises:
        EmbedderUnavailableError: none starts.

    """
    pool = container.face_reader()
    await pool.start()
    try:
        yield
    finally:
        await pool.close()
