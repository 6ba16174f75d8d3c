"""The HTTP below the SDK: one request each, bounded, and cut short from any thread."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

_MAX_ERROR_BYTES = 64 * 1024


class Transfer:
    """A request and its answer, while a thread is at it; :meth:`cut` makes that thread's next wait fail.

    ``announced`` is how many bytes the answer says that it has, 0 until it does.
    """

    def __init__(self) -> None:
        self.announced = 0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def cut(self) -> None:
        """Shut the connection, now or as soon as there is one. Callable from any thread, at any time."""
        with self._lock:
            self._is_cut = True
            self._shut()

    def watch(self, connection: socket.socket) -> None:
        """Remember the connection by a handle of its own, which stays good whoever closes the first."""
        with self._lock:
            self._forget()
            self._socket = socket.fromfd(connection.fileno(), connection.family, connection.type)
            if self._is_cut:
                self._shut()

    def forget(self) -> None:
        """Let go of the connection, which others may use now."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                self._forget()


class _Current(threading.local):
    transfer: Transfer | None = None


_CURRENT = _Current()


@contextmanager
def carried_by(transfer: Transfer) -> Iterator[None]:
    """Let the transfer watch every connection that this thread uses."""
    _CURRENT.transfer = transfer
    try:
        yield
    finally:
        _CURRENT.transfer = None
        transfer.forget()


def _watch(connection: socket.socket) -> None:
    if _CURRENT.transfer is not None:
        _CURRENT.transfer.watch(connection)


class _Connection(HTTPConnection):
    """Shows its socket when it is made, so that a TLS handshake can be cut, and when it is used again."""

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _watch(made)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever urllib3 passes
        if self.sock is not None:
            _watch(self.sock)
        super().request(*args, **kwargs)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Transport(urllib3.PoolManager):
    """Tries once, follows no redirect, and reads no more of an error than an error needs."""

    def __init__(self, *, connections: int, timeout: urllib3.Timeout, certificates: str) -> None:
        super().__init__(
            num_pools=4,
            maxsize=connections,
            block=False,
            timeout=timeout,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=certificates,
        )
        self.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def urlopen(  # type: ignore[override] # as the parent's
        self,
        method: str,
        url: str,
        redirect: bool = False,  # noqa: ARG002, FBT001, FBT002 - the parent's signature; never followed
        **kwargs: Any,  # noqa: ANN401 - the parent's signature
    ) -> BaseHTTPResponse:
        """Return the answer; one that is not 200 with its body, up to 64 KiB of it, in memory."""
        response = super().urlopen(method, url, redirect=False, **kwargs)
        if response.status == HTTPStatus.OK:
            return response
        try:
            body = response.read(_MAX_ERROR_BYTES, decode_content=False)
        finally:
            response.close()
            response.release_conn()
        return urllib3.HTTPResponse(
            body=io.BytesIO(body),
            headers=response.headers,
            status=response.status,
            preload_content=False,
            decode_content=False,
            enforce_content_length=False,
            request_method=method,
        )
