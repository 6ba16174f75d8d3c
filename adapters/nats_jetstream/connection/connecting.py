"""Connecting to NATS, so that the true reason of a failure is told and a reconnect never gives up."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs
import nats.errors
from nats.aio.client import Client

from adapters.nats_jetstream.connection.client import ResilientClient
from adapters.nats_jetstream.connection.credentials import CredentialsFile
from adapters.nats_jetstream.connection.errors import reason
from domain.errors import MessagingUnavailableError

_DRAIN_SECONDS = 2
_CLOSE_SECONDS = 5.0
_RECONNECT_SECONDS = 1
_TRIES = 2
_PING_SECONDS = 5.0
_UNANSWERED_PINGS = 2
_REFUSED = "Authorization Violation"
_WHO = "FACEMATCH_NATS_USER and FACEMATCH_NATS_PASSWORD, FACEMATCH_NATS_TOKEN or FACEMATCH_NATS_CREDS"
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
        """Return the client's arguments.

        Raises:
            OSError: a certificate or key cannot be used.

        """
        arguments: dict[str, Any] = {"servers": list(self.urls), "name": self.name, **self._who()}
        if (context := self.tls()) is not None:
            arguments["tls"] = context
        return arguments

    def tls(self) -> ssl.SSLContext | None:
        """Return what the files hold now, for one connection; None where TLS is not set.

        Raises:
            OSError: a certificate or key cannot be used.

        """
        files = [str(file) for file in (self.tls_ca, self.tls_cert, self.tls_key) if file is not None]
        if not files:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert is not None:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:
            raise OSError(f"the certificates in {', '.join(files)} cannot be used ({error})") from error
        return context

    def _who(self) -> dict[str, Any]:
        """Return who we are; what a URL says is decoded, which the client does not do."""
        if self.creds is not None:
            file = CredentialsFile(self.creds)
            return {"user_jwt_cb": file.jwt, "signature_cb": file.sign}
        if self.user is not None:
            return {"user": self.user, "password": self.password or ""}
        if self.token is not None:
            return {"token": self.token}
        for parts in map(urlsplit, self.urls):
            if parts.username is not None and parts.password is not None:
                return {"user": unquote(parts.username), "password": unquote(parts.password)}
            if parts.username is not None:
                return {"token": unquote(parts.username)}
        return {}


class _Troubles:
    """What the client has to complain of: reasons until it is connected, reports of every change after that.

    Where all servers refuse, twice each, the time to connect is over: the ``limit``.
    """

    def __init__(self, client: Client, report: Report, limit: asyncio.Timeout) -> None:
        self.connected = False
        self.reasons: list[str] = []
        self._limit = limit
        self._refusals = 0
        self._client = client
        self._report = report
        self._last: str | None = None

    async def on_error(self, error: Exception) -> None:
        why = reason(error)
        if self.connected:
            self._tell(why)
            return
        if why not in self.reasons:
            self.reasons.append(why)
        self._refusals += isinstance(error, ConnectionRefusedError) or _REFUSED in why
        if self._refusals == _TRIES * len(self._client.servers):
            with suppress(RuntimeError):  # it is over already
                # by then the client has closed what failed, and waits for the next try
                self._limit.reschedule(asyncio.get_running_loop().time() + _RECONNECT_SECONDS / 2)

    async def on_disconnect(self) -> None:
        if self.connected and not self._client.is_closed:
            self._tell("disconnected")

    async def on_reconnect(self) -> None:
        self._tell("reconnected")

    def _tell(self, what: str) -> None:
        if what != self._last:
            self._last = what
            self._report(what)


async def connect(
    options: ConnectionOptions,
    *,
    timeout_seconds: int = 5,
    ping_seconds: float = _PING_SECONDS,
    report: Report = lambda _: None,
) -> Client:
    """Return a connected client that reconnects for ever; ``report`` hears of every new trouble after that.

    Each server has ``timeout_seconds``, and is tried twice where it refuses. A connection on which nothing comes back
    for three times ``ping_seconds`` is taken for lost.

    Raises:
        MessagingUnavailableError: no server could be reached, with the reasons that they gave.

    """
    client = ResilientClient(options.tls)
    limit = asyncio.timeout((timeout_seconds + _RECONNECT_SECONDS) * len(options.urls))
    troubles = _Troubles(client, report, limit)
    try:
        async with limit:
            await client.connect(
                **options.arguments(),
                connect_timeout=timeout_seconds,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_SECONDS,
                ping_interval=ping_seconds,  # type: ignore[arg-type] # it is slept, and may be a fraction
                max_outstanding_pings=_UNANSWERED_PINGS,
                drain_timeout=_DRAIN_SECONDS,
                error_cb=troubles.on_error,
                disconnected_cb=troubles.on_disconnect,
                reconnected_cb=troubles.on_reconnect,
            )
    except (TimeoutError, OSError, nats.errors.Error, ValueError, ImportError, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            raise
        with suppress(Exception):
            await client.close()
        why = _why(troubles.reasons or [reason(error)])
        raise MessagingUnavailableError(f"cannot connect to NATS at {_servers(options.urls)}: {why}") from error
    troubles.connected = True
    return client


def _servers(urls: Iterable[str]) -> str:
    """Return where the servers are, without who we are, and where that is set."""
    parts = map(urlsplit, urls)
    servers = ", ".join(f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts)
    return f"{servers} (FACEMATCH_NATS_URL)"


def _why(reasons: Sequence[str]) -> str:
    """Return the reasons; after a refusal the server hangs up, so that what comes beside one says nothing more."""
    refusal = next((why for why in reasons if _REFUSED in why), None)
    return "; ".join(reasons) if refusal is None else f"{refusal}: check {_WHO}"


def _is_cancelled() -> bool:
    """Tell whether somebody cancelled this task; nats-py also cancels itself, after a refusal that comes late."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def disconnect(client: Client) -> None:
    """Give back what still arrives, send what is buffered, and close; never hangs."""
    for end in (client.drain, client.close):
        ending = asyncio.create_task(_quiet(end))  # nats-py lets out cancellations that are not ours
        await asyncio.wait({ending}, timeout=_CLOSE_SECONDS)
        ending.cancel()


async def _quiet(end: Callable[[], Awaitable[None]]) -> None:
    with suppress(Exception):
        await end()
