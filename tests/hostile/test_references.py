"""Whatever an ``image_ref`` says, nothing is asked of anybody but for one object of an allowed bucket."""

import asyncio
import io
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import attrs
import pytest
import pytest_asyncio
from minio import Minio

from adapters.object_store.errors import ObjectForbiddenError
from adapters.object_store.store import S3PhotoStore, StoreOptions
from domain.errors import ImageNotFoundError
from domain.images import ImageRef, ImageRefPolicy, InvalidImageRefError
from tests.e2e.world import World
from tests.faulty_s3 import FaultyS3
from tests.hostile.references import hostile_references

ALLOWED: Final = ("images", "archive")
POLICY: Final = ImageRefPolicy.of("images", ALLOWED)
HERE: Final = {ImageRef("images", "here.jpg"), ImageRef("archive", "a/here.jpg")}
"""The only objects that may be read."""
SECRET: Final = b"what nobody was to see"
MANY: Final = 15_000
PROBE: Final = "/images/.facematch-probe"


@attrs.frozen
class Asked:
    """A request as the server got it, its path decoded once."""

    method: str
    path: bytes
    host: str
    has_query: bool


def asked(request: bytes) -> Asked:
    """Return what a request asks, and of whom."""
    start, *lines = request.decode("latin-1").split("\r\n")
    method, target, _ = start.split(" ")
    path, mark, _ = target.partition("?")
    [host] = [line.partition(": ")[2] for line in lines if line.lower().startswith("host:")]
    return Asked(method, unquote_to_bytes(path), host, bool(mark))


def expected(ref: ImageRef, host: str) -> Asked:
    """Return the one request that may be made for a reference."""
    return Asked("GET", f"/{ref.bucket}/{ref.key}".encode(), host, has_query=False)


def accepted(texts: list[str]) -> list[ImageRef]:
    """Return what the policy makes of the texts that it accepts."""
    refs = []
    for text in texts:
        try:
            refs.append(POLICY.parse(text))
        except InvalidImageRefError:
            continue
    return refs


def fill(client: Minio) -> None:
    """Store what may be read, and a secret under the same keys in a bucket that is not allowed."""
    for bucket in (*ALLOWED, "private"):
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
    for ref in HERE:
        client.put_object(ref.bucket, ref.key, io.BytesIO(b"a photo"), len(b"a photo"))
        client.put_object("private", ref.key, io.BytesIO(SECRET), len(SECRET))
    client.put_object("private", "secret.jpg", io.BytesIO(SECRET), len(SECRET))


class _Connections:
    """Every address that this process connects to and every host that it looks up, while it listens."""

    def __init__(self) -> None:
        self.listening = False
        self.seen: set[object] = set()
        self._lock = threading.Lock()
        sys.addaudithook(self._hear)

    @contextmanager
    def recorded(self) -> Iterator[set[object]]:
        self.seen = set()
        self.listening = True
        try:
            yield self.seen
        finally:
            self.listening = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.listening and event in {"socket.connect", "socket.sendto", "socket.getaddrinfo"}:
            address = arguments[1] if event != "socket.getaddrinfo" else arguments[:2]
            with self._lock:
                self.seen.add(f"{address[0]}:{address[1]}")


@pytest.fixture(scope="module")
def connections() -> _Connections:
    """Return an ear; it cannot be taken away, so there is one."""
    return _Connections()


@pytest.fixture(params=["s3_server", "seaweed_server"])
def server(request: pytest.FixtureRequest) -> Any:
    """Return each kind of S3 server, filled."""
    server = request.getfixturevalue(request.param)
    fill(server.client())
    return server


async def test_no_request_leaves_for_anything_but_an_allowed_object(server: Any, connections: _Connections) -> None:
    """Thousands of tricks: each is refused or asks for its very key, once, by GET, of the server that is configured.

    Nothing that was not to be seen comes back, no server is made to fail, and no other is connected to.
    """
    refs = accepted([*map(str, HERE), *hostile_references(MANY, seed=1)])
    with FaultyS3(server.endpoint) as recorder, connections.recorded() as connected:
        here = recorder.endpoint
        options = StoreOptions(here, server.access_key, server.secret_key, connections=8, deadline_seconds=300.0)
        async with S3PhotoStore(options) as store:
            answers = await asyncio.gather(*(_fetched(store, ref) for ref in refs))
    assert len(refs) > MANY / 10
    assert Counter(map(asked, recorder.requests)) == Counter(expected(ref, here) for ref in refs)
    assert {ref for ref, answer in zip(refs, answers, strict=True) if answer == b"a photo"} == HERE
    others = [(ref, answer) for ref, answer in zip(refs, answers, strict=True) if ref not in HERE]
    assert [(ref, answer) for ref, answer in others if not isinstance(answer, _MAY_NOT_BE_READ)] == []
    assert connected == {here, server.endpoint}


_MAY_NOT_BE_READ: Final = (ImageNotFoundError, ObjectForbiddenError)


async def _fetched(store: S3PhotoStore, ref: ImageRef) -> bytes | Exception:
    try:
        return await store.fetch(ref, max_bytes=1000)
    except Exception as error:  # noqa: BLE001 - what it is, the test looks at
        return error


@pytest_asyncio.fixture
async def recorded_world(world: World, s3_server: Any) -> AsyncIterator[tuple[World, FaultyS3]]:
    """Return a world whose worker meets the object store through a recorder."""
    fill(s3_server.client())
    with FaultyS3(s3_server.endpoint) as recorder:
        world.environment |= {
            "FACEMATCH_S3_ENDPOINT": recorder.endpoint,
            "FACEMATCH_S3_ALLOWED_BUCKETS": ",".join(ALLOWED),
        }
        yield world, recorder


async def test_a_worker_asks_for_no_more(recorded_world: tuple[World, FaultyS3]) -> None:
    """Each such job ends once, as ``invalid_image_ref`` or as a photograph that is not there, and none is failed."""
    world, recorder = recorded_world
    texts = [text for text in hostile_references(300, seed=2) if text and ".minio.sys" not in text]
    photos = world.add_photos(len(texts))
    with world.worker() as worker:
        for photo, text in zip(photos, texts, strict=True):
            await world.publish({"photo_id": str(photo), "image_ref": text})
        await world.settled()
        assert worker.process.poll() is None
    refs = {text: accepted([text]) for text in texts}
    reasons = {
        photo: "image_not_found" if refs[text] else "invalid_image_ref"
        for photo, text in zip(photos, texts, strict=True)
    }
    rows = world.sql("SELECT photo_id, reason FROM facematch.outcomes")
    assert sorted(rows) == sorted(reasons.items())
    requests = Counter(map(asked, recorder.requests))
    del requests[Asked("GET", PROBE.encode(), recorder.endpoint, has_query=False)]
    assert requests == Counter(expected(ref, recorder.endpoint) for found in refs.values() for ref in found)
