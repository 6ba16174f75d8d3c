"""What went wrong with NATS, in words for whoever runs the service."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import nats.errors
import nats.js.errors

from domain.errors import MessagingUnavailableError

_UNCONNECTED = re.compile(r"\[Errno (\d+)\] Connect call failed \('([^']+)', (\d+)[^)]*\)")
"""What asyncio says where no connection is made: the system's number, and to whom."""
_NUMBER = re.compile(r"\[Errno -?\d+\] ")


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
        return f"{_in_words(error)}: the server hung up; if it speaks TLS, it may want another client certificate"
    if isinstance(error, nats.js.errors.ServiceUnavailableError):
        return "JetStream is not enabled, or has no leader now"
    if isinstance(error, TimeoutError):
        return "no answer in time: check that the server can be reached and that JetStream has a leader"
    return _in_words(error).removeprefix("nats: ") or type(error).__name__


def _in_words(error: BaseException) -> str:
    return _NUMBER.sub("", _UNCONNECTED.sub(_unconnected, str(error)))


def _unconnected(found: re.Match[str]) -> str:
    number, host, port = found.groups()
    return f"{os.strerror(int(number))} ({f'[{host}]' if ':' in host else host}:{port})"
