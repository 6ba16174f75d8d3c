"""What runs in a process of the pool: one pipeline, loaded once, read again and again."""

import ctypes
import os
import resource
import signal
from typing import Final

import attrs

from adapters.vision import registry
from application.ports.face_pipeline import Embed, FacePipeline, ImageBudget
from domain.errors import AttemptFailedError, FacematchError
from domain.faces import PhotoReading

_PR_SET_PDEATHSIG: Final = 1


class EmbedderNotLoadedError(AttemptFailedError):
    """The pipeline could not be loaded in the process that was to use it."""


@attrs.frozen
class ChildSettings:
    """What a process needs to know: whom it works for, what it loads, and its limit on private memory in bytes."""

    parent: int
    embedder: str
    budget: ImageBudget
    memory_limit: int


_loaded: list[FacePipeline | FacematchError] = []


def initialise(settings: ChildSettings) -> None:
    """Tie this process to its parent's life and load the pipeline; a failure is kept for whoever asks."""
    _die_with(settings.parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # both may reach the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (settings.memory_limit, settings.memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold photographs
    try:
        _loaded[:] = [registry.load(settings.embedder)(settings.budget)]
    except FacematchError as error:
        _loaded[:] = [error]
    except Exception as error:  # noqa: BLE001 - third parties' pipelines may raise anything
        message = f"embedder {settings.embedder!r} cannot be loaded: {type(error).__name__}: {error}"
        _loaded[:] = [EmbedderNotLoadedError(message)]


def ready() -> int:
    """Return this process's id.

    Raises:
        FacematchError: the pipeline could not be loaded.

    """
    _pipeline()
    return os.getpid()


def read(image: bytes, embed: Embed) -> PhotoReading:
    """Return what this process's pipeline sees on the image; see :func:`read_with`."""
    return read_with(_pipeline(), image, embed)


def read_with(pipeline: FacePipeline, image: bytes, embed: Embed) -> PhotoReading:
    """Return what a pipeline sees on the image; whatever it raises is one of the product's own errors.

    Raises:
        JobRejectedError: the image is at fault.
        AttemptFailedError: anything else.

    """
    try:
        return pipeline.read(image, embed=embed)
    except FacematchError:
        raise
    except BaseException as error:  # noqa: BLE001 - third parties' pipelines may raise anything, SystemExit too
        # Neither message nor cause is passed on: foreign ones may quote the image, or not survive pickling.
        raise AttemptFailedError(f"embedder {pipeline.info.id} failed with {type(error).__name__}") from None


def _pipeline() -> FacePipeline:
    [pipeline] = _loaded
    if isinstance(pipeline, FacematchError):
        raise pipeline
    return pipeline


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
