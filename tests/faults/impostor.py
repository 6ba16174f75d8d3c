"""Somebody who stands where a server should be: shows a certificate, or none, and keeps what is said to him."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Final, Self

from tests.certificates import Certificate

_SECONDS: Final = 5.0
_ASKS_FOR_TLS: Final = (8).to_bytes(4) + (80877103).to_bytes(4)
"""What a client of PostgreSQL says first."""


class Service(Enum):
    """Whom he plays: what a client of that service says and hears before TLS begins."""

    BROKER = "message broker"
    DATABASE = "database"
    OBJECT_STORE = "object store"


class Impostor:
    """Listens on a port of his own while the block lasts; ``heard`` is what came after the handshake, or without."""

    def __init__(self, service: Service, certificate: Certificate | None) -> None:
        self.heard = bytearray()
        self.visits = 0
        self._service = service
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate.certificate, certificate.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(2 * _SECONDS)

    def _receive(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            visitor.settimeout(_SECONDS)
            with contextlib.suppress(OSError), visitor:
                _GREETINGS[self._service](visitor, self._tls is not None)
                if self._tls is not None:
                    with self._tls.wrap_socket(visitor, server_side=True) as secured:
                        self._listen(secured)
                else:
                    self._listen(visitor)

    def _listen(self, visitor: socket.socket) -> None:
        while said := visitor.recv(4096):
            self.heard += said
            if self._service is Service.OBJECT_STORE:
                visitor.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _as_broker(visitor: socket.socket, offers_tls: bool) -> None:  # noqa: FBT001 - one of a table
    told = {"server_id": "x", "version": "2.15.1", "proto": 1, "max_payload": 1048576, "auth_required": True}
    visitor.sendall(b"INFO " + json.dumps({**told, "headers": True, "tls_required": offers_tls}).encode() + b"\r\n")


def _as_database(visitor: socket.socket, offers_tls: bool) -> None:  # noqa: FBT001 - one of a table
    while (asked := visitor.recv(8)) and asked != _ASKS_FOR_TLS:
        visitor.sendall(b"N")  # to encryption by GSS
    visitor.sendall(b"S" if offers_tls else b"N")


def _as_object_store(_visitor: socket.socket, _offers_tls: bool) -> None:  # noqa: FBT001 - one of a table
    """Say nothing: TLS begins at once."""


_GREETINGS: Final[dict[Service, Callable[[socket.socket, bool], None]]] = {
    Service.BROKER: _as_broker,
    Service.DATABASE: _as_database,
    Service.OBJECT_STORE: _as_object_store,
}
