"""Connecting to NATS, so that the true reason of a failure is told and a reconnect never gives up."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from domain.errors import MessagingUnavailableError

_FLUSH_SECONDS = 2
Report = Callable[[str], None]


@attrs.frozen
class ConnectionOptions:
    """Where the servers are, and who we are; paths name PEM files, ``creds`` a NATS credentials file."""

    urls: tuple[str, ...] = attrs.field(repr=False)
    name: str = "facematch"
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    creds: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the client's arguments."""
        arguments: dict[str, Any] = {"servers": list(self.urls), "name": self.name}
        if self.user is not None:
            arguments |= {"user": self.user, "password": self.password}
        if self.token is not None:
            arguments["token"] = self.token
        if self.creds is not None:
            arguments["user_credentials"] = str(self.creds)
        if self.tls_ca is not None or self.tls_cert is not None:
            context = ssl.create_default_context(cafile=str(self.tls_ca) if self.tls_ca else None)
            if self.tls_cert is not None:
                context.load_cert_chain(str(self.tls_cert), str(self.tls_key) if self.tls_key else None)
            arguments["tls"] = context
        return arguments


async def connect(options: ConnectionOptions, *, timeout_seconds: int = 5, report: Report = lambda _: None) -> Client:
    """Return a connected client that reconnects for ever; ``report`` hears of every trouble after that.

    Raises:
        MessagingUnavailableError: no server could be reached, with the reason that the last one gave.

    """
    reasons: list[str] = []
    connected = False

    async def on_error(error: Exception) -> None:
        reasons.append(_reason(error))
        if connected:
            report(_reason(error))

    async def on_disconnect() -> None:
        if connected and not client.is_closed:
            report("disconnected")

    async def on_reconnect() -> None:
        report("reconnected")

    client = Client()
    try:
        async with asyncio.timeout(timeout_seconds):
            await client.connect(
                **options.arguments(),
                connect_timeout=timeout_seconds,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                ping_interval=10,
                max_outstanding_pings=2,
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
            )
    except (TimeoutError, OSError, nats.errors.Error, ssl.SSLError, ValueError) as error:
        with suppress(Exception):
            await client.close()
        why = reasons[-1] if reasons else _reason(error)
        raise MessagingUnavailableError(f"cannot connect to NATS: {why}") from error
    connected = True
    return client


async def disconnect(client: Client) -> None:
    """Send what is buffered and close; never hangs."""
    with suppress(nats.errors.Error, TimeoutError, OSError):
        await client.flush(_FLUSH_SECONDS)
    with suppress(nats.errors.Error, TimeoutError, OSError):
        await client.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise :class:`MessagingUnavailableError` for whatever the client raises."""
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise MessagingUnavailableError(f"NATS, {what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return str(error.description)
    return str(error).removeprefix("nats: ") or type(error).__name__


class NatsDependency:
    """Whether the broker answers on this connection."""

    name = "message broker"

    def __init__(self, client: Client) -> None:
        self._client = client

    async def check(self) -> None:
        """Send a ping and wait for its answer."""
        with translated("check"):
            await self._client.flush(_FLUSH_SECONDS)
