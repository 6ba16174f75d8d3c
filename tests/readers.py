"""What reads faces by an installed embedder, put together as the service does it."""

import os
import signal

from adapters.vision import registry
from adapters.vision.processes.pool import PoolLimits, ProcessPoolFaceReader
from application.ports.face_pipeline import ImageBudget
from tests.processes import children, command, is_running

BUDGET = ImageBudget()


def pool_of(
    embedder: str, processes: int, *, budget: ImageBudget = BUDGET, limits: PoolLimits | None = None
) -> ProcessPoolFaceReader:
    """Return a pool of so many processes."""
    return ProcessPoolFaceReader(embedder, registry.load(embedder).info, budget, processes, limits)


def makers() -> list[int]:
    """Return the ids of this process's living children that are of a pool: they make its processes."""
    return [pid for pid in processes_of(os.getpid()) if b"adapters.vision.processes.child" in command(pid)]


def end_maker() -> None:
    """Kill the process that makes the others, which takes them with it."""
    [maker] = makers()
    os.kill(maker, signal.SIGKILL)


def processes_of(pid: int) -> list[int]:
    """Return the ids of a process's living children."""
    return list(filter(is_running, children(pid)))
