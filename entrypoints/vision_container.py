"""The part of the composition that sees.

It stands alone because its models take longest to load: a worker has that begun before it imports the rest.
"""

from dependency_injector import containers, providers

from adapters.vision import registry
from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from application.ports.face_pipeline import ImageBudget
from entrypoints.settings import Settings, VisionSettings


def budget(vision: VisionSettings) -> ImageBudget:
    """Return what an image may cost."""
    return ImageBudget(max_bytes=vision.max_bytes, max_pixels=vision.max_pixels)


class Vision(containers.DeclarativeContainer):
    """What reads faces, built once each when it is first asked for; override ``settings``."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)

    factory = providers.Singleton(registry.load, settings.provided.vision.embedder)
    budget = providers.Singleton(budget, settings.provided.vision)
    face_reader = providers.Singleton(
        ProcessPoolFaceReader,
        settings.provided.vision.embedder,
        factory.provided.info,
        budget,
        settings.provided.worker.processes,
        providers.Factory(PoolLimits, seconds=settings.provided.vision.timeout),
    )
