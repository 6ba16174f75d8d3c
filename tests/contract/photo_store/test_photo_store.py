"""What any photo store does: two S3 servers of different makes by the minio SDK, and the fake in memory."""

import asyncio

import pytest

from application.ports.photo_store import PhotoStore
from domain.errors import ImageNotFoundError, ImageTooLargeError
from domain.images import ImageRef
from tests.contract.photo_store.conftest import Subject

MIB = 1024 * 1024


def pattern(size: int) -> bytes:
    """Return bytes in which every place differs from its neighbours."""
    return bytes(range(251)) * (size // 251) + bytes(range(size % 251))


async def test_it_is_a_photo_store(subject: Subject) -> None:
    """The adapter satisfies the port."""
    store: PhotoStore = subject.store
    assert await store.fetch(subject.given("one.jpg", b"1"), max_bytes=1) == b"1"


@pytest.mark.parametrize("size", [1, 65_536, 3 * MIB + 1])
async def test_the_whole_object_comes(subject: Subject, size: int) -> None:
    """An object comes whole and unchanged, whatever its size."""
    content = pattern(size)
    assert await subject.store.fetch(subject.given("whole.bin", content), max_bytes=4 * MIB) == content


async def test_an_empty_object_is_an_object(subject: Subject) -> None:
    """Nothing stored is nothing read, and no error."""
    assert await subject.store.fetch(subject.given("empty", b""), max_bytes=10) == b""


async def test_the_latest_content_comes(subject: Subject) -> None:
    """An object that was replaced comes as it is now."""
    ref = subject.given("changing.jpg", b"before")
    await subject.store.fetch(ref, max_bytes=100)
    subject.given("changing.jpg", b"after")
    assert await subject.store.fetch(ref, max_bytes=100) == b"after"


async def test_what_is_stored_beside_an_object_does_not_change_it(subject: Subject) -> None:
    """A header that lies about the content's encoding does not keep anybody from the content."""
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    assert await subject.store.fetch(subject.given("lie.jpg", b"no gzip", **headers), max_bytes=100) == b"no gzip"


async def test_a_missing_key_is_not_found(subject: Subject) -> None:
    """The error says which object there is not."""
    ref = ImageRef(subject.bucket, "missing.jpg")
    with pytest.raises(ImageNotFoundError, match=f"minio://{subject.bucket}/missing.jpg"):
        await subject.store.fetch(ref, max_bytes=10)


async def test_a_missing_bucket_is_not_found(subject: Subject) -> None:
    """No bucket, no object."""
    with pytest.raises(ImageNotFoundError, match=r"minio://no-such-bucket/a\.jpg"):
        await subject.store.fetch(ImageRef("no-such-bucket", "a.jpg"), max_bytes=10)


async def test_a_folder_is_not_an_object(subject: Subject) -> None:
    """The beginning of another object's key is not found."""
    subject.given("folder/a.jpg", b"a")
    with pytest.raises(ImageNotFoundError):
        await subject.store.fetch(ImageRef(subject.bucket, "folder"), max_bytes=10)


@pytest.mark.parametrize("bucket", ["ab", "-starts-with-a-dash", "two..dots", "192.168.0.1"])
async def test_an_impossible_bucket_is_not_found(subject: Subject, bucket: str) -> None:
    """A name that no bucket can have is not there either."""
    with pytest.raises(ImageNotFoundError):
        await subject.store.fetch(ImageRef(bucket, "a.jpg"), max_bytes=10)


async def test_a_key_that_is_too_long_for_the_store_is_not_found(subject: Subject) -> None:
    """A key that cannot be there is not there, on each of the deliveries."""
    with pytest.raises(ImageNotFoundError):
        await subject.store.fetch(ImageRef(subject.bucket, "k" * 1024), max_bytes=10)


@pytest.mark.parametrize(
    "key",
    [
        "with space.jpg",
        " leading and trailing ",
        "plus+plus.jpg",
        "per%cent.jpg",
        "already%20encoded.jpg",
        "umlaut-äöü-ß.jpg",
        "combining-e\u0301.jpg",
        "人物/顔.jpg",
        "emoji-😀.jpg",
        "question?x=1&y=2",
        "hash#fragment",
        "semi;colon,comma=equals",
        "quotes'\"",
        "back\\slash",
        "star*[brackets]{braces}",
        "tilde~^|<>.jpg",
        ":@!$().jpg",
        "deep/" * 60 + "photo.jpg",
        "n" * 250,
    ],
)
async def test_odd_keys_are_keys(subject: Subject, key: str) -> None:
    """Every character of a key stands for itself."""
    assert await subject.store.fetch(subject.given(key, key.encode()), max_bytes=2000) == key.encode()


async def test_an_object_as_large_as_allowed_comes(subject: Subject) -> None:
    """The limit is included."""
    assert await subject.store.fetch(subject.given("limit.bin", pattern(1000)), max_bytes=1000) == pattern(1000)


@pytest.mark.parametrize("size", [1001, 5 * MIB])
async def test_a_larger_object_is_too_large(subject: Subject, size: int) -> None:
    """One byte more is too much; the error says which object and which limit."""
    ref = subject.given("large.bin", bytes(size))
    with pytest.raises(ImageTooLargeError, match=r"large\.bin has .*more than 1000"):
        await subject.store.fetch(ref, max_bytes=1000)


async def test_a_fetch_after_a_refused_one_is_whole(subject: Subject) -> None:
    """What was left of a large object does not spill into the next one."""
    large, small = subject.given("large.bin", pattern(MIB)), subject.given("small.bin", pattern(500))
    for _ in range(3):
        with pytest.raises(ImageTooLargeError):
            await subject.store.fetch(large, max_bytes=1000)
        assert await subject.store.fetch(small, max_bytes=1000) == pattern(500)


async def test_many_are_fetched_at_once(subject: Subject) -> None:
    """Concurrent fetches, more than there are connections, each get their own object."""
    refs = [subject.given(f"many/{number}.bin", pattern(10_000 + number)) for number in range(24)]
    contents = await asyncio.gather(*(subject.store.fetch(ref, max_bytes=MIB) for ref in refs))
    assert [len(content) for content in contents] == [10_000 + number for number in range(24)]
    assert contents[-1] == pattern(10_023)
