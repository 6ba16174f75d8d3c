"""Where photographs are kept."""

from typing import Protocol

from domain.images import ImageRef


class PhotoStore(Protocol):
    """Fetches photographs."""

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Return the whole object.

        Raises:
            ImageNotFoundError: no such object or bucket.
            ImageTooLargeError: more than ``max_bytes``, whatever the store says of its size.
            StorageUnavailableError: no answer or a passing fault, after the retries that the store makes.

        """
