"""The NATS client, without the ways in which one message or one refusal would stop it for good."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import nats.errors
from nats.aio.client import Client, Srv

from adapters.nats_jetstream.headers import read_lines

_PERMISSIONS = "permissions violation"


class ResilientClient(Client):
    """A client that reconnects, whatever the server says, and that never speaks in clear where TLS was asked for.

    Each method names what it mends in nats-py 2.16, and has a test on a real server.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext | None] = lambda: None) -> None:
        super().__init__()
        self._tls = tls
        self._ended = False

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Read the certificates again for each connection; nats-py goes on with those of the first one."""
        return self._tls() or super().ssl_context

    async def _process_err(self, err_msg: str) -> None:
        """Reconnect after an error that ends the connection; nats-py closes the client for good."""
        if _PERMISSIONS in err_msg:
            await super()._process_err(err_msg)
            return
        error = nats.errors.Error(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        """Read what is not a header block as none; nats-py stops reading from the server."""
        try:
            return await super()._process_headers(headers)
        except (IndexError, ValueError):
            await self._error_cb(nats.errors.Error("nats: a message came whose headers cannot be read"))
            return None

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Read headers of any name; nats-py passes over those that are not ASCII, or have a space within."""
        return read_lines(raw)

    async def _flush_pending(self, force_flush: bool = False) -> Any:  # noqa: FBT001, FBT002, ANN401 - the client's signature
        """Let a cancellation through; while much waits to be sent, nats-py swallows it, and whoever asked waits on."""
        task = asyncio.current_task()
        asked = task.cancelling() if task else 0
        flushed = await super()._flush_pending(force_flush)
        if task and task.cancelling() > asked:
            raise asyncio.CancelledError
        return flushed

    async def _attempt_reconnect(self) -> None:
        """Let go of a connection that is lost; nats-py first waits until all is sent, on a dead one for ever."""
        self._let_go()
        await super()._attempt_reconnect()

    async def _process_connect_init(self) -> None:
        """Take whatever goes wrong for a failed try; of what it does not foresee, nats-py stops trying."""
        try:
            await super()._process_connect_init()
        except (nats.errors.Error, OSError, TimeoutError):
            raise
        except Exception as error:
            raise nats.errors.Error(f"nats: {type(error).__name__}: {error}") from error

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - the client's signature
        """Know the end from a first server that failed: nats-py calls itself closed after both."""
        self._ended = self._ended or status == Client.CLOSED
        await super()._close(status, do_cbs)

    async def _connect_to_server(self, s: Srv) -> None:
        """Connect nowhere after the end; where a refusal hides the cancellation, nats-py tries for ever.

        It also leaves open what a try that failed had opened.
        """
        if self._ended:
            raise asyncio.CancelledError
        self._let_go()
        await super()._connect_to_server(s)

    def _let_go(self) -> None:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - the client's signature
        """Where TLS is wanted, insist on it, and on the servers that were named, before any credentials are sent.

        nats-py goes on in clear when the server offers none. It also connects to whatever other servers it hears of,
        before it knows who tells it: each would be checked against the name that it has there.
        """
        server = self._current_server
        if "tls" in self.options or (server and server.uri.scheme == "tls"):
            if initial_connection and not info.get("tls_required") and not info.get("tls_available"):
                raise nats.errors.SecureConnWantedError
            info["tls_required"] = True
            info.pop("connect_urls", None)
        await super()._process_info(info, initial_connection)
