"""The object store in memory."""

import asyncio
from collections import deque

from domain.errors import ImageNotFoundError, ImageTooLargeError, StorageUnavailableError
from domain.images import ImageRef


class InMemoryPhotoStore:
    """``objects`` is what is stored, ``fetched`` what was asked for; also the dependency that is probed.

    ``available`` set to false makes every fetch and the probe fail; each error in ``failures`` is raised by one
    fetch, in order, while the probe succeeds.
    """

    name = "object store"

    def __init__(self) -> None:
        self.available = True
        self.failures: deque[Exception] = deque()
        self.objects: dict[ImageRef, bytes] = {}
        self.fetched: list[ImageRef] = []

    def put(self, ref: ImageRef, content: bytes) -> ImageRef:
        """Store an object."""
        self.objects[ref] = content
        return ref

    async def check(self) -> None:
        """Answer a probe."""
        await asyncio.sleep(0)
        if not self.available:
            raise StorageUnavailableError("object store: connection refused")

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Return the object, or raise the next scripted failure."""
        self.fetched.append(ref)
        await asyncio.sleep(0)
        if not self.available:
            raise StorageUnavailableError("object store: connection refused")
        if self.failures:
            raise self.failures.popleft()
        content = self.objects.get(ref)
        if content is None:
            raise ImageNotFoundError(f"there is no {ref}")
        if len(content) > max_bytes:
            raise ImageTooLargeError(f"{ref} has more than {max_bytes} bytes")
        return content
