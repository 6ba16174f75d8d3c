"""A real S3 server behind a proxy that can be told to misbehave, as networks, proxies and servers do."""

import contextlib
import http.client
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Self

import attrs

_PAUSE_SECONDS = 0.02


@attrs.frozen
class Exchange:
    """One request as it came, and the connection that waits for its answer; ``stopping`` ends every wait."""

    request: bytes
    connection: socket.socket
    upstream: str
    stopping: threading.Event

    def forward(self) -> tuple[bytes, bytes]:
        """Ask the real server and return its answer: everything before the body (with its length), and the body."""
        start, *lines = self.request.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = start.split(" ")
        upstream = http.client.HTTPConnection(self.upstream, timeout=20)
        try:
            upstream.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for line in lines:
                name, _, value = line.partition(": ")
                upstream.putheader(name, value)
            upstream.endheaders()
            answer = upstream.getresponse()
            body = answer.read()
            head = [f"HTTP/1.1 {answer.status} {answer.reason}"]
            head += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            head += [f"Content-Length: {len(body)}"]
            return "\r\n".join([*head, "", ""]).encode("latin-1"), body
        finally:
            upstream.close()

    def wait_for_the_client(self) -> None:
        """Return when the client has closed the connection, or the proxy stops."""
        self.connection.settimeout(_PAUSE_SECONDS)
        while not self.stopping.is_set():
            try:
                if self.connection.recv(1024) == b"":
                    return
            except TimeoutError:
                continue


_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
Fault = Callable[[Exchange], bool]
"""Answers a request; returns whether the connection may be used again."""


def pass_on(exchange: Exchange) -> bool:
    """Do no harm."""
    head, body = exchange.forward()
    exchange.connection.sendall(head + body)
    return True


def answer(status: str, body: bytes = b"", *headers: str) -> Fault:
    """Return a fault that answers something else."""

    def fault(exchange: Exchange) -> bool:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
        exchange.connection.sendall(head.encode() + body)
        return True

    return fault


def error(status: str, code: str, kind: str = "application/xml") -> Fault:
    """Return a fault that answers as an S3 server in trouble does."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'
    return answer(status, body.encode(), f"Content-Type: {kind}")


def raw(text: bytes) -> Fault:
    """Return a fault that sends these bytes and closes."""

    def fault(exchange: Exchange) -> bool:
        exchange.connection.sendall(text)
        return False

    return fault


def hang_up(exchange: Exchange) -> bool:
    """Close without an answer."""
    assert exchange.request
    return False


def silence(exchange: Exchange) -> bool:
    """Never answer."""
    exchange.wait_for_the_client()
    return False


def reset_mid_body(exchange: Exchange) -> bool:
    """Send half of the body, then reset the connection."""
    head, body = exchange.forward()
    exchange.connection.sendall(head + body[: len(body) // 2])
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def cut_mid_body(exchange: Exchange) -> bool:
    """Send half of the body, then close in good order: the announced length was too big."""
    head, body = exchange.forward()
    exchange.connection.sendall(head + body[: len(body) // 2])
    return False


def announce_half(exchange: Exchange) -> bool:
    """Send all of the body, but announce half of it."""
    head, body = exchange.forward()
    length = len(body)
    lie = head.replace(f"Content-Length: {length}".encode(), f"Content-Length: {length // 2}".encode())
    exchange.connection.sendall(lie + body)
    return True


def without_length(exchange: Exchange) -> bool:
    """Send the body in chunks, its length unannounced."""
    head, body = exchange.forward()
    chunked = head.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
    chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    exchange.connection.sendall(chunked + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))
    exchange.connection.sendall(b"0\r\n\r\n")
    return True


def until_close(exchange: Exchange) -> bool:
    """Send the body as HTTP/1.0 did: it ends where the connection does."""
    head, body = exchange.forward()
    exchange.connection.sendall(head.replace(f"Content-Length: {len(body)}".encode(), b"Connection: close") + body)
    return False


def endless(head: bytes) -> Fault:
    """Return a fault that sends a head and then bytes for as long as anybody takes them."""

    def fault(exchange: Exchange) -> bool:
        exchange.connection.sendall(head)
        with contextlib.suppress(OSError):
            while not exchange.stopping.is_set():
                exchange.connection.sendall(b"x" * 65536)
        return False

    return fault


def trickle_body(exchange: Exchange) -> bool:
    """Send the body byte by byte, slowly."""
    head, body = exchange.forward()
    exchange.connection.sendall(head)
    return _trickle(exchange, body)


def trickle_head(exchange: Exchange) -> bool:
    """Send the head byte by byte, slowly."""
    head, body = exchange.forward()
    return _trickle(exchange, head + body)


def trickle_photographs(exchange: Exchange) -> bool:
    """Send what is found byte by byte, slowly, and tell at once what is not: the server is well, its disks are not."""
    head, body = exchange.forward()
    if not head.startswith(b"HTTP/1.1 200"):
        exchange.connection.sendall(head + body)
        return True
    exchange.connection.sendall(head)
    return _trickle(exchange, body)


def only_for(keys: Collection[str], fault: Fault) -> Fault:
    """Return a fault that these objects have, wherever they lie."""

    def chosen(exchange: Exchange) -> bool:
        path = exchange.request.split(b" ", 2)[1]
        return (fault if path.rpartition(b"/")[2].decode() in keys else pass_on)(exchange)

    return chosen


def _trickle(exchange: Exchange, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        for byte in content:
            exchange.connection.sendall(bytes([byte]))
            if exchange.stopping.wait(_PAUSE_SECONDS):
                break
    return False


class FaultyS3:
    """Passes requests on to a real server, but for those that have a fault in ``script``, one each, in order.

    Those that have none there meet ``standing``, which does no harm until it is changed.
    ``requests`` is what came; ``certificate`` makes it speak TLS (a file with key and certificate). Its port is its
    own from the beginning, but connections are refused outside of the ``with`` block.
    """

    def __init__(self, upstream: str, certificate: str | None = None) -> None:
        self.script: deque[Fault] = deque()
        self.standing: Fault = pass_on
        self.requests: list[bytes] = []
        self.connections = 0
        self._upstream = upstream
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def endpoint(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._listener.listen(128)
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            if self._tls is not None:
                self._open.discard(connection)
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                self._open.add(connection)
            for request in _requests(connection):
                self.requests.append(request)
                fault = self.script.popleft() if self.script else self.standing
                if not fault(Exchange(request, connection, self._upstream, self._stopping)):
                    return
        except OSError:
            return
        finally:
            self._open.discard(connection)
            connection.close()


def _requests(connection: socket.socket) -> Iterator[bytes]:
    """Yield each request without a body that comes on a connection, until something comes that is no HTTP.

    Ports of the loopback are taken again and again: what asks may be somebody else's client.
    """
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            piece = connection.recv(65536)
            if not piece:
                return
            received += piece
        request, _, received = received.partition(b"\r\n\r\n")
        if b" HTTP/1." not in request.partition(b"\r\n")[0]:
            return
        yield request


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Return when the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(_PAUSE_SECONDS)
