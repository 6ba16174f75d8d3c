"""Retries around any photo store: linear backoff for what passes, none for what does not."""

import asyncio

from adapters.object_store.errors import StorageRefusedError
from adapters.object_store.spans import fetch_in_span
from application.ports.clock import Clock
from application.ports.photo_store import PhotoStore
from domain.errors import StorageUnavailableError
from domain.images import ImageRef
from domain.retries import LinearBackoff


class RetryingPhotoStore:
    """Tries again after :class:`StorageUnavailableError`, as often as the backoff says; one span for each try.

    A :class:`StorageRefusedError` is not tried again here: the next delivery of the job will ask anew. All tries and
    waits together take ``deadline_seconds`` at most.
    """

    def __init__(self, inner: PhotoStore, backoff: LinearBackoff, *, clock: Clock, deadline_seconds: float) -> None:
        self._inner = inner
        self._backoff = backoff
        self._clock = clock
        self._deadline_seconds = deadline_seconds

    async def fetch(self, ref: ImageRef, *, max_bytes: int) -> bytes:
        """Fetch, with retries; the last error is raised as it is."""
        failure: StorageUnavailableError | None = None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for attempt in range(1, self._backoff.attempts):
                    try:
                        return await fetch_in_span(self._inner, ref, max_bytes=max_bytes, attempt=attempt)
                    except StorageRefusedError:
                        raise
                    except StorageUnavailableError as error:
                        failure = error
                    await self._clock.sleep(self._backoff.delay(attempt))
                return await fetch_in_span(self._inner, ref, max_bytes=max_bytes, attempt=self._backoff.attempts)
        except TimeoutError as error:
            message = f"{ref} did not come within {self._deadline_seconds:g} s, all tries together"
            raise StorageUnavailableError(f"{message}; before that: {failure}" if failure else message) from error
