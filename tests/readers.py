"""What reads faces by an installed embedder, put together as the service does it."""

from adapters.vision import registry
from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from application.ports.face_pipeline import ImageBudget

BUDGET = ImageBudget()


def pool_of(
    embedder: str, processes: int, *, budget: ImageBudget = BUDGET, limits: PoolLimits | None = None
) -> ProcessPoolFaceReader:
    """Return a pool of so many processes."""
    return ProcessPoolFaceReader(embedder, registry.load(embedder).info, budget, processes, limits)
