"""Everything that leaves the service, and a search in it for what must not."""

import base64
import contextlib
import json
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import attrs
import psycopg
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb

from infra.local_stack.otlp import OtlpReceiver
from tests.e2e.world import World

_FRACTION: Final = re.compile(rb"\d?\.\d{5,}(?:[eE][+-]?\d+)?")
_SAME: Final = 7
"""Digits behind the point in which a number is taken for the component of a vector."""
_FEW: Final = 3
"""So many components of one vector in one place are no chance."""
_LEDGER: Final = ("outcomes", "attempts", "templates", "schema_migrations")


def forms(secret: str) -> Iterator[bytes]:
    """Yield what a secret looks like: as it is, in URLs, JSON and Python, in Basic authentication, in hexadecimal."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    yield repr(secret)[1:-1].encode()
    yield secret.encode().hex().encode()
    for start in range(3):  # where it stands in what is encoded decides what it becomes
        yield base64.b64encode(bytes(start) + secret.encode())[4:-4]


def fragments(secret: str) -> Iterator[str]:
    """Yield the parts between odd signs, of which one may be taken for something else, and the whole."""
    yield secret
    yield from (part for part in re.split(r"\W+", secret) if len(part) >= 8)


@attrs.define
class Outlets:
    """What has left by which way; ``secrets`` are texts by name, ``images`` byte strings inside of photographs."""

    secrets: dict[str, str]
    images: Sequence[bytes] = ()
    vectors: list[Sequence[float]] = attrs.field(factory=list)
    contents: list[tuple[str, bytes]] = attrs.field(factory=list)

    def add(self, outlet: str, content: bytes | str) -> None:
        """Remember what came out."""
        self.contents.append((outlet, content.encode() if isinstance(content, str) else content))

    @property
    def size(self) -> int:
        """How many bytes came out."""
        return sum(len(content) for _, content in self.contents)

    def leaks(self) -> list[str]:
        """Return what was found where it should not be."""
        wanted = {
            (name, form)
            for name, secret in self.secrets.items()
            for fragment in fragments(secret)
            for form in forms(fragment)
        }
        wanted |= {("image", image) for image in self.images}
        wanted |= {("embedding", run) for vector in self.vectors for run in _in_binary(vector)}
        found = [
            f"{name} in {outlet}: …{content[max(0, (at := content.find(form)) - 60) : at + 60]!r}…"
            for outlet, content in self.contents
            for name, form in sorted(wanted)
            if form in content
        ]
        return found + [f"embedding in {outlet}" for outlet, content in self.contents if self._tells_a_vector(content)]

    def _tells_a_vector(self, content: bytes) -> bool:
        numbers = {round(float(number), _SAME) for number in _FRACTION.findall(content)}
        return any(
            len(numbers & {round(abs(component), _SAME) for component in vector}) >= _FEW for vector in self.vectors
        )


def _in_binary(vector: Sequence[float]) -> Iterator[bytes]:
    """Yield a few components as machines write them, single and double, in both orders."""
    some = vector[len(vector) // 2 :][:4]
    yield from (struct.pack(f"{order}{len(some)}{kind}", *some) for order in "<>" for kind in "fd")


class KeepingReceiver(OtlpReceiver):
    """Keeps every export as it came, too."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: list[bytes] = []

    def take_traces(self, request: trace_pb.ExportTraceServiceRequest) -> None:
        """Keep spans."""
        self.exports.append(request.SerializeToString())
        super().take_traces(request)

    def take_metrics(self, request: metrics_pb.ExportMetricsServiceRequest) -> None:
        """Keep points."""
        self.exports.append(request.SerializeToString())
        super().take_metrics(request)


async def from_streams(world: World) -> Iterator[tuple[str, bytes]]:
    """Return events and dead letters, headers included."""
    messages: list[tuple[str, Any]] = [
        (stream, message)
        for stream in ("PHOTO_FACES_RESULTS", "PHOTO_FACES_DEAD")
        for message in await world.stored(stream)
    ]
    return iter([(stream, message.data + repr(message.headers).encode()) for stream, message in messages])


def from_database(url: str) -> Iterator[tuple[str, bytes]]:
    """Yield the service's own tables, its matches, and what its sessions are seen to do."""
    queries = {f"facematch.{table}": f"SELECT * FROM facematch.{table}" for table in _LEDGER}
    queries |= {"face_matches": "SELECT * FROM face_matches", "sessions": "SELECT * FROM pg_stat_activity"}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, query in queries.items():
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
                yield name, b"".join(map(bytes, copy))


def vectors_of(url: str) -> Iterable[Sequence[float]]:
    """Return every embedding that is stored."""
    query = "SELECT face_embedding::real[] FROM users UNION ALL SELECT embedding::real[] FROM photo_faces"
    with psycopg.connect(url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(query) if row[0] is not None]


@attrs.frozen
class Process:
    """A running process as others on the machine see it; what only the administrator sees is empty for them."""

    pid: int
    title: bytes
    environment: bytes
    parent: int

    @classmethod
    def all(cls) -> Iterator[Self]:
        """Yield every process that can be looked at."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                title, environment = (_shown(folder / name) for name in ("cmdline", "environ"))
            except OSError:
                continue
            yield cls(int(folder.name), title, environment, int(status[1]))


def _shown(file: Path) -> bytes:
    with contextlib.suppress(PermissionError):
        return file.read_bytes()
    return b""


def family(pid: int) -> list[Process]:
    """Return a process and all that it has started, itself first."""
    everybody = {process.pid: process for process in Process.all()}
    members = [everybody[pid]]
    for member in members:
        members += [process for process in everybody.values() if process.parent == member.pid]
    return members
