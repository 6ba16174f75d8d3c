"""What went wrong with NATS, in words for whoever runs the service."""

from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from domain.errors import MessagingUnavailableError


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise :class:`MessagingUnavailableError` for whatever the client raises."""
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError, ValueError) as error:
        raise MessagingUnavailableError(f"NATS, {what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return what went wrong, in the server's words where it used any."""
    if isinstance(error, nats.js.errors.NoStreamResponseError):
        return "nobody stores this subject: no stream holds it (run `facematch provision`), or it has no leader now"
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return str(error.description)
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return f"{error}: the server hung up; if it speaks TLS, it may want another client certificate"
    if isinstance(error, nats.js.errors.ServiceUnavailableError):
        return "JetStream is not enabled, or has no leader now"
    if isinstance(error, TimeoutError):
        return "no answer in time: check that the server can be reached and that JetStream has a leader"
    return str(error).removeprefix("nats: ") or type(error).__name__
