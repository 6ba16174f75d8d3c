"""``worker``: the service itself."""

import asyncio

from adapters.postgres.schema import DimensionMismatchError
from adapters.telemetry.logging import configure_logging
from domain.errors import FacematchError
from entrypoints.console import ExitCode, fail, load_settings
from entrypoints.service import serve
from entrypoints.variables import secrets_of


def worker() -> None:
    """Take jobs from NATS and find out whose faces are on their photographs, until SIGTERM or SIGINT.

    Run as many as you like; they share the work. The log goes to standard error. /livez, /readyz and /metrics are
    served at FACEMATCH_HEALTH_ADDRESS. On SIGTERM it finishes what it has in hand within
    FACEMATCH_WORKER_SHUTDOWN_GRACE, gives back the rest, and ends with 0; a second signal ends it at once.
    """
    settings = load_settings()
    configure_logging(form=settings.log.format, level=settings.log.level, secrets=secrets_of(settings))
    try:
        asyncio.run(serve(settings))
    except DimensionMismatchError as error:
        fail(str(error), ExitCode.USAGE)
    except FacematchError as error:
        fail(str(error))
    except OSError as error:
        host, port = settings.worker.health_address
        fail(f"cannot serve health at {host}:{port} ({error.strerror}): set FACEMATCH_HEALTH_ADDRESS", ExitCode.USAGE)
