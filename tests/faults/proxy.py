"""A TCP proxy that can go silent, hang up, point elsewhere, and cut a connection at a word that somebody says."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import attrs

_LOOPBACK = "127.0.0.1"
_PAUSE_SECONDS = 0.05
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Fate(Enum):
    """What becomes of a connection because of what the client has just said."""

    GO_ON = "it goes on"
    HANG_UP = "it ends before the server hears it"
    SWALLOW = "the server hears it and answers, and it ends before the client hears that"


Listener = Callable[[bytes], Fate]


def go_on(_said: bytes) -> Fate:
    """Let everything through."""
    return Fate.GO_ON


@attrs.define(eq=False)
class _Line:
    """One client's connection, the one to the server behind it, and whether anything passes between them."""

    client: socket.socket
    server: socket.socket | None = None
    speaking: threading.Event = attrs.field(factory=threading.Event)

    def reset(self) -> None:
        for end in (self.client, self.server):
            if end is not None:
                _reset(end)


class Proxy:
    """Stands before a server of this machine, on a port that stays the same whatever happens to the server.

    A silent connection takes bytes and passes nothing on in either direction: both sides see what they see when
    packets are dropped, and TCP's own timers see no trouble. ``listener`` hears every piece that a client sends and
    decides the connection's fate; ``upstream`` is the server's port, and may be changed.
    """

    def __init__(self, upstream: int, listener: Listener = go_on) -> None:
        self.upstream = upstream
        self.listener = listener
        self._silent = False
        self._stopping = threading.Event()
        self._lines: set[_Line] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server((_LOOPBACK, 0), backlog=128)
        self._listening.settimeout(_PAUSE_SECONDS)
        self.port: int = self._listening.getsockname()[1]

    @property
    def endpoint(self) -> str:
        """``host:port``."""
        return f"{_LOOPBACK}:{self.port}"

    def before(self, url: str) -> str:
        """Return the URL of the server behind, with this proxy in its place."""
        host = urlsplit(url).netloc.rpartition("@")[2]
        return url.replace(host, self.endpoint)

    def silence(self) -> None:
        """Let every connection be silent, and new ones too."""
        self._silent = True
        self.forget()

    def forget(self) -> None:
        """Let the present connections be silent for ever, as a firewall does that has forgotten them."""
        for line in list(self._lines):
            line.speaking.clear()

    def speak(self) -> None:
        """Pass everything on again, what came meanwhile first."""
        self._silent = False
        for line in list(self._lines):
            line.speaking.set()

    def reset(self) -> None:
        """End every connection at once."""
        for line in list(self._lines):
            line.reset()
            line.speaking.set()

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self.reset()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listening.accept()
                line = _Line(client)
                if not self._silent:
                    line.speaking.set()
                self._lines.add(line)
                self._run(partial(self._serve, line))

    def _serve(self, line: _Line) -> None:
        """Connect the line to the server, once it may speak, and pass on what is said until somebody ends it."""
        with self._ended(line):
            line.speaking.wait()
            if self._stopping.is_set():
                return
            line.server = socket.create_connection((_LOOPBACK, self.upstream), 5)
            line.server.settimeout(None)
            while not self._stopping.is_set() and self._pass_on(line, line.server):
                pass

    @contextlib.contextmanager
    def _ended(self, line: _Line) -> Iterator[None]:
        try:
            with contextlib.suppress(OSError, ValueError):
                yield
        finally:
            self._lines.discard(line)
            for end in (line.client, line.server):
                if end is not None:
                    end.close()

    def _pass_on(self, line: _Line, server: socket.socket) -> bool:
        """Pass on what either side has said, if any; return False once the line is over."""
        readable, _, _ = select.select([line.client, server], [], [], _PAUSE_SECONDS)
        line.speaking.wait()
        for source in readable:
            said = source.recv(_CHUNK)
            if not said:
                return False
            if source is server:
                line.client.sendall(said)
                continue
            fate = self.listener(said)
            if fate is not Fate.HANG_UP:
                server.sendall(said)
            if fate is Fate.SWALLOW:
                server.recv(_CHUNK)
            if fate is not Fate.GO_ON:
                line.reset()
                return False
        return True


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
