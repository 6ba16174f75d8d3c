"""``worker``: the service itself."""

import os

import structlog
import typer
import uvloop

from adapters.system.allocator import give_back_large_blocks
from adapters.telemetry.logging import configure_logging
from adapters.vision.registry import BrokenEmbedderError
from domain.errors import FacematchError
from entrypoints import idle_signals
from entrypoints.composition.base import build
from entrypoints.composition.vision import VisionContainer
from entrypoints.environment.variables import unknown
from entrypoints.importing import importing
from entrypoints.settings import Settings, secrets_of
from entrypoints.terminal.console import ExitCode, load_settings

_LOG = structlog.get_logger("facematch")


def worker() -> None:
    """Take jobs and find out whose faces are on their photographs.

    Run as many workers as you like; they share the work. Each serves /livez, /readyz and /metrics at
    FACEMATCH_HEALTH_ADDRESS; on one host each needs another address. The log goes to standard error.

    SIGTERM or SIGINT stops it: it finishes its jobs within FACEMATCH_WORKER_SHUTDOWN_GRACE, gives back the rest, and
    ends with 0. A second signal ends it at once.
    """
    settings = load_settings()
    configure_logging(
        form=settings.log.format,
        level=settings.log.level,
        worker=settings.worker.identity,
        secrets=secrets_of(settings),
    )
    for sentence in unknown(Settings, os.environ):
        _LOG.warning(sentence, action="unknown_setting")
    give_back_large_blocks()
    wrong_settings: tuple[type[FacematchError], ...] = (BrokenEmbedderError,)
    try:
        vision = build(VisionContainer, settings)
        reader = vision.face_reader()
        with idle_signals.deferred(then=reader.abandon):
            reader.begin()  # it loads its models while this process imports the rest
        with importing():
            from entrypoints import service  # noqa: PLC0415 - as said above
        wrong_settings = service.WRONG_SETTINGS
        uvloop.run(service.serve(settings, vision))
        idle_signals.ignore()
    except FacematchError as error:
        _LOG.error("cannot work", action="cannot_work", detail=str(error))
        raise typer.Exit(ExitCode.USAGE if isinstance(error, wrong_settings) else ExitCode.FAILED) from error
