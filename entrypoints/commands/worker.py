"""``worker``: the service itself."""

import structlog
import typer
import uvloop

from adapters.postgres.schema import DimensionMismatchError
from adapters.system.allocator import give_back_large_blocks
from adapters.telemetry.logging import configure_logging
from adapters.telemetry.providers import TelemetrySettingsError
from adapters.vision.registry import BrokenEmbedderError
from domain.errors import FacematchError
from entrypoints.console import ExitCode, load_settings, secrets_of
from entrypoints.service import HealthAddressError, serve

_LOG = structlog.get_logger("facematch")
_WRONG_SETTINGS = (BrokenEmbedderError, DimensionMismatchError, HealthAddressError, TelemetrySettingsError)


def worker() -> None:
    """Take jobs and find out whose faces are on their photographs.

    It does so until SIGTERM or SIGINT. Run as many as you like; they share the work. /livez, /readyz and /metrics are
    served at FACEMATCH_HEALTH_ADDRESS, of which each on one host needs its own. The log goes to standard error. On
    SIGTERM it finishes what it has in hand within FACEMATCH_WORKER_SHUTDOWN_GRACE, gives back the rest, and ends with
    0; a second signal ends it at once.
    """
    settings = load_settings()
    configure_logging(form=settings.log.format, level=settings.log.level, secrets=secrets_of(settings))
    give_back_large_blocks()
    try:
        uvloop.run(serve(settings))
    except FacematchError as error:
        _LOG.error("cannot work", action="cannot_work", detail=str(error))
        wrong_setting = isinstance(error, _WRONG_SETTINGS)
        raise typer.Exit(ExitCode.USAGE if wrong_setting else ExitCode.FAILED) from error
